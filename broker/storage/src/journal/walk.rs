//! Reading a stream back: from the replay position as far as its commits go.
//!
//! The numbers in parentheses are the rules of `FORMAT.md`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;

use bytes::Bytes;
use runtime::BLOCK_SIZE_BYTES;
use runtime::sim::{PlantedBug, has_bug};

use super::ring::JournalFile;
use crate::Durability;
use crate::error::{Corruption, StartError};
use crate::format::commit::{CommitHeader, FLAG_CARRY, FLAG_CARRY_BEGINS, HEADER_SIZE_BYTES};
use crate::format::frame::{Content, Frame, Frames};
use crate::format::superblock::{Position, StreamRecord, Superblock};
use crate::options::StoreOptions;

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;
/// Reads in flight when whole files are read.
const READS_COUNT: usize = 4;

/// A frame of the journal, with its payload.
#[derive(Clone, Debug)]
pub(crate) struct WalkedFrame {
    pub(crate) frame: Frame,
    pub(crate) content: Content,
    /// Begins at a multiple of 8 bytes in memory.
    pub(crate) payload: Bytes,
}

/// How far a stream goes, and what is in it.
pub(crate) struct Walk {
    pub(crate) frames: Vec<WalkedFrame>,
    /// Where the next commit would have been.
    pub(crate) end: Position,
    /// Where the last complete carry begins, and its mark.
    pub(crate) carry: Option<(Position, Position)>,
    /// Position of every commit that was read, in order.
    commits: Vec<Position>,
    /// Header checksums of the same commits.
    checksums: Vec<u32>,
    /// The stream does not end where it should.
    pub(crate) corruption: Option<Corruption>,
}

/// What a walk needs to know.
pub(crate) struct Walker<'a> {
    pub(crate) stream: Durability,
    pub(crate) files: &'a [JournalFile],
    pub(crate) options: &'a StoreOptions,
    pub(crate) superblock: &'a Superblock,
    /// The machine has lost what was not flushed since this stream was written.
    pub(crate) is_lost: bool,
    window: RefCell<Option<Window>>,
}

/// Bytes of a file that were read together.
struct Window {
    file: u32,
    position: u64,
    bytes: Bytes,
}

