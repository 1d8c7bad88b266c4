//! One stream of the journal: commits gathered, placed in the ring of files, and written one at a
//! time.
//!
//! The numbers in parentheses are the rules of `FORMAT.md`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use runtime::sim::{PlantedBug, has_bug};
use runtime::sync::oneshot;
use runtime::{AlignedBuf, BLOCK_SIZE_BYTES, File, WriteMode};

use super::ring::{JournalFile, RecoveredStream};
use super::{Journal, Note};
use crate::Durability;
use crate::format::commit::{
    CommitHeader, FLAG_CARRY, FLAG_CARRY_BEGINS, FLAG_SEAL, HEADER_SIZE_BYTES,
};
use crate::format::frame::{Content, Frame, room_bytes};
use crate::format::superblock::Position;
use crate::options::StoreOptions;

/// The durable stream is sealed after this long without a commit (W10).
const SEAL_AFTER: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitKind {
    Ordinary,
    /// A part of a carry. The first one is where recovery will begin, the last one is flagged.
    Carry {
        is_first: bool,
        is_last: bool,
    },
    /// Empty: gives the last commit a valid successor.
    Seal,
}

impl CommitKind {
    fn flags(self) -> u8 {
        match self {
            CommitKind::Ordinary => 0,
            CommitKind::Seal => FLAG_SEAL,
            CommitKind::Carry { is_first, is_last } => {
                (if is_first { FLAG_CARRY_BEGINS } else { 0 })
                    | (if is_last { FLAG_CARRY } else { 0 })
            }
        }
    }
}

/// A commit that is being gathered.
pub(super) struct OpenCommit {
    kind: CommitKind,
    /// Begins with room for the header.
    buf: AlignedBuf,
    frames_count: u32,
    records_count: u64,
    notes: Vec<Note>,
    /// The frames in it that say where a partition no longer is: a carry does not repeat those.
    left_frames: Vec<Frame>,
}

impl OpenCommit {
    fn new(kind: CommitKind) -> OpenCommit {
        let buf = AlignedBuf::zeroed(HEADER_SIZE_BYTES);
        let (notes, left_frames) = (Vec::new(), Vec::new());
        OpenCommit { kind, buf, frames_count: 0, records_count: 0, notes, left_frames }
    }

    fn push(&mut self, frame: &Frame, payload: &[&[u8]]) {
        frame.encode(payload, &mut self.buf);
        self.frames_count += 1;
        match frame.content() {
            Content::Entry(entry) => {
                self.records_count += entry.batch().map_or(0, |batch| batch.offsets_count.into());
            }
            Content::Left => self.left_frames.push(*frame),
            Content::Vote(_) | Content::Truncate { .. } | Content::Base | Content::Mark(_) => {}
        }
    }

    /// Adds a note. Of the entries of one log the last note covers all.
    fn note(&mut self, note: Note) {
        if let (Some(last), Note::Entries { log, .. }) = (self.notes.last_mut(), &note)
            && matches!(last, Note::Entries { log: of, .. } if Rc::ptr_eq(of, log))
        {
            *last = note;
            return;
        }
        self.notes.push(note);
    }

    fn blocks_count(&self) -> u32 {
        u32::try_from(self.buf.len().div_ceil(BLOCK_SIZE_BYTES)).expect("commits are bounded")
    }
}

struct State {
    files: Vec<JournalFile>,
    /// Where the next commit goes if it fits into the file.
    at: Position,
    /// Files that recovery would read, oldest first, with their generations; the last is `at`'s.
    used: VecDeque<(u32, u64)>,
    /// The other files, in the order in which they will be used (S1).
    free: VecDeque<u32>,
    queue: VecDeque<OpenCommit>,
    /// The commit that is being written (W1).
    in_flight: Option<InFlight>,
    /// Every commit below this sequence is complete.
    known_tail: u64,
    is_sealed: bool,
    reserve_blocks: u32,
    /// Where the relaxed stream stood when the carry in the queue was gathered.
    mark: Option<Position>,
    /// Where the carry that is being written begins.
    carry_begins: Option<Position>,
    /// The last complete carry: its first commit, and its mark.
    carry: Option<(Position, Position)>,
    /// Blocks of commits that recovery would read.
    replay_blocks: u64,
    /// Frames were pushed since the last carry was gathered.
    is_dirty: bool,
}

