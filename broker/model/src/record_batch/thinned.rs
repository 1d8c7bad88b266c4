//! A batch without some of its records, as compaction leaves it.
//!
//! Guarantees: the batch keeps its offsets, leader epoch, producer and compression, its records their
//! offsets, times, keys, values and headers; the record count, the highest time and the CRC are made
//! right. Does not know: which records should go.

use std::ops::Range;

use super::stamp::{put, update_crc};
use super::{
    ATTRIBUTE_DELETE_HORIZON, BatchError, BatchHeader, HEADER_SIZE_BYTES, POSITION_OF_ATTRIBUTES,
    POSITION_OF_BASE_TIMESTAMP, POSITION_OF_LENGTH, POSITION_OF_MAX_TIMESTAMP,
    POSITION_OF_RECORDS_COUNT, PREFIX_SIZE_BYTES, RecordFault, TimestampType, varint,
};
use crate::Timestamp;
use crate::codec::encode;

/// The batch with only some of its records: `records` are all of them, decompressed, and `kept` the
/// places in these bytes of runs of whole records that stay, in order. A delete horizon takes the
/// place of the time that the records' times are counted from (KIP-534).
pub fn thinned(
    batch: &[u8],
    records: &[u8],
    kept: &[Range<usize>],
    delete_horizon: Option<Timestamp>,
) -> Result<Vec<u8>, BatchError> {
    let header = BatchHeader::read(batch)?;
    let base_timestamp = delete_horizon.unwrap_or(header.base_timestamp);
    let mut out = Vec::with_capacity(records.len());
    let mut max_timestamp = Timestamp::NONE;
    let mut records_count = 0;
    for range in kept {
        let mut rest = &records[range.clone()];
        while !rest.is_empty() {
            let index = records_count;
            let timestamp = copy_record(&mut rest, &mut out, &header, base_timestamp)
                .map_err(|fault| BatchError::Record { index, fault })?;
            max_timestamp = max_timestamp.max(timestamp);
            records_count += 1;
        }
    }
    if header.timestamp_type() == TimestampType::LogAppendTime {
        max_timestamp = header.max_timestamp;
    }
    let mut attributes = header.attributes;
    if delete_horizon.is_some() {
        attributes |= ATTRIBUTE_DELETE_HORIZON;
    }
    let encoded = encode(&out, header.compression()?, None);
    let mut thinned = [&batch[..HEADER_SIZE_BYTES], &encoded].concat();
    let length = i32::try_from(thinned.len() - PREFIX_SIZE_BYTES)
        .map_err(|_| BatchError::LengthTooSmall { length: i32::MAX })?;
    put(&mut thinned, POSITION_OF_LENGTH, length.to_be_bytes());
    put(&mut thinned, POSITION_OF_ATTRIBUTES, attributes.to_be_bytes());
    put(&mut thinned, POSITION_OF_BASE_TIMESTAMP, base_timestamp.0.to_be_bytes());
    put(&mut thinned, POSITION_OF_MAX_TIMESTAMP, max_timestamp.0.to_be_bytes());
    put(&mut thinned, POSITION_OF_RECORDS_COUNT, records_count.to_be_bytes());
    update_crc(&mut thinned);
    Ok(thinned)
}

/// Copies the record at the front of `rest`, with its time counted from another. Returns its time.
fn copy_record(
    rest: &mut &[u8],
    out: &mut Vec<u8>,
    header: &BatchHeader,
    base_timestamp: Timestamp,
) -> Result<Timestamp, RecordFault> {
    let whole = *rest;
    let length = varint::read_i32(rest)?;
    let truncated =
        |needed_bytes, available_bytes| RecordFault::Truncated { needed_bytes, available_bytes };
    let body_bytes = usize::try_from(length).map_err(|_| RecordFault::NegativeLength { length })?;
    let (body, after) =
        rest.split_at_checked(body_bytes).ok_or_else(|| truncated(body_bytes, rest.len()))?;
    *rest = after;
    let (attributes, mut body) = body.split_first().ok_or_else(|| truncated(1, 0))?;
    let delta = varint::read_i64(&mut body)?;
    // Wraps, as reading does.
    let timestamp = Timestamp(header.base_timestamp.0.wrapping_add(delta));
    if base_timestamp == header.base_timestamp {
        out.extend_from_slice(&whole[..whole.len() - after.len()]);
        return Ok(timestamp);
    }
    let delta = timestamp.0.wrapping_sub(base_timestamp.0);
    let body_bytes = 1 + varint::size_bytes(delta) + body.len();
    varint::write(out, i64::try_from(body_bytes).expect("nothing in memory is longer"));
    out.push(*attributes);
    varint::write(out, delta);
    out.extend_from_slice(body);
    Ok(timestamp)
}

#[cfg(test)]
mod tests;
