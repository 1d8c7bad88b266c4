//! What a producer may send: the checks that Kafka makes before it appends.
//!
//! Guarantees: what passes may be appended after stamping, and every consumer can read it. Does not
//! know: sequence numbers already seen, sizes allowed, leaders. Compressed records are not looked
//! at: their batch's header is trusted.

use super::{
    BatchError, BatchHeader, Compression, Record, RecordFault, Records, TimestampType, crc_of,
    whole_batch,
};
use crate::{Offset, ProducerEpoch, Timestamp};

/// What a topic asks of the records in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendRules {
    /// As in a compacted topic.
    pub keys_required: bool,
    /// The earliest timestamp accepted. A record without a timestamp is always accepted.
    pub timestamp_min: Timestamp,
    /// The latest timestamp accepted.
    pub timestamp_max: Timestamp,
}

impl AppendRules {
    /// Anything that is a record.
    pub const NONE: AppendRules = AppendRules {
        keys_required: false,
        timestamp_min: Timestamp(i64::MIN),
        timestamp_max: Timestamp(i64::MAX),
    };
}

/// A batch that may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// As the producer wrote it.
    pub header: BatchHeader,
    /// The highest timestamp of the records, or [`Timestamp::NONE`] if none has one. Not known of
    /// compressed records.
    pub max_timestamp: Option<Timestamp>,
}

impl Validated {
    /// What to pass to [`set_max_timestamp`](super::set_max_timestamp), if the producer was wrong.
    pub fn max_timestamp_to_patch(&self) -> Option<Timestamp> {
        self.max_timestamp.filter(|&max_timestamp| max_timestamp != self.header.max_timestamp)
    }
}

/// Checks what a producer sent for one partition (Produce 3 and later): one batch and nothing else.
pub fn validate_from_client(bytes: &[u8], rules: AppendRules) -> Result<Validated, BatchError> {
    if bytes.is_empty() {
        return Err(BatchError::Empty);
    }
    let header = BatchHeader::read(bytes)?;
    let batch = whole_batch(&header, bytes)?;
    if batch.len() < bytes.len() {
        return Err(BatchError::TrailingBytes { extra_bytes: bytes.len() - batch.len() });
    }
    let computed = crc_of(batch);
    if computed != header.crc {
        return Err(BatchError::CrcMismatch { stored: header.crc, computed });
    }
    check_header(&header)?;
    let max_timestamp = match header.compression()? {
        Compression::None => Some(check_records(batch, rules)?),
        Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd => {
            check_timestamp(header.base_timestamp, None, rules)?;
            check_timestamp(header.max_timestamp, None, rules)?;
            None
        }
    };
    Ok(Validated { header, max_timestamp })
}

fn check_header(header: &BatchHeader) -> Result<(), BatchError> {
    let BatchHeader { base_offset, last_offset_delta, records_count, .. } = *header;
    if base_offset != Offset::ZERO {
        return Err(BatchError::BaseOffset { base_offset });
    }
    if records_count <= 0 || i64::from(last_offset_delta) + 1 != i64::from(records_count) {
        return Err(BatchError::RecordsCount { records_count, last_offset_delta });
    }
    if header.is_control() {
        return Err(BatchError::ControlBatch);
    }
    let BatchHeader { producer_id, producer_epoch, base_sequence, .. } = *header;
    if header.is_idempotent() && (base_sequence < 0 || producer_epoch <= ProducerEpoch::NONE) {
        return Err(BatchError::ProducerStamp { producer_id, producer_epoch, base_sequence });
    }
    match header.timestamp_type() {
        TimestampType::CreateTime => Ok(()),
        TimestampType::LogAppendTime => Err(BatchError::LogAppendTime),
    }
}

/// Walks all records of an uncompressed batch. Returns the highest timestamp.
fn check_records(batch: &[u8], rules: AppendRules) -> Result<Timestamp, BatchError> {
    let mut max_timestamp = Timestamp::NONE;
    for (index, record) in (0..).zip(Records::read(batch)?) {
        let Record { offset_delta, timestamp, key, .. } = record?;
        if offset_delta != index {
            let fault = RecordFault::OffsetDelta { offset_delta };
            return Err(BatchError::Record { index, fault });
        }
        if rules.keys_required && key.is_none() {
            return Err(BatchError::Record { index, fault: RecordFault::KeyMissing });
        }
        check_timestamp(timestamp, Some(index), rules)?;
        max_timestamp = max_timestamp.max(timestamp);
    }
    Ok(max_timestamp)
}

fn check_timestamp(
    timestamp: Timestamp,
    index: Option<i32>,
    AppendRules { timestamp_min, timestamp_max, .. }: AppendRules,
) -> Result<(), BatchError> {
    if timestamp == Timestamp::NONE || (timestamp_min <= timestamp && timestamp <= timestamp_max) {
        return Ok(());
    }
    Err(BatchError::TimestampOutOfRange { index, timestamp, timestamp_min, timestamp_max })
}

#[cfg(test)]
mod tests;
