//! Tests of what is measured; that it is, `loadgen/tests/generator.rs` shows.

use super::*;
use crate::outcome::testing::outcome;

#[test]
fn what_is_known_is_not_measured() {
    let mut settings = outcome(0, |_| 0).settings;
    assert_eq!(measure(&settings).unwrap(), None);
    let Load::Open(open) = &mut settings.load else { unreachable!("it is made so") };
    open.base = "auto:50% of 1000/s".parse().unwrap();
    assert_eq!(open.base_per_s(), 500.0);
    assert_eq!(measure(&settings).unwrap(), None);
}

#[test]
fn a_measurement_is_like_the_run_but_closed_and_leaves_nothing_behind() {
    let mut settings = outcome(0, |_| 0).settings;
    settings.topics.keep = true;
    let saturating = saturating(&settings);
    assert!(!saturating.topics.keep);
    let Load::Closed(closed) = &saturating.load else { unreachable!("it is made so") };
    assert_eq!((closed.duration, closed.in_flight), (Span(MEASURED), IN_FLIGHT));
    let Settings { records, acks, connections, .. } = settings;
    assert_eq!(
        (saturating.records, saturating.acks, saturating.connections),
        (records, acks, connections)
    );
}
