//! Writes batches, for clients and for the broker's own topics.
//!
//! Guarantees: the size is known before every push and is exact; what comes out passes
//! [`validate_from_client`](super::validate_from_client) unless its stamp is wrong. Does not know:
//! compression, offsets, when a batch is due.

use super::stamp::{put, update_crc};
use super::{
    ATTRIBUTE_CONTROL, ATTRIBUTE_TRANSACTIONAL, HEADER_SIZE_BYTES, MAGIC, POSITION_OF_ATTRIBUTES,
    POSITION_OF_BASE_SEQUENCE, POSITION_OF_BASE_TIMESTAMP, POSITION_OF_LAST_OFFSET_DELTA,
    POSITION_OF_LEADER_EPOCH, POSITION_OF_LENGTH, POSITION_OF_MAGIC, POSITION_OF_MAX_TIMESTAMP,
    POSITION_OF_PRODUCER_EPOCH, POSITION_OF_PRODUCER_ID, POSITION_OF_RECORDS_COUNT,
    PREFIX_SIZE_BYTES, RecordHeader, varint,
};
use crate::{LeaderEpoch, ProducerEpoch, ProducerId, Timestamp};

/// A record to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRecord<'a> {
    /// When it was created, or [`Timestamp::NONE`].
    pub timestamp: Timestamp,
    /// What partitioning and compaction go by.
    pub key: Option<&'a [u8]>,
    /// None is a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Of the application.
    pub headers: &'a [RecordHeader<'a>],
}

/// What the whole batch says of its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStamp {
    /// Who sends it.
    pub producer_id: ProducerId,
    /// Its session.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record.
    pub base_sequence: i32,
    /// Whether it belongs to a transaction.
    pub is_transactional: bool,
    /// Whether it holds markers; only a broker may send them.
    pub is_control: bool,
}

impl ProducerStamp {
    /// A producer without idempotence.
    pub const NONE: ProducerStamp = ProducerStamp {
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: -1,
        is_transactional: false,
        is_control: false,
    };
}

/// One batch being written, uncompressed.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    /// Room for the header, then the records.
    bytes: Vec<u8>,
    records_count: i32,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
}

impl BatchBuilder {
    /// The largest batch that its length can tell.
    pub const SIZE_BYTES_MAX: usize = PREFIX_SIZE_BYTES + i32::MAX as usize;

    /// An empty batch in a new buffer.
    pub fn new() -> BatchBuilder {
        BatchBuilder::reusing(Vec::new())
    }

    /// An empty batch in the memory of `buffer`, for example of a batch that has been sent.
    pub fn reusing(mut buffer: Vec<u8>) -> BatchBuilder {
        buffer.clear();
        buffer.resize(HEADER_SIZE_BYTES, 0);
        BatchBuilder {
            bytes: buffer,
            records_count: 0,
            base_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp::NONE,
        }
    }

    /// Size of the batch if it were finished now.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Size of the batch if `record` were pushed and it were finished then.
    pub fn size_bytes_with(&self, record: &NewRecord<'_>) -> usize {
        let body_size_bytes = self.body_size_bytes(record);
        self.size_bytes() + size_of_length(body_size_bytes) + body_size_bytes
    }

    /// How many records have been pushed.
    pub fn records_count(&self) -> i32 {
        self.records_count
    }

    /// Whether there is nothing to finish.
    pub fn is_empty(&self) -> bool {
        self.records_count == 0
    }

