//! The restart point of a log, as a base frame: what a carry consists of.
//!
//! The numbers in parentheses are the rules of `FORMAT.md`.

use std::io;
use std::rc::Rc;

use model::Offset;
use runtime::sim::{PlantedBug, has_bug};
use runtime::{AlignedBuf, BLOCK_SIZE_BYTES};

use super::tail::Place;
use super::{Log, Point, RecoveredLog, State, Switching};
use crate::Durability;
use crate::format::entry::{Entry, EntryKind};
use crate::format::frame::{BASE_SIZE_BYTES, Base, FRAME_SIZE_BYTES, Frame, pad, room_bytes};
use crate::journal::Note;

/// Frames of a carry go here, with whom to tell when they are complete.
pub(crate) type PushFrame<'a> = dyn FnMut(&Frame, &[&[u8]], Option<Note>) + 'a;

/// The longest membership that is carried.
pub(crate) const MEMBERSHIP_BYTES_MAX: usize = 256;

/// What the carry of an idle partition takes at most: its base with less than a block of tail, and
/// its vote.
pub(crate) const IDLE_CARRY_BYTES_MAX: usize =
    room_bytes(BASE_SIZE_BYTES + MEMBERSHIP_BYTES_MAX + BLOCK_SIZE_BYTES) + FRAME_SIZE_BYTES;

/// What a base on the medium says, as far as others rely on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToldByBase {
    pub(crate) log_start: Offset,
    /// The segment that is being written.
    segment: Offset,
    /// The first record of `entries` that a start may read.
    needed_entries: u64,
}

/// What an entry adds to a carry as long as it is not flushed to segments and `entries`.
pub(super) fn late_bytes(entry: &Entry) -> usize {
    room_bytes(entry.size_bytes as usize)
}

impl Log {
    /// Raises the base number and pushes the complete restart point with it, from memory as it is
    /// now, and the vote (rule 4.4). Frames that follow carry the new number (W4).
    pub(crate) fn push_base(self: &Rc<Log>, push: &mut PushFrame<'_>, scratch: &mut AlignedBuf) {
        let mut state = self.state.borrow_mut();
        // C3: the highest number wins, so once another core has the log, this one's never rises.
        if !state.has_moved {
            state.base_number += 1;
        }
        let base_number = state.base_number;
        self.encode_base(&state, base_number, scratch);
        let frame = Frame::base(self.partition, base_number, scratch.len());
        push(&frame, &[&scratch[..]], Some(Note::Base { log: self.clone(), base_number }));
        let vote = state.vote;
        let note = Note::Vote { log: self.clone(), leader_epoch: vote.leader_epoch };
        push(&Frame::vote(self.partition, base_number, &vote), &[], Some(note));
    }

    /// What the base says that has just been pushed, as far as others rely on it.
    pub(crate) fn told_by_base(&self) -> ToldByBase {
        let needed_entries = self.needed_entries();
        let state = self.state.borrow();
        ToldByBase {
            log_start: state.log_start,
            segment: state.first_unsealed().base_offset,
            needed_entries,
        }
    }

    /// The base is on the medium, and no earlier one counts any more: what it does not need goes (4.7).
    pub(crate) async fn release(self: &Rc<Log>, told: &ToldByBase) -> io::Result<()> {
        self.forget_entries_in_base();
        self.note_base_on_medium(told.segment, told.needed_entries);
        let removed_count = self.remove_segments_below(told.log_start).await?;
        if 0 < removed_count {
            self.purge_entries().await?;
        }
        self.remove_obsolete_applied().await
    }

    /// Writes the payload of the base frame into `into`.
    fn encode_base(&self, state: &State, base_number: u32, into: &mut AlignedBuf) {
        let restart = state.restart_point();
        let first_unsealed = state.first_unsealed();
        let flushed_bytes = first_unsealed.flushed_bytes;
        let tail_end = restart.place;
        assert_eq!(tail_end.segment, first_unsealed.ordinal, "the tail is in one segment");
        // A base names flushed lengths only, and whole blocks.
        assert!(flushed_bytes <= first_unsealed.written_bytes, "flushed was written");
        assert!(flushed_bytes.is_multiple_of(BLOCK_SIZE_BYTES as u64), "whole blocks");
        assert!(restart.count <= state.committed.count, "`entries` holds committed entries only");
        let tail = state.tail_from(flushed_bytes, tail_end);
        let tail_bytes: usize = tail.iter().map(|piece| piece.len()).sum();
        let end_count = match has_bug(PlantedBug::LoseCarriedTail) {
            true => restart.count,
            false => state.end.count,
        };
        let later = end_count - restart.count;
        let base = Base {
            entries_count: restart.count,
            committed_count: state.committed.count,
            applied_count: state.applied_count,
            next_offset: restart.offset.0,
            segment_base_offset: first_unsealed.base_offset.0,
            flushed_bytes,
            log_start: state.log_start.0,
            last_epoch: restart.epoch.0,
            membership_bytes: u32::try_from(state.membership.len()).expect("memberships are small"),
            tail_bytes: u32::try_from(tail_bytes).expect("bounded by a commit"),
            later_count: u32::try_from(later).expect("bounded by a commit"),
            has_stamps: state.has_stamps,
            is_durable: state.durability == Durability::Durable,
            is_doubtful: state.is_doubtful,
        };
        into.clear();
        base.encode(into);
        into.extend_from_slice(&state.membership);
        pad(into);
        for piece in tail {
            into.extend_from_slice(piece);
        }
        pad(into);
        let mut place = tail_end;
        for entry in self.recent_range(state, restart.count..end_count) {
            let payload = payload_of(state, &entry, &mut place);
            Frame::entry(self.partition, base_number, &entry).encode(&payload, into);
        }
    }

