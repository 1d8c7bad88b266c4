//! Moving a log's committed bytes from memory to its files, off the way of any acknowledgement.
//!
//! The numbers in parentheses are the rules of `FORMAT.md`.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use model::Offset;
use runtime::{File, OpenOptions, WriteMode};

use super::segment::{Segment, SegmentName};
use super::tail::{CHUNK_BYTES, Ordinal, Place};
use super::{Log, Point, State, whole_file};
use crate::error::{JournalStopped, is_disk_full};
use crate::format::applied;
use crate::format::entry::{Entry, RECORD_SIZE_BYTES, encode_record};
use crate::journal::recovery::remove_dir_and_files;

/// Records of `entries` written at a time.
const RECORDS_BYTES_MAX: usize = 1 << 20;

/// Ends the name of a partition's directory that is being removed.
pub(crate) const DELETED: &str = "deleted";

/// What to do next to a log's segments.
enum Step {
    Nothing,
    Write {
        ordinal: Ordinal,
        position: u64,
        end: u64,
        bytes: Bytes,
    },
    /// Every byte is written: cut the file to its size.
    Complete {
        ordinal: Ordinal,
        end_bytes: u64,
    },
}

/// A part of a segment that may be written.
struct Unwritten {
    ordinal: Ordinal,
    position: u64,
    limit: u64,
    /// Up to the segment's end, after which nothing follows in it.
    is_whole: bool,
}

impl Log {
    /// Asks for full chunks to be written, if there are any.
    pub(super) fn queue_for_writing(self: &Rc<Log>, state: &mut State) {
        if state.is_queued_for_writing {
            return;
        }
        let unwritten = self.unwritten(state);
        let is_worth_it = unwritten
            .is_some_and(|part| part.is_whole || CHUNK_BYTES as u64 <= part.limit - part.position);
        if is_worth_it {
            state.is_queued_for_writing = true;
            self.shared.queue_for_writing(self.clone());
            if !std::mem::replace(&mut state.is_queued_for_eviction, true) {
                self.shared.queue_for_eviction(self);
            }
        }
    }

    /// Writes the full chunks that are committed, one piece after another (W6).
    pub(crate) async fn write_full_chunks(self: &Rc<Log>) -> Result<(), JournalStopped> {
        self.state.borrow_mut().is_queued_for_writing = false;
        let _turn = self.writing.take(1).await;
        self.write_segments(false).await
    }

    /// Rules 4.1 to 4.3: writes and flushes what is committed now. Returns the
    /// directories whose names have to be flushed.
    pub(crate) async fn flush(
        self: &Rc<Log>,
        directories: &mut BTreeSet<PathBuf>,
    ) -> Result<(), JournalStopped> {
        let _turn = self.writing.take(1).await;
        self.write_segments(true).await?;
        self.flush_segments().await?;
        self.write_entries().await?;
        self.shared.evict_tails();
        let mut state = self.state.borrow_mut();
        if std::mem::take(&mut state.has_new_names) {
            // The data directory, the topics', the topic's and the partition's.
            for directory in self.directory.ancestors().take(4) {
                directories.insert(directory.to_owned());
            }
        }
        self.recount_late_bytes(&mut state);
        Ok(())
    }

    async fn write_segments(self: &Rc<Log>, even_partial: bool) -> Result<(), JournalStopped> {
        loop {
            let step = self.next_step(&self.state.borrow(), even_partial);
            match step {
                Step::Nothing => return Ok(()),
                Step::Write { ordinal, position, end, bytes } => {
                    self.shared.journal.check()?;
                    let Some(file) = self
                        .open_writer(ordinal)
                        .await
                        .map_err(|source| self.stop("open a segment in", source))?
                    else {
                        return Ok(());
                    };
                    let size_bytes = bytes.len() as u64;
                    file.write_all_at(bytes, position, WriteMode::Cached)
                        .await
                        .map_err(|source| self.stop("write a segment in", source))?;
                    self.shared.metrics.segment_bytes.add(size_bytes);
                    let mut state = self.state.borrow_mut();
                    let committed = state.committed.place;
                    assert!(
                        Place { segment: ordinal, position: end } <= committed,
                        "segments hold committed bytes only (W6)"
                    );
                    let segment = state.segment_mut(ordinal).expect("not sealed, so still there");
                    assert_eq!(segment.written_bytes, position, "one piece in flight (W6)");
                    segment.written_bytes = end;
                    segment.allocated_bytes = segment.allocated_bytes.max(position + size_bytes);
                }
                Step::Complete { ordinal, end_bytes } => self.complete(ordinal, end_bytes).await?,
            }
        }
    }

