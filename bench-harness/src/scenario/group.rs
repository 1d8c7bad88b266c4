//! A group of cells: the product of its lists.

use std::time::Duration;

use loadgen::profile::Profile;
use loadgen::settings::{Acks, ReaderSettings};
use serde::{Deserialize, Serialize};

use super::{BatchShape, Durability, Event, Layout, Peak, Scenario, ScenarioError, check_name};
use crate::units::{Size, Span};

/// Cells that belong together: every combination of what is in the lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Part of the names of its files; a heading of the report.
    pub name: String,
    /// What it is to show.
    #[serde(default)]
    pub about: String,
    /// Brokers that have a part in it; all if none is named.
    #[serde(default)]
    pub brokers: Vec<String>,
    /// Instead of the scenario's.
    pub repetitions: Option<u32>,
    #[serde(default = "pinned")]
    pub layouts: Vec<Layout>,
    pub load: GroupLoad,
    pub acks: Vec<Acks>,
    pub durability: Vec<Durability>,
    pub record_sizes: Vec<Size>,
    pub partitions: Vec<u32>,
    pub connections: Vec<u32>,
    /// Consumers beside those that verify: each of these lists is a cell's.
    #[serde(default = "no_readers")]
    pub readers: Vec<Vec<ReaderSettings>>,
    /// What is done meanwhile, in every cell.
    #[serde(default)]
    pub events: Vec<Event>,
    pub warm_up: Span,
    pub duration: Span,
    /// Of measurement.
    #[serde(default = "usual_interval")]
    pub interval: Span,
}

/// Who decides when something is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupLoad {
    /// The broker: shows what it can take, not what a user waits for.
    Closed(Closed),
    /// A schedule: shows how long it takes at a rate that is offered whatever happens.
    Open(Open),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    pub batches: Vec<BatchShape>,
    /// Bytes of records that may wait for an answer.
    pub in_flight: Size,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// Of the load generator, by name, or files.
    pub profiles: Vec<String>,
    pub peaks: Vec<Peak>,
    pub linger: Span,
}

fn pinned() -> Vec<Layout> {
    vec![Layout::Pinned]
}

fn no_readers() -> Vec<Vec<ReaderSettings>> {
    vec![Vec::new()]
}

fn usual_interval() -> Span {
    Span(Duration::from_millis(100))
}

impl Group {
    /// What a group is that names only its load: one cell, durable and with `acks=all`.
    pub fn of(name: &str, load: GroupLoad, duration: Span) -> Group {
        Group {
            name: name.to_owned(),
            about: String::new(),
            brokers: Vec::new(),
            repetitions: None,
            layouts: pinned(),
            load,
            acks: vec![Acks::All],
            durability: vec![Durability::Durable],
            record_sizes: vec![Size(1024)],
            partitions: vec![4],
            connections: vec![2],
            readers: no_readers(),
            events: Vec::new(),
            warm_up: Span(Duration::from_secs(1)),
            duration,
            interval: usual_interval(),
        }
    }

    pub(super) fn check(&self, scenario: &Scenario) -> Result<(), ScenarioError> {
        check_name("group of cells", &self.name)?;
        let (name, group) = (scenario.name.clone(), self.name.clone());
        let wrong =
            |what| Err(ScenarioError::Group { name: name.clone(), group: group.clone(), what });
        for broker in &self.brokers {
            scenario.broker(broker)?;
        }
        let mut lists = vec![
            ("layouts", self.layouts.is_empty()),
            ("acks", self.acks.is_empty()),
            ("durability", self.durability.is_empty()),
            ("record_sizes", self.record_sizes.is_empty()),
            ("partitions", self.partitions.is_empty()),
            ("connections", self.connections.is_empty()),
            ("readers", self.readers.is_empty()),
        ];
        match &self.load {
            GroupLoad::Closed(closed) => {
                lists.push(("load.closed.batches", closed.batches.is_empty()));
            }
            GroupLoad::Open(open) => {
                lists.push(("load.open.profiles", open.profiles.is_empty()));
                lists.push(("load.open.peaks", open.peaks.is_empty()));
                for profile in &open.profiles {
                    if let Err(error) = Profile::find(profile) {
                        return wrong(error.to_string());
                    }
                }
                for peak in &open.peaks {
                    if let Peak::Share { broker, .. } = peak {
                        scenario.broker(broker)?;
                    }
                }
            }
        }
        if let Some((list, _)) = lists.into_iter().find(|(_, is_empty)| *is_empty) {
            return Err(ScenarioError::Empty { name, group, list });
        }
        if self.duration.0.is_zero() {
            return wrong("`duration` is 0: give it some time, for example \"10s\"".to_owned());
        }
        if let Some(event) = self.events.iter().find(|event| self.duration <= event.at) {
            return wrong(format!(
                "`{}` is to happen at {}, and the run is over after {}: choose an earlier time",
                event.what.name(),
                event.at,
                self.duration
            ));
        }
        Ok(())
    }
}
