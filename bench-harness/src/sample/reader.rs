//! Takes one reading after the other.
//!
//! Guarantees: what costs much is read seldom, so that all readings of a process of a hundred
//! threads, taken every 50 ms, need less than a hundredth of a processor. A process that has ended
//! keeps what it had used. Does not know: when it is called.

use super::journal::Scraper;
use super::proc::{self, ControlGroup, ThreadTimes};
use super::{
    DiskCounters, HostCpu, PageCache, ProcessMemory, ProcessTimes, ProcessorTimes, Sample,
    SwitchCounters, Watched, monotonic_ns,
};

/// Seldom enough that a broker does not notice.
const SELDOM_NS: u64 = 250_000_000;
/// What takes long, as there are many threads, is read more seldom: a quarter of a per cent of the
/// time may go into it.
const PAUSES_PER_READING: u64 = 400;

#[derive(Debug)]
pub(super) struct Reader {
    watched: Watched,
    group: Option<ControlGroup>,
    threads: ThreadTimes,
    times: ProcessTimes,
    scraper: Scraper,
    scrape_at_ns: u64,
    switches_at_ns: u64,
}

impl Reader {
    pub(super) fn new(watched: Watched) -> Reader {
        Reader {
            group: watched.pid.and_then(ControlGroup::of),
            threads: ThreadTimes::default(),
            times: ProcessTimes::default(),
            scraper: Scraper::new(watched.metrics),
            scrape_at_ns: 0,
            switches_at_ns: 0,
            watched,
        }
    }

    /// Reads everything that is due, and in the last reading all there is.
    pub(super) fn read(&mut self, is_last: bool) -> Sample {
        let journal = if is_last || self.scrape_at_ns <= monotonic_ns() {
            self.scrape_at_ns = monotonic_ns() + SELDOM_NS;
            self.scraper.read()
        } else {
            None
        };
        let switches = if is_last || self.switches_at_ns <= monotonic_ns() {
            self.read_switches()
        } else {
            None
        };
        let pid = self.watched.pid;
        if let Some(pid) = pid {
            self.threads.update(pid);
            self.times = ProcessTimes::read(pid).unwrap_or(self.times);
        }
        let memory = pid.and_then(ProcessMemory::read).unwrap_or_default();
        let stat = proc::text("/proc/stat").unwrap_or_default();
        Sample {
            at_ns: monotonic_ns(),
            cpu_ns: self.threads.total_ns(),
            times: self.times,
            resident_bytes: memory.resident_bytes,
            anonymous_bytes: memory.anonymous_bytes,
            file_bytes: memory.file_bytes,
            group_bytes: self.group.as_ref().and_then(ControlGroup::memory_bytes),
            switches,
            page_cache: PageCache::read().unwrap_or_default(),
            disk: self.watched.disk.as_deref().and_then(DiskCounters::read).unwrap_or_default(),
            host: HostCpu::parse(&stat).unwrap_or_default(),
            processors: ProcessorTimes::parse_all(&stat),
            journal,
        }
    }

    fn read_switches(&mut self) -> Option<SwitchCounters> {
        let began_ns = monotonic_ns();
        let switches = self.watched.pid.and_then(SwitchCounters::read);
        let pause_ns = (monotonic_ns() - began_ns) * PAUSES_PER_READING;
        self.switches_at_ns = began_ns + pause_ns.max(SELDOM_NS);
        switches
    }
}
