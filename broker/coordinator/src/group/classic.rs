//! A group of the classic protocol: its members agree on a leader, and the leader assigns.
//!
//! ```text
//!              a member joins                     all have joined, or time is up
//!   Empty ───────────────────► PreparingRebalance ──────────────────────────────► CompletingRebalance
//!     ▲                          ▲   ▲     │ nobody is left                              │
//!     └──────────────────────────┼───┼─────┘                                             │ the leader
//!                                │   └── somebody joins anew, leaves, or does not sync ──┤ has assigned
//!                                └────── somebody joins, leaves or is silent ── Stable ◄─┘
//! ```
//!
//! A generation begins when everybody has joined. It is recorded then, without assignments, before
//! any member hears of it, and again with assignments when the leader has given them. So a number
//! that a member has seen is never given to another generation. A generation that is found without
//! assignments at a start was not finished, and one without a leader has just come of a consumer
//! group: its members are asked to join again.
//!
//! As in Kafka: members that are not static must have been given an id before they join (KIP-394);
//! static members keep their place through a restart, and are not taken out because they have not
//! joined again in time (KIP-345); the first rebalance of a group waits for more members (KIP-134).

mod join;
mod leave;
mod sync;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use model::Timestamp;

use super::groups::GroupsSettings;
use super::member::Member;
use super::record::{ClassicMember, ClassicMetadata, GroupRecord};
use super::subscription::{self, CONSUMER};
use super::{
    DescribedMember, Description, GroupError, JoinRefused, Joined, JoinedMember, MemberOf, Moment,
    Reply, Turn,
};

/// Members choose how long a rebalance may take, and may say 0.
const RETRY_MS_MIN: u64 = 1000;

/// What a group of the classic protocol is doing, by Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassicState {
    /// It has no members.
    Empty,
    /// Its members are asked to join again.
    PreparingRebalance,
    /// They have joined, and wait for the leader's assignments.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
}

