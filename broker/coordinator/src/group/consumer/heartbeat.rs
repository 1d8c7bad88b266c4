//! ConsumerGroupHeartbeat: all that a member says, and all that it is told.

use std::collections::{BTreeMap, BTreeSet};

use model::TopicId;

use super::reconcile::Reconciliation;
use super::{
    ConsumerGroup, JOINING, LEAVING, LEAVING_FOR_A_WHILE, Member, compiled, gone, hash_of,
    subscribed,
};
use crate::group::assignor::{Assignor, Reader};
use crate::group::groups::GroupsSettings;
use crate::group::member::ClientInfo;
use crate::group::record::{ConsumerRecord, CurrentAssignment, MemberMetadata};
use crate::group::{GroupError, Partitions, Topics, Turn};

/// What a member says. What is none has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The group's id.
    pub group: String,
    /// Its own; empty if it is to be given one.
    pub member: String,
    /// 0 to join, -1 to leave, -2 to leave for a while.
    pub epoch: i32,
    /// Of a static member.
    pub instance: Option<String>,
    /// Where it is.
    pub rack: Option<String>,
    /// Who it is.
    pub client: ClientInfo,
    /// How long it may take to give partitions up.
    pub rebalance_timeout_ms: Option<i32>,
    /// Topics that it reads.
    pub topics: Option<Vec<String>>,
    /// A pattern of topics that it reads besides; empty for none.
    pub regex: Option<String>,
    /// The way of assignment that it wants.
    pub assignor: Option<String>,
    /// Partitions that it has.
    pub owned: Option<Partitions>,
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    /// Its id.
    pub member: String,
    /// Its epoch from now on.
    pub epoch: i32,
    /// After so long it is to be heard of again.
    pub interval_ms: i32,
    /// What it is to have from now on; none if nothing has changed.
    pub assignment: Option<Partitions>,
}

impl Beat {
    /// Whether it makes sense at all.
    pub(in crate::group) fn check(&self) -> Result<(), GroupError> {
        let invalid = |text: &str| Err(GroupError::InvalidRequest(text.to_owned()));
        let is_blank = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        if self.group.is_empty() {
            return invalid("GroupId can't be empty.");
        }
        if is_blank(&self.instance) {
            return invalid("InstanceId can't be empty.");
        }
        if is_blank(&self.rack) {
            return invalid("RackId can't be empty.");
        }
        if self.member.is_empty() && self.epoch != JOINING {
            return invalid("MemberId can't be empty.");
        }
        match self.epoch {
            JOINING => {
                if self.rebalance_timeout_ms.is_none_or(|ms| ms < 0) {
                    return invalid("RebalanceTimeoutMs must be provided in first request.");
                }
                if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                    return invalid("TopicPartitions must be empty when (re-)joining.");
                }
                if self.topics.is_none() && self.regex.is_none() {
                    return invalid(
                        "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                         (re-)joining.",
                    );
                }
            }
            LEAVING_FOR_A_WHILE if self.instance.is_none() => {
                return invalid("InstanceId can't be null.");
            }
            epoch if epoch < LEAVING_FOR_A_WHILE => {
                return invalid("MemberEpoch is invalid.");
            }
            _ => {}
        }
        if let Some(name) = &self.assignor
            && Assignor::of(name).is_none()
        {
            return Err(GroupError::UnsupportedAssignor { name: name.clone() });
        }
        match self.regex.as_deref().filter(|pattern| !pattern.is_empty()) {
            Some(pattern) => match compiled(pattern) {
                Ok(_) => Ok(()),
                Err(error) => Err(GroupError::InvalidRegex(error.to_string())),
            },
            None => Ok(()),
        }
    }

    /// It says everything, so it is told everything.
    fn is_full(&self) -> bool {
        let has_topics = self.topics.is_some() || self.regex.is_some();
        self.rebalance_timeout_ms.is_some() && has_topics && self.owned.is_some()
    }
}

/// A member as it is about to be, and the records that make it so.
struct Joined {
    id: String,
    metadata: MemberMetadata,
    current: CurrentAssignment,
    records: Vec<ConsumerRecord>,
}

