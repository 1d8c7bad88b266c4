//! Outcomes made by hand, for tests.

use super::*;
use crate::plan::KeyDistribution;
use crate::profile::Profile;
use crate::record::Payload;
use crate::schedule::Arrivals;
use crate::settings::{
    Acks, Base, Consume, FetchSettings, OpenLoop, RecordSettings, TopicSettings,
};
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
    Settings {
        bootstrap: vec![],
        acks: Acks::All,
        idempotent: false,
        connections: 1,
        consumers: 1,
        readers: Vec::new(),
        processors: vec![],
        seed: 1,
        fail_if: vec![],
        interval: Span(Duration::from_millis(100)),
        drain_max: Span(Duration::from_secs(1)),
        topics: TopicSettings {
            existing: None,
            count: 1,
            partitions: 1,
            replication_factor: 1,
            keep: false,
            configs: BTreeMap::new(),
        },
        records: RecordSettings {
            size: Size(1000),
            payload: Payload::Random,
            keys: 1,
            key_distribution: KeyDistribution::Uniform,
            hot_key: 0.0,
            batch_records_max: 1,
            batch_size_max: Size(10_000),
        },
        fetch: FetchSettings {
            when: Consume::During,
            wait_max: Span(Duration::ZERO),
            size_min: Size(1),
            size_max: Size(1),
        },
        load: Load::Open(OpenLoop {
            base: Base::Rate(Rate(500.0)),
            duration: Span(Duration::from_secs(2)),
            warm_up: Span(Duration::ZERO),
            arrivals: Arrivals::Even,
            linger: Span(Duration::ZERO),
            profile: Profile::find("steady").unwrap(),
        }),
    }
}