impl ClassicState {
    /// As Kafka spells it.
    pub fn name(self) -> &'static str {
        match self {
            ClassicState::Empty => "Empty",
            ClassicState::PreparingRebalance => "PreparingRebalance",
            ClassicState::CompletingRebalance => "CompletingRebalance",
            ClassicState::Stable => "Stable",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Empty,
    Preparing(Preparing),
    /// Who has not asked for its assignment by then is taken out.
    Completing {
        deadline: Moment,
    },
    Stable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preparing {
    /// The group was empty: more members may come, a while longer for each time that some do.
    First { deadline: Moment, left_ms: u64, somebody_came: bool },
    /// It ends when all have joined.
    Again { deadline: Moment },
}

/// One group.
#[derive(Clone, Debug)]
pub(super) struct ClassicGroup {
    id: String,
    /// Whether there is a record of it.
    is_recorded: bool,
    protocol_type: Option<String>,
    generation: i32,
    protocol: Option<String>,
    leader: Option<String>,
    state_since: Option<Timestamp>,
    members: BTreeMap<String, Member>,
    phase: Phase,
    /// Ids that were given out and with which nobody has joined yet, with the end of each.
    pending: BTreeMap<String, Moment>,
}

impl ClassicGroup {
    /// One that nobody has joined. Generations are counted on from `generation`.
    pub(super) fn new(id: &str, generation: i32) -> ClassicGroup {
        ClassicGroup {
            id: id.to_owned(),
            is_recorded: false,
            protocol_type: None,
            generation,
            protocol: None,
            leader: None,
            state_since: None,
            members: BTreeMap::new(),
            phase: Phase::Empty,
            pending: BTreeMap::new(),
        }
    }

    /// Takes up what a record says. Members that are known keep what no record says.
    pub(super) fn replay(&mut self, metadata: &ClassicMetadata) {
        self.is_recorded = true;
        self.protocol_type =
            Some(metadata.protocol_type.clone()).filter(|protocol_type| !protocol_type.is_empty());
        self.generation = metadata.generation;
        self.protocol = metadata.protocol.clone();
        self.leader = metadata.leader.clone();
        self.state_since = metadata.state_since;
        let mut known = std::mem::take(&mut self.members);
        for record in &metadata.members {
            let protocol = metadata.protocol.as_deref();
            let known = known.remove(&record.id).filter(|member| member.is_as(record, protocol));
            let mut member = known.unwrap_or_else(|| Member::of(record, protocol));
            member.assignment = record.assignment.clone();
            self.members.insert(record.id.clone(), member);
        }
        let is_assigned = metadata.members.iter().any(|member| !member.assignment.is_empty());
        self.phase = match (self.members.is_empty(), is_assigned) {
            (true, _) => Phase::Empty,
            (false, true) => Phase::Stable,
            // Who begins a generation sets the deadline.
            (false, false) => Phase::Completing { deadline: Moment(u64::MAX) },
        };
    }

    /// Begins to serve with what was replayed.
    pub(super) fn resume(&mut self, now: Moment) {
        for member in self.members.values_mut() {
            member.extend(now);
        }
        let is_finished = match self.phase {
            Phase::Empty | Phase::Preparing(_) => true,
            Phase::Completing { .. } => false,
            Phase::Stable => self.leader.is_some(),
        };
        if !is_finished {
            self.phase = Phase::Preparing(Preparing::Again { deadline: self.rebalance_end(now) });
        }
    }

    /// What a record would say of it now, with these members' assignments.
    fn metadata(&self, assigned: impl Fn(&str, &Member) -> Bytes) -> ClassicMetadata {
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = self.members.iter().map(|(id, member)| ClassicMember {
            id: id.clone(),
            instance: member.instance.clone(),
            client: member.client.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(&protocol),
            assignment: assigned(id, member),
        });
        ClassicMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since: self.state_since,
            members: members.collect(),
        }
    }

    /// Records what the group is to be, and makes it so. If the log does not take the record,
    /// nothing has changed.
    fn record(&mut self, turn: &mut Turn<'_>, metadata: ClassicMetadata) -> Result<(), GroupError> {
        self.record_after(turn, Vec::new(), metadata)
    }

    /// The same, with records that go before.
    fn record_after(
        &mut self,
        turn: &mut Turn<'_>,
        mut records: Vec<GroupRecord>,
        metadata: ClassicMetadata,
    ) -> Result<(), GroupError> {
        records.push(GroupRecord::Classic { group: self.id.clone(), value: Some(metadata) });
        turn.log.append(&records)?;
        if let Some(GroupRecord::Classic { value: Some(metadata), .. }) = records.last() {
            self.replay(metadata);
        }
        Ok(())
    }

    /// Takes over the members of a consumer group, which these records end. They have what they had,
    /// and no leader, so that they are asked to join again, also after a restart.
    pub(super) fn take_over(
        &mut self,
        turn: &mut Turn<'_>,
        settings: &GroupsSettings,
        ended: Vec<GroupRecord>,
        members: BTreeMap<String, Member>,
    ) -> Result<(), GroupError> {
        self.protocol_type = Some(CONSUMER.to_owned());
        self.state_since = Some(turn.wall_clock);
        self.members = members;
        self.protocol = self.select_protocol();
        let metadata = self.metadata(|_, member| member.assignment.clone());
        self.record_after(turn, ended, metadata)?;
        for member in self.members.values_mut() {
            member.extend(turn.now);
        }
        if !self.members.is_empty() {
            self.prepare_rebalance(turn, settings);
        }
        Ok(())
    }

    pub(super) fn state(&self) -> ClassicState {
        match self.phase {
            Phase::Empty => ClassicState::Empty,
            Phase::Preparing(_) => ClassicState::PreparingRebalance,
            Phase::Completing { .. } => ClassicState::CompletingRebalance,
            Phase::Stable => ClassicState::Stable,
        }
    }

    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    pub(super) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    pub(super) fn state_since(&self) -> Option<Timestamp> {
        self.state_since
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    pub(super) fn is_empty(&self) -> bool {
        self.phase == Phase::Empty
    }

    /// A record that says that there is no such group.
    pub(super) fn tombstone(&self) -> GroupRecord {
        GroupRecord::Classic { group: self.id.clone(), value: None }
    }

    pub(super) fn is_stable(&self) -> bool {
        self.phase == Phase::Stable
    }

    /// Nothing would be lost with it but what records say.
    pub(super) fn is_idle(&self) -> bool {
        self.is_empty() && self.pending.is_empty()
    }

    pub(super) fn members_count(&self) -> usize {
        self.members.len()
    }

    pub(super) fn members(&self) -> &BTreeMap<String, Member> {
        &self.members
    }

    /// Which topics its members read; none if that cannot be told.
    pub(super) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some(CONSUMER) {
            return None;
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription::topics_of(&member.metadata(protocol))?);
        }
        Some(topics)
    }

