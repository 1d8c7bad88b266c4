//! A segment: a file of committed record batches, byte for byte as consumers read them.
//!
//! Compaction puts one segment, of a higher generation, in the place of some; see
//! [`compaction`](super::compaction).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Offset, Timestamp};
use runtime::File;

use super::tail::Ordinal;
use crate::format::index::Index;
use crate::shared::OpenSegment;

/// Invariant: `flushed_bytes <= written_bytes <= end_bytes` rounded up to a block, and
/// `written_bytes` covers committed batches only.
pub(crate) struct Segment {
    pub(crate) ordinal: Ordinal,
    /// Offset of its first batch, or where that stood before it was compacted.
    pub(crate) base_offset: Offset,
    /// 0 as it was appended; otherwise it is compacted, and its offsets may have gaps.
    pub(crate) generation: u32,
    /// How many entries the log had when it was begun; unknown after a restart.
    pub(crate) first_index: Option<u64>,
    /// Where the next batch goes, or its size once another segment follows; unknown for a sealed
    /// segment that has not been opened since the restart.
    pub(crate) end_bytes: Option<u64>,
    /// In whole blocks, until it is complete.
    pub(crate) written_bytes: u64,
    /// In whole blocks, until it is sealed.
    pub(crate) flushed_bytes: u64,
    /// Space reserved for it on disk.
    pub(crate) allocated_bytes: u64,
    /// Written to its last byte and cut there.
    pub(crate) is_complete: bool,
    /// Complete, and flushed since.
    pub(crate) is_sealed: bool,
    /// For writing; open while there is something to write.
    pub(crate) writer: Option<Arc<File>>,
    /// For direct reads.
    pub(crate) reader: Option<Arc<File>>,
    /// Through the page cache, to send from.
    pub(crate) sender: Option<Arc<File>>,
    /// While any of these is open.
    pub(crate) open: Option<OpenSegment>,
    /// Of the batches from `indexed_from` on.
    pub(crate) index: Index,
    /// Batches before this position are not in the index yet.
    pub(crate) indexed_from: u64,
    /// The latest time of its first batch; unknown after a restart until something is appended.
    pub(crate) first_timestamp: Option<Timestamp>,
    /// The latest time in it, of a sealed segment whose index is not in memory.
    pub(crate) latest_timestamp: Option<Timestamp>,
    /// How much earlier than others it ends by its age.
    pub(crate) jitter_ms: i64,
}

impl Segment {
    /// An empty segment, not yet on disk.
    pub(crate) fn new(ordinal: Ordinal, base_offset: Offset, first_index: u64) -> Segment {
        Segment {
            ordinal,
            base_offset,
            generation: 0,
            first_index: Some(first_index),
            end_bytes: Some(0),
            written_bytes: 0,
            flushed_bytes: 0,
            allocated_bytes: 0,
            is_complete: false,
            is_sealed: false,
            writer: None,
            reader: None,
            sender: None,
            open: None,
            index: Index::default(),
            indexed_from: 0,
            first_timestamp: None,
            latest_timestamp: None,
            jitter_ms: 0,
        }
    }

    /// The segment that was being written before a restart, up to the bytes in the tail.
    pub(crate) fn recovered(
        ordinal: Ordinal,
        base_offset: Offset,
        flushed_bytes: u64,
        end_bytes: u64,
    ) -> Segment {
        Segment {
            first_index: None,
            end_bytes: Some(end_bytes),
            written_bytes: flushed_bytes,
            flushed_bytes,
            indexed_from: end_bytes,
            ..Segment::new(ordinal, base_offset, 0)
        }
    }

    /// A segment that was sealed before a restart.
    pub(crate) fn sealed(ordinal: Ordinal, name: SegmentName) -> Segment {
        Segment {
            generation: name.generation,
            first_index: None,
            end_bytes: None,
            is_complete: true,
            is_sealed: true,
            indexed_from: u64::MAX,
            ..Segment::new(ordinal, name.base_offset, 0)
        }
    }

    /// A segment that compaction has written and flushed.
    pub(crate) fn compacted(
        ordinal: Ordinal,
        name: SegmentName,
        size_bytes: u64,
        index: Index,
    ) -> Segment {
        Segment {
            end_bytes: Some(size_bytes),
            written_bytes: size_bytes,
            flushed_bytes: size_bytes,
            indexed_from: 0,
            index,
            ..Segment::sealed(ordinal, name)
        }
    }

    /// What its files are called.
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName { base_offset: self.base_offset, generation: self.generation }
    }

    pub(crate) fn is_compacted(&self) -> bool {
        0 < self.generation
    }

    /// Where the next batch goes.
    pub(crate) fn end(&self) -> u64 {
        self.end_bytes.expect("known of every segment that is not sealed")
    }

    /// Bytes that can be read from the file.
    pub(crate) fn readable_bytes(&self) -> u64 {
        self.end_bytes.map_or(0, |end| self.written_bytes.min(end))
    }

    /// Takes note of the size of a sealed segment's file.
    pub(crate) fn note_size(&mut self, size_bytes: u64) {
        if self.is_sealed && self.end_bytes.is_none() {
            self.end_bytes = Some(size_bytes);
            self.written_bytes = size_bytes;
            self.flushed_bytes = size_bytes;
        }
    }

    /// One of its files has been opened; counted if it was the first.
    pub(crate) fn note_open(&mut self, open: Option<OpenSegment>) {
        self.open = self.open.take().or(open);
    }

    /// Closes its files, which whoever needs them opens again.
    pub(crate) fn close(&mut self) {
        self.reader = None;
        self.sender = None;
        self.close_writer();
    }

    pub(crate) fn close_writer(&mut self) {
        self.writer = None;
        if self.reader.is_none() && self.sender.is_none() {
            self.open = None;
        }
    }
}

/// What tells the files of a segment from those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) base_offset: Offset,
    pub(crate) generation: u32,
}

impl SegmentName {
    /// Of a segment as it was appended.
    pub(crate) fn appended(base_offset: Offset) -> SegmentName {
        SegmentName { base_offset, generation: 0 }
    }

    /// As Kafka names segments, so that its own tools read them: the base offset in 20 digits. A
    /// generation follows after a dot.
    pub(crate) fn log_path(&self, directory: &Path) -> PathBuf {
        self.path(directory, "log")
    }

    pub(crate) fn index_path(&self, directory: &Path) -> PathBuf {
        self.path(directory, "index")
    }

    /// Of a compacted segment: a CRC-32 of each of its blocks.
    pub(crate) fn sums_path(&self, directory: &Path) -> PathBuf {
        self.path(directory, "sums")
    }

    fn path(&self, directory: &Path, extension: &str) -> PathBuf {
        let SegmentName { base_offset: Offset(base_offset), generation } = self;
        directory.join(match generation {
            0 => format!("{base_offset:020}.{extension}"),
            _ => format!("{base_offset:020}.{generation}.{extension}"),
        })
    }

    /// Of a segment's file; none of any other name.
    pub(crate) fn of_file(file: &str) -> Option<SegmentName> {
        let name = file.strip_suffix(".log")?;
        let (digits, generation) = match name.split_once('.') {
            Some((digits, generation)) => (digits, generation.parse().ok()?),
            None => (name, 0),
        };
        let name = SegmentName { base_offset: Offset(digits.parse().ok()?), generation };
        // Only the one spelling, as it is written.
        (name.log_path(Path::new("")) == Path::new(file)).then_some(name)
    }
}
