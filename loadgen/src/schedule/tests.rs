//! Tests of schedules.

use proptest::prelude::*;

use super::*;

fn black_friday() -> Profile {
    Profile::find("black-friday").unwrap()
}

fn offer(profile: &Profile, arrivals: Arrivals) -> Offer<'_> {
    Offer {
        profile,
        base_per_s: 2000.0,
        duration: Duration::from_secs(20),
        warm_up: Duration::from_secs(1),
        arrivals,
        seed: 7,
    }
}

/// How many times lie in `begin..end` seconds.
fn count(times: &[u64], begin: f64, end: f64) -> f64 {
    let range = whole(begin * 1e9)..whole(end * 1e9);
    times.iter().filter(|time| range.contains(time)).count() as f64
}

#[test]
fn even_arrivals_follow_the_curve_to_a_record() {
    let profile = black_friday();
    let curve = profile.curve(Duration::from_secs(20));
    let times = offer(&profile, Arrivals::Even).schedule().unwrap();
    assert!(times.is_sorted());
    assert!((count(&times, 0.0, 1.0) - 2000.0).abs() <= 1.0, "warm-up");
    for tenth in 0..200 {
        let begin = f64::from(tenth) / 10.0;
        let [from, to] = [begin, begin + 0.1].map(|at| curve.integral_to(at / 20.0));
        let expected = (to - from) * 20.0 * 2000.0;
        let found = count(&times, 1.0 + begin, 1.1 + begin);
        assert!((found - expected).abs() <= 1.0, "{found} of {expected} at {begin} s");
    }
}

#[test]
fn poisson_arrivals_follow_the_curve_within_their_own_noise() {
    let profile = black_friday();
    let curve = profile.curve(Duration::from_secs(20));
    let times = offer(&profile, Arrivals::Poisson).schedule().unwrap();
    assert!(times.is_sorted());
    let mut worst: f64 = 0.0;
    for half in 0..40 {
        let begin = f64::from(half) / 2.0;
        let [from, to] = [begin, begin + 0.5].map(|at| curve.integral_to(at / 20.0));
        let expected = (to - from) * 20.0 * 2000.0;
        let found = count(&times, 1.0 + begin, 1.5 + begin);
        worst = worst.max((found - expected).abs() / expected.sqrt());
    }
    // Of 40 windows the worst is two to three standard deviations off, never five.
    assert!((1.0..5.0).contains(&worst), "{worst} standard deviations");
}

#[test]
fn gaps_of_a_poisson_process_have_no_memory() {
    let profile = Profile::find("steady").unwrap();
    let times = offer(&profile, Arrivals::Poisson).schedule().unwrap();
    let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    // The share of gaps longer than x times the mean is e^-x.
    for x in [0.5, 1.0, 2.0, 3.0f64] {
        let share = gaps.iter().filter(|gap| x * mean < **gap).count() as f64 / gaps.len() as f64;
        assert!((share - (-x).exp()).abs() < 0.01, "{share} longer than {x}");
    }
}

#[test]
fn the_same_seed_gives_the_same_times_and_another_gives_others() {
    let profile = black_friday();
    let times = |seed| Offer { seed, ..offer(&profile, Arrivals::Poisson) }.schedule().unwrap();
    assert_eq!(times(1), times(1));
    assert_ne!(times(1), times(2));
}

#[test]
fn what_cannot_be_planned_says_why() {
    let profile = black_friday();
    let too_fast = Offer { base_per_s: 1e6, ..offer(&profile, Arrivals::Even) };
    let error = too_fast.schedule().unwrap_err().to_string();
    assert!(
        error.ends_with("at most 50000000 can be planned: lower --base or --duration"),
        "{error}"
    );
    let no_rate = Offer { base_per_s: 0.0, ..offer(&profile, Arrivals::Even) };
    assert_eq!(no_rate.schedule(), Err(ScheduleError::NoRate { base_per_s: 0.0 }));
    let no_time = Offer { duration: Duration::ZERO, ..offer(&profile, Arrivals::Even) };
    assert_eq!(no_time.schedule(), Err(ScheduleError::NoTime));
}

proptest! {
    #[test]
    fn every_time_is_within_the_run(
        base_per_s in 1.0..3000.0f64,
        millis in 1..3000u64,
        warm_up_millis in 0..500u64,
        is_poisson in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let profile = black_friday();
        let arrivals = if is_poisson { Arrivals::Poisson } else { Arrivals::Even };
        let duration = Duration::from_millis(millis);
        let warm_up = Duration::from_millis(warm_up_millis);
        let offer = Offer { profile: &profile, base_per_s, duration, warm_up, arrivals, seed };
        let times = offer.schedule().unwrap();
        prop_assert!(times.is_sorted());
        prop_assert!(times.last().is_none_or(|last| *last < nanos(warm_up + duration)));
    }
}
