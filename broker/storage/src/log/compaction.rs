//! Compaction: of the records with one key, the last one stays.
//!
//! ```text
//!  log start          clean end          needed by the base        log end
//!      │ a record for a key │ dirty: noted where each key is last │ appended, as it is
//!      └── written again, group after group of segments ──────────┘
//!  group: some segments ─► one of a higher generation ─► list of segments ─► they are removed
//! ```
//! What Kafka's cleaner does, and by its rules. What it would still show is still shown: nothing
//! before the clean end is older than another record of its key below it, but readers may see any of
//! the others until then. Offsets and the order of records stay; a tombstone stays for a time that
//! begins when everything older is gone (KIP-534). Batches that have lost all records are gone, too:
//! what is known of producers is kept elsewhere.
//!
//! Guarantees: a crash leaves a group of segments or what was made of it, wholly; memory is bounded,
//! however many keys there are: what does not fit is left for the next time. Damaged segments are
//! left alone. The letters and numbers in parentheses are rules of `FORMAT.md`.
//! Does not know: when, and of which log.

mod judge;
mod keys;
mod writer;

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use model::{Offset, Timestamp};

use super::purge::PURGE_RECORDS_COUNT;
use super::segment::{Segment, SegmentName};
use super::tail::{Ordinal, Place};
use super::{Log, State, whole_file};
use crate::error::{CompactionError, JournalStopped, ReadError, is_disk_full};
use crate::format::compacted::{CompactedList, CompactedSegment, EpochEnds};
use crate::format::entry::RECORD_SIZE_BYTES;
use crate::shared::Pace;
use judge::Judge;
use keys::KeyOffsets;
use writer::SegmentWriter;

/// The file that lists the compacted segments.
const LIST: &str = "compacted";
const NEW_LIST: &str = "compacted.new";

/// What compaction has made of a log so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compacted {
    /// Before it, segments are compacted or gone; from here on they are as they were appended.
    pub(super) end: Offset,
    /// Up to here no two records have the same key.
    clean_end: Offset,
    /// The highest generation of a segment.
    generation: u32,
}

impl Compacted {
    pub(super) fn of(list: &CompactedList) -> Compacted {
        let generation = list.segments.iter().map(|segment| segment.generation).max();
        Compacted {
            end: list.end,
            clean_end: list.clean_end,
            generation: generation.unwrap_or_default(),
        }
    }
}

/// When and how a log is compacted. The names are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionRules {
    /// The time.
    pub now: Timestamp,
    /// `min.compaction.lag.ms`: a segment with a later record is not touched.
    pub lag_min_ms: i64,
    /// `max.compaction.lag.ms`: once the oldest dirty record is so old it is time, whatever the ratio.
    pub lag_max_ms: i64,
    /// `min.cleanable.dirty.ratio`: it is time when more than this share of the bytes is dirty.
    pub dirty_ratio_min: f64,
    /// `delete.retention.ms`: how long tombstones stay.
    pub tombstones_ms: i64,
}

/// How much there is to compact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dirtiness {
    /// The share of dirty bytes among those that can be compacted.
    pub ratio: f64,
    /// By the rules it is time.
    pub is_due: bool,
    /// Up to where.
    end: Offset,
}

/// What a compaction has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// No two records before have the same key now.
    pub clean_end: Offset,
    /// Everything up to here was to become clean; more keys than memory holds make it less.
    pub wanted_end: Offset,
    /// Keys in the part that was dirty.
    pub keys_count: u64,
    /// Records that were looked at.
    pub records_read: u64,
    /// Those that stay.
    pub records_kept: u64,
    /// Bytes of batches before.
    pub bytes_read: u64,
    /// And after.
    pub bytes_written: u64,
    /// Segments before.
    pub segments_read: u64,
    /// And after.
    pub segments_written: u64,
}

/// What holds once the last group has been compacted.
struct Done {
    clean_end: Offset,
    epochs: Rc<EpochEnds>,
}

/// One segment that is to be written again.
#[derive(Clone, Copy)]
struct Source {
    ordinal: Ordinal,
    name: SegmentName,
    size_bytes: u64,
    /// Where the next one begins.
    end: Offset,
}

