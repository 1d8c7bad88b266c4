//! The brokers of a matrix while it runs: all of them up, one of them under load.
//!
//! Guarantees: a broker is started when it is first needed, and warmed up before it is measured;
//! one that was killed, or that failed, is started afresh. Does not know: cells.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::MatrixError;
use super::cell::{Cell, CellLoad};
use crate::broker::{Broker, BrokerSpec, Places};
use crate::placement::Placement;
use crate::scenario::{BatchShape, Durability, Layout, Promise};
use crate::units::{Rate, Size, Span};

/// What there is to say about a broker in one layout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BrokerFacts {
    pub settings: Vec<(String, String)>,
    /// From the start of each of its processes until it served.
    pub started_in_s: Vec<f64>,
    /// Whether its process could be looked at.
    pub is_known: bool,
    /// Its last words, each time that it ended by itself.
    #[serde(default)]
    pub ended: Vec<String>,
}

pub(super) struct Contenders<'a> {
    specs: &'a [BrokerSpec],
    places: &'a Places,
    placement: &'a Placement,
    running: Vec<Option<Broker>>,
    /// As they were found in this layout.
    pub(super) facts: Vec<BrokerFacts>,
}

impl<'a> Contenders<'a> {
    pub(super) fn new(
        specs: &'a [BrokerSpec],
        places: &'a Places,
        placement: &'a Placement,
        facts: Vec<BrokerFacts>,
    ) -> Contenders<'a> {
        let running = specs.iter().map(|_| None).collect();
        Contenders { specs, places, placement, running, facts }
    }

    /// The broker with this number, ready to be measured.
    pub(super) fn ready(
        &mut self,
        index: usize,
        say: &mut dyn FnMut(&str),
    ) -> Result<&mut Broker, MatrixError> {
        if let Some(last_words) = self.running[index].as_mut().and_then(Broker::ended) {
            say(&format!("{} has ended by itself:\n{last_words}", self.specs[index].name));
            self.facts[index].ended.push(last_words);
            self.running[index] = None;
        }
        if self.running[index].is_none() {
            let spec = &self.specs[index];
            let broker = Broker::start(spec, &self.placement.broker, self.places)?;
            let facts = &mut self.facts[index];
            facts.settings.clone_from(&broker.settings);
            facts.is_known = broker.pid.is_some();
            facts.started_in_s.extend(broker.started_in.map(|it| it.as_secs_f64()));
            if !spec.warm_up.0.is_zero() {
                say(&format!("{} warms up for {}", spec.name, spec.warm_up));
                warm_up(&broker, self.placement, spec.warm_up)?;
            }
            self.running[index] = Some(broker);
        }
        Ok(self.running[index].as_mut().expect("it was started"))
    }

    /// The processes that are up and known.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.running.iter().flatten().filter_map(|broker| broker.pid).collect()
    }

    /// Ends a broker that is not as it was any more.
    pub(super) fn end(&mut self, index: usize) -> Result<(), MatrixError> {
        match self.running[index].take() {
            Some(broker) => Ok(broker.stop()?),
            None => Ok(()),
        }
    }

    /// Ends all of them; the first that does not end well is the error.
    pub(super) fn end_all(&mut self) -> Result<(), MatrixError> {
        let ended: Vec<_> = (0..self.running.len()).map(|index| self.end(index)).collect();
        ended.into_iter().collect()
    }
}

/// Load that nobody looks at, in small and in large batches in turns, so that a virtual machine has
/// compiled what it will be measured with. Each turn has a topic of its own, so that the disk does
/// not fill.
fn warm_up(broker: &Broker, placement: &Placement, duration: Span) -> Result<(), MatrixError> {
    const TURN_MAX: Duration = Duration::from_secs(5);
    let shapes = [BatchShape::Records(1), BatchShape::Size(Size(64 << 10))];
    let mut left = duration.0;
    for batch in shapes.into_iter().cycle() {
        if left.is_zero() {
            return Ok(());
        }
        let turn = left.min(TURN_MAX);
        left -= turn;
        let cell = Cell {
            group: "warm-up".to_owned(),
            layout: Layout::Pinned,
            load: CellLoad::Closed { batch, in_flight: Size(1 << 20) },
            acks: loadgen::settings::Acks::All,
            durability: Durability::Relaxed,
            record_size: Size(1 << 10),
            partitions: 4,
            connections: 4,
            readers: Vec::new(),
            events: Vec::new(),
            warm_up: Span(Duration::ZERO),
            duration: Span(turn),
            interval: Span(Duration::from_millis(100)),
        };
        let client = &placement.client;
        let settings = cell.settings(&broker.address, client, Promise::Relaxed, Rate(0.0))?;
        loadgen::run::run(&settings)
            .map_err(|source| MatrixError::Run { what: "the warm-up", source: Box::new(source) })?;
    }
    Ok(())
}
