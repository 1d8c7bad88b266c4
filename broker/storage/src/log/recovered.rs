//! A log as recovery has found it, and how it goes on from there.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use bytes::Bytes;
use model::{LeaderEpoch, Offset, TopicPartition};
use runtime::sync::budget::Budget;

use super::compaction::{Compacted, read_list};
use super::records::Records;
use super::segment::{Segment, SegmentName};
use super::tail::{BatchPlace, Ordinal, Place, Tail, next_ordinal};
use super::write::applied_path;
use super::{Log, LogOptions, Point, State, Switching, purge, whole_file};
use crate::Durability;
use crate::format::applied;
use crate::format::compacted::CompactedList;
use crate::format::entry::{BatchStamp, Entry};
use crate::format::frame::{Base, Content, Frames, Vote, pad_to_frame};
use crate::journal::walk::WalkedFrame;
use crate::shared::Shared;

/// Everything that the journal tells about one log: its newest base and what came after it. Plain
/// data, so a log that changes its core travels in this form.
#[derive(Clone, Debug)]
pub struct RecoveredLog {
    /// The partition.
    pub partition: TopicPartition,
    /// The highest base number that was seen (rule 6.9).
    pub base_number: u32,
    /// Where frames of that number are.
    pub durability: Durability,
    /// The highest vote (6.6).
    pub vote: Vote,
    /// A damaged journal may have held more of this log.
    pub is_doubtful: bool,
    base: Base,
    membership: Bytes,
    tail: Bytes,
    later: Vec<(Entry, Bytes)>,
}

/// What a log is opened with.
pub(crate) struct OpenLog {
    pub(crate) shared: Rc<Shared>,
    pub(crate) options: LogOptions,
    pub(crate) directory: PathBuf,
}

/// What is applied of a log when it is opened: a state, and the entries after it.
#[derive(Clone, Debug, Default)]
pub struct RecoveredApplied {
    /// The state after the first `count` entries, as [`super::AppliedState`] told it.
    pub state: Option<Bytes>,
    /// How many entries it covers.
    pub count: u64,
    /// The entries after those, as far as they may matter; not dense.
    pub entries: Vec<Entry>,
}

impl RecoveredLog {
    /// A log that has just been created, with nothing in it.
    pub(crate) fn empty(
        partition: TopicPartition,
        durability: Durability,
        vote: Vote,
    ) -> RecoveredLog {
        let base = Base {
            entries_count: 0,
            committed_count: 0,
            applied_count: 0,
            next_offset: 0,
            segment_base_offset: 0,
            flushed_bytes: 0,
            log_start: 0,
            last_epoch: LeaderEpoch::NONE.0,
            membership_bytes: 0,
            tail_bytes: 0,
            later_count: 0,
            has_stamps: false,
            is_durable: durability == Durability::Durable,
            is_doubtful: false,
        };
        RecoveredLog {
            partition,
            base_number: 0,
            durability,
            vote,
            is_doubtful: false,
            base,
            membership: Bytes::new(),
            tail: Bytes::new(),
            later: Vec::new(),
        }
    }

    /// Rules 6.7 to 6.9: the log of one partition from its newest base, and the frames of
    /// both streams with that base number or a higher one, in the order of their numbers. None if
    /// the base cannot be read; with a reason if the frames after it do not fit, up to where they do.
    pub(crate) fn replay(
        base_frame: &WalkedFrame,
        vote: Vote,
        frames: Vec<(Durability, &WalkedFrame)>,
    ) -> Option<(RecoveredLog, Option<String>)> {
        let mut log = RecoveredLog::from_base(base_frame, vote)?;
        let wrong = log.replay_frames(frames).err();
        log.is_doubtful |= wrong.is_some();
        Some((log, wrong))
    }