/// A whole commit.
struct FoundCommit {
    header: CommitHeader,
    crc: u32,
    bytes: Bytes,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(
        stream: Durability,
        files: &'a [JournalFile],
        options: &'a StoreOptions,
        superblock: &'a Superblock,
        is_lost: bool,
    ) -> Walker<'a> {
        Walker { stream, files, options, superblock, is_lost, window: RefCell::new(None) }
    }

    /// Rules 6.4 and 6.5.
    pub(crate) async fn walk(&self) -> Result<Walk, StartError> {
        let record = self.record();
        let mut walk = Walk { end: record.replay_from, ..Walk::of(Vec::new()) };
        let mut carry_begins = None;
        while let Some((position, commit)) = self.find_next(&walk.end).await? {
            if let Err(at) = self.read_frames(&commit, &mut walk.frames) {
                walk.corruption = Some(self.corruption(
                    &position,
                    format!("commit {} has no valid frame at byte {at}", position.sequence),
                ));
                break;
            }
            if commit.header.flags & FLAG_CARRY_BEGINS != 0 {
                carry_begins = Some(position);
            }
            if commit.header.flags & FLAG_CARRY != 0
                && let Some(begins) = carry_begins.take()
                && let Some(Content::Mark(mark)) = walk.frames.last().map(|frame| frame.content)
            {
                walk.carry = Some((begins, mark));
            }
            walk.commits.push(position);
            walk.checksums.push(commit.crc);
            walk.end = Position {
                block: position.block + commit.header.blocks_count,
                sequence: position.sequence + 1,
                previous_crc: commit.crc,
                ..position
            };
        }
        if walk.corruption.is_none() {
            walk.corruption = self.missing_file();
        }
        if walk.corruption.is_none() {
            walk.corruption = self.judge_end(&walk.end).await?;
        }
        if has_bug(PlantedBug::TruncateOnAnyBadCommit) {
            walk.corruption = None;
        }
        Ok(walk)
    }

    /// A file of the ring that is not there, as far as that can be told: they are numbered without
    /// gaps, and the one with the replay position is among them (6.5).
    fn missing_file(&self) -> Option<Corruption> {
        let replay_from = self.record().replay_from;
        let has = |number| self.files.iter().any(|file| file.number == number);
        let last = self.files.iter().map(|file| file.number).max();
        let up_to = last.map_or(replay_from.file, |last| last.max(replay_from.file));
        let missing = (0..=up_to).find(|number| !has(*number))?;
        let what = format!("file {missing} of the {:?} stream is not there", self.stream);
        Some(self.corruption(&replay_from, what))
    }

    fn record(&self) -> StreamRecord {
        self.superblock.streams[super::index(self.stream)]
    }

    /// The commit that continues the chain: at the next block, or at the start of another file.
    async fn find_next(
        &self,
        expected: &Position,
    ) -> Result<Option<(Position, FoundCommit)>, StartError> {
        if let Some(file) = self.files.iter().find(|file| file.number == expected.file)
            && let Some(commit) = self.read_commit(file, expected).await?
        {
            return Ok(Some((*expected, commit)));
        }
        // S1 names the next file in the ring, but a ring that has grown meanwhile has another next
        // one. The sequence and the chain admit one commit only, so looking everywhere is safe.
        for file in self.files {
            let generation = expected.generation + 1;
            let position = Position { file: file.number, block: 0, generation, ..*expected };
            if let Some(commit) = self.read_commit(file, &position).await? {
                return Ok(Some((position, commit)));
            }
        }
        Ok(None)
    }

    /// The whole commit at this position, if it is the expected one (6.4; its generation S4).
    async fn read_commit(
        &self,
        file: &JournalFile,
        expected: &Position,
    ) -> Result<Option<FoundCommit>, StartError> {
        if self.options.file_blocks() <= expected.block {
            return Ok(None);
        }
        let position = u64::from(expected.block) * BLOCK_SIZE_BYTES as u64;
        // At the end of the chain this looks at every file, of which the next needs one block.
        let first = match expected.block {
            0 => {
                let first = file.file.read_up_to(0, BLOCK_SIZE_BYTES).await;
                first.map_err(|source| self.failed(file, source))?.freeze()
            }
            _ => self.read(file, position, BLOCK_SIZE_BYTES).await?,
        };
        let Some((header, crc)) = self.decode(file, &first)? else { return Ok(None) };
        let is_next = header.stream == self.stream
            && header.directory_id == self.superblock.directory_id
            && header.journal == self.superblock.journal
            && header.generation == expected.generation
            && header.sequence == expected.sequence
            && header.previous_crc == expected.previous_crc;
        // At or above the known tail only the last process can have written: an older one's commit
        // here was taken for torn before, and its place may be in use.
        let is_of_last_start =
            header.start == self.superblock.start && header.salt == self.superblock.salt;
        if !is_next || (self.record().known_tail <= header.sequence && !is_of_last_start) {
            return Ok(None);
        }
        self.read_body(file, position, header, crc).await
    }

    async fn read_body(
        &self,
        file: &JournalFile,
        position: u64,
        header: CommitHeader,
        crc: u32,
    ) -> Result<Option<FoundCommit>, StartError> {
        let size_bytes = header.blocks_count as usize * BLOCK_SIZE_BYTES;
        let end = position + size_bytes as u64;
        if header.blocks_count == 0
            || self.options.commit_blocks_max() < header.blocks_count
            || self.options.journal_file_bytes < end
        {
            return Ok(None);
        }
        let bytes = self.read(file, position, size_bytes).await?;
        if bytes.len() < size_bytes
            || crc32fast::hash(&bytes[HEADER_SIZE_BYTES..]) != header.body_crc
        {
            return Ok(None);
        }
        Ok(Some(FoundCommit { header, crc, bytes }))
    }

    /// What it means that the chain goes no further (rule 6.5).
    async fn judge_end(&self, end: &Position) -> Result<Option<Corruption>, StartError> {
        // a. What the machine has lost ends anywhere.
        if self.stream == Durability::Relaxed && self.is_lost {
            return Ok(None);
        }
        // b. A commit that is known to have been complete is not there.
        let known_tail = self.record().known_tail;
        if end.sequence < known_tail {
            let what = format!(
                "commit {} is not there or not whole, though all below {known_tail} were complete",
                end.sequence
            );
            return Ok(Some(self.corruption(end, what)));
        }
        // After a clean stop nothing was written beyond the known tail.
        if self.superblock.is_clean {
            return Ok(None);
        }
        // c. A later commit is there: each is written only after the one before is complete.
        for file in self.files {
            if let Some(sequence) = self.find_later(file, end).await? {
                let what = format!(
                    "commit {} is not there or not whole, but commit {sequence} is in {}",
                    end.sequence,
                    file.path.display()
                );
                return Ok(Some(self.corruption(end, what)));
            }
        }
        // d. Torn, or never written.
        Ok(None)
    }

    /// The sequence of a whole commit of the last process after the stream's end, in this file.
    async fn find_later(
        &self,
        file: &JournalFile,
        end: &Position,
    ) -> Result<Option<u64>, StartError> {
        let mut reads = VecDeque::new();
        let mut next_read = 0;
        let file_bytes = self.options.journal_file_bytes;
        while next_read < file_bytes || !reads.is_empty() {
            while next_read < file_bytes && reads.len() < READS_COUNT {
                let size_bytes =
                    READ_BYTES.min(usize::try_from(file_bytes - next_read).expect("small"));
                let (opened, position) = (file.file.clone(), next_read);
                // Started now, awaited in order.
                let read = runtime::spawn(async move {
                    (position, opened.read_up_to(position, size_bytes).await)
                });
                reads.push_back(read);
                next_read += size_bytes as u64;
            }
            let (position, buf) = reads.pop_front().expect("just filled").await;
            let buf = buf.map_err(|source| self.failed(file, source))?;
            for (block, at) in
                buf.chunks(BLOCK_SIZE_BYTES).zip((position..).step_by(BLOCK_SIZE_BYTES))
            {
                let Some((header, crc)) = self.decode(file, block)? else { continue };
                let is_later = header.stream == self.stream
                    && header.directory_id == self.superblock.directory_id
                    && header.journal == self.superblock.journal
                    && header.start == self.superblock.start
                    && header.salt == self.superblock.salt
                    && end.sequence < header.sequence
                    && end.generation <= header.generation;
                if !is_later {
                    continue;
                }
                if self.read_body(file, at, header, crc).await?.is_some() {
                    return Ok(Some(header.sequence));
                }
            }
        }
        Ok(None)
    }

    fn read_frames(&self, commit: &FoundCommit, into: &mut Vec<WalkedFrame>) -> Result<(), usize> {
        let body = commit.bytes.slice(HEADER_SIZE_BYTES..);
        let before = into.len();
        for frame in Frames::new(&body, commit.header.frames_count) {
            match frame {
                Ok((frame, payload)) => into.push(WalkedFrame {
                    content: frame.content(),
                    frame,
                    payload: body.slice(payload),
                }),
                Err(bad) => {
                    into.truncate(before);
                    return Err(bad.at);
                }
            }
        }
        Ok(())
    }

    fn decode(
        &self,
        file: &JournalFile,
        block: &[u8],
    ) -> Result<Option<(CommitHeader, u32)>, StartError> {
        CommitHeader::decode(block)
            .map_err(|source| StartError::Newer { path: file.path.clone(), source })
    }

    /// Bytes of a file, as many as there are. Commits stand one after another and are small, so
    /// more is read than asked for and kept for the next.
    async fn read(
        &self,
        file: &JournalFile,
        position: u64,
        size_bytes: usize,
    ) -> Result<Bytes, StartError> {
        if let Some(window) = &*self.window.borrow()
            && window.file == file.number
            && let Some(start) = position.checked_sub(window.position)
        {
            let start = usize::try_from(start).expect("a file fits into memory");
            if start + size_bytes <= window.bytes.len() {
                return Ok(window.bytes.slice(start..start + size_bytes));
            }
        }
        let left = usize::try_from(self.options.journal_file_bytes - position).expect("as above");
        let read_bytes = size_bytes.max(READ_BYTES).min(left);
        let read = file.file.read_up_to(position, read_bytes).await;
        let bytes = read.map_err(|source| self.failed(file, source))?.freeze();
        let wanted = bytes.slice(..size_bytes.min(bytes.len()));
        *self.window.borrow_mut() = Some(Window { file: file.number, position, bytes });
        Ok(wanted)
    }

    fn failed(&self, file: &JournalFile, source: std::io::Error) -> StartError {
        StartError::Io { action: "read", path: file.path.clone(), source }
    }

    fn corruption(&self, at: &Position, what: String) -> Corruption {
        let path = self.files.iter().find(|file| file.number == at.file);
        let path = path.map_or_else(PathBuf::new, |file| file.path.clone());
        Corruption { journal: self.superblock.journal, path, what }
    }
}

