//! Partitions of several topics, by their ids.

use std::collections::{BTreeMap, BTreeSet};

use model::{PartitionIndex, TopicId};

/// No topic has an empty set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions(BTreeMap<TopicId, BTreeSet<PartitionIndex>>);

impl Partitions {
    /// Adds one.
    pub fn insert(&mut self, topic: TopicId, partition: PartitionIndex) {
        self.0.entry(topic).or_default().insert(partition);
    }

    /// Takes one out.
    pub fn remove(&mut self, topic: TopicId, partition: PartitionIndex) {
        if let Some(partitions) = self.0.get_mut(&topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.0.remove(&topic);
            }
        }
    }

    /// Whether it is among them.
    pub fn contains(&self, topic: TopicId, partition: PartitionIndex) -> bool {
        self.0.get(&topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (TopicId, PartitionIndex)> {
        self.0.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |partition| (*topic, *partition))
        })
    }

    /// By topic.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (TopicId, &BTreeSet<PartitionIndex>)> {
        self.0.iter().map(|(topic, partitions)| (*topic, partitions))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each of them is among others.
    pub fn is_within(&self, others: &Partitions) -> bool {
        self.iter().all(|(topic, partition)| others.contains(topic, partition))
    }

    /// Whether any of them is.
    pub fn has_any_of(&self, others: &Partitions) -> bool {
        self.iter().any(|(topic, partition)| others.contains(topic, partition))
    }
}

impl FromIterator<(TopicId, PartitionIndex)> for Partitions {
    fn from_iter<I: IntoIterator<Item = (TopicId, PartitionIndex)>>(all: I) -> Partitions {
        let mut partitions = Partitions::default();
        for (topic, partition) in all {
            partitions.insert(topic, partition);
        }
        partitions
    }
}
