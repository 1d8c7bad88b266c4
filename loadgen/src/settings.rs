//! Everything that a run depends on, as it is also written beside its results.
//!
//! Guarantees: what `check` has passed can be run; what it refuses is answered with the value, the
//! limit and the fix. Does not know: the command line, or files.

mod base;
mod choice;
mod codec;
mod usual;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use client::{Host, HostError};
use model::record_batch::HEADER_SIZE_BYTES;
use serde::{Deserialize, Serialize};

pub use base::{Base, BaseError};
pub use choice::{BASE_USUAL, Choice, ChoiceError, DURATION_USUAL};
pub use codec::Codec;

use crate::condition::Condition;
use crate::plan::{BatchLimits, KeyDistribution, SizeDistribution};
use crate::profile::Profile;
use crate::record::{Headers, KEY_SIZE_BYTES, Payload, VALUE_SIZE_BYTES_MIN};
use crate::schedule::{Arrivals, ScheduleError};
use crate::units::{Rate, Size, Span, UnitError, nanos};

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Brokers to ask first, as HOST:PORT.
    pub bootstrap: Vec<String>,
    pub acks: Acks,
    /// Whether producers number their batches, so that the broker can tell repeated ones.
    pub idempotent: bool,
    /// Connections that produce, to each broker and of each worker.
    pub connections: u32,
    /// Connections that consume, of each worker.
    pub consumers: u32,
    /// Consumers beside those that verify; each reads everything.
    #[serde(default)]
    pub readers: Vec<ReaderSettings>,
    /// Processors to stay on, one worker each; none is one worker wherever the kernel puts it.
    pub processors: Vec<usize>,
    pub seed: u64,
    /// The length of an interval of measurement.
    pub interval: Span,
    /// How long to wait after the schedule's end for acknowledgements, and again for consumers.
    pub drain_max: Span,
    /// Besides a broken promise.
    #[serde(default)]
    pub fail_if: Vec<Condition>,
    pub topics: TopicSettings,
    pub records: RecordSettings,
    pub fetch: FetchSettings,
    pub load: Load,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicSettings {
    /// A topic that exists; otherwise topics are made for the run and deleted after it.
    pub existing: Option<String>,
    pub count: u32,
    /// Of each topic.
    pub partitions: u32,
    pub replication_factor: i16,
    /// Whether to leave the topics of the run behind.
    pub keep: bool,
    /// Kafka's names and values.
    pub configs: BTreeMap<String, String>,
}

/// What they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordSettings {
    /// Of a record's value.
    pub size: SizeDistribution,
    #[serde(default)]
    pub headers: Headers,
    pub payload: Payload,
    #[serde(default)]
    pub codec: Codec,
    pub keys: u32,
    #[serde(default)]
    pub key_distribution: KeyDistribution,
    /// The share of all records that goes to one key.
    pub hot_key: f64,
    /// Of one batch.
    pub batch_records_max: u32,
    /// Before it is compressed.
    pub batch_size_max: Size,
}

/// How they are read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchSettings {
    pub when: Consume,
    pub wait_max: Span,
    pub size_min: Size,
    /// Of one answer.
    pub size_max: Size,
}

/// When records are read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Consume {
    /// While they are produced: tailing.
    During,
    /// Only once producing has ended.
    After,
}

/// Consumers of one kind, written as `tail`, `3xtail`, `slow:10k/s`, `slow:1x`, `catch-up:20s`,
/// `group:3`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReaderSettings {
    pub count: u32,
    pub pace: Pace,
}

/// How a consumer reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Whatever there is, at once.
    Tail,
    /// At most so many records per second, from the start of the run to its end.
    Slow(Rate),
    /// The same, in multiples of the base rate: `slow:1x`.
    SlowOfBase(f64),
    /// Everything from the start of the run on, beginning so long after the end of the warm-up.
    CatchUp(Span),
    /// Whatever there is, at once, by a consumer group of so many members, which have everything
    /// between them and commit how far they have read.
    Group(u32),
}

impl ReaderSettings {
    /// Every single consumer.
    pub fn each(self) -> impl Iterator<Item = ReaderSettings> {
        (0..self.count).map(move |_| ReaderSettings { count: 1, ..self })
    }
}

impl FromStr for ReaderSettings {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<ReaderSettings, UnitError> {
        let expected = "a kind of consumer such as tail, 3xtail, slow:10k/s, slow:1x, \
                        catch-up:20s or group:3";
        let refused = || UnitError { text: text.to_owned(), expected };
        let (count, kind) = match text.split_once('x') {
            Some((count, kind)) if count.bytes().all(|byte| byte.is_ascii_digit()) => {
                (count.parse().map_err(|_| refused())?, kind)
            }
            _ => (1, text),
        };
        let pace = match kind.split_once(':') {
            None if kind == "tail" => Pace::Tail,
            Some(("slow", rate)) => match rate.strip_suffix('x') {
                Some(multiple) => Pace::SlowOfBase(multiple.parse().map_err(|_| refused())?),
                None => Pace::Slow(rate.parse()?),
            },
            Some(("catch-up", after)) => Pace::CatchUp(after.parse()?),
            Some(("group", members)) => Pace::Group(members.parse().map_err(|_| refused())?),
            _ => return Err(refused()),
        };
        Ok(ReaderSettings { count, pace })
    }
}

