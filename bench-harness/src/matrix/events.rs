//! What is done to a broker while it is under load, at times of the run.

use std::fs;
use std::time::Duration;

use loadgen::in_full;
use loadgen::live::Live;
use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::sample::monotonic_ns;
use crate::scenario::{Event, Happening};
use crate::units::nanos;

/// From asking for a run until its workers are ready: topics are made, connections opened.
const START_MAX: Duration = Duration::from_secs(60);

/// What was done, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    pub what: Happening,
    /// When it was done, in seconds of the measured time.
    pub at_s: f64,
    /// When a broker that was killed said that it serves again, likewise.
    pub served_s: Option<f64>,
    /// Why it was not done, or failed.
    pub error: Option<String>,
}

/// Does what is to be done, each at its time. Waits for the run to begin.
pub(super) fn play(events: &[Event], live: &Live, broker: &mut Broker) -> Vec<Happened> {
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.at);
    // A run that never began says itself why.
    let Some(measured_from_ns) = live.wait_for_start(START_MAX) else { return Vec::new() };
    let seconds = || (monotonic_ns() as f64 - measured_from_ns as f64) / 1e9;
    let happened = events.into_iter().map(|event| {
        let at_ns = measured_from_ns + nanos(event.at.0);
        std::thread::sleep(Duration::from_nanos(at_ns.saturating_sub(monotonic_ns())));
        let at_s = seconds();
        let done = match event.what {
            Happening::Kill => broker.kill_and_restart().map_err(|error| in_full(&error)),
            Happening::DropCaches => drop_caches(),
        };
        let has_served = done.is_ok() && event.what == Happening::Kill;
        let served_s = has_served.then(seconds);
        Happened { what: event.what, at_s, served_s, error: done.err() }
    });
    happened.collect()
}

/// Writes out what is dirty and forgets what is clean (Documentation/admin-guide/sysctl/vm.rst).
fn drop_caches() -> Result<(), String> {
    nix::unistd::sync();
    fs::write("/proc/sys/vm/drop_caches", "3")
        .map_err(|error| format!("cannot drop caches: {error}; it needs root"))
}
