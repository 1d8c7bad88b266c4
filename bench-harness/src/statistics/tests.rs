//! Tests of ratios and their intervals.

use std::cmp::Ordering;

use super::*;

#[test]
fn a_ratio_is_the_geometric_mean_of_its_pairs() {
    let ratio = Ratio::of_pairs(&[(2.0, 1.0), (1.0, 2.0)]).unwrap();
    assert!((ratio.value - 1.0).abs() < 1e-12);
    assert_eq!((ratio.interval, ratio.pairs), (None, 2), "two pairs show nothing");
    assert_eq!(Ratio::of_pairs(&[(0.0, 1.0)]), None);
    assert_eq!(Ratio::of_pairs(&[(1.0, f64::NAN)]), None);
    assert_eq!(Ratio::of_pairs(&[]), None);
}

#[test]
fn what_is_common_to_a_pair_does_not_widen_the_interval() {
    // The host is up to twice as slow from pair to pair; the ratio hardly moves.
    let drift = [1.0, 2.0, 1.3, 1.7, 1.1, 1.9];
    let noise = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0];
    let pairs: Vec<(f64, f64)> =
        drift.iter().zip(noise).map(|(drift, noise)| (1.5 * drift * noise, *drift)).collect();
    let paired = Ratio::of_pairs(&pairs).unwrap();
    let (low, high) = paired.interval.unwrap();
    assert!(1.46 < low && low < 1.5 && 1.5 < high && high < 1.54, "{low} {high}");
    assert_eq!(paired.side(), Some(Ordering::Greater));
    let (ones, others): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let apart = Ratio::of_groups(&ones, &others).unwrap();
    assert!((apart.value - paired.value).abs() < 1e-9);
    assert_eq!(apart.side(), None, "without the pairs the drift hides it");
}

#[test]
fn an_interval_holds_what_it_says_in_nineteen_of_twenty_cases() {
    // Ratios with a known middle, drawn a thousand times, six pairs each.
    let mut random = SplitMix64(7);
    let mut normal = || {
        // Irwin and Hall: twelve uniform numbers are nearly normal.
        let sum: f64 = (0..12).map(|_| random.below(1 << 20) as f64 / f64::from(1 << 20)).sum();
        sum - 6.0
    };
    let held = (0..1000).filter(|_| {
        let pairs: Vec<(f64, f64)> =
            (0..6).map(|_| (1.2 * (0.1 * normal()).exp(), (0.1 * normal()).exp())).collect();
        let (low, high) = Ratio::of_pairs(&pairs).unwrap().interval.unwrap();
        low <= 1.2 && 1.2 <= high
    });
    let held = held.count();
    assert!((920..=985).contains(&held), "{held} of 1000");
}

#[test]
fn the_normal_distribution_is_the_known_one() {
    for (x, below) in [(0.0, 0.5), (-1.959_964, 0.025), (1.0, 0.841_344_7), (-3.0, 0.001_349_9)] {
        assert!((normal_below(x) - below).abs() < 1e-6, "{x}");
    }
}
