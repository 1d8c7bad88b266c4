//! How far groups have read: told, set and forgotten from outside of the group.
//!
//! Guarantees: the first partition of which a broker says that something is wrong is the error, by
//! its name; what is set or forgotten twice is as if it were once.

use std::collections::BTreeMap;

use model::{LeaderEpoch, Offset, PartitionIndex};
use wire::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponseTopic,
};
use wire::offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use wire::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
};
use wire::{ApiKey, ErrorCode, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, Text};

use super::coordinators::what_of;
use super::{Attempt, Cluster, incomplete};
use crate::connection::Connection;
use crate::consumer_protocol::Partitions;
use crate::error::ClusterError;

/// From this version of OffsetFetch on all offsets can be asked for.
const ALL_VERSION: i16 = 2;
/// From this version on many groups can be asked for at once, and no other way is left.
const BATCHED_VERSION: i16 = 8;

/// How far a group has read of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Of the record to be read next.
    pub offset: Offset,
    /// Of the record before it; [`LeaderEpoch::NONE`] if nobody has told.
    pub leader_epoch: LeaderEpoch,
    /// Whatever the one who has committed it wanted to find again.
    pub metadata: String,
}

impl Committed {
    /// An offset without anything else.
    pub fn at(offset: Offset) -> Committed {
        Committed { offset, leader_epoch: LeaderEpoch::NONE, metadata: String::new() }
    }
}

/// How far a group has read, by topics and partitions.
pub type GroupOffsets = BTreeMap<String, BTreeMap<PartitionIndex, Committed>>;

impl Cluster {
    /// How far a group has read of these partitions, or of all. What it has never read is not in the
    /// answer, and neither is anything of a group that does not exist.
    pub async fn committed_offsets(
        &self,
        group: &str,
        partitions: Option<&Partitions>,
    ) -> Result<GroupOffsets, ClusterError> {
        self.on_coordinator(ApiKey::OffsetFetch, group, async |connection| {
            ask_for_offsets(&connection, group, partitions).await
        })
        .await
    }

    /// Sets how far a group has read, as one who is no member of it. While it has members that is
    /// refused, by [`ErrorCode::UnknownMemberId`].
    pub async fn commit_offsets(
        &self,
        group: &str,
        offsets: &GroupOffsets,
    ) -> Result<(), ClusterError> {
        let request = OffsetCommitRequest {
            group_id: Text::from(group.to_owned()),
            topics: commit_of(offsets),
            ..Default::default()
        };
        self.on_coordinator(ApiKey::OffsetCommit, group, async |connection| {
            let response = connection.call(&request).await?;
            check_committed(group, &response.topics)
        })
        .await
    }

    /// Makes a group forget how far it has read of partitions. Refused while members read the topic,
    /// by [`ErrorCode::GroupSubscribedToTopic`].
    pub async fn delete_offsets(
        &self,
        group: &str,
        partitions: &Partitions,
    ) -> Result<(), ClusterError> {
        let topics = partitions.iter().map(|(topic, of_topic)| OffsetDeleteRequestTopic {
            name: Text::from(topic.clone()),
            partitions: of_topic
                .iter()
                .map(|&partition_index| OffsetDeleteRequestPartition { partition_index })
                .collect(),
        });
        let request = OffsetDeleteRequest {
            group_id: Text::from(group.to_owned()),
            topics: topics.collect(),
        };
        self.on_coordinator(ApiKey::OffsetDelete, group, async |connection| {
            let response = connection.call(&request).await?;
            Attempt::check(response.error_code, None)?;
            let answers = response.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|it| (&topic.name, it.partition_index, it.error_code))
            });
            for (topic, partition, code) in answers {
                check_partition(ApiKey::OffsetDelete, group, topic, partition, code)?;
            }
            Ok(())
        })
        .await
    }
}

/// Offsets as OffsetCommit has them.
pub(crate) fn commit_of(offsets: &GroupOffsets) -> Vec<OffsetCommitRequestTopic> {
    let partition = |(&partition_index, committed): (&PartitionIndex, &Committed)| {
        OffsetCommitRequestPartition {
            partition_index,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            committed_metadata: Some(Text::from(committed.metadata.clone())),
        }
    };
    let topic = |(topic, partitions): (&String, &BTreeMap<PartitionIndex, Committed>)| {
        OffsetCommitRequestTopic {
            name: Text::from(topic.clone()),
            partitions: partitions.iter().map(partition).collect(),
        }
    };
    offsets.iter().map(topic).collect()
}

