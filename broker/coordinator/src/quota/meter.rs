//! How much was used of a rate.

use std::time::Duration;

use crate::group::Moment;

use super::Rate;

/// What was not used is kept for so long: who is silent for a while may use that much at once.
const KEPT_MS: f64 = 1000.0;

/// Counts what is used. Whoever has used more than there was waits until time has made up for it.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    /// Used beyond what there was; below zero what is left.
    debt: f64,
    at: Moment,
}

impl Meter {
    /// Nothing was used for a while.
    pub fn new(now: Moment, rate: Rate) -> Meter {
        Meter { debt: -kept(rate), at: now }
    }

    /// Notes that so much was used. Returns for how long nothing more is to be used.
    pub fn charge(&mut self, now: Moment, amount: f64, rate: Rate) -> Duration {
        self.advance(now, rate);
        self.debt += amount;
        let seconds = (self.debt / rate.value()).max(0.0);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Whether it is as if it were new.
    pub fn is_full(&mut self, now: Moment, rate: Rate) -> bool {
        self.advance(now, rate);
        self.debt <= -kept(rate)
    }

    fn advance(&mut self, now: Moment, rate: Rate) {
        let passed_ms = now.0.saturating_sub(self.at.0) as f64;
        self.debt = (self.debt - rate.value() * passed_ms / 1000.0).max(-kept(rate));
        self.at = self.at.max(now);
    }
}

fn kept(rate: Rate) -> f64 {
    rate.value() * KEPT_MS / 1000.0
}
