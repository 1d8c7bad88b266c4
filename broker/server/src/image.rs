//! What every core knows of the cluster: replaced as a whole, never changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::{ClusterState, Topic, TopicConfigs};
use model::{BrokerId, LeaderEpoch, PartitionIndex, TopicId, TopicPartition};
use runtime::CoreId;
use storage::{LogOptions, SegmentAge};
use wire::Text;

use crate::call::PartitionSpec;
use crate::config::HostPort;

/// The cluster, as clients are told about it.
#[derive(Clone, Debug)]
pub(crate) struct ClusterImage {
    pub(crate) cluster_id: Text,
    pub(crate) broker: BrokerId,
    pub(crate) address: HostPort,
    topics: BTreeMap<Text, Arc<TopicImage>>,
    names: BTreeMap<TopicId, Text>,
}

/// One topic.
#[derive(Clone, Debug)]
pub(crate) struct TopicImage {
    pub(crate) id: TopicId,
    pub(crate) name: Text,
    pub(crate) configs: TopicConfigs,
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
            cluster_id: Text::from_static(""),
            broker,
            address,
            topics: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// The next image: the state's topics, with what is known of their partitions.
    pub(crate) fn next(
        &self,
        state: &ClusterState,
        partition: impl Fn(TopicPartition) -> PartitionImage,
    ) -> ClusterImage {
        let image_of = |topic: &Topic| {
            let partitions = partitions_of(topic).map(&partition).collect();
            Arc::new(TopicImage {
                id: topic.id,
                name: Text::from(topic.name.clone()),
                configs: topic.configs.clone(),
                partitions,
            })
        };
        let topics: BTreeMap<_, _> =
            state.topics().map(image_of).map(|topic| (topic.name.clone(), topic)).collect();
        ClusterImage {
            cluster_id: Text::from(state.cluster_id().unwrap_or_default().to_owned()),
            names: topics.values().map(|topic| (topic.id, topic.name.clone())).collect(),
            topics,
            ..self.clone()
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

impl TopicImage {
    /// The partition of an index, with its owner.
    pub(crate) fn partition(&self, index: PartitionIndex) -> Option<(TopicPartition, CoreId)> {
        let image = self.partitions.get(usize::try_from(index.0).ok()?)?;
        Some((TopicPartition { topic: self.id, partition: index }, image.owner))
    }
}

/// The partitions of a topic, in order.
pub(crate) fn partitions_of(topic: &Topic) -> impl Iterator<Item = TopicPartition> {
    let id = topic.id;
    (0..topic.partitions_count)
        .map(move |index| TopicPartition { topic: id, partition: PartitionIndex(index) })
}

/// How the log of a topic's partition is kept.
pub(crate) fn spec_of(partition: TopicPartition, configs: &TopicConfigs) -> PartitionSpec {
    PartitionSpec {
        partition,
        is_durable: configs.is_durable(),
        log: LogOptions {
            segment_bytes_max: configs.segment_bytes(),
            segment_age: SegmentAge::ANY,
            index_interval_bytes: configs.index_interval_bytes(),
            is_alone: true,
        },
    }
}

/// How internal topics' logs are kept.
pub(crate) const INTERNAL_LOG: LogOptions = LogOptions {
    segment_bytes_max: 64 << 20,
    segment_age: SegmentAge::ANY,
    index_interval_bytes: 4096,
    is_alone: true,
};