impl Log {
    /// How much there is to compact; none if nothing is dirty that may be touched.
    pub async fn dirtiness(
        self: &Rc<Log>,
        rules: &CompactionRules,
    ) -> Result<Option<Dirtiness>, ReadError> {
        if self.is_doubtful() {
            return Ok(None);
        }
        // The sizes of all segments are known after this.
        self.size_bytes().await?;
        let end = self.compactable_end(rules).await?;
        let clean_end = self.dirty_start();
        if end <= clean_end {
            return Ok(None);
        }
        let (mut clean_bytes, mut dirty_bytes) = (0, 0);
        let sources = self.sources(end);
        for source in &sources {
            match source.end <= clean_end {
                true => clean_bytes += source.size_bytes,
                false => dirty_bytes += source.size_bytes,
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
        let ratio = dirty_bytes as f64 / (clean_bytes + dirty_bytes).max(1) as f64;
        let mut is_due = rules.dirty_ratio_min < ratio;
        if !is_due && rules.lag_max_ms < i64::MAX {
            let oldest = sources.iter().find(|source| clean_end < source.end);
            let oldest = oldest.expect("there is something dirty").ordinal;
            let in_memory = self.state.borrow().segment(oldest).and_then(|of| of.first_timestamp);
            let timestamp = match in_memory {
                Some(timestamp) => timestamp,
                None => self.first_timestamp(oldest).await?.unwrap_or(rules.now),
            };
            is_due = rules.lag_max_ms < rules.now.0.saturating_sub(timestamp.0);
        }
        Ok(Some(Dirtiness { ratio, is_due, end }))
    }

    /// Compacts what [`Log::dirtiness`] has found; one log of the core at a time.
    pub async fn compact(
        self: &Rc<Log>,
        rules: &CompactionRules,
        dirtiness: &Dirtiness,
    ) -> Result<CompactionReport, CompactionError> {
        let _memory = self.shared.compacting.take(1).await;
        self.state.borrow_mut().is_compacting = true;
        let _compacting = Compacting(self.clone());
        let log_start = self.ends().log_start;
        match self.compact_up_to(rules, dirtiness.end).await {
            // Segments may have gone while they were read.
            Err(CompactionError::Read(_)) if log_start < self.ends().log_start => {
                Err(CompactionError::Gone { partition: self.partition })
            }
            compacted => compacted,
        }
    }

    async fn compact_up_to(
        self: &Rc<Log>,
        rules: &CompactionRules,
        wanted_end: Offset,
    ) -> Result<CompactionReport, CompactionError> {
        let mut report = CompactionReport { wanted_end, ..CompactionReport::default() };
        let mut pace = Pace::new(self.shared.options.background_bytes_per_second);
        let mut keys = KeyOffsets::new(self.shared.options.compaction_bytes_max);
        let dirty_start = self.dirty_start();
        let mut clean_end = dirty_start;
        for source in self.sources(wanted_end) {
            if source.end <= dirty_start {
                continue;
            }
            clean_end = self.note_keys(&source, dirty_start, &mut keys, &mut pace).await?;
            if clean_end < source.end {
                break;
            }
        }
        report.keys_count = keys.len() as u64;
        report.clean_end = clean_end;
        let judge = Judge::new(&keys, clean_end, self.ends().log_start, rules);
        let mut groups = groups_of(self.sources(clean_end), self.options.get().segment_bytes_max);
        // The last segment may go on behind the clean end.
        let last = groups.pop();
        for group in groups {
            self.compact_group(&group, None, &judge, &mut pace, &mut report).await?;
        }
        if let Some(group) = last {
            let epochs = self.epochs_before(group[group.len() - 1].end, &mut pace).await?;
            let done = Some(Done { clean_end, epochs: Rc::new(epochs) });
            self.compact_group(&group, done, &judge, &mut pace, &mut report).await?;
            // The list speaks for them now.
            if let Err(error) = self.purge_entries().await {
                let partition = self.partition;
                tracing::warn!(%partition, %error, "records of entries were not given back");
            }
        }
        self.shared.metrics.note_compaction(&report);
        Ok(report)
    }

    /// The leader epochs of all batches before an offset.
    async fn epochs_before(
        self: &Rc<Log>,
        end: Offset,
        pace: &mut Pace,
    ) -> Result<EpochEnds, CompactionError> {
        let mut records = self.records();
        let failed = |source| ReadError::Io { path: self.directory.join("entries"), source };
        let purged = self.purged_count(&mut records).await.map_err(failed)?;
        let mut epochs = EpochEnds::clone(&self.state.borrow().compacted_epochs);
        // What had gone with its segments before anything was compacted is not asked for.
        epochs.entries_count = epochs.entries_count.max(purged);
        loop {
            let from = epochs.entries_count;
            let to = self.state.borrow().entries_flushed.count.min(from + PURGE_RECORDS_COUNT);
            if to <= from {
                return Ok(epochs);
            }
            let entries = records.read(from, to).await.map_err(failed)?;
            let before = entries.iter().take_while(|entry| entry.next_offset <= end);
            let noted_count = before.map(|entry| epochs.note(entry)).count() as u64;
            pace.step(entries.len() * RECORD_SIZE_BYTES).await;
            if noted_count < to - from {
                return Ok(epochs);
            }
        }
    }

    /// Notes where the keys of a segment are, from an offset on. Returns up to where all are noted.
    async fn note_keys(
        self: &Rc<Log>,
        source: &Source,
        dirty_start: Offset,
        keys: &mut KeyOffsets,
        pace: &mut Pace,
    ) -> Result<Offset, CompactionError> {
        let mut window = self.open_unhurried_window(source.ordinal).await?;
        let (mut expected, mut position) = (source.name.base_offset, 0);
        while let Some(header) = window.batch_at(position, expected).await? {
            self.check_compaction(source)?;
            if dirty_start < header.next_offset() {
                let batch = window.batch_with_its_crc(position, &header).await?;
                let noted = judge::note_keys(&header, &batch, dirty_start, keys, pace).await;
                let noted = noted.map_err(|error| window.damaged(position, error.to_string()))?;
                if let Some(without_room) = noted {
                    return Ok(without_room);
                }
            }
            position += header.size_bytes() as u64;
            expected = header.next_offset();
            window.forget_before(position);
        }
        Ok(source.end)
    }

    /// Writes some segments again as one, and puts that in their place.
    async fn compact_group(
        self: &Rc<Log>,
        sources: &[Source],
        done: Option<Done>,
        judge: &Judge<'_>,
        pace: &mut Pace,
        report: &mut CompactionReport,
    ) -> Result<(), CompactionError> {
        let generation = self.state.borrow().compacted.generation + 1;
        let base_offset = sources[0].name.base_offset;
        let name = SegmentName { base_offset, generation };
        // Others need room as well until the old segments go.
        let space = runtime::space(&self.directory).await;
        let space = space.map_err(|source| self.compaction_failed("look for room in", source))?;
        let mut writer = SegmentWriter::new(self.clone(), name, space.free_bytes / 2);
        let written = self.write_group(sources, &mut writer, judge, pace, report).await;
        let written = match written {
            Ok(()) => writer.finish(sources[sources.len() - 1].ordinal).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(segment) => self.replace(sources, name, segment, done).await,
            Err(error) => {
                // What is left of it is removed by the next start at the latest.
                let _ = self.remove_segment_files(name).await;
                Err(error)
            }
        }
    }

    async fn write_group(
        self: &Rc<Log>,
        sources: &[Source],
        writer: &mut SegmentWriter,
        judge: &Judge<'_>,
        pace: &mut Pace,
        report: &mut CompactionReport,
    ) -> Result<(), CompactionError> {
        for source in sources {
            let mut window = self.open_unhurried_window(source.ordinal).await?;
            let mut at = (source.name.base_offset, 0);
            while let Some(header) = window.batch_at(at.1, at.0).await? {
                self.check_compaction(source)?;
                let batch = window.checked_batch(at.1, &header).await?;
                let judged = judge.judge(&header, &batch, pace).await;
                let judged = judged.map_err(|error| window.damaged(at.1, error.to_string()))?;
                report.records_read += judged.records_count;
                report.records_kept += judged.kept_count;
                if let Some(kept) = judged.kept_of(&batch) {
                    writer.append(&header, kept, judged.max_timestamp).await?;
                }
                at = (header.next_offset(), at.1 + header.size_bytes() as u64);
                window.forget_before(at.1);
            }
            window.check_end(at, source.end)?;
            report.bytes_read += source.size_bytes;
            report.segments_read += 1;
        }
        report.bytes_written += writer.size_bytes();
        report.segments_written += u64::from(0 < writer.size_bytes());
        Ok(())
    }

    /// Puts a segment that is flushed in the place of some (K2).
    async fn replace(
        self: &Rc<Log>,
        sources: &[Source],
        name: SegmentName,
        segment: Option<Segment>,
        done: Option<Done>,
    ) -> Result<(), CompactionError> {
        let (first, last) = (&sources[0], &sources[sources.len() - 1]);
        let (compacted, epochs, list) = {
            let state = self.state.borrow();
            let done = done.unwrap_or_else(|| Done {
                clean_end: state.compacted.clean_end,
                epochs: state.compacted_epochs.clone(),
            });
            let end = state.compacted.end.max(last.end);
            let generation = name.generation;
            let compacted = Compacted { end, clean_end: done.clean_end, generation };
            let replaced = first.ordinal..=last.ordinal;
            let mut list = state.compacted_list(compacted, &replaced, segment.as_ref());
            list.epochs.clone_from(&done.epochs);
            (compacted, done.epochs, list)
        };
        self.check_compaction(last)?;
        self.write_list(&list).await?;
        // From here on it is so, also after a crash.
        self.state.borrow_mut().compacted_epochs = epochs;
        let is_in_use = self.swap(first.ordinal..=last.ordinal, segment, compacted);
        let removed = async {
            for source in sources {
                self.remove_segment_files(source.name).await?;
            }
            if is_in_use { Ok(()) } else { self.remove_segment_files(name).await }
        };
        if let Err(error) = removed.await {
            let partition = self.partition;
            tracing::warn!(%partition, %error, "a compacted segment's file was not removed");
        }
        Ok(())
    }

    /// Readers find the segment from now on. False if the log begins behind it by now.
    fn swap(
        &self,
        replaced: RangeInclusive<Ordinal>,
        segment: Option<Segment>,
        compacted: Compacted,
    ) -> bool {
        let mut state = self.state.borrow_mut();
        state.compacted = compacted;
        let before_count = state.segments.len();
        state.segments.retain(|segment| !replaced.contains(&segment.ordinal));
        let is_in_use = state.segments.len() < before_count;
        if let Some(segment) = segment.filter(|_| is_in_use) {
            let place = state.segments.partition_point(|of| of.ordinal < segment.ordinal);
            state.segments.insert(place, segment);
        }
        state.tail.forget_up_to(*replaced.end());
        state.move_points_behind(*replaced.end());
        self.account_tail(&mut state);
        is_in_use
    }

    /// Replaces the list; it is on the medium once this returns, and with it the names of segments
    /// that are in it (K2).
    async fn write_list(&self, list: &CompactedList) -> Result<(), CompactionError> {
        let (new, path) = (self.directory.join(NEW_LIST), self.directory.join(LIST));
        let written: io::Result<()> = async {
            runtime::sync_dir(&self.directory).await?;
            whole_file::write_flushed(&new, Bytes::from(list.encode())).await?;
            runtime::rename(new, path).await?;
            runtime::sync_dir(&self.directory).await
        }
        .await;
        self.shared.metrics.checkpoint_flushes.add(3);
        written.map_err(|source| self.compaction_failed("write the list of segments in", source))
    }

    /// A full disk is no reason to stop: the segments stay as they were (W9).
    fn compaction_failed(&self, action: &'static str, source: io::Error) -> CompactionError {
        if is_disk_full(&source) {
            return CompactionError::NoSpace { partition: self.partition, source };
        }
        CompactionError::Stopped(self.stop(action, source))
    }

    /// Whether a compaction may go on: the partition is still here, and so is the segment.
    fn check_compaction(&self, source: &Source) -> Result<(), CompactionError> {
        self.shared.journal.check()?;
        let state = self.state.borrow();
        let is_there = state.segment(source.ordinal).is_some();
        if state.has_left || state.has_moved || !is_there {
            return Err(CompactionError::Gone { partition: self.partition });
        }
        Ok(())
    }

    /// From where on records may have the same key as earlier ones.
    fn dirty_start(&self) -> Offset {
        let state = self.state.borrow();
        state.compacted.clean_end.max(state.log_start)
    }

    /// Up to where segments may be compacted: sealed ones that the base on the medium does not need,
    /// before the first with a record that is too young (K1).
    async fn compactable_end(self: &Rc<Log>, rules: &CompactionRules) -> Result<Offset, ReadError> {
        let horizon = Timestamp(rules.now.0.saturating_sub(rules.lag_min_ms));
        let mut end = self.dirty_start();
        let mut next = self.state.borrow().segments.front().map(|segment| segment.ordinal);
        while let Some(ordinal) = next {
            let segment_end = {
                let state = self.state.borrow();
                next = state.segment_after(ordinal).map(|segment| segment.ordinal);
                let Some(segment) = state.segment(ordinal) else { continue };
                let segment_end = state.end_of(segment);
                if !segment.is_sealed || state.needed_from < segment_end {
                    break;
                }
                segment_end
            };
            if segment_end <= end {
                continue;
            }
            if 0 < rules.lag_min_ms {
                let latest = self.latest_time(ordinal, horizon).await?;
                if latest.is_some_and(|latest| horizon < latest) {
                    break;
                }
            }
            end = segment_end;
        }
        Ok(end)
    }

    /// The segments that begin before an offset.
    fn sources(&self, end: Offset) -> Vec<Source> {
        let state = self.state.borrow();
        let segments = state.kept_segments().take_while(|segment| segment.base_offset < end);
        let sources = segments.map(|segment| Source {
            ordinal: segment.ordinal,
            name: segment.name(),
            size_bytes: segment.end_bytes.expect("`size_bytes` has found it"),
            end: state.end_of(segment),
        });
        sources.collect()
    }

    /// A base with this segment is on the medium, and no earlier one counts any more (K1).
    pub(super) fn note_base_on_medium(&self, base_segment: Offset, needed_entries: u64) {
        let mut state = self.state.borrow_mut();
        state.needed_from = state.needed_from.max(base_segment);
        state.needed_entries = needed_entries;
    }

    /// Waits until no compaction uses the log's files.
    pub(super) async fn compaction_ended(&self) -> Result<(), JournalStopped> {
        let is_over = || !self.state.borrow().is_compacting;
        self.shared.wait_until(|| is_over().then_some(())).await
    }
}

/// While it is there, the log's files are being compacted.
struct Compacting(Rc<Log>);

impl Drop for Compacting {
    fn drop(&mut self) {
        self.0.state.borrow_mut().is_compacting = false;
        self.0.shared.announce();
    }
}

impl State {
    /// Points at the end of a segment that is gone are at the start of the next one that was appended.
    fn move_points_behind(&mut self, ordinal: Ordinal) {
        let mut later = self.segments.iter().filter(|segment| ordinal < segment.ordinal);
        let next = later.find(|segment| !segment.is_compacted());
        let next = next.expect("compaction never takes the last segment");
        let (place, offset) = (Place { segment: next.ordinal, position: 0 }, next.base_offset);
        for point in
            [&mut self.end, &mut self.committed, &mut self.recent_start, &mut self.entries_flushed]
        {
            if point.place.segment <= ordinal {
                assert!(offset <= point.offset, "compacted segments are committed and flushed");
                point.place = place;
            }
        }
    }

    /// The list with a segment in the place of those with these ordinals, without epochs.
    fn compacted_list(
        &self,
        compacted: Compacted,
        replaced: &RangeInclusive<Ordinal>,
        segment: Option<&Segment>,
    ) -> CompactedList {
        let others = self.segments.iter().filter(|segment| segment.is_compacted());
        let mut segments: Vec<&Segment> =
            others.filter(|segment| !replaced.contains(&segment.ordinal)).chain(segment).collect();
        segments.sort_unstable_by_key(|segment| segment.ordinal);
        let entry = |segment: &&Segment| CompactedSegment {
            base_offset: segment.base_offset,
            generation: segment.generation,
            size_bytes: segment.end(),
        };
        CompactedList {
            end: compacted.end,
            clean_end: compacted.clean_end,
            segments: segments.iter().map(entry).collect(),
            epochs: EpochEnds::default(),
        }
    }
}

/// Runs of segments that become one each: as many as are not larger together than one may be.
fn groups_of(sources: Vec<Source>, segment_bytes_max: u64) -> Vec<Vec<Source>> {
    let mut groups: Vec<Vec<Source>> = Vec::new();
    let mut group_bytes = 0;
    for source in sources {
        group_bytes += source.size_bytes;
        match groups.last_mut().filter(|_| group_bytes <= segment_bytes_max) {
            Some(group) => group.push(source),
            None => {
                group_bytes = source.size_bytes;
                groups.push(vec![source]);
            }
        }
    }
    groups
}

/// The list in a partition's directory; an empty one if there is none. One that cannot be read is an
/// error of kind `InvalidData`.
pub(super) async fn read_list(directory: &Path) -> io::Result<CompactedList> {
    let path = directory.join(LIST);
    match whole_file::read(&path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(CompactedList::default()),
        bytes => CompactedList::decode(&bytes?).ok_or_else(|| whole_file::damaged(&path)),
    }
}