impl ConsumerGroup {
    /// Takes what a member says, and tells it what to do.
    pub(in crate::group) fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        beat: &Beat,
    ) -> Result<ConsumerHeartbeat, GroupError> {
        if beat.epoch == LEAVING || beat.epoch == LEAVING_FOR_A_WHILE {
            return self.leave(turn, beat);
        }
        let Joined { id, metadata, current, mut records } = self.find(turn, settings, beat)?;
        let changed = updated(&metadata, beat);
        let is_new = !self.members.contains_key(&id);
        let rejoins = metadata.topics != changed.topics || metadata.regex != changed.regex;
        if changed != metadata || is_new {
            records.push(ConsumerRecord::Member { member: id.clone(), value: Some(changed) });
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
            owned: beat.owned.as_ref(),
        };
        let after = reconciled.next();
        if after != current || is_new {
            records
                .push(ConsumerRecord::Current { member: id.clone(), value: Some(after.clone()) });
        }
        self.record(turn, records)?;
        self.topics_version = Some(turn.topics.version());
        let member = self.members.get_mut(&id).expect("it is recorded");
        member.expires_at = turn.now.after_ms(settings.consumer_session_ms);
        let has_to_revoke = !after.revoking.is_empty();
        let wait_ms = u64::try_from(member.metadata.rebalance_timeout_ms).unwrap_or(0);
        let revoke_by = member.revoke_by.unwrap_or(turn.now.after_ms(wait_ms));
        member.revoke_by = has_to_revoke.then_some(revoke_by);
        // A member that has something else than it should may have missed an answer.
        let has_other = beat.owned.as_ref().is_some_and(|owned| *owned != after.assigned);
        let is_other = after.assigned != current.assigned || after.epoch != current.epoch;
        let tells = beat.epoch == JOINING || beat.is_full() || is_other || has_other;
        Ok(ConsumerHeartbeat {
            member: id,
            epoch: after.epoch,
            interval_ms: settings.consumer_heartbeat_ms,
            assignment: tells.then_some(after.assigned),
        })
    }

    /// The group as it would be with these records.
    fn with(&self, records: &[ConsumerRecord]) -> ConsumerGroup {
        let mut next = self.clone();
        for record in records {
            next.replay(record);
        }
        next
    }

    /// Who speaks, and as what.
    fn find(
        &self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        beat: &Beat,
    ) -> Result<Joined, GroupError> {
        let found = |id: &str, member: &Member| Joined {
            id: id.to_owned(),
            metadata: member.metadata.clone(),
            current: member.current.clone(),
            records: Vec::new(),
        };
        if let Some(instance) = &beat.instance
            && let Some((id, member)) = self.static_member(instance)
            && *id != beat.member
        {
            return match beat.epoch {
                JOINING if member.current.epoch == LEAVING_FOR_A_WHILE => {
                    Ok(self.replaced(turn, beat, id, member))
                }
                JOINING => Err(GroupError::UnreleasedInstance { instance: instance.clone() }),
                _ => Err(GroupError::FencedInstance { instance: instance.clone() }),
            };
        }
        match self.members.get(&beat.member) {
            Some(member) if beat.epoch == JOINING && !is_repeated(member, beat) => {
                // It says that it has nothing, so it begins anew.
                let current = CurrentAssignment::default();
                let value = Some(current.clone());
                let record = ConsumerRecord::Current { member: beat.member.clone(), value };
                Ok(Joined { current, records: vec![record], ..found(&beat.member, member) })
            }
            Some(member) => {
                check_epoch(member, beat)?;
                Ok(found(&beat.member, member))
            }
            None if beat.epoch != JOINING => {
                Err(GroupError::UnknownMember { member: beat.member.clone() })
            }
            None if settings.members_count_max <= self.members.len() => {
                Err(GroupError::TooManyMembers { limit: settings.members_count_max })
            }
            None => {
                let id = match beat.member.is_empty() {
                    true => model::TopicId::from_random((turn.random)()).to_string(),
                    false => beat.member.clone(),
                };
                let metadata =
                    MemberMetadata { instance: beat.instance.clone(), ..MemberMetadata::default() };
                Ok(Joined {
                    id,
                    metadata,
                    current: CurrentAssignment::default(),
                    records: Vec::new(),
                })
            }
        }
    }

    fn static_member(&self, instance: &str) -> Option<(&String, &Member)> {
        let is_it = |member: &Member| member.metadata.instance.as_deref() == Some(instance);
        self.members.iter().find(|(_, member)| is_it(member))
    }

    /// A static member is back under another id: it gets what it had.
    fn replaced(&self, turn: &mut Turn<'_>, beat: &Beat, old: &str, member: &Member) -> Joined {
        let id = match beat.member.is_empty() {
            true => TopicId::from_random((turn.random)()).to_string(),
            false => beat.member.clone(),
        };
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
        Joined { id, metadata, current, records }
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

    fn leave(&mut self, turn: &mut Turn<'_>, beat: &Beat) -> Result<ConsumerHeartbeat, GroupError> {
        let unknown = || GroupError::UnknownMember { member: beat.member.clone() };
        let member = self.members.get(&beat.member).ok_or_else(unknown)?;
        if let Some(instance) = &beat.instance
            && member.metadata.instance.as_ref() != Some(instance)
        {
            return match self.static_member(instance) {
                Some(_) => Err(GroupError::FencedInstance { instance: instance.clone() }),
                None => Err(unknown()),
            };
        }
        let records = match beat.epoch {
            LEAVING_FOR_A_WHILE => {
                // What it had stays its own until its session ends.
                let current = CurrentAssignment {
                    epoch: LEAVING_FOR_A_WHILE,
                    previous_epoch: member.current.epoch,
                    revoking: Partitions::default(),
                    ..member.current.clone()
                };
                let value = Some(current);
                vec![ConsumerRecord::Current { member: beat.member.clone(), value }]
            }
            _ => self.without(std::slice::from_ref(&beat.member), turn.topics),
        };
        self.record(turn, records)?;
        if let Some(member) = self.members.get_mut(&beat.member) {
            member.revoke_by = None;
        }
        Ok(ConsumerHeartbeat {
            member: beat.member.clone(),
            epoch: beat.epoch,
            interval_ms: 0,
            assignment: None,
        })
    }
}