    fn replay_frames(&mut self, mut frames: Vec<(Durability, &WalkedFrame)>) -> Result<(), String> {
        let log = self;
        let base_number = log.base_number;
        frames.retain(|(_, frame)| base_number <= frame.frame.base_number);
        // All frames of one number are in one stream (W4), so this keeps each stream's order.
        frames.sort_by_key(|(_, frame)| frame.frame.base_number);
        for (stream, frame) in frames {
            match frame.content {
                Content::Entry(entry) => {
                    let end = log.end_count();
                    // 6.8: anything but the next entry is damage.
                    if entry.index.0 != end {
                        let index = entry.index;
                        return Err(format!("entry {index} follows {end} entries"));
                    }
                    let last_epoch = log.last_epoch();
                    if entry.leader_epoch < last_epoch {
                        let epoch = entry.leader_epoch;
                        return Err(format!("epoch {epoch} follows epoch {last_epoch}"));
                    }
                    log.later.push((entry, frame.payload.clone()));
                }
                Content::Truncate { to } => {
                    let keep = to.0.checked_sub(log.base.entries_count);
                    let keep = keep.and_then(|keep| usize::try_from(keep).ok());
                    let keep = keep.filter(|keep| *keep <= log.later.len());
                    let Some(keep) = keep else {
                        return Err(format!("a truncation to {to} goes into its base"));
                    };
                    log.later.truncate(keep);
                }
                Content::Vote(_) | Content::Left | Content::Base | Content::Mark(_) => continue,
            }
            log.base_number = log.base_number.max(frame.frame.base_number);
            if frame.frame.base_number == log.base_number {
                log.durability = stream;
            }
        }
        if log.vote.leader_epoch < log.last_epoch() {
            let (epoch, vote) = (log.last_epoch(), log.vote.leader_epoch);
            return Err(format!("an entry of epoch {epoch} exceeds the vote for {vote}"));
        }
        Ok(())
    }

    fn from_base(walked: &WalkedFrame, vote: Vote) -> Option<RecoveredLog> {
        let (partition, base_number) = (walked.frame.partition(), walked.frame.base_number);
        RecoveredLog::decode(partition, base_number, vote, &walked.payload)
    }

    /// Reads the payload of a base frame, which begins at a multiple of 8 bytes in memory.
    pub(super) fn decode(
        partition: TopicPartition,
        base_number: u32,
        vote: Vote,
        payload: &Bytes,
    ) -> Option<RecoveredLog> {
        let base = Base::decode(payload)?;
        let membership_at = crate::format::frame::BASE_SIZE_BYTES;
        let membership_end = membership_at.checked_add(base.membership_bytes as usize)?;
        let tail_at = pad_to_frame(membership_end);
        let tail_end = tail_at.checked_add(base.tail_bytes as usize)?;
        let frames_at = pad_to_frame(tail_end);
        if payload.len() < frames_at {
            return None;
        }
        let frames = payload.slice(frames_at..);
        let mut log = RecoveredLog {
            partition,
            base_number,
            durability: if base.is_durable { Durability::Durable } else { Durability::Relaxed },
            vote,
            is_doubtful: base.is_doubtful,
            membership: payload.slice(membership_at..membership_end),
            tail: payload.slice(tail_at..tail_end),
            later: Vec::new(),
            base,
        };
        for read in Frames::new(&frames, base.later_count) {
            let (frame, place) = read.ok()?;
            let Content::Entry(entry) = frame.content() else { return None };
            if entry.index.0 != log.end_count() {
                return None;
            }
            log.later.push((entry, frames.slice(place)));
        }
        Some(log)
    }

    /// A log as a base frame and its payload tell it.
    #[cfg(test)]
    pub(crate) fn decode_for_tests(
        frame: &crate::format::frame::Frame,
        payload: Bytes,
    ) -> RecoveredLog {
        let nobody = model::NodeId { broker: model::BrokerId(-1), incarnation: 0 };
        let vote = Vote { leader_epoch: LeaderEpoch::NONE, voted_for: nobody, is_committed: false };
        RecoveredLog::decode(frame.partition(), frame.base_number, vote, &payload).unwrap()
    }

    /// How many entries the log has.
    pub fn end_count(&self) -> u64 {
        self.base.entries_count + self.later.len() as u64
    }

    fn last_epoch(&self) -> LeaderEpoch {
        let base = LeaderEpoch(self.base.last_epoch);
        self.later.last().map_or(base, |(entry, _)| entry.leader_epoch)
    }
}

