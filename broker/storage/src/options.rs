//! What the owner of a store decides about it.

use std::path::PathBuf;
use std::time::Duration;

use runtime::BLOCK_SIZE_BYTES;

use crate::format::frame::FRAME_SIZE_BYTES;
use crate::log::IDLE_CARRY_BYTES_MAX;

/// A commit takes at most this much, whatever the size of the journal's files.
const COMMIT_BYTES_MAX: u64 = 4 << 20;

/// How a durable write reaches the device's medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMethod {
    /// Each write with `RWF_DSYNC`: the device writes through, or the kernel adds a flush.
    WriteDurably,
    /// A plain write, then fdatasync(2).
    WriteThenFlush,
}

/// One core's store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The broker's data directory; it exists and is locked by this process (6.1).
    pub data_dir: PathBuf,
    /// This boot of the kernel. The relaxed stream does not survive it without a clean stop.
    pub boot_id: [u8; 16],
    /// How many cores the broker has now; only noted.
    pub cores_count: u16,
    /// Write around the page cache. False where the file system refuses `O_DIRECT`.
    pub is_direct: bool,
    /// How durable writes are made so.
    pub flush_method: FlushMethod,
    /// Size of each file of the journal, in whole blocks; at least 64 KiB.
    pub journal_file_bytes: u64,
    /// Files of each stream once the journal has been written to its full size; at least 2.
    pub journal_files_count: u32,
    /// A checkpoint is made at least this often while anything is written. It bounds what a
    /// relaxed topic can lose with the machine.
    pub checkpoint_interval: Duration,
    /// Applied state is written once so many entries were added to a log since the last time.
    pub applied_interval: u64,
    /// Newest bytes of all partitions that are kept in memory, beyond those that must be.
    pub tail_bytes_max: usize,
    /// Segments that have files open; at least 1. Each has three of them at most.
    pub open_segments_max: usize,
    /// Memory for the keys of the log that is being compacted.
    pub compaction_bytes_max: usize,
    /// What compaction may read and write in a second; none for any number.
    pub background_bytes_per_second: Option<u64>,
}

impl StoreOptions {
    /// The largest commit, in blocks.
    pub(crate) fn commit_blocks_max(&self) -> u32 {
        let quarter = self.journal_file_bytes / 4;
        let bytes = quarter.min(COMMIT_BYTES_MAX) / BLOCK_SIZE_BYTES as u64;
        u32::try_from(bytes).expect("bounded above")
    }

    pub(crate) fn file_blocks(&self) -> u32 {
        u32::try_from(self.journal_file_bytes / BLOCK_SIZE_BYTES as u64)
            .expect("checked when the store is opened")
    }

    fn commit_bytes_max(&self) -> usize {
        self.commit_blocks_max() as usize * BLOCK_SIZE_BYTES
    }

    /// What may wait to be written, of all logs together.
    pub(crate) fn waiting_bytes_max(&self) -> usize {
        self.commit_bytes_max() * 3 / 8
    }

    /// What may be appended and not committed, of all logs together that are not alone (rule W8).
    /// A single batch may exceed it.
    pub(crate) fn uncommitted_bytes_max(&self) -> usize {
        self.commit_bytes_max() / 4
    }

    /// What a carry holds at most beyond the idle parts of all logs: what waits to be written, and
    /// what is not committed. It fits into one base frame.
    pub(crate) fn carry_late_bytes_max(&self) -> usize {
        self.commit_bytes_max() * 3 / 4
    }

    /// The largest record batch that the journal can take.
    pub fn batch_bytes_max(&self) -> usize {
        self.waiting_bytes_max() - BLOCK_SIZE_BYTES
    }

    /// The room that ordinary commits leave in the durable stream: for the carry of so many
    /// partitions, and for the votes of a start after it (rule S2). Frames are not split, so a
    /// commit may be little more than half full.
    pub(crate) fn reserve_blocks(&self, partitions_count: usize) -> u32 {
        let idle_bytes = partitions_count * (IDLE_CARRY_BYTES_MAX + FRAME_SIZE_BYTES);
        let bytes = idle_bytes + self.carry_late_bytes_max();
        u32::try_from(2 * bytes.div_ceil(BLOCK_SIZE_BYTES) + 4).unwrap_or(u32::MAX)
    }

    /// What is wrong with these options, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        const FILE_BYTES_MIN: u64 = 64 << 10;
        const FILE_BYTES_MAX: u64 = 1 << 30;
        let size_bytes = self.journal_file_bytes;
        if !(FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(&size_bytes)
            || !size_bytes.is_multiple_of(BLOCK_SIZE_BYTES as u64)
        {
            return Err(format!(
                "a journal file of {size_bytes} bytes: choose whole blocks of 4096 bytes between \
                 {FILE_BYTES_MIN} and {FILE_BYTES_MAX}"
            ));
        }
        if self.journal_files_count < 2 {
            let count = self.journal_files_count;
            return Err(format!("a ring of {count} journal files: choose at least 2"));
        }
        Ok(())
    }
}
