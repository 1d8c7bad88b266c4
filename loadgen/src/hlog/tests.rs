//! Tests of histogram logs.

use base64::prelude::{BASE64_STANDARD, Engine};
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::*;
use crate::measure::{add, histogram};

/// All intervals of a log added up.
fn read_total(log: &[u8]) -> Histogram {
    let mut total = histogram();
    let mut deserializer = Deserializer::new();
    for entry in IntervalLogIterator::new(log) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        let bytes = BASE64_STANDARD.decode(interval.encoded_histogram()).unwrap();
        add(&mut total, &deserializer.deserialize(&mut io::Cursor::new(bytes)).unwrap());
    }
    total
}

#[test]
fn a_log_is_read_back_as_the_same_histogram() {
    let ms = 1_000_000;
    let mut measured = Measurements::new(0, 1000 * ms, Duration::from_millis(100));
    for n in 0..10_000 {
        measured.record(Clock::Response, n % 900 * ms, n * n * 7 + 100);
    }
    let mut log = Vec::new();
    write(&mut log, &measured, Clock::Response, SystemTime::UNIX_EPOCH).unwrap();
    let read = read_total(&log);
    let total = measured.total(Clock::Response);
    assert_eq!(read.len(), 10_000);
    for quantile in [0.0, 0.01, 0.5, 0.99, 0.9999, 1.0] {
        assert_eq!(read.value_at_quantile(quantile), total.value_at_quantile(quantile));
    }
    let text = String::from_utf8(log).unwrap();
    assert!(text.starts_with("#[response: intended → acknowledged, in nanoseconds]\n"), "{text}");
    // Nine of the ten intervals have samples.
    assert_eq!(text.lines().filter(|line| line.contains("HISTFAAA")).count(), 9);
}

#[test]
fn a_single_histogram_is_a_log_of_one_interval() {
    let mut histogram = histogram();
    histogram.record(123_456_789).unwrap();
    let mut log = Vec::new();
    let second = Duration::from_secs(1);
    write_one(&mut log, "flush", "4 KiB", SystemTime::UNIX_EPOCH, second, &histogram).unwrap();
    let read = read_total(&log);
    assert_eq!((read.len(), read.max()), (1, histogram.max()));
}
