//! One partition's log.
//!
//! ```text
//!            log start        flushed to segments   committed      log end
//!                │                     │                │             │
//!   sealed ──────┼── segment being written ─────────────┼─────────────┤ entries, batches ▶
//!   segments     │                     │ in the tail's memory and the journal
//! ```
//!
//! Guarantees: entries are dense in index and batches dense in offset; what is reported as flushed
//! survives a crash, as the log's durability promises; segments hold committed batches only, byte
//! for byte; whatever a segment does not hold yet is in memory and in the journal.
//! Does not know: who leads, what a topic is, who reads. Lives on: the partition's owner core.

mod admission;
mod base;
pub(crate) mod compaction;
mod read;
mod records;
mod purge;
mod recovered;
mod retention;
mod scrub;
pub(crate) mod segment;
mod tail;
mod whole_file;
mod write;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;

use bytes::Bytes;
use model::record_batch::BatchHeader;
use model::{LeaderEpoch, LogIndex, Offset, TopicPartition};
use runtime::sync::budget::Budget;

use crate::Durability;
use crate::error::{AppendError, JournalStopped};
use crate::format::compacted::EpochEnds;
use crate::format::entry::{BatchStamp, Entry, EntryKind};
use crate::format::frame::{Frame, Vote};
use crate::journal::Note;
use crate::shared::Shared;
use compaction::Compacted;
use segment::Segment;
pub(crate) use tail::Ordinal;
use tail::{Place, Tail};

pub use admission::Admission;
pub(crate) use base::IDLE_CARRY_BYTES_MAX;
pub use compaction::{CompactionReport, CompactionRules, Dirtiness};
pub use read::{ColdRead, EpochEnd, FileSlice, Found, ReadOutcome, ReadRequest, Slice};
pub(crate) use recovered::OpenLog;
pub use recovered::{RecoveredApplied, RecoveredLog};
pub use retention::{Expired, SegmentAge};
pub(crate) use write::DELETED;

/// Bytes at the start of a batch that the broker writes: base offset, length, leader epoch.
const ASSIGNED_BYTES: usize = 16;

/// What the partition's owner decides about its log. May change while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment is sealed before a batch that would make it larger.
    pub segment_bytes_max: u64,
    /// And before one that comes too long after its first.
    pub segment_age: SegmentAge,
    /// Bytes between two points of a segment's index.
    pub index_interval_bytes: u64,
    /// The log is the only one of its partition: what is flushed is committed. Otherwise
    /// [`Log::commit`] says what is.
    pub is_alone: bool,
}

/// Hears of changes of a log. Called on the owner core, outside of any call into the log.
pub trait LogListener {
    /// More entries are flushed or committed than before.
    fn progressed(&self);
    /// The log will take no more appends: its journal has stopped.
    fn stopped(&self);
}

/// What replication has applied of a log, kept in a file so that a restart need not read the log.
pub trait AppliedState {
    /// The state after the first `count` entries, all of them committed.
    fn capture(&self) -> (u64, Bytes);
}

/// How far a log has come. Counts of entries, and the offsets that belong to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// The first offset that can be read.
    pub log_start: Offset,
    /// Entries that the log has.
    pub end_count: u64,
    /// The offset after the last record.
    pub end_offset: Offset,
    /// The epoch of the last entry; -1 for an empty log.
    pub last_epoch: LeaderEpoch,
    /// Entries that survive on this broker, as the log's durability promises.
    pub flushed_count: u64,
    /// The offset after the last record among them.
    pub flushed_offset: Offset,
    /// Entries that are committed.
    pub committed_count: u64,
    /// The offset after the last record among them.
    pub committed_offset: Offset,
}

/// A point in the log between two entries: how many there are before it, and what that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    count: u64,
    offset: Offset,
    epoch: LeaderEpoch,
    place: Place,
}

/// How a change of durability goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switching {
    No,
    /// Waits until the durable commits are complete (C2).
    Draining,
}

