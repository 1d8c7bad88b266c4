//! Ratios of things that were measured in pairs, and how sure they are.
//!
//! Guarantees: the same numbers give the same interval. Does not know: what was measured.

use serde::{Deserialize, Serialize};

/// How many pairs an interval needs: of fewer, even the lowest and the highest of them hold the
/// middle in less than 95 of 100 cases (1 − 2 · 0.5ⁿ is 0.94 of 5).
pub const PAIRS_MIN: usize = 5;
const RESAMPLES: usize = 10_000;

/// One thing as a multiple of another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The geometric mean over the pairs.
    pub value: f64,
    /// Where it lies with 95 % confidence; none of too few pairs.
    pub interval: Option<(f64, f64)>,
    pub pairs: usize,
}

impl Ratio {
    /// Of numbers that were measured one after the other; none if one of them is not above zero.
    pub fn of_pairs(pairs: &[(f64, f64)]) -> Option<Ratio> {
        let logs: Vec<f64> = pairs.iter().map(|(one, other)| (one / other).ln()).collect();
        if logs.is_empty() || logs.iter().any(|log| !log.is_finite()) {
            return None;
        }
        let interval = (PAIRS_MIN <= logs.len()).then(|| {
            let means = resampled(&logs, 1);
            bounds(means, logs.len())
        });
        Some(Ratio { value: mean(&logs).exp(), interval, pairs: logs.len() })
    }

    /// Of numbers that have nothing to do with each other; likewise.
    pub fn of_groups(ones: &[f64], others: &[f64]) -> Option<Ratio> {
        let logs = |numbers: &[f64]| -> Option<Vec<f64>> {
            let logs: Vec<f64> = numbers.iter().map(|number| number.ln()).collect();
            (!logs.is_empty() && logs.iter().all(|log| log.is_finite())).then_some(logs)
        };
        let (ones, others) = (logs(ones)?, logs(others)?);
        let fewer = ones.len().min(others.len());
        let interval = (PAIRS_MIN <= fewer).then(|| {
            let means = resampled(&ones, 1).into_iter().zip(resampled(&others, 2));
            bounds(means.map(|(one, other)| one - other).collect(), fewer)
        });
        Some(Ratio { value: (mean(&ones) - mean(&others)).exp(), interval, pairs: fewer })
    }

    /// Whether it is known on which side of 1 it lies, and on which.
    pub fn side(&self) -> Option<std::cmp::Ordering> {
        let (low, high) = self.interval?;
        match () {
            () if 1.0 < low => Some(std::cmp::Ordering::Greater),
            () if high < 1.0 => Some(std::cmp::Ordering::Less),
            () => None,
        }
    }
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// Means of as many numbers, drawn with replacement.
fn resampled(numbers: &[f64], seed: u64) -> Vec<f64> {
    let mut random = SplitMix64(seed);
    let count = numbers.len();
    let draw = |random: &mut SplitMix64| numbers[random.below(count)];
    (0..RESAMPLES)
        .map(|_| (0..count).map(|_| draw(&mut random)).sum::<f64>() / count as f64)
        .collect()
}

/// The middle of the resampled means, as wide as a sample of this size needs: Hesterberg's expanded
/// percentile interval ("What Teachers Should Know About the Bootstrap", 2015, section 5.3), as plain
/// percentiles are too narrow for small samples.
fn bounds(mut means: Vec<f64>, count: usize) -> (f64, f64) {
    means.sort_by(f64::total_cmp);
    let n = count as f64;
    let tail = normal_below(-(n / (n - 1.0)).sqrt() * student_97_5(count - 1));
    let last = means.len() - 1;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the list's length"
    )]
    let at = |share: f64| (share * last as f64).round() as usize;
    (means[at(tail)].exp(), means[last - at(tail)].exp())
}

/// The 97.5 % quantile of Student's distribution with this many degrees of freedom.
fn student_97_5(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    TABLE.get(freedom.saturating_sub(1)).copied().unwrap_or(1.96)
}

/// How much of the normal distribution lies below (Abramowitz and Stegun, 26.2.17: to 7.5e-8).
fn normal_below(x: f64) -> f64 {
    const PARTS: [f64; 5] =
        [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let polynomial = PARTS.iter().rev().fold(0.0, |sum, part| (sum + part) * t);
    let above = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial;
    if x < 0.0 { above } else { 1.0 - above }
}

/// Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        let drawn = u128::from(self.next()) * count as u128;
        usize::try_from(drawn >> 64).expect("it is below a length")
    }
}

#[cfg(test)]
mod tests;
