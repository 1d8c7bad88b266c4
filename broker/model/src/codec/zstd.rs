//! Zstandard (RFC 8878), one frame after another, by the library of its authors.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name, get_frame_content_size};

use super::{CodecError, INPUT_PIECE_BYTES};
use crate::record_batch::Compression;

/// The window that RFC 8878 asks every decoder to have. A frame that needs a larger one, as those of
/// the levels 20 to 22 say when their size is not known, is refused.
pub const WINDOW_BYTES_MAX: usize = 1 << WINDOW_LOG_MAX;
const WINDOW_LOG_MAX: u32 = 23;

pub(super) struct Zstd {
    context: DCtx<'static>,
    frame: Option<Frame>,
    is_at_end: bool,
}

/// A frame that has begun.
struct Frame {
    content_size_bytes: Option<u64>,
    produced_bytes: u64,
}

fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { compression: Compression::Zstd, what }
}

impl Zstd {
    pub(super) fn new() -> Zstd {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
            .expect("it is within the library's range");
        Zstd { context, frame: None, is_at_end: false }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.context.sizeof()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    pub(super) fn decode(
        &mut self,
        input: &mut &[u8],
        out: &mut [u8],
    ) -> Result<usize, CodecError> {
        if self.is_at_end && input.is_empty() {
            return Ok(0);
        }
        let frame = self.frame.get_or_insert_with(|| Frame {
            // What is no frame at all, the library says better.
            content_size_bytes: get_frame_content_size(input).unwrap_or(None),
            produced_bytes: 0,
        });
        let piece = &input[..input.len().min(INPUT_PIECE_BYTES)];
        let mut from = InBuffer::around(piece);
        let mut to = OutBuffer::around(out);
        let hint = self.context.decompress_stream(&mut to, &mut from);
        let hint = hint.map_err(|code| corrupt(get_error_name(code)))?;
        frame.produced_bytes += to.pos() as u64;
        // Asked for nothing more: the frame has ended, and all of it is out.
        self.is_at_end = hint == 0;
        if self.is_at_end {
            // The library does not compare when the last block is empty and the output small.
            if frame.content_size_bytes.is_some_and(|size| size != frame.produced_bytes) {
                return Err(corrupt("the content has not the size that the frame says"));
            }
            self.frame = None;
        }
        *input = &input[from.pos()..];
        Ok(to.pos())
    }
}
