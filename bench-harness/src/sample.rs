//! What a broker's process, its disk and the host use while a load runs.
//!
//! A thread reads /proc every so often; the numbers between two points in time are taken from the
//! readings around them.
//!
//! Guarantees: processor time is that of the scheduler, in nanoseconds, of all threads of the
//! process, its io_uring workers included. What ends between two readings is lost from the first
//! on. Does not know: what the load was.

mod proc;
mod journal;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;

pub use journal::{JournalCounters, JournalUse};
pub use proc::{DiskCounters, HostCpu, ThreadTimes};

use crate::child::pin_this_thread;
use journal::Scraper;

/// Seldom enough that a broker does not notice.
const SCRAPE_EVERY_NS: u64 = 250_000_000;

/// Now, on the host's monotonic clock: the one that loadgen's outcomes refer to.
pub fn monotonic_ns() -> u64 {
    use nix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has this clock");
    now.tv_sec().cast_unsigned() * 1_000_000_000 + now.tv_nsec().cast_unsigned()
}

/// What to watch.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The broker's process, if it is ours.
    pub pid: Option<u32>,
    /// The disk under its data, by the kernel's name.
    pub disk: Option<String>,
    /// Where it tells its metrics, if it does.
    pub metrics: Option<SocketAddr>,
}

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    pub at_ns: u64,
    /// Processor time of the process since it was first read.
    pub cpu_ns: u64,
    pub resident_bytes: u64,
    pub disk: DiskCounters,
    pub host: HostCpu,
    /// What the broker says of its journal; not asked for in every reading.
    pub journal: Option<JournalCounters>,
}

/// What was used between two points in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    pub seconds: f64,
    pub cpu_ns: u64,
    pub resident_bytes_max: u64,
    pub disk_flushes: u64,
    pub disk_writes: u64,
    pub disk_written_bytes: u64,
    /// Of all processors together.
    pub host_busy_share: f64,
    pub host_steal_share: f64,
    /// By the broker's own account, over nearly the same time.
    pub journal: Option<JournalUse>,
}

impl Usage {
    /// Share of one processor.
    pub fn cpu_share(&self) -> f64 {
        if self.seconds == 0.0 { 0.0 } else { self.cpu_ns as f64 / 1e9 / self.seconds }
    }
}

/// All readings, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Samples {
    pub samples: Vec<Sample>,
}

impl Samples {
    /// What was used between two points in time, each taken at the reading nearest to it.
    pub fn between(&self, from_ns: u64, to_ns: u64) -> Usage {
        let (Some(from), Some(to)) = (self.nearest(from_ns), self.nearest(to_ns)) else {
            return Usage::default();
        };
        let (first, last) = (self.samples[from], self.samples[to]);
        let resident = self.samples[from..=to].iter().map(|it| it.resident_bytes).max();
        let host = last.host.since(first.host);
        Usage {
            seconds: (last.at_ns - first.at_ns) as f64 / 1e9,
            cpu_ns: last.cpu_ns - first.cpu_ns,
            resident_bytes_max: resident.unwrap_or(0),
            disk_flushes: last.disk.flushes.saturating_sub(first.disk.flushes),
            disk_writes: last.disk.writes.saturating_sub(first.disk.writes),
            disk_written_bytes: last.disk.written_bytes.saturating_sub(first.disk.written_bytes),
            host_busy_share: host.busy_share(),
            host_steal_share: host.steal_share(),
            journal: self.journal_between(from_ns, to_ns),
        }
    }

    /// Of the readings that have it, between those nearest to two points in time.
    fn journal_between(&self, from_ns: u64, to_ns: u64) -> Option<JournalUse> {
        let nearest = |at_ns: u64| {
            let told = self.samples.iter().filter_map(|it| Some((it.at_ns, it.journal?)));
            told.min_by_key(|(told_ns, _)| told_ns.abs_diff(at_ns))
        };
        let ((first_ns, first), (last_ns, last)) = (nearest(from_ns)?, nearest(to_ns)?);
        let seconds = last_ns.checked_sub(first_ns).filter(|it| 0 < *it)? as f64 / 1e9;
        Some(JournalUse { seconds, counters: last.since(first) })
    }

    /// Share of one processor that the process used, between each two readings in a span of time:
    /// points of seconds since `from_ns`.
    pub fn cpu_curve(&self, from_ns: u64, to_ns: u64) -> Vec<(f64, f64)> {
        let pairs = self.samples.windows(2);
        let within = pairs.filter(|pair| from_ns <= pair[1].at_ns && pair[1].at_ns <= to_ns);
        let curve = within.map(|pair| {
            let (before, after) = (pair[0], pair[1]);
            let middle = before.at_ns.midpoint(after.at_ns) as f64;
            let share = (after.cpu_ns - before.cpu_ns) as f64 / (after.at_ns - before.at_ns) as f64;
            ((middle - from_ns as f64) / 1e9, share)
        });
        curve.collect()
    }

    fn nearest(&self, at_ns: u64) -> Option<usize> {
        let distance = |sample: &Sample| sample.at_ns.abs_diff(at_ns);
        let nearest = self.samples.iter().enumerate().min_by_key(|(_, it)| distance(it));
        nearest.map(|(index, _)| index)
    }
}

/// A thread that reads until it is stopped.
#[derive(Debug)]
pub struct Sampler {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Samples>>,
    /// Closed by dropping: wakes the thread.
    wake: Option<std::sync::mpsc::Sender<()>>,
}

impl Sampler {
    /// Reads every `interval`, on these processors.
    pub fn start(watched: Watched, interval: Duration, processors: Vec<usize>) -> Sampler {
        let stop = Arc::new(AtomicBool::new(false));
        let (wake, woken) = channel();
        let thread = {
            let stop = stop.clone();
            std::thread::spawn(move || {
                // Anywhere else it would only be a little less polite.
                let _ = pin_this_thread(&processors);
                sample(&watched, interval, &stop, &woken)
            })
        };
        Sampler { stop, thread: Some(thread), wake: Some(wake) }
    }

    pub fn stop(mut self) -> Samples {
        self.end().unwrap_or_default()
    }

    fn end(&mut self) -> Option<Samples> {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.wake.take());
        self.thread.take()?.join().ok()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.end();
    }
}

fn sample(
    watched: &Watched,
    interval: Duration,
    stop: &AtomicBool,
    woken: &Receiver<()>,
) -> Samples {
    let mut threads = ThreadTimes::default();
    let mut scraper = Scraper::new(watched.metrics);
    let mut scrape_at_ns = 0;
    let mut samples = Vec::new();
    loop {
        let is_last = stop.load(Ordering::Relaxed);
        let is_scraping = is_last || scrape_at_ns <= monotonic_ns();
        if is_scraping {
            scrape_at_ns = monotonic_ns() + SCRAPE_EVERY_NS;
        }
        let journal = if is_scraping { scraper.read() } else { None };
        if let Some(pid) = watched.pid {
            threads.update(pid);
        }
        samples.push(Sample {
            at_ns: monotonic_ns(),
            cpu_ns: threads.total_ns(),
            resident_bytes: watched.pid.and_then(proc::resident_bytes).unwrap_or(0),
            disk: watched.disk.as_deref().and_then(DiskCounters::read).unwrap_or_default(),
            host: HostCpu::read().unwrap_or_default(),
            journal,
        });
        if is_last {
            return Samples { samples };
        }
        // Only ever times out, or finds the other end dropped.
        let _ = woken.recv_timeout(interval);
    }
}

#[cfg(test)]
mod tests;