impl fmt::Display for ReaderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count != 1 {
            write!(f, "{}x", self.count)?;
        }
        match self.pace {
            Pace::Tail => f.write_str("tail"),
            Pace::Slow(rate) => write!(f, "slow:{rate}"),
            Pace::SlowOfBase(multiple) => write!(f, "slow:{multiple}x"),
            Pace::CatchUp(after) => write!(f, "catch-up:{after}"),
            Pace::Group(members) => write!(f, "group:{members}"),
        }
    }
}

crate::serde_as_text!(ReaderSettings);

/// What a producer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Acks {
    /// Nothing: there is no answer.
    #[serde(rename = "0")]
    None,
    /// The leader has it.
    #[serde(rename = "1")]
    Leader,
    /// All replicas in sync have it.
    #[serde(rename = "all")]
    All,
}

impl Acks {
    /// As the protocol writes it.
    pub fn code(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }

    /// Whether the broker is asked to acknowledge.
    pub fn is_answered(self) -> bool {
        self != Acks::None
    }

    pub fn name(self) -> &'static str {
        match self {
            Acks::None => "0",
            Acks::Leader => "1",
            Acks::All => "all",
        }
    }
}

impl FromStr for Acks {
    type Err = String;

    fn from_str(text: &str) -> Result<Acks, String> {
        match text {
            "0" => Ok(Acks::None),
            "1" => Ok(Acks::Leader),
            "all" | "-1" => Ok(Acks::All),
            _ => Err(format!("`{text}` is not one of 0, 1, all")),
        }
    }
}

/// Who decides when something is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a run has one")]
pub enum Load {
    /// A schedule made before the run.
    Open(OpenLoop),
    /// The broker: something new is sent when something old is answered. Shows what a broker can
    /// take at most; says nothing about what a user waits for.
    Closed(ClosedLoop),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenLoop {
    pub base: Base,
    pub duration: Span,
    /// At the base rate before the profile; sent and verified, not measured.
    pub warm_up: Span,
    pub arrivals: Arrivals,
    /// How long a record may wait for others to leave with.
    pub linger: Span,
    pub profile: Profile,
}

impl OpenLoop {
    /// The base rate of a run that is under way or over.
    pub fn base_per_s(&self) -> f64 {
        self.base.per_s().expect("a run begins with measuring what it has to")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedLoop {
    pub duration: Span,
    pub warm_up: Span,
    /// Bytes of records that may wait for an answer, over all connections.
    pub in_flight: Size,
    /// And requests.
    pub requests_in_flight_max: u32,
    /// Batches, each of another partition, in one request.
    pub batches_per_request: u32,
}

impl Load {
    /// Before the measurement, and during it.
    pub fn times(&self) -> (Duration, Duration) {
        match self {
            Load::Open(it) => (it.warm_up.0, it.duration.0),
            Load::Closed(it) => (it.warm_up.0, it.duration.0),
        }
    }
}

/// Why a run cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    #[error("no broker is named: give one with --bootstrap HOST:PORT")]
    NoBroker,
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error("{name} is {value}: it must be at least {min}")]
    TooSmall { name: &'static str, value: u64, min: u64 },
    #[error("{name} is {value}: it must be at most {max}")]
    TooLarge { name: &'static str, value: u64, max: u64 },
    #[error("--reader {reader} has no rate: give it some, for example slow:1k/s")]
    ReaderRate { reader: String },
    #[error(
        "--reader {reader} is a multiple of a base rate, and a closed loop has none: name a rate"
    )]
    ReaderBase { reader: String },
    #[error("--hot-key is {value}: it is a share, from 0 to 1")]
    HotKey { value: f64 },
    #[error(
        "a record of {record_bytes} bytes does not fit into a batch of {batch_bytes_max}: raise \
         --batch-size-max or lower --record-size"
    )]
    RecordTooLarge { record_bytes: usize, batch_bytes_max: usize },
}

/// Of a batch besides its records, with some room.
const BATCH_OVERHEAD_BYTES: usize = HEADER_SIZE_BYTES + 8;
/// Of a record besides key, value and headers: lengths and deltas.
const RECORD_OVERHEAD_BYTES: usize = 16;
const HEADERS_MAX: u64 = 1000;
const WORKERS_MAX: usize = 64;
const CONNECTIONS_MAX: u32 = 4096;
const READERS_MAX: u64 = 1000;
/// Members of one group.
const GROUP_MAX: u64 = 1000;
const PARTITIONS_MAX: u32 = 100_000;
const KEYS_MAX: u32 = 100_000_000;

