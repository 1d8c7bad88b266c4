//! Encoders: what Kafka's own clients write.
//!
//! Guarantees: what is encoded is decoded to the very bytes that it was, within the memory that the
//! decoders allow themselves. Does not know: records, and from which version of a request on a
//! codec may be used.

use flate2::{Compress, FlushCompress, Status};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use zstd_safe::{CCtx, CParameter};

use super::zstd::WINDOW_LOG_MAX;
use crate::record_batch::Compression;

/// Kafka's spelling of gzip's usual level, which is 6.
const GZIP_LEVEL_USUAL: i32 = -1;
/// The largest window that there is, as everybody uses it.
const GZIP_WINDOW_BITS: u8 = 15;
/// By which the output grows.
const GZIP_GROWTH_BYTES: usize = 16 << 10;

/// Before the blocks of snappy: a magic and the format's version, twice.
const XERIAL_HEADER: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

/// A magic; independent blocks of up to 64 KiB and no checksums; the checksum of that.
const LZ4_HEADER: &[u8; 7] = b"\x04\x22\x4d\x18\x60\x40\x82";
const LZ4_BLOCK_BYTES: usize = 64 << 10;
/// In the length of a block: it is stored as it is.
const LZ4_STORED: u32 = 1 << 31;
/// In the place of a block's length.
const LZ4_END: u32 = 0;

const ZSTD_LEVEL_USUAL: i32 = 3;
/// From here on, windows are larger than decoders must have.
const ZSTD_LEVEL_LARGE_WINDOW: i32 = 20;

const HAS_ROOM: &str = "an encoder that has room goes on";

/// The bytes of some records compressed: snappy in the framing of the xerial library, lz4 in
/// independent blocks of 64 KiB.
///
/// Without a level it is the codec's usual one: gzip 6, zstd 3. Gzip takes 1 to 9, or -1 for its
/// usual one; zstd -131072 to 22. The others have one level, whatever is said.
///
/// # Panics
/// If gzip has no such level.
pub fn encode(records: &[u8], compression: Compression, level: Option<i32>) -> Vec<u8> {
    match compression {
        Compression::None => records.to_vec(),
        Compression::Gzip => gzip(records, level.unwrap_or(GZIP_LEVEL_USUAL)),
        Compression::Snappy => snappy(records),
        Compression::Lz4 => lz4(records),
        Compression::Zstd => zstd(records, level.unwrap_or(ZSTD_LEVEL_USUAL)),
    }
}

fn gzip(mut records: &[u8], level: i32) -> Vec<u8> {
    let level = match level {
        GZIP_LEVEL_USUAL => flate2::Compression::default(),
        level => {
            assert!((1..=9).contains(&level), "gzip has no level {level}");
            flate2::Compression::new(level.unsigned_abs())
        }
    };
    let mut compress = Compress::new_gzip(level, GZIP_WINDOW_BITS);
    let mut out = Vec::new();
    loop {
        out.reserve(GZIP_GROWTH_BYTES);
        let before = compress.total_in();
        let status = compress.compress_vec(records, &mut out, FlushCompress::Finish);
        let taken = usize::try_from(compress.total_in() - before).expect("of the records");
        records = &records[taken..];
        match status.expect(HAS_ROOM) {
            Status::StreamEnd => return out,
            Status::Ok | Status::BufError => {}
        }
    }
}

fn snappy(records: &[u8]) -> Vec<u8> {
    let mut out = XERIAL_HEADER.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK_BYTES) {
        let block = encoder.compress_vec(block).expect(HAS_ROOM);
        let length = i32::try_from(block.len()).expect("a block is short");
        out.extend(length.to_be_bytes());
        out.extend(block);
    }
    out
}

fn lz4(records: &[u8]) -> Vec<u8> {
    let mut out = LZ4_HEADER.to_vec();
    let mut table = CompressTable::default();
    let mut compressed = vec![0; get_maximum_output_size(LZ4_BLOCK_BYTES.min(records.len()))];
    for block in records.chunks(LZ4_BLOCK_BYTES) {
        let size_bytes =
            compress_into_with_table(block, &mut compressed, &mut table).expect(HAS_ROOM);
        let (stored, bytes) = match size_bytes < block.len() {
            true => (0, &compressed[..size_bytes]),
            false => (LZ4_STORED, block),
        };
        let length = u32::try_from(bytes.len()).expect("a block is short");
        out.extend((length | stored).to_le_bytes());
        out.extend(bytes);
    }
    out.extend(LZ4_END.to_le_bytes());
    out
}

fn zstd(records: &[u8], level: i32) -> Vec<u8> {
    let mut context = CCtx::create();
    let mut set = |parameter| context.set_parameter(parameter).expect("it is within the range");
    set(CParameter::CompressionLevel(level));
    if ZSTD_LEVEL_LARGE_WINDOW <= level {
        set(CParameter::WindowLog(WINDOW_LOG_MAX));
    }
    let mut out = vec![0; zstd_safe::compress_bound(records.len())];
    let size_bytes = context.compress2(&mut out[..], records).expect(HAS_ROOM);
    out.truncate(size_bytes);
    out
}

#[cfg(test)]
mod tests;