    fn next_step(&self, state: &State, even_partial: bool) -> Step {
        let Some(unwritten) = self.unwritten(state) else { return Step::Nothing };
        let Unwritten { ordinal, position, limit, is_whole } = unwritten;
        if is_whole && position == limit {
            return Step::Complete { ordinal, end_bytes: limit };
        }
        match state.tail.piece(ordinal, position, limit, even_partial || is_whole) {
            None => Step::Nothing,
            Some((bytes, end)) => Step::Write { ordinal, position, end, bytes },
        }
    }

    /// What of the first segment that is not complete may be written now, if anything: only
    /// committed bytes, and whole blocks until the segment's end is known (W6).
    fn unwritten(&self, state: &State) -> Option<Unwritten> {
        if state.has_moved || state.has_left {
            return None;
        }
        let segment = state.segments.iter().find(|segment| !segment.is_complete)?;
        let (ordinal, position) = (segment.ordinal, segment.written_bytes);
        let committed = state.committed.place;
        let is_last = state.segment_after(ordinal).is_none();
        let is_committed = ordinal < committed.segment
            || (ordinal == committed.segment && committed.position == segment.end());
        if is_committed && !is_last {
            return Some(Unwritten { ordinal, position, limit: segment.end(), is_whole: true });
        }
        if ordinal != committed.segment {
            return None;
        }
        let limit = runtime::round_down_to_block(committed.position);
        (position < limit).then_some(Unwritten { ordinal, position, limit, is_whole: false })
    }

    /// Cuts a segment to its size and keeps its index beside it.
    async fn complete(
        self: &Rc<Log>,
        ordinal: Ordinal,
        end_bytes: u64,
    ) -> Result<(), JournalStopped> {
        let Some(file) = self
            .open_writer(ordinal)
            .await
            .map_err(|source| self.stop("open a segment in", source))?
        else {
            return Ok(());
        };
        // The file must not grow any more when it is cut.
        let is_allocated = || self.state.borrow().allocating != Some(ordinal);
        self.shared.wait_until(|| is_allocated().then_some(())).await?;
        file.truncate(end_bytes).await.map_err(|source| self.stop("cut a segment in", source))?;
        let index = {
            let mut state = self.state.borrow_mut();
            let segment = state.segment_mut(ordinal).expect("not sealed, so still there");
            segment.is_complete = true;
            (segment.indexed_from == 0)
                .then(|| (segment.name(), segment.index.encode(segment.base_offset, end_bytes)))
        };
        if let Some((name, bytes)) = index {
            self.keep_index(name, bytes).await;
        }
        Ok(())
    }

    /// Writes an index beside its segment. A cache: its loss costs a scan, so a failure is only told.
    pub(super) async fn keep_index(&self, name: SegmentName, bytes: Vec<u8>) {
        if let Err(error) = self.write_index(name, bytes).await {
            let (partition, base_offset) = (self.partition, name.base_offset);
            tracing::warn!(%partition, %base_offset, %error, "an index was not written");
        }
    }

    async fn write_index(&self, name: SegmentName, bytes: Vec<u8>) -> io::Result<()> {
        let path = name.index_path(&self.directory);
        let file = File::open(&path, OpenOptions::CREATE).await?;
        file.truncate(bytes.len() as u64).await?;
        file.write_all_at(Bytes::from(bytes), 0, WriteMode::Cached).await
    }

    /// Flushes every segment with bytes that are not flushed yet. What is written meanwhile is not
    /// covered (4.1, 4.2).
    async fn flush_segments(self: &Rc<Log>) -> Result<(), JournalStopped> {
        loop {
            let next = {
                let state = self.state.borrow();
                state
                    .segments
                    .iter()
                    .find(|segment| {
                        !segment.is_sealed
                            && (segment.is_complete
                                || segment.flushed_bytes < segment.written_bytes)
                    })
                    .map(|segment| (segment.ordinal, segment.written_bytes, segment.is_complete))
            };
            let Some((ordinal, written_bytes, is_complete)) = next else { return Ok(()) };
            let Some(file) = self
                .open_writer(ordinal)
                .await
                .map_err(|source| self.stop("open a segment in", source))?
            else {
                return Ok(());
            };
            self.sync(&file).await?;
            let mut state = self.state.borrow_mut();
            let segment = state.segment_mut(ordinal).expect("not sealed, so still there");
            if is_complete {
                segment.is_sealed = true;
                segment.flushed_bytes = segment.end();
                segment.close();
            } else {
                segment.flushed_bytes = written_bytes;
            }
            assert!(segment.flushed_bytes <= segment.written_bytes, "flushed was written");
        }
    }