fn check_committed(group: &str, topics: &[OffsetCommitResponseTopic]) -> Result<(), Attempt> {
    for topic in topics {
        for answer in &topic.partitions {
            let (partition, code) = (answer.partition_index, answer.error_code);
            check_partition(ApiKey::OffsetCommit, group, &topic.name, partition, code)?;
        }
    }
    Ok(())
}

/// That a topic is not there is final, as in [`Attempt::check_named`].
fn check_partition(
    api_key: ApiKey,
    group: &str,
    topic: &str,
    partition: PartitionIndex,
    code: ErrorCode,
) -> Result<(), Attempt> {
    if !code.is_error() || (code.is_retriable() && code != ErrorCode::UnknownTopicOrPartition) {
        return Attempt::check(code, None);
    }
    let what = format!("{}, topic {topic}, partition {partition}", what_of(group));
    Err(Attempt::Failed(ClusterError::Refused { api_key, what, code, message: None }))
}

async fn ask_for_offsets(
    connection: &Connection,
    group: &str,
    partitions: Option<&Partitions>,
) -> Result<GroupOffsets, Attempt> {
    let version = connection.version(ApiKey::OffsetFetch)?;
    if version < ALL_VERSION && partitions.is_none() {
        return Err(Attempt::Failed(ClusterError::TooOld {
            api_key: ApiKey::OffsetFetch,
            what: "all offsets of a group",
            version,
            needed_version: ALL_VERSION,
        }));
    }
    let group_id = Text::from(group.to_owned());
    if version < BATCHED_VERSION {
        let topics = partitions.map(|partitions| {
            let topic = |(topic, of_topic): (&String, &Vec<PartitionIndex>)| {
                let name = Text::from(topic.clone());
                OffsetFetchRequestTopic { name, partition_indexes: of_topic.clone() }
            };
            partitions.iter().map(topic).collect()
        });
        let request = OffsetFetchRequest { group_id, topics, ..Default::default() };
        let response = connection.call(&request).await?;
        Attempt::check(response.error_code, None)?;
        let told = response.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| (&topic.name, partition.clone()))
        });
        return offsets_of(group, told);
    }
    let topics = partitions.map(|partitions| {
        let topic = |(topic, of_topic): (&String, &Vec<PartitionIndex>)| {
            let name = Text::from(topic.clone());
            OffsetFetchRequestTopics { name, partition_indexes: of_topic.clone() }
        };
        partitions.iter().map(topic).collect()
    });
    let asked = OffsetFetchRequestGroup { group_id, topics, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![asked], ..Default::default() };
    let response = connection.call(&request).await?;
    let answer = response.groups.first();
    let answer = answer.ok_or_else(|| incomplete::<OffsetFetchRequest>(group))?;
    // Old and new are one here: a group that is not there has read nothing.
    if answer.error_code == ErrorCode::GroupIdNotFound {
        return Ok(GroupOffsets::new());
    }
    Attempt::check(answer.error_code, None)?;
    let told = answer.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (&topic.name, as_before(partition)))
    });
    offsets_of(group, told)
}

/// The same partition as earlier versions tell it.
fn as_before(partition: &OffsetFetchResponsePartitions) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata.clone(),
        error_code: partition.error_code,
    }
}

fn offsets_of<'a>(
    group: &str,
    told: impl Iterator<Item = (&'a Text, OffsetFetchResponsePartition)>,
) -> Result<GroupOffsets, Attempt> {
    let mut offsets = GroupOffsets::new();
    for (topic, partition) in told {
        let (index, code) = (partition.partition_index, partition.error_code);
        check_partition(ApiKey::OffsetFetch, group, topic, index, code)?;
        if partition.committed_offset < Offset::ZERO {
            continue;
        }
        let metadata = partition.metadata.map_or(String::new(), |it| it.as_str().to_owned());
        let committed = Committed {
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata,
        };
        offsets.entry(topic.as_str().to_owned()).or_default().insert(index, committed);
    }
    Ok(offsets)
}
