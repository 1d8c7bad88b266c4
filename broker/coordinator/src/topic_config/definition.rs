//! Every config that a topic has: its name, what it may be, what it is by default, and what brokers
//! call it.
//!
//! Names, meanings, limits and defaults are Kafka's but where the documentation says so. Where
//! nothing is done yet, the only value that is accepted is the one that tells so.

/// What a config's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigKind {
    /// `true` or `false`.
    Boolean,
    /// A number of 32 bits, from and up to.
    Int(i64, i64),
    /// A number of 32 bits, from and up to, or another one.
    IntOr(i64, i64, i64),
    /// A number of 64 bits, from and up to.
    Long(i64, i64),
    /// A number from 0 to 1.
    Ratio,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Some of these, separated by commas.
    List(&'static [&'static str]),
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
    /// What brokers call it who say it for all topics; empty if they cannot.
    pub broker_name: &'static str,
    /// Whether the default is told as a broker's, too.
    pub has_broker_default: bool,
    /// Why it can only be the default, if that is so.
    pub only: Option<&'static str>,
    /// For people.
    pub documentation: &'static str,
}

impl ConfigDefinition {
    const fn new(name: &'static str, kind: ConfigKind, default: &'static str) -> ConfigDefinition {
        ConfigDefinition {
            name,
            kind,
            default,
            broker_name: "",
            has_broker_default: false,
            only: None,
            documentation: "",
        }
    }

    const fn of_brokers(self, broker_name: &'static str) -> ConfigDefinition {
        ConfigDefinition { broker_name, has_broker_default: true, ..self }
    }

    /// To Kafka the broker's default is null, and the topic's from elsewhere.
    const fn without_broker_default(self) -> ConfigDefinition {
        ConfigDefinition { has_broker_default: false, ..self }
    }

    const fn only(self, reason: &'static str) -> ConfigDefinition {
        ConfigDefinition { only: Some(reason), ..self }
    }

    const fn about(self, documentation: &'static str) -> ConfigDefinition {
        ConfigDefinition { documentation, ..self }
    }

    /// The definition of a topic's config.
    pub fn of(name: &str) -> Option<&'static ConfigDefinition> {
        CONFIGS.iter().find(|config| config.name == name)
    }

    /// The definition of what brokers call so.
    pub fn of_broker(broker_name: &str) -> Option<&'static ConfigDefinition> {
        let is_named = |config: &&ConfigDefinition| config.broker_name == broker_name;
        CONFIGS.iter().find(is_named).filter(|_| !broker_name.is_empty())
    }
}

const NEVER: &str = "9223372036854775807";
const INT_MAX: i64 = i32::MAX as i64;
const NOT_TIERED: &str = "nothing is kept in another storage";

