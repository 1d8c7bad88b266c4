//! What a producer may send: the checks that Kafka makes before it appends.
//!
//! Guarantees: what passes may be appended after stamping, and every consumer can read it. Compressed
//! records are opened a piece at a time, so that who validates can do something else in between.
//! Does not know: sequence numbers already seen, sizes allowed as sent, leaders.

use super::{
    BatchError, BatchHeader, Compression, HEADER_SIZE_BYTES, Record, RecordFault, Records,
    RecordsWalk, Step, TimestampType, WalkedRecord, crc_of, whole_batch,
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
    /// The most that may come out of compressed records; and at most a
    /// thousand times what was sent, or 1 MiB.
    pub decompressed_bytes_max: u64,
}

impl AppendRules {
    /// Anything that is a record.
    pub const NONE: AppendRules = AppendRules {
        keys_required: false,
        timestamp_min: Timestamp(i64::MIN),
        timestamp_max: Timestamp(i64::MAX),
        decompressed_bytes_max: u64::MAX,
    };

    /// What may come out of a batch of this size: little may not stand for very much, as a core's
    /// time is spent on what comes out. So much as an uncompressed batch has by default always may.
    fn decompressed_bytes_max(&self, compressed_bytes: usize) -> u64 {
        const RATIO_MAX: u64 = 1000;
        const ALWAYS_BYTES: u64 = 1 << 20;
        let by_ratio = RATIO_MAX.saturating_mul(compressed_bytes as u64);
        self.decompressed_bytes_max.min(by_ratio.max(ALWAYS_BYTES))
    }
}

/// A batch that may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// As the producer wrote it.
    pub header: BatchHeader,
    /// The highest timestamp of the records, or [`Timestamp::NONE`] if none has one.
    pub max_timestamp: Timestamp,
    /// What the records take uncompressed.
    pub records_bytes: u64,
}

impl Validated {
    /// What to pass to [`set_max_timestamp`](super::set_max_timestamp), if the producer was wrong.
    pub fn max_timestamp_to_patch(&self) -> Option<Timestamp> {
        (self.max_timestamp != self.header.max_timestamp).then_some(self.max_timestamp)
    }
}

/// Checks what a producer sent for one partition (Produce 3 and later): one batch and nothing else.
pub fn validate_from_client(bytes: &[u8], rules: AppendRules) -> Result<Validated, BatchError> {
    let mut validation = Validation::begin(bytes, rules)?;
    loop {
        let mut budget_bytes = usize::MAX;
        if let Some(validated) = validation.step(&mut budget_bytes)? {
            return Ok(validated);
        }
    }
}

/// The checks of [`validate_from_client`], which may stop in between.
#[derive(Debug)]
pub struct Validation<'a> {
    header: BatchHeader,
    rules: AppendRules,
    records: ToWalk<'a>,
    next_index: i32,
    max_timestamp: Timestamp,
    records_bytes: u64,
}

/// Records that are not checked yet. Uncompressed ones are checked at once, as that takes hardly
/// longer than the CRC.
#[derive(Debug)]
enum ToWalk<'a> {
    Nothing,
    /// Of this batch. Memory is taken when the walk begins.
    Batch(&'a [u8]),
    Begun(Box<RecordsWalk<'a>>),
}

impl<'a> Validation<'a> {
    /// Checks everything but compressed records.
    pub fn begin(bytes: &'a [u8], rules: AppendRules) -> Result<Validation<'a>, BatchError> {
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
        let mut validation = Validation {
            header,
            rules,
            records: ToWalk::Nothing,
            next_index: 0,
            max_timestamp: Timestamp::NONE,
            records_bytes: (batch.len() - HEADER_SIZE_BYTES) as u64,
        };
        match header.compression()? {
            Compression::None => {
                for record in Records::read(batch)? {
                    let Record { offset_delta, timestamp, key, .. } = record?;
                    let has_key = key.is_some();
                    validation.check(WalkedRecord { offset_delta, timestamp, has_key })?;
                }
            }
            Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd => {
                validation.records = ToWalk::Batch(batch);
            }
        }
        Ok(validation)
    }

    /// Whether there is more to check, for which memory is taken.
    pub fn has_more(&self) -> bool {
        !matches!(self.records, ToWalk::Nothing)
    }

    /// Goes on until the budget is used up, from which is taken what is read and what comes out.
    /// None if there is more to check. After an error it must not go on.
    pub fn step(&mut self, budget_bytes: &mut usize) -> Result<Option<Validated>, BatchError> {
        if let ToWalk::Batch(batch) = self.records {
            let limit_bytes = self.rules.decompressed_bytes_max(batch.len());
            self.records = ToWalk::Begun(Box::new(RecordsWalk::new(batch, limit_bytes)?));
        }
        while let ToWalk::Begun(walk) = &mut self.records {
            match walk.step(budget_bytes)? {
                Step::Record(record) => self.check(record)?,
                Step::Paused => return Ok(None),
                Step::End => {
                    self.records_bytes = walk.decoded_bytes();
                    self.records = ToWalk::Nothing;
                }
            }
        }
        let Validation { header, max_timestamp, records_bytes, .. } = *self;
        Ok(Some(Validated { header, max_timestamp, records_bytes }))
    }

    fn check(&mut self, record: WalkedRecord) -> Result<(), BatchError> {
        let WalkedRecord { offset_delta, timestamp, has_key } = record;
        let index = self.next_index;
        if offset_delta != index {
            let fault = RecordFault::OffsetDelta { offset_delta };
            return Err(BatchError::Record { index, fault });
        }
        if self.rules.keys_required && !has_key {
            return Err(BatchError::Record { index, fault: RecordFault::KeyMissing });
        }
        check_timestamp(timestamp, index, self.rules)?;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.next_index += 1;
        Ok(())
    }
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

fn check_timestamp(
    timestamp: Timestamp,
    index: i32,
    AppendRules { timestamp_min, timestamp_max, .. }: AppendRules,
) -> Result<(), BatchError> {
    if timestamp == Timestamp::NONE || (timestamp_min <= timestamp && timestamp <= timestamp_max) {
        return Ok(());
    }
    Err(BatchError::TimestampOutOfRange { index, timestamp, timestamp_min, timestamp_max })
}

#[cfg(test)]
mod tests;