/// A commit that is being written, and who hears of its completion.
struct InFlight {
    sequence: u64,
    notes: Vec<Note>,
}

pub(super) struct Stream {
    durability: Durability,
    file_blocks: u32,
    commit_blocks_max: u32,
    state: RefCell<State>,
}

/// A commit on its way to the disk.
struct Issued {
    kind: CommitKind,
    sequence: u64,
    records_count: u64,
    file: Rc<File>,
    path: PathBuf,
    position: u64,
    data: Bytes,
}

struct Placement {
    position: Position,
    is_next_file: bool,
}

impl Stream {
    pub(super) fn new(
        durability: Durability,
        options: &StoreOptions,
        recovered: RecoveredStream,
    ) -> Stream {
        let RecoveredStream { files, at, used, free, replay_blocks } = recovered;
        Stream {
            durability,
            file_blocks: options.file_blocks(),
            commit_blocks_max: options.commit_blocks_max(),
            state: RefCell::new(State {
                files,
                at,
                used,
                free,
                queue: VecDeque::new(),
                in_flight: None,
                known_tail: at.sequence,
                is_sealed: true,
                reserve_blocks: 0,
                mark: None,
                carry_begins: None,
                carry: None,
                replay_blocks,
                is_dirty: true,
            }),
        }
    }

    pub(super) fn push(&self, frame: &Frame, payload: &[&[u8]], note: Option<Note>) {
        let mut state = self.state.borrow_mut();
        let room = room_bytes(frame.size_bytes as usize);
        push_into(&mut state.queue, CommitKind::Ordinary, self.commit_bytes_max(), room);
        state.is_dirty = true;
        let open = state.queue.back_mut().expect("just made");
        open.push(frame, payload);
        if let Some(note) = note {
            open.note(note);
        }
    }

    /// Adds a waiter to the last commit that is not complete yet, and tells whether there is one.
    pub(super) fn wait_for_last(&self, sender: oneshot::Sender<()>) -> bool {
        let mut state = self.state.borrow_mut();
        let State { queue, in_flight, .. } = &mut *state;
        let last = queue.back_mut().map(|open| &mut open.notes);
        match last.or(in_flight.as_mut().map(|commit| &mut commit.notes)) {
            Some(notes) => notes.push(Note::Waiter(sender)),
            None => return false,
        }
        true
    }

    /// Adds a waiter to the commit that is being written, and tells whether there is one.
    pub(super) fn wait_for_in_flight(&self, sender: oneshot::Sender<()>) -> bool {
        let mut state = self.state.borrow_mut();
        match &mut state.in_flight {
            Some(commit) => commit.notes.push(Note::Waiter(sender)),
            None => return false,
        }
        true
    }

