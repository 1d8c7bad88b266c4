//! The partitions of all topics, numbered through, and who leads them.

use std::cell::RefCell;

use client::{Cluster, ClusterError, OffsetAt};
use model::{BrokerId, Offset, PartitionIndex, TopicId};
use wire::Text;

use crate::plan::Share;

/// A topic as requests name it.
#[derive(Debug)]
pub(super) struct TopicName {
    pub(super) name: Text,
    pub(super) id: TopicId,
}

#[derive(Debug)]
pub(super) struct Partitions {
    topics: Vec<TopicName>,
    per_topic: u32,
    /// By number; none is to be asked for.
    leaders: RefCell<Vec<Option<BrokerId>>>,
}

impl Partitions {
    pub(super) async fn new(
        cluster: &Cluster,
        names: Vec<String>,
        per_topic: u32,
    ) -> Result<Partitions, ClusterError> {
        let mut topics = Vec::new();
        let mut leaders = Vec::new();
        for name in names {
            let topic = cluster.topic(&name).await?;
            leaders.extend(topic.partitions.iter().map(|leader| leader.broker));
            topics.push(TopicName { name: Text::from(name), id: topic.id });
        }
        Ok(Partitions { topics, per_topic, leaders: RefCell::new(leaders) })
    }

    /// By name.
    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().map(|topic| topic.name.as_str())
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.leaders.borrow().len()).expect("settings limit it")
    }

    /// The partitions of a worker.
    pub(super) fn of(&self, share: Share) -> impl Iterator<Item = u32> {
        (0..self.count()).filter(move |partition| share.has(*partition))
    }

    /// The topic of a partition, and the partition's index in it.
    pub(super) fn place(&self, partition: u32) -> (&TopicName, PartitionIndex) {
        let index = i32::try_from(partition % self.per_topic).expect("settings limit it");
        (&self.topics[(partition / self.per_topic) as usize], PartitionIndex(index))
    }

    /// The number of a partition that an answer names, by its topic's name or id.
    pub(super) fn number(&self, name: &Text, id: TopicId, index: PartitionIndex) -> Option<u32> {
        let is_named =
            |topic: &TopicName| topic.name == *name || (id != TopicId::ZERO && topic.id == id);
        let topic = u32::try_from(self.topics.iter().position(is_named)?).ok()?;
        let index = u32::try_from(index.0).ok().filter(|index| *index < self.per_topic)?;
        Some(topic * self.per_topic + index)
    }

    /// Who leads a partition, as far as is known.
    pub(super) fn known_leader(&self, partition: u32) -> Option<BrokerId> {
        self.leaders.borrow()[partition as usize]
    }

    /// Who leads a partition; asks the cluster if that is not known, and waits for a leader.
    pub(super) async fn leader(
        &self,
        cluster: &Cluster,
        partition: u32,
    ) -> Result<BrokerId, ClusterError> {
        if let Some(broker) = self.known_leader(partition) {
            return Ok(broker);
        }
        let (topic, index) = self.place(partition);
        let fresh = cluster.topic(&topic.name).await?;
        let no_such = ClusterError::NoSuchPartition {
            topic: topic.name.as_str().to_owned(),
            partition: index,
            partitions_count: fresh.partitions.len(),
        };
        let found = usize::try_from(index.0).ok().and_then(|index| fresh.partitions.get(index));
        let broker = found.and_then(|leader| leader.broker).ok_or(no_such)?;
        self.leaders.borrow_mut()[partition as usize] = Some(broker);
        Ok(broker)
    }

    /// A broker has said that it does not lead it.
    pub(super) fn forget_leader(&self, cluster: &Cluster, partition: u32) {
        cluster.forget_topic(&self.place(partition).0.name);
        self.leaders.borrow_mut()[partition as usize] = None;
    }

    /// By number: where each of a worker's partitions ends now; zero for those of others.
    pub(super) async fn ends(
        &self,
        cluster: &Cluster,
        share: Share,
    ) -> Result<Vec<Offset>, ClusterError> {
        let mut ends = vec![Offset::ZERO; self.count() as usize];
        for partition in self.of(share) {
            let (topic, index) = self.place(partition);
            ends[partition as usize] = cluster.offset(&topic.name, index, OffsetAt::End).await?;
        }
        Ok(ends)
    }
}
