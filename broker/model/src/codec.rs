//! The codecs that a record batch may be compressed with: decoders and encoders, a piece at a time.
//!
//! Of a decoder the whole input is in memory; the output never is. Who decodes says how much it wants next and
//! may stop in between, so that a core is never busy for longer than a piece takes.
//!
//! Guarantees: no input makes a decoder panic; it hands out at most the bytes that it was allowed,
//! and a call without progress is an error, so every loop over it ends. What is decoded to the end
//! was whole: checksums and sizes that the format has are checked, and nothing follows.
//! Memory, whatever the input declares, with output in pieces of 64 KiB:
//!
//! | codec | at most |
//! |---|---|
//! | gzip | 64 KiB |
//! | snappy | [`SNAPPY_RATIO_MAX`] times the compressed block, as it may refer back to its beginning |
//! | lz4 | 256 KiB |
//! | zstd | [`ZSTD_WINDOW_BYTES_MAX`] and 512 KiB |
//!
//! Does not know: records.

mod encode;
mod gzip;
mod history;
mod lz4;
mod snappy;
mod zstd;

use crate::record_batch::Compression;

use gzip::Gzip;
use lz4::Lz4;
use snappy::Snappy;
use zstd::Zstd;

pub use encode::{Encoder, encode};
pub use snappy::RATIO_MAX as SNAPPY_RATIO_MAX;
pub use zstd::WINDOW_BYTES_MAX as ZSTD_WINDOW_BYTES_MAX;

/// Input that one call looks at: much input may yield no output.
const INPUT_PIECE_BYTES: usize = 64 << 10;

/// Why bytes cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Not what an encoder writes.
    #[error("{} data: {what}", compression.name())]
    Corrupt {
        /// Of the data.
        compression: Compression,
        /// In the words of whoever found it.
        what: &'static str,
    },
    /// The input ends before the data do.
    #[error("{} data are cut off", compression.name())]
    Truncated {
        /// Of the data.
        compression: Compression,
    },
    /// More comes out than is allowed.
    #[error("more than {limit_bytes} bytes after decompression")]
    TooLarge {
        /// What is allowed.
        limit_bytes: u64,
    },
}

/// What one call of [`Decoder::decode`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Of the input.
    pub consumed_bytes: usize,
    /// At the beginning of the output.
    pub produced_bytes: usize,
}

/// One input being decoded.
pub struct Decoder<'a> {
    rest: &'a [u8],
    codec: Codec,
    compression: Compression,
    limit_bytes: u64,
    produced_bytes: u64,
}

enum Codec {
    Plain,
    Gzip(Gzip),
    Snappy(Snappy),
    Lz4(Lz4),
    Zstd(Zstd),
}

impl<'a> Decoder<'a> {
    /// Of the whole `input`, from which at most so many bytes may come.
    pub fn new(compression: Compression, input: &'a [u8], limit_bytes: u64) -> Decoder<'a> {
        let codec = match compression {
            Compression::None => Codec::Plain,
            Compression::Gzip => Codec::Gzip(Gzip::new()),
            Compression::Snappy => Codec::Snappy(Snappy::new(limit_bytes)),
            Compression::Lz4 => Codec::Lz4(Lz4::new()),
            Compression::Zstd => Codec::Zstd(Zstd::new()),
        };
        Decoder { rest: input, codec, compression, limit_bytes, produced_bytes: 0 }
    }

    /// Decodes the next bytes to the beginning of `out`. There may be none although more follow.
    ///
    /// # Panics
    /// If `out` is empty: there would be no progress.
    pub fn decode(&mut self, out: &mut [u8]) -> Result<Decoded, CodecError> {
        assert!(!out.is_empty(), "a decoder is given room");
        let before_bytes = self.rest.len();
        let produced_bytes = match &mut self.codec {
            Codec::Plain => copy(&mut self.rest, out),
            Codec::Gzip(gzip) => gzip.decode(&mut self.rest, out)?,
            Codec::Snappy(snappy) => snappy.decode(&mut self.rest, out)?,
            Codec::Lz4(lz4) => lz4.decode(&mut self.rest, out)?,
            Codec::Zstd(zstd) => zstd.decode(&mut self.rest, out)?,
        };
        let consumed_bytes = before_bytes - self.rest.len();
        self.produced_bytes += produced_bytes as u64;
        if self.limit_bytes < self.produced_bytes {
            return Err(CodecError::TooLarge { limit_bytes: self.limit_bytes });
        }
        if consumed_bytes == 0 && produced_bytes == 0 && !self.is_finished() {
            return Err(CodecError::Truncated { compression: self.compression });
        }
        Ok(Decoded { consumed_bytes, produced_bytes })
    }

    /// How much has come out.
    pub fn produced_bytes(&self) -> u64 {
        self.produced_bytes
    }

    /// Whether everything has been decoded.
    pub fn is_finished(&self) -> bool {
        self.rest.is_empty()
            && match &self.codec {
                Codec::Plain => true,
                Codec::Gzip(gzip) => gzip.is_at_end(),
                Codec::Snappy(snappy) => snappy.is_at_end(),
                Codec::Lz4(lz4) => lz4.is_at_end(),
                Codec::Zstd(zstd) => zstd.is_at_end(),
            }
    }

    /// Memory that the decoder has taken.
    pub fn memory_bytes(&self) -> usize {
        match &self.codec {
            Codec::Plain => 0,
            Codec::Gzip(_) => gzip::MEMORY_BYTES,
            Codec::Snappy(snappy) => snappy.memory_bytes(),
            Codec::Lz4(lz4) => lz4.memory_bytes(),
            Codec::Zstd(zstd) => zstd.memory_bytes(),
        }
    }
}

impl std::fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Decoder { rest, compression, produced_bytes, .. } = self;
        write!(f, "Decoder({compression:?}, {} to go, {produced_bytes} came)", rest.len())
    }
}

/// Moves as much as fits.
fn copy(from: &mut &[u8], out: &mut [u8]) -> usize {
    let (copied, rest) = from.split_at(from.len().min(out.len()));
    out[..copied.len()].copy_from_slice(copied);
    *from = rest;
    copied.len()
}

/// Splits `N` bytes off the front, if there are so many.
fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*taken)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
