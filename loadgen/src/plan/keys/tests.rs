//! Tests of the keys' distributions.

use super::*;

/// How often each of `count` keys came in so many draws.
fn counts(distribution: &str, count: u32, draws: u32) -> Vec<f64> {
    let keys = Keys::new(distribution.parse().unwrap(), count);
    let mut rng = Rng::from_seed(5);
    let mut counts = vec![0.0; count as usize];
    for _ in 0..draws {
        counts[keys.draw(&mut rng) as usize] += 1.0;
    }
    counts
}

#[test]
fn ranks_come_as_often_as_zipf_has_it() {
    const DRAWS: u32 = 200_000;
    for exponent in [0.1, 0.5, 0.999, 1.0, 1.001, 1.1, 2.0, 5.0] {
        for count in [1, 2, 3, 10, 100] {
            let weight = |rank: u32| f64::from(rank).powf(-exponent);
            let all: f64 = (1..=count).map(weight).sum();
            let found = counts(&format!("zipf:{exponent}"), count, DRAWS);
            let (mut chi_square, mut freedom) = (0.0, -1.0f64);
            for (rank, found) in (1..=count).zip(found) {
                let expected = weight(rank) / all * f64::from(DRAWS);
                // The statistic is one of normal deviations, which a handful does not have.
                if 10.0 <= expected {
                    chi_square += (found - expected).powi(2) / expected;
                    freedom += 1.0;
                }
            }
            // Its mean is the degrees of freedom, its variance twice that.
            let limit = freedom + 4.0 * f64::sqrt(2.0 * freedom.max(0.0)) + 4.0;
            assert!(chi_square < limit, "{chi_square} for zipf:{exponent} of {count}");
        }
    }
}

#[test]
fn many_keys_need_no_table() {
    let keys = Keys::new("zipf:1.1".parse().unwrap(), 100_000_000);
    let mut rng = Rng::from_seed(1);
    let drawn: Vec<u32> = (0..100_000).map(|_| keys.draw(&mut rng)).collect();
    // Of 10^8 keys the first has 1 / 8.99 at this exponent.
    let first = drawn.iter().filter(|key| **key == 0).count();
    assert!((10_700..11_500).contains(&first), "{first}");
    assert!(drawn.iter().any(|key| 10_000_000 < *key));
}

#[test]
fn what_is_written_is_read_and_what_is_not_a_distribution_says_what_is() {
    for text in ["uniform", "zipf:1.1", "zipf:10"] {
        assert_eq!(text.parse::<KeyDistribution>().unwrap().to_string(), text);
    }
    for text in ["zipf", "zipf:0", "zipf:10.5", "zipf:x", "normal"] {
        assert_eq!(
            text.parse::<KeyDistribution>().unwrap_err().to_string(),
            format!(
                "`{text}` is not a distribution of keys: write uniform, or zipf and its exponent, \
                 above 0 and at most 10, for example zipf:1.1"
            )
        );
    }
}
