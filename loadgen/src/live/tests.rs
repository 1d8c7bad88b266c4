use super::*;
use crate::measure::Measurements;

const INTERVAL: Duration = Duration::from_millis(250);

/// An interval whose records took so many milliseconds.
fn took(times_ms: &[u64]) -> Measurements {
    let mut measured = Measurements::new(0, 1_000_000_000, Duration::from_secs(1));
    for time_ms in times_ms {
        measured.record(Clock::Response, 0, time_ms * 1_000_000);
    }
    measured
}

#[test]
fn workers_are_added_up_and_the_last_second_is_told_apart() {
    let live = Live::new();
    let tally = |offered| Tally { offered, acknowledged: offered / 2, ..Tally::default() };
    for number in 0..8 {
        // Two workers, one of which is behind.
        live.note(INTERVAL, number, tally(100), None);
        if number < 6 {
            live.note(INTERVAL, number, tally(10), None);
        }
    }
    let glance = live.glance();
    assert_eq!(glance.elapsed, Duration::from_secs(2));
    assert_eq!((glance.total.offered, glance.rates.offered), (860, 420));
    assert_eq!((glance.unsent(), glance.backlog()), (860, 430));
    assert!(!glance.is_over && glance.response.is_none());
    live.note_end();
    assert!(live.glance().is_over);
}

#[test]
fn times_are_shown_of_the_second_that_is_settled() {
    let live = Live::new();
    let (first, second) = (took(&[1, 2, 3]), took(&[100; 10]));
    for number in 0..12 {
        let interval = match number {
            0..8 => None,
            8 => Some((0, &first.intervals()[0])),
            9 => Some((3, &first.intervals()[0])),
            _ => Some((4 + number - 10, &second.intervals()[0])),
        };
        live.note(INTERVAL, number, Tally::default(), interval);
    }
    let glance = live.glance();
    assert_eq!(glance.heat.len(), 2);
    assert_eq!(glance.heat[0].iter().sum::<u64>(), 6);
    assert_eq!(glance.heat[1].iter().sum::<u64>(), 20);
    // Three seconds are over, of which two are settled.
    let [p50, ..] = glance.response.unwrap();
    assert!((99_000_000..101_000_000).contains(&p50), "{p50}");
    let row = glance.heat[1].iter().position(|count| *count == 20).unwrap();
    assert!(row_ns(row) <= p50 && p50 < row_ns(row + 1), "{row}");
}

#[test]
fn old_seconds_are_forgotten() {
    let live = Live::new();
    let one = took(&[1]);
    for number in 0..COLUMNS_MAX + 10 {
        let second = Duration::from_secs(1);
        live.note(second, number, Tally::default(), Some((number, &one.intervals()[0])));
    }
    let glance = live.glance();
    assert_eq!((glance.heat_from, glance.heat.len()), (10, COLUMNS_MAX));
    assert!(glance.response.is_some());
}

#[test]
fn a_run_that_has_not_begun_can_be_looked_at() {
    let glance = Live::new().glance();
    assert_eq!((glance.elapsed, glance.heat.len()), (Duration::ZERO, 0));
}

#[test]
fn whoever_waits_is_told_of_the_start_or_that_there_is_none() {
    let live = Live::new();
    assert_eq!(live.wait_for_start(Duration::from_millis(1)), None);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| live.wait_for_start(Duration::from_secs(20)));
        live.note_start(17);
        assert_eq!(waiting.join().unwrap(), Some(17));
    });
    let failed = Live::new();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| failed.wait_for_start(Duration::from_secs(20)));
        failed.note_end();
        assert_eq!(waiting.join().unwrap(), None);
    });
}
