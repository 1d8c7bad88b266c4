//! Consumers become members, and members join again.

use super::{ClassicGroup, Phase, Preparing};
use crate::group::groups::GroupsSettings;
use crate::group::member::Member;
use crate::group::subscription;
use crate::group::{GroupError, Join, JoinRefused, Moment, Reply, Ticket, Turn};

impl ClassicGroup {
    /// Takes a consumer in, or a member that joins again. The answer comes when the group's next
    /// generation begins, or at once where nothing has to change for it.
    pub(in crate::group) fn join(
        &mut self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        ticket: Ticket,
        join: Join,
    ) {
        let member = join.member.clone();
        if let Err(refused) = self.try_join(turn, settings, ticket, join) {
            let refused = match refused {
                Refused::With(error) => JoinRefused { error, member },
                Refused::NewId(member) => {
                    JoinRefused { error: GroupError::MemberIdRequired, member }
                }
            };
            turn.replies.push((ticket, Reply::Join(Err(refused))));
        }
    }

    fn try_join(
        &mut self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        ticket: Ticket,
        join: Join,
    ) -> Result<(), Refused> {
        if !self.takes_protocols(&join) {
            return Err(GroupError::InconsistentProtocol.into());
        }
        if !join.member.is_empty() && !self.pending.contains_key(&join.member) {
            self.check_member(&join.member, join.instance.as_deref())?;
            return Ok(self.join_again(turn, settings, ticket, join)?);
        }
        if let Some(instance) = &join.instance
            && let Some((id, _)) = self.static_member(instance)
        {
            let old_id = id.to_owned();
            return Ok(self.replace_static(turn, settings, ticket, join, &old_id)?);
        }
        let is_given = self.pending.contains_key(&join.member);
        let taken_count = self.members.len() + self.pending.len() - usize::from(is_given);
        if settings.members_count_max <= taken_count {
            let limit = settings.members_count_max;
            return Err(GroupError::TooManyMembers { limit }.into());
        }
        let id = match join.member.is_empty() {
            true => new_member_id(turn, &join),
            false => join.member.clone(),
        };
        if join.member.is_empty() && join.may_be_given_id && join.instance.is_none() {
            let session_ms = u64::try_from(join.session_timeout_ms).unwrap_or(0);
            self.pending.insert(id.clone(), turn.now.after_ms(session_ms));
            return Err(Refused::NewId(id));
        }
        self.pending.remove(&id);
        self.protocol_type.get_or_insert_with(|| join.protocol_type.clone());
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        let mut member = Member {
            instance: join.instance,
            client: join.client,
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: join.protocols,
            assignment: bytes::Bytes::new(),
            expires_at: Moment(0),
            is_new: true,
            joining: Some(ticket),
            syncing: None,
            owes_sync: false,
        };
        member.expires_at = turn.now.after_ms(settings.new_member_join_ms_max);
        self.members.insert(id.clone(), member);
        self.leader.get_or_insert(id);
        if let Phase::Preparing(Preparing::First { somebody_came, .. }) = &mut self.phase {
            *somebody_came = true;
        }
        self.rebalance_or_complete(turn, settings);
        Ok(())
    }

    /// Whether the member has a protocol that all others have as well.
    fn takes_protocols(&self, join: &Join) -> bool {
        if join.protocol_type.is_empty() || join.protocols.is_empty() {
            return false;
        }
        if self.members.is_empty() {
            return true;
        }
        let common = self.common_protocols();
        self.protocol_type.as_deref() == Some(&join.protocol_type)
            && join.protocols.iter().any(|(name, _)| common.contains(name.as_str()))
    }

    fn join_again(
        &mut self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        ticket: Ticket,
        join: Join,
    ) -> Result<(), GroupError> {
        let id = join.member.clone();
        let member = self.members.get_mut(&id).expect("it was checked");
        let is_same = member.protocols == join.protocols;
        let is_leader = self.leader.as_deref() == Some(&id);
        let is_known = match self.phase {
            Phase::Empty => unreachable!("it has a member"),
            Phase::Preparing(_) => false,
            // The answer was lost on the way.
            Phase::Completing { .. } => is_same,
            // A leader joins again when what it has to assign has changed.
            Phase::Stable => is_same && !is_leader,
        };
        if is_known {
            member.extend(turn.now);
            let joined = self.joined(&id);
            turn.replies.push((ticket, Reply::Join(Ok(joined))));
            return Ok(());
        }
        update(member, turn, ticket, join);
        self.rebalance_or_complete(turn, settings);
        Ok(())
    }

