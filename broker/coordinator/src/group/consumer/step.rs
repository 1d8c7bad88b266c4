//! A member has said something: what follows for it, and for the group.

use std::collections::{BTreeMap, BTreeSet};

use model::TopicId;

use super::reconcile::Reconciliation;
use super::{ConsumerGroup, Member, gone, hash_of, subscribed};
use crate::group::assignor::Reader;
use crate::group::record::{ConsumerRecord, CurrentAssignment, MemberMetadata};
use crate::group::{GroupError, Partitions, Topics, Turn};

/// A member as it is known when it has spoken, and the records that make it so.
pub(super) struct Speaker {
    pub(super) id: String,
    pub(super) metadata: MemberMetadata,
    pub(super) current: CurrentAssignment,
    pub(super) records: Vec<ConsumerRecord>,
}

impl Speaker {
    /// One that nothing is known of.
    pub(super) fn new(id: String, instance: Option<String>) -> Speaker {
        let metadata = MemberMetadata { instance, ..MemberMetadata::default() };
        Speaker { id, metadata, current: CurrentAssignment::default(), records: Vec::new() }
    }

    /// A member.
    pub(super) fn of(id: &str, member: &Member) -> Speaker {
        Speaker {
            id: id.to_owned(),
            metadata: member.metadata.clone(),
            current: member.current.clone(),
            records: Vec::new(),
        }
    }
}

/// What has come of it: the member's assignment as it was, and as it is.
pub(super) struct Step {
    pub(super) before: CurrentAssignment,
    pub(super) after: CurrentAssignment,
}

impl ConsumerGroup {
    /// Takes up what a member says of itself and that it has these partitions: the epoch rises and
    /// the assignor decides where that is due, and the member goes a step towards what it is to have.
    pub(super) fn step(
        &mut self,
        turn: &mut Turn<'_>,
        speaker: Speaker,
        said: MemberMetadata,
        owned: Option<&Partitions>,
    ) -> Result<Step, GroupError> {
        let Speaker { id, metadata, current, mut records } = speaker;
        let is_new = !self.members.contains_key(&id);
        let rejoins = metadata.topics != said.topics || metadata.regex != said.regex;
        if said != metadata || is_new {
            records.push(ConsumerRecord::Member { member: id.clone(), value: Some(said) });
        }
        // Everything below is about the group as it will be; most heartbeats change nothing.
        let has_new_topics = self.topics_version != Some(turn.topics.version());
        let may_change = !records.is_empty() || has_new_topics || self.target_epoch < self.epoch;
        let mut next = may_change.then(|| self.with(&records));
        if let Some(next) = &mut next {
            let members = next.members.values().map(|member| &member.metadata);
            let hash = hash_of(members, turn.topics);
            let is_first = is_new && !records.iter().any(is_replacement);
            if is_first || rejoins || hash != next.topics_hash {
                let group = ConsumerRecord::Group(Some((next.next_epoch(), hash)));
                next.replay(&group);
                records.push(group);
            }
            if next.target_epoch < next.epoch {
                let decided = next.decide_target(turn.topics);
                for record in &decided {
                    next.replay(record);
                }
                records.extend(decided);
            }
        }
        let group = next.as_ref().unwrap_or(self);
        let nothing = Partitions::default();
        let reconciled = Reconciliation {
            member: &id,
            current: &current,
            target_epoch: group.target_epoch,
            target: group.target.get(&id).unwrap_or(&nothing),
            owners: &group.owners,
            owned,
        };
        let after = reconciled.next();
        if after != current || is_new {
            records.push(ConsumerRecord::Current { member: id, value: Some(after.clone()) });
        }
        self.record(turn, records)?;
        self.topics_version = Some(turn.topics.version());
        Ok(Step { before: current, after })
    }

    /// The group as it would be with these records.
    fn with(&self, records: &[ConsumerRecord]) -> ConsumerGroup {
        let mut next = self.clone();
        for record in records {
            next.replay(record);
        }
        next
    }

    /// A static member is back under another id: it gets what it had.
    pub(super) fn replaced(&self, id: String, old: &str, member: &Member) -> Speaker {
        let mut records = gone(old).to_vec();
        let current = CurrentAssignment { epoch: 0, previous_epoch: 0, ..member.current.clone() };
        let metadata = member.metadata.clone();
        records.push(ConsumerRecord::Member { member: id.clone(), value: Some(metadata.clone()) });
        if let Some(target) = self.target.get(old) {
            let value = Some(target.clone());
            records.push(ConsumerRecord::Target { member: id.clone(), value });
        }
        let value = Some(current.clone());
        records.push(ConsumerRecord::Current { member: id.clone(), value });
        Speaker { id, metadata, current, records }
    }

    /// What everybody is to have in this epoch: records of what is another than before.
    fn decide_target(&self, topics: &dyn Topics) -> Vec<ConsumerRecord> {
        let none = Partitions::default();
        let mut counts: BTreeMap<TopicId, i32> = BTreeMap::new();
        let mut readers = Vec::with_capacity(self.members.len());
        for (id, member) in &self.members {
            let found = subscribed(&member.metadata, topics);
            let found = found.iter().filter_map(|name| topics.topic(name));
            let mut of_member = BTreeSet::new();
            for (topic, count) in found {
                counts.insert(topic, count);
                of_member.insert(topic);
            }
            readers.push(Reader {
                order: member.metadata.instance.as_deref().unwrap_or(id),
                topics: of_member,
                before: self.target.get(id).unwrap_or(&none),
            });
        }
        let assigned = self.assignor().assign(&readers, &counts);
        let assigned = self.members.keys().zip(assigned);
        let mut records: Vec<_> = assigned
            .filter(|(id, partitions)| self.target.get(*id) != Some(partitions))
            .map(|(id, partitions)| ConsumerRecord::Target {
                member: id.clone(),
                value: Some(partitions),
            })
            .collect();
        records.push(ConsumerRecord::TargetEpoch(Some(self.epoch)));
        records
    }
}

/// Whether a static member goes and another one takes its place.
fn is_replacement(record: &ConsumerRecord) -> bool {
    matches!(record, ConsumerRecord::Member { value: None, .. })
}