    /// Writes the records of committed entries and flushes them (4.3).
    async fn write_entries(self: &Rc<Log>) -> Result<(), JournalStopped> {
        let (from, upto) = {
            let state = self.state.borrow();
            (state.entries_written, state.committed)
        };
        let flushed = self.state.borrow().entries_flushed.count;
        if flushed == upto.count {
            return Ok(());
        }
        // Not kept open: with many partitions that would be many files.
        let file =
            self.open_entries().await.map_err(|source| self.stop("open the entries in", source))?;
        let mut written = from;
        while written < upto.count {
            let mut records = Vec::new();
            for entry in self.recent_range(&self.state.borrow(), written..upto.count) {
                records.extend_from_slice(&encode_record(&entry));
                if RECORDS_BYTES_MAX <= records.len() {
                    break;
                }
            }
            let count = (records.len() / RECORD_SIZE_BYTES) as u64;
            let position = written * RECORD_SIZE_BYTES as u64;
            file.write_all_at(Bytes::from(records), position, WriteMode::Cached)
                .await
                .map_err(|source| self.stop("write the entries in", source))?;
            written += count;
        }
        self.state.borrow_mut().entries_written = upto.count;
        self.sync(&file).await?;
        self.write_applied(&upto).await?;
        self.state.borrow_mut().entries_flushed = upto;
        Ok(())
    }

    /// Keeps what was applied in a file, when so much was appended that a restart would have to
    /// read a lot to apply it again.
    async fn write_applied(&self, entries: &Point) -> Result<(), JournalStopped> {
        let due = {
            let state = self.state.borrow();
            let since = entries.count - state.applied_count;
            state.has_stamps && self.shared.options.applied_interval <= since
        };
        let Some(applied) = self.applied.borrow().clone().filter(|_| due) else { return Ok(()) };
        let (count, bytes) = applied.capture();
        let path = applied_path(&self.directory, count);
        match whole_file::write_flushed(&path, Bytes::from(applied::encode(&bytes))).await {
            // It only saves a restart some work, so a full disk is no reason to stop.
            Err(error) if is_disk_full(&error) => {
                tracing::warn!(partition = %self.partition, %error, "applied state was not kept");
                return Ok(());
            }
            written => written.map_err(|source| self.stop("write applied state in", source))?,
        }
        self.shared.metrics.checkpoint_flushes.add(1);
        let mut state = self.state.borrow_mut();
        state.has_new_names = true;
        let obsolete = std::mem::replace(&mut state.applied_count, count);
        if 0 < obsolete && obsolete != count {
            state.obsolete_applied.push(obsolete);
        }
        // Batches that stand after the captured point still have to be applied after a restart.
        let later: Vec<Entry> = self.recent_range(&state, count..state.end.count).collect();
        state.has_stamps = later.iter().any(Entry::is_idempotent);
        Ok(())
    }

    pub(super) async fn open_entries(&self) -> io::Result<File> {
        if !self.state.borrow().has_entries {
            self.create_directory().await?;
        }
        let file = File::open(self.directory.join("entries"), OpenOptions::CREATE).await?;
        let mut state = self.state.borrow_mut();
        if !std::mem::replace(&mut state.has_entries, true) {
            state.has_new_names = true;
        }
        Ok(file)
    }

    async fn sync(&self, file: &File) -> Result<(), JournalStopped> {
        self.shared.metrics.checkpoint_flushes.add(1);
        file.sync_data().await.map_err(|source| self.stop("flush a file in", source))
    }

    /// After a checkpoint: closes what an idle log does not need and gives memory back.
    pub(crate) fn rest(&self) {
        let mut state = self.state.borrow_mut();
        if std::mem::take(&mut state.is_active) {
            return;
        }
        let State { segments, tail, .. } = &mut *state;
        for segment in segments.iter_mut().filter(|segment| !segment.is_sealed) {
            segment.close_writer();
        }
        tail.shrink(|ordinal| flushed_bytes(segments, ordinal));
        self.account_tail(&mut state);
    }

