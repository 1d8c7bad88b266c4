//! What consumer groups have of a broker, and what they cost it.

use std::sync::mpsc;

use loadgen::groups::{self, Fault, GroupsOutcome};
use loadgen::measure::{Clock, Summary};
use loadgen::outcome::Outcome;
use loadgen::profile::Profile;
use loadgen::settings::{Acks, Base, Load, OpenLoop, Settings};
use serde::{Deserialize, Serialize};

use super::{Bench, MatrixError};
use crate::broker::{Broker, BrokerSpec};
use crate::sample::{Usage, monotonic_ns};
use crate::scenario::ConsumerGroups;
use crate::units::Span;

/// One run of one load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsumerGroupsUse {
    /// The load's.
    pub name: String,
    pub outcome: GroupsOutcome,
    /// None if nothing was produced.
    pub produced: Option<Produced>,
    /// In the measured time.
    pub used: Usage,
    /// Resident memory before there was any group.
    pub resident_bytes_before: u64,
}

/// What became of the records that were produced beside the groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Produced {
    /// From when a record was meant to be sent to its acknowledgement.
    pub response: Summary,
    /// What the generator itself was late.
    pub lateness: Summary,
    pub is_kept: bool,
    /// Why the generator may have been the limit.
    pub client_bound: Vec<String>,
}

impl ConsumerGroupsUse {
    /// What the broker did that it must not. None if it kept its word to everybody.
    pub fn fault(&self) -> Option<&'static str> {
        match self.outcome.fault() {
            Some(Fault::WrongOffsets) => Some("committed offsets are not the acknowledged ones"),
            _ if self.produced.as_ref().is_some_and(|it| !it.is_kept) => {
                Some("records produced beside them were not kept")
            }
            Some(Fault::Unfinished) => Some("a rebalance had no end"),
            Some(Fault::NothingAcknowledged) => {
                Some("no commit was acknowledged in the measured time")
            }
            None => None,
        }
    }
}

impl Produced {
    fn of(outcome: &Outcome) -> Produced {
        let verdict = outcome.verdict();
        Produced {
            response: outcome.summary(Clock::Response),
            lateness: outcome.summary(Clock::Lateness),
            is_kept: verdict.is_good(),
            client_bound: verdict.client_bound,
        }
    }
}

pub(super) fn measure(
    bench: &Bench<'_>,
    spec: &BrokerSpec,
    load: &ConsumerGroups,
) -> Result<ConsumerGroupsUse, MatrixError> {
    let broker = Broker::start(spec, &bench.placement.broker, bench.places)?;
    let client = &bench.placement.client;
    let settings = load.settings(&broker.address, client.first().copied());
    let produced = producer(&broker, load, client)?;
    let sampler = bench.silent_sampler(&broker);
    let begun_ns = monotonic_ns();
    let (formed, is_formed) = mpsc::channel();
    let producing = std::thread::spawn(move || {
        // Without groups there is nothing to be beside of.
        let settings = is_formed.recv().ok().and(produced)?;
        Some(loadgen::run::run(&settings))
    });
    let outcome = groups::run(&settings, move || {
        // Who does not listen has failed, and says so below.
        let _ = formed.send(());
    });
    let produced = producing.join().expect("it ends with an error where it cannot go on");
    let samples = sampler.stop();
    let outcome =
        outcome.map_err(|source| MatrixError::ConsumerGroups { source: Box::new(source) })?;
    let produced = produced.transpose().map_err(|source| MatrixError::Run {
        what: "producing beside groups",
        source: Box::new(source),
    })?;
    let (from_ns, to_ns) = outcome.window_ns;
    broker.stop()?;
    Ok(ConsumerGroupsUse {
        name: load.name.clone(),
        produced: produced.as_ref().map(Produced::of),
        used: samples.between(from_ns, to_ns),
        resident_bytes_before: samples.between(begun_ns, begun_ns).resident_bytes_max,
        outcome,
    })
}

/// The run beside the groups, for as long as they are measured.
fn producer(
    broker: &Broker,
    load: &ConsumerGroups,
    processors: &[usize],
) -> Result<Option<Settings>, MatrixError> {
    if load.produce.0 == 0.0 {
        return Ok(None);
    }
    let mut settings = Settings::usual(
        broker.address.clone(),
        Load::Open(OpenLoop {
            base: Base::Rate(load.produce),
            duration: load.duration,
            warm_up: load.warm_up,
            linger: Span(std::time::Duration::ZERO),
            ..OpenLoop::usual(Profile::find("steady")?)
        }),
    );
    settings.acks = Acks::All;
    settings.processors = processors.first().copied().into_iter().collect();
    settings.topics.configs = load.durability.configs();
    Ok(Some(settings))
}
