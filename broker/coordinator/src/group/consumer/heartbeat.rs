//! ConsumerGroupHeartbeat: all that a member says, and all that it is told.

use super::step::{Speaker, Step};
use super::{ConsumerGroup, JOINING, LEAVING_FOR_A_WHILE, Member, compiled, id_or_new};
use crate::group::assignor::Assignor;
use crate::group::groups::GroupsSettings;
use crate::group::member::ClientInfo;
use crate::group::record::{ConsumerRecord, CurrentAssignment, MemberMetadata};
use crate::group::{GroupError, Partitions, Turn};

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

impl ConsumerGroup {
    /// Takes what a member says, and tells it what to do.
    pub(in crate::group) fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        beat: &Beat,
    ) -> Result<ConsumerHeartbeat, GroupError> {
        let speaker = self.find(turn, settings, beat)?;
        let id = speaker.id.clone();
        let said = updated(&speaker.metadata, beat);
        let Step { before, after } = self.step(turn, speaker, said, beat.owned.as_ref())?;
        let member = self.members.get_mut(&id).expect("it is recorded");
        member.extend(turn.now, settings);
        let act_by = member.act_by.unwrap_or(turn.now.after_ms(member.wait_ms()));
        member.act_by = (!after.revoking.is_empty()).then_some(act_by);
        // A member that has something else than it should may have missed an answer.
        let has_other = beat.owned.as_ref().is_some_and(|owned| *owned != after.assigned);
        let is_other = after.assigned != before.assigned || after.epoch != before.epoch;
        let tells = beat.epoch == JOINING || beat.is_full() || is_other || has_other;
        Ok(ConsumerHeartbeat {
            member: id,
            epoch: after.epoch,
            interval_ms: settings.consumer_heartbeat_ms,
            assignment: tells.then_some(after.assigned),
        })
    }

    /// Who speaks, and as what.
    fn find(
        &self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        beat: &Beat,
    ) -> Result<Speaker, GroupError> {
        if let Some(instance) = &beat.instance
            && let Some((id, member)) = self.static_member(instance)
            && *id != beat.member
        {
            // One that joins and syncs does not say that it will be back as another one.
            let is_released =
                member.current.epoch == LEAVING_FOR_A_WHILE || member.metadata.classic.is_some();
            return match beat.epoch {
                JOINING if is_released => {
                    Ok(self.replaced(id_or_new(turn, &beat.member), id, member))
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
                Ok(Speaker { current, records: vec![record], ..Speaker::of(&beat.member, member) })
            }
            Some(member) => {
                check_epoch(member, beat)?;
                Ok(Speaker::of(&beat.member, member))
            }
            None if beat.epoch != JOINING => {
                Err(GroupError::UnknownMember { member: beat.member.clone() })
            }
            None if settings.members_count_max <= self.members.len() => {
                Err(GroupError::TooManyMembers { limit: settings.members_count_max })
            }
            None => Ok(Speaker::new(id_or_new(turn, &beat.member), beat.instance.clone())),
        }
    }

    /// The member that a heartbeat says is leaving for good.
    pub(in crate::group) fn leaving(&self, beat: &Beat) -> Result<String, GroupError> {
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
        Ok(beat.member.clone())
    }

    /// A static member goes, and what it had stays its own until its session ends.
    pub(in crate::group) fn leave_for_a_while(
        &mut self,
        turn: &mut Turn<'_>,
        beat: &Beat,
    ) -> Result<(), GroupError> {
        let id = self.leaving(beat)?;
        let current = self.members[&id].current.clone();
        let current = CurrentAssignment {
            epoch: LEAVING_FOR_A_WHILE,
            previous_epoch: current.epoch,
            revoking: Partitions::default(),
            ..current
        };
        let record = ConsumerRecord::Current { member: id.clone(), value: Some(current) };
        self.record(turn, vec![record])?;
        self.members.get_mut(&id).expect("it was found").act_by = None;
        Ok(())
    }
}

impl ConsumerHeartbeat {
    /// The answer to a member that leaves.
    pub(in crate::group) fn goodbye(beat: &Beat) -> ConsumerHeartbeat {
        ConsumerHeartbeat {
            member: beat.member.clone(),
            epoch: beat.epoch,
            interval_ms: 0,
            assignment: None,
        }
    }
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
