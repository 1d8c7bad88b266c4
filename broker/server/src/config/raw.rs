//! The configuration file as it is written. Every key may be missing.

use std::collections::BTreeMap;

use serde::Deserialize;
pub(super) use toml::Spanned;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) broker: RawBroker,
    pub(super) topics: RawTopics,
    pub(super) connections: RawConnections,
    #[serde(rename = "fetch-sessions")]
    pub(super) fetch_sessions: RawFetchSessions,
    pub(super) memory: RawMemory,
    pub(super) journal: RawJournal,
    pub(super) producers: RawProducers,
    pub(super) retention: RawRetention,
    pub(super) compaction: RawCompaction,
    pub(super) scrub: RawScrub,
    pub(super) disk: RawDisk,
    pub(super) groups: RawGroups,
    #[serde(rename = "topic-configs")]
    pub(super) topic_configs: BTreeMap<String, Spanned<toml::Value>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawBroker {
    pub(super) id: Option<Spanned<i64>>,
    pub(super) data_dir: Option<String>,
    pub(super) listen: Option<Spanned<String>>,
    pub(super) advertise: Option<Spanned<String>>,
    pub(super) cores: Option<Spanned<String>>,
    pub(super) metrics: Option<Spanned<String>>,
    pub(super) insecure: Option<bool>,
    pub(super) log: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawTopics {
    pub(super) auto_create: Option<bool>,
    pub(super) partitions: Option<Spanned<i64>>,
    pub(super) partitions_max: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawConnections {
    pub(super) count_max: Option<Spanned<i64>>,
    pub(super) idle_ms: Option<Spanned<i64>>,
    pub(super) request_bytes_max: Option<Spanned<i64>>,
    pub(super) requests_max: Option<Spanned<i64>>,
    pub(super) unanswered_bytes_max: Option<Spanned<i64>>,
    pub(super) fetch_bytes_max: Option<Spanned<i64>>,
    pub(super) decompressed_bytes_max: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawFetchSessions {
    pub(super) sessions_max: Option<Spanned<i64>>,
    pub(super) session_partitions_max: Option<Spanned<i64>>,
    pub(super) eviction_ms: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawMemory {
    pub(super) tail_bytes: Option<Spanned<i64>>,
    pub(super) request_bytes: Option<Spanned<i64>>,
    pub(super) fetch_bytes: Option<Spanned<i64>>,
    pub(super) compaction_bytes: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawJournal {
    pub(super) file_bytes: Option<Spanned<i64>>,
    pub(super) files_count: Option<Spanned<i64>>,
    pub(super) checkpoint_interval_ms: Option<Spanned<i64>>,
    pub(super) direct: Option<bool>,
    pub(super) flush_apart: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawProducers {
    pub(super) expiration_ms: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawRetention {
    pub(super) check_interval_ms: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawCompaction {
    pub(super) check_interval_ms: Option<Spanned<i64>>,
    pub(super) bytes_per_second: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawScrub {
    pub(super) interval_ms: Option<Spanned<i64>>,
    pub(super) bytes_per_second: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawDisk {
    pub(super) slow_below_bytes: Option<Spanned<i64>>,
    pub(super) refuse_below_bytes: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawGroups {
    pub(super) initial_rebalance_delay_ms: Option<Spanned<i64>>,
    pub(super) session_timeout_ms_min: Option<Spanned<i64>>,
    pub(super) session_timeout_ms_max: Option<Spanned<i64>>,
    pub(super) consumer_session_timeout_ms: Option<Spanned<i64>>,
    pub(super) consumer_heartbeat_interval_ms: Option<Spanned<i64>>,
    pub(super) members_max: Option<Spanned<i64>>,
    pub(super) metadata_bytes_max: Option<Spanned<i64>>,
    pub(super) offsets_partitions: Option<Spanned<i64>>,
    pub(super) offsets_retention_minutes: Option<Spanned<i64>>,
    pub(super) offsets_check_interval_ms: Option<Spanned<i64>>,
}
