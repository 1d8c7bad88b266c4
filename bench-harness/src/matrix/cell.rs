//! One cell: a load of one kind, and what it promises.

use std::time::Duration;

use loadgen::profile::{Profile, ProfileError};
use loadgen::schedule::Arrivals;
use loadgen::settings::{
    Acks, Base, ClosedLoop, Consume, FetchSettings, Load, OpenLoop, ReaderSettings, RecordSettings,
    Settings, TopicSettings,
};
use serde::{Deserialize, Serialize};

use crate::scenario::{
    BatchShape, Durability, Event, Group, GroupLoad, Happening, Layout, Peak, Promise, Scenario,
};
use crate::units::{Rate, Size, Span};

/// Far more requests in flight than a closed loop that is limited by bytes ever has.
pub(super) const REQUESTS_IN_FLIGHT_MAX: u32 = 100_000;
const DRAIN_MAX: Span = Span(Duration::from_secs(15));

/// A cell of the matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub group: String,
    pub layout: Layout,
    pub load: CellLoad,
    pub acks: Acks,
    pub durability: Durability,
    pub record_size: Size,
    pub partitions: u32,
    pub connections: u32,
    pub readers: Vec<ReaderSettings>,
    pub events: Vec<Event>,
    pub warm_up: Span,
    pub duration: Span,
    pub interval: Span,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellLoad {
    /// As much as the broker takes, in batches of this shape.
    Closed { batch: BatchShape, in_flight: Size },
    /// So many records per second at the profile's highest, whatever happens.
    Open { profile: String, peak: Peak, linger: Span },
}

impl Cell {
    /// All cells of a scenario, in its order.
    pub fn all(scenario: &Scenario) -> Vec<Cell> {
        scenario.groups.iter().flat_map(Cell::of_group).collect()
    }

    fn of_group(group: &Group) -> Vec<Cell> {
        let loads: Vec<CellLoad> = match &group.load {
            GroupLoad::Closed(closed) => {
                let batches = closed.batches.iter();
                let in_flight = closed.in_flight;
                batches.map(|&batch| CellLoad::Closed { batch, in_flight }).collect()
            }
            GroupLoad::Open(open) => {
                let peaks = open.profiles.iter().flat_map(|profile| {
                    open.peaks.iter().map(move |peak| (profile.clone(), peak.clone()))
                });
                let linger = open.linger;
                peaks.map(|(profile, peak)| CellLoad::Open { profile, peak, linger }).collect()
            }
        };
        let mut cells = vec![Cell {
            group: group.name.clone(),
            layout: Layout::Pinned,
            load: loads[0].clone(),
            acks: Acks::All,
            durability: Durability::Durable,
            record_size: Size(0),
            partitions: 0,
            connections: 0,
            readers: Vec::new(),
            events: group.events.clone(),
            warm_up: group.warm_up,
            duration: group.duration,
            interval: group.interval,
        }];
        // What is written first varies slowest.
        cells = product(cells, &group.layouts, |cell, it| cell.layout = *it);
        cells = product(cells, &group.durability, |cell, it| cell.durability = *it);
        cells = product(cells, &group.record_sizes, |cell, it| cell.record_size = *it);
        cells = product(cells, &group.partitions, |cell, it| cell.partitions = *it);
        cells = product(cells, &group.connections, |cell, it| cell.connections = *it);
        cells = product(cells, &loads, |cell, it| cell.load = it.clone());
        cells = product(cells, &group.readers, |cell, it| cell.readers.clone_from(it));
        product(cells, &group.acks, |cell, it| cell.acks = *it)
    }

    /// Everything that tells it from other cells, in words.
    pub fn name(&self) -> String {
        let parts: Vec<String> = self.parts().into_iter().filter(|it| !it.is_empty()).collect();
        format!("{}: {}", self.group, parts.join(", "))
    }

    /// What tells it from these other cells.
    pub fn short_name(&self, group: &[&Cell]) -> String {
        let all: Vec<_> = group.iter().map(|cell| cell.parts()).collect();
        let parts = self.parts().into_iter().enumerate();
        let varying = parts.filter(|(index, part)| {
            !part.is_empty() && all.iter().any(|other| other[*index] != *part)
        });
        varying.map(|(_, part)| part).collect::<Vec<_>>().join(", ")
    }