    /// Appends a record.
    ///
    /// # Panics
    /// If the batch would exceed [`Self::SIZE_BYTES_MAX`]. Callers keep to limits far below.
    pub fn push(&mut self, record: &NewRecord<'_>) {
        let body_size_bytes = self.body_size_bytes(record);
        let size_bytes = self.size_bytes() + size_of_length(body_size_bytes) + body_size_bytes;
        assert!(size_bytes <= Self::SIZE_BYTES_MAX, "a batch of {size_bytes} bytes is too large");
        let NewRecord { timestamp, key, value, headers } = *record;
        let timestamp_delta = self.timestamp_delta(timestamp);
        self.bytes.reserve(size_bytes - self.bytes.len());
        put_length(&mut self.bytes, body_size_bytes);
        self.bytes.push(0);
        varint::write(&mut self.bytes, timestamp_delta);
        varint::write(&mut self.bytes, i64::from(self.records_count));
        put_nullable(&mut self.bytes, key);
        put_nullable(&mut self.bytes, value);
        put_length(&mut self.bytes, headers.len());
        for header in headers {
            put_nullable(&mut self.bytes, Some(header.key));
            put_nullable(&mut self.bytes, header.value);
        }
        assert_eq!(self.bytes.len(), size_bytes, "a batch grows by what was announced");
        if self.is_empty() {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.records_count += 1;
    }

    /// The finished batch, with base offset 0 and no leader epoch, as a producer sends it.
    ///
    /// # Panics
    /// If nothing was pushed: there is no batch without records.
    pub fn finish(self, stamp: ProducerStamp) -> Vec<u8> {
        assert!(!self.is_empty(), "a batch holds at least one record");
        let mut batch = self.bytes;
        let length = i32::try_from(batch.len() - PREFIX_SIZE_BYTES).expect("push keeps to it");
        let mut attributes = 0;
        if stamp.is_transactional {
            attributes |= ATTRIBUTE_TRANSACTIONAL;
        }
        if stamp.is_control {
            attributes |= ATTRIBUTE_CONTROL;
        }
        // The base offset is 0 already.
        put(&mut batch, POSITION_OF_LENGTH, length.to_be_bytes());
        put(&mut batch, POSITION_OF_LEADER_EPOCH, LeaderEpoch::NONE.0.to_be_bytes());
        put(&mut batch, POSITION_OF_MAGIC, MAGIC.to_be_bytes());
        put(&mut batch, POSITION_OF_ATTRIBUTES, attributes.to_be_bytes());
        put(&mut batch, POSITION_OF_LAST_OFFSET_DELTA, (self.records_count - 1).to_be_bytes());
        put(&mut batch, POSITION_OF_BASE_TIMESTAMP, self.base_timestamp.0.to_be_bytes());
        put(&mut batch, POSITION_OF_MAX_TIMESTAMP, self.max_timestamp.0.to_be_bytes());
        put(&mut batch, POSITION_OF_PRODUCER_ID, stamp.producer_id.0.to_be_bytes());
        put(&mut batch, POSITION_OF_PRODUCER_EPOCH, stamp.producer_epoch.0.to_be_bytes());
        put(&mut batch, POSITION_OF_BASE_SEQUENCE, stamp.base_sequence.to_be_bytes());
        put(&mut batch, POSITION_OF_RECORDS_COUNT, self.records_count.to_be_bytes());
        update_crc(&mut batch);
        batch
    }

    /// Size of the record without its own length.
    fn body_size_bytes(&self, record: &NewRecord<'_>) -> usize {
        let attributes = 1;
        let headers = record
            .headers
            .iter()
            .map(|header| size_of_nullable(Some(header.key)) + size_of_nullable(header.value));
        attributes
            + varint::size_bytes(self.timestamp_delta(record.timestamp))
            + varint::size_bytes(i64::from(self.records_count))
            + size_of_nullable(record.key)
            + size_of_nullable(record.value)
            + size_of_length(record.headers.len())
            + headers.sum::<usize>()
    }

    /// Counted from the first record's timestamp. Wraps, as reading does.
    fn timestamp_delta(&self, timestamp: Timestamp) -> i64 {
        if self.is_empty() { 0 } else { timestamp.0.wrapping_sub(self.base_timestamp.0) }
    }
}

impl Default for BatchBuilder {
    fn default() -> BatchBuilder {
        BatchBuilder::new()
    }
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::write(out, -1),
        Some(bytes) => {
            put_length(out, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

fn size_of_nullable(bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => varint::size_bytes(-1),
        Some(bytes) => size_of_length(bytes.len()) + bytes.len(),
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    varint::write(out, length_of(length));
}

fn size_of_length(length: usize) -> usize {
    varint::size_bytes(length_of(length))
}

fn length_of(length: usize) -> i64 {
    i64::try_from(length).expect("nothing in memory is longer")
}

#[cfg(test)]
mod tests;
