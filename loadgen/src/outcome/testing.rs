//! Outcomes made by hand, for tests.

use super::*;
use crate::profile::Profile;
use crate::settings::{Base, OpenLoop, RecordSettings};
use crate::units::{Rate, Size, Span};

pub(crate) const MS: u64 = 1_000_000;

/// Two seconds, 1000 records answered after 5 ms each, and everything kept.
pub(crate) fn outcome(lateness_ns: u64, cpu_ns: fn(usize) -> u64) -> Outcome {
    let settings = settings();
    let mut measurements = Measurements::new(0, 2_000 * MS, Duration::from_millis(100));
    for n in 0..1000 {
        measurements.record(Clock::Response, n * 2 * MS, 5 * MS);
        measurements.record(Clock::Lateness, n * 2 * MS, lateness_ns);
        measurements.count(n * 2 * MS, |tally| tally.acknowledged += 1);
    }
    for interval in 0..20 {
        measurements.count(interval as u64 * 100 * MS, |it| it.cpu_ns += cpu_ns(interval));
    }
    Outcome {
        run: 1,
        topics: vec![],
        began_at: SystemTime::UNIX_EPOCH,
        start_ns: 7,
        finished_ns: 2_100 * MS,
        counts: Counts { planned: 1000, sent: 1000, acknowledged: 1000, ..Counts::default() },
        notes: BTreeMap::new(),
        read_back: (Duration::ZERO, 0),
        readers: Vec::new(),
        cpu: vec![WorkerCpu::of(&measurements, &settings)],
        measurements,
        settings,
    }
}

fn settings() -> Settings {
    let load = Load::Open(OpenLoop {
        base: Base::Rate(Rate(500.0)),
        duration: Span(Duration::from_secs(2)),
        warm_up: Span(Duration::ZERO),
        linger: Span(Duration::ZERO),
        ..OpenLoop::usual(Profile::find("steady").unwrap())
    });
    let settings = Settings::usual("", load);
    let records = RecordSettings { size: Size(1000).into(), keys: 1, ..settings.records };
    Settings { records, ..settings }
}
