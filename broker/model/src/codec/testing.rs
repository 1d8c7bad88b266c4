//! What clients send: the encoders of other libraries, in every way in which they are used; and
//! bytes for them.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::encode;
use crate::record_batch::Compression;

/// How a client may have written something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoder {
    Plain,
    Gzip,
    SnappyBare,
    SnappyXerial,
    /// As the Java client does: blocks of 64 KiB without checksums.
    Lz4,
    /// Everything that the frame may say.
    Lz4Checked,
    Zstd,
}

pub(crate) const ENCODERS: [Encoder; 7] = [
    Encoder::Plain,
    Encoder::Gzip,
    Encoder::SnappyBare,
    Encoder::SnappyXerial,
    Encoder::Lz4,
    Encoder::Lz4Checked,
    Encoder::Zstd,
];

impl Encoder {
    pub(crate) fn compression(self) -> Compression {
        match self {
            Encoder::Plain => Compression::None,
            Encoder::Gzip => Compression::Gzip,
            Encoder::SnappyBare | Encoder::SnappyXerial => Compression::Snappy,
            Encoder::Lz4 | Encoder::Lz4Checked => Compression::Lz4,
            Encoder::Zstd => Compression::Zstd,
        }
    }

    pub(crate) fn encode(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Encoder::Plain => bytes.to_vec(),
            Encoder::Gzip | Encoder::SnappyXerial | Encoder::Zstd => {
                encode(bytes, self.compression(), None)
            }
            Encoder::SnappyBare => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            Encoder::Lz4 => lz4(bytes, FrameInfo::new().block_size(BlockSize::Max64KB)),
            Encoder::Lz4Checked => {
                let info = FrameInfo::new()
                    .block_size(BlockSize::Max4MB)
                    .block_checksums(true)
                    .content_checksum(true)
                    .content_size(Some(bytes.len() as u64));
                lz4(bytes, info)
            }
        }
    }
}

/// The framing of the xerial library: a magic, its version twice, and blocks after their sizes.
pub(crate) fn xerial(bytes: &[u8], block_bytes: usize) -> Vec<u8> {
    let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in bytes.chunks(block_bytes) {
        let block = Encoder::SnappyBare.encode(block);
        out.extend(i32::try_from(block.len()).unwrap().to_be_bytes());
        out.extend(block);
    }
    out
}

pub(crate) fn lz4(bytes: &[u8], info: FrameInfo) -> Vec<u8> {
    let info = info.block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8], level: i32) -> Vec<u8> {
    encode(bytes, Compression::Zstd, Some(level))
}

/// Text that repeats itself near and far, runs, and noise.
pub(crate) fn mixed(size_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut state = 1_u32;
    while out.len() < size_bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match state >> 30 {
            0 => out.extend(std::iter::repeat_n(
                state.to_le_bytes()[1],
                (state >> 20 & 0x3ff) as usize,
            )),
            1 => out.extend(format!("order {} of customer {}; ", state >> 16, state >> 24).bytes()),
            2 => out.extend(state.to_be_bytes()),
            _ => {
                let from = (state >> 4) as usize % (out.len() + 1);
                let to = out.len().min(from + 300);
                out.extend_from_within(from..to);
            }
        }
    }
    out.truncate(size_bytes);
    out
}
