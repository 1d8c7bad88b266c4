//! The cluster: its id, its topics, the producer ids that it has given out.

mod configs;
mod partitions;

use std::collections::BTreeMap;

use model::{BrokerId, ProducerId, TopicId};

use crate::quota::Quotas;
use crate::record::ClusterRecord;
use crate::topic_config::{ConfigError, ConfigValues, TopicConfigs};
use crate::topic_name::{self, NameError};

pub use configs::{AlterConfigs, ConfigChange, ConfigResource, ConfigsRefused};
pub use partitions::{MorePartitions, PartitionsRefused};

/// Producer ids are given out in blocks, so that most need no record.
const PRODUCER_IDS_COUNT: i64 = 1000;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Of the topic for its whole life.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Partitions `0..partitions_count`.
    pub partitions_count: i32,
    /// How many copies of each.
    pub replication_factor: i16,
    /// Its configs.
    pub configs: TopicConfigs,
}

/// A topic that somebody wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// None for the broker's default.
    pub partitions_count: Option<i32>,
    /// None for the broker's default.
    pub replication_factor: Option<i16>,
    /// Which partition is to be on which brokers; empty if nobody cares.
    pub assignments: Vec<(i32, Vec<BrokerId>)>,
    /// As they were given.
    pub configs: Vec<(String, Option<String>)>,
}

/// What the broker can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicLimits {
    /// The only broker there is.
    pub broker: BrokerId,
    /// Partitions of a topic where nobody says how many.
    pub partitions_default: i32,
    /// Of all topics together.
    pub partitions_max: i64,
    /// The largest batch that the journal takes.
    pub message_bytes_max: usize,
}

/// Why there will be no such topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicRefused {
    /// Its name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is one like it.
    #[error("topic name \"{name}\" collides with \"{existing}\": '.' and '_' count as the same")]
    Collides {
        /// As asked for.
        name: String,
        /// The one there is.
        existing: String,
    },
    /// It exists.
    #[error("Topic '{name}' already exists.")]
    Exists {
        /// Its name.
        name: String,
    },
    /// The number of partitions.
    #[error("{count} partitions: choose between 1 and {limit}, or -1 for the default")]
    Partitions {
        /// As asked for.
        count: i64,
        /// What is left of the broker's limit.
        limit: i64,
    },
    /// The number of copies.
    #[error("replication factor {factor}: there is one broker, so choose 1, or -1 for the default")]
    ReplicationFactor {
        /// As asked for.
        factor: i16,
    },
    /// Where partitions are to be.
    #[error("{0}")]
    Assignment(String),
    /// A config.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Why a record cannot follow on what was replayed before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cluster's metadata contradicts itself: {0}")]
pub struct ReplayError(String);

/// Producer ids for one giver: `next..end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProducerIdBlock {
    next: i64,
    end: i64,
}

impl ProducerIdBlock {
    /// The next id, if there is one left.
    pub fn take(&mut self) -> Option<ProducerId> {
        let id = self.next;
        (id < self.end).then(|| {
            self.next += 1;
            ProducerId(id)
        })
    }
}

/// Everything that the cluster's records say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterState {
    cluster_id: Option<String>,
    topics: BTreeMap<TopicId, Topic>,
    names: BTreeMap<String, TopicId>,
    /// By [`topic_name::collision_key`].
    collisions: BTreeMap<String, TopicId>,
    /// Of a broker, or of all; never empty.
    broker_configs: BTreeMap<Option<BrokerId>, ConfigValues>,
    pub(crate) quotas: Quotas,
    next_producer_id: i64,
}