impl Walk {
    /// Nothing but frames, as if they had been read.
    pub(crate) fn of(frames: Vec<WalkedFrame>) -> Walk {
        Walk {
            frames,
            end: Position::default(),
            carry: None,
            commits: Vec::new(),
            checksums: Vec::new(),
            corruption: None,
        }
    }

    /// Whether a mark's previous commit is among those that were read, so that recovery may begin
    /// at the mark next time (rule 6.11).
    pub(crate) fn contains_mark(&self, mark: &Position) -> bool {
        let before = mark.sequence.checked_sub(1);
        self.commits.iter().zip(&self.checksums).any(|(commit, checksum)| {
            Some(commit.sequence) == before && *checksum == mark.previous_crc
        })
    }

    /// The last commit that was read, and how many blocks it has.
    pub(crate) fn last_commit(&self) -> Option<(Position, u32)> {
        self.commits.last().map(|last| (*last, self.end.block - last.block))
    }

    /// The files from a position on, oldest first, each with its generation.
    pub(crate) fn files_from(&self, position: &Position) -> VecDeque<(u32, u64)> {
        let mut used = VecDeque::from([(position.file, position.generation)]);
        for commit in self.commits.iter().chain([&self.end]) {
            let last = used.back().expect("begins with one");
            if last.1 < commit.generation {
                used.push_back((commit.file, commit.generation));
            }
        }
        used
    }
}
