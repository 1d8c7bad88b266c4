//! Ending segments by their age, and what a log would lose by its age and its size.
//!
//! Whoever owns the log decides; a later start is an entry (C4), and files go with the checkpoint
//! after it (4.7).

use std::rc::Rc;

use model::{Offset, Timestamp};

use super::segment::{Segment, SegmentName};
use super::tail::{Ordinal, Place, next_ordinal};
use super::{Log, State, whole_file};
use crate::error::ReadError;

/// When a segment ends by its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentAge {
    /// Before a batch whose time is so much later than that of the first, in milliseconds.
    pub max_ms: i64,
    /// Less by up to so much, by chance, so that not all logs end theirs at once.
    pub jitter_ms: i64,
}

impl SegmentAge {
    /// No segment ends by its age.
    pub const ANY: SegmentAge = SegmentAge { max_ms: i64::MAX, jitter_ms: 0 };
}

/// A log without the segments that are too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Where it would begin.
    pub start: Offset,
    /// The latest time in the segment there, or one that is not earlier than the horizon.
    pub next_latest: Option<Timestamp>,
}

impl Log {
    /// Ends the segment that takes the appends, if there is anything in it. The next batch begins
    /// another one.
    pub fn roll(&self) {
        self.roll_in(&mut self.state.borrow_mut());
    }

    pub(super) fn roll_in(&self, state: &mut State) {
        let segment = state.segments.back().expect("a log has a segment");
        if segment.end() == 0 {
            return;
        }
        let ordinal = next_ordinal(segment.ordinal);
        let mut next = Segment::new(ordinal, state.end.offset, state.end.count);
        let SegmentAge { max_ms, jitter_ms } = self.options.get().segment_age;
        if let Ok(jitter_max @ 1..) = u64::try_from(jitter_ms.min(max_ms)) {
            let jitter_ms = runtime::with_rng(|rng| rng.below(jitter_max));
            next.jitter_ms = i64::try_from(jitter_ms).expect("below an i64");
        }
        state.segments.push_back(next);
        state.end.place = Place { segment: ordinal, position: 0 };
    }

    /// Ends the segment if a batch with this time comes too long after its first one. In the same
    /// step as the admission of that batch, and before it. Batches without a time end nothing.
    pub fn roll_before(&self, max_timestamp: Timestamp) {
        let mut state = self.state.borrow_mut();
        let segment = state.segments.back().expect("a log has a segment");
        let Some(first) = segment.first_timestamp.filter(|first| Timestamp(0) <= *first) else {
            return;
        };
        let age_max_ms = self.options.get().segment_age.max_ms.saturating_sub(segment.jitter_ms);
        if age_max_ms < max_timestamp.0.saturating_sub(first.0) {
            self.roll_in(&mut state);
        }
    }

    /// Finds the time of the first batch of a segment that was begun before a restart. What cannot
    /// be read ends by its size only.
    pub(super) async fn load_first_timestamp(self: &Rc<Log>, ordinal: Ordinal) {
        let is_unknown =
            |segment: &Segment| segment.first_timestamp.is_none() && 0 < segment.readable_bytes();
        if !self.state.borrow().segment(ordinal).is_some_and(is_unknown) {
            return;
        }
        let first = self.first_timestamp(ordinal).await.ok().flatten();
        if let Some(segment) = self.state.borrow_mut().segment_mut(ordinal) {
            segment.first_timestamp.get_or_insert(first.unwrap_or(Timestamp::NONE));
        }
    }

    /// The log without its oldest segments in which every record is earlier than the horizon. A
    /// segment without times is kept, and so is what is not committed.
    pub async fn start_by_time(self: &Rc<Log>, horizon: Timestamp) -> Result<Expired, ReadError> {
        let mut expired = Expired { start: self.ends().log_start, next_latest: None };
        let mut next = self.state.borrow().kept_segments().next().map(|segment| segment.ordinal);
        while let Some(ordinal) = next {
            let latest = self.latest_time(ordinal, horizon).await?;
            let Some(latest) = latest.filter(|latest| Timestamp(0) <= *latest) else { break };
            let state = self.state.borrow();
            match state.committed_end_of(ordinal) {
                Some(end) if latest < horizon => expired.start = expired.start.max(end),
                _ => {
                    expired.next_latest = Some(latest);
                    break;
                }
            }
            next = state.segment_after(ordinal).map(|segment| segment.ordinal);
        }
        Ok(expired)
    }

