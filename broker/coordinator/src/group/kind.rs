//! A group of either protocol.

use std::collections::BTreeSet;

use super::classic::ClassicGroup;
use super::consumer::ConsumerGroup;
use super::groups::GroupsSettings;
use super::migration;
use super::record::GroupRecord;
use super::subscription::CONSUMER;
use super::{GroupError, Moment, Topics, Turn};

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

    /// Records that say that there is no such group.
    pub(super) fn tombstones(&self) -> Vec<GroupRecord> {
        match self {
            Group::Classic(group) => vec![group.tombstone()],
            Group::Consumer(group) => group.tombstones(),
        }
    }

    /// Members of a consumer group go. If all that are left join and sync, it becomes a classic one.
    pub(super) fn take_out(
        &mut self,
        id: &str,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        gone: &[String],
    ) -> Result<(), GroupError> {
        let Group::Consumer(group) = self else { unreachable!("a classic one does it by itself") };
        if gone.is_empty() {
            return Ok(());
        }
        match group.classic_without(gone, turn.topics) {
            Some(left) if !left.is_empty() => {
                *self = Group::Classic(migration::downgrade(id, group, left, turn, settings)?);
            }
            Some(_) | None => group.take_out(turn, gone)?,
        }
        Ok(())
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
