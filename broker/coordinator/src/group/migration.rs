//! A group with members goes from one protocol to the other (KIP-848, "online migration").
//!
//! ```text
//!             the first member that only sends heartbeats joins
//!   classic ──────────────────────────────────────────────────► consumer
//!           ◄──────────────────────────────────────────────────
//!             the last one is gone: all that are left join and sync
//! ```
//!
//! Members stay who they are. One batch of records ends what the group was and says what it is, and
//! both ways numbers of generations and epochs go on, and everybody has what it had. A group that
//! becomes a classic one is recorded without a leader: its members are to find one, and rebalance.

use std::collections::{BTreeMap, BTreeSet};

use super::classic::ClassicGroup;
use super::consumer::{ConsumerGroup, hash_of};
use super::groups::GroupsSettings;
use super::member::Member;
use super::record::{
    ClassicMemberMetadata, ConsumerRecord, CurrentAssignment, MemberMetadata, MemberState,
};
use super::subscription::{Assignment, CONSUMER, Subscription};
use super::{GroupError, Partitions, Topics, Turn};

/// The consumer group that a classic one becomes with the next records of it.
pub(super) fn upgrade(
    id: &str,
    group: &ClassicGroup,
    topics: &dyn Topics,
) -> Result<ConsumerGroup, GroupError> {
    let refused = || GroupError::OtherKind { group: id.to_owned(), wanted: CONSUMER };
    if !group.is_empty() && group.protocol_type() != Some(CONSUMER) {
        return Err(refused());
    }
    let protocol = group.select_protocol().unwrap_or_default();
    let mut members = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (id, member) in group.members() {
        let said = Subscription::read(&member.metadata(&protocol)).ok_or_else(refused)?;
        let assigned = assigned(member, topics).ok_or_else(refused)?;
        let kept = said.owned(topics);
        let assigned: Partitions = assigned.iter().filter(|it| taken.insert(*it)).collect();
        members.insert(id.clone(), (metadata_of(member, said), assigned, kept));
    }
    for (_, assigned, kept) in members.values_mut() {
        // What a member had when it joined and is to give up, or may not have been told yet.
        for (topic, partition) in kept.iter().filter(|it| taken.insert(*it)) {
            assigned.insert(topic, partition);
        }
    }
    let epoch = group.generation();
    let topics_hash = match group.is_stable() {
        true => hash_of(members.values().map(|(metadata, ..)| metadata), topics),
        // None, so that the epoch rises, and everybody joins again.
        false => 0,
    };
    let mut records = Vec::new();
    if !members.is_empty() {
        records.push(ConsumerRecord::Group(Some((epoch, topics_hash))));
        records.push(ConsumerRecord::TargetEpoch(Some(epoch)));
    }
    for (member, (metadata, assigned, _)) in members {
        let current = CurrentAssignment {
            epoch,
            previous_epoch: epoch,
            state: MemberState::Stable,
            assigned: assigned.clone(),
            revoking: Partitions::default(),
        };
        records.extend([
            ConsumerRecord::Member { member: member.clone(), value: Some(metadata) },
            ConsumerRecord::Target { member: member.clone(), value: Some(assigned) },
            ConsumerRecord::Current { member, value: Some(current) },
        ]);
    }
    let ended = group.is_recorded().then(|| group.tombstone());
    Ok(ConsumerGroup::of_records(id, epoch, ended.into_iter().collect(), records))
}

/// What the leader has given a member. None if it cannot be told, or if an assignor of the members'
/// own has said something besides, which would be lost.
fn assigned(member: &Member, topics: &dyn Topics) -> Option<Partitions> {
    if member.assignment.is_empty() {
        // It is new, or was left out.
        return Some(Partitions::default());
    }
    let assignment = Assignment::read(&member.assignment)?;
    (!assignment.has_user_data).then(|| assignment.partitions(topics))
}

fn metadata_of(member: &Member, said: Subscription) -> MemberMetadata {
    MemberMetadata {
        instance: member.instance.clone(),
        rack: said.rack,
        client: member.client.clone(),
        topics: said.topics,
        regex: None,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        assignor: None,
        classic: Some(ClassicMemberMetadata {
            session_timeout_ms: member.session_timeout_ms,
            supported_protocols: member.protocols.clone(),
        }),
    }
}

/// The classic group that a consumer group becomes, with those of its members that join and sync.
pub(super) fn downgrade(
    id: &str,
    group: &ConsumerGroup,
    members: BTreeMap<String, Member>,
    turn: &mut Turn<'_>,
    settings: &GroupsSettings,
) -> Result<ClassicGroup, GroupError> {
    let mut classic = ClassicGroup::new(id, group.epoch());
    classic.take_over(turn, settings, group.tombstones(), members)?;
    Ok(classic)
}

#[cfg(test)]
mod tests;