struct State {
    base_number: u32,
    durability: Durability,
    switching: Switching,
    vote: Vote,
    /// The epoch of the last vote whose commit is complete.
    voted_epoch: LeaderEpoch,
    end: Point,
    committed: Point,
    flushed_count: u64,
    flushed_offset: Offset,
    /// Entries `recent_from..end.count`.
    recent: VecDeque<Entry>,
    recent_from: u64,
    /// The point before `recent`.
    recent_start: Point,
    /// Payloads of recent entries that are no batches, by index.
    payloads: BTreeMap<u64, Bytes>,
    /// How often the log was truncated, and the lowest point it was cut to.
    truncations_count: u32,
    truncated_to: u64,

    log_start: Offset,
    membership: Bytes,

    /// Records in the `entries` file: those written, and those flushed with the point after them.
    entries_written: u64,
    entries_flushed: Point,
    /// Space reserved for them on disk.
    entries_allocated_bytes: u64,
    /// Records whose space was given back; unknown after a start until somebody asks.
    entries_purged: Option<u64>,
    /// The applied state's file covers this many entries; 0 if there is none.
    applied_count: u64,
    /// An idempotent batch stands at or after `applied_count`.
    has_stamps: bool,

    /// Oldest first; the last one takes the appends.
    segments: VecDeque<Segment>,
    compacted: Compacted,
    /// What is known of the epochs of entries whose records may be gone.
    compacted_epochs: Rc<EpochEnds>,
    /// The first record of `entries` that the base on the medium needs.
    needed_entries: u64,
    /// The base on the medium needs this segment and all later ones as they were appended.
    needed_from: Offset,
    tail: Tail,
    tail_bytes: usize,
    /// What a carry would hold of this log beyond one block.
    late_bytes: usize,
    /// Of entries that are not committed; zero if the log is alone.
    uncommitted_bytes: usize,
    /// The segment for which space is being reserved.
    allocating: Option<Ordinal>,
    no_space: Option<Rc<std::io::Error>>,
    is_doubtful: bool,
    /// The journal has stopped.
    is_stopped: bool,
    /// Appended to since the last checkpoint.
    is_active: bool,
    has_new_names: bool,
    /// The `entries` file is there, under a name that is flushed or will be.
    has_entries: bool,
    is_queued_for_writing: bool,
    is_queued_for_eviction: bool,
    /// A compaction uses the log's files.
    is_compacting: bool,
    has_left: bool,
    /// Another core has it now: its files are not ours any more.
    has_moved: bool,
    /// Files of applied state that no base names any more.
    obsolete_applied: Vec<u64>,
}

impl State {
    fn segment(&self, ordinal: Ordinal) -> Option<&Segment> {
        self.segments.get(self.place_of(ordinal)?)
    }

    fn segment_mut(&mut self, ordinal: Ordinal) -> Option<&mut Segment> {
        let place = self.place_of(ordinal)?;
        self.segments.get_mut(place)
    }

    fn place_of(&self, ordinal: Ordinal) -> Option<usize> {
        self.segments.binary_search_by_key(&ordinal, |segment| segment.ordinal).ok()
    }

    /// The next one after a segment, which need not be there any more.
    fn segment_after(&self, ordinal: Ordinal) -> Option<&Segment> {
        if self.segments.back()?.ordinal <= ordinal {
            return None;
        }
        let after = self.segments.partition_point(|segment| segment.ordinal <= ordinal);
        self.segments.get(after)
    }
}

/// One partition's log, shared by those who use it on its core.
pub struct Log {
    partition: TopicPartition,
    directory: PathBuf,
    options: Cell<LogOptions>,
    shared: Rc<Shared>,
    state: RefCell<State>,
    listener: RefCell<Option<Rc<dyn LogListener>>>,
    applied: RefCell<Option<Rc<dyn AppliedState>>>,
    /// One at a time writes to the log's files (W6).
    writing: Budget,
    remembered: RefCell<read::Remembered>,
    proven_epochs: RefCell<read::ProvenEpochs>,
    uses_last_room: Cell<bool>,
}

