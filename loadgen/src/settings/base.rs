//! The base rate of a profile: named, or a share of what the broker is found to take.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::units::Rate;

/// The rate that a profile's multiples refer to, in records: `20k/s`, `auto:50%`, and once that is
/// measured `auto:50% of 84210/s`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Base {
    Rate(Rate),
    /// A share of what the broker takes in a closed loop, which nobody has measured yet.
    Auto {
        share: f64,
    },
    /// The same, measured.
    Measured {
        share: f64,
        saturation: Rate,
    },
}

/// Why text is no base rate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "`{text}` is not a base rate: write a rate such as 2000/s or 20k/s, or a share of what the \
     broker takes such as auto:50%, between 1% and 1000%"
)]
pub struct BaseError {
    text: String,
}

const PERCENT_MIN: f64 = 1.0;
const PERCENT_MAX: f64 = 1000.0;

impl Base {
    /// In records; none if it has to be measured first.
    pub fn per_s(self) -> Option<f64> {
        match self {
            Base::Rate(rate) => Some(rate.0),
            Base::Auto { .. } => None,
            Base::Measured { share, saturation } => Some(share * saturation.0),
        }
    }
}

impl FromStr for Base {
    type Err = BaseError;

    fn from_str(text: &str) -> Result<Base, BaseError> {
        let refused = || BaseError { text: text.to_owned() };
        let Some(auto) = text.trim().strip_prefix("auto:") else {
            return text.parse().map(Base::Rate).map_err(|_| refused());
        };
        let (share, saturation) = match auto.split_once(" of ") {
            Some((share, saturation)) => (share, Some(saturation)),
            None => (auto, None),
        };
        let percent: f64 =
            share.strip_suffix('%').and_then(|it| it.parse().ok()).ok_or_else(refused)?;
        if !(PERCENT_MIN..=PERCENT_MAX).contains(&percent) {
            return Err(refused());
        }
        let share = percent / 100.0;
        match saturation {
            None => Ok(Base::Auto { share }),
            Some(rate) => {
                let saturation = rate.parse().map_err(|_| refused())?;
                Ok(Base::Measured { share, saturation })
            }
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of the share so many digits that it is read back as the same, and no more.
        let percent = |share: f64| (share * 1e8).round() / 1e6;
        match self {
            Base::Rate(rate) => rate.fmt(f),
            Base::Auto { share } => write!(f, "auto:{}%", percent(*share)),
            Base::Measured { share, saturation } => {
                write!(f, "auto:{}% of {saturation}", percent(*share))
            }
        }
    }
}

crate::serde_as_text!(Base);