    /// Counts anew what a carry would hold of this log beyond one block.
    pub(super) fn recount_late_bytes(&self, state: &mut State) {
        let restart = state.restart_point();
        let flushed_bytes = state.first_unsealed().flushed_bytes;
        let tail_bytes = usize::try_from(restart.place.position.saturating_sub(flushed_bytes))
            .expect("tails are in memory");
        let entries = self.recent_range(state, restart.count..state.end.count);
        let late_bytes = entries.map(|entry| late_bytes(&entry)).sum::<usize>()
            + tail_bytes.saturating_sub(BLOCK_SIZE_BYTES);
        // No carry holds a log that has left.
        let late_bytes = if state.has_left { 0 } else { late_bytes };
        self.shared.note_late_bytes(state.late_bytes, late_bytes);
        state.late_bytes = late_bytes;
    }

    /// The carry is complete: entries below its restart point are never needed in memory again.
    pub(super) fn forget_entries_in_base(&self) {
        let mut state = self.state.borrow_mut();
        let restart = state.restart_point();
        while state.recent_from < restart.count {
            state.recent.pop_front();
            state.recent_from += 1;
        }
        state.recent_start = restart;
        let payloads = state.payloads.split_off(&restart.count);
        state.payloads = payloads;
    }

    /// The partition lives elsewhere from now on, or nowhere.
    pub(crate) fn push_left(self: &Rc<Log>) {
        let mut state = self.state.borrow_mut();
        assert!(!std::mem::replace(&mut state.has_left, true), "a partition leaves once");
        let frame = Frame::left(self.partition, state.base_number);
        // What the core counts of its logs must not count this one any more.
        self.recount_late_bytes(&mut state);
        self.account_tail(&mut state);
        self.count_uncommitted(&mut state, 0);
        drop(state);
        self.shared.journal.push(Durability::Durable, &frame, &[], None);
    }

    /// The log as plain data, as its next base would tell it.
    pub(crate) fn export(&self) -> RecoveredLog {
        let mut state = self.state.borrow_mut();
        state.has_moved = true;
        let mut payload = AlignedBuf::with_capacity(0);
        self.encode_base(&state, state.base_number, &mut payload);
        RecoveredLog::decode(self.partition, state.base_number, state.vote, &payload.freeze())
            .expect("just encoded")
    }

    /// No appends from now on, until the guard is dropped: the durability is about to change.
    pub(crate) fn begin_switching(self: &Rc<Log>) -> Draining {
        self.state.borrow_mut().switching = Switching::Draining;
        Draining(self.clone())
    }

    /// Appends go on at another level. A base frame must follow at once.
    pub(crate) fn finish_switching(&self, durability: Durability) {
        self.state.borrow_mut().durability = durability;
    }
}

/// While it is there, a log takes no appends.
pub(crate) struct Draining(Rc<Log>);

impl Drop for Draining {
    fn drop(&mut self) {
        self.0.state.borrow_mut().switching = Switching::No;
        self.0.shared.announce();
    }
}

impl State {
    pub(super) fn first_unsealed(&self) -> &super::Segment {
        let unsealed = self.segments.iter().find(|segment| !segment.is_sealed);
        unsealed.expect("the last segment is not sealed")
    }

    /// From where a recovery would go on: after the entries that are flushed in `entries`, but not
    /// beyond the segment whose bytes the base names.
    pub(super) fn restart_point(&self) -> Point {
        let first_unsealed = self.first_unsealed();
        let Some(next) = self.segment_after(first_unsealed.ordinal) else {
            return self.at_segment_start(self.entries_flushed);
        };
        let first_index = next.first_index.expect("begun by this process");
        if self.entries_flushed.count < first_index {
            return self.at_segment_start(self.entries_flushed);
        }
        let place = Place { segment: first_unsealed.ordinal, position: first_unsealed.end() };
        let last = self.recent.get(
            usize::try_from(first_index - 1 - self.recent_from.min(first_index - 1))
                .expect("recent entries are in memory"),
        );
        let epoch = match last {
            Some(last) if last.index.0 == first_index - 1 => last.leader_epoch,
            _ => self.recent_start.epoch,
        };
        Point { count: first_index, offset: next.base_offset, epoch, place }
    }

    /// A point at the end of a sealed segment is the same as at the start of the next.
    fn at_segment_start(&self, point: Point) -> Point {
        let first_unsealed = self.first_unsealed();
        if point.place.segment < first_unsealed.ordinal {
            let place = Place { segment: first_unsealed.ordinal, position: 0 };
            return Point { place, ..point };
        }
        point
    }

    /// The bytes of a segment from a position to a place in it.
    fn tail_from(&self, from: u64, to: Place) -> Vec<&[u8]> {
        if to.position <= from {
            assert_eq!(from, to.position, "flushed bytes belong to entries that are flushed, too");
            return Vec::new();
        }
        self.tail.borrow(to.segment, from, to.position)
    }
}

/// An entry's payload, from memory; moves the place behind it.
fn payload_of<'a>(state: &'a State, entry: &Entry, place: &mut Place) -> Vec<&'a [u8]> {
    match &entry.kind {
        EntryKind::Batch(stamp) => {
            let next = state.segment_after(place.segment);
            if let Some(next) = next.filter(|next| next.base_offset == stamp.base_offset) {
                *place = Place { segment: next.ordinal, position: 0 };
            }
            let start = place.position;
            place.position += u64::from(entry.size_bytes);
            state.tail.borrow(place.segment, start, place.position)
        }
        EntryKind::Membership => vec![&state.payloads[&entry.index.0]],
        EntryKind::Blank | EntryKind::Void | EntryKind::LogStart(_) => Vec::new(),
    }
}
