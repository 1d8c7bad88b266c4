//! A group of either protocol.

use std::collections::BTreeSet;

use super::classic::ClassicGroup;
use super::consumer::ConsumerGroup;
use super::record::{ConsumerRecord, GroupRecord};
use super::subscription::CONSUMER;
use super::{Moment, Topics};

/// The protocol by which a group's members speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// They join and sync.
    Classic,
    /// They only send heartbeats (KIP-848).
    Consumer,
}

impl GroupKind {
    /// As Kafka spells it.
    pub fn name(self) -> &'static str {
        match self {
            GroupKind::Classic => "classic",
            GroupKind::Consumer => "consumer",
        }
    }
}

/// A group, by the protocol of its members. One that has only offsets is a classic one.
#[derive(Clone, Debug)]
pub(super) enum Group {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

impl Group {
    pub(super) fn kind(&self) -> GroupKind {
        match self {
            Group::Classic(_) => GroupKind::Classic,
            Group::Consumer(_) => GroupKind::Consumer,
        }
    }

    pub(super) fn state(&self) -> &'static str {
        match self {
            Group::Classic(group) => group.state().name(),
            Group::Consumer(group) => group.state().name(),
        }
    }

    pub(super) fn protocol_type(&self) -> &str {
        match self {
            Group::Classic(group) => group.protocol_type().unwrap_or_default(),
            Group::Consumer(_) => CONSUMER,
        }
    }

    pub(super) fn members_count(&self) -> usize {
        match self {
            Group::Classic(group) => group.members_count(),
            Group::Consumer(group) => group.members_count(),
        }
    }

    /// Nothing would be lost with it but what records say.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Group::Classic(group) => group.is_idle(),
            Group::Consumer(group) => group.is_empty(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        match self {
            Group::Classic(group) => group.deadline(),
            Group::Consumer(group) => group.deadline(),
        }
    }

    /// Records that say that there is no such group. It has no members.
    pub(super) fn tombstones(&self, id: &str) -> Vec<GroupRecord> {
        let group = || id.to_owned();
        match self {
            Group::Classic(_) => vec![GroupRecord::Classic { group: group(), value: None }],
            Group::Consumer(consumer) => {
                let target = consumer.has_recorded_target();
                let target = target.then_some(ConsumerRecord::TargetEpoch(None));
                let of = target.into_iter().chain([ConsumerRecord::Group(None)]);
                of.map(|of| GroupRecord::Consumer { group: group(), of }).collect()
            }
        }
    }

    /// Which topics its members read; none if that cannot be told.
    pub(super) fn subscribed_topics(&self, topics: &dyn Topics) -> Option<BTreeSet<String>> {
        match self {
            Group::Classic(group) if group.is_empty() => Some(BTreeSet::new()),
            Group::Classic(group) => group.subscribed_topics(),
            Group::Consumer(group) => Some(group.subscribed_topics(topics)),
        }
    }
}
