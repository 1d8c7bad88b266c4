//! What a broker's process, its disk and the host use while a load runs.
//!
//! A thread reads /proc every so often; the numbers between two points in time are taken from the
//! readings around them.
//!
//! Guarantees: processor time is that of the scheduler, in nanoseconds, of all threads of the
//! process, its io_uring workers and those that have ended included. A reading of a process of a
//! hundred threads takes 65 µs of a processor, or 200 where others have emptied its caches; one that
//! counts context switches, about once a second, 2 ms. Together that is less than a hundredth of a
//! processor at a reading every 50 ms.
//! Does not know: what the load was.

mod proc;
mod journal;
mod reader;
mod curves;
mod usage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use curves::ProcessorCurves;
pub use journal::{JournalCounters, JournalUse};
pub use proc::{
    ControlGroup, DiskCounters, HostCpu, PageCache, ProcessMemory, ProcessTimes, ProcessorTimes,
    SwitchCounters, ThreadTimes,
};
pub use usage::{SwitchUse, Usage};

use crate::child::pin_this_thread;
use reader::Reader;

/// Now, on the host's monotonic clock: the one that loadgen's outcomes refer to.
pub fn monotonic_ns() -> u64 {
    proc::ns_of(nix::time::ClockId::CLOCK_MONOTONIC).expect("every Linux has this clock")
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// On the host's monotonic clock.
    pub at_ns: u64,
    /// Processor time of the process since it was first read.
    pub cpu_ns: u64,
    /// How it was divided, since the process was started; coarser.
    pub times: ProcessTimes,
    pub resident_bytes: u64,
    /// Of those, heap and stacks.
    pub anonymous_bytes: u64,
    /// Of those, mapped files.
    pub file_bytes: u64,
    /// What the kernel counts for the process's control group, if it has one of its own.
    pub group_bytes: Option<u64>,
    /// Of the process's threads; not read in every reading.
    pub switches: Option<SwitchCounters>,
    pub page_cache: PageCache,
    pub disk: DiskCounters,
    pub host: HostCpu,
    /// Of the host, by number.
    pub processors: Vec<ProcessorTimes>,
    /// What the broker says of its journal; not asked for in every reading.
    pub journal: Option<JournalCounters>,
}

impl Sample {
    fn processor(&self, processor: usize) -> Option<ProcessorTimes> {
        self.processors.iter().copied().find(|it| it.processor == processor)
    }
}

/// All readings, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    pub samples: Vec<Sample>,
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
                sample(watched, interval, &stop, &woken)
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
    watched: Watched,
    interval: Duration,
    stop: &AtomicBool,
    woken: &Receiver<()>,
) -> Samples {
    let mut reader = Reader::new(watched);
    let mut samples = Vec::new();
    loop {
        let is_last = stop.load(Ordering::Relaxed);
        samples.push(reader.read(is_last));
        if is_last {
            return Samples { samples };
        }
        // Only ever times out, or finds the other end dropped.
        let _ = woken.recv_timeout(interval);
    }
}

#[cfg(test)]
mod tests;
