//! Scenarios: which brokers are compared, in which cells, how often.
//!
//! Guarantees: everything that a run depends on is in the file or in its defaults, which the report
//! prints. Does not know: how a cell is run.

mod choice;
mod consumer_groups;
mod group;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use choice::{BatchShape, Durability, Event, Happening, Layout, Peak, Promise};
pub use consumer_groups::ConsumerGroups;
pub use group::{Closed, Group, GroupLoad, Open};

use crate::broker::{BrokerSpec, Kind};
use crate::units::{Size, Span};

/// A benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Part of the name of its folder of results.
    pub name: String,
    pub about: String,
    /// Every cell is run so often on each of its brokers, which take turns: A B, B A, A B.
    pub repetitions: u32,
    /// Where brokers and generator run; chosen after the host if not given.
    pub processors: Option<Processors>,
    #[serde(rename = "broker")]
    pub brokers: Vec<BrokerSpec>,
    #[serde(default, rename = "cells")]
    pub groups: Vec<Group>,
    pub bare: Option<Bare>,
    pub idle: Option<Idle>,
    pub compaction: Option<Compaction>,
    #[serde(default)]
    pub consumer_groups: Vec<ConsumerGroups>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Processors {
    pub broker: Vec<usize>,
    pub client: Vec<usize>,
}

/// One durable append at a time through the broker, beside the same write without a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bare {
    /// Of the only record in a request. With what Kafka's format and a broker's journal put around
    /// it, it should still fit the 4 KiB that are written without a broker.
    pub record_size: Size,
    /// Of each turn.
    pub duration: Span,
    /// Turns of each kind, one after the other, in every repetition.
    pub turns: u32,
}

/// What a broker takes to start, and uses when it has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idle {
    pub partitions: u32,
    /// From the topic's creation to the measurement.
    pub settle: Span,
    pub duration: Span,
}

/// A changelog of one partition that is compacted when all of it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compaction {
    pub updates: u64,
    /// Each update is of one of them, by chance.
    pub keys: u32,
    /// Of each update's value.
    pub value_size: Size,
    /// Of the batches that it is written in.
    pub batch_size: Size,
    pub segment_size: Size,
    /// From the last update to the compaction.
    pub settle: Span,
    /// How long it may take.
    pub limit: Span,
}

