//! What every core knows of the cluster: replaced as a whole, never changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::quota::Quotas;
use coordinator::{
    BrokerConfigs, ClusterState, LogConfig, OFFSETS_TOPIC, Topic, TopicConfigs, group,
};
use model::{BrokerId, LeaderEpoch, PartitionIndex, TopicId, TopicPartition};
use replication::{Compaction, Retention};
use runtime::CoreId;
use storage::{LogOptions, SegmentAge};
use wire::Text;

use crate::call::PartitionSpec;
use crate::config::HostPort;

/// The cluster, as clients are told about it.
#[derive(Clone, Debug)]
pub(crate) struct ClusterImage {
    /// Counts the images.
    version: u64,
    pub(crate) cluster_id: Text,
    pub(crate) broker: BrokerId,
    pub(crate) address: HostPort,
    /// What topics have that say nothing themselves.
    pub(crate) broker_configs: BrokerConfigs,
    pub(crate) quotas: Arc<Quotas>,
    topics: BTreeMap<Text, Arc<TopicImage>>,
    names: BTreeMap<TopicId, Text>,
}

/// One topic.
#[derive(Clone, Debug)]
pub(crate) struct TopicImage {
    pub(crate) id: TopicId,
    pub(crate) name: Text,
    /// What was said for it.
    pub(crate) configs: TopicConfigs,
    /// What holds.
    pub(crate) log: LogConfig,
    /// By index.
    pub(crate) partitions: Vec<PartitionImage>,
}

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionImage {
    pub(crate) owner: CoreId,
    /// None while nobody leads it.
    pub(crate) leader_epoch: Option<LeaderEpoch>,
}

impl ClusterImage {
    /// Before anything is known.
    pub(crate) fn empty(broker: BrokerId, address: HostPort) -> ClusterImage {
        ClusterImage {
            version: 0,
            cluster_id: Text::from_static(""),
            broker,
            address,
            broker_configs: BrokerConfigs::default(),
            quotas: Arc::default(),
            topics: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// The next image: the state's topics, with what is known of their partitions.
    pub(crate) fn next(
        &self,
        state: &ClusterState,
        broker_configs: BrokerConfigs,
        partition: impl Fn(TopicPartition) -> PartitionImage,
    ) -> ClusterImage {
        let log_config = log_configs(broker_configs.clone());
        let image_of = |topic: &Topic| {
            let partitions = partitions_of(topic).map(&partition).collect();
            Arc::new(TopicImage {
                id: topic.id,
                name: Text::from(topic.name.clone()),
                log: log_config(&topic.configs),
                configs: topic.configs.clone(),
                partitions,
            })
        };
        let topics: BTreeMap<_, _> =
            state.topics().map(image_of).map(|topic| (topic.name.clone(), topic)).collect();
        ClusterImage {
            version: self.version + 1,
            cluster_id: Text::from(state.cluster_id().unwrap_or_default().to_owned()),
            names: topics.values().map(|topic| (topic.id, topic.name.clone())).collect(),
            topics,
            broker_configs,
            quotas: Arc::new(state.quotas().clone()),
            broker: self.broker,
            address: self.address.clone(),
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    pub(crate) fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.names.get(&id)?)
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topics.values()
    }
}

/// As groups see topics.
impl group::Topics for ClusterImage {
    fn version(&self) -> u64 {
        self.version
    }

    fn topic(&self, name: &str) -> Option<(TopicId, i32)> {
        let topic = ClusterImage::topic(self, name)?;
        Some((topic.id, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)))
    }

    fn name_of(&self, id: TopicId) -> Option<String> {
        self.topic_by_id(id).map(|topic| topic.name.to_string())
    }

    fn names(&self) -> Vec<String> {
        let names = self.topics.keys().map(|name| name.to_string());
        names.filter(|name| !is_internal(name)).collect()
    }
}

impl TopicImage {
    /// The partition of an index, with its owner.
    pub(crate) fn partition(&self, index: PartitionIndex) -> Option<(TopicPartition, CoreId)> {
        let image = self.partitions.get(usize::try_from(index.0).ok()?)?;
        Some((TopicPartition { topic: self.id, partition: index }, image.owner))
    }
}

/// Those that Kafka hides from its consumers' patterns.
const INTERNAL_TOPICS: [&str; 2] = [OFFSETS_TOPIC, "__transaction_state"];

/// Whether it is the broker's own, which consumers' patterns leave out.
pub(crate) fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// The partitions of a topic, in order.
pub(crate) fn partitions_of(topic: &Topic) -> impl Iterator<Item = TopicPartition> {
    let id = topic.id;
    (0..topic.partitions_count)
        .map(move |index| TopicPartition { topic: id, partition: PartitionIndex(index) })
}

/// What holds for topics of these configs. Most have none of their own.
pub(crate) fn log_configs(broker: BrokerConfigs) -> impl Fn(&TopicConfigs) -> LogConfig {
    let of_most = LogConfig::of(&TopicConfigs::default(), &broker);
    move |topic| match topic.given().is_empty() {
        true => of_most,
        false => LogConfig::of(topic, &broker),
    }
}

impl PartitionSpec {
    /// How the log of a topic's partition is kept.
    pub(crate) fn new(
        partition: TopicPartition,
        config: &LogConfig,
        checkpoint_interval_ms: i64,
    ) -> PartitionSpec {
        PartitionSpec {
            partition,
            is_durable: config.is_durable(checkpoint_interval_ms),
            log: LogOptions {
                segment_bytes_max: config.segment_bytes,
                segment_age: SegmentAge {
                    max_ms: config.segment_age_max_ms(),
                    jitter_ms: config.segment_jitter_ms,
                },
                index_interval_bytes: config.index_interval_bytes,
                is_alone: true,
            },
            retention: match config.is_deleted_from {
                true => Retention {
                    age_max_ms: config.retention_ms,
                    size_max_bytes: config.retention_bytes,
                },
                false => Retention::EVERYTHING,
            },
            compaction: config.compaction.map(|config| Compaction {
                lag_min_ms: config.lag_min_ms,
                lag_max_ms: config.lag_max_ms,
                dirty_ratio_min: config.dirty_ratio_min,
                tombstones_ms: config.tombstones_ms,
            }),
            has_groups: false,
        }
    }

    /// How the log of the cluster's metadata is kept.
    pub(crate) fn of_metadata() -> PartitionSpec {
        PartitionSpec {
            partition: TopicPartition::CLUSTER_METADATA,
            is_durable: true,
            log: LogOptions { segment_bytes_max: 64 << 20, ..DEFAULT_LOG },
            retention: Retention::EVERYTHING,
            compaction: None,
            has_groups: false,
        }
    }
}

/// Until the topic is known that the log belongs to.
pub(crate) const DEFAULT_LOG: LogOptions = LogOptions {
    segment_bytes_max: 1 << 30,
    segment_age: SegmentAge::ANY,
    index_interval_bytes: 4096,
    is_alone: true,
};
