//! Reading a log: from memory at once, from segments with a wait.

mod cold;
mod epoch;
mod time;
pub(super) mod window;

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use model::Offset;
use runtime::File;

use super::tail::{BatchPlace, Place};
use super::{Log, State};
use crate::error::ReadError;

pub use cold::ColdRead;
use cold::FirstPart;
pub(super) use cold::{ProvenEpochs, Remembered};
pub use epoch::EpochEnd;
pub use time::Found;

/// What is asked of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// The first offset that is wanted. The answer begins with the batch that holds it.
    pub offset: Offset,
    /// Not more bytes than this.
    pub bytes_max: usize,
    /// No batch at or beyond this offset; between two batches.
    pub up_to: Offset,
    /// The first batch is wanted even if it is larger than `bytes_max`.
    pub at_least_one_batch: bool,
}

/// A run of whole batches, or the end of one that a file's slice cuts.
#[derive(Clone, Debug)]
pub enum Slice {
    /// In memory.
    Memory(Bytes),
    /// In the page cache.
    File(FileSlice),
}

impl Slice {
    /// Its size.
    pub fn size_bytes(&self) -> usize {
        match self {
            Slice::Memory(bytes) => bytes.len(),
            Slice::File(slice) => slice.size_bytes,
        }
    }
}

/// A range of a sealed segment that was in the page cache when it was read. May be sent by any core.
#[derive(Clone, Debug)]
pub struct FileSlice {
    /// The segment.
    pub file: Arc<File>,
    /// From where.
    pub position: u64,
    /// How much.
    pub size_bytes: usize,
}

/// What a read yields at once.
#[derive(Debug)]
pub enum ReadOutcome {
    /// The bytes, in order; nothing if there is nothing below `up_to`.
    Ready(Vec<Slice>),
    /// They are on disk: [`ColdRead::run`] reads them.
    Cold(ColdRead),
}

/// Where the batches that answer a request stand.
struct Range {
    from: Place,
    to: u64,
    /// Of the first batch.
    base_offset: Offset,
}

impl Log {
    /// Reads whole batches from an offset on, within one segment.
    pub fn read(self: &Rc<Log>, request: &ReadRequest) -> Result<ReadOutcome, ReadError> {
        let state = self.state.borrow();
        let (log_start, log_end) = (state.log_start, state.end.offset);
        let requested = request.offset;
        if requested < log_start || log_end < requested {
            return Err(ReadError::OutOfRange { requested, log_start, log_end });
        }
        if request.up_to.min(log_end) <= requested {
            return Ok(ReadOutcome::Ready(Vec::new()));
        }
        let Some(range) = state.range_in_tail(request) else {
            drop(state);
            return Ok(ReadOutcome::Cold(ColdRead::new(self.clone(), *request, None)));
        };
        if range.to <= range.from.position {
            return Ok(ReadOutcome::Ready(Vec::new()));
        }
        let Place { segment, position } = range.from;
        let in_memory = state.tail.start_in(segment).expect("the batch ends in memory");
        let memory = state.tail.share(segment, position.max(in_memory), range.to);
        let memory = memory.into_iter().map(Slice::Memory).collect();
        if in_memory <= position {
            return Ok(ReadOutcome::Ready(memory));
        }
        // The batch begins on disk, in a chunk that memory has forgotten, and ends in memory.
        drop(state);
        let Range { from, base_offset, .. } = range;
        let first_part = FirstPart { from, to: in_memory, base_offset, memory };
        Ok(ReadOutcome::Cold(ColdRead::new(self.clone(), *request, Some(first_part))))
    }
}

impl State {
    /// The batches that answer a request, if the first of them is noted in the tail. Empty if the
    /// first is too large.
    fn range_in_tail(&self, request: &ReadRequest) -> Option<Range> {
        let batches = self.tail.batches();
        let first = self.tail.find(request.offset)?;
        let BatchPlace { base_offset, place: from } = batches[first];
        // A batch ends where the next one of its segment begins.
        let same_segment =
            |index: usize| batches.get(index).filter(|batch| batch.place.segment == from.segment);
        let end_of = |index: usize| match same_segment(index + 1) {
            Some(next) => next.place.position,
            None => self.segment(from.segment).expect("it has a batch").end(),
        };
        let next_offset_of =
            |index: usize| batches.get(index + 1).map_or(self.end.offset, |next| next.base_offset);
        let fits = |index: usize| {
            next_offset_of(index) <= request.up_to
                && end_of(index) - from.position <= request.bytes_max as u64
        };
        // The last batch that still fits, by bisection: both conditions fail for good.
        let (mut fitting, mut beyond) = (first, batches.len());
        if !fits(first) {
            let whole = request.at_least_one_batch && next_offset_of(first) <= request.up_to;
            let to = if whole { end_of(first) } else { from.position };
            return Some(Range { from, to, base_offset });
        }
        while fitting + 1 < beyond {
            let middle = fitting.midpoint(beyond);
            if same_segment(middle).is_some() && fits(middle) {
                fitting = middle;
            } else {
                beyond = middle;
            }
        }
        Some(Range { from, to: end_of(fitting), base_offset })
    }
}
