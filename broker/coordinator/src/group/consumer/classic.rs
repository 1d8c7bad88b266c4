//! Members that speak the classic protocol in a group in which the broker assigns (KIP-848, "online
//! migration"). They wait for nobody: a join is answered with the epoch that the member has come to,
//! a sync with what it has in it. That it has to join again, its heartbeats tell.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::step::{Speaker, Step};
use super::{ConsumerGroup, Member, id_or_new};
use crate::group::groups::GroupsSettings;
use crate::group::member::Member as ClassicMember;
use crate::group::record::{ClassicMemberMetadata, MemberMetadata, MemberState};
use crate::group::subscription::{CONSUMER, Subscription};
use crate::group::{
    GroupError, Join, JoinRefused, Joined, MemberOf, Moment, Partitions, Sync, Synced, Topics, Turn,
};

impl ConsumerGroup {
    /// Takes a member in, or one that joins again.
    pub(in crate::group) fn join(
        &mut self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        join: Join,
    ) -> Result<Joined, JoinRefused> {
        let member = join.member.clone();
        let refused = |error| JoinRefused { error, member: member.clone() };
        let subscription = self.check_join(settings, &join).map_err(refused)?;
        if join.member.is_empty() && join.may_be_given_id && join.instance.is_none() {
            // Any id is taken, so that this one need not be kept in mind.
            let member = id_or_new(turn, "");
            return Err(JoinRefused { error: GroupError::MemberIdRequired, member });
        }
        self.join_checked(turn, settings, join, subscription).map_err(refused)
    }

    fn join_checked(
        &mut self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        join: Join,
        subscription: Subscription,
    ) -> Result<Joined, GroupError> {
        let replaces = join.instance.as_deref().filter(|_| join.member.is_empty());
        let speaker = match replaces.and_then(|instance| self.static_member(instance)) {
            Some((old, member)) => self.replaced(id_or_new(turn, ""), old, member),
            None => match self.members.get(&join.member) {
                Some(member) => Speaker::of(&join.member, member),
                None => Speaker::new(id_or_new(turn, &join.member), join.instance.clone()),
            },
        };
        let id = speaker.id.clone();
        let owned = subscription.owned(turn.topics);
        let protocol = join.protocols.first().map(|(name, _)| name.clone());
        let said = MemberMetadata {
            instance: speaker.metadata.instance.clone(),
            rack: subscription.rack.or_else(|| speaker.metadata.rack.clone()),
            client: join.client,
            topics: subscription.topics,
            regex: None,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            assignor: None,
            classic: Some(ClassicMemberMetadata {
                session_timeout_ms: join.session_timeout_ms,
                supported_protocols: join.protocols,
            }),
        };
        let Step { before: _, after } = self.step(turn, speaker, said, Some(&owned))?;
        let member = self.members.get_mut(&id).expect("it is recorded");
        member.extend(turn.now, settings);
        member.act_by = Some(turn.now.after_ms(member.wait_ms()));
        Ok(Joined {
            generation: after.epoch,
            protocol_type: Some(CONSUMER.to_owned()),
            protocol,
            // The broker assigns.
            leader: String::new(),
            member: id,
            members: Vec::new(),
            skip_assignment: false,
        })
    }

    /// Whether it may join: what it says of itself.
    fn check_join(
        &self,
        settings: &GroupsSettings,
        join: &Join,
    ) -> Result<Subscription, GroupError> {
        let Join { member, instance, .. } = join;
        let of_instance = instance.as_deref().and_then(|instance| self.static_member(instance));
        let is_known = self.members.contains_key(member) || of_instance.is_some();
        if !is_known && settings.members_count_max <= self.members.len() {
            return Err(GroupError::TooManyMembers { limit: settings.members_count_max });
        }
        let is_supported = |(name, _): &(String, _)| {
            let mut classic = self.members.values().filter_map(|it| it.metadata.classic.as_ref());
            classic.all(|it| it.supported_protocols.iter().any(|(theirs, _)| theirs == name))
        };
        if join.protocol_type != CONSUMER || !join.protocols.iter().any(is_supported) {
            return Err(GroupError::InconsistentProtocol);
        }
        if !member.is_empty() && instance.is_some() {
            self.check_member(member, instance.as_deref())?;
        }
        // All protocols of a consumer say the same.
        let said = join.protocols.first().and_then(|(_, said)| Subscription::read(said));
        said.ok_or(GroupError::InconsistentProtocol)
    }

