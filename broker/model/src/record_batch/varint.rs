//! Variable-length integers of the record format: zig-zag, then 7 bits a byte, lowest first.
//!
//! Guarantees: reads what any encoder wrote, also with more bytes than needed, as Kafka does;
//! refuses what does not fit the type. Does not know: what the numbers mean.

use super::RecordFault;

/// Reads an `i32` off the front of `bytes`.
pub(super) fn read_i32(bytes: &mut &[u8]) -> Result<i32, RecordFault> {
    let zigzag = read_unsigned::<{ i32::BITS }>(bytes)?;
    let zigzag = u32::try_from(zigzag).expect("read_unsigned keeps to 32 bits");
    Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

/// Reads an `i64` off the front of `bytes`.
pub(super) fn read_i64(bytes: &mut &[u8]) -> Result<i64, RecordFault> {
    let zigzag = read_unsigned::<{ i64::BITS }>(bytes)?;
    Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

/// Writes what [`read_i32`] and [`read_i64`] read.
pub(super) fn write(out: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// How many bytes [`write`] takes for `value`.
pub(super) fn size_bytes(value: i64) -> usize {
    let bits = u64::BITS - (zigzag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Small numbers of either sign become small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn read_unsigned<const BITS: u32>(bytes: &mut &[u8]) -> Result<u64, RecordFault> {
    let mut value = 0;
    let mut shift = 0;
    loop {
        let Some((&byte, rest)) = bytes.split_first() else {
            return Err(RecordFault::Truncated { needed_bytes: 1, available_bytes: 0 });
        };
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        // The last byte may hold only what is left of the type.
        if BITS < shift + 7 && (bits >> (BITS - shift)) != 0 {
            return Err(RecordFault::Varint { bits: BITS });
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
        shift += 7;
        if BITS <= shift {
            return Err(RecordFault::Varint { bits: BITS });
        }
    }
}

#[cfg(test)]
mod tests;
