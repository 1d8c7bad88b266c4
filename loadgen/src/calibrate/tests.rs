//! Tests of which rates are tried.

use super::*;

/// Climbs on a host that can do so much.
fn tried(ceiling_per_s: f64, highest_per_s: f64) -> Vec<u64> {
    let mut tried = Vec::new();
    let climbed = climb(highest_per_s, |rate_per_s| {
        tried.push(crate::units::whole(rate_per_s));
        Ok::<bool, std::convert::Infallible>(ceiling_per_s < rate_per_s)
    });
    climbed.unwrap();
    tried
}

#[test]
fn the_ceiling_is_found_between_a_rate_and_its_double() {
    assert_eq!(tried(30_000.0, 1e6), [10_000, 20_000, 40_000, 28_284, 33_635]);
    assert_eq!(tried(5_000.0, 1e6), [10_000, 7_071, 5_946]);
}

#[test]
fn a_host_that_is_faster_than_a_schedule_can_be_is_not_asked_for_more() {
    assert_eq!(tried(1e9, 50_000.0), [10_000, 20_000, 40_000, 50_000]);
    assert_eq!(tried(45_000.0, 50_000.0), [10_000, 20_000, 40_000, 50_000, 44_721, 47_287]);
}

#[test]
fn the_highest_rate_of_a_step_can_be_scheduled_and_no_higher() {
    let steady = Profile::find("steady").unwrap();
    // So that the records of a step are those of its rate, and no rounding adds one.
    assert!(steady.curve(STEP).mean() <= 1.0);
    let beyond = crate::schedule::Offer {
        profile: &steady,
        base_per_s: schedule_rate_max() * 1.001,
        duration: STEP,
        warm_up: WARM_UP,
        arrivals: crate::schedule::Arrivals::Even,
        seed: 1,
    };
    assert!(matches!(beyond.schedule(), Err(crate::schedule::ScheduleError::TooMany { .. })));
    assert!(schedule_rate_max() * (WARM_UP + STEP).as_secs_f64() <= RECORDS_MAX);
}
