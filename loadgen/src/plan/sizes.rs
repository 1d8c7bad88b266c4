//! How large records' values are: all alike, any in a range, or several sizes by their shares.
//!
//! Guarantees: the same seed gives the same sizes, which are drawn apart from the keys, so that a run
//! with other sizes has the same keys.

use std::fmt;
use std::str::FromStr;

use runtime::Rng;
use serde::{Deserialize, Serialize};

use super::{BatchLimits, index_of};
use crate::units::Size;

/// Sizes of values, written as `1KiB`, `100..4KiB` or `100:80%,1KiB:15%,16KiB:5%`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SizeDistribution {
    Fixed(Size),
    /// Every size between them, both included, as often as every other.
    Uniform {
        from: Size,
        to: Size,
    },
    /// Sizes and how many of a hundred records have them.
    Weighted(Vec<(Size, f64)>),
}

/// Why text is no distribution of sizes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SizeDistributionError {
    #[error(
        "`{text}` is not a distribution of sizes: write a size such as 1KiB, a range such as \
         100..4KiB, or sizes with their shares such as 100:80%,1KiB:15%,16KiB:5%"
    )]
    Syntax { text: String },
    #[error("`{text}` begins with the larger size: write {to}..{from}")]
    Reversed { text: String, from: Size, to: Size },
    #[error("`{text}` has a share of {percent}%: each must be above 0%")]
    Share { text: String, percent: f64 },
    #[error("the shares of `{text}` come to {percent}%: they must come to 100%")]
    Sum { text: String, percent: f64 },
}

/// Three thirds of 33.3% are meant to be all.
const SUM_TOLERANCE_PERCENT: f64 = 0.2;

impl FromStr for SizeDistribution {
    type Err = SizeDistributionError;

    fn from_str(text: &str) -> Result<SizeDistribution, SizeDistributionError> {
        let syntax = || SizeDistributionError::Syntax { text: text.to_owned() };
        let size = |text: &str| text.parse::<Size>().map_err(|_| syntax());
        if let Some((from, to)) = text.split_once("..") {
            let (from, to) = (size(from)?, size(to)?);
            if to < from {
                return Err(SizeDistributionError::Reversed { text: text.to_owned(), from, to });
            }
            return Ok(SizeDistribution::Uniform { from, to });
        }
        if !text.contains(':') {
            return size(text).map(SizeDistribution::Fixed);
        }
        let mut sizes = Vec::new();
        for part in text.split(',') {
            let (of, share) = part.split_once(':').ok_or_else(syntax)?;
            let percent = share.trim().strip_suffix('%').and_then(|it| it.parse::<f64>().ok());
            let percent = percent.filter(|it| it.is_finite()).ok_or_else(syntax)?;
            if percent <= 0.0 {
                return Err(SizeDistributionError::Share { text: text.to_owned(), percent });
            }
            sizes.push((size(of)?, percent));
        }
        let percent: f64 = sizes.iter().map(|(_, percent)| percent).sum();
        if SUM_TOLERANCE_PERCENT < (percent - 100.0).abs() {
            return Err(SizeDistributionError::Sum { text: text.to_owned(), percent });
        }
        Ok(SizeDistribution::Weighted(sizes))
    }
}

impl fmt::Display for SizeDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SizeDistribution::Fixed(size) => size.fmt(f),
            SizeDistribution::Uniform { from, to } => write!(f, "{from}..{to}"),
            SizeDistribution::Weighted(sizes) => {
                for (index, (size, percent)) in sizes.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{size}:{percent}%")?;
                }
                Ok(())
            }
        }
    }
}

crate::serde_as_text!(SizeDistribution);

impl From<Size> for SizeDistribution {
    fn from(size: Size) -> SizeDistribution {
        SizeDistribution::Fixed(size)
    }
}

impl SizeDistribution {
    /// The smallest size.
    pub fn min(&self) -> Size {
        match self {
            SizeDistribution::Fixed(size) => *size,
            SizeDistribution::Uniform { from, .. } => *from,
            SizeDistribution::Weighted(sizes) => {
                sizes.iter().map(|(size, _)| *size).min().expect("there is one")
            }
        }
    }

    /// The largest size.
    pub fn max(&self) -> Size {
        match self {
            SizeDistribution::Fixed(size) => *size,
            SizeDistribution::Uniform { to, .. } => *to,
            SizeDistribution::Weighted(sizes) => {
                sizes.iter().map(|(size, _)| *size).max().expect("there is one")
            }
        }
    }

    /// The mean, in bytes.
    pub fn mean_bytes(&self) -> f64 {
        match self {
            SizeDistribution::Fixed(size) => size.0 as f64,
            SizeDistribution::Uniform { from, to } => f64::midpoint(from.0 as f64, to.0 as f64),
            SizeDistribution::Weighted(sizes) => {
                let all: f64 = sizes.iter().map(|(_, percent)| percent).sum();
                sizes.iter().map(|(size, percent)| size.0 as f64 * percent / all).sum()
            }
        }
    }

    /// For people: a single size as [`Size::text`] has it.
    pub fn text(&self) -> String {
        match self {
            SizeDistribution::Fixed(size) => size.text(),
            SizeDistribution::Uniform { .. } | SizeDistribution::Weighted(_) => self.to_string(),
        }
    }
}

/// Draws sizes.
#[derive(Debug)]
pub(crate) struct Sizes {
    distribution: SizeDistribution,
    rng: Rng,
    /// Drawn, and did not fit into the last batch.
    next: Option<u32>,
}

/// Other numbers than those that keys are drawn from.
const STREAM: u64 = 0x5ca1_ab1e;

impl Sizes {
    pub(crate) fn new(distribution: SizeDistribution, seed: u64) -> Sizes {
        Sizes { distribution, rng: Rng::from_seed(seed ^ STREAM), next: None }
    }

    /// The next record's, in bytes.
    pub(crate) fn draw(&mut self) -> u32 {
        if let Some(size_bytes) = self.next.take() {
            return size_bytes;
        }
        let size = match &self.distribution {
            SizeDistribution::Fixed(size) => size.0,
            SizeDistribution::Uniform { from, to } => from.0 + self.rng.index(to.0 - from.0 + 1),
            SizeDistribution::Weighted(sizes) => {
                let all: f64 = sizes.iter().map(|(_, percent)| percent).sum();
                let mut rest = self.rng.fraction() * all;
                let found = sizes.iter().find(|(_, percent)| {
                    rest -= percent;
                    rest < 0.0
                });
                // Rounding may leave a crumb of the last one.
                found.or(sizes.last()).expect("there is one").0.0
            }
        };
        index_of(size)
    }

    /// The sizes of the records of a full batch, at least one.
    pub(crate) fn fill(&mut self, limits: BatchLimits) -> Vec<u32> {
        let mut sizes = Vec::new();
        let mut room = limits.room();
        loop {
            let size_bytes = self.draw();
            if !room.fits(size_bytes) {
                self.next = Some(size_bytes);
                return sizes;
            }
            room.take(size_bytes);
            sizes.push(size_bytes);
        }
    }
}
