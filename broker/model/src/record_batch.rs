//! Record batches: Kafka's message format, version 2 (magic 2), the only one written since 0.11.
//!
//! ```text
//!  0             8          12            16    17     21         23
//!  │ base offset │ length   │ leader epoch│magic│ CRC  │attributes│ last offset delta
//!  └─────────────┴─────── 12 byte prefix ─┴─────┴──────┴──────────┴───────────────── ─ ─
//!  27                                                           57              61
//!  │ base timestamp │ max timestamp │ producer id, epoch, sequence │ records count │ records
//! ─┴────────────────┴───────────────┴──────────────────────────────┴───────────────┴──── ─ ─
//! ```
//!
//! `length` counts everything after itself. The CRC-32C covers everything after itself, so that a
//! broker can give a batch its offset and leader epoch without touching the CRC. If the attributes
//! name a compression, all records together are one compressed block.
//!
//! Guarantees: readers borrow and never allocate, but for [`RecordsWalk`], whose memory has a bound;
//! no bytes make a reader panic; a batch is stamped in place, or made anew by [`with_records`]. Does
//! not know: topics, logs, Kafka's error codes.

mod error;
mod varint;
mod records;
mod batches;
mod walk;
mod validate;
mod recompress;
mod stamp;
mod builder;
mod thinned;

pub use batches::Batches;
pub use builder::{BatchBuilder, NewRecord, ProducerStamp};
pub use error::{BatchError, RecordFault};
pub use recompress::Recompression;
pub use records::{Record, RecordHeader, RecordHeaders, Records};
pub use stamp::{assign, set_log_append_time, set_max_timestamp, with_records};
pub use thinned::Thinning;
pub use validate::{AppendRules, Validated, Validation, validate_from_client};
pub use walk::{RecordsWalk, Step, WalkedRecord};

use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// Bytes before the first record.
pub const HEADER_SIZE_BYTES: usize = 61;
/// The format's version, as byte 16 of a batch says it.
pub const MAGIC: i8 = 2;

/// Base offset and length: what `length` does not count.
const PREFIX_SIZE_BYTES: usize = 12;
/// The smallest `length`: a batch without records.
const LENGTH_MIN: i32 = 49;

const POSITION_OF_BASE_OFFSET: usize = 0;
const POSITION_OF_LENGTH: usize = 8;
const POSITION_OF_LEADER_EPOCH: usize = 12;
const POSITION_OF_MAGIC: usize = 16;
const POSITION_OF_CRC: usize = 17;
const POSITION_OF_ATTRIBUTES: usize = 21;
const POSITION_OF_LAST_OFFSET_DELTA: usize = 23;
const POSITION_OF_BASE_TIMESTAMP: usize = 27;
const POSITION_OF_MAX_TIMESTAMP: usize = 35;
const POSITION_OF_PRODUCER_ID: usize = 43;
const POSITION_OF_PRODUCER_EPOCH: usize = 51;
const POSITION_OF_BASE_SEQUENCE: usize = 53;
const POSITION_OF_RECORDS_COUNT: usize = 57;

const _: () = {
    assert!(POSITION_OF_RECORDS_COUNT + 4 == HEADER_SIZE_BYTES);
    assert!(PREFIX_SIZE_BYTES + LENGTH_MIN as usize == HEADER_SIZE_BYTES);
};

const ATTRIBUTE_COMPRESSION_MASK: i16 = 0b0000_0111;
const ATTRIBUTE_LOG_APPEND_TIME: i16 = 1 << 3;
const ATTRIBUTE_TRANSACTIONAL: i16 = 1 << 4;
const ATTRIBUTE_CONTROL: i16 = 1 << 5;
const ATTRIBUTE_DELETE_HORIZON: i16 = 1 << 6;

/// What a batch says of itself before its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record. A producer sends 0; the broker assigns it.
    pub base_offset: Offset,
    /// At least [`LENGTH_MIN`].
    length: i32,
    /// Epoch of the leader that appended the batch. A producer sends -1; the broker assigns it.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C of everything after it.
    pub crc: u32,
    /// Compression, timestamp type and flags; see the methods.
    pub attributes: i16,
    /// Offset of the last record, counted from `base_offset`.
    pub last_offset_delta: i32,
    /// What the records' timestamps are counted from; of the first record unless
    /// [`has_delete_horizon`](Self::has_delete_horizon).
    pub base_timestamp: Timestamp,
    /// The highest timestamp of the records, or when the batch was appended.
    pub max_timestamp: Timestamp,
    /// Who sent it, or [`ProducerId::NONE`].
    pub producer_id: ProducerId,
    /// Its session, or [`ProducerEpoch::NONE`].
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// How many records follow. Compaction may leave fewer than the offsets suggest, even none.
    pub records_count: i32,
}