    /// A static member has come back, and gets a new id in place of its old one.
    fn replace_static(
        &mut self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        ticket: Ticket,
        join: Join,
        old_id: &str,
    ) -> Result<(), GroupError> {
        let new_id = new_member_id(turn, &join);
        let may_skip_assignment = join.may_skip_assignment;
        let mut replaced = self.clone();
        let mut member = replaced.members.remove(old_id).expect("it was found");
        let (was_joining, was_syncing) = (member.joining.take(), member.syncing.take());
        let protocol = self.protocol.clone().unwrap_or_default();
        let topics_before = subscription::topics_of(&member.metadata(&protocol));
        member.is_new = false;
        update(&mut member, turn, ticket, join);
        let is_leader = replaced.leader.as_deref() == Some(old_id);
        if is_leader {
            replaced.leader = Some(new_id.clone());
        }
        let topics_after = subscription::topics_of(&member.metadata(&protocol));
        replaced.members.insert(new_id.clone(), member);
        // What else a consumer says of itself, such as what it had before, is another process's now.
        let is_as_before = self.phase == Phase::Stable
            && replaced.select_protocol() == self.protocol
            && topics_after == topics_before;
        if is_as_before {
            // Nobody else has to know: its assignment is what it was.
            let metadata = replaced.metadata(|_, member| member.assignment.clone());
            replaced.record(turn, metadata)?;
            replaced.phase = Phase::Stable;
        }
        *self = replaced;
        let fenced = || {
            let instance = self.members[&new_id].instance.clone().unwrap_or_default();
            GroupError::FencedInstance { instance }
        };
        if let Some(ticket) = was_joining {
            let refused = JoinRefused { error: fenced(), member: old_id.to_owned() };
            turn.replies.push((ticket, Reply::Join(Err(refused))));
        }
        if let Some(ticket) = was_syncing {
            turn.replies.push((ticket, Reply::Sync(Err(fenced()))));
        }
        if !is_as_before {
            self.rebalance_or_complete(turn, settings);
            return Ok(());
        }
        let mut joined = self.joined(&new_id);
        if is_leader && may_skip_assignment {
            joined.skip_assignment = true;
        } else if is_leader {
            // One that cannot be told to leave assignments alone is told that another one leads.
            joined.leader = old_id.to_owned();
            joined.members.clear();
        }
        let member = self.members.get_mut(&new_id).expect("it was inserted");
        member.joining = None;
        turn.replies.push((ticket, Reply::Join(Ok(joined))));
        Ok(())
    }
}

/// Why a consumer has not joined.
enum Refused {
    With(GroupError),
    /// It is to join with this id.
    NewId(String),
}

impl From<GroupError> for Refused {
    fn from(error: GroupError) -> Refused {
        Refused::With(error)
    }
}

/// Takes up what a member says when it joins again, and lets it wait.
fn update(member: &mut Member, turn: &mut Turn<'_>, ticket: Ticket, join: Join) {
    if let Some(before) = member.joining.replace(ticket) {
        // Its connection was lost, or it would not ask again.
        let refused =
            JoinRefused { error: GroupError::RebalanceInProgress, member: join.member.clone() };
        turn.replies.push((before, Reply::Join(Err(refused))));
    }
    member.client = join.client;
    member.session_timeout_ms = join.session_timeout_ms;
    member.rebalance_timeout_ms = join.rebalance_timeout_ms;
    member.protocols = join.protocols;
    member.extend(turn.now);
}

/// An id that nobody has had: who the client says it is, and a random number.
fn new_member_id(turn: &mut Turn<'_>, join: &Join) -> String {
    let name = join.instance.as_deref().unwrap_or(&join.client.id);
    let random = (turn.random)();
    let (a, b, c) = (random >> 96, random >> 80 & 0xffff, random >> 64 & 0xffff);
    let (d, e) = (random >> 48 & 0xffff, random & 0xffff_ffff_ffff);
    format!("{name}-{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}
