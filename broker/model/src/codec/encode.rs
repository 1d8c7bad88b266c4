//! Encoders: what Kafka's own clients write.
//!
//! Time and memory for 1 MiB of JSON in pieces of 16 KiB, as measured on a core that others used
//! too (`cargo bench -p model --bench walk`, group `encode-1024-KiB`):
//!
//! | codec | in all | longest piece | memory |
//! |---|---|---|---|
//! | gzip 1, 6, 9 | 2, 14, 19 ms | 0.03, 0.3, 0.5 ms | 400 KiB at most |
//! | snappy, lz4 | 1 ms | 0.03, 0.06 ms | 64, 80 KiB |
//! | zstd 3, 5 | 3, 6 ms | 0.3, 0.7 ms, for a block of 128 KiB | 2.5, 4.3 MiB |
//! | zstd 6, 9, 12, 15 | 8, 17, 24, 52 ms | 0.2, 0.4, 0.6, 1.5 ms | 4.3, 12, 12, 18 MiB |
//! | zstd 19, 22 | 390, 350 ms | 7 ms | 19 MiB |
//!
//! Guarantees: what is encoded is decoded to the very bytes that it was, within the memory that the
//! decoders allow themselves; the memory does not grow with what is encoded. Does not know: records,
//! and from which version of a request on a codec may be used.

use flate2::{Compress, FlushCompress, Status};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use crate::record_batch::Compression;

/// Kafka's spelling of gzip's usual level, which is 6.
const GZIP_LEVEL_USUAL: i32 = -1;
/// The largest window that there is, as everybody uses it.
const GZIP_WINDOW_BITS: u8 = 15;
/// Not less than its window, tables and pending output take together.
const GZIP_MEMORY_BYTES: usize = 400 << 10;

/// Before the blocks of snappy: a magic and the format's version, twice.
const XERIAL_HEADER: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const XERIAL_BLOCK_BYTES: usize = 32 << 10;
const SNAPPY_TABLE_BYTES: usize = 32 << 10;

/// A magic; independent blocks of up to 64 KiB and no checksums; the checksum of that.
const LZ4_HEADER: &[u8; 7] = b"\x04\x22\x4d\x18\x60\x40\x82";
const LZ4_BLOCK_BYTES: usize = 64 << 10;
const LZ4_TABLE_BYTES: usize = 16 << 10;
/// In the length of a block: it is stored as it is.
const LZ4_STORED: u32 = 1 << 31;
/// In the place of a block's length.
const LZ4_END: u32 = 0;

const ZSTD_LEVEL_USUAL: i32 = 3;
/// From here on a block of 128 KiB takes a millisecond and more, so that what has come is encoded with
/// every piece.
const ZSTD_LEVEL_SLOW: i32 = 6;
/// Of those levels: tables grow with the window, up to a hundred times of it, and so would what a
/// decoder must have.
const ZSTD_WINDOW_LOG_OF_SLOW: u32 = 20;

/// By which the output grows.
const GROWTH_BYTES: usize = 16 << 10;
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
    Encoder::new(compression, level, records.len(), Vec::new()).finish(records)
}

/// The same, a piece at a time.
pub struct Encoder {
    codec: Codec,
    out: Vec<u8>,
}

enum Codec {
    Plain,
    Gzip(Compress),
    Snappy { encoder: Box<snap::raw::Encoder>, block: Vec<u8> },
    Lz4 { table: CompressTable, block: Vec<u8> },
    Zstd { context: CCtx<'static>, is_slow: bool },
}

impl Encoder {
    /// Of so many bytes, which go behind what is in `out`.
    ///
    /// # Panics
    /// If gzip has no such level.
    pub fn new(
        compression: Compression,
        level: Option<i32>,
        size_bytes: usize,
        mut out: Vec<u8>,
    ) -> Encoder {
        let codec = match compression {
            Compression::None => {
                out.reserve_exact(size_bytes);
                Codec::Plain
            }
            Compression::Gzip => Codec::Gzip(gzip(level.unwrap_or(GZIP_LEVEL_USUAL))),
            Compression::Snappy => {
                out.extend(XERIAL_HEADER);
                Codec::Snappy { encoder: Box::new(snap::raw::Encoder::new()), block: Vec::new() }
            }
            Compression::Lz4 => {
                out.extend(LZ4_HEADER);
                Codec::Lz4 { table: CompressTable::default(), block: Vec::new() }
            }
            Compression::Zstd => {
                let level = level.unwrap_or(ZSTD_LEVEL_USUAL);
                let is_slow = ZSTD_LEVEL_SLOW <= level;
                Codec::Zstd { context: zstd(level, size_bytes), is_slow }
            }
        };
        Encoder { codec, out }
    }

    /// Bytes in the output so far; more may follow without more input.
    pub fn out_bytes(&self) -> usize {
        self.out.len()
    }

    /// Memory that the encoder has taken, without the output.
    pub fn memory_bytes(&self) -> usize {
        match &self.codec {
            Codec::Plain => 0,
            Codec::Gzip(_) => GZIP_MEMORY_BYTES,
            Codec::Snappy { block, .. } => SNAPPY_TABLE_BYTES + block.capacity(),
            Codec::Lz4 { block, .. } => LZ4_TABLE_BYTES + block.capacity(),
            Codec::Zstd { context, .. } => context.sizeof(),
        }
    }

