//! Tests of conditions.

use std::time::Duration;

use super::*;
use crate::outcome::testing::outcome;

fn condition(text: &str) -> Condition {
    text.parse().unwrap()
}

#[test]
fn what_is_read_is_written_the_same_with_its_clock() {
    for text in [
        "response.p99>5ms",
        "end-to-end.p99.99>20ms",
        "send-lag.max>1s",
        "service.p50<100us",
        "rate<1000/s",
        "missing>0",
        "unsent>0",
        "client-bound",
    ] {
        assert_eq!(condition(text).to_string(), text);
    }
    assert_eq!(condition(" p99.9 > 5ms ").to_string(), "response.p99.9>5ms");
}

#[test]
fn a_refusal_names_the_value_and_the_fix() {
    let refusal = |text: &str| text.parse::<Condition>().unwrap_err().to_string();
    assert_eq!(
        refusal("p99=5ms"),
        "`p99=5ms` is not a condition: write for example p99>5ms, end-to-end.p99.9>20ms, max>1s, \
         rate<1000/s, missing>0, unsent>0 or client-bound"
    );
    assert_eq!(
        refusal("respons.p98>5ms"),
        "`respons.p98` is nothing that a condition can be about: use rate, missing, unsent, or \
         one of p50, p90, p99, p99.9, p99.99 and max, if need be after one of response, service, \
         send-lag, lateness, end-to-end, connect and a dot"
    );
    assert_eq!(refusal("p99>5"), "`5` is not a duration such as 500ms, 20s or 2m");
    assert_eq!(refusal("missing>x"), "`x` is not a number of records such as 0");
    assert!(refusal("rate<fast").contains("`fast` is not a rate"));
}

#[test]
fn a_run_fails_by_what_was_found_and_by_nothing_else() {
    // 1000 records in two seconds, each answered after 5 ms.
    let mut outcome = outcome(1_000, |_| 0);
    let failure = |outcome: &Outcome, text: &str| condition(text).failure(outcome);
    for good in ["p99>6ms", "max>6ms", "rate<500/s", "missing>0", "unsent>0", "client-bound"] {
        assert_eq!(failure(&outcome, good), None, "{good}");
    }
    let found = |outcome: &Outcome, text: &str| failure(outcome, text).unwrap();
    assert_eq!(
        found(&outcome, "p99>4ms"),
        "response.p99>4ms: it was 5.00 ms, of 1\u{202f}000 samples"
    );
    assert_eq!(found(&outcome, "rate<501/s"), "rate<501/s: it was 500/s");
    assert!(failure(&outcome, "max<6ms").is_some());
    outcome.counts.missing = 3;
    outcome.counts.unsent = 7;
    assert_eq!(found(&outcome, "missing>2"), "missing>2: there were 3");
    assert_eq!(found(&outcome, "client-bound"), "client-bound: 7 records were never sent");
    outcome.settings.fail_if = ["p99>6ms", "unsent>0"].map(condition).to_vec();
    assert_eq!(failures(&outcome), ["unsent>0: there were 7"]);
}

#[test]
fn a_percentile_of_too_few_samples_is_a_failure() {
    let outcome = outcome(1_000, |_| 0);
    assert_eq!(
        condition("p99.99>1s").failure(&outcome).unwrap(),
        "response.p99.99>1s: it cannot be told from 1\u{202f}000 samples, at least 100\u{202f}000 \
         are needed: run longer, or ask for a lower percentile or another clock"
    );
    // The hundredth part of 1000 is ten, which is just enough.
    assert_eq!(condition("p99>1s").failure(&outcome), None);
    assert!(condition("p99.9>1s").failure(&outcome).is_some());
    assert!(condition("end-to-end.max>1s").failure(&outcome).is_some());
    assert_eq!(Duration::from_secs(2), outcome.measured());
}
