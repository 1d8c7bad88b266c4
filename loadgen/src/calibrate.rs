//! What the generator and the host can do at most, and at best: a few runs against a [`Sink`].
//!
//! No broker can be shown to be faster than the ceiling that comes out, or quicker than the floor;
//! measurements near either of them are about the generator.
//!
//! Guarantees: the same settings are used as for a run, but for where it goes. Does not know:
//! brokers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::{Clock, Summary};
use crate::outcome::Outcome;
use crate::profile::{Profile, ProfileError};
use crate::run::{self, RunError};
use crate::schedule::RECORDS_MAX;
use crate::settings::{
    Acks, Base, ClosedLoop, Consume, FetchSettings, Load, OpenLoop, RecordSettings, Settings,
    TopicSettings,
};
use crate::sink::{Faults, Sink, SinkError, SinkOptions};
use crate::units::{Rate, Size, Span};

/// For how long each rate is tried.
const STEP: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);
const PING: Duration = Duration::from_secs(2);
/// So few that no record waits for another.
const FLOOR_RATE_PER_S: f64 = 500.0;
const FLOOR: Duration = Duration::from_secs(4);
/// The first rate that is tried. Each next one is twice as high, until one is too high or more than
/// a schedule can hold.
const FIRST_RATE_PER_S: f64 = 10_000.0;
const IN_FLIGHT: Size = Size(16 << 20);
const REQUESTS_IN_FLIGHT_MAX: u32 = 64;
/// Less than this of a rate is not the rate.
const RATE_SHARE_MIN: f64 = 0.99;

/// What is to be calibrated: a generator with these settings of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibrationSettings {
    pub acks: Acks,
    pub idempotent: bool,
    pub connections: u32,
    pub partitions: u32,
    pub processors: Vec<usize>,
    pub records: RecordSettings,
    pub linger: Span,
    /// Where the sink is to stay; not on one of the generator's processors.
    pub sink_processor: Option<usize>,
}

impl CalibrationSettings {
    /// A run of this load against a sink.
    fn run(&self, sink: &Sink, load: Load) -> Result<Outcome, RunError> {
        run::run(&Settings {
            acks: self.acks,
            idempotent: self.idempotent,
            connections: self.connections,
            processors: self.processors.clone(),
            drain_max: Span(Duration::from_secs(2)),
            topics: TopicSettings { partitions: self.partitions, ..TopicSettings::default() },
            records: self.records.clone(),
            // There is nothing to be read back.
            fetch: FetchSettings { when: Consume::After, ..FetchSettings::default() },
            ..Settings::usual(sink.address().to_string(), load)
        })
    }

    fn run_open(
        &self,
        sink: &Sink,
        rate_per_s: f64,
        duration: Duration,
    ) -> Result<Outcome, CalibrationError> {
        let load = Load::Open(OpenLoop {
            base: Base::Rate(Rate(rate_per_s)),
            duration: Span(duration),
            warm_up: Span(WARM_UP),
            linger: self.linger,
            ..OpenLoop::usual(Profile::find("steady")?)
        });
        Ok(self.run(sink, load)?)
    }
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// An empty question and its answer: the kernel and the network.
    pub ping: Summary,
    /// Records that are alone.
    pub floor: Step,
    /// As fast as the sink answers.
    pub ceiling: Step,
    /// The rates of open loops that were tried, from low to high.
    pub steps: Vec<Step>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What was asked for; none in a closed loop.
    pub asked_per_s: Option<f64>,
    pub records_per_s: f64,
    pub bytes_per_s: f64,
    /// Processor time of the generator for each gigabyte of values.
    pub cpu_s_per_gb: f64,
    /// Share of its processor, of the busiest worker.
    pub cpu_share: f64,
    /// From intended to acknowledged, of an open loop.
    pub response: Summary,
    /// How late requests left. Times of a broker that are below ten times as much cannot be shown
    /// at this rate.
    pub lateness: Summary,
    /// Why this is more than the generator can do. Empty is good.
    pub limits: Vec<String>,
}

impl Calibration {
    /// The highest rate at which the generator was not the limit.
    pub fn open_ceiling(&self) -> Option<&Step> {
        self.steps.iter().rfind(|step| step.limits.is_empty())
    }

    /// Whether the highest rate that was tried was none too high: a schedule cannot hold more.
    pub fn is_cut_short(&self) -> bool {
        self.steps.last().is_some_and(|step| step.limits.is_empty())
    }
}