/// Whether a static member goes and another one takes its place.
fn is_replacement(record: &ConsumerRecord) -> bool {
    matches!(record, ConsumerRecord::Member { value: None, .. })
}

/// The answer to a join was lost, and the member says it again.
fn is_repeated(member: &Member, beat: &Beat) -> bool {
    member.current.previous_epoch == JOINING && beat.epoch == JOINING && 0 < member.current.epoch
}

/// Whether the member is where it says it is; or one step behind, if the answer to the step was lost.
fn check_epoch(member: &Member, beat: &Beat) -> Result<(), GroupError> {
    let ours = member.current.epoch;
    let is_behind = beat.epoch == member.current.previous_epoch
        && beat.epoch < ours
        && beat.owned.as_ref().is_some_and(|owned| owned.is_within(&member.current.assigned));
    match beat.epoch == ours || is_behind {
        true => Ok(()),
        false => Err(GroupError::FencedMemberEpoch { theirs: beat.epoch, ours }),
    }
}

/// What is known of a member after it has spoken.
fn updated(before: &MemberMetadata, beat: &Beat) -> MemberMetadata {
    MemberMetadata {
        instance: beat.instance.clone().or_else(|| before.instance.clone()),
        rack: beat.rack.clone().or_else(|| before.rack.clone()),
        client: beat.client.clone(),
        topics: match &beat.topics {
            Some(topics) => topics.iter().cloned().collect(),
            None => before.topics.clone(),
        },
        regex: match &beat.regex {
            Some(pattern) => Some(pattern.clone()).filter(|pattern| !pattern.is_empty()),
            None => before.regex.clone(),
        },
        rebalance_timeout_ms: beat.rebalance_timeout_ms.unwrap_or(before.rebalance_timeout_ms),
        assignor: beat.assignor.clone().or_else(|| before.assignor.clone()),
        classic: None,
    }
}
