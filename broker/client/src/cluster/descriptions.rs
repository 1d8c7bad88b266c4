//! The cluster and its topics as they are at the moment: listed, and described down to replicas.
//!
//! Guarantees: a topic that is not there is told at once. Unlike [`Cluster::topic`] nothing here
//! waits for leaders: whoever describes wants to see that there is none.

use std::collections::BTreeMap;

use model::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use wire::metadata::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use wire::{ApiKey, MetadataRequest};

use super::{Attempt, Cluster, host_of, incomplete};
use crate::address::Host;
use crate::error::ClusterError;

/// A cluster as one of its brokers describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    /// None if the broker does not tell.
    pub id: Option<String>,
    /// The broker that changes topics, or passes that on; none if the broker does not tell.
    pub controller: Option<BrokerId>,
    /// In the order of their numbers.
    pub brokers: Vec<BrokerDescription>,
}

/// A broker as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerDescription {
    pub id: BrokerId,
    pub host: Host,
    pub rack: Option<String>,
}

/// A topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    pub name: String,
    /// Zero if the broker does not tell.
    pub id: TopicId,
    /// The brokers' own, as the one with the offsets of consumer groups.
    pub is_internal: bool,
    /// By partition index.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    pub partition: PartitionIndex,
    /// None while there is none.
    pub leader: Option<BrokerId>,
    /// [`LeaderEpoch::NONE`] if the broker does not tell.
    pub leader_epoch: LeaderEpoch,
    pub replicas: Vec<BrokerId>,
    pub in_sync: Vec<BrokerId>,
}

impl Cluster {
    /// The cluster as it is at the moment. Metadata has all of it, in every version of Kafka.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClusterError> {
        self.retry(ApiKey::Metadata, "the cluster", async || {
            let response = self.refresh(Some(&[])).await?;
            let described = response.brokers.iter().map(|broker| BrokerDescription {
                id: broker.node_id,
                host: host_of(broker),
                rack: broker.rack.as_ref().map(|rack| rack.as_str().to_owned()),
            });
            let mut brokers: Vec<BrokerDescription> = described.collect();
            brokers.sort_by_key(|broker| broker.id);
            Ok(ClusterDescription {
                id: response.cluster_id.map(|id| id.as_str().to_owned()),
                controller: self.known.borrow().controller,
                brokers,
            })
        })
        .await
    }

    /// How many partitions topics have; those that are not there are not in the answer.
    pub(crate) async fn partitions_counts(
        &self,
        topics: &[&str],
    ) -> Result<BTreeMap<String, usize>, ClusterError> {
        if topics.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.retry(ApiKey::Metadata, "topics of a group", async || {
            let response = self.refresh(Some(topics)).await?;
            let counted = response.topics.iter().filter_map(|topic| {
                let name = topic.name.as_ref()?.as_str().to_owned();
                Some((name, topic.partitions.len())).filter(|(_, count)| 0 < *count)
            });
            Ok(counted.collect())
        })
        .await
    }

    /// All topics that the cluster shows, in the order of their names.
    pub async fn list_topics(&self) -> Result<Vec<TopicDescription>, ClusterError> {
        self.retry(ApiKey::Metadata, "all topics", async || {
            let response = self.refresh(None).await?;
            let described = response.topics.iter().filter_map(|it| describe(it, &response.brokers));
            let mut topics: Vec<TopicDescription> = described.collect();
            topics.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(topics)
        })
        .await
    }

    /// A topic as it is at the moment. One that does not exist is an error.
    pub async fn describe_topic(&self, name: &str) -> Result<TopicDescription, ClusterError> {
        self.retry(ApiKey::Metadata, name, async || {
            let response = self.refresh(Some(&[name])).await?;
            let topic = response.topics.first();
            let topic = topic.ok_or_else(|| incomplete::<MetadataRequest>(name))?;
            Attempt::check_named(ApiKey::Metadata, name, topic.error_code, None)?;
            let described = describe(topic, &response.brokers);
            Ok(described.ok_or_else(|| incomplete::<MetadataRequest>(name))?)
        })
        .await
    }
}

/// None if the topic has no name.
fn describe(
    topic: &MetadataResponseTopic,
    brokers: &[MetadataResponseBroker],
) -> Option<TopicDescription> {
    let described = |partition: &MetadataResponsePartition| PartitionDescription {
        partition: partition.partition_index,
        leader: Some(partition.leader_id)
            .filter(|leader| brokers.iter().any(|broker| broker.node_id == *leader)),
        leader_epoch: partition.leader_epoch,
        replicas: partition.replica_nodes.clone(),
        in_sync: partition.isr_nodes.clone(),
    };
    let mut partitions: Vec<PartitionDescription> =
        topic.partitions.iter().map(described).collect();
    partitions.sort_by_key(|described| described.partition);
    Some(TopicDescription {
        name: topic.name.as_ref()?.as_str().to_owned(),
        id: topic.topic_id,
        is_internal: topic.is_internal,
        partitions,
    })
}