/// The configs that a topic has, in the order of their names.
pub const CONFIGS: &[ConfigDefinition] = &[
    ConfigDefinition::new("cleanup.policy", ConfigKind::List(&["compact", "delete"]), "delete")
        .of_brokers("log.cleanup.policy")
        .about(
            "What becomes of old records. delete: they go when they are too old or too many \
             (retention.ms, retention.bytes). compact: of the records with one key the last one stays; \
             a record without a key is refused. Both are possible together.",
        ),
    ConfigDefinition::new("compression.gzip.level", ConfigKind::IntOr(1, 9, -1), "-1")
        .of_brokers("compression.gzip.level")
        .about("How hard gzip tries, with compression.type=gzip; -1 is 6."),
    ConfigDefinition::new("compression.lz4.level", ConfigKind::Int(1, 17), "9")
        .of_brokers("compression.lz4.level")
        .about("Without effect: lz4 has one level here, the fast one."),
    ConfigDefinition::new(
        "compression.type",
        ConfigKind::Choice(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
    )
    .of_brokers("compression.type")
    .about(
        "How batches are stored. producer: as their producer compressed them. Otherwise a batch that \
         was sent in another codec is compressed anew; one of the same codec is stored as it was \
         sent, whatever its level.",
    ),
    ConfigDefinition::new("compression.zstd.level", ConfigKind::Int(-131_072, 22), "3")
        .of_brokers("compression.zstd.level")
        .about(
            "How hard zstd tries, with compression.type=zstd. From 6 on with windows of 1 MiB; the \
             highest take up to half a second of a core for a batch of 1 MiB.",
        ),
    ConfigDefinition::new("delete.retention.ms", ConfigKind::Long(0, i64::MAX), "86400000")
        .of_brokers("log.cleaner.delete.retention.ms")
        .about("How long compaction keeps tombstones once everything older of their key is gone."),
    ConfigDefinition::new("file.delete.delay.ms", ConfigKind::Long(0, i64::MAX), "60000")
        .of_brokers("log.segment.delete.delay.ms")
        .about("Without effect: a segment's file goes with the checkpoint after it has left the log."),
    ConfigDefinition::new("flush.messages", ConfigKind::Long(1, i64::MAX), "1")
        .of_brokers("log.flush.interval.messages")
        .about(
            "1: a record is acknowledged when it is on the device's medium. Any other value: when it \
             survives the process; it then reaches the medium within the broker's checkpoint \
             interval. (Kafka's default is the largest number.)",
        ),
    ConfigDefinition::new("flush.ms", ConfigKind::Long(0, i64::MAX), NEVER)
        .of_brokers("log.flush.interval.ms")
        .without_broker_default()
        .about(
            "When a record reaches the medium at the latest. Less than the broker's checkpoint \
             interval: before it is acknowledged, as with flush.messages=1.",
        ),
    ConfigDefinition::new("follower.replication.throttled.replicas", ConfigKind::List(&[]), "")
        .only("a partition has one copy")
        .about("Whose copying is slowed down."),
    ConfigDefinition::new("index.interval.bytes", ConfigKind::Int(0, INT_MAX), "4096")
        .of_brokers("log.index.interval.bytes")
        .about("Bytes between two points of a segment's index."),
    ConfigDefinition::new("leader.replication.throttled.replicas", ConfigKind::List(&[]), "")
        .only("a partition has one copy")
        .about("Whose copying is slowed down."),
    ConfigDefinition::new("local.retention.bytes", ConfigKind::Long(-2, i64::MAX), "-2")
        .of_brokers("log.local.retention.bytes")
        .only(NOT_TIERED)
        .about("How much of a partition is kept here."),
    ConfigDefinition::new("local.retention.ms", ConfigKind::Long(-2, i64::MAX), "-2")
        .of_brokers("log.local.retention.ms")
        .only(NOT_TIERED)
        .about("How long records are kept here."),
    ConfigDefinition::new("max.compaction.lag.ms", ConfigKind::Long(1, i64::MAX), NEVER)
        .of_brokers("log.cleaner.max.compaction.lag.ms")
        .about("A record that can be replaced by a later one is compacted once it is so old."),
    ConfigDefinition::new("max.message.bytes", ConfigKind::Int(0, INT_MAX), "1048588")
        .of_brokers("message.max.bytes")
        .about("The largest record batch, as it is sent."),
    ConfigDefinition::new(
        "message.timestamp.after.max.ms",
        ConfigKind::Long(0, i64::MAX),
        "3600000",
    )
    .of_brokers("log.message.timestamp.after.max.ms")
    .about("How far in the future a record's time may be."),
    ConfigDefinition::new("message.timestamp.before.max.ms", ConfigKind::Long(0, i64::MAX), NEVER)
        .of_brokers("log.message.timestamp.before.max.ms")
        .about("How far in the past a record's time may be."),
    ConfigDefinition::new(
        "message.timestamp.type",
        ConfigKind::Choice(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
    )
    .of_brokers("log.message.timestamp.type")
    .about("Whose clock a record's time is from: the producer's or the broker's."),
    ConfigDefinition::new("min.cleanable.dirty.ratio", ConfigKind::Ratio, "0.5")
        .of_brokers("log.cleaner.min.cleanable.ratio")
        .about("A log is compacted when more than this share of its bytes was not compacted yet."),
    ConfigDefinition::new("min.compaction.lag.ms", ConfigKind::Long(0, i64::MAX), "0")
        .of_brokers("log.cleaner.min.compaction.lag.ms")
        .about("A segment with a record that is younger is not compacted."),
    ConfigDefinition::new("min.insync.replicas", ConfigKind::Int(1, INT_MAX), "1")
        .of_brokers("min.insync.replicas")
        .about("With acks=all, how many copies there must be for an append."),
    ConfigDefinition::new("preallocate", ConfigKind::Boolean, "false")
        .of_brokers("log.preallocate")
        .about("Without effect: space is always reserved before a record is acknowledged."),
    ConfigDefinition::new("remote.log.copy.disable", ConfigKind::Boolean, "false")
        .only(NOT_TIERED)
        .about("Whether segments are no longer copied to another storage."),
    ConfigDefinition::new("remote.log.delete.on.disable", ConfigKind::Boolean, "false")
        .only(NOT_TIERED)
        .about("Whether another storage is emptied when it is no longer used."),
    ConfigDefinition::new("remote.storage.enable", ConfigKind::Boolean, "false")
        .only(NOT_TIERED)
        .about("Whether segments are kept in another storage."),
    ConfigDefinition::new("retention.bytes", ConfigKind::Long(i64::MIN, i64::MAX), "-1")
        .of_brokers("log.retention.bytes")
        .about(
            "How large a partition may grow before its oldest segments go; any number if negative.",
        ),
    ConfigDefinition::new("retention.ms", ConfigKind::Long(-1, i64::MAX), "604800000")
        .of_brokers("log.retention.ms")
        .without_broker_default()
        .about("How long records are kept, by the latest time of their segment; -1 for ever."),
    ConfigDefinition::new("segment.bytes", ConfigKind::Int(64 << 10, INT_MAX), "1073741824")
        .of_brokers("log.segment.bytes")
        .about("The largest segment. (Kafka's least is 1048576.)"),
    ConfigDefinition::new("segment.index.bytes", ConfigKind::Int(4, INT_MAX), "10485760")
        .of_brokers("log.index.size.max.bytes")
        .about("Without effect: an index takes what it needs."),
    ConfigDefinition::new("segment.jitter.ms", ConfigKind::Long(0, i64::MAX), "0")
        .of_brokers("log.roll.jitter.ms")
        .without_broker_default()
        .about("How much earlier than by segment.ms a segment may be ended, by chance."),
    ConfigDefinition::new("segment.ms", ConfigKind::Long(1, i64::MAX), "604800000")
        .of_brokers("log.roll.ms")
        .without_broker_default()
        .about("A segment ends before a record that is so much later than its first."),
    ConfigDefinition::new("unclean.leader.election.enable", ConfigKind::Boolean, "false")
        .of_brokers("unclean.leader.election.enable")
        .only("a partition has one copy")
        .about("Whether a copy that lacks records may lead."),
];
