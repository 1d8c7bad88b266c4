//! Tests of measurements.

use super::*;

const MS: u64 = 1_000_000;

fn measurements() -> Measurements {
    // A second of warm-up, a second measured.
    Measurements::new(1000 * MS, 2000 * MS, Duration::from_millis(100))
}

#[test]
fn times_belong_to_the_interval_in_which_the_record_was_meant_to_be_sent() {
    let mut measured = measurements();
    // A stall: a record of the third interval is answered eight intervals later.
    measured.record(Clock::Response, 1250 * MS, 800 * MS);
    measured.count(2050 * MS, |tally| tally.acknowledged += 1);
    let counts: Vec<u64> = measured.windows(1).map(|it| it.total(Clock::Response).len()).collect();
    assert_eq!(counts, [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(measured.intervals()[10].tally.acknowledged, 1);
    assert_eq!(measured.total(Clock::Response).len(), 1);
    assert_eq!(measured.total(Clock::Service).len(), 0);
}

#[test]
fn the_warm_up_is_not_measured() {
    let mut measured = measurements();
    measured.record(Clock::Response, 999 * MS, MS);
    measured.count(999 * MS, |tally| tally.acknowledged += 1);
    // Nor is what was meant to be sent after the schedule's end, which nothing is.
    measured.record(Clock::Response, 2000 * MS, MS);
    assert_eq!(measured.total(Clock::Response).len(), 0);
    assert_eq!(measured.windows(100).map(|it| it.tally().acknowledged).sum::<u64>(), 0);
}

#[test]
fn values_are_kept_to_three_digits_however_large() {
    let mut measured = measurements();
    for time_ns in [0, 700, 1_000, 123_456, 987 * MS, 100_000 * MS] {
        measured.record(Clock::EndToEnd, 1000 * MS, time_ns);
    }
    let total = measured.total(Clock::EndToEnd);
    assert_eq!(total.len(), 6);
    let max = total.max() as f64;
    assert!((max / 1e11 - 1.0).abs() < 0.001, "{max}");
    let median = total.value_at_quantile(0.5) as f64;
    assert!((median - 1_000.0).abs() < 512.0, "{median}");
    assert!((total.value_at_quantile(0.6) as f64 / 123_456.0 - 1.0).abs() < 0.005);
}

#[test]
fn workers_are_put_together_histogram_by_histogram() {
    let (mut one, mut other) = (measurements(), measurements());
    for n in 1..=1000 {
        one.record(Clock::Response, 1500 * MS, n * 1_000);
        other.record(Clock::Response, 1500 * MS, n * 100_000);
        other.count(2500 * MS, |tally| tally.consumed += 1);
    }
    one.merge(&other);
    let total = one.total(Clock::Response);
    assert_eq!(total.len(), 2000);
    // The median lies between the two; no mean of medians would.
    let median = total.value_at_quantile(0.5) as f64;
    assert!((median / 990_000.0 - 1.0).abs() < 0.02, "{median}");
    assert_eq!(one.intervals()[15].tally.consumed, 1000);
}

#[test]
fn a_percentile_without_samples_enough_is_refused() {
    let mut histogram = histogram();
    for n in 1..=999 {
        histogram.record(n * 1000).unwrap();
    }
    let summary = Summary::of(&histogram);
    assert!(summary.p50.is_some() && summary.p90.is_some());
    assert_eq!((summary.p99, summary.p99_9, summary.p99_99), (None, None, None));
    assert!((summary.max as f64 / 999_000.0 - 1.0).abs() < 0.001);
    histogram.record(1_000_000).unwrap();
    assert!(Summary::of(&histogram).p99.is_some());
    assert_eq!(QUANTILES.map(|(_, value)| samples_min(value)), [20.0, 100.0, 1e3, 1e4, 1e5]);
    assert_eq!(Summary::of(&super::histogram::<u64>()).quantiles(), [None; 5]);
}

#[test]
fn what_is_kept_in_a_file_is_read_back_whole() {
    let mut measured = measurements();
    for n in 0..1000 {
        let intended_ns = 1000 * MS + n * MS;
        measured.record(Clock::Response, intended_ns, n * MS + 1);
        measured.record(Clock::EndToEnd, intended_ns, 70_000 * MS);
        measured.count(intended_ns, |tally| tally.offered += 1);
    }
    let text = serde_json::to_string(&measured).unwrap();
    let mut read: Measurements = serde_json::from_str(&text).unwrap();
    assert_eq!(read.tally(), measured.tally());
    assert_eq!(read.windows(1).count(), measured.windows(1).count());
    for clock in Clock::ALL {
        assert_eq!(read.total(clock), measured.total(clock));
    }
    // And it can go on, also beyond what its histograms held.
    read.record(Clock::Response, 1000 * MS, 700_000 * MS);
    assert_eq!(read.total(Clock::Response).len(), 1001);
    let refused = serde_json::from_str::<Measurements>(
        &text.replace("\"interval_ns\":100000000", "\"interval_ns\":0"),
    );
    assert!(refused.unwrap_err().to_string().contains("need an interval"));
}