    fn parts(&self) -> [String; 9] {
        let (profile, load) = match &self.load {
            CellLoad::Closed { batch: BatchShape::Size(size), .. } => {
                (String::new(), format!("batches of {}", size.text()))
            }
            CellLoad::Closed { batch, .. } => (String::new(), format!("batches of {batch}")),
            CellLoad::Open { profile, peak, .. } if profile == "steady" => {
                (String::new(), format!("at {peak}"))
            }
            CellLoad::Open { profile, peak, .. } => (profile.clone(), format!("peak {peak}")),
        };
        let readers: Vec<String> = self.readers.iter().map(ReaderSettings::to_string).collect();
        [
            self.durability.name().to_owned(),
            self.record_size.text(),
            profile,
            load,
            format!("acks={}", self.acks.name()),
            match self.readers.is_empty() {
                true => String::new(),
                false => format!("with {}", readers.join(" and ")),
            },
            format!("{} partitions", self.partitions),
            format!("{} connections", self.connections),
            self.layout.name().to_owned(),
        ]
    }

    /// Whether it says how long something takes, and not only how much there can be.
    pub fn is_open(&self) -> bool {
        matches!(self.load, CellLoad::Open { .. })
    }

    /// Whether something changes in the course of its runs.
    pub fn is_timed(&self) -> bool {
        let is_shaped = match &self.load {
            CellLoad::Closed { .. } => false,
            CellLoad::Open { profile, .. } => profile != "steady" && profile != "poisson",
        };
        is_shaped || !self.events.is_empty() || !self.readers.is_empty()
    }

    /// Whether a broker is killed in it.
    pub fn has_kill(&self) -> bool {
        self.events.iter().any(|event| event.what == Happening::Kill)
    }

    /// The rate that a run's profile refers to, if its peak is so many records per second.
    pub(super) fn base(&self, peak: Rate) -> Result<Rate, ProfileError> {
        match &self.load {
            CellLoad::Closed { .. } => Ok(peak),
            CellLoad::Open { profile, .. } => Ok(Rate(peak.0 / Profile::find(profile)?.peak())),
        }
    }

    /// What the generator is told. `peak` is the highest rate of an open loop, in records.
    pub fn settings(
        &self,
        address: &str,
        client: &[usize],
        promise: Promise,
        peak: Rate,
    ) -> Result<Settings, ProfileError> {
        let mut readers = self.readers.clone();
        let mut records =
            RecordSettings { size: self.record_size.into(), ..RecordSettings::default() };
        let (load, when) = match &self.load {
            CellLoad::Closed { batch, in_flight } => {
                (records.batch_records_max, records.batch_size_max) = match batch {
                    BatchShape::Records(count) => (*count, Size(1_000_000)),
                    BatchShape::Size(size) => (1 << 20, *size),
                };
                let closed = ClosedLoop {
                    duration: self.duration,
                    warm_up: self.warm_up,
                    in_flight: *in_flight,
                    requests_in_flight_max: REQUESTS_IN_FLIGHT_MAX,
                    batches_per_request: 1,
                };
                (Load::Closed(closed), Consume::After)
            }
            CellLoad::Open { profile, linger, .. } => {
                let profile = Profile::find(profile)?;
                readers.extend_from_slice(&profile.readers);
                records.hot_key = profile.hot_key.unwrap_or(records.hot_key);
                let open = OpenLoop {
                    base: Base::Rate(self.base(peak)?),
                    duration: self.duration,
                    warm_up: self.warm_up,
                    arrivals: profile.arrivals.unwrap_or(Arrivals::Poisson),
                    linger: *linger,
                    profile,
                };
                (Load::Open(open), Consume::During)
            }
        };
        let topics = TopicSettings {
            partitions: self.partitions,
            configs: promise.configs(),
            ..TopicSettings::default()
        };
        Ok(Settings {
            acks: self.acks,
            connections: self.connections,
            processors: client.to_vec(),
            drain_max: DRAIN_MAX,
            interval: self.interval,
            readers,
            topics,
            records,
            fetch: FetchSettings { when, ..FetchSettings::default() },
            ..Settings::usual(address, load)
        })
    }
}

/// Each cell once with each choice.
fn product<T>(cells: Vec<Cell>, choices: &[T], choose: impl Fn(&mut Cell, &T)) -> Vec<Cell> {
    let each = cells.iter().flat_map(|cell| choices.iter().map(move |choice| (cell, choice)));
    let chosen = each.map(|(cell, choice)| {
        let mut cell = cell.clone();
        choose(&mut cell, choice);
        cell
    });
    chosen.collect()
}
