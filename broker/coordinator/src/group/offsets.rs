//! How far a group has come in each partition.

use std::collections::BTreeMap;

use model::{LeaderEpoch, Offset, PartitionIndex, Timestamp};

use super::MemberOf;

/// Where a group goes on in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Of the next record.
    pub offset: Offset,
    /// Of the last record that was read; [`LeaderEpoch::NONE`] if the consumer does not say.
    pub leader_epoch: LeaderEpoch,
    /// What the consumer has noted with it.
    pub metadata: String,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// When it goes, if the consumer has said so; otherwise the broker does.
    pub expires_at: Option<Timestamp>,
}

/// Offsets that somebody commits for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Who: a member, or nobody's (generation -1).
    pub member: MemberOf,
    /// How long they are to be kept; none for as long as the broker says.
    pub retention_ms: Option<i64>,
    /// In the order of the request.
    pub offsets: Vec<NewOffset>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOffset {
    /// The topic's name.
    pub topic: String,
    /// The partition.
    pub partition: PartitionIndex,
    /// Of the next record.
    pub offset: Offset,
    /// Of the last record that was read.
    pub leader_epoch: LeaderEpoch,
    /// A note of the consumer's.
    pub metadata: String,
}

/// A group's offsets, by topic and partition.
pub type OffsetsOf = BTreeMap<String, BTreeMap<PartitionIndex, CommittedOffset>>;

/// Sets or removes one.
pub(super) fn replay(
    offsets: &mut OffsetsOf,
    topic: &str,
    partition: PartitionIndex,
    value: Option<&CommittedOffset>,
) {
    match value {
        Some(value) => {
            if let Some(partitions) = offsets.get_mut(topic) {
                partitions.insert(partition, value.clone());
            } else {
                let partitions = BTreeMap::from([(partition, value.clone())]);
                offsets.insert(topic.to_owned(), partitions);
            }
        }
        None => {
            if let Some(partitions) = offsets.get_mut(topic) {
                partitions.remove(&partition);
                if partitions.is_empty() {
                    offsets.remove(topic);
                }
            }
        }
    }
}

/// All partitions that have one.
pub(super) fn partitions(
    offsets: &OffsetsOf,
) -> impl Iterator<Item = (&str, PartitionIndex, &CommittedOffset)> {
    offsets.iter().flat_map(|(topic, partitions)| {
        let of_topic = move |(partition, offset): (&PartitionIndex, _)| (*partition, offset);
        partitions.iter().map(of_topic).map(move |(it, offset)| (topic.as_str(), it, offset))
    })
}