/// Why there is no calibration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error("acks=0 has no answers that could be timed: calibrate with 1 or all")]
    NoAcks,
}

/// Calibrates: about half a minute.
pub fn calibrate(settings: &CalibrationSettings) -> Result<Calibration, CalibrationError> {
    if !settings.acks.is_answered() {
        return Err(CalibrationError::NoAcks);
    }
    let sink = Sink::start(SinkOptions {
        listen: (std::net::Ipv4Addr::LOCALHOST, 0).into(),
        processor: settings.sink_processor,
        keeps_records: false,
        partitions: settings.partitions,
        faults: Faults::default(),
    })?;
    let processor = settings.processors.first().copied();
    let ping = run::ping(&sink.address().to_string(), PING, processor)?;
    let floor = settings.run_open(&sink, FLOOR_RATE_PER_S, FLOOR)?;
    let closed = Load::Closed(ClosedLoop {
        duration: Span(STEP),
        warm_up: Span(WARM_UP),
        in_flight: IN_FLIGHT,
        requests_in_flight_max: REQUESTS_IN_FLIGHT_MAX,
        batches_per_request: 1,
    });
    let closed = settings.run(&sink, closed)?;
    let mut steps: Vec<(f64, Step)> = Vec::new();
    climb(schedule_rate_max(), |rate_per_s| {
        let outcome = settings.run_open(&sink, rate_per_s, STEP)?;
        let step = Step::of(&outcome, Some(rate_per_s));
        let is_too_much = !step.limits.is_empty();
        steps.push((rate_per_s, step));
        Ok::<bool, CalibrationError>(is_too_much)
    })?;
    steps.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    Ok(Calibration {
        ping: Summary::of(&ping),
        floor: Step::of(&floor, Some(FLOOR_RATE_PER_S)),
        ceiling: Step::of(&closed, None),
        steps: steps.into_iter().map(|(_, step)| step).collect(),
    })
}

/// The highest rate of which a schedule can be made for a step.
fn schedule_rate_max() -> f64 {
    RECORDS_MAX / (WARM_UP + STEP).as_secs_f64()
}

/// Doubles the rate until it is too high, and then looks twice in the middle, of the logarithms,
/// between the highest that was not and the lowest that was. Does not go beyond `highest_per_s`,
/// and is over if that is not too much either. `is_too_much` tries a rate.
fn climb<E>(
    highest_per_s: f64,
    mut is_too_much: impl FnMut(f64) -> Result<bool, E>,
) -> Result<(), E> {
    let mut fine_per_s = FIRST_RATE_PER_S / 2.0;
    let mut too_much_per_s = FIRST_RATE_PER_S;
    while !is_too_much(too_much_per_s)? {
        if highest_per_s <= too_much_per_s {
            return Ok(());
        }
        fine_per_s = too_much_per_s;
        too_much_per_s = (too_much_per_s * 2.0).min(highest_per_s);
    }
    for _ in 0..2 {
        let between_per_s = (fine_per_s * too_much_per_s).sqrt();
        match is_too_much(between_per_s)? {
            true => too_much_per_s = between_per_s,
            false => fine_per_s = between_per_s,
        }
    }
    Ok(())
}

impl Step {
    fn of(outcome: &Outcome, asked_per_s: Option<f64>) -> Step {
        let records_per_s = outcome.rate_per_s();
        let bytes_per_s = outcome.bytes_per_s();
        let cpu_share: f64 = outcome.cpu.iter().map(|cpu| cpu.mean).sum();
        let mut limits = outcome.overload();
        if asked_per_s.is_some_and(|asked_per_s| records_per_s < RATE_SHARE_MIN * asked_per_s) {
            limits.push("fewer records were acknowledged than meant to be sent".to_owned());
        }
        Step {
            asked_per_s,
            records_per_s,
            bytes_per_s,
            cpu_s_per_gb: cpu_share / (bytes_per_s / 1e9),
            cpu_share: outcome.cpu.iter().map(|cpu| cpu.mean).fold(0.0, f64::max),
            response: outcome.summary(Clock::Response),
            lateness: outcome.summary(Clock::Lateness),
            limits: if asked_per_s.is_some() { limits } else { Vec::new() },
        }
    }
}

#[cfg(test)]
mod tests;
