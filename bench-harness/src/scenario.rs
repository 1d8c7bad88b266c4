//! Scenarios: which brokers are compared, in which cells, how often.
//!
//! Guarantees: everything that a run depends on is in the file or in its defaults, which the report
//! prints. Does not know: how a cell is run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use loadgen::settings::Acks;
use serde::{Deserialize, Serialize};

use crate::broker::BrokerSpec;
use crate::units::{Rate, Size, Span};

/// A benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Part of the name of its folder of results.
    pub name: String,
    pub about: String,
    /// Every cell is run so often; brokers take turns.
    pub repetitions: u32,
    #[serde(rename = "broker")]
    pub brokers: Vec<BrokerSpec>,
    /// Where brokers and generator run; chosen after the host if not given.
    pub processors: Option<Processors>,
    pub throughput: Option<Throughput>,
    pub latency: Option<Latency>,
    pub bare: Option<Bare>,
    pub idle: Option<Idle>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Processors {
    pub broker: Vec<usize>,
    pub client: Vec<usize>,
}

/// What a broker can take: a closed loop with so much in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    pub acks: Vec<Acks>,
    pub durability: Vec<Durability>,
    pub record_sizes: Vec<Size>,
    pub batches: Vec<BatchShape>,
    pub warm_up: Span,
    pub duration: Span,
    pub in_flight: Size,
    pub connections: u32,
    pub partitions: u32,
}

/// How long it takes at a rate that is offered whatever happens: an open loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub acks: Vec<Acks>,
    pub durability: Vec<Durability>,
    pub record_sizes: Vec<Size>,
    /// Records per second.
    pub rates: Vec<Rate>,
    pub linger: Span,
    pub warm_up: Span,
    pub duration: Span,
    pub connections: u32,
    pub partitions: u32,
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

/// What a broker uses that has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idle {
    pub partitions: u32,
    /// From the topic's creation to the measurement.
    pub settle: Span,
    pub duration: Span,
}

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// `flush.messages=1`: on the device.
    Durable,
    /// Never flushed by the broker: in the system's memory, and so safe from the broker's death.
    Relaxed,
}

impl Durability {
    pub fn name(self) -> &'static str {
        match self {
            Durability::Durable => "durable",
            Durability::Relaxed => "relaxed",
        }
    }

    /// The topic's config.
    pub fn configs(self) -> BTreeMap<String, String> {
        let flush_messages = match self {
            Durability::Durable => "1",
            // Kafka's default.
            Durability::Relaxed => "9223372036854775807",
        };
        BTreeMap::from([("flush.messages".to_owned(), flush_messages.to_owned())])
    }
}

/// What is in a batch, and so in a request: written `1 record`, `10 records` or `64KiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum BatchShape {
    Records(u32),
    /// As many as fit.
    Size(Size),
}

impl FromStr for BatchShape {
    type Err = String;

    fn from_str(text: &str) -> Result<BatchShape, String> {
        let wrong =
            || format!("`{text}` is not a batch such as `1 record`, `10 records` or `64KiB`");
        if let Some(number) = text.strip_suffix("records").or(text.strip_suffix("record")) {
            let number = number.trim().parse().ok().filter(|number| 0 < *number);
            return number.map(BatchShape::Records).ok_or_else(wrong);
        }
        text.parse().map(BatchShape::Size).map_err(|_| wrong())
    }
}

impl fmt::Display for BatchShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchShape::Records(1) => f.write_str("1 record"),
            BatchShape::Records(count) => write!(f, "{count} records"),
            BatchShape::Size(size) => size.fmt(f),
        }
    }
}

loadgen::serde_as_text!(BatchShape);

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
    #[error("scenario {name} has two brokers called {broker}: give each a name of its own")]
    SameName { name: String, broker: String },
    #[error("scenario `{name}` cannot name a folder: use letters, digits, hyphens and underscores")]
    BadName { name: String },
    #[error("scenario {name} has {repetitions} repetitions: use 1 to {REPETITIONS_MAX}")]
    Repetitions { name: String, repetitions: u32 },
    #[error("scenario {name}: {list} of [{section}] is empty, so there would be no cell")]
    Empty { name: String, section: &'static str, list: &'static str },
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

    /// The same with some of its brokers only.
    pub fn with_brokers(mut self, names: &[String]) -> Result<Scenario, ScenarioError> {
        for wanted in names {
            if !self.brokers.iter().any(|broker| broker.name == *wanted) {
                let known: Vec<&str> = self.brokers.iter().map(|it| it.name.as_str()).collect();
                let (wanted, known) = (wanted.clone(), known.join(", "));
                return Err(ScenarioError::UnknownBroker { name: self.name, wanted, known });
            }
        }
        if !names.is_empty() {
            self.brokers.retain(|broker| names.contains(&broker.name));
        }
        Ok(self)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let name = self.name.clone();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(ScenarioError::BadName { name });
        }
        if self.brokers.is_empty() {
            return Err(ScenarioError::NoBroker { name });
        }
        for (index, broker) in self.brokers.iter().enumerate() {
            if self.brokers[..index].iter().any(|other| other.name == broker.name) {
                return Err(ScenarioError::SameName { name, broker: broker.name.clone() });
            }
        }
        if !(1..=REPETITIONS_MAX).contains(&self.repetitions) {
            return Err(ScenarioError::Repetitions { name, repetitions: self.repetitions });
        }
        let empty = |section, list| Err(ScenarioError::Empty { name: name.clone(), section, list });
        if let Some(it) = &self.throughput {
            match () {
                () if it.acks.is_empty() => return empty("throughput", "acks"),
                () if it.durability.is_empty() => return empty("throughput", "durability"),
                () if it.record_sizes.is_empty() => return empty("throughput", "record_sizes"),
                () if it.batches.is_empty() => return empty("throughput", "batches"),
                () => {}
            }
        }
        if let Some(it) = &self.latency {
            match () {
                () if it.acks.is_empty() => return empty("latency", "acks"),
                () if it.durability.is_empty() => return empty("latency", "durability"),
                () if it.record_sizes.is_empty() => return empty("latency", "record_sizes"),
                () if it.rates.is_empty() => return empty("latency", "rates"),
                () => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