impl Log {
    /// The partition whose log it is.
    pub fn partition(&self) -> TopicPartition {
        self.partition
    }

    /// Who hears of the log's progress from now on.
    pub fn listen(&self, listener: Rc<dyn LogListener>) {
        *self.listener.borrow_mut() = Some(listener);
    }

    /// Who tells the applied state at checkpoints.
    pub fn set_applied_state(&self, applied: Rc<dyn AppliedState>) {
        *self.applied.borrow_mut() = Some(applied);
    }

    /// Changes the options from the next append on.
    pub fn set_options(&self, options: LogOptions) {
        self.options.set(options);
    }

    /// Batches of this log are admitted as long as there is any room, and more of it is reserved ahead
    /// than others have: what people do to free space is written here.
    pub fn use_last_room(&self) {
        self.uses_last_room.set(true);
    }

    /// How far the log has come.
    pub fn ends(&self) -> LogEnds {
        let state = self.state.borrow();
        LogEnds {
            log_start: state.log_start,
            end_count: state.end.count,
            end_offset: state.end.offset,
            last_epoch: state.end.epoch,
            flushed_count: state.flushed_count,
            flushed_offset: state.flushed_offset,
            committed_count: state.committed.count,
            committed_offset: state.committed.offset,
        }
    }

    /// The level at which appended entries are acknowledged.
    pub fn durability(&self) -> Durability {
        self.state.borrow().durability
    }

    /// The last vote, complete or not.
    pub fn vote(&self) -> Vote {
        self.state.borrow().vote
    }

    /// The last membership among the log's entries.
    pub fn membership(&self) -> Bytes {
        self.state.borrow().membership.clone()
    }

    /// Whether a start found damage that may concern this log.
    pub fn is_doubtful(&self) -> bool {
        self.state.borrow().is_doubtful
    }

    /// Memory of the log's tail.
    pub fn memory_bytes(&self) -> usize {
        self.state.borrow().tail.memory_bytes()
    }

    /// Votes. The promise holds once [`Log::voted`] returns; nothing of the new epoch is appended
    /// before (rules W3 and W7).
    pub fn save_vote(self: &Rc<Log>, vote: Vote) {
        let mut state = self.state.borrow_mut();
        assert!(state.vote.rank() <= vote.rank(), "votes never fall");
        state.vote = vote;
        let frame = Frame::vote(self.partition, state.base_number, &vote);
        drop(state);
        let note = Note::Vote { log: self.clone(), leader_epoch: vote.leader_epoch };
        // Votes are durable, whatever the log is.
        self.shared.journal.push(Durability::Durable, &frame, &[], Some(note));
    }

    /// Waits until the last vote is on the medium.
    pub async fn voted(&self) -> Result<(), JournalStopped> {
        let is_voted = || {
            let state = self.state.borrow();
            state.vote.leader_epoch <= state.voted_epoch
        };
        self.shared.wait_until(|| is_voted().then_some(())).await
    }

    /// Appends a record batch at the end of the log. Its base offset and leader epoch are assigned
    /// here; both lie outside of the batch's checksum. Only after [`Log::admit`] has said so, for
    /// at least this size, in the same step.
    pub fn append_batch(
        self: &Rc<Log>,
        leader_epoch: LeaderEpoch,
        header: &BatchHeader,
        batch: &[u8],
    ) -> Entry {
        assert_eq!(header.size_bytes(), batch.len(), "one whole batch");
        let mut state = self.state.borrow_mut();
        let base_offset = state.end.offset;
        let mut assigned = [0; ASSIGNED_BYTES];
        assigned.copy_from_slice(&batch[..ASSIGNED_BYTES]);
        assigned[..8].copy_from_slice(&base_offset.0.to_be_bytes());
        assigned[12..].copy_from_slice(&leader_epoch.0.to_be_bytes());
        let stamp = BatchStamp::of(header, base_offset);
        let entry = Entry {
            index: LogIndex(state.end.count),
            leader_epoch,
            next_offset: stamp.next_offset(),
            size_bytes: u32::try_from(batch.len()).expect("batches are bounded"),
            kind: EntryKind::Batch(stamp),
        };
        let payload = [&assigned[..], &batch[ASSIGNED_BYTES..]];
        self.append(&mut state, &entry, &payload);
        self.push_entry(&state, &entry, &payload);
        entry
    }