/// Why there is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("cannot read scenario {path}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("scenario {path} is not what a scenario looks like")]
    Syntax { path: PathBuf, source: Box<toml::de::Error> },
    #[error("scenario {name} compares no broker: add at least one [[broker]]")]
    NoBroker { name: String },
    #[error("scenario {name} has no broker called {wanted}: it has {known}")]
    UnknownBroker { name: String, wanted: String, known: String },
    #[error("scenario {name} has two {what} called {twice}: give each a name of its own")]
    SameName { name: String, what: &'static str, twice: String },
    #[error("{what} `{name}` cannot name a file: use letters, digits, hyphens and underscores")]
    BadName { what: &'static str, name: String },
    #[error("scenario {name} has {repetitions} repetitions: use 1 to {REPETITIONS_MAX}")]
    Repetitions { name: String, repetitions: u32 },
    #[error("cells {group} of scenario {name}: {list} is empty, so there would be no cell")]
    Empty { name: String, group: String, list: &'static str },
    #[error("cells {group} of scenario {name}: {what}")]
    Group { name: String, group: String, what: String },
}

const REPETITIONS_MAX: u32 = 100;

impl Scenario {
    pub fn read(path: &Path) -> Result<(Scenario, String), ScenarioError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Unreadable { path: path.to_owned(), source })?;
        Ok((Scenario::parse(path, &text)?, text))
    }

    /// `path` is what errors call it.
    pub fn parse(path: &Path, text: &str) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = toml::from_str(text).map_err(|source| ScenarioError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// The same with some of its brokers only, in the order in which they are named, and without
    /// groups that none of them has a part in.
    pub fn with_brokers(mut self, names: &[String]) -> Result<Scenario, ScenarioError> {
        if names.is_empty() {
            return Ok(self);
        }
        let chosen: Result<Vec<BrokerSpec>, ScenarioError> =
            names.iter().map(|wanted| self.broker(wanted).cloned()).collect();
        self.brokers = chosen?;
        self.groups.retain_mut(|group| {
            let was_for_all = group.brokers.is_empty();
            group.brokers.retain(|name| names.contains(name));
            was_for_all || !group.brokers.is_empty()
        });
        self.check()?;
        Ok(self)
    }

    /// The same with only the groups of these names, and nothing besides cells.
    pub fn with_groups(mut self, names: &[String]) -> Result<Scenario, ScenarioError> {
        if names.is_empty() {
            return Ok(self);
        }
        if let Some(wanted) = names.iter().find(|it| !self.groups.iter().any(|g| g.name == **it)) {
            let known: Vec<&str> = self.groups.iter().map(|it| it.name.as_str()).collect();
            let what = format!("there are none, but there are {}", known.join(", "));
            return Err(ScenarioError::Group { name: self.name, group: wanted.clone(), what });
        }
        self.groups.retain(|group| names.contains(&group.name));
        (self.bare, self.idle, self.compaction) = (None, None, None);
        self.consumer_groups.clear();
        Ok(self)
    }

    /// The same with every cell run so often.
    pub fn with_repetitions(mut self, repetitions: u32) -> Result<Scenario, ScenarioError> {
        self.repetitions = repetitions;
        self.groups.iter_mut().for_each(|group| group.repetitions = None);
        self.check()?;
        Ok(self)
    }

    /// The same with two brokers, each of which is one of its own or the path of a program of ours.
    pub fn of_two(mut self, one: &str, other: &str) -> Result<Scenario, ScenarioError> {
        let names = [one, other].map(str::to_owned);
        for name in &names {
            let path = Path::new(name);
            if self.broker(name).is_ok() || !path.is_file() {
                continue;
            }
            let mut broker = BrokerSpec::new(name, Kind::Highwater);
            broker.program = Some(path.to_owned());
            self.brokers.push(broker);
            // It has a part in everything that ours have.
            self.groups.iter_mut().filter(|it| !it.brokers.is_empty()).for_each(|group| {
                group.brokers.push(name.clone());
            });
        }
        self.with_brokers(&names)
    }

    pub fn broker(&self, wanted: &str) -> Result<&BrokerSpec, ScenarioError> {
        self.brokers.iter().find(|broker| broker.name == wanted).ok_or_else(|| {
            let known: Vec<&str> = self.brokers.iter().map(|it| it.name.as_str()).collect();
            let (wanted, known) = (wanted.to_owned(), known.join(", "));
            ScenarioError::UnknownBroker { name: self.name.clone(), wanted, known }
        })
    }

    /// How often the cells of a group are run on each broker.
    pub fn repetitions_of(&self, group: &str) -> u32 {
        let group = self.groups.iter().find(|it| it.name == group);
        group.and_then(|it| it.repetitions).unwrap_or(self.repetitions)
    }

    /// The numbers of the brokers that the cells of a group are run on.
    pub fn brokers_of(&self, group: &str) -> Vec<usize> {
        let group = self.groups.iter().find(|it| it.name == group);
        let takes_part = |name: &String| {
            group.is_some_and(|it| it.brokers.is_empty() || it.brokers.contains(name))
        };
        (0..self.brokers.len()).filter(|index| takes_part(&self.brokers[*index].name)).collect()
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let name = self.name.clone();
        check_name("scenario", &name)?;
        if self.brokers.is_empty() {
            return Err(ScenarioError::NoBroker { name });
        }
        no_twins(&name, "brokers", self.brokers.iter().map(|it| it.name.as_str()))?;
        no_twins(&name, "groups of cells", self.groups.iter().map(|it| it.name.as_str()))?;
        let loads = || self.consumer_groups.iter().map(|it| it.name.as_str());
        no_twins(&name, "loads of consumer groups", loads())?;
        loads().try_for_each(|it| check_name("consumer groups", it))?;
        let repetitions = self.groups.iter().filter_map(|group| group.repetitions);
        for repetitions in repetitions.chain([self.repetitions]) {
            if !(1..=REPETITIONS_MAX).contains(&repetitions) {
                return Err(ScenarioError::Repetitions { name, repetitions });
            }
        }
        self.groups.iter().try_for_each(|group| group.check(self))
    }
}

fn no_twins<'a>(
    scenario: &str,
    what: &'static str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), ScenarioError> {
    for (index, name) in names.clone().enumerate() {
        if names.clone().take(index).any(|other| other == name) {
            let (name, twice) = (scenario.to_owned(), name.to_owned());
            return Err(ScenarioError::SameName { name, what, twice });
        }
    }
    Ok(())
}

fn check_name(what: &'static str, name: &str) -> Result<(), ScenarioError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(ScenarioError::BadName { what, name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
