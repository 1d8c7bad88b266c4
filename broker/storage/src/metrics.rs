//! What a store counts.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::Durability;
use crate::log::CompactionReport;

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.set(self.0.get() + count);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Durations in buckets of powers of two of a microsecond: bucket `n` counts those below `2^n` µs.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    /// Counts by bucket; the last one takes everything longer.
    pub buckets: [u64; Durations::BUCKETS_COUNT],
    /// All durations together, in nanoseconds.
    pub sum_nanos: u64,
}

impl Durations {
    /// Up to 2^23 µs, about eight seconds, and one bucket for the rest.
    pub const BUCKETS_COUNT: usize = 25;

    fn note(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.buckets[bucket.min(Self::BUCKETS_COUNT - 1)] += 1;
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos = self.sum_nanos.saturating_add(nanos);
    }
}

/// What one stream of the journal counts.
#[derive(Debug, Default)]
pub struct StreamMetrics {
    /// Commits written.
    pub commits: Counter,
    /// Their bytes, padding included.
    pub bytes: Counter,
    /// The records in them.
    pub records: Counter,
    /// From issuing a commit to its completion.
    pub latency: RefCell<Durations>,
}

/// What one core's store counts.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The durable stream.
    pub durable: StreamMetrics,
    /// The relaxed stream.
    pub relaxed: StreamMetrics,
    /// Durable writes and flushes of the journal and its superblock: each is one flush, or a write
    /// that the device forces through.
    pub durable_flushes: Counter,
    /// Flushes of segments, entries and directories at checkpoints.
    pub checkpoint_flushes: Counter,
    /// Checkpoints completed.
    pub checkpoints: Counter,
    /// Bytes of their carries.
    pub carry_bytes: Counter,
    /// How long they took.
    pub checkpoint_duration: RefCell<Durations>,
    /// Bytes written to segments.
    pub segment_bytes: Counter,
    /// Bytes read from segments.
    pub read_bytes: Counter,
    /// Segments that have left their logs and the disk.
    pub segments_removed: Counter,
    /// Bytes of segments and entries that were read only to see whether they are as they were written.
    pub scrubbed_bytes: Counter,
    /// Times that everything was looked at.
    pub scrubs: Counter,
    /// Files that were found damaged, each time.
    pub scrub_findings: Counter,
    /// Compactions of a log that have come to their end.
    pub compactions: Counter,
    /// Bytes of segments that they have read, without the search for keys.
    pub compaction_read_bytes: Counter,
    /// Bytes of segments that they have written.
    pub compaction_written_bytes: Counter,
    /// Records that were left out.
    pub compaction_removed_records: Counter,
    /// Batches refused because the disk is full, or nearly so.
    pub refused_disk_full: Counter,
}

impl Metrics {
    /// The stream's part.
    pub fn stream(&self, durability: Durability) -> &StreamMetrics {
        match durability {
            Durability::Durable => &self.durable,
            Durability::Relaxed => &self.relaxed,
        }
    }

    pub(crate) fn note_commit(
        &self,
        durability: Durability,
        bytes_count: u64,
        records_count: u64,
        took: Duration,
    ) {
        let stream = self.stream(durability);
        stream.commits.add(1);
        stream.bytes.add(bytes_count);
        stream.records.add(records_count);
        stream.latency.borrow_mut().note(took);
    }

    pub(crate) fn note_compaction(&self, report: &CompactionReport) {
        self.compactions.add(1);
        self.compaction_read_bytes.add(report.bytes_read);
        self.compaction_written_bytes.add(report.bytes_written);
        self.compaction_removed_records.add(report.records_read - report.records_kept);
    }

    pub(crate) fn note_checkpoint(&self, carry_bytes: u64, took: Duration) {
        self.checkpoints.add(1);
        self.carry_bytes.add(carry_bytes);
        self.checkpoint_duration.borrow_mut().note(took);
    }
}
