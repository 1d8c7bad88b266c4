//! Tests of the measurement, on a real file system.

use super::*;

#[test]
fn writes_are_measured_and_leave_nothing_behind() {
    let directory = std::env::temp_dir();
    let duration = Duration::from_millis(30);
    let flush = Flush { directory: directory.clone(), duration, processor: None };
    let latency = flush.measure().unwrap();
    assert!(0 < latency.count);
    assert!(latency.p50_ns <= latency.max_ns);
    assert!(0.03 <= latency.seconds);
    assert_eq!(latency.histogram.len(), latency.count);
    let file = directory.join(format!("flush-latency-{}", std::process::id()));
    assert!(!file.exists());
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let directory = PathBuf::from("/nowhere");
    let flush = Flush { directory, duration: Duration::ZERO, processor: None };
    let error = flush.measure().unwrap_err().to_string();
    assert!(error.starts_with("cannot use /nowhere/flush-latency-"), "{error}");
}

#[test]
fn percentiles_without_samples_enough_are_refused() {
    let mut histogram = empty();
    for n in 0..999 {
        histogram.record(n * 1000).unwrap();
    }
    assert_eq!(quantile(&histogram, 0.99), None);
    histogram.record(5).unwrap();
    assert!(quantile(&histogram, 0.99).is_some());
    assert_eq!(quantile(&histogram, 0.999), None);
}