impl Log {
    /// Opens a log where recovery has found it. Reads what is needed of its files; changes nothing
    /// but that it removes segments that a crash has left beyond the end.
    pub(crate) async fn open(open: OpenLog, recovered: RecoveredLog) -> io::Result<Rc<Log>> {
        let RecoveredLog { partition, base, tail, later, .. } = &recovered;
        let segment_base = Offset(base.segment_base_offset);
        let list = unless_damaged(read_list(&open.directory).await)?;
        let is_list_damaged = list.is_none();
        let list = list.unwrap_or_default();
        let found = find_segments(&open.directory, base, &list).await?;
        let mut segments = found.sealed_segments(&list);
        let ordinal = segments.back().map_or(0, |last| next_ordinal(last.ordinal));
        let flushed_bytes = base.flushed_bytes;
        let end_bytes = flushed_bytes + tail.len() as u64;
        segments.push_back(Segment::recovered(ordinal, segment_base, flushed_bytes, end_bytes));
        let mut records = Records::of(&open.directory);
        let last_record = read_last_record(&mut records, base.entries_count).await?;
        let is_damaged =
            is_list_damaged || !is_consistent(base, last_record.as_ref(), &found, &list);
        let mut tail_bytes = Tail::default();
        tail_bytes.restart(Place { segment: ordinal, position: flushed_bytes }, tail);
        let restart = Point {
            count: base.entries_count,
            offset: Offset(base.next_offset),
            epoch: LeaderEpoch(base.last_epoch),
            place: Place { segment: ordinal, position: end_bytes },
        };
        let state = State {
            base_number: recovered.base_number,
            durability: recovered.durability,
            switching: Switching::No,
            vote: recovered.vote,
            voted_epoch: recovered.vote.leader_epoch,
            end: restart,
            committed: restart,
            flushed_count: restart.count,
            flushed_offset: restart.offset,
            recent: VecDeque::new(),
            recent_from: restart.count,
            recent_start: restart,
            payloads: BTreeMap::new(),
            truncations_count: 0,
            truncated_to: u64::MAX,
            log_start: Offset(base.log_start),
            membership: recovered.membership.clone(),
            entries_written: restart.count,
            entries_flushed: restart,
            entries_allocated_bytes: 0,
            entries_purged: None,
            applied_count: base.applied_count,
            has_stamps: base.has_stamps,
            segments,
            compacted: Compacted::of(&list),
            needed_entries: purge::needed_entries_of(base),
            compacted_epochs: Rc::new(list.epochs),
            needed_from: segment_base,
            tail: tail_bytes,
            tail_bytes: 0,
            late_bytes: 0,
            uncommitted_bytes: 0,
            allocating: None,
            no_space: None,
            is_doubtful: recovered.is_doubtful,
            is_stopped: false,
            is_active: true,
            has_new_names: false,
            has_entries: 0 < restart.count,
            is_queued_for_writing: false,
            is_queued_for_eviction: false,
            is_compacting: false,
            has_left: false,
            has_moved: false,
            obsolete_applied: Vec::new(),
        };
        let log = Rc::new(Log {
            partition: *partition,
            directory: open.directory,
            options: Cell::new(open.options),
            shared: open.shared,
            state: RefCell::new(state),
            listener: RefCell::new(None),
            applied: RefCell::new(None),
            writing: Budget::new(1),
            remembered: RefCell::new(VecDeque::new()),
            proven_epochs: RefCell::new(VecDeque::new()),
            uses_last_room: Cell::new(false),
        });
        let is_read = log.note_batches_in_tail(&mut records, base.entries_count).await;
        if is_damaged || unless_damaged(is_read)?.is_none() {
            log.note_damage();
        }
        log.take_up(later, base.committed_count);
        // Where anything is in doubt, a newer base may have named what looks left over.
        if !log.is_doubtful() {
            log.remove_stale(found.stale).await?;
            log.reserve_recovered(!later.is_empty()).await?;
        }
        Ok(log)
    }

    async fn remove_stale(&self, stale: Vec<SegmentName>) -> io::Result<()> {
        if !stale.is_empty() {
            // K3: the list that was read may be there under a name that is in memory only.
            runtime::sync_dir(&self.directory).await?;
        }
        for name in stale {
            self.remove_segment_files(name).await?;
        }
        Ok(())
    }

    /// Files of the log are damaged or missing. It stays readable as far as they go.
    fn note_damage(&self) {
        tracing::error!(partition = %self.partition, directory = %self.directory.display(),
            "files of this partition are damaged or missing: it takes no appends");
        self.state.borrow_mut().is_doubtful = true;
    }

    /// Appends what the journal held beyond the base, and settles what of the log is flushed and
    /// committed.
    fn take_up(self: &Rc<Log>, later: &[(Entry, Bytes)], base_committed_count: u64) {
        let mut state = self.state.borrow_mut();
        for (entry, payload) in later {
            self.append(&mut state, entry, &[payload]);
        }
        let (end_count, end_offset) = (state.end.count, state.end.offset);
        state.flushed_count = end_count;
        state.flushed_offset = end_offset;
        // Alone, everything that was found is committed (rule 6.10).
        let is_alone = self.options.get().is_alone;
        let committed_count = if is_alone { end_count } else { base_committed_count };
        self.advance_committed(&mut state, committed_count.min(end_count));
        self.recount_late_bytes(&mut state);
        self.account_tail(&mut state);
    }