    /// Puts a carry in the place of all commits that wait. What they hold is in the carry, but for
    /// the partitions that have left.
    pub(super) fn push_carry(
        &self,
        build: impl FnOnce(&mut dyn FnMut(&Frame, &[&[u8]], Option<Note>)),
        mark: &Frame,
        note: Note,
    ) {
        let mut state = self.state.borrow_mut();
        assert!(state.mark.is_none() && state.carry_begins.is_none(), "one carry at a time");
        let replaced = std::mem::take(&mut state.queue);
        let mut carry = VecDeque::new();
        let kind = CommitKind::Carry { is_first: false, is_last: false };
        let mut push = |frame: &Frame, payload: &[&[u8]], note: Option<Note>| {
            let room = room_bytes(frame.size_bytes as usize);
            push_into(&mut carry, kind, self.commit_bytes_max(), room);
            let open = carry.back_mut().expect("just made");
            open.push(frame, payload);
            if let Some(note) = note {
                open.note(note);
            }
        };
        build(&mut push);
        for frame in replaced.iter().flat_map(|commit| &commit.left_frames) {
            push(frame, &[], None);
        }
        push(mark, &[], Some(note));
        let last = carry.back_mut().expect("the mark is in it");
        last.kind = CommitKind::Carry { is_first: false, is_last: true };
        for note in replaced.into_iter().flat_map(|commit| commit.notes) {
            last.note(note);
        }
        let first = carry.front_mut().expect("the mark is in it");
        if let CommitKind::Carry { is_first, .. } = &mut first.kind {
            *is_first = true;
        }
        let Content::Mark(mark) = mark.content() else { unreachable!("made by `Frame::mark`") };
        state.mark = Some(mark);
        state.queue = carry;
        state.is_dirty = false;
    }

    /// A carry was gathered that holds all that was pushed here.
    pub(super) fn note_carry(&self) {
        self.state.borrow_mut().is_dirty = false;
    }

    pub(super) fn position(&self) -> Position {
        self.state.borrow().at
    }

    pub(super) fn carry_start(&self) -> Option<(Position, Position)> {
        self.state.borrow().carry
    }