    /// Appends an entry that is no batch; the payload is empty but for a membership.
    pub fn append_other(
        self: &Rc<Log>,
        leader_epoch: LeaderEpoch,
        kind: EntryKind,
        payload: &[u8],
    ) -> Entry {
        assert!(!matches!(kind, EntryKind::Batch(_)), "batches have their own way");
        let mut state = self.state.borrow_mut();
        let entry = Entry {
            index: LogIndex(state.end.count),
            leader_epoch,
            next_offset: state.end.offset,
            size_bytes: u32::try_from(payload.len()).expect("memberships are small"),
            kind,
        };
        self.append(&mut state, &entry, &[payload]);
        self.push_entry(&state, &entry, &[payload]);
        entry
    }

    /// Takes an entry into memory: what both an append and a recovery do.
    fn append(&self, state: &mut State, entry: &Entry, payload: &[&[u8]]) {
        assert_eq!(entry.index.0, state.end.count, "an entry stands at the log's end");
        assert!(state.end.epoch <= entry.leader_epoch, "epochs never fall within a log");
        match &entry.kind {
            EntryKind::Batch(stamp) => {
                assert_eq!(stamp.base_offset, state.end.offset, "offsets have no gaps");
                self.roll_if_full(state, u64::from(entry.size_bytes));
                let place = state.end.place;
                state.tail.append_batch(stamp.base_offset, place, payload);
                let options = self.options.get();
                let segment = state.segments.back_mut().expect("a log has a segment");
                if place.position == 0 {
                    segment.first_timestamp = Some(stamp.max_timestamp);
                }
                segment.index.note(
                    stamp.base_offset,
                    place.position,
                    stamp.max_timestamp,
                    options.index_interval_bytes,
                );
                let end_bytes = place.position + u64::from(entry.size_bytes);
                segment.end_bytes = Some(end_bytes);
                state.end.place.position = end_bytes;
                state.has_stamps |= entry.is_idempotent();
            }
            EntryKind::Membership => {
                let payload = Bytes::from(payload.concat());
                state.membership = payload.clone();
                state.payloads.insert(entry.index.0, payload);
            }
            EntryKind::Blank | EntryKind::Void | EntryKind::LogStart(_) => {}
        }
        state.end.count += 1;
        state.end.offset = entry.next_offset;
        state.end.epoch = entry.leader_epoch;
        state.recent.push_back(*entry);
        state.is_active = true;
        let late_bytes = base::late_bytes(entry);
        state.late_bytes += late_bytes;
        self.shared.note_late_bytes(0, late_bytes);
        self.account_tail(state);
        if !self.options.get().is_alone {
            self.count_uncommitted(state, state.uncommitted_bytes + late_bytes);
        }
    }

    fn count_uncommitted(&self, state: &mut State, uncommitted_bytes: usize) {
        let uncommitted_bytes = if state.has_left { 0 } else { uncommitted_bytes };
        self.shared.note_uncommitted_bytes(state.uncommitted_bytes, uncommitted_bytes);
        state.uncommitted_bytes = uncommitted_bytes;
    }

    fn recount_uncommitted(&self, state: &mut State) {
        if !self.options.get().is_alone {
            let entries = self.recent_range(state, state.committed.count..state.end.count);
            let uncommitted_bytes = entries.map(|entry| base::late_bytes(&entry)).sum();
            self.count_uncommitted(state, uncommitted_bytes);
        }
    }

