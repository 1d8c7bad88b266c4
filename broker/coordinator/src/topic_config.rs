//! The configs of a topic: which there are, what they may be, what they are by default.
//!
//! Names, meanings and defaults are Kafka's but where nothing is done yet: then the only value
//! that is accepted is the one that tells so.

use std::collections::BTreeMap;

/// What a config's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigKind {
    /// A number of 32 bits, from and up to.
    Int(i64, i64),
    /// A number of 64 bits, from and up to.
    Long(i64, i64),
    /// One of these.
    Choice(&'static [&'static str]),
    /// Only the default, and why.
    Only(&'static str),
}

/// One config.
#[derive(Clone, Copy, Debug)]
pub struct ConfigDefinition {
    /// Kafka's name.
    pub name: &'static str,
    /// What it may be.
    pub kind: ConfigKind,
    /// What it is if nobody says otherwise.
    pub default: &'static str,
    /// For people.
    pub documentation: &'static str,
}

const NEVER: &str = "9223372036854775807";

/// The configs that a topic has, in the order of their names.
pub const CONFIGS: &[ConfigDefinition] = &[
    ConfigDefinition {
        name: "cleanup.policy",
        kind: ConfigKind::Only("nothing is compacted yet"),
        default: "delete",
        documentation: "What becomes of old records.",
    },
    ConfigDefinition {
        name: "compression.type",
        kind: ConfigKind::Only("batches are stored as they were sent"),
        default: "producer",
        documentation: "Batches keep the compression that their producer chose.",
    },
    ConfigDefinition {
        name: "delete.retention.ms",
        kind: ConfigKind::Long(0, i64::MAX),
        default: "86400000",
        documentation: "How long compaction keeps tombstones; without effect as nothing is compacted.",
    },
    ConfigDefinition {
        name: "flush.messages",
        kind: ConfigKind::Long(1, i64::MAX),
        default: "1",
        documentation: "1: a record is acknowledged when it is on the device's medium. Any other \
                        value: when it survives the process; it then reaches the medium within the \
                        broker's checkpoint interval.",
    },
    ConfigDefinition {
        name: "flush.ms",
        kind: ConfigKind::Only("the broker's checkpoint interval bounds it"),
        default: NEVER,
        documentation: "When records reach the medium at the latest.",
    },
    ConfigDefinition {
        name: "index.interval.bytes",
        kind: ConfigKind::Int(0, i32::MAX as i64),
        default: "4096",
        documentation: "Bytes between two points of a segment's index.",
    },
    ConfigDefinition {
        name: "max.compaction.lag.ms",
        kind: ConfigKind::Long(1, i64::MAX),
        default: NEVER,
        documentation: "Without effect as nothing is compacted.",
    },
    ConfigDefinition {
        name: "max.message.bytes",
        kind: ConfigKind::Int(0, i32::MAX as i64),
        default: "1048588",
        documentation: "The largest record batch, as it is sent.",
    },
    ConfigDefinition {
        name: "message.timestamp.after.max.ms",
        kind: ConfigKind::Long(0, i64::MAX),
        default: "3600000",
        documentation: "How far in the future a record's time may be.",
    },
    ConfigDefinition {
        name: "message.timestamp.before.max.ms",
        kind: ConfigKind::Long(0, i64::MAX),
        default: NEVER,
        documentation: "How far in the past a record's time may be.",
    },
    ConfigDefinition {
        name: "message.timestamp.type",
        kind: ConfigKind::Choice(&["CreateTime", "LogAppendTime"]),
        default: "CreateTime",
        documentation: "Whose clock a record's time is from: the producer's or the broker's.",
    },
    ConfigDefinition {
        name: "min.compaction.lag.ms",
        kind: ConfigKind::Long(0, i64::MAX),
        default: "0",
        documentation: "Without effect as nothing is compacted.",
    },
    ConfigDefinition {
        name: "min.insync.replicas",
        kind: ConfigKind::Int(1, i32::MAX as i64),
        default: "1",
        documentation: "With acks=all, how many copies there must be for an append.",
    },
    ConfigDefinition {
        name: "retention.bytes",
        kind: ConfigKind::Only("nothing is deleted by size yet"),
        default: "-1",
        documentation: "How large a partition may grow.",
    },
    ConfigDefinition {
        name: "retention.ms",
        kind: ConfigKind::Only("nothing is deleted by age yet"),
        default: "-1",
        documentation: "How long records are kept.",
    },
    ConfigDefinition {
        name: "segment.bytes",
        kind: ConfigKind::Int(64 << 10, i32::MAX as i64),
        default: "1073741824",
        documentation: "Size of a segment.",
    },
    ConfigDefinition {
        name: "segment.ms",
        kind: ConfigKind::Only("segments are not ended by age yet"),
        default: NEVER,
        documentation: "Age at which a segment is ended.",
    },
    ConfigDefinition {
        name: "unclean.leader.election.enable",
        kind: ConfigKind::Only("a partition has one copy"),
        default: "false",
        documentation: "Whether a copy that lacks records may lead.",
    },
];

