//! Conditions under which a run counts as failed: `p99>5ms`, `rate<1000/s`, `missing>0`.
//!
//! Guarantees: a percentile that stands on too few samples fails; it is never taken for a good one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::measure::{Clock, QUANTILES, quantile, samples_min};
use crate::outcome::Outcome;
use crate::units::{Rate, Span, UnitError, count_text, grouped, nanos, time_text, whole};

/// What makes a run fail.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Condition {
    Latency {
        clock: Clock,
        at: At,
        side: Side,
        limit: Span,
    },
    /// Of what is acknowledged; of what is written without acks.
    Rate {
        side: Side,
        limit: Rate,
    },
    Missing {
        side: Side,
        limit: u64,
    },
    Unsent {
        side: Side,
        limit: u64,
    },
    /// The generator, and not the broker, may have been the limit.
    ClientBound,
}

/// Where in the distribution of a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    Quantile { name: &'static str, value: f64 },
    Max,
}

/// On which side of its limit a value fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Above,
    Below,
}

/// Why text is no condition.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConditionError {
    #[error(
        "`{text}` is not a condition: write for example p99>5ms, end-to-end.p99.9>20ms, max>1s, \
         rate<1000/s, missing>0, unsent>0 or client-bound"
    )]
    Form { text: String },
    #[error(
        "`{name}` is nothing that a condition can be about: use rate, missing, unsent, or one of \
         {} and max, if need be after one of {} and a dot",
        quantile_names(),
        clock_names()
    )]
    Subject { name: String },
    #[error("`{text}` is not a number of records such as 0")]
    Count { text: String },
    #[error(transparent)]
    Unit(#[from] UnitError),
}

fn quantile_names() -> String {
    QUANTILES.map(|(name, _)| name).join(", ")
}

fn clock_names() -> String {
    Clock::ALL.map(Clock::name).join(", ")
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Condition, ConditionError> {
        let text = text.trim();
        if text == "client-bound" {
            return Ok(Condition::ClientBound);
        }
        let Some(at) = text.find(['<', '>']) else {
            return Err(ConditionError::Form { text: text.to_owned() });
        };
        let side = if text[at..].starts_with('>') { Side::Above } else { Side::Below };
        let (subject, limit) = (text[..at].trim(), text[at + 1..].trim());
        let count = || limit.parse().map_err(|_| ConditionError::Count { text: limit.to_owned() });
        match subject {
            "rate" => Ok(Condition::Rate { side, limit: limit.parse()? }),
            "missing" => Ok(Condition::Missing { side, limit: count()? }),
            "unsent" => Ok(Condition::Unsent { side, limit: count()? }),
            _ => {
                let (clock, at) = latency(subject)?;
                Ok(Condition::Latency { clock, at, side, limit: limit.parse()? })
            }
        }
    }
}

/// `p99`, which is of the response, or `end-to-end.p99`.
fn latency(subject: &str) -> Result<(Clock, At), ConditionError> {
    let named = |clock: &Clock| subject.strip_prefix(clock.name())?.strip_prefix('.');
    let clock = Clock::ALL.into_iter().find(|clock| named(clock).is_some());
    let at = clock.and_then(|clock| named(&clock)).unwrap_or(subject);
    let clock = clock.unwrap_or(Clock::Response);
    if at == "max" {
        return Ok((clock, At::Max));
    }
    match QUANTILES.into_iter().find(|(name, _)| *name == at) {
        Some((name, value)) => Ok((clock, At::Quantile { name, value })),
        None => Err(ConditionError::Subject { name: subject.to_owned() }),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Latency { clock, at, side, limit } => {
                write!(f, "{}.{}{side}{limit}", clock.name(), at.name())
            }
            Condition::Rate { side, limit } => write!(f, "rate{side}{limit}"),
            Condition::Missing { side, limit } => write!(f, "missing{side}{limit}"),
            Condition::Unsent { side, limit } => write!(f, "unsent{side}{limit}"),
            Condition::ClientBound => f.write_str("client-bound"),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Above => ">",
            Side::Below => "<",
        })
    }
}

crate::serde_as_text!(Condition);

impl At {
    fn name(self) -> &'static str {
        match self {
            At::Quantile { name, .. } => name,
            At::Max => "max",
        }
    }
}

impl Side {
    fn has<T: PartialOrd>(self, value: T, limit: T) -> bool {
        match self {
            Side::Above => limit < value,
            Side::Below => value < limit,
        }
    }
}

impl Condition {
    /// What was found if the run failed by this condition.
    pub fn failure(&self, outcome: &Outcome) -> Option<String> {
        let found = match *self {
            Condition::Latency { clock, at, side, limit } => {
                latency_found(outcome, clock, at, side, limit)?
            }
            Condition::Rate { side, limit } => {
                let rate = outcome.rate_per_s();
                side.has(rate, limit.0).then(|| format!("it was {}/s", count_text(rate)))?
            }
            Condition::Missing { side, limit } => count_found(outcome.counts.missing, side, limit)?,
            Condition::Unsent { side, limit } => count_found(outcome.counts.unsent, side, limit)?,
            Condition::ClientBound => {
                let reasons = outcome.verdict().client_bound;
                (!reasons.is_empty()).then(|| reasons.join("; "))?
            }
        };
        Some(format!("{self}: {found}"))
    }
}

/// What was found by each condition of a run by which it failed.
pub fn failures(outcome: &Outcome) -> Vec<String> {
    outcome.settings.fail_if.iter().filter_map(|condition| condition.failure(outcome)).collect()
}

fn count_found(count: u64, side: Side, limit: u64) -> Option<String> {
    side.has(count, limit).then(|| format!("there were {}", grouped(count)))
}

fn latency_found(
    outcome: &Outcome,
    clock: Clock,
    at: At,
    side: Side,
    limit: Span,
) -> Option<String> {
    let total = outcome.measurements.total(clock);
    let (value, needed) = match at {
        At::Quantile { value, .. } => (quantile(&total, value), samples_min(value)),
        At::Max => ((!total.is_empty()).then(|| total.max()), 1.0),
    };
    match value {
        Some(value) => side
            .has(value, nanos(limit.0))
            .then(|| format!("it was {}, of {} samples", time_text(value), grouped(total.len()))),
        None => Some(format!(
            "it cannot be told from {} samples, at least {} are needed: run longer, or ask for a \
             lower percentile or another clock",
            grouped(total.len()),
            grouped(whole(needed))
        )),
    }
}

#[cfg(test)]
mod tests;