    /// Removes the files of applied state that the base on the medium does not name any more.
    pub(super) async fn remove_obsolete_applied(&self) -> io::Result<()> {
        let obsolete = std::mem::take(&mut self.state.borrow_mut().obsolete_applied);
        for count in obsolete {
            remove_if_there(&applied_path(&self.directory, count)).await?;
        }
        Ok(())
    }

    /// Whether a checkpoint has anything to flush here.
    pub(crate) fn needs_flush(&self) -> bool {
        let state = self.state.borrow();
        if state.has_moved || state.has_left {
            return false;
        }
        state.entries_flushed.count < state.committed.count
            || self.unwritten(&state).is_some()
            || state.segments.iter().any(|segment| {
                !segment.is_sealed
                    && (segment.is_complete || segment.flushed_bytes < segment.written_bytes)
            })
    }

    /// Removes segments that lie wholly below the log start of the base that recovery will find
    /// (4.7, C4), and returns how many.
    pub(super) async fn remove_segments_below(&self, log_start: Offset) -> io::Result<u64> {
        let mut removed_count = 0;
        loop {
            let removed = {
                let mut state = self.state.borrow_mut();
                let is_below = state.segments.len() > 1
                    && state.segments[0].is_sealed
                    && state.segments[1].base_offset <= log_start;
                if is_below { state.segments.pop_front() } else { None }
            };
            let Some(removed) = removed else { return Ok(removed_count) };
            removed_count += 1;
            self.shared.metrics.segments_removed.add(1);
            self.remove_segment_files(removed.name()).await?;
        }
    }

    /// The segment itself goes last: as long as it is there, a start finds the others.
    pub(super) async fn remove_segment_files(&self, name: SegmentName) -> io::Result<()> {
        remove_if_there(&name.index_path(&self.directory)).await?;
        if 0 < name.generation {
            remove_if_there(&name.sums_path(&self.directory)).await?;
        }
        remove_if_there(&name.log_path(&self.directory)).await
    }

    /// Forgets the oldest chunk of the tail, if it is on disk. Returns whether there are others
    /// that may be forgotten later.
    pub(crate) fn evict_oldest_chunk(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let State { segments, tail, .. } = &mut *state;
        tail.evict_oldest(|ordinal| flushed_bytes(segments, ordinal));
        let has_more = tail.chunks_count() > 1;
        state.is_queued_for_eviction = has_more;
        self.account_tail(&mut state);
        has_more
    }

    /// Removes everything of a log that has left for good. The directory gets another name first,
    /// so that what a crash leaves of it is known to be garbage.
    pub(crate) async fn remove_files(&self) -> io::Result<()> {
        let _turn = self.writing.take(1).await;
        // Whoever reserves space for a segment creates the directory if it is not there.
        let is_allocated = || self.state.borrow().allocating.is_none();
        let _ = self.shared.wait_until(|| is_allocated().then_some(())).await;
        let _ = self.compaction_ended().await;
        let deleted = self.directory.with_extension(DELETED);
        match runtime::rename(&self.directory, &deleted).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Even a name may need space, and this is how some comes back.
            Err(error) if is_disk_full(&error) => remove_dir_and_files(&self.directory).await?,
            Err(error) => return Err(error),
            Ok(()) => remove_dir_and_files(&deleted).await?,
        }
        // The topic's directory goes with its last partition.
        let topic = self.directory.parent().expect("below the topic's directory");
        match runtime::remove_dir(topic).await {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn stop(&self, action: &'static str, source: io::Error) -> JournalStopped {
        self.shared.journal.stop(action, &self.directory, source)
    }
}

/// What memory may forget of a segment. Not what is only written: a base names flushed bytes and
/// holds the others.
fn flushed_bytes(segments: &VecDeque<Segment>, ordinal: Ordinal) -> u64 {
    let segment = segments.iter().find(|segment| segment.ordinal == ordinal);
    // A segment that is gone needs no memory either.
    segment.map_or(u64::MAX, |segment| segment.flushed_bytes)
}

pub(crate) fn applied_path(directory: &Path, count: u64) -> PathBuf {
    directory.join(format!("applied-{count}"))
}

pub(crate) async fn remove_if_there(path: &Path) -> io::Result<()> {
    match runtime::remove_file(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
