//! Where workers wait for each other before they start, and hear that all have sent everything.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, OnceLock};
use std::time::Duration;

use runtime::Instant;

/// From the last worker's arrival to the start, so that none of them starts late.
const HEAD_START: Duration = Duration::from_millis(20);

/// All workers of a run pass it together, or none.
pub(crate) struct StartGate {
    barrier: Barrier,
    failed: AtomicBool,
    start: OnceLock<Instant>,
    /// Workers that still produce.
    producing_count: AtomicUsize,
}

impl StartGate {
    pub(crate) fn new(workers_count: usize) -> StartGate {
        StartGate {
            barrier: Barrier::new(workers_count),
            failed: AtomicBool::new(false),
            start: OnceLock::new(),
            producing_count: AtomicUsize::new(workers_count),
        }
    }

    /// A worker has sent all that it will, and has heard what it will of it.
    pub(crate) fn note_produced(&self) {
        self.producing_count.fetch_sub(1, Ordering::Release);
    }

    /// Whether all workers have: partitions grow no more by them.
    pub(crate) fn have_all_produced(&self) -> bool {
        self.producing_count.load(Ordering::Acquire) == 0
    }

    /// Waits for all others, blocking the thread: nothing runs before the start. Returns the start,
    /// the same for all; none if one of them could not be prepared.
    pub(crate) fn pass(&self, is_prepared: bool, now: Instant) -> Option<Instant> {
        if !is_prepared {
            self.failed.store(true, Ordering::Relaxed);
        }
        // The barrier orders what is stored before it with what is read after it.
        if self.barrier.wait().is_leader() {
            let _ = self.start.set(now + HEAD_START);
        }
        self.barrier.wait();
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        self.start.get().copied()
    }
}