    pub(super) fn describe(&self) -> Description {
        let is_stable = self.phase == Phase::Stable;
        let protocol = self.protocol.clone().filter(|_| is_stable).unwrap_or_default();
        let members = self.members.iter().map(|(id, member)| DescribedMember {
            id: id.clone(),
            instance: member.instance.clone(),
            client: member.client.clone(),
            metadata: if is_stable { member.metadata(&protocol) } else { Bytes::new() },
            assignment: if is_stable { member.assignment.clone() } else { Bytes::new() },
        });
        Description {
            state: self.state(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            members: members.collect(),
            protocol,
        }
    }

    // ---- Who may speak.

    /// Whether a member is who it says it is.
    fn check_member(&self, member: &str, instance: Option<&str>) -> Result<(), GroupError> {
        let unknown = || GroupError::UnknownMember { member: member.to_owned() };
        if let Some(instance) = instance {
            let (id, _) = self.static_member(instance).ok_or_else(unknown)?;
            if id != member {
                return Err(GroupError::FencedInstance { instance: instance.to_owned() });
            }
        }
        match self.members.contains_key(member) {
            true => Ok(()),
            false => Err(unknown()),
        }
    }

    /// Whether it is a member of this generation.
    fn check(&self, by: &MemberOf) -> Result<(), GroupError> {
        self.check_member(&by.member, by.instance.as_deref())?;
        self.check_generation(by.generation)
    }

    fn check_generation(&self, theirs: i32) -> Result<(), GroupError> {
        let ours = self.generation;
        match theirs == ours {
            true => Ok(()),
            false => Err(GroupError::IllegalGeneration { theirs, ours }),
        }
    }

    fn static_member(&self, instance: &str) -> Option<(&str, &Member)> {
        let mut members = self.members.iter();
        let found = members.find(|(_, member)| member.instance.as_deref() == Some(instance));
        found.map(|(id, member)| (id.as_str(), member))
    }

    /// A sign of life of a member of this generation.
    pub(super) fn heartbeat(&mut self, now: Moment, by: &MemberOf) -> Result<(), GroupError> {
        self.check(by)?;
        self.extend(now, &by.member);
        match self.phase {
            Phase::Empty => unreachable!("it has a member"),
            Phase::Preparing(_) => Err(GroupError::RebalanceInProgress),
            Phase::Completing { .. } | Phase::Stable => Ok(()),
        }
    }

    /// Whether offsets may be committed by whom it is.
    pub(super) fn check_commit(&mut self, now: Moment, by: &MemberOf) -> Result<(), GroupError> {
        let MemberOf { member, instance, generation, .. } = by;
        if *generation < 0 && self.is_empty() {
            // Not a member's: of a tool, or a consumer that assigns itself.
            return Ok(());
        }
        if *generation < 0 && member.is_empty() && instance.is_none() {
            return Err(GroupError::UnknownMember { member: String::new() });
        }
        self.check(by)?;
        match self.phase {
            Phase::Empty => unreachable!("it has a member"),
            Phase::Completing { .. } => Err(GroupError::RebalanceInProgress),
            Phase::Preparing(_) | Phase::Stable => {
                self.extend(now, member);
                Ok(())
            }
        }
    }

    fn extend(&mut self, now: Moment, member: &str) {
        if let Some(member) = self.members.get_mut(member) {
            member.extend(now);
        }
    }

    // ---- Deadlines.

    /// When the group has to be looked at again.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let of_phase = match self.phase {
            Phase::Empty | Phase::Stable => None,
            Phase::Completing { deadline }
            | Phase::Preparing(Preparing::First { deadline, .. } | Preparing::Again { deadline }) => {
                Some(deadline)
            }
        };
        let of_members = self.members.values().filter_map(Member::deadline).min();
        let of_pending = self.pending.values().copied().min();
        [of_phase, of_members, of_pending].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>, settings: &GroupsSettings) {
        let now = turn.now;
        let is_over = |deadline: Moment| deadline <= now;
        self.pending.retain(|_, ends_at| !is_over(*ends_at));
        let silent = self.members.iter().filter(|(_, it)| it.deadline().is_some_and(is_over));
        let silent: Vec<String> = silent.map(|(id, _)| id.clone()).collect();
        for id in &silent {
            self.remove_member(turn, id);
        }
        if !silent.is_empty() {
            self.rebalance_or_complete(turn, settings);
        }
        match self.phase {
            Phase::Preparing(Preparing::First { deadline, left_ms, somebody_came }) => {
                let goes_on = somebody_came && 0 < left_ms;
                if is_over(deadline) && goes_on {
                    let wait_ms = settings.initial_rebalance_delay_ms.min(left_ms);
                    self.phase = Phase::Preparing(Preparing::First {
                        deadline: now.after_ms(wait_ms),
                        left_ms: left_ms - wait_ms,
                        somebody_came: false,
                    });
                } else if is_over(deadline) {
                    self.complete_join(turn);
                }
            }
            Phase::Preparing(Preparing::Again { deadline }) => {
                if is_over(deadline) || self.all_have_joined() {
                    self.complete_join(turn);
                }
            }
            Phase::Completing { deadline } if is_over(deadline) => {
                let late = self.members.iter().filter(|(_, member)| member.owes_sync);
                let late: Vec<String> = late.map(|(id, _)| id.clone()).collect();
                for id in &late {
                    self.remove_member(turn, id);
                }
                self.prepare_rebalance(turn, settings);
            }
            Phase::Empty | Phase::Completing { .. } | Phase::Stable => {}
        }
    }

    // ---- Rebalances.

    /// By when members must have joined again.
    fn rebalance_end(&self, now: Moment) -> Moment {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max();
        now.after_ms(u64::try_from(longest.unwrap_or(0)).unwrap_or(0))
    }

    /// When a generation is given up that does not come about.
    fn retry_at(&self, now: Moment) -> Moment {
        self.rebalance_end(now).max(now.after_ms(RETRY_MS_MIN))
    }

    fn all_have_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// After a member has come, gone or changed.
    fn rebalance_or_complete(&mut self, turn: &mut Turn<'_>, settings: &GroupsSettings) {
        match self.phase {
            Phase::Empty | Phase::Completing { .. } | Phase::Stable => {
                self.prepare_rebalance(turn, settings);
            }
            Phase::Preparing(Preparing::Again { .. }) if self.all_have_joined() => {
                self.complete_join(turn);
            }
            // Who came first may have gone again.
            Phase::Preparing(Preparing::First { .. }) if self.members.is_empty() => {
                self.complete_join(turn);
            }
            Phase::Preparing(_) => {}
        }
    }

    fn prepare_rebalance(&mut self, turn: &mut Turn<'_>, settings: &GroupsSettings) {
        for member in self.members.values_mut() {
            member.owes_sync = false;
            if let Some(ticket) = member.syncing.take() {
                let reply = Reply::Sync(Err(GroupError::RebalanceInProgress));
                turn.replies.push((ticket, reply));
                member.extend(turn.now);
            }
        }
        let was_empty = self.phase == Phase::Empty;
        let end = self.rebalance_end(turn.now);
        self.state_since = Some(turn.wall_clock);
        if was_empty && !self.members.is_empty() {
            let delay_ms = settings.initial_rebalance_delay_ms;
            self.phase = Phase::Preparing(Preparing::First {
                deadline: turn.now.after_ms(delay_ms),
                left_ms: (end.0 - turn.now.0).saturating_sub(delay_ms),
                somebody_came: false,
            });
            if delay_ms == 0 {
                self.complete_join(turn);
            }
        } else {
            self.phase = Phase::Preparing(Preparing::Again { deadline: end });
            if self.all_have_joined() {
                self.complete_join(turn);
            }
        }
    }

    /// Begins the next generation with those who have joined, and static members.
    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        let is_left = |member: &Member| member.joining.is_none() && member.instance.is_none();
        let left = self.members.iter().filter(|(_, member)| is_left(member));
        let left: Vec<String> = left.map(|(id, _)| id.clone()).collect();
        for id in &left {
            self.remove_member(turn, id);
        }
        let joined = |id: &String| self.members.get(id).is_some_and(|it| it.joining.is_some());
        if !self.leader.as_ref().is_some_and(joined) {
            let next = self.members.iter().find(|(_, member)| member.joining.is_some());
            match next {
                Some((id, _)) => self.leader = Some(id.clone()),
                None if self.members.is_empty() => self.leader = None,
                None => {
                    // Only static members are left and none has joined: until one does, or their
                    // sessions end.
                    let deadline = self.retry_at(turn.now);
                    self.phase = Phase::Preparing(Preparing::Again { deadline });
                    return;
                }
            }
        }
        let begun = self.next_generation(turn.wall_clock);
        match self.record(turn, begun) {
            Ok(()) => self.begin_generation(turn),
            Err(error) => self.fail_joins(turn, &error),
        }
    }

    fn next_generation(&self, now: Timestamp) -> ClassicMetadata {
        let protocol = self.select_protocol();
        let next = ClassicGroup {
            // After 2^31 rebalances it begins again.
            generation: self.generation.checked_add(1).unwrap_or(1),
            protocol,
            state_since: Some(now),
            ..self.clone()
        };
        next.metadata(|_, _| Bytes::new())
    }

    /// Tells everybody who has joined.
    fn begin_generation(&mut self, turn: &mut Turn<'_>) {
        if self.members.is_empty() {
            return;
        }
        self.phase = Phase::Completing { deadline: self.retry_at(turn.now) };
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id);
            let member = self.members.get_mut(&id).expect("of its keys");
            member.is_new = false;
            if let Some(ticket) = member.joining.take() {
                member.owes_sync = true;
                member.extend(turn.now);
                turn.replies.push((ticket, Reply::Join(Ok(joined))));
            }
        }
    }

    /// The log does not take the generation: those who have joined are to try again.
    fn fail_joins(&mut self, turn: &mut Turn<'_>, error: &GroupError) {
        let deadline = self.retry_at(turn.now);
        self.phase = Phase::Preparing(Preparing::Again { deadline });
        for (id, member) in &mut self.members {
            if let Some(ticket) = member.joining.take() {
                member.is_new = false;
                member.extend(turn.now);
                let refused = JoinRefused { error: error.clone(), member: id.clone() };
                turn.replies.push((ticket, Reply::Join(Err(refused))));
            }
        }
    }

    /// What a member of this generation is told: the leader hears of everybody.
    fn joined(&self, id: &str) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = self.members.iter().filter(|_| leader == id);
        let members = members.map(|(id, member)| JoinedMember {
            id: id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(&protocol),
        });
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            members: members.collect(),
            leader,
            member: id.to_owned(),
            skip_assignment: false,
        }
    }

    /// Protocols that every member has.
    fn common_protocols(&self) -> BTreeSet<&str> {
        let mut members = self.members.values();
        let Some(first) = members.next() else { return BTreeSet::new() };
        members.fold(first.protocol_names(), |common, member| {
            common.intersection(&member.protocol_names()).copied().collect()
        })
    }

    /// The one of the common protocols that most members like best; of several the first by name.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let common = self.common_protocols();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|(name, _)| name.as_str());
            if let Some(best) = names.find(|name| common.contains(name)) {
                *votes.entry(best).or_default() += 1;
            }
        }
        let most = votes.into_iter().rev().max_by_key(|(_, count)| *count);
        most.map(|(name, _)| name.to_owned())
    }

    /// The group is no classic one any more: whoever waits for an answer is to join again.
    pub(super) fn turn_all_away(&self, turn: &mut Turn<'_>) {
        for (id, member) in &self.members {
            turn_away(turn, id, member, &GroupError::RebalanceInProgress);
        }
    }

    /// Takes a member out; whoever waits for an answer in its name gets one.
    fn remove_member(&mut self, turn: &mut Turn<'_>, id: &str) {
        let Some(member) = self.members.remove(id) else { return };
        let error = GroupError::UnknownMember { member: id.to_owned() };
        turn_away(turn, id, &member, &error);
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }
}

/// Answers what a member that goes has asked.
fn turn_away(turn: &mut Turn<'_>, id: &str, member: &Member, error: &GroupError) {
    if let Some(ticket) = member.joining {
        let refused = JoinRefused { error: error.clone(), member: id.to_owned() };
        turn.replies.push((ticket, Reply::Join(Err(refused))));
    }
    if let Some(ticket) = member.syncing {
        turn.replies.push((ticket, Reply::Sync(Err(error.clone()))));
    }
}

#[cfg(test)]
mod tests;
