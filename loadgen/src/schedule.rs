//! When each record is meant to be sent: decided before the run, whatever happens in it.
//!
//! Guarantees: times rise; the same seed gives the same times; nothing that the broker does can
//! move them. That is what makes the load open: a record that is sent late is late, and waits from
//! the time at which it was meant to be sent (no coordinated omission).

use std::time::Duration;

use runtime::Rng;
use serde::{Deserialize, Serialize};

use crate::profile::{Profile, RateCurve};
use crate::units::{nanos, whole};

/// A plan of this many records takes about a gigabyte.
pub const RECORDS_MAX: f64 = 50e6;

/// How records are spread around the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// As evenly as the rate allows.
    #[default]
    Even,
    /// As if each came from somebody else who knows nothing of the others: a Poisson process whose
    /// rate follows the curve, made by thinning (Lewis and Shedler).
    Poisson,
}

/// Why there is no schedule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "the run would have {records:.0} records, at most {RECORDS_MAX:.0} can be planned: lower \
         --base or --duration"
    )]
    TooMany { records: f64 },
    #[error("the base rate is {base_per_s}/s: it must be above 0")]
    NoRate { base_per_s: f64 },
    #[error("the duration is 0: give the run some time with --duration")]
    NoTime,
}

/// What a run offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer<'a> {
    pub profile: &'a Profile,
    pub base_per_s: f64,
    pub duration: Duration,
    /// At the base rate before the profile begins; sent and verified, not measured.
    pub warm_up: Duration,
    pub arrivals: Arrivals,
    pub seed: u64,
}

impl Offer<'_> {
    /// The intended times in nanoseconds since the start of the warm-up, in order.
    pub fn schedule(&self) -> Result<Vec<u64>, ScheduleError> {
        let Offer { profile, base_per_s, duration, warm_up, .. } = *self;
        if base_per_s.is_nan() || base_per_s <= 0.0 {
            return Err(ScheduleError::NoRate { base_per_s });
        }
        if duration.is_zero() {
            return Err(ScheduleError::NoTime);
        }
        let curve = profile.curve(duration);
        let records = base_per_s * (warm_up.as_secs_f64() + duration.as_secs_f64() * curve.mean());
        if RECORDS_MAX < records {
            return Err(ScheduleError::TooMany { records });
        }
        let capacity = usize::try_from(whole(records)).expect("bounded above") + 1;
        let mut times = Vec::with_capacity(capacity);
        match self.arrivals {
            Arrivals::Even => self.even(&curve, &mut times),
            Arrivals::Poisson => self.poisson(&curve, &mut times),
        }
        Ok(times)
    }

    /// The nth record comes when n and a half have been offered.
    fn even(&self, curve: &RateCurve, times: &mut Vec<u64>) {
        let run_s = self.duration.as_secs_f64();
        let warm_up = self.base_per_s * self.warm_up.as_secs_f64();
        let all = warm_up + self.base_per_s * run_s * curve.mean();
        let mut number = 0.5;
        while number < all {
            let second = if number < warm_up {
                number / self.base_per_s
            } else {
                let offered = (number - warm_up) / (self.base_per_s * run_s);
                self.warm_up.as_secs_f64() + curve.fraction_where(offered) * run_s
            };
            times.push(whole(second * 1e9));
            number += 1.0;
        }
    }

    /// Candidates come at the highest rate, and each is kept with the probability that the rate at
    /// its time has of the highest.
    fn poisson(&self, curve: &RateCurve, times: &mut Vec<u64>) {
        let mut rng = Rng::from_seed(self.seed);
        let peak = curve.peak().max(1.0);
        let highest_per_s = self.base_per_s * peak;
        let (warm_up_s, run_s) = (self.warm_up.as_secs_f64(), self.duration.as_secs_f64());
        let mut second = 0.0;
        loop {
            second -= (1.0 - rng.fraction()).ln() / highest_per_s;
            if warm_up_s + run_s <= second {
                return;
            }
            let multiple = if second < warm_up_s {
                1.0
            } else {
                curve.multiple_at((second - warm_up_s) / run_s)
            };
            if rng.fraction() * peak < multiple {
                times.push(whole(second * 1e9).min(nanos(self.warm_up + self.duration) - 1));
            }
        }
    }
}

#[cfg(test)]
mod tests;
