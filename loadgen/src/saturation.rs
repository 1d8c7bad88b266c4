//! A base rate that is a share of what the broker takes: measured before the run.
//!
//! The measurement is a closed loop of a few seconds with the run's own topics, records, acks and
//! connections. It fills its batches, so that it finds the most that the broker takes from this
//! generator; where the generator was the limit, it says so. Topics are made for it and deleted; in
//! a topic of the user's its records stay.

use std::time::Duration;

use crate::run::{self, RunError};
use crate::settings::{Base, ClosedLoop, Load, OpenLoop, Settings};
use crate::units::{Rate, Size, Span};

/// After a warm-up of a second.
pub const MEASURED: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_secs(1);
/// Eight full batches of the usual size, and little for a broker's memory.
const IN_FLIGHT: Size = Size(8 << 20);
const REQUESTS_IN_FLIGHT_MAX: u32 = 10_000;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Saturation {
    /// The settings with their base rate.
    pub settings: Settings,
    /// Why it may be the generator's limit rather than the broker's.
    pub client_bound: Vec<String>,
}

/// Measures what the base rate of these settings is a share of; nothing if it is known already.
pub fn measure(settings: &Settings) -> Result<Option<Saturation>, RunError> {
    let Load::Open(open) = &settings.load else { return Ok(None) };
    let Base::Auto { share } = open.base else { return Ok(None) };
    let outcome = run::run(&saturating(settings))?;
    let saturation = Rate(outcome.rate_per_s().round());
    if saturation.0 == 0.0 {
        return Err(RunError::NothingTaken { measured: Span(MEASURED) });
    }
    let open = OpenLoop { base: Base::Measured { share, saturation }, ..open.clone() };
    Ok(Some(Saturation {
        settings: Settings { load: Load::Open(open), ..settings.clone() },
        client_bound: outcome.verdict().client_bound,
    }))
}

fn saturating(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.topics.keep = false;
    settings.readers.clear();
    settings.load = Load::Closed(ClosedLoop {
        duration: Span(MEASURED),
        warm_up: Span(WARM_UP),
        in_flight: IN_FLIGHT,
        requests_in_flight_max: REQUESTS_IN_FLIGHT_MAX,
        batches_per_request: 1,
    });
    settings
}

#[cfg(test)]
mod tests;