    /// The offset at which the log would begin without as many of its oldest segments as can go
    /// while at least so many bytes stay.
    pub async fn start_by_size(self: &Rc<Log>, bytes_min: u64) -> Result<Offset, ReadError> {
        let size_bytes = self.size_bytes().await?;
        let state = self.state.borrow();
        let mut start = state.log_start;
        let mut excess_bytes = size_bytes.saturating_sub(bytes_min);
        for segment in state.kept_segments() {
            let segment_bytes = segment.end_bytes.unwrap_or(0);
            let end = state.committed_end_of(segment.ordinal);
            let (Some(end), 1..=u64::MAX) = (end, segment_bytes) else { break };
            let Some(left_bytes) = excess_bytes.checked_sub(segment_bytes) else { break };
            (start, excess_bytes) = (start.max(end), left_bytes);
        }
        Ok(start)
    }

    /// Bytes of the log's batches, in segments and to be written to them. Without those that are
    /// only waiting to be removed.
    pub async fn size_bytes(&self) -> Result<u64, ReadError> {
        loop {
            let unknown = {
                let state = self.state.borrow();
                let mut kept = state.kept_segments();
                let unknown = kept.find(|segment| segment.end_bytes.is_none());
                match unknown.map(|segment| (segment.ordinal, segment.name())) {
                    Some(unknown) => unknown,
                    None => {
                        let sizes = state.kept_segments().filter_map(|segment| segment.end_bytes);
                        return Ok(sizes.sum());
                    }
                }
            };
            let (ordinal, name) = unknown;
            let path = name.log_path(&self.directory);
            let size = whole_file::size_bytes(&path).await;
            let mut state = self.state.borrow_mut();
            // It may have been removed meanwhile.
            let Some(segment) = state.segment_mut(ordinal) else { continue };
            segment.note_size(size.map_err(|source| ReadError::Io { path, source })?);
        }
    }

    /// The latest time in a segment; of one whose batches are not all known, any that is not earlier
    /// than the horizon will do. None of an empty one.
    pub(super) async fn latest_time(
        self: &Rc<Log>,
        ordinal: Ordinal,
        horizon: Timestamp,
    ) -> Result<Option<Timestamp>, ReadError> {
        let (name, is_sealed) = {
            let state = self.state.borrow();
            let Some(segment) = state.segment(ordinal) else { return Ok(None) };
            let known = segment.index.max_timestamp.map(|(latest, _)| latest);
            if segment.indexed_from == 0 || known.is_some_and(|known| horizon <= known) {
                return Ok(known);
            }
            if segment.latest_timestamp.is_some() {
                return Ok(segment.latest_timestamp);
            }
            (segment.name(), segment.is_sealed)
        };
        let kept = match is_sealed {
            true => self.read_latest_time(name).await,
            false => None,
        };
        if kept.is_none() {
            self.load_index(ordinal).await?;
        }
        let mut state = self.state.borrow_mut();
        let Some(segment) = state.segment_mut(ordinal) else { return Ok(None) };
        if kept.is_some() {
            segment.latest_timestamp = kept;
            return Ok(kept);
        }
        Ok(segment.index.max_timestamp.map(|(latest, _)| latest))
    }

    /// From the index beside a sealed segment, which is not kept in memory for this alone.
    async fn read_latest_time(&self, name: SegmentName) -> Option<Timestamp> {
        let size_bytes = whole_file::size_bytes(&name.log_path(&self.directory)).await.ok()?;
        let index = self.read_index(name, size_bytes).await?;
        index.max_timestamp.map(|(latest, _)| latest)
    }
}

impl State {
    /// Segments that hold anything at or after the log's start.
    pub(super) fn kept_segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| self.log_start < self.end_of(segment))
    }

    pub(super) fn end_of(&self, segment: &Segment) -> Offset {
        self.segment_after(segment.ordinal).map_or(self.end.offset, |next| next.base_offset)
    }

    /// The offset after a segment's last record, if that is committed.
    fn committed_end_of(&self, ordinal: Ordinal) -> Option<Offset> {
        let end = self.end_of(self.segment(ordinal)?);
        (end <= self.committed.offset).then_some(end)
    }
}
