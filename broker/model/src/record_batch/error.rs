//! Why bytes are not a record batch, or not one that a producer may send.
//!
//! Guarantees: every variant carries the numbers that led to it. Does not know: Kafka's error
//! codes; but the variants stand under the code that Kafka's brokers answer, so that a server can
//! map them one group to one code.

use super::Compression;
use crate::codec::CodecError;
use crate::{Offset, ProducerEpoch, ProducerId, Timestamp};

/// Why bytes are not a record batch, or not one that a producer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    // ---- Kafka answers CORRUPT_MESSAGE: the bytes are damaged.
    /// The length does not even cover a header.
    #[error("batch length {length} is less than {}", super::LENGTH_MIN)]
    LengthTooSmall {
        /// As found.
        length: i32,
    },
    /// No format that ever was.
    #[error("unknown magic {magic}")]
    UnknownMagic {
        /// As found.
        magic: i8,
    },
    /// Something after the CRC has changed since it was computed.
    #[error("stored CRC {stored:#010x}, computed {computed:#010x}")]
    CrcMismatch {
        /// As found.
        stored: u32,
        /// Of the bytes as they are.
        computed: u32,
    },

    // ---- Kafka answers INVALID_RECORD: whole, but against the rules.
    /// No bytes at all.
    #[error("no batch")]
    Empty,
    /// Fewer bytes than the header needs or the length says.
    #[error("{needed_bytes} bytes needed, {available_bytes} available")]
    Truncated {
        /// Of the header, or of the whole batch.
        needed_bytes: usize,
        /// As received.
        available_bytes: usize,
    },
    /// A message set of a Kafka before 0.11.
    #[error("magic {magic} is no longer supported")]
    OldMagic {
        /// 0 or 1.
        magic: i8,
    },
    /// A second batch or other bytes after the batch.
    #[error("{extra_bytes} bytes after the only batch allowed")]
    TrailingBytes {
        /// As received.
        extra_bytes: usize,
    },
    /// Only a broker gives offsets.
    #[error("base offset {base_offset} from a producer, 0 expected")]
    BaseOffset {
        /// As found.
        base_offset: Offset,
    },
    /// The count is not positive, or is not what the offsets say.
    #[error("{records_count} records with a last offset delta of {last_offset_delta}")]
    RecordsCount {
        /// As found.
        records_count: i32,
        /// As found.
        last_offset_delta: i32,
    },
    /// Only a broker writes markers.
    #[error("control batch from a producer")]
    ControlBatch,
    /// A producer with an id must number its batches.
    #[error(
        "producer {} with epoch {} and sequence {base_sequence}",
        producer_id.0,
        producer_epoch.0
    )]
    ProducerStamp {
        /// As found.
        producer_id: ProducerId,
        /// As found.
        producer_epoch: ProducerEpoch,
        /// As found.
        base_sequence: i32,
    },
    /// One record is at fault.
    #[error("record {index}: {fault}")]
    Record {
        /// Which, from 0.
        index: i32,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// More bytes than the declared number of records fills.
    #[error("{extra_bytes} bytes after the last of {records_count} records")]
    TrailingRecords {
        /// As found.
        records_count: i32,
        /// Left over.
        extra_bytes: usize,
    },
    /// The records cannot be decompressed, for which Kafka has no code of its own, or are more than
    /// is allowed, which it does not limit.
    #[error(transparent)]
    Codec(#[from] CodecError),

    // ---- Kafka answers MESSAGE_TOO_LARGE.
    /// Too large in the codec in which it is to be stored.
    #[error("more than {limit_bytes} bytes with compression '{}'", compression.name())]
    TooLarge {
        /// In which it is to be stored.
        compression: Compression,
        /// What is allowed.
        limit_bytes: usize,
    },

    // ---- Kafka answers INVALID_TIMESTAMP.
    /// Only a broker sets the append time.
    #[error("timestamp type log append time from a producer")]
    LogAppendTime,
    /// Further in the past or in the future than the topic accepts.
    #[error("timestamp {timestamp} outside {timestamp_min}..={timestamp_max}")]
    TimestampOutOfRange {
        /// Which record, from 0.
        index: i32,
        /// As found.
        timestamp: Timestamp,
        /// The earliest accepted.
        timestamp_min: Timestamp,
        /// The latest accepted.
        timestamp_max: Timestamp,
    },

    // ---- Kafka answers UNSUPPORTED_COMPRESSION_TYPE.
    /// A codec that is not (yet) part of the format.
    #[error("unknown compression codec {codec}")]
    UnknownCompression {
        /// 5, 6 or 7.
        codec: i16,
    },

    // ---- Never from `validate_from_client`.
    /// The records cannot be read before they are decompressed.
    #[error("the records are compressed")]
    Compressed,
}

/// What is wrong with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The record, or something in it, reaches past the end of what holds it.
    #[error("{needed_bytes} bytes needed, {available_bytes} available")]
    Truncated {
        /// By a length or a fixed field.
        needed_bytes: usize,
        /// In the record, or in the batch.
        available_bytes: usize,
    },
    /// A variable-length integer that does not fit its type.
    #[error("variable-length integer of more than {bits} bits")]
    Varint {
        /// Of its type.
        bits: u32,
    },
    /// A negative length where there is no null.
    #[error("negative length {length}")]
    NegativeLength {
        /// As found.
        length: i32,
    },
    /// Negative, or more headers than bytes are left for.
    #[error("{count} headers in {available_bytes} bytes")]
    HeadersCount {
        /// As found.
        count: i32,
        /// For all of them.
        available_bytes: usize,
    },
    /// The fields do not fill the declared length.
    #[error("{extra_bytes} bytes after the last field")]
    TrailingBytes {
        /// Left over.
        extra_bytes: usize,
    },
    /// Records must count from 0 without gaps.
    #[error("offset delta {offset_delta}")]
    OffsetDelta {
        /// As found; the record's index is what it should be.
        offset_delta: i32,
    },
    /// A compacted topic cannot tell records without a key apart.
    #[error("no key, which a compacted topic requires")]
    KeyMissing,
}
