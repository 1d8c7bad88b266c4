//! A group, as whoever asks is told (ConsumerGroupDescribe).

use std::collections::BTreeMap;

use super::ConsumerGroup;
use crate::group::Partitions;
use crate::group::assignor::Assignor;
use crate::group::record::{MemberMetadata, MemberState};

/// What a group is doing, by Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerState {
    /// It has no members.
    Empty,
    /// The assignor has not decided yet.
    Assigning,
    /// Members are on their way to what they are to have.
    Reconciling,
    /// Everybody has it.
    Stable,
}

impl ConsumerState {
    /// As Kafka spells it.
    pub fn name(self) -> &'static str {
        match self {
            ConsumerState::Empty => "Empty",
            ConsumerState::Assigning => "Assigning",
            ConsumerState::Reconciling => "Reconciling",
            ConsumerState::Stable => "Stable",
        }
    }
}

/// A group of the protocol of KIP-848.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescription {
    /// What it is doing.
    pub state: ConsumerState,
    /// Of what its members have asked for.
    pub epoch: i32,
    /// Of what the assignor has decided.
    pub target_epoch: i32,
    /// Who decides.
    pub assignor: Assignor,
    /// In the order of their ids.
    pub members: Vec<DescribedConsumer>,
}

/// One of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumer {
    /// Its id.
    pub id: String,
    /// Its own epoch.
    pub epoch: i32,
    /// What it has said of itself.
    pub metadata: MemberMetadata,
    /// What it has.
    pub assigned: Partitions,
    /// What it is to have.
    pub target: Partitions,
}

impl ConsumerGroup {
    pub(in crate::group) fn state(&self) -> ConsumerState {
        let is_there = |member: &super::Member| {
            member.current.state == MemberState::Stable && member.current.epoch == self.target_epoch
        };
        if self.members.is_empty() {
            ConsumerState::Empty
        } else if self.target_epoch < self.epoch {
            ConsumerState::Assigning
        } else if self.members.values().all(is_there) {
            ConsumerState::Stable
        } else {
            ConsumerState::Reconciling
        }
    }

    pub(in crate::group) fn describe(&self) -> ConsumerDescription {
        let members = self.members.iter().map(|(id, member)| DescribedConsumer {
            id: id.clone(),
            epoch: member.current.epoch,
            metadata: member.metadata.clone(),
            assigned: member.current.assigned.clone(),
            target: self.target.get(id).cloned().unwrap_or_default(),
        });
        ConsumerDescription {
            state: self.state(),
            epoch: self.epoch,
            target_epoch: self.target_epoch,
            assignor: self.assignor(),
            members: members.collect(),
        }
    }

    /// The one that most members ask for; uniform if none does.
    pub(super) fn assignor(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        let asked = self.members.values().filter_map(|it| it.metadata.assignor.as_deref());
        for assignor in asked.filter_map(Assignor::of) {
            *votes.entry(assignor).or_default() += 1;
        }
        let most = votes.into_iter().rev().max_by_key(|(_, count)| *count);
        most.map_or(Assignor::Uniform, |(assignor, _)| assignor)
    }
}
