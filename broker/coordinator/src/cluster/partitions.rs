//! More partitions for a topic that is there. There are never fewer.

use model::BrokerId;

use super::{ClusterState, TopicLimits};
use crate::record::ClusterRecord;
use crate::topic_name::OFFSETS_TOPIC;

/// Partitions that somebody wants a topic to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MorePartitions {
    /// The topic's name.
    pub topic: String,
    /// How many it is to have in all.
    pub partitions_count: i32,
    /// Which brokers each of the new ones is to be on; none if nobody cares.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// Why there will be no more partitions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitionsRefused {
    /// There is no such topic.
    #[error("there is no topic \"{topic}\"")]
    UnknownTopic {
        /// As asked for.
        topic: String,
    },
    /// The number decides which partition has which group.
    #[error("\"{topic}\" is the broker's own, and has as many partitions as it was made with")]
    Internal {
        /// Its name.
        topic: String,
    },
    /// The topic has as many, or more.
    #[error("topic \"{topic}\" has {existing} partitions already, and {count} are not more")]
    NotMore {
        /// Its name.
        topic: String,
        /// As asked for.
        count: i32,
        /// What there is.
        existing: i32,
    },
    /// The broker cannot have so many.
    #[error("{additional} more partitions: there is room for {limit}")]
    TooMany {
        /// What would be added.
        additional: i64,
        /// What is left of the broker's limit.
        limit: i64,
    },
    /// Where partitions are to be.
    #[error("{0}")]
    Assignment(String),
}

impl ClusterState {
    /// Whether a topic may have more partitions, and how many it will have.
    pub fn decide_partitions(
        &self,
        more: &MorePartitions,
        limits: &TopicLimits,
    ) -> Result<ClusterRecord, PartitionsRefused> {
        let MorePartitions { topic: name, partitions_count: count, assignments } = more;
        let Some(topic) = self.topic_named(name) else {
            return Err(PartitionsRefused::UnknownTopic { topic: name.clone() });
        };
        if name == OFFSETS_TOPIC {
            return Err(PartitionsRefused::Internal { topic: name.clone() });
        }
        let (count, existing) = (*count, topic.partitions_count);
        if count <= existing {
            return Err(PartitionsRefused::NotMore { topic: name.clone(), count, existing });
        }
        let additional = i64::from(count) - i64::from(existing);
        if let Some(assignments) = assignments {
            check_assignments(assignments, additional, limits.broker)?;
        }
        let limit = limits.partitions_max - self.partitions_count();
        if limit < additional {
            return Err(PartitionsRefused::TooMany { additional, limit: limit.max(0) });
        }
        Ok(ClusterRecord::TopicPartitions { id: topic.id, partitions_count: count })
    }
}

fn check_assignments(
    assignments: &[Vec<BrokerId>],
    additional: i64,
    broker: BrokerId,
) -> Result<(), PartitionsRefused> {
    let count = assignments.len();
    if i64::try_from(count) != Ok(additional) {
        let reason = format!("{additional} partitions would be added, and {count} are assigned");
        return Err(PartitionsRefused::Assignment(reason));
    }
    match assignments.iter().find(|brokers| **brokers != [broker]) {
        None => Ok(()),
        Some(wrong) => {
            let wrong: Vec<i32> = wrong.iter().map(|broker| broker.0).collect();
            let reason =
                format!("a partition is assigned to {wrong:?}: the only broker is {broker}");
            Err(PartitionsRefused::Assignment(reason))
        }
    }
}
