//! Numbers out of /proc.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

/// Processor time of all threads of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadTimes {
    /// By thread, as it was read last.
    threads: BTreeMap<u32, u64>,
    total_ns: u64,
}

impl ThreadTimes {
    /// Reads the scheduler's account of every thread.
    pub fn update(&mut self, pid: u32) {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
        let readings = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let thread = entry.file_name().to_str()?.parse().ok()?;
            let text = fs::read_to_string(entry.path().join("schedstat")).ok()?;
            Some((thread, running_ns(&text)?))
        });
        let readings = readings.collect();
        self.note(readings);
    }

    /// Time that was used since the first reading.
    pub fn total_ns(&self) -> u64 {
        self.total_ns
    }

    pub(super) fn note(&mut self, readings: BTreeMap<u32, u64>) {
        let is_first = self.threads.is_empty();
        for (thread, ns) in &readings {
            // A thread that is new has used all of its time since the last reading.
            let before = self.threads.get(thread).copied().unwrap_or(0);
            if !is_first {
                self.total_ns += ns.saturating_sub(before);
            }
        }
        self.threads = readings;
    }
}

/// The first number of /proc/PID/task/TID/schedstat.
fn running_ns(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

pub(super) fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

/// What a disk has done since the host was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskCounters {
    pub writes: u64,
    pub written_bytes: u64,
    /// Flush requests completed (Linux 5.5).
    pub flushes: u64,
}

impl DiskCounters {
    pub fn read(disk: &str) -> Option<DiskCounters> {
        DiskCounters::parse(&fs::read_to_string("/proc/diskstats").ok()?, disk)
    }

    /// See Documentation/admin-guide/iostats.rst of the kernel.
    pub(super) fn parse(diskstats: &str, disk: &str) -> Option<DiskCounters> {
        let line = diskstats.lines().find(|line| line.split_whitespace().nth(2) == Some(disk))?;
        let numbers: Vec<u64> =
            line.split_whitespace().skip(3).map(|word| word.parse().unwrap_or(0)).collect();
        Some(DiskCounters {
            writes: *numbers.get(4)?,
            // In sectors of 512 bytes, whatever the disk's are.
            written_bytes: numbers.get(6)? * 512,
            flushes: *numbers.get(15)?,
        })
    }
}

/// How the host's processors spent their time since it was started, in the kernel's ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostCpu {
    pub total: u64,
    pub idle: u64,
    pub steal: u64,
}

impl HostCpu {
    pub fn read() -> Option<HostCpu> {
        HostCpu::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The line `cpu`: user, nice, system, idle, iowait, irq, softirq, steal; the rest is counted
    /// in those.
    pub(super) fn parse(stat: &str) -> Option<HostCpu> {
        let line = stat.lines().find(|line| line.starts_with("cpu "))?;
        let numbers: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|it| it.parse().ok()).collect();
        let [_, _, _, idle, waiting, _, _, steal] = *numbers.as_slice() else { return None };
        Some(HostCpu { total: numbers.iter().sum(), idle: idle + waiting, steal })
    }

    pub fn since(self, earlier: HostCpu) -> HostCpu {
        HostCpu {
            total: self.total.saturating_sub(earlier.total),
            idle: self.idle.saturating_sub(earlier.idle),
            steal: self.steal.saturating_sub(earlier.steal),
        }
    }

    pub fn busy_share(self) -> f64 {
        self.share(self.total.saturating_sub(self.idle + self.steal))
    }

    pub fn steal_share(self) -> f64 {
        self.share(self.steal)
    }

    fn share(self, part: u64) -> f64 {
        if self.total == 0 { 0.0 } else { part as f64 / self.total as f64 }
    }
}
