//! Standard input, line by line.

use std::time::Duration;

use anyhow::{anyhow, bail};
use bytes::{Bytes, BytesMut};
use runtime::{StandardInput, TimedOut, timeout, wall_clock_ms};

const READ_BYTES: usize = 64 << 10;
/// No broker takes nearly as much, and it has to be in memory.
const LINE_BYTES_MAX: usize = 64 << 20;

/// A record to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    pub(super) key: Option<Bytes>,
    pub(super) value: Bytes,
    pub(super) read_at_ms: i64,
}

impl Line {
    /// About what it takes in a batch.
    pub(super) fn size_bytes(&self) -> usize {
        const AROUND_BYTES: usize = 24;
        self.key.as_ref().map_or(0, Bytes::len) + self.value.len() + AROUND_BYTES
    }
}

/// Lines as they come.
pub(super) struct Lines {
    input: StandardInput,
    separator: Option<String>,
    /// What was read last.
    piece: Vec<u8>,
    /// Read, and not yet a whole line.
    rest: BytesMut,
    /// Where in `rest` no end of a line has been looked for.
    looked_at: usize,
    count: u64,
    is_at_end: bool,
}

impl Lines {
    pub(super) fn new(input: StandardInput, separator: Option<String>) -> Lines {
        Lines {
            input,
            separator,
            piece: vec![0; READ_BYTES],
            rest: BytesMut::new(),
            looked_at: 0,
            count: 0,
            is_at_end: false,
        }
    }

    /// Waits for a line, and takes those that come with it, up to about so many bytes. None is the
    /// end.
    pub(super) async fn next_round(
        &mut self,
        size_bytes_max: usize,
        linger: Duration,
    ) -> anyhow::Result<Vec<Line>> {
        let mut lines = Vec::new();
        let mut size_bytes = 0;
        while !self.is_at_end && size_bytes < size_bytes_max {
            if !lines.is_empty() {
                match timeout(linger, self.input.readable()).await {
                    Ok(readable) => readable.map_err(cannot_read)?,
                    Err(TimedOut) => break,
                }
            }
            let count = self.input.read(&mut self.piece).await.map_err(cannot_read)?;
            self.rest.extend_from_slice(&self.piece[..count]);
            let read_at_ms = wall_clock_ms();
            while let Some(end) = self.rest[self.looked_at..].iter().position(|it| *it == b'\n') {
                let line = self.rest.split_to(self.looked_at + end + 1).freeze();
                self.looked_at = 0;
                lines.push(self.line(line.slice(..line.len() - 1), read_at_ms));
                size_bytes += line.len();
            }
            self.looked_at = self.rest.len();
            self.is_at_end = count == 0;
            // The last line may lack its end.
            if self.is_at_end && !self.rest.is_empty() {
                let line = self.rest.split().freeze();
                lines.push(self.line(line, read_at_ms));
            }
            if LINE_BYTES_MAX < self.rest.len() {
                let number = self.count + 1;
                bail!(
                    "line {number} is longer than {LINE_BYTES_MAX} bytes: a line is a record, and \
                     none may be so large; nothing after line {} is sent",
                    self.count - lines.len() as u64
                );
            }
        }
        Ok(lines)
    }

    fn line(&mut self, line: Bytes, read_at_ms: i64) -> Line {
        self.count += 1;
        let separator = self.separator.as_deref().map(str::as_bytes);
        let split = separator.and_then(|separator| {
            let at = line.windows(separator.len()).position(|it| it == separator)?;
            Some((line.slice(..at), line.slice(at + separator.len()..)))
        });
        let (key, value) = match split {
            Some((key, value)) => (Some(key), value),
            None => (None, line),
        };
        Line { number: self.count, key, value, read_at_ms }
    }
}

fn cannot_read(error: std::io::Error) -> anyhow::Error {
    anyhow!("cannot read standard input: {error}")
}