    pub(super) fn known_tail(&self) -> u64 {
        self.state.borrow().known_tail
    }

    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.borrow();
        state.queue.is_empty() && state.in_flight.is_none()
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.state.borrow().queue.iter().map(|commit| commit.buf.len()).sum()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.state.borrow().is_dirty
    }

    pub(super) fn replay_bytes(&self) -> u64 {
        self.state.borrow().replay_blocks * BLOCK_SIZE_BYTES as u64
    }

    pub(super) fn set_reserve(&self, reserve_blocks: u32) {
        self.state.borrow_mut().reserve_blocks = reserve_blocks;
    }

    pub(super) fn files_count(&self) -> u32 {
        u32::try_from(self.state.borrow().files.len()).expect("few files")
    }

    pub(super) fn files(&self) -> Vec<(PathBuf, Rc<File>)> {
        let state = self.state.borrow();
        state.files.iter().map(|file| (file.path.clone(), file.file.clone())).collect()
    }

    pub(super) fn add_file(&self, file: JournalFile) {
        let mut state = self.state.borrow_mut();
        state.free.push_back(file.number);
        state.files.push(file);
    }

    /// The files before this position are not needed any more (rule 4.7).
    pub(super) fn free_before(&self, position: &Position) {
        let mut state = self.state.borrow_mut();
        while let Some((file, generation)) = state.used.front().copied()
            && generation < position.generation
        {
            state.used.pop_front();
            state.free.push_back(file);
        }
        let first = state.used.front().copied();
        assert_eq!(first, Some((position.file, position.generation)), "files are used in order");
        let files_after = u64::try_from(state.used.len() - 1).expect("few files");
        state.replay_blocks = files_after * u64::from(self.file_blocks) + u64::from(state.at.block)
            - u64::from(position.block);
    }

    /// The journal has stopped: nobody hears of what waits.
    pub(super) fn abandon(&self) {
        let mut state = self.state.borrow_mut();
        let waiting = (std::mem::take(&mut state.queue), state.in_flight.take());
        drop(state);
        drop(waiting);
    }

    fn commit_bytes_max(&self) -> usize {
        self.commit_blocks_max as usize * BLOCK_SIZE_BYTES
    }

    /// Where a commit of this size goes, if it may be written now.
    fn place(&self, state: &State, kind: CommitKind, blocks_count: u32) -> Option<Placement> {
        let at = state.at;
        let rest_here = self.file_blocks.checked_sub(at.block + blocks_count);
        let (position, rest, free_count) = match (rest_here, state.free.front()) {
            (Some(rest), _) => (at, rest, state.free.len()),
            (None, Some(next)) => {
                let generation = at.generation + 1;
                let position = Position { file: *next, block: 0, generation, ..at };
                (position, self.file_blocks - blocks_count, state.free.len() - 1)
            }
            (None, None) => return None,
        };
        // S2: without this room left, the carry that would free files could not be written.
        let room = usable_blocks(rest, self.commit_blocks_max)
            + u32::try_from(free_count).expect("few files")
                * usable_blocks(self.file_blocks, self.commit_blocks_max);
        let may_use_reserve = matches!(kind, CommitKind::Carry { .. });
        // S3: the relaxed stream's carry does not need room in it.
        let keeps_reserve = self.durability == Durability::Relaxed || state.reserve_blocks <= room;
        (may_use_reserve || keeps_reserve)
            .then_some(Placement { position, is_next_file: rest_here.is_none() })
    }

    /// Takes the next commit out of the queue and makes it final, if it may be written now.
    fn try_issue(&self, journal: &Journal) -> Option<Issued> {
        let mut state = self.state.borrow_mut();
        if state.in_flight.is_some() {
            return None;
        }
        let front = state.queue.front()?;
        let blocks_count = front.blocks_count();
        let Some(placement) = self.place(&state, front.kind, blocks_count) else {
            journal.pressure.set(true);
            return None;
        };
        let mut commit = state.queue.pop_front().expect("just seen");
        let position = placement.position;
        if placement.is_next_file {
            let file = state.free.pop_front().expect("placed there");
            assert!(
                state.used.iter().all(|(used, _)| *used != file),
                "a file is written again only when the superblock on the medium does not need it"
            );
            state.used.push_back((file, position.generation));
            if state.files.len() < state.used.len() * 2 {
                journal.pressure.set(true);
            }
        }
        commit.buf.pad_to_block();
        let superblock = journal.superblock.get();
        let header = CommitHeader {
            stream: self.durability,
            flags: commit.kind.flags(),
            directory_id: superblock.directory_id,
            journal: superblock.journal,
            start: superblock.start,
            salt: superblock.salt,
            generation: position.generation,
            sequence: position.sequence,
            blocks_count,
            frames_count: commit.frames_count,
            body_crc: crc32fast::hash(&commit.buf[HEADER_SIZE_BYTES..]),
            previous_crc: position.previous_crc,
        };
        let crc = header.encode(&mut commit.buf);
        assert_eq!(position.sequence, state.known_tail, "one commit in flight, without gaps (W1)");
        if let CommitKind::Carry { is_first: true, .. } = commit.kind {
            state.carry_begins = Some(position);
        }
        state.at = Position {
            block: position.block + blocks_count,
            sequence: position.sequence + 1,
            previous_crc: crc,
            ..position
        };
        state.in_flight = Some(InFlight { sequence: position.sequence, notes: commit.notes });
        state.replay_blocks += u64::from(blocks_count);
        let file = state.files.iter().find(|file| file.number == position.file);
        let file = file.expect("a position names a file of the ring");
        Some(Issued {
            kind: commit.kind,
            sequence: position.sequence,
            records_count: commit.records_count,
            file: file.file.clone(),
            path: file.path.clone(),
            position: u64::from(position.block) * BLOCK_SIZE_BYTES as u64,
            data: commit.buf.freeze(),
        })
    }

    /// The commit is complete: whoever was noted hears of it.
    fn complete(&self, issued: &Issued) {
        let mut state = self.state.borrow_mut();
        // The journal may have stopped meanwhile, by an error of another file.
        let Some(in_flight) = state.in_flight.take() else { return };
        assert_eq!(in_flight.sequence, issued.sequence, "this one was in flight");
        state.known_tail = issued.sequence + 1;
        state.is_sealed = issued.kind == CommitKind::Seal;
        if let CommitKind::Carry { is_last: true, .. } = issued.kind {
            let begins = state.carry_begins.take().expect("noted when it was issued");
            let mark = state.mark.take().expect("noted when it was gathered");
            state.carry = Some((begins, mark));
        }
        drop(state);
        for note in in_flight.notes {
            match note {
                Note::Entries { log, end, truncations_count } => {
                    log.note_flushed(end, truncations_count);
                }
                Note::Vote { log, leader_epoch } => log.note_vote_completed(leader_epoch),
                Note::Base { log, base_number } => log.note_base_completed(base_number),
                Note::Waiter(sender) => sender.send(()),
            }
        }
    }

    /// Gathers a seal if the stream needs one now.
    fn push_seal(&self) {
        let mut state = self.state.borrow_mut();
        if !state.is_sealed && state.queue.is_empty() && state.in_flight.is_none() {
            let placed = self.place(&state, CommitKind::Seal, 1).is_some();
            if placed {
                state.queue.push_back(OpenCommit::new(CommitKind::Seal));
            } else {
                // Full up to the reserve: the checkpoint that is due will do as a successor.
                state.is_sealed = true;
            }
        }
    }

    fn needs_seal(&self) -> bool {
        self.durability == Durability::Durable && !self.state.borrow().is_sealed
    }
}

