//! A look at every record of a batch that was fetched: what verifying consumers and readers share.
//!
//! Guarantees: each record from an offset on is seen once, intact or not. Does not know: whose books
//! it goes into.

use client::compression::{OpenError, open};
use model::Offset;
use model::record_batch::{BatchHeader, Compression, Records, check_crc};

use super::Worker;
use crate::measure::{Clock, Measurements};
use crate::record::{Damage, Value};

/// What an uncompressed batch can be at most.
const OPENED_BYTES_MAX: u64 = i32::MAX as u64;

/// Hands every record of a batch from an offset on to `see`; fails if none can be looked at.
pub(super) fn look_at(
    worker: &Worker,
    header: &BatchHeader,
    batch: &[u8],
    from: Offset,
    mut see: impl FnMut(Result<Value, Damage>),
) -> Result<(), OpenError> {
    check_crc(batch)?;
    let opened = match header.compression()? == Compression::None {
        true => None,
        false => Some(open(batch, OPENED_BYTES_MAX)?),
    };
    let plain = opened.as_deref().unwrap_or(batch);
    for record in Records::read(plain)? {
        match record {
            Ok(record) if header.base_offset + i64::from(record.offset_delta) < from => {}
            Ok(record) => {
                let read = Value::read(record.key, record.value);
                // Other runs have other headers.
                let is_bare = read.is_ok_and(|value| value.run == worker.run)
                    && !worker.settings.records.headers.are_of(&record);
                see(if is_bare { Err(Damage::Headers) } else { read });
            }
            Err(_) => see(Err(Damage::TooShort)),
        }
    }
    Ok(())
}

impl Worker {
    /// Records how old a value is that a consumer has at a time, since the start.
    pub(super) fn note_age(&self, measured: &mut Measurements, value: &Value, at_ns: u64) {
        let intended_ns = value.intended_ns.saturating_sub(self.start.get().as_nanos());
        let time_ns = at_ns.saturating_sub(intended_ns);
        measured.record(Clock::EndToEnd, intended_ns, time_ns);
    }
}