    /// Begins the next segment if a batch of this size would make the last one too large.
    fn roll_if_full(&self, state: &mut State, batch_bytes: u64) {
        let segment = state.segments.back().expect("a log has a segment");
        let end_bytes = state.end.place.position + batch_bytes;
        if segment.end() == 0 || end_bytes <= self.options.get().segment_bytes_max {
            return;
        }
        self.roll_in(state);
    }

    fn push_entry(self: &Rc<Log>, state: &State, entry: &Entry, payload: &[&[u8]]) {
        // An entry whose epoch exceeds the log's vote would make a recovered log contradict it.
        assert!(entry.leader_epoch <= state.voted_epoch, "the vote is complete first (W3, W7)");
        assert!(state.switching == Switching::No, "nothing is appended while commits drain (C2)");
        let frame = Frame::entry(self.partition, state.base_number, entry);
        let note = self.entries_note(state);
        self.shared.journal.push(state.durability, &frame, payload, Some(note));
    }

    fn entries_note(self: &Rc<Log>, state: &State) -> Note {
        let truncations_count = state.truncations_count;
        Note::Entries { log: self.clone(), end: state.end.count, truncations_count }
    }

    /// Cuts the log: the entries from `to` on are gone. Never below what is committed (rule W5).
    pub fn truncate(self: &Rc<Log>, to: LogIndex) {
        let mut state = self.state.borrow_mut();
        assert!(state.committed.count <= to.0, "committed entries are for ever");
        assert!(to.0 <= state.end.count, "a truncation does not extend");
        self.cut(&mut state, to.0);
        state.truncations_count += 1;
        state.truncated_to = state.truncated_to.min(to.0);
        let frame = Frame::truncate(self.partition, state.base_number, to);
        let note = self.entries_note(&state);
        self.shared.journal.push(state.durability, &frame, &[], Some(note));
    }

    fn cut(&self, state: &mut State, to: u64) {
        let mut point = state.committed;
        let mut end = state.committed;
        for entry in self.recent_range(state, point.count..to) {
            point = self.after(state, &point, &entry);
            end = point;
        }
        // A segment that has ended has ended, and may be sealed: it takes no more even if nothing is
        // left of what came after it.
        let next = state.segment_after(end.place.segment).map(|next| next.ordinal);
        if let Some(next) = next.and_then(|next| state.segment_mut(next))
            && next.base_offset == end.offset
        {
            next.first_index = next.first_index.map(|first| first.min(end.count));
            end.place = Place { segment: next.ordinal, position: 0 };
        }
        state.payloads.split_off(&to);
        let keep = usize::try_from(to - state.recent_from).expect("recent entries are in memory");
        state.recent.truncate(keep);
        state.end = end;
        state.flushed_count = state.flushed_count.min(to);
        state.flushed_offset = state.flushed_offset.min(end.offset);
        while state.segments.back().is_some_and(|last| end.place.segment < last.ordinal) {
            state.segments.pop_back();
        }
        let segment = state.segments.back_mut().expect("a log has a segment");
        segment.end_bytes = Some(end.place.position);
        segment.index.truncate(end.offset);
        if end.place.position == 0 {
            segment.first_timestamp = None;
        }
        state.tail.truncate(end.place, end.offset);
        self.account_tail(state);
        self.recount_late_bytes(state);
        self.recount_uncommitted(state);
    }

    /// Commits entries: they are what consumers may read and segments hold. For logs that are not
    /// alone; a log that is alone commits what is flushed.
    pub fn commit(self: &Rc<Log>, count: u64) {
        self.advance_committed(&mut self.state.borrow_mut(), count);
        self.tell_progress();
    }

