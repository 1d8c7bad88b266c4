//! Tests of the verdict, on outcomes made by hand.

use super::*;
use crate::profile::Profile;
use crate::record::Payload;
use crate::schedule::Arrivals;
use crate::settings::{Acks, Consume, FetchSettings, OpenLoop, RecordSettings, TopicSettings};
use crate::units::{Rate, Size, Span};

const MS: u64 = 1_000_000;

/// Two seconds, 1000 records answered after 5 ms each, and everything kept.
fn outcome(lateness_ns: u64, cpu_ns: fn(usize) -> u64) -> Outcome {
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
            base: Rate(500.0),
            duration: Span(Duration::from_secs(2)),
            warm_up: Span(Duration::ZERO),
            arrivals: Arrivals::Even,
            linger: Span(Duration::ZERO),
            profile: Profile::find("steady").unwrap(),
        }),
    }
}

#[test]
fn a_generator_that_keeps_up_says_nothing() {
    let outcome = outcome(400_000, |_| 70 * MS);
    assert_eq!(outcome.verdict(), Verdict { is_kept: true, ..Verdict::default() });
    assert_eq!(outcome.rate_per_s(), 500.0);
    assert_eq!(outcome.bytes_per_s(), 500_000.0);
    assert_eq!(outcome.window_ns(), (7, 7 + 2_000 * MS));
}

#[test]
fn a_generator_that_is_late_says_so() {
    let verdict = outcome(600_000, |_| 10 * MS).verdict();
    assert!(verdict.is_kept);
    assert_eq!(
        verdict.client_bound,
        ["requests left up to 600 µs late (p99), more than a tenth of the response 5.00 ms (p99)"]
    );
}

#[test]
fn a_generator_that_was_busy_for_a_second_says_so() {
    // Half a second before and after the middle; over the whole run it is only half busy.
    let verdict =
        outcome(1_000, |interval| if (5..15).contains(&interval) { 81 * MS } else { 0 }).verdict();
    assert_eq!(
        verdict.client_bound,
        ["worker 0 used 81.0 % of its processor in its busiest second"]
    );
}

#[test]
fn what_was_never_sent_is_not_hidden() {
    let mut outcome = outcome(1_000, |_| 0);
    outcome.counts.unsent = 3;
    assert_eq!(outcome.verdict().client_bound, ["3 records were never sent"]);
}

#[test]
fn a_broken_promise_is_told() {
    let mut outcome = outcome(1_000, |_| 0);
    outcome.counts.missing = 1;
    assert!(!outcome.verdict().is_kept);
    outcome.settings.acks = Acks::None;
    assert!(outcome.verdict().is_kept);
}

#[test]
fn a_run_in_which_nothing_came_through_is_not_good() {
    let mut outcome = outcome(1_000, |_| 0);
    assert!(outcome.verdict().is_good());
    outcome.counts.acknowledged = 0;
    let verdict = outcome.verdict();
    assert!(verdict.is_kept && verdict.is_hollow && !verdict.is_good());
    // Without acks, what was read back counts.
    outcome.settings.acks = Acks::None;
    outcome.counts.consumed = 1;
    assert!(outcome.verdict().is_good());
    outcome.counts.consumed = 0;
    assert!(!outcome.verdict().is_good());
}