    /// Finds where the batches begin whose bytes, or last bytes, are in the tail: their sizes are
    /// in `entries`, and the last of them ends where the tail does.
    async fn note_batches_in_tail(
        self: &Rc<Log>,
        records: &mut Records,
        entries_count: u64,
    ) -> io::Result<()> {
        let mut records_count = 64;
        let (mut end, start) = {
            let mut state = self.state.borrow_mut();
            let end = state.end.place;
            let segment = state.segments.back_mut().expect("a log has a segment");
            // Unless a batch is found to begin before it, here or in memory.
            segment.indexed_from = segment.flushed_bytes;
            (end, segment.flushed_bytes)
        };
        let mut found: Vec<(BatchStamp, Place)> = Vec::new();
        let mut before = entries_count;
        while start < end.position && 0 < before {
            let from = before.saturating_sub(records_count);
            let entries = match records.read(from, before).await {
                // The record that is damaged may be older than those that are needed.
                Err(error) if error.kind() == io::ErrorKind::InvalidData && 1 < records_count => {
                    records_count = 1;
                    continue;
                }
                entries => entries?,
            };
            for entry in entries.iter().rev() {
                let Some(stamp) = entry.batch() else { continue };
                if end.position <= start {
                    break;
                }
                let position = end.position.checked_sub(u64::from(entry.size_bytes));
                let Some(position) = position else {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the records of `entries` exceed the segment",
                    ));
                };
                end.position = position;
                found.push((*stamp, end));
            }
            before = from;
        }
        let interval_bytes = self.options.get().index_interval_bytes;
        let mut state = self.state.borrow_mut();
        for (stamp, place) in &found {
            let batch = BatchPlace { base_offset: stamp.base_offset, place: *place };
            state.tail.note_earlier_batch(batch);
        }
        let segment = state.segments.back_mut().expect("a log has a segment");
        segment.indexed_from = end.position;
        if let Some((first, Place { position: 0, .. })) = found.last() {
            segment.first_timestamp = Some(first.max_timestamp);
        }
        for (stamp, place) in found.iter().rev() {
            segment.index.note(
                stamp.base_offset,
                place.position,
                stamp.max_timestamp,
                interval_bytes,
            );
        }
        Ok(())
    }

    /// Entries of the log, from memory or from disk: `from..to`, all of which it has.
    pub async fn entries(self: &Rc<Log>, from: u64, to: u64) -> io::Result<Vec<Entry>> {
        self.entries_from(&mut self.records(), from, to).await
    }

    pub(super) fn records(&self) -> Records {
        Records::of(&self.directory)
    }

    /// The same, with the file for what is not in memory.
    pub(super) async fn entries_from(
        self: &Rc<Log>,
        records: &mut Records,
        from: u64,
        to: u64,
    ) -> io::Result<Vec<Entry>> {
        let mut entries = self.written_entries(records, from, to, |_| true).await?;
        let recent = self.recent_entries(from);
        entries.extend(recent.into_iter().take_while(|entry| entry.index.0 < to));
        Ok(entries)
    }

    /// Those of the entries `from..to` that are wanted and no longer in memory. While they are read,
    /// a checkpoint may write more of them and forget them; so it is read on until memory has the
    /// rest, in the step in which this returns.
    async fn written_entries(
        &self,
        records: &mut Records,
        mut from: u64,
        to: u64,
        is_wanted: impl Fn(&Entry) -> bool,
    ) -> io::Result<Vec<Entry>> {
        const RECORDS_COUNT: u64 = 8192;
        let mut entries = Vec::new();
        loop {
            let end = self.state.borrow().recent_from.min(to).min(from + RECORDS_COUNT);
            if end <= from {
                return Ok(entries);
            }
            let read = records.read(from, end).await?;
            entries.extend(read.into_iter().filter(&is_wanted));
            from = end;
        }
    }

    /// What replication needs to go on: the applied state that was kept, and the entries after it.
    /// Nothing of both if its files are damaged; the log is then doubtful.
    pub async fn recovered_applied(self: &Rc<Log>) -> io::Result<RecoveredApplied> {
        let applied = unless_damaged(self.read_applied().await)?;
        if applied.is_none() {
            self.note_damage();
        }
        Ok(applied.unwrap_or_default())
    }

    async fn read_applied(self: &Rc<Log>) -> io::Result<RecoveredApplied> {
        let (applied_count, has_stamps) = {
            let state = self.state.borrow();
            (state.applied_count, state.has_stamps)
        };
        let mut applied = RecoveredApplied { count: applied_count, ..RecoveredApplied::default() };
        if 0 < applied_count {
            applied.state = Some(read_applied(&self.directory, applied_count).await?);
        }
        if has_stamps {
            let mut records = self.records();
            let is_wanted = Entry::is_idempotent;
            let written = self.written_entries(&mut records, applied_count, u64::MAX, is_wanted);
            applied.entries = written.await?;
            applied.entries.extend(self.recent_entries(applied_count));
        }
        Ok(applied)
    }
}

