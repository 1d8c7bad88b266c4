//! Gzip (RFC 1952), one member after another as `GZIPInputStream` reads them.

use flate2::{Decompress, FlushDecompress, Status};

use super::{CodecError, INPUT_PIECE_BYTES};
use crate::record_batch::Compression;

/// Not less than the window of 32 KiB, tables of 9 KiB and the state take together.
pub(super) const MEMORY_BYTES: usize = 64 << 10;

/// The largest window that there is, as everybody uses it.
const WINDOW_BITS: u8 = 15;

/// Every member begins with memory that has to be cleared, so they may not be much smaller than
/// that, but for so many.
const MEMBERS_FREE: usize = 8;
const MEMBER_BYTES_MIN: usize = 1 << 10;

pub(super) struct Gzip {
    member: Decompress,
    members_count: usize,
    consumed_bytes: usize,
    is_at_end: bool,
}

fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { compression: Compression::Gzip, what }
}

impl Gzip {
    pub(super) fn new() -> Gzip {
        Gzip {
            member: Decompress::new_gzip(WINDOW_BITS),
            members_count: 1,
            consumed_bytes: 0,
            is_at_end: false,
        }
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
            self.begin_member()?;
        }
        let piece = &input[..input.len().min(INPUT_PIECE_BYTES)];
        let (in_before, out_before) = (self.member.total_in(), self.member.total_out());
        let status = self.member.decompress(piece, out, FlushDecompress::None);
        let status = status.map_err(|_| corrupt("no member of a gzip file"))?;
        let moved = |after: u64, before: u64| {
            usize::try_from(after - before).expect("not more than it was given")
        };
        let consumed_bytes = moved(self.member.total_in(), in_before);
        self.consumed_bytes += consumed_bytes;
        *input = &input[consumed_bytes..];
        self.is_at_end = match status {
            Status::StreamEnd => true,
            // No progress; the caller sees that.
            Status::Ok | Status::BufError => false,
        };
        Ok(moved(self.member.total_out(), out_before))
    }

    fn begin_member(&mut self) -> Result<(), CodecError> {
        if MEMBERS_FREE + self.consumed_bytes / MEMBER_BYTES_MIN <= self.members_count {
            return Err(corrupt("a crowd of small members"));
        }
        self.member = Decompress::new_gzip(WINDOW_BITS);
        self.members_count += 1;
        Ok(())
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }
}
