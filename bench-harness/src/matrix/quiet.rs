//! Waiting until nobody works on in the next run: brokers delete topics behind the answer, and a
//! virtual machine collects its garbage when the load is over.

use std::time::{Duration, Instant};

use crate::sample::ThreadTimes;

/// A broker is looked at over this long.
const WINDOW: Duration = Duration::from_millis(200);
/// One that uses no more of a processor has nothing to do.
const IDLE_SHARE: f64 = 0.05;
/// So many windows in a row.
const WINDOWS: u32 = 2;
/// Longer is not waited.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Waits until all of these processes are idle, and writes out what is dirty, whoever made it so.
/// False if they were not idle in time.
pub(super) fn settle(pids: &[u32]) -> bool {
    let began = Instant::now();
    let mut quiet = 0;
    while quiet < WINDOWS && began.elapsed() < WAIT_MAX {
        let mut times = vec![ThreadTimes::default(); pids.len()];
        let read = |times: &mut Vec<ThreadTimes>| {
            times.iter_mut().zip(pids).for_each(|(times, pid)| times.update(*pid));
        };
        read(&mut times);
        let from = Instant::now();
        std::thread::sleep(WINDOW);
        read(&mut times);
        let idle_ns = from.elapsed().as_nanos() as f64 * IDLE_SHARE;
        let are_idle = times.iter().all(|times| times.total_ns() as f64 <= idle_ns);
        quiet = if are_idle { quiet + 1 } else { 0 };
    }
    nix::unistd::sync();
    quiet == WINDOWS
}
