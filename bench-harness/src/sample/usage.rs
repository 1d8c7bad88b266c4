//! What was used between two points in time.

use serde::{Deserialize, Serialize};

use super::{JournalUse, Sample, Samples, SwitchCounters};

/// What was used between two points in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    pub seconds: f64,
    pub cpu_ns: u64,
    /// Of the processor time, what was spent outside of the kernel; to a hundredth of a second.
    pub user_ns: u64,
    /// Of the processor time, what was spent in the kernel; to a hundredth of a second.
    pub kernel_ns: u64,
    /// Of the process's threads, over nearly the same time.
    pub switches: Option<SwitchUse>,
    pub resident_bytes_max: u64,
    pub anonymous_bytes_max: u64,
    pub file_bytes_max: u64,
    /// Of the process's control group, if it has one of its own.
    pub group_bytes_max: Option<u64>,
    /// Of the whole host, as are the next two.
    pub page_cache_bytes_max: u64,
    pub dirty_bytes_max: u64,
    pub writeback_bytes_max: u64,
    pub disk_reads: u64,
    pub disk_read_bytes: u64,
    pub disk_flushes: u64,
    /// None without flushes.
    pub disk_flush_ms_mean: Option<f64>,
    pub disk_writes: u64,
    pub disk_written_bytes: u64,
    /// None without writes.
    pub disk_write_ms_mean: Option<f64>,
    /// Share of the time in which the disk had something to do.
    pub disk_busy_share: f64,
    /// Of all processors together.
    pub host_busy_share: f64,
    pub host_steal_share: f64,
    /// By the broker's own account, over nearly the same time.
    pub journal: Option<JournalUse>,
}

/// How often a process's threads made way for others. Those of threads that have ended are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SwitchUse {
    pub seconds: f64,
    #[serde(flatten)]
    pub counters: SwitchCounters,
}

impl SwitchUse {
    /// Of both kinds together.
    pub fn per_s(&self) -> f64 {
        let all = self.counters.voluntary + self.counters.involuntary;
        all as f64 / self.seconds.max(1e-9)
    }
}

impl Usage {
    /// Share of one processor.
    pub fn cpu_share(&self) -> f64 {
        if self.seconds == 0.0 { 0.0 } else { self.cpu_ns as f64 / 1e9 / self.seconds }
    }
}

impl Samples {
    /// What was used between two points in time, each taken at the reading nearest to it.
    pub fn between(&self, from_ns: u64, to_ns: u64) -> Usage {
        let (Some(from), Some(to)) = (self.nearest(from_ns), self.nearest(to_ns)) else {
            return Usage::default();
        };
        let span = &self.samples[from..=to];
        let (first, last) = (&self.samples[from], &self.samples[to]);
        let max = |read: fn(&Sample) -> u64| span.iter().map(read).max().unwrap_or(0);
        let seconds = (last.at_ns - first.at_ns) as f64 / 1e9;
        let host = last.host.since(first.host);
        let disk = last.disk.since(first.disk);
        Usage {
            seconds,
            cpu_ns: last.cpu_ns - first.cpu_ns,
            user_ns: last.times.user_ns.saturating_sub(first.times.user_ns),
            kernel_ns: last.times.kernel_ns.saturating_sub(first.times.kernel_ns),
            switches: self.switches_between(from_ns, to_ns),
            resident_bytes_max: max(|it| it.resident_bytes),
            anonymous_bytes_max: max(|it| it.anonymous_bytes),
            file_bytes_max: max(|it| it.file_bytes),
            group_bytes_max: span.iter().filter_map(|it| it.group_bytes).max(),
            page_cache_bytes_max: max(|it| it.page_cache.cached_bytes),
            dirty_bytes_max: max(|it| it.page_cache.dirty_bytes),
            writeback_bytes_max: max(|it| it.page_cache.writeback_bytes),
            disk_reads: disk.reads,
            disk_read_bytes: disk.read_bytes,
            disk_flushes: disk.flushes,
            disk_flush_ms_mean: disk.flush_ms_mean(),
            disk_writes: disk.writes,
            disk_written_bytes: disk.written_bytes,
            disk_write_ms_mean: disk.write_ms_mean(),
            disk_busy_share: disk.busy_ms as f64 / 1e3 / seconds.max(1e-9),
            host_busy_share: host.busy_share(),
            host_steal_share: host.steal_share(),
            journal: self.journal_between(from_ns, to_ns),
        }
    }

    fn journal_between(&self, from_ns: u64, to_ns: u64) -> Option<JournalUse> {
        let (seconds, first, last) = self.told_between(from_ns, to_ns, |it| it.journal)?;
        Some(JournalUse { seconds, counters: last.since(first) })
    }

    fn switches_between(&self, from_ns: u64, to_ns: u64) -> Option<SwitchUse> {
        let (seconds, first, last) = self.told_between(from_ns, to_ns, |it| it.switches)?;
        Some(SwitchUse { seconds, counters: last.since(first) })
    }

    /// Of the readings that have something, those nearest to two points in time, and the seconds
    /// between them.
    fn told_between<T>(
        &self,
        from_ns: u64,
        to_ns: u64,
        read: impl Fn(&Sample) -> Option<T>,
    ) -> Option<(f64, T, T)> {
        let nearest = |at_ns: u64| {
            let told = self.samples.iter().filter_map(|it| Some((it.at_ns, read(it)?)));
            told.min_by_key(|(told_ns, _)| told_ns.abs_diff(at_ns))
        };
        let ((first_ns, first), (last_ns, last)) = (nearest(from_ns)?, nearest(to_ns)?);
        let seconds = last_ns.checked_sub(first_ns).filter(|it| 0 < *it)? as f64 / 1e9;
        Some((seconds, first, last))
    }

    fn nearest(&self, at_ns: u64) -> Option<usize> {
        let distance = |sample: &Sample| sample.at_ns.abs_diff(at_ns);
        let nearest = self.samples.iter().enumerate().min_by_key(|(_, it)| distance(it));
        nearest.map(|(index, _)| index)
    }
}