    /// Encodes the next piece.
    pub fn encode(&mut self, piece: &[u8]) {
        let out = &mut self.out;
        match &mut self.codec {
            Codec::Plain => out.extend_from_slice(piece),
            Codec::Gzip(compress) => deflate(compress, piece, out, FlushCompress::None),
            Codec::Snappy { encoder, block } => {
                let snappy = |block: &[u8]| snappy_block(encoder, block, out);
                in_blocks(block, piece, XERIAL_BLOCK_BYTES, snappy);
            }
            Codec::Lz4 { table, block } => {
                in_blocks(block, piece, LZ4_BLOCK_BYTES, |block| lz4_block(table, block, out));
            }
            Codec::Zstd { context, is_slow } => {
                let flush = match is_slow {
                    true => ZSTD_EndDirective::ZSTD_e_flush,
                    false => ZSTD_EndDirective::ZSTD_e_continue,
                };
                zstd_piece(context, piece, out, flush);
            }
        }
    }

    /// Encodes the last piece, and returns the whole output.
    ///
    /// # Panics
    /// If there were more or fewer bytes than was said.
    pub fn finish(mut self, last: &[u8]) -> Vec<u8> {
        let out = &mut self.out;
        match &mut self.codec {
            Codec::Plain => out.extend_from_slice(last),
            Codec::Gzip(compress) => deflate(compress, last, out, FlushCompress::Finish),
            Codec::Snappy { encoder, block } => {
                let mut snappy = |block: &[u8]| snappy_block(encoder, block, out);
                in_blocks(block, last, XERIAL_BLOCK_BYTES, &mut snappy);
                if !block.is_empty() {
                    snappy(block);
                }
            }
            Codec::Lz4 { table, block } => {
                let mut lz4 = |block: &[u8]| lz4_block(table, block, out);
                in_blocks(block, last, LZ4_BLOCK_BYTES, &mut lz4);
                if !block.is_empty() {
                    lz4(block);
                }
                out.extend(LZ4_END.to_le_bytes());
            }
            Codec::Zstd { context, .. } => {
                // With so much room, what was not begun before is encoded without another copy.
                out.reserve(zstd_safe::compress_bound(last.len()));
                zstd_piece(context, last, out, ZSTD_EndDirective::ZSTD_e_end);
            }
        }
        self.out
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoder({} bytes so far)", self.out.len())
    }
}

fn gzip(level: i32) -> Compress {
    let level = match level {
        GZIP_LEVEL_USUAL => flate2::Compression::default(),
        level => {
            assert!((1..=9).contains(&level), "gzip has no level {level}");
            flate2::Compression::new(level.unsigned_abs())
        }
    };
    Compress::new_gzip(level, GZIP_WINDOW_BITS)
}

fn deflate(compress: &mut Compress, mut piece: &[u8], out: &mut Vec<u8>, flush: FlushCompress) {
    loop {
        out.reserve(GROWTH_BYTES);
        let before = compress.total_in();
        let status = compress.compress_vec(piece, out, flush).expect(HAS_ROOM);
        let taken = usize::try_from(compress.total_in() - before).expect("of the piece");
        piece = &piece[taken..];
        let is_done = match (flush, status) {
            (FlushCompress::None, _) => piece.is_empty(),
            (_, Status::StreamEnd) => true,
            (_, Status::Ok | Status::BufError) => false,
        };
        if is_done {
            return;
        }
    }
}

/// Hands out whole blocks, and keeps what is left over.
fn in_blocks(
    block: &mut Vec<u8>,
    mut piece: &[u8],
    block_bytes: usize,
    mut encode: impl FnMut(&[u8]),
) {
    while block_bytes <= block.len() + piece.len() {
        let (now, rest) = piece.split_at(block_bytes - block.len());
        piece = rest;
        if block.is_empty() {
            encode(now);
        } else {
            block.extend_from_slice(now);
            encode(block);
            block.clear();
        }
    }
    block.extend_from_slice(piece);
}

fn snappy_block(encoder: &mut snap::raw::Encoder, block: &[u8], out: &mut Vec<u8>) {
    let compressed = encoder.compress_vec(block).expect(HAS_ROOM);
    let length = i32::try_from(compressed.len()).expect("a block is short");
    out.extend(length.to_be_bytes());
    out.extend(compressed);
}

fn lz4_block(table: &mut CompressTable, block: &[u8], out: &mut Vec<u8>) {
    let mut compressed = vec![0; get_maximum_output_size(block.len())];
    let size_bytes = compress_into_with_table(block, &mut compressed, table).expect(HAS_ROOM);
    let (stored, bytes) = match size_bytes < block.len() {
        true => (0, &compressed[..size_bytes]),
        false => (LZ4_STORED, block),
    };
    let length = u32::try_from(bytes.len()).expect("a block is short");
    out.extend((length | stored).to_le_bytes());
    out.extend(bytes);
}

fn zstd(level: i32, size_bytes: usize) -> CCtx<'static> {
    let mut context = CCtx::create();
    let mut set = |parameter| context.set_parameter(parameter).expect("it is within the range");
    set(CParameter::CompressionLevel(level));
    if ZSTD_LEVEL_SLOW <= level {
        set(CParameter::WindowLog(ZSTD_WINDOW_LOG_OF_SLOW));
    }
    // Tables are made for so much, and the frame says it.
    context.set_pledged_src_size(Some(size_bytes as u64)).expect("nothing has begun");
    context
}

fn zstd_piece(
    context: &mut CCtx<'static>,
    piece: &[u8],
    out: &mut Vec<u8>,
    flush: ZSTD_EndDirective,
) {
    let mut from = InBuffer::around(piece);
    loop {
        out.reserve(GROWTH_BYTES);
        let filled = out.len();
        let mut to = OutBuffer::around_pos(out, filled);
        let left = context.compress_stream2(&mut to, &mut from, flush);
        let left = left.expect("there are as many bytes as was said");
        let is_out = left == 0 || matches!(flush, ZSTD_EndDirective::ZSTD_e_continue);
        if is_out && from.pos() == piece.len() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
