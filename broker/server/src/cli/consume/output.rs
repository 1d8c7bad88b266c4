//! Standard output, in large pieces.

use std::io::{ErrorKind, Write};

use anyhow::anyhow;

const PIECE_BYTES: usize = 64 << 10;

/// Whoever read it has had enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// What has not been written yet.
#[derive(Debug)]
pub(super) struct Output {
    buffer: Vec<u8>,
}

impl Output {
    pub(super) fn new() -> Output {
        Output { buffer: Vec::with_capacity(2 * PIECE_BYTES) }
    }

    /// To be appended to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(super) fn flush_if_full(&mut self) -> anyhow::Result<Result<(), Closed>> {
        if self.buffer.len() < PIECE_BYTES { Ok(Ok(())) } else { self.flush() }
    }

    /// Writes all of it. Waits for whoever reads it, and everything else waits as well.
    pub(super) fn flush(&mut self) -> anyhow::Result<Result<(), Closed>> {
        if self.buffer.is_empty() {
            return Ok(Ok(()));
        }
        let mut out = std::io::stdout().lock();
        let written = out.write_all(&self.buffer).and_then(|()| out.flush());
        self.buffer.clear();
        match written {
            Ok(()) => Ok(Ok(())),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Err(Closed)),
            Err(error) => Err(anyhow!("cannot write to standard output: {error}")),
        }
    }
}
