//! What is written into a batch that is whole: in place, or around other bytes of its records.
//!
//! Guarantees: changes the named fields and, where they are covered, the CRC; nothing else. Takes
//! exactly one batch, validated before, and panics on anything shorter: that would be our own bug.
//! Does not know: which offset or time is right.

use super::{
    ATTRIBUTE_COMPRESSION_MASK, ATTRIBUTE_LOG_APPEND_TIME, BatchHeader, Compression,
    HEADER_SIZE_BYTES, POSITION_OF_ATTRIBUTES, POSITION_OF_BASE_OFFSET, POSITION_OF_CRC,
    POSITION_OF_LEADER_EPOCH, POSITION_OF_LENGTH, POSITION_OF_MAX_TIMESTAMP, PREFIX_SIZE_BYTES,
    crc_of, field,
};
use crate::{LeaderEpoch, Offset, Timestamp};

/// Gives the batch its place in the log. Outside the CRC.
pub fn assign(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    put(batch, POSITION_OF_BASE_OFFSET, base_offset.0.to_be_bytes());
    put(batch, POSITION_OF_LEADER_EPOCH, leader_epoch.0.to_be_bytes());
}

/// Corrects the batch's highest timestamp, which not every producer sets right. Inside the CRC.
pub fn set_max_timestamp(batch: &mut [u8], max_timestamp: Timestamp) {
    assert_is_one_batch(batch);
    put(batch, POSITION_OF_MAX_TIMESTAMP, max_timestamp.0.to_be_bytes());
    update_crc(batch);
}

/// Makes `now` the timestamp of all records. Their own remain in the bytes, unused. Inside the CRC.
pub fn set_log_append_time(batch: &mut [u8], now: Timestamp) {
    assert_is_one_batch(batch);
    let attributes = i16::from_be_bytes(field(batch, POSITION_OF_ATTRIBUTES));
    let attributes = attributes | ATTRIBUTE_LOG_APPEND_TIME;
    put(batch, POSITION_OF_ATTRIBUTES, attributes.to_be_bytes());
    put(batch, POSITION_OF_MAX_TIMESTAMP, now.0.to_be_bytes());
    update_crc(batch);
}

/// The batch with these bytes in the place of its records, said to be compressed so. Whether they
/// are is the caller's affair. Everything else is kept, and the CRC made right.
///
/// # Panics
/// If `batch` has no whole header, or the new one would be longer than a batch can be.
pub fn with_records(batch: &[u8], compression: Compression, records: &[u8]) -> Vec<u8> {
    let mut out = [&batch[..HEADER_SIZE_BYTES], records].concat();
    set_compression(&mut out, compression);
    out
}

/// Makes length, codec and CRC right for the bytes behind the header.
pub(super) fn set_compression(batch: &mut [u8], compression: Compression) {
    let length = i32::try_from(batch.len() - PREFIX_SIZE_BYTES).expect("batches are far smaller");
    put(batch, POSITION_OF_LENGTH, length.to_be_bytes());
    let attributes = i16::from_be_bytes(field(batch, POSITION_OF_ATTRIBUTES));
    let attributes = attributes & !ATTRIBUTE_COMPRESSION_MASK | compression as i16;
    put(batch, POSITION_OF_ATTRIBUTES, attributes.to_be_bytes());
    update_crc(batch);
}

/// Makes the CRC right for the bytes as they are.
pub(super) fn update_crc(batch: &mut [u8]) {
    let crc = crc_of(batch);
    put(batch, POSITION_OF_CRC, crc.to_be_bytes());
}

/// Overwrites the field of `N` bytes at `position`.
pub(super) fn put<const N: usize>(batch: &mut [u8], position: usize, bytes: [u8; N]) {
    batch[position..position + N].copy_from_slice(&bytes);
}

/// The CRC runs to the end of the slice, so a slice of another size would be given a wrong one.
fn assert_is_one_batch(batch: &[u8]) {
    let header = BatchHeader::read(batch).expect("a batch is validated before it is stamped");
    assert_eq!(header.size_bytes(), batch.len(), "stamping takes exactly one batch");
}

#[cfg(test)]
mod tests;
