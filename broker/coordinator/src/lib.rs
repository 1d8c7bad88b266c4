//! What the cluster consists of, and its groups of consumers, as state machines over records.
//!
//! ```text
//!  request ──► decide(&state) ──► records ──► __cluster_metadata ──► replay(&mut state)
//!                   └──► refused, with the reason
//! ```
//!
//! Whoever decides changes nothing; replaying a record is the only way in which the state changes,
//! at a start and in service alike.
//!
//! Guarantees: pure: no I/O, no clock, no random numbers, which come as arguments; what was decided
//! can be replayed; replaying the same records gives the same state.
//! Does not know: logs, cores, requests, Kafka's error codes.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cluster;
pub mod group;
pub mod quota;
mod record;
mod topic_config;
mod topic_name;

pub use cluster::{
    AlterConfigs, ClusterState, ConfigChange, ConfigResource, ConfigsRefused, MorePartitions,
    NewTopic, PartitionsRefused, ProducerIdBlock, ReplayError, Topic, TopicLimits, TopicRefused,
};
pub use record::{ClusterRecord, RecordError};
pub use topic_config::{
    BrokerConfigs, CONFIGS, CompactionConfig, ConfigDefinition, ConfigError, ConfigKind,
    ConfigSource, LogCompression, LogConfig, TimestampType, TopicConfigs, value_of,
};
pub use topic_name::{NameError, OFFSETS_TOPIC, check as check_topic_name};
