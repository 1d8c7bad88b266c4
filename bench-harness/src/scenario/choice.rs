//! What the lists of a scenario have in them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::units::{Rate, Size, Span};

/// What an acknowledgement promises, of each broker of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// That the record is on the device, of every broker.
    Durable,
    /// That the broker has it, of every broker.
    Relaxed,
    /// The first broker of the scenario is durable, the others are relaxed.
    FirstDurable,
}

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
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
            Durability::FirstDurable => "first durable, others relaxed",
        }
    }

    /// Of the broker with this number.
    pub fn of(self, broker: usize) -> Promise {
        match self {
            Durability::Durable => Promise::Durable,
            Durability::FirstDurable if broker == 0 => Promise::Durable,
            Durability::FirstDurable | Durability::Relaxed => Promise::Relaxed,
        }
    }
}

impl Promise {
    pub fn name(self) -> &'static str {
        match self {
            Promise::Durable => "durable",
            Promise::Relaxed => "relaxed",
        }
    }

    /// The topic's config.
    pub fn configs(self) -> BTreeMap<String, String> {
        let flush_messages = match self {
            Promise::Durable => "1",
            // Kafka's default.
            Promise::Relaxed => "9223372036854775807",
        };
        BTreeMap::from([("flush.messages".to_owned(), flush_messages.to_owned())])
    }
}

/// Who runs on which processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// The broker on the processor that takes the disk's interrupts, the generator on another.
    Pinned,
    /// Both on all processors.
    Shared,
}

impl Layout {
    pub fn name(self) -> &'static str {
        match self {
            Layout::Pinned => "pinned",
            Layout::Shared => "shared",
        }
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

/// The highest rate of a profile, in records: `20k/s`, or a share of what a broker takes at most,
/// `80% of Apache Kafka`, which is then measured before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Peak {
    Rate(Rate),
    Share { share: f64, broker: String },
}

impl FromStr for Peak {
    type Err = String;

    fn from_str(text: &str) -> Result<Peak, String> {
        let wrong = || {
            format!(
                "`{text}` is not a rate such as 20k/s, nor a share of what a broker takes such as \
                 `80% of Apache Kafka`"
            )
        };
        let Some((share, broker)) = text.split_once("% of ") else {
            return text.parse().map(Peak::Rate).map_err(|_| wrong());
        };
        let percent: Option<f64> = share.trim().parse().ok();
        let percent = percent.filter(|it| 0.0 < *it && *it <= 1000.0).ok_or_else(wrong)?;
        Ok(Peak::Share { share: percent / 100.0, broker: broker.trim().to_owned() })
    }
}

impl fmt::Display for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peak::Rate(rate) => rate.fmt(f),
            // So many digits that it is read back as the same, and no more.
            Peak::Share { share, broker } => {
                write!(f, "{}% of {broker}", (share * 1e8).round() / 1e6)
            }
        }
    }
}

/// Something that is done to a broker while it is under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Of the measured time.
    pub at: Span,
    pub what: Happening,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// The broker is killed (`kill -9`) and started again at once.
    Kill,
    /// What the system keeps of files in memory is written out and forgotten; needs root.
    DropCaches,
}

impl Happening {
    pub fn name(self) -> &'static str {
        match self {
            Happening::Kill => "kill -9",
            Happening::DropCaches => "caches dropped",
        }
    }
}

loadgen::serde_as_text!(BatchShape, Peak);