/// The segments of a directory, around the one that was being written.
struct FoundSegments {
    /// Before it, oldest first.
    sealed: Vec<SegmentName>,
    has_active: bool,
    /// Every compacted segment that is needed is there.
    has_compacted: bool,
    /// Begun before a crash and never flushed; replaced by compacted ones, or written by a compaction
    /// that was not finished; below the log's start.
    stale: Vec<SegmentName>,
}

impl FoundSegments {
    fn sealed_segments(&self, list: &CompactedList) -> VecDeque<Segment> {
        let ordinals = std::iter::successors(Some(0), |ordinal| Some(next_ordinal(*ordinal)));
        let segment = |(name, ordinal): (&SegmentName, Ordinal)| {
            let mut segment = Segment::sealed(ordinal, *name);
            if let Some(size_bytes) = list.size_of(*name) {
                segment.note_size(size_bytes);
            }
            segment
        };
        self.sealed.iter().zip(ordinals).map(segment).collect()
    }
}

async fn find_segments(
    directory: &std::path::Path,
    base: &Base,
    list: &CompactedList,
) -> io::Result<FoundSegments> {
    let mut found = FoundSegments {
        sealed: Vec::new(),
        has_active: false,
        has_compacted: true,
        stale: Vec::new(),
    };
    let active = SegmentName::appended(Offset(base.segment_base_offset));
    let needed = list.needed_from(Offset(base.log_start));
    let entries = match runtime::read_dir(directory).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        entries => entries?,
    };
    for name in entries.iter().filter_map(|entry| SegmentName::of_file(&entry.name)) {
        let is_appended = name.generation == 0;
        if name == active {
            found.has_active = true;
        } else if needed.contains(&name)
            || is_appended && list.end <= name.base_offset && name.base_offset < active.base_offset
        {
            found.sealed.push(name);
        } else {
            found.stale.push(name);
        }
    }
    found.sealed.sort_unstable();
    found.has_compacted = needed.iter().all(|name| found.sealed.binary_search(name).is_ok());
    Ok(found)
}

/// Whether the files hold what the base says was flushed to them.
fn is_consistent(
    base: &Base,
    last_record: Option<&Entry>,
    found: &FoundSegments,
    list: &CompactedList,
) -> bool {
    let has_active = base.flushed_bytes == 0 || found.has_active;
    let mut appended = found.sealed.iter().filter(|name| name.generation == 0);
    let first_appended =
        appended.next().map_or(base.segment_base_offset, |name| name.base_offset.0);
    // Segments may be missing at the front, below the log's start; never all of them.
    let reaches_start = match found.sealed.first() {
        _ if base.log_start < list.end.0 => first_appended == list.end.0,
        Some(first) => {
            let first = first.base_offset.0;
            first <= base.log_start || found.sealed.len() == 1 && first == 0
        }
        None => base.segment_base_offset <= base.log_start,
    };
    let has_entries = match last_record {
        None => base.entries_count == 0,
        Some(last) => {
            last.index.0 + 1 == base.entries_count
                && last.next_offset.0 == base.next_offset
                && last.leader_epoch.0 == base.last_epoch
        }
    };
    has_active && found.has_compacted && reaches_start && has_entries
}

async fn read_last_record(records: &mut Records, entries_count: u64) -> io::Result<Option<Entry>> {
    let Some(last) = entries_count.checked_sub(1) else { return Ok(None) };
    let last = unless_damaged(records.read(last, entries_count).await)?;
    Ok(last.and_then(|last| last.into_iter().next()))
}

/// What was read; none if it is not there or not what was written, which concerns one log only.
fn unless_damaged<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Ok(None)
            }
            _ => Err(error),
        },
    }
}

async fn read_applied(directory: &std::path::Path, count: u64) -> io::Result<Bytes> {
    let path = applied_path(directory, count);
    let bytes = whole_file::read(&path).await?;
    applied::decode(&bytes).ok_or_else(|| whole_file::damaged(&path))
}
