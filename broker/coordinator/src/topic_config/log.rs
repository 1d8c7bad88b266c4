//! The configs of a topic's logs, as their owner needs them.

use model::record_batch::Compression;

use super::{BrokerConfigs, ConfigDefinition, ConfigSource, TopicConfigs};

/// Who sets the time of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer.
    CreateTime,
    /// The broker.
    LogAppendTime,
}

/// When and how a topic's logs are compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionConfig {
    /// A segment with a record that is younger stays as it is.
    pub lag_min_ms: i64,
    /// A dirty record that is older makes it time.
    pub lag_max_ms: i64,
    /// And so does a larger share of dirty bytes.
    pub dirty_ratio_min: f64,
    /// How long tombstones stay.
    pub tombstones_ms: i64,
}

/// How batches are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCompression {
    /// In which codec.
    pub codec: Compression,
    /// At which of its levels, if it has several.
    pub level: Option<i32>,
}

/// What holds for a topic: its own configs over those of the broker over the defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogConfig {
    /// A record is acknowledged when it is on the medium if this is 1.
    pub flush_messages: i64,
    /// A record is on the medium after so long.
    pub flush_ms: i64,
    /// The largest segment.
    pub segment_bytes: u64,
    /// A segment ends before a record that is so much later than its first.
    pub segment_ms: i64,
    /// Less by up to so much.
    pub segment_jitter_ms: i64,
    /// Bytes between two points of a segment's index.
    pub index_interval_bytes: u64,
    /// Records go when they are too old or too many (`cleanup.policy=delete`).
    pub is_deleted_from: bool,
    /// Of the records with one key the last one stays (`cleanup.policy=compact`).
    pub compaction: Option<CompactionConfig>,
    /// How long records are kept; none for ever.
    pub retention_ms: Option<i64>,
    /// How large a partition may be; none for any size.
    pub retention_bytes: Option<u64>,
    /// The largest batch.
    pub message_bytes_max: usize,
    /// Copies that acks=all needs.
    pub insync_replicas_min: i64,
    /// How far in the past a record's time may be.
    pub timestamp_before_max_ms: i64,
    /// How far in the future a record's time may be.
    pub timestamp_after_max_ms: i64,
    /// Who sets the time of records.
    pub timestamp_type: TimestampType,
    /// How batches are stored; none as their producers compressed them.
    pub compression: Option<LogCompression>,
}

impl LogConfig {
    /// What holds for a topic.
    pub fn of(topic: &TopicConfigs, broker: &BrokerConfigs) -> LogConfig {
        let text = |name: &str| {
            let definition = ConfigDefinition::of(name).expect("one of our own");
            value_of(topic, broker, definition).1
        };
        let number = |name: &str| -> i64 { text(name).parse().expect("checked when it was given") };
        let size = |name: &str| number(name).unsigned_abs();
        let has_policy = |policy: &str| {
            text("cleanup.policy").split(',').any(|element| element.trim() == policy)
        };
        let compaction = CompactionConfig {
            lag_min_ms: number("min.compaction.lag.ms"),
            lag_max_ms: number("max.compaction.lag.ms"),
            dirty_ratio_min: text("min.cleanable.dirty.ratio").parse().expect("checked as well"),
            tombstones_ms: number("delete.retention.ms"),
        };
        LogConfig {
            flush_messages: number("flush.messages"),
            flush_ms: number("flush.ms"),
            segment_bytes: size("segment.bytes"),
            segment_ms: number("segment.ms"),
            segment_jitter_ms: number("segment.jitter.ms"),
            index_interval_bytes: size("index.interval.bytes"),
            is_deleted_from: has_policy("delete"),
            compaction: has_policy("compact").then_some(compaction),
            retention_ms: Some(number("retention.ms")).filter(|ms| 0 <= *ms),
            retention_bytes: u64::try_from(number("retention.bytes")).ok(),
            message_bytes_max: usize::try_from(number("max.message.bytes"))
                .expect("checked when it was given"),
            insync_replicas_min: number("min.insync.replicas"),
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            timestamp_type: match text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            compression: compression(text("compression.type"), |name| {
                i32::try_from(number(name)).expect("checked when it was given")
            }),
        }
    }

    /// A segment ends before a record that is so much later than its first: compaction needs it to end
    /// before what is in it is too old, as in Kafka.
    pub fn segment_age_max_ms(&self) -> i64 {
        let lag_max_ms = self.compaction.map_or(i64::MAX, |compaction| compaction.lag_max_ms);
        self.segment_ms.min(lag_max_ms)
    }

    /// Whether records are acknowledged when they are on the device's medium. That is also the way
    /// in which they are there after less than the time between two checkpoints.
    pub fn is_durable(&self, checkpoint_interval_ms: i64) -> bool {
        self.flush_messages == 1 || self.flush_ms < checkpoint_interval_ms
    }
}

/// What `compression.type` stands for, with the level that was said for it.
fn compression(kind: &str, level: impl Fn(&str) -> i32) -> Option<LogCompression> {
    let (codec, level) = match kind {
        "uncompressed" => (Compression::None, None),
        "gzip" => (Compression::Gzip, Some(level("compression.gzip.level"))),
        "snappy" => (Compression::Snappy, None),
        "lz4" => (Compression::Lz4, None),
        "zstd" => (Compression::Zstd, Some(level("compression.zstd.level"))),
        _ => return None,
    };
    Some(LogCompression { codec, level })
}

/// The value in force, and who says so.
pub fn value_of<'a>(
    topic: &'a TopicConfigs,
    broker: &'a BrokerConfigs,
    definition: &'a ConfigDefinition,
) -> (ConfigSource, &'a str) {
    match topic.given().get(definition.name) {
        Some(value) => (ConfigSource::Topic, value),
        None => broker.value(definition),
    }
}