/// Why a config is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no such config.
    #[error("unknown topic config \"{name}\"")]
    Unknown {
        /// As given.
        name: String,
    },
    /// It was given twice.
    #[error("topic config \"{name}\" is given twice")]
    Repeated {
        /// As given.
        name: String,
    },
    /// It has no value.
    #[error("topic config \"{name}\" has no value")]
    Null {
        /// As given.
        name: String,
    },
    /// The value is not of the right kind or out of range.
    #[error("{name}={value}: {allowed}")]
    Value {
        /// Of the config.
        name: &'static str,
        /// As given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

/// Who sets the time of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer.
    CreateTime,
    /// The broker.
    LogAppendTime,
}

/// The configs of one topic: what was given, over the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicConfigs(BTreeMap<String, String>);

impl ConfigDefinition {
    /// The definition of a name.
    pub fn of(name: &str) -> Option<&'static ConfigDefinition> {
        CONFIGS.iter().find(|config| config.name == name)
    }

    fn check(&self, value: &str) -> Result<(), ConfigError> {
        let number = |low: i64, high: i64| {
            value.parse().is_ok_and(|number: i64| low <= number && number <= high)
        };
        let (is_valid, allowed) = match self.kind {
            ConfigKind::Int(low, high) | ConfigKind::Long(low, high) => {
                (number(low, high), format!("choose a number between {low} and {high}"))
            }
            ConfigKind::Choice(choices) => {
                (choices.contains(&value), format!("choose one of {}", choices.join(", ")))
            }
            ConfigKind::Only(reason) => {
                let allowed = format!("only {} is supported, as {reason}", self.default);
                (value == self.default, allowed)
            }
        };
        if is_valid {
            return Ok(());
        }
        Err(ConfigError::Value { name: self.name, value: value.to_owned(), allowed })
    }
}

impl TopicConfigs {
    /// Checks what was given.
    pub fn new<'a>(
        given: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<TopicConfigs, ConfigError> {
        let mut configs = BTreeMap::new();
        for (name, value) in given {
            let Some(definition) = ConfigDefinition::of(name) else {
                return Err(ConfigError::Unknown { name: name.to_owned() });
            };
            let Some(value) = value else {
                return Err(ConfigError::Null { name: name.to_owned() });
            };
            // Kafka's numbers and choices are trimmed as well.
            let value = value.trim();
            definition.check(value)?;
            if configs.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(ConfigError::Repeated { name: name.to_owned() });
            }
        }
        Ok(TopicConfigs(configs))
    }

    /// What was given.
    pub fn given(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The value in force.
    pub fn value(&self, definition: &'static ConfigDefinition) -> &str {
        self.0.get(definition.name).map_or(definition.default, String::as_str)
    }

    /// Whether records are acknowledged when they are on the device's medium.
    pub fn is_durable(&self) -> bool {
        self.number("flush.messages") == 1
    }

    /// Size of a segment.
    pub fn segment_bytes(&self) -> u64 {
        self.number("segment.bytes").unsigned_abs()
    }

    /// Bytes between two points of a segment's index.
    pub fn index_interval_bytes(&self) -> u64 {
        self.number("index.interval.bytes").unsigned_abs()
    }

    /// The largest batch.
    pub fn message_bytes_max(&self) -> usize {
        usize::try_from(self.number("max.message.bytes")).expect("checked when it was given")
    }

    /// Copies that acks=all needs.
    pub fn insync_replicas_min(&self) -> i64 {
        self.number("min.insync.replicas")
    }

    /// How far in the past a record's time may be, in milliseconds.
    pub fn timestamp_before_max_ms(&self) -> i64 {
        self.number("message.timestamp.before.max.ms")
    }

    /// How far in the future a record's time may be, in milliseconds.
    pub fn timestamp_after_max_ms(&self) -> i64 {
        self.number("message.timestamp.after.max.ms")
    }

    /// Who sets the time of records.
    pub fn timestamp_type(&self) -> TimestampType {
        match self.get("message.timestamp.type") {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        }
    }

    fn get(&self, name: &'static str) -> &str {
        self.value(ConfigDefinition::of(name).expect("one of our own"))
    }

    fn number(&self, name: &'static str) -> i64 {
        self.get(name).parse().expect("checked when it was given")
    }
}

#[cfg(test)]
mod tests;