    /// Who is left, if a consumer that joins takes the place of the last member that does not join and
    /// sync: it is the same static one.
    pub(in crate::group) fn left_by_replacement(
        &self,
        settings: &GroupsSettings,
        join: &Join,
        topics: &dyn Topics,
    ) -> Option<BTreeMap<String, ClassicMember>> {
        let (id, member) = self.static_member(join.instance.as_deref()?)?;
        if member.metadata.classic.is_some() || self.check_join(settings, join).is_err() {
            return None;
        }
        self.classic_without(std::slice::from_ref(id), topics)
    }

    /// What the member has.
    pub(in crate::group) fn sync(
        &mut self,
        turn: &Turn<'_>,
        settings: &GroupsSettings,
        sync: Sync,
    ) -> Result<Synced, GroupError> {
        let (member, classic) = self.check_classic(&sync.member)?;
        let chosen = classic.supported_protocols.first().map(|(name, _)| name);
        if sync.protocol_type.as_ref().is_some_and(|theirs| theirs != CONSUMER)
            || sync.protocol.as_ref().is_some_and(|theirs| Some(theirs) != chosen)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        // Who has yet to give up something has joined already, and does so again when it has.
        let is_revoking = member.current.state == MemberState::UnrevokedPartitions;
        if member.current.epoch != self.epoch && !is_revoking {
            return Err(self.ask_to_join(turn.now, &sync.member.member));
        }
        let assignment = classic.assignment(&member.current.assigned, turn.topics);
        let member = self.members.get_mut(&sync.member.member).expect("it was checked");
        member.act_by = None;
        member.extend(turn.now, settings);
        Ok(Synced { protocol_type: sync.protocol_type, protocol: sync.protocol, assignment })
    }

    /// A sign of life. The member is asked to join where that would change what it has.
    pub(in crate::group) fn classic_heartbeat(
        &mut self,
        now: Moment,
        settings: &GroupsSettings,
        by: &MemberOf,
    ) -> Result<(), GroupError> {
        let (member, _) = self.check_classic(by)?;
        let has_to_join = member.current.epoch != self.epoch
            || match member.current.state {
                MemberState::Stable => false,
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => self.is_released(&by.member),
            };
        let member = self.members.get_mut(&by.member).expect("it was checked");
        member.extend(now, settings);
        match has_to_join {
            true => Err(self.ask_to_join(now, &by.member)),
            false => Ok(()),
        }
    }

    fn ask_to_join(&mut self, now: Moment, id: &str) -> GroupError {
        let member = self.members.get_mut(id).expect("it was checked");
        let act_by = now.after_ms(member.wait_ms());
        member.act_by.get_or_insert(act_by);
        GroupError::RebalanceInProgress
    }

    /// Whether nobody else has anything of what the member is to have.
    fn is_released(&self, id: &str) -> bool {
        let mut target = self.target.get(id).into_iter().flat_map(|target| target.iter());
        target.all(|partition| self.owners.get(&partition).is_none_or(|owner| owner == id))
    }

    /// Whether it is a member that joins and syncs, and of this generation.
    fn check_classic(
        &self,
        by: &MemberOf,
    ) -> Result<(&Member, &ClassicMemberMetadata), GroupError> {
        let member = self.check_member(&by.member, by.instance.as_deref())?;
        let unknown = || GroupError::UnknownMember { member: by.member.clone() };
        let classic = member.metadata.classic.as_ref().ok_or_else(unknown)?;
        let (theirs, ours) = (by.generation, member.current.epoch);
        match theirs == ours {
            true => Ok((member, classic)),
            false => Err(GroupError::IllegalGeneration { theirs, ours }),
        }
    }
}

impl ClassicMemberMetadata {
    /// Partitions, as the member is told of them.
    pub(super) fn assignment(&self, partitions: &Partitions, topics: &dyn Topics) -> Bytes {
        let said = self.supported_protocols.first().and_then(|(_, said)| Subscription::read(said));
        said.unwrap_or_default().answer(partitions, topics)
    }
}