/// Makes sure that the last commit of the queue is of this kind and has this much room.
fn push_into(
    queue: &mut VecDeque<OpenCommit>,
    kind: CommitKind,
    commit_bytes_max: usize,
    room_bytes: usize,
) {
    assert!(HEADER_SIZE_BYTES + room_bytes <= commit_bytes_max, "a frame fits into a commit");
    let has_room = queue
        .back()
        .is_some_and(|open| open.kind == kind && open.buf.len() + room_bytes <= commit_bytes_max);
    if !has_room {
        queue.push_back(OpenCommit::new(kind));
    }
}

/// What a run of free blocks holds at least, whatever the sizes of the commits in it: the last one
/// may not fit by a block.
pub(super) fn usable_blocks(blocks_count: u32, commit_blocks_max: u32) -> u32 {
    (blocks_count + 1).saturating_sub(commit_blocks_max)
}

impl Journal {
    /// Writes the commits of one stream, each after the one before is complete, until the journal
    /// stops. One task per stream.
    pub(crate) async fn run(self: Rc<Journal>, durability: Durability) {
        let stream = self.stream(durability);
        while self.check().is_ok() {
            let next = self.changed[super::index(durability)].wait_for(|()| {
                if self.check().is_err() { Some(None) } else { stream.try_issue(&self).map(Some) }
            });
            let issued = if stream.needs_seal() && !self.is_draining.get() {
                match runtime::timeout(SEAL_AFTER, next).await {
                    Ok(issued) => issued,
                    Err(runtime::TimedOut) => {
                        if !self.is_draining.get() {
                            stream.push_seal();
                        }
                        continue;
                    }
                }
            } else {
                next.await
            };
            let Some(issued) = issued else { return };
            let since = runtime::now();
            let data = issued.data.clone();
            #[cfg(test)]
            self.trace.borrow_mut().push(super::Traced::Submitted(durability, data.clone()));
            if has_bug(PlantedBug::AcknowledgeBeforeFlush) {
                stream.complete(&issued);
            }
            let written = match durability {
                Durability::Durable => {
                    self.write_durably(&issued.file, data, issued.position).await
                }
                Durability::Relaxed => {
                    issued.file.write_all_at(data, issued.position, WriteMode::Cached).await
                }
            };
            #[cfg(test)]
            if written.is_ok() {
                self.trace.borrow_mut().push(super::Traced::Completed(durability));
            }
            match written {
                // W2: whoever waits hears of it now, and not before.
                Ok(()) => {
                    let bytes_count = issued.data.len() as u64;
                    let took = runtime::now() - since;
                    self.metrics.note_commit(durability, bytes_count, issued.records_count, took);
                    stream.complete(&issued);
                }
                Err(source) => {
                    self.stop("write", &issued.path, source);
                }
            }
        }
    }
}
