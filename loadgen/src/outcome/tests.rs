//! Tests of the verdict, on outcomes made by hand.

use super::testing::{MS, outcome};
use super::*;
use crate::settings::Acks;

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
