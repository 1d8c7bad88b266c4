//! The records of an uncompressed batch, read where they lie.
//!
//! ```text
//! length │ attributes (unused) │ timestamp delta │ offset delta │ key length │ key │
//! value length │ value │ headers count │ { key length │ key │ value length │ value } ...
//! ```
//! Every number is a zig-zag varint except the attributes, one byte. A length of -1 is null.
//!
//! Guarantees: nothing is copied or allocated; a record that is handed out has been read to its
//! end, headers included. Does not know: what is allowed in a record, only how it is written.

use super::{
    BatchError, BatchHeader, Compression, HEADER_SIZE_BYTES, RecordFault, varint, whole_batch,
};
use crate::Timestamp;

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset, counted from the batch's base offset.
    pub offset_delta: i32,
    /// The producer's, or when the batch was appended if its timestamp type says so.
    pub timestamp: Timestamp,
    /// What partitioning and compaction go by.
    pub key: Option<&'a [u8]>,
    /// None is a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Of the application.
    pub headers: RecordHeaders<'a>,
}

/// One header of a record. Its key is text, but Kafka does not check that, so neither do we.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// May repeat within a record.
    pub key: &'a [u8],
    /// May be absent.
    pub value: Option<&'a [u8]>,
}

/// The records of one uncompressed batch, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    base_timestamp: Timestamp,
    log_append_time: Option<Timestamp>,
    records_count: i32,
    next_index: i32,
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    /// Of the batch that `bytes` begin with. Does not check the CRC.
    pub fn read(bytes: &'a [u8]) -> Result<Records<'a>, BatchError> {
        let header = BatchHeader::read(bytes)?;
        if header.compression()? != Compression::None {
            return Err(BatchError::Compressed);
        }
        let batch = whole_batch(&header, bytes)?;
        Ok(Records::of(&header, &batch[HEADER_SIZE_BYTES..]))
    }

    /// Of a batch whose records, decompressed, are these bytes.
    pub fn of(header: &BatchHeader, bytes: &'a [u8]) -> Records<'a> {
        Records {
            base_timestamp: header.base_timestamp,
            log_append_time: header.log_append_time(),
            records_count: header.records_count,
            next_index: 0,
            bytes,
        }
    }

    /// What has not been handed out.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    fn read_next(&mut self) -> Result<Record<'a>, RecordFault> {
        let length = varint::read_i32(&mut self.bytes)?;
        let body = take(&mut self.bytes, not_negative(length)?)?;
        read_body(body, self.base_timestamp, self.log_append_time)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.records_count <= self.next_index {
            let extra_bytes = std::mem::take(&mut self.bytes).len();
            let records_count = self.records_count;
            return (extra_bytes != 0)
                .then_some(Err(BatchError::TrailingRecords { records_count, extra_bytes }));
        }
        let index = self.next_index;
        self.next_index += 1;
        Some(self.read_next().map_err(|fault| {
            self.next_index = self.records_count;
            self.bytes = &[];
            BatchError::Record { index, fault }
        }))
    }
}

impl std::iter::FusedIterator for Records<'_> {}

/// The headers of one record, in order. They have been checked when the record was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeaders<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Iterator for RecordHeaders<'a> {
    type Item = RecordHeader<'a>;

    fn next(&mut self) -> Option<RecordHeader<'a>> {
        self.count = self.count.checked_sub(1)?;
        Some(read_header(&mut self.bytes).expect("the headers were read once with their record"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for RecordHeaders<'_> {}

fn read_body<'a>(
    mut body: &'a [u8],
    base_timestamp: Timestamp,
    log_append_time: Option<Timestamp>,
) -> Result<Record<'a>, RecordFault> {
    take(&mut body, 1)?;
    // Wraps as Kafka's arithmetic does: the sum is the producer's affair, not the format's.
    let created = Timestamp(base_timestamp.0.wrapping_add(varint::read_i64(&mut body)?));
    let offset_delta = varint::read_i32(&mut body)?;
    let key = read_nullable(&mut body)?;
    let value = read_nullable(&mut body)?;
    let headers = read_headers(body)?;
    Ok(Record { offset_delta, timestamp: log_append_time.unwrap_or(created), key, value, headers })
}

/// Reads headers up to the end of their record.
fn read_headers(mut bytes: &[u8]) -> Result<RecordHeaders<'_>, RecordFault> {
    let count_signed = varint::read_i32(&mut bytes)?;
    let count = usize::try_from(count_signed)
        .ok()
        .filter(|&count| count <= bytes.len())
        .ok_or(RecordFault::HeadersCount { count: count_signed, available_bytes: bytes.len() })?;
    let headers = RecordHeaders { count, bytes };
    for _ in 0..count {
        read_header(&mut bytes)?;
    }
    if !bytes.is_empty() {
        return Err(RecordFault::TrailingBytes { extra_bytes: bytes.len() });
    }
    Ok(headers)
}

fn read_header<'a>(bytes: &mut &'a [u8]) -> Result<RecordHeader<'a>, RecordFault> {
    let key_length = varint::read_i32(bytes)?;
    let key = take(bytes, not_negative(key_length)?)?;
    Ok(RecordHeader { key, value: read_nullable(bytes)? })
}

fn read_nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordFault> {
    match varint::read_i32(bytes)? {
        // Kafka takes every negative length for null.
        ..0 => Ok(None),
        length => take(bytes, not_negative(length)?).map(Some),
    }
}

fn not_negative(length: i32) -> Result<usize, RecordFault> {
    usize::try_from(length).map_err(|_| RecordFault::NegativeLength { length })
}

/// Splits `size_bytes` off the front of `bytes`.
fn take<'a>(bytes: &mut &'a [u8], size_bytes: usize) -> Result<&'a [u8], RecordFault> {
    let (taken, rest) = bytes
        .split_at_checked(size_bytes)
        .ok_or(RecordFault::Truncated { needed_bytes: size_bytes, available_bytes: bytes.len() })?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests;