impl BatchHeader {
    /// Reads the header that `bytes` begin with. Needs [`HEADER_SIZE_BYTES`] of them, not the whole
    /// batch, and so does not check the CRC.
    pub fn read(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let truncated = || BatchError::Truncated {
            needed_bytes: HEADER_SIZE_BYTES,
            available_bytes: bytes.len(),
        };
        // Before anything else, as older formats may be shorter than our header.
        match bytes.get(POSITION_OF_MAGIC).map(|byte| byte.cast_signed()) {
            None => return Err(truncated()),
            Some(MAGIC) => {}
            Some(magic @ 0..MAGIC) => return Err(BatchError::OldMagic { magic }),
            Some(magic) => return Err(BatchError::UnknownMagic { magic }),
        }
        let length = i32::from_be_bytes(field(bytes, POSITION_OF_LENGTH));
        if length < LENGTH_MIN {
            return Err(BatchError::LengthTooSmall { length });
        }
        if bytes.len() < HEADER_SIZE_BYTES {
            return Err(truncated());
        }
        Ok(BatchHeader {
            base_offset: Offset(i64::from_be_bytes(field(bytes, POSITION_OF_BASE_OFFSET))),
            length,
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field(bytes, POSITION_OF_LEADER_EPOCH))),
            crc: u32::from_be_bytes(field(bytes, POSITION_OF_CRC)),
            attributes: i16::from_be_bytes(field(bytes, POSITION_OF_ATTRIBUTES)),
            last_offset_delta: i32::from_be_bytes(field(bytes, POSITION_OF_LAST_OFFSET_DELTA)),
            base_timestamp: Timestamp(i64::from_be_bytes(field(bytes, POSITION_OF_BASE_TIMESTAMP))),
            max_timestamp: Timestamp(i64::from_be_bytes(field(bytes, POSITION_OF_MAX_TIMESTAMP))),
            producer_id: ProducerId(i64::from_be_bytes(field(bytes, POSITION_OF_PRODUCER_ID))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(
                bytes,
                POSITION_OF_PRODUCER_EPOCH,
            ))),
            base_sequence: i32::from_be_bytes(field(bytes, POSITION_OF_BASE_SEQUENCE)),
            records_count: i32::from_be_bytes(field(bytes, POSITION_OF_RECORDS_COUNT)),
        })
    }

    /// Size of the whole batch: prefix, header and records.
    pub fn size_bytes(&self) -> usize {
        let length = usize::try_from(self.length).expect("read refuses lengths below 49");
        PREFIX_SIZE_BYTES + length
    }

    /// Offset of the last record. Saturates, so that no bytes can overflow it.
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.saturating_add(i64::from(self.last_offset_delta)))
    }

    /// Offset that the next batch of the partition begins with. Saturates as well.
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        match self.attributes & ATTRIBUTE_COMPRESSION_MASK {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            codec => Err(BatchError::UnknownCompression { codec }),
        }
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & ATTRIBUTE_LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// The time of all its records, if that is when the batch was appended.
    pub(crate) fn log_append_time(&self) -> Option<Timestamp> {
        match self.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(self.max_timestamp),
        }
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & ATTRIBUTE_TRANSACTIONAL != 0
    }

    /// Whether the batch holds markers written by brokers and never shown to applications.
    pub fn is_control(&self) -> bool {
        self.attributes & ATTRIBUTE_CONTROL != 0
    }

    /// Whether `base_timestamp` says when compaction may drop the batch's tombstones.
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & ATTRIBUTE_DELETE_HORIZON != 0
    }

    /// Whether the producer numbers its batches, so that a duplicate can be told.
    pub fn is_idempotent(&self) -> bool {
        ProducerId::NONE < self.producer_id
    }
}

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, in the framing of the xerial library or bare.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878; clients may use it from Produce 7 and Fetch 10 on.
    Zstd,
}

impl Compression {
    /// Every one of them.
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    /// As Kafka's `compression.type` has it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

/// Who set the timestamps of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimestampType {
    /// The producer, for each record.
    CreateTime,
    /// The broker: every record counts as having the batch's `max_timestamp`.
    LogAppendTime,
}

/// Checks that the batch that `bytes` begin with is whole and is what its sender wrote.
pub fn check_crc(bytes: &[u8]) -> Result<(), BatchError> {
    let header = BatchHeader::read(bytes)?;
    let batch = whole_batch(&header, bytes)?;
    let computed = crc_of(batch);
    if computed != header.crc {
        return Err(BatchError::CrcMismatch { stored: header.crc, computed });
    }
    Ok(())
}

/// The bytes of the batch that `bytes` begin with.
fn whole_batch<'a>(header: &BatchHeader, bytes: &'a [u8]) -> Result<&'a [u8], BatchError> {
    let needed_bytes = header.size_bytes();
    bytes
        .get(..needed_bytes)
        .ok_or(BatchError::Truncated { needed_bytes, available_bytes: bytes.len() })
}

/// CRC-32C of what the CRC of `batch` covers.
fn crc_of(batch: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(&batch[POSITION_OF_ATTRIBUTES..])
}

/// The field of `N` bytes at `position`, which the caller knows to be within `bytes`.
fn field<const N: usize>(bytes: &[u8], position: usize) -> [u8; N] {
    *bytes[position..].first_chunk().expect("the caller has checked the size")
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
