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
use crate::codec::Encoder;

/// Encoded at a time.
const PIECE_BYTES: usize = 16 << 10;

/// A batch that is being thinned out.
pub struct Thinning {
    attributes: i16,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
    records_count: i32,
    /// Those that stay, and how much of them is encoded.
    records: Vec<u8>,
    encoded_bytes: usize,
    encoder: Option<Encoder>,
}

impl Thinning {
    /// Of a batch of which only some records are to stay: `records` are all of them, decompressed, and
    /// `kept` the places in these bytes of runs of whole records, in order. A delete horizon takes the
    /// place of the time that the records' times are counted from (KIP-534).
    pub fn begin(
        batch: &[u8],
        records: &[u8],
        kept: &[Range<usize>],
        delete_horizon: Option<Timestamp>,
    ) -> Result<Thinning, BatchError> {
        let header = BatchHeader::read(batch)?;
        let base_timestamp = delete_horizon.unwrap_or(header.base_timestamp);
        let mut left = Vec::with_capacity(records.len());
        let mut max_timestamp = Timestamp::NONE;
        let mut records_count = 0;
        for range in kept {
            let mut rest = &records[range.clone()];
            while !rest.is_empty() {
                let index = records_count;
                let timestamp = copy_record(&mut rest, &mut left, &header, base_timestamp)
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
        let out = batch[..HEADER_SIZE_BYTES].to_vec();
        let encoder = Encoder::new(header.compression()?, None, left.len(), out);
        Ok(Thinning {
            attributes,
            base_timestamp,
            max_timestamp,
            records_count,
            records: left,
            encoded_bytes: 0,
            encoder: Some(encoder),
        })
    }

    /// The highest time of the records that stay.
    pub fn max_timestamp(&self) -> Timestamp {
        self.max_timestamp
    }

    /// Encodes a piece of the records. The batch when it was the last one; after that it must not go on.
    pub fn step(&mut self) -> Option<Vec<u8>> {
        let rest = &self.records[self.encoded_bytes..];
        let mut encoder = self.encoder.take().expect("there is more to do");
        if PIECE_BYTES < rest.len() {
            encoder.encode(&rest[..PIECE_BYTES]);
            self.encoded_bytes += PIECE_BYTES;
            self.encoder = Some(encoder);
            return None;
        }
        let mut batch = encoder.finish(rest);
        let length = i32::try_from(batch.len() - PREFIX_SIZE_BYTES);
        let length = length.expect("what stays of a batch is hardly larger than the batch");
        put(&mut batch, POSITION_OF_LENGTH, length.to_be_bytes());
        put(&mut batch, POSITION_OF_ATTRIBUTES, self.attributes.to_be_bytes());
        put(&mut batch, POSITION_OF_BASE_TIMESTAMP, self.base_timestamp.0.to_be_bytes());
        put(&mut batch, POSITION_OF_MAX_TIMESTAMP, self.max_timestamp.0.to_be_bytes());
        put(&mut batch, POSITION_OF_RECORDS_COUNT, self.records_count.to_be_bytes());
        update_crc(&mut batch);
        Some(batch)
    }
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