impl Settings {
    pub fn check(&self) -> Result<(), SettingsError> {
        self.hosts()?;
        let records = &self.records;
        for size in [records.size.min(), records.size.max()] {
            range("--record-size", size.0 as u64, VALUE_SIZE_BYTES_MIN as u64, 1 << 30)?;
        }
        range("number of --headers", records.headers.count.into(), 0, HEADERS_MAX)?;
        range("size of --headers", records.headers.value_size.0 as u64, 0, 1 << 20)?;
        range("--batch-records-max", records.batch_records_max.into(), 1, 1 << 20)?;
        range("--keys", records.keys.into(), 1, KEYS_MAX.into())?;
        range("--connections", self.connections.into(), 1, CONNECTIONS_MAX.into())?;
        range("--consumers", self.consumers.into(), 1, CONNECTIONS_MAX.into())?;
        range("--topics", self.topics.count.into(), 1, PARTITIONS_MAX.into())?;
        let readers_count: u64 = self.readers.iter().map(|it| u64::from(it.count)).sum();
        range("number of --reader", readers_count, 0, READERS_MAX)?;
        for reader in &self.readers {
            if let Pace::Group(members) = reader.pace {
                range("number of members of --reader group", members.into(), 1, GROUP_MAX)?;
            }
            let Some(rate_per_s) = self.rate_of(reader.pace) else {
                return Err(SettingsError::ReaderBase { reader: reader.to_string() });
            };
            if rate_per_s.is_nan() || rate_per_s <= 0.0 {
                return Err(SettingsError::ReaderRate { reader: reader.to_string() });
            }
        }
        let partitions = u64::from(self.topics.count) * u64::from(self.topics.partitions);
        range("--partitions", partitions, 1, PARTITIONS_MAX.into())?;
        range("number of --processors", self.processors.len() as u64, 0, WORKERS_MAX as u64)?;
        range("--interval in ms", nanos(self.interval.0) / 1_000_000, 1, 60_000)?;
        if !(0.0..=1.0).contains(&records.hot_key) {
            return Err(SettingsError::HotKey { value: records.hot_key });
        }
        let record_bytes = records.size.max().0;
        if self.batch_limits().records_fitting(record_bytes) == 0 {
            return Err(SettingsError::RecordTooLarge {
                record_bytes: record_bytes + records.headers.size_bytes_max(),
                batch_bytes_max: records.batch_size_max.0,
            });
        }
        match &self.load {
            Load::Open(_) => {}
            Load::Closed(closed) => {
                range("--in-flight", closed.in_flight.0 as u64, 1, 1 << 34)?;
                range("requests in flight", closed.requests_in_flight_max.into(), 1, 1 << 20)?;
                range("batches per request", closed.batches_per_request.into(), 1, 10_000)?;
                if closed.duration.0.is_zero() {
                    return Err(ScheduleError::NoTime.into());
                }
            }
        }
        Ok(())
    }

    /// How many records per second a reader takes at most. None if that is a multiple of no base; a
    /// base that is still to be measured counts as 1.
    pub fn rate_of(&self, pace: Pace) -> Option<f64> {
        match (pace, &self.load) {
            (Pace::Tail | Pace::CatchUp(_) | Pace::Group(_), _) => Some(f64::INFINITY),
            (Pace::Slow(rate), _) => Some(rate.0),
            (Pace::SlowOfBase(_), Load::Closed(_)) => None,
            (Pace::SlowOfBase(multiple), Load::Open(open)) => {
                Some(multiple * open.base.per_s().unwrap_or(1.0))
            }
        }
    }

    pub fn hosts(&self) -> Result<Vec<Host>, SettingsError> {
        hosts_of(&self.bootstrap)
    }

    /// What a batch may have in it, by number and by size.
    pub fn batch_limits(&self) -> BatchLimits {
        let RecordSettings { headers, batch_records_max, batch_size_max, .. } = &self.records;
        BatchLimits {
            records_max: *batch_records_max,
            records_bytes: batch_size_max.0.saturating_sub(BATCH_OVERHEAD_BYTES),
            overhead_bytes: KEY_SIZE_BYTES + RECORD_OVERHEAD_BYTES + headers.size_bytes_max(),
        }
    }
}

/// The brokers to ask first, of which there has to be one.
pub(crate) fn hosts_of(bootstrap: &[String]) -> Result<Vec<Host>, SettingsError> {
    if bootstrap.is_empty() {
        return Err(SettingsError::NoBroker);
    }
    Ok(bootstrap.iter().map(|host| host.parse()).collect::<Result<Vec<Host>, HostError>>()?)
}

pub(crate) fn range(
    name: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), SettingsError> {
    if value < min {
        return Err(SettingsError::TooSmall { name, value, min });
    }
    if max < value {
        return Err(SettingsError::TooLarge { name, value, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