    fn advance_committed(self: &Rc<Log>, state: &mut State, count: u64) {
        assert!(count <= state.end.count, "only what the log has can be committed");
        let entries: Vec<Entry> = self.recent_range(state, state.committed.count..count).collect();
        for entry in entries {
            state.committed = self.after(state, &state.committed.clone(), &entry);
            if let EntryKind::LogStart(offset) = entry.kind {
                state.log_start = state.log_start.max(offset);
            }
        }
        self.recount_uncommitted(state);
        self.queue_for_writing(state);
    }

    /// The point after an entry that stands at a point.
    fn after(&self, state: &State, point: &Point, entry: &Entry) -> Point {
        assert_eq!(entry.index.0, point.count, "entries are counted without gaps");
        let mut place = point.place;
        if let EntryKind::Batch(stamp) = &entry.kind {
            // The batch may have begun the next segment.
            let next = state.segment_after(place.segment);
            if let Some(next) = next.filter(|next| next.base_offset == stamp.base_offset) {
                place = Place { segment: next.ordinal, position: 0 };
            }
            place.position += u64::from(entry.size_bytes);
        }
        Point {
            count: point.count + 1,
            offset: entry.next_offset,
            epoch: entry.leader_epoch,
            place,
        }
    }

    fn recent_range<'a>(
        &self,
        state: &'a State,
        range: std::ops::Range<u64>,
    ) -> impl Iterator<Item = Entry> + 'a {
        let index = |count: u64| {
            usize::try_from(count - state.recent_from).expect("recent entries are in memory")
        };
        let range = range.start.min(range.end)..range.end;
        state.recent.range(index(range.start)..index(range.end)).copied()
    }

    /// Entries of the log that are still in memory, from `from` on.
    pub fn recent_entries(&self, from: u64) -> Vec<Entry> {
        let state = self.state.borrow();
        let from = from.max(state.recent_from).min(state.end.count);
        self.recent_range(&state, from..state.end.count).collect()
    }

    pub(crate) fn note_flushed(self: &Rc<Log>, end: u64, truncations_count: u32) {
        // A commit has gone, so there is room for the next.
        self.shared.announce();
        let mut state = self.state.borrow_mut();
        // A commit from before a truncation says nothing about what stands there now.
        let end = if truncations_count == state.truncations_count {
            end
        } else {
            end.min(state.truncated_to)
        };
        if end <= state.flushed_count {
            return;
        }
        let last = self.recent_range(&state, end - 1..end).next();
        state.flushed_count = end;
        state.flushed_offset = last.expect("not in `entries` yet").next_offset;
        if self.options.get().is_alone {
            let count = state.flushed_count;
            self.advance_committed(&mut state, count);
        }
        drop(state);
        self.tell_progress();
    }

    pub(crate) fn note_vote_completed(&self, leader_epoch: LeaderEpoch) {
        let mut state = self.state.borrow_mut();
        state.voted_epoch = state.voted_epoch.max(leader_epoch);
        drop(state);
        self.shared.announce();
    }

    pub(crate) fn note_base_completed(&self, base_number: u32) {
        let state = self.state.borrow();
        assert!(base_number <= state.base_number, "bases complete in order");
        drop(state);
        self.shared.announce();
    }

    pub(crate) fn note_stopped(&self) {
        self.state.borrow_mut().is_stopped = true;
        let listener = self.listener.borrow().clone();
        if let Some(listener) = listener {
            listener.stopped();
        }
    }

    fn tell_progress(&self) {
        let listener = self.listener.borrow().clone();
        if let Some(listener) = listener {
            listener.progressed();
        }
    }

    /// Tells the core's budget how much memory the tail takes now; nothing once it has left.
    fn account_tail(&self, state: &mut State) {
        let now = if state.has_left { 0 } else { state.tail.memory_bytes() };
        self.shared.note_tail_bytes(state.tail_bytes, now);
        state.tail_bytes = now;
    }

    fn check(&self, state: &State) -> Result<(), AppendError> {
        if state.is_doubtful {
            return Err(AppendError::Doubtful { partition: self.partition });
        }
        Ok(self.shared.journal.check()?)
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({}, {:?})", self.partition, self.ends())
    }
}
