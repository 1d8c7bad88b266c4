//! Gzip (RFC 1952), one member after another as `GZIPInputStream` reads them.

use flate2::{Decompress, FlushDecompress, Status};

use super::{CodecError, INPUT_PIECE_BYTES};
use crate::record_batch::Compression;

/// Not less than the window of 32 KiB, tables of 9 KiB and the state take together.
pub(super) const MEMORY_BYTES: usize = 64 << 10;

/// The largest window that there is, as everybody uses it.
const WINDOW_BITS: u8 = 15;

pub(super) struct Gzip {
    member: Decompress,
    is_at_end: bool,
}

impl Gzip {
    pub(super) fn new() -> Gzip {
        Gzip { member: Decompress::new_gzip(WINDOW_BITS), is_at_end: false }
    }

    pub(super) fn decode(
        &mut self,
        input: &mut &[u8],
        out: &mut [u8],
    ) -> Result<usize, CodecError> {
        if self.is_at_end {
            if input.is_empty() {
                return Ok(0);
            }
            *self = Gzip::new();
        }
        let piece = &input[..input.len().min(INPUT_PIECE_BYTES)];
        let (in_before, out_before) = (self.member.total_in(), self.member.total_out());
        let status = self.member.decompress(piece, out, FlushDecompress::None);
        let status = status.map_err(|_| CodecError::Corrupt {
            compression: Compression::Gzip,
            what: "no member of a gzip file",
        })?;
        let moved = |after: u64, before: u64| {
            usize::try_from(after - before).expect("not more than it was given")
        };
        *input = &input[moved(self.member.total_in(), in_before)..];
        self.is_at_end = match status {
            Status::StreamEnd => true,
            // No progress; the caller sees that.
            Status::Ok | Status::BufError => false,
        };
        Ok(moved(self.member.total_out(), out_before))
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }
}
