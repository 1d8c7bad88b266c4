//! A segment: a file of committed record batches, byte for byte as consumers read them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Offset, Timestamp};
use runtime::File;

use super::tail::Ordinal;
use crate::format::index::Index;

/// Invariant: `flushed_bytes <= written_bytes <= end_bytes` rounded up to a block, and
/// `written_bytes` covers committed batches only.
pub(crate) struct Segment {
    pub(crate) ordinal: Ordinal,
    /// Offset of its first batch; also its file's name.
    pub(crate) base_offset: Offset,
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
    pub(crate) fn sealed(ordinal: Ordinal, base_offset: Offset) -> Segment {
        Segment {
            first_index: None,
            end_bytes: None,
            is_complete: true,
            is_sealed: true,
            indexed_from: u64::MAX,
            ..Segment::new(ordinal, base_offset, 0)
        }
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

    /// Closes the files of a sealed segment.
    pub(crate) fn close(&mut self) {
        self.writer = None;
        self.reader = None;
        self.sender = None;
    }
}

/// As Kafka names segments, so that its own tools read them: the base offset in 20 digits.
pub(crate) fn segment_path(directory: &Path, base_offset: Offset) -> PathBuf {
    directory.join(format!("{:020}.log", base_offset.0))
}

pub(crate) fn index_path(directory: &Path, base_offset: Offset) -> PathBuf {
    directory.join(format!("{:020}.index", base_offset.0))
}

/// The base offset in the name of a segment's file; none for any other name.
pub(crate) fn base_offset_of(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(".log")?;
    let is_ours = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_ours.then(|| digits.parse().ok().map(Offset)).flatten()
}
