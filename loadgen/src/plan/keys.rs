//! Which keys records have: all alike, or by rank as Zipf has it, and one of them hotter if need be.
//!
//! Guarantees: the probabilities are exactly those of the distribution, for any number of keys and
//! without a table of them.

use std::fmt;
use std::str::FromStr;

use runtime::Rng;
use serde::{Deserialize, Serialize};

use crate::units::whole;

/// How often each key comes, written as `uniform` or `zipf:1.1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeyDistribution {
    #[default]
    Uniform,
    /// The key of rank k, counted from 1, in proportion to `1 / k^exponent`. Key 0 has rank 1.
    Zipf { exponent: f64 },
}

/// Why text is no distribution of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a distribution of keys: write uniform, or zipf and its exponent, above 0 and at \
     most 10, for example zipf:1.1"
)]
pub struct KeyDistributionError {
    text: String,
}

/// Beyond it one key has all.
const EXPONENT_MAX: f64 = 10.0;

impl FromStr for KeyDistribution {
    type Err = KeyDistributionError;

    fn from_str(text: &str) -> Result<KeyDistribution, KeyDistributionError> {
        let refused = || KeyDistributionError { text: text.to_owned() };
        if text == "uniform" {
            return Ok(KeyDistribution::Uniform);
        }
        let exponent = text.strip_prefix("zipf:").and_then(|it| it.parse().ok());
        match exponent.ok_or_else(refused)? {
            exponent if 0.0 < exponent && exponent <= EXPONENT_MAX => {
                Ok(KeyDistribution::Zipf { exponent })
            }
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for KeyDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyDistribution::Uniform => f.write_str("uniform"),
            KeyDistribution::Zipf { exponent } => write!(f, "zipf:{exponent}"),
        }
    }
}

crate::serde_as_text!(KeyDistribution);

/// Draws keys.
pub(super) enum Keys {
    Uniform { count: u32 },
    Zipf(Zipf),
}

impl Keys {
    pub(super) fn new(distribution: KeyDistribution, count: u32) -> Keys {
        match distribution {
            KeyDistribution::Uniform => Keys::Uniform { count },
            KeyDistribution::Zipf { exponent } => Keys::Zipf(Zipf::new(count, exponent)),
        }
    }

    pub(super) fn draw(&self, rng: &mut Rng) -> u32 {
        match self {
            Keys::Uniform { count } => {
                u32::try_from(rng.below(u64::from(*count))).expect("below a u32")
            }
            Keys::Zipf(zipf) => zipf.rank(rng) - 1,
        }
    }
}

/// Ranks by rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-inversion to generate
/// variates from monotone discrete distributions", ACM TOMACS 6(3), 1996, for `h(x) = x^-exponent`.
///
/// A point is drawn under the density `h`, over stretches of length 1 around each rank, by inverting
/// its integral `H`. It is rounded to a rank, and kept if it lies within the last `h(rank)` of the
/// rank's stretch of `H`, which is longer as `h` is convex; few are not kept.
pub(super) struct Zipf {
    count: u32,
    exponent: f64,
    /// `H` where the points begin, `h(1)` before the stretch of rank 1 ends, and where they end.
    first: f64,
    last: f64,
    /// A point that is no further before its rank than this is kept without a look at `H`.
    near: f64,
}

impl Zipf {
    fn new(count: u32, exponent: f64) -> Zipf {
        let mut zipf = Zipf { count, exponent, first: 0.0, last: 0.0, near: 0.0 };
        zipf.first = zipf.integral(1.5) - 1.0;
        zipf.last = zipf.integral(f64::from(count) + 0.5);
        zipf.near = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.density(2.0));
        zipf
    }

    fn rank(&self, rng: &mut Rng) -> u32 {
        loop {
            let drawn = self.last + rng.fraction() * (self.first - self.last);
            let point = self.inverse(drawn);
            let rank = (point + 0.5).floor().clamp(1.0, self.count.into());
            let is_near = rank - point <= self.near;
            if is_near || self.integral(rank + 0.5) - self.density(rank) <= drawn {
                return u32::try_from(whole(rank)).expect("at most the count");
            }
        }
    }

    fn density(&self, x: f64) -> f64 {
        x.powf(-self.exponent)
    }

    /// From 1 to x: `(x^(1-exponent) - 1) / (1-exponent)`, and the logarithm where that is 0 / 0.
    fn integral(&self, x: f64) -> f64 {
        let growth = 1.0 - self.exponent;
        let log = x.ln();
        if growth == 0.0 { log } else { (growth * log).exp_m1() / growth }
    }

    fn inverse(&self, sum: f64) -> f64 {
        let growth = 1.0 - self.exponent;
        if growth == 0.0 {
            return sum.exp();
        }
        // Rounding must not take it below -1, of which there is no logarithm.
        ((growth * sum).max(-1.0).ln_1p() / growth).exp()
    }
}

#[cfg(test)]
mod tests;