impl ClusterState {
    /// None before the first record.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// All topics, in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.names.values().map(|id| &self.topics[id])
    }

    /// The topic of a name.
    pub fn topic_named(&self, name: &str) -> Option<&Topic> {
        self.names.get(name).map(|id| &self.topics[id])
    }

    /// The topic of an id.
    pub fn topic(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(&id)
    }

    /// Whether a topic may be created, and how it will be. `id` is a random one.
    pub fn decide_topic(
        &self,
        new: &NewTopic,
        limits: &TopicLimits,
        id: TopicId,
    ) -> Result<ClusterRecord, TopicRefused> {
        let name = &new.name;
        topic_name::check(name)?;
        if self.names.contains_key(name) {
            return Err(TopicRefused::Exists { name: name.clone() });
        }
        if let Some(existing) = self.collisions.get(&topic_name::collision_key(name)) {
            let existing = self.topics[existing].name.clone();
            return Err(TopicRefused::Collides { name: name.clone(), existing });
        }
        let partitions_count = self.decide_partitions_of_new(new, limits)?;
        let factor = new.replication_factor.unwrap_or(1);
        if factor != 1 {
            return Err(TopicRefused::ReplicationFactor { factor });
        }
        let given = new.configs.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let configs = TopicConfigs::new(given)?;
        let message_bytes = configs.given().get("max.message.bytes");
        configs::check_message_bytes(message_bytes, limits)?;
        Ok(ClusterRecord::Topic {
            name: name.clone(),
            id,
            partitions_count,
            replication_factor: factor,
            configs: configs.given().clone(),
        })
    }

    fn decide_partitions_of_new(
        &self,
        new: &NewTopic,
        limits: &TopicLimits,
    ) -> Result<i32, TopicRefused> {
        let count = match new.assignments.as_slice() {
            [] => new.partitions_count.unwrap_or(limits.partitions_default),
            assignments => check_assignments(new, assignments, limits.broker)?,
        };
        let limit = limits.partitions_max - self.partitions_count();
        if count < 1 || limit < i64::from(count) {
            return Err(TopicRefused::Partitions { count: count.into(), limit: limit.max(0) });
        }
        Ok(count)
    }

    /// Of all topics together.
    fn partitions_count(&self) -> i64 {
        self.topics.values().map(|topic| i64::from(topic.partitions_count)).sum()
    }

    /// The record that deletes a topic, if there is one of this id.
    pub fn decide_deletion(&self, id: TopicId) -> Option<ClusterRecord> {
        self.topics.contains_key(&id).then_some(ClusterRecord::TopicDeleted { id })
    }

    /// The next block of producer ids, and the record without which it must not be used.
    pub fn decide_producer_ids(&self) -> (ClusterRecord, ProducerIdBlock) {
        let next = self.next_producer_id;
        let end = next.checked_add(PRODUCER_IDS_COUNT).expect("2^63 producer ids are enough");
        (ClusterRecord::ProducerIds { next: end }, ProducerIdBlock { next, end })
    }

    /// Takes up a record.
    pub fn replay(&mut self, record: &ClusterRecord) -> Result<(), ReplayError> {
        match record {
            ClusterRecord::Cluster { cluster_id } => {
                if let Some(known) = &self.cluster_id {
                    return Err(ReplayError(format!("cluster {cluster_id} in cluster {known}")));
                }
                self.cluster_id = Some(cluster_id.clone());
            }
            ClusterRecord::Topic { name, id, partitions_count, replication_factor, configs } => {
                let configs = TopicConfigs::of(configs)
                    .map_err(|error| ReplayError(format!("topic {name}: {error}")))?;
                if self.topics.contains_key(id) || self.names.contains_key(name) {
                    return Err(ReplayError(format!("topic {name} is created twice")));
                }
                let topic = Topic {
                    id: *id,
                    name: name.clone(),
                    partitions_count: *partitions_count,
                    replication_factor: *replication_factor,
                    configs,
                };
                self.names.insert(name.clone(), *id);
                self.collisions.insert(topic_name::collision_key(name), *id);
                self.topics.insert(*id, topic);
            }
            ClusterRecord::TopicPartitions { id, partitions_count } => {
                let Some(topic) = self.topics.get_mut(id) else {
                    return Err(ReplayError(format!("topic {id} grows and never existed")));
                };
                let known = topic.partitions_count;
                if *partitions_count <= known {
                    let reason = format!("topic {id}: {partitions_count} partitions after {known}");
                    return Err(ReplayError(reason));
                }
                topic.partitions_count = *partitions_count;
            }
            ClusterRecord::TopicConfigs { id, configs } => {
                let Some(topic) = self.topics.get_mut(id) else {
                    let reason = format!("topic {id} has other configs and never existed");
                    return Err(ReplayError(reason));
                };
                topic.configs = TopicConfigs::of(configs)
                    .map_err(|error| ReplayError(format!("topic {id}: {error}")))?;
            }
            ClusterRecord::BrokerConfigs { broker, configs } => {
                let replayed = self.replay_broker_configs(*broker, configs);
                replayed.map_err(|error| ReplayError(format!("brokers: {error}")))?;
            }
            ClusterRecord::TopicDeleted { id } => {
                let Some(topic) = self.topics.remove(id) else {
                    return Err(ReplayError(format!("topic {id} is deleted and never existed")));
                };
                self.names.remove(&topic.name);
                self.collisions.remove(&topic_name::collision_key(&topic.name));
            }
            ClusterRecord::Quota { entity, quota, rate } => {
                self.quotas.replay(entity, quota, *rate);
            }
            ClusterRecord::ProducerIds { next } => {
                if *next < self.next_producer_id {
                    let known = self.next_producer_id;
                    return Err(ReplayError(format!("producer id {next} after {known}")));
                }
                self.next_producer_id = *next;
            }
        }
        Ok(())
    }
}

/// Returns how many partitions are assigned.
fn check_assignments(
    new: &NewTopic,
    assignments: &[(i32, Vec<BrokerId>)],
    broker: BrokerId,
) -> Result<i32, TopicRefused> {
    let refused = |reason: String| Err(TopicRefused::Assignment(reason));
    if new.partitions_count.is_some() || new.replication_factor.is_some() {
        return refused(
            "with assignments, the numbers of partitions and replicas must be -1".to_owned(),
        );
    }
    let mut partitions: Vec<i32> = assignments.iter().map(|(partition, _)| *partition).collect();
    partitions.sort_unstable();
    if !partitions.iter().copied().eq((0..).take(partitions.len())) {
        return refused("partitions must be assigned from 0 on, each once".to_owned());
    }
    for (partition, brokers) in assignments {
        if *brokers != [broker] {
            return refused(format!(
                "partition {partition} is assigned to {:?}: the only broker is {broker}",
                brokers.iter().map(|broker| broker.0).collect::<Vec<_>>()
            ));
        }
    }
    Ok(i32::try_from(partitions.len()).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests;
