//! A histogram in a few numbers, each only if there are samples enough for it.

use serde::{Deserialize, Serialize};

use super::Histogram;

/// A percentile stands on at least so many samples beyond it; on fewer it is chance.
pub const SAMPLES_BEYOND_MIN: f64 = 10.0;

/// The quantiles that tables show, with their names.
pub const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// What a histogram says, in nanoseconds. None is a percentile refused for too few samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub count: u64,
    pub p50: Option<u64>,
    pub p90: Option<u64>,
    pub p99: Option<u64>,
    pub p99_9: Option<u64>,
    pub p99_99: Option<u64>,
    /// Always given; zero of nothing.
    pub max: u64,
}

impl Summary {
    pub fn of(histogram: &Histogram) -> Summary {
        let [p50, p90, p99, p99_9, p99_99] = QUANTILES.map(|(_, value)| quantile(histogram, value));
        Summary { count: histogram.len(), p50, p90, p99, p99_9, p99_99, max: histogram.max() }
    }

    /// In the order of [`QUANTILES`].
    pub fn quantiles(&self) -> [Option<u64>; 5] {
        [self.p50, self.p90, self.p99, self.p99_9, self.p99_99]
    }
}

/// How many samples a quantile needs.
pub fn samples_min(quantile: f64) -> f64 {
    // Rounded, as 1 - 0.999 is not quite 0.001.
    (SAMPLES_BEYOND_MIN / (1.0 - quantile)).round()
}

/// The value at a quantile, if it stands on samples enough.
pub fn quantile(histogram: &Histogram, quantile: f64) -> Option<u64> {
    (samples_min(quantile) <= histogram.len() as f64).then(|| histogram.value_at_quantile(quantile))
}
