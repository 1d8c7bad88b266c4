//! All groups of one partition of `__consumer_offsets`.

use std::collections::{BTreeMap, BTreeSet};

use model::{PartitionIndex, Timestamp};

use super::classic::{ClassicGroup, ClassicState};
use super::consumer::{
    Beat, ConsumerDescription, ConsumerGroup, ConsumerHeartbeat, JOINING, LEAVING,
    LEAVING_FOR_A_WHILE,
};
use super::kind::{Group, GroupKind};
use super::migration::{downgrade, upgrade};
use super::offsets::{self, Commit, CommittedOffset, NewOffset, OffsetsOf};
use super::record::{ConsumerRecord, GroupRecord};
use super::subscription::CONSUMER;
use super::{
    Description, GroupError, Join, JoinRefused, Leaving, MemberOf, Moment, Reply, Sync, Ticket,
    Topics, Turn,
};

/// What a member may say of itself when it joins, of all its protocols: what is remembered of members is
/// theirs, and nobody else bounds it before it is recorded.
const MEMBER_BYTES_MAX: usize = 1 << 20;

/// Records that are appended together where it does not matter how many are.
const RECORDS_AT_ONCE: usize = 500;

/// What holds for all groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupsSettings {
    /// How long a group that was empty waits for more members (KIP-134).
    pub initial_rebalance_delay_ms: u64,
    /// The shortest session timeout that a member may ask for.
    pub session_timeout_ms_min: i32,
    /// The longest.
    pub session_timeout_ms_max: i32,
    /// How long a member may wait for its first generation.
    pub new_member_join_ms_max: u64,
    /// After so long without a heartbeat a member is gone, by the protocol of KIP-848.
    pub consumer_session_ms: u64,
    /// How often such a member is to be heard of.
    pub consumer_heartbeat_ms: i32,
    /// Of one group.
    pub members_count_max: usize,
    /// With one offset.
    pub metadata_bytes_max: usize,
    /// After so long without members a group's offsets go.
    pub offsets_retention_ms: i64,
}

/// A group, in a list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its id.
    pub group: String,
    /// Empty if there never was a member.
    pub protocol_type: String,
    /// What it is doing, as Kafka spells it.
    pub state: &'static str,
    /// By which protocol.
    pub kind: GroupKind,
}

/// Which of so many partitions of `__consumer_offsets` has a group, as in Kafka: by Java's hash of
/// its id.
pub fn partition_of(group: &str, partitions_count: i32) -> PartitionIndex {
    let hash = group
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    PartitionIndex((hash & i32::MAX) % partitions_count.max(1))
}

/// The groups of one partition.
#[derive(Clone, Debug)]
pub struct Groups {
    settings: GroupsSettings,
    groups: BTreeMap<String, Entry>,
    /// When which group has to be looked at; earlier than needed where a deadline has moved since.
    deadlines: BTreeSet<(Moment, String)>,
}

#[derive(Clone, Debug)]
struct Entry {
    group: Group,
    offsets: OffsetsOf,
    /// Its place among the deadlines.
    looked_at: Option<Moment>,
}

impl Entry {
    fn new(group: &str) -> Entry {
        let group = Group::Classic(ClassicGroup::new(group, 0));
        Entry { group, offsets: OffsetsOf::new(), looked_at: None }
    }

    /// Nobody would miss it.
    fn is_nothing(&self) -> bool {
        let is_recorded = match &self.group {
            Group::Classic(group) => group.is_recorded(),
            Group::Consumer(group) => group.is_recorded(),
        };
        self.group.is_idle() && !is_recorded && self.offsets.is_empty()
    }
}

impl Groups {
    /// Before any record.
    pub fn new(settings: GroupsSettings) -> Groups {
        Groups { settings, groups: BTreeMap::new(), deadlines: BTreeSet::new() }
    }

    /// Takes up a record. Every record that there can be can be taken up.
    pub fn replay(&mut self, record: &GroupRecord) {
        let id = record.group();
        let entry = self.groups.entry(id.to_owned()).or_insert_with(|| Entry::new(id));
        match record {
            GroupRecord::Offset { topic, partition, value, .. } => {
                offsets::replay(&mut entry.offsets, topic, *partition, value.as_ref());
            }
            GroupRecord::Classic { value: Some(metadata), .. } => {
                if let Group::Consumer(consumer) = &entry.group {
                    entry.group = Group::Classic(ClassicGroup::new(id, consumer.epoch()));
                }
                if let Group::Classic(group) = &mut entry.group {
                    group.replay(metadata);
                }
            }
            GroupRecord::Classic { value: None, .. }
            | GroupRecord::Consumer { of: ConsumerRecord::Group(None), .. } => {
                entry.group = Group::Classic(ClassicGroup::new(id, 0));
            }
            GroupRecord::Consumer { of, .. } => {
                if let Group::Classic(group) = &entry.group
                    && !of.is_gone()
                {
                    entry.group = Group::Consumer(ConsumerGroup::new(id, group.generation()));
                }
                if let Group::Consumer(group) = &mut entry.group {
                    group.replay(of);
                }
            }
        }
        if entry.is_nothing() {
            self.groups.remove(id);
        }
    }

    /// Begins to serve with what was replayed: members' sessions begin anew.
    pub fn resume(&mut self, now: Moment) {
        let ids: Vec<String> = self.groups.keys().cloned().collect();
        for id in ids {
            match self.groups.get_mut(&id).map(|entry| &mut entry.group) {
                Some(Group::Classic(group)) => group.resume(now),
                Some(Group::Consumer(group)) => group.resume(now, &self.settings),
                None => {}
            }
            self.settle(&id);
        }
    }

    /// When [`Groups::expire`] has to be called next.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Does what is due: sessions end, rebalances go on without those who are late.
    pub fn expire(&mut self, turn: &mut Turn<'_>) {
        while let Some((deadline, id)) = self.deadlines.first().cloned() {
            if turn.now < deadline {
                break;
            }
            self.deadlines.pop_first();
            let Some(entry) = self.groups.get_mut(&id) else { continue };
            entry.looked_at = None;
            match &mut entry.group {
                Group::Classic(group) => group.expire(turn, &self.settings),
                Group::Consumer(group) => {
                    let late = group.late(turn.now);
                    let outcome = entry.group.take_out(&id, turn, &self.settings, &late);
                    if let (Err(_), Group::Consumer(group)) = (outcome, &mut entry.group) {
                        group.bear_with(&late, turn.now);
                    }
                }
            }
            self.settle(&id);
        }
    }

    // ---- Members.

    /// Takes a consumer in; answered when the next generation begins.
    pub fn join(&mut self, turn: &mut Turn<'_>, ticket: Ticket, join: Join) {
        let (min_ms, max_ms) =
            (self.settings.session_timeout_ms_min, self.settings.session_timeout_ms_max);
        let session_timeout_ms = join.session_timeout_ms;
        let said_bytes = join.protocols.iter().map(|(name, said)| name.len() + said.len()).sum();
        let refused = if join.group.is_empty() {
            Some(GroupError::InvalidGroupId)
        } else if session_timeout_ms < min_ms || max_ms < session_timeout_ms {
            Some(GroupError::InvalidSessionTimeout { session_timeout_ms, min_ms, max_ms })
        } else if MEMBER_BYTES_MAX < said_bytes {
            let (size_bytes, limit_bytes) = (said_bytes, MEMBER_BYTES_MAX);
            Some(GroupError::MemberTooLarge { size_bytes, limit_bytes })
        } else {
            None
        };
        if let Some(error) = refused {
            let refused = JoinRefused { error, member: join.member };
            turn.replies.push((ticket, Reply::Join(Err(refused))));
            return;
        }
        let id = join.group.clone();
        let member = join.member.clone();
        if let Err(error) = self.join_any(turn, ticket, join) {
            turn.replies.push((ticket, Reply::Join(Err(JoinRefused { error, member }))));
        }
        self.settle(&id);
    }

    /// Whoever joins a group of the other protocol without members makes it a classic one, whose
    /// generations go on from its epoch; so does who takes the place of the last one that does not
    /// join and sync.
    fn join_any(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        mut join: Join,
    ) -> Result<(), GroupError> {
        let (id, settings) = (join.group.clone(), self.settings);
        let entry = self.groups.entry(id.clone()).or_insert_with(|| Entry::new(&id));
        if let Group::Consumer(group) = &mut entry.group {
            let left = match group.is_empty() {
                true => Some(BTreeMap::new()),
                false => group.left_by_replacement(&settings, &join, turn.topics),
            };
            let Some(left) = left else {
                let outcome = group.join(turn, &settings, join);
                turn.replies.push((ticket, Reply::Join(outcome)));
                return Ok(());
            };
            if !group.is_empty() {
                // Its old place is gone.
                join.member.clear();
            }
            entry.group = Group::Classic(downgrade(&id, group, left, turn, &settings)?);
        }
        match &mut entry.group {
            Group::Classic(group) => group.join(turn, &settings, ticket, join),
            Group::Consumer(_) => unreachable!("it has become a classic one"),
        }
        Ok(())
    }

    /// A heartbeat by the protocol of KIP-848.
    pub fn beat(
        &mut self,
        turn: &mut Turn<'_>,
        beat: &Beat,
    ) -> Result<ConsumerHeartbeat, GroupError> {
        beat.check()?;
        let outcome = self.beat_any(turn, beat);
        self.settle(&beat.group);
        outcome
    }

    /// Whoever joins makes a group, and a consumer group of a classic one, whose epochs go on from its
    /// generation.
    fn beat_any(
        &mut self,
        turn: &mut Turn<'_>,
        beat: &Beat,
    ) -> Result<ConsumerHeartbeat, GroupError> {
        let (id, settings) = (&beat.group, self.settings);
        if beat.epoch != JOINING && !self.groups.contains_key(id) {
            return Err(GroupError::GroupNotFound { group: id.clone() });
        }
        let entry = self.groups.entry(id.clone()).or_insert_with(|| Entry::new(id));
        match &mut entry.group {
            Group::Consumer(group) if beat.epoch == LEAVING => {
                let gone = group.leaving(beat)?;
                entry.group.take_out(id, turn, &settings, &[gone])?;
                Ok(ConsumerHeartbeat::goodbye(beat))
            }
            Group::Consumer(group) if beat.epoch == LEAVING_FOR_A_WHILE => {
                group.leave_for_a_while(turn, beat)?;
                Ok(ConsumerHeartbeat::goodbye(beat))
            }
            Group::Consumer(group) => group.heartbeat(turn, &settings, beat),
            Group::Classic(classic) if beat.epoch == JOINING => {
                let mut group = upgrade(id, classic, turn.topics)?;
                group.resume(turn.now, &settings);
                let told = group.heartbeat(turn, &settings, beat)?;
                classic.turn_all_away(turn);
                entry.group = Group::Consumer(group);
                Ok(told)
            }
            Group::Classic(_) => Err(GroupError::OtherKind { group: id.clone(), wanted: CONSUMER }),
        }
    }

    /// Takes assignments from the leader; answered when the member has one.
    pub fn sync(&mut self, turn: &mut Turn<'_>, ticket: Ticket, sync: Sync) {
        let (id, settings) = (sync.member.group.clone(), self.settings);
        match self.group_of_member(&sync.member) {
            Ok(Group::Classic(group)) => group.sync(turn, ticket, sync),
            Ok(Group::Consumer(group)) => {
                let outcome = group.sync(turn, &settings, sync);
                turn.replies.push((ticket, Reply::Sync(outcome)));
            }
            Err(error) => turn.replies.push((ticket, Reply::Sync(Err(error)))),
        }
        self.settle(&id);
    }

    /// A sign of life.
    pub fn heartbeat(&mut self, now: Moment, member: &MemberOf) -> Result<(), GroupError> {
        let settings = self.settings;
        match self.group_of_member(member)? {
            // Its deadlines only become later, and are found to be so when they are looked at.
            Group::Classic(group) => group.heartbeat(now, member),
            Group::Consumer(group) => {
                let outcome = group.classic_heartbeat(now, &settings, member);
                self.settle(&member.group);
                outcome
            }
        }
    }

    /// Members go: what has become of each, in order.
    pub fn leave(
        &mut self,
        turn: &mut Turn<'_>,
        group: &str,
        leaving: &[Leaving],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        if group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        let Some(entry) = self.groups.get_mut(group) else {
            return Err(GroupError::UnknownMember { member: String::new() });
        };
        let outcomes = match &mut entry.group {
            Group::Classic(of) => Ok(of.leave(turn, &self.settings, leaving)),
            Group::Consumer(of) => {
                let (outcomes, found) = of.find_leaving(leaving);
                entry.group.take_out(group, turn, &self.settings, &found).map(|()| outcomes)
            }
        };
        self.settle(group);
        outcomes
    }

    fn group_of_member(&mut self, member: &MemberOf) -> Result<&mut Group, GroupError> {
        if member.group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        let unknown = || GroupError::UnknownMember { member: member.member.clone() };
        self.groups.get_mut(&member.group).map(|entry| &mut entry.group).ok_or_else(unknown)
    }

    // ---- Offsets.

    /// Commits offsets, if whoever commits may: what has become of each, in order.
    pub fn commit(
        &mut self,
        turn: &mut Turn<'_>,
        commit: Commit,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let MemberOf { group, member, generation, .. } = &commit.member;
        match self.groups.get_mut(group) {
            Some(Entry { group: Group::Classic(group), .. }) => {
                group.check_commit(turn.now, &commit.member)?;
            }
            Some(Entry { group: Group::Consumer(group), .. }) => {
                group.check_commit(member, *generation)?;
            }
            None if *generation < 0 => {}
            None => return Err(GroupError::GroupNotFound { group: group.clone() }),
        }
        let limit_bytes = self.settings.metadata_bytes_max;
        let expires_at = commit.retention_ms.map(|ms| Timestamp(turn.wall_clock.0 + ms));
        let mut records = Vec::with_capacity(commit.offsets.len());
        let mut outcomes = Vec::with_capacity(commit.offsets.len());
        for new in commit.offsets {
            let NewOffset { topic, partition, offset, leader_epoch, metadata } = new;
            let size_bytes = metadata.len();
            if limit_bytes < size_bytes {
                outcomes.push(Err(GroupError::MetadataTooLarge { size_bytes, limit_bytes }));
                continue;
            }
            let committed_at = turn.wall_clock;
            let value =
                CommittedOffset { offset, leader_epoch, metadata, committed_at, expires_at };
            let group = commit.member.group.clone();
            records.push(GroupRecord::Offset { group, topic, partition, value: Some(value) });
            outcomes.push(Ok(()));
        }
        if !records.is_empty() {
            turn.log.append(&records)?;
            for record in &records {
                self.replay(record);
            }
        }
        Ok(outcomes)
    }

    /// Whether a member that asks for offsets is of the group's epoch, if it says which (KIP-848).
    pub fn check_fetch(&self, group: &str, member: &str, epoch: i32) -> Result<(), GroupError> {
        match self.groups.get(group).map(|entry| &entry.group) {
            Some(Group::Consumer(group)) => group.check_epoch(member, epoch),
            Some(Group::Classic(_)) | None => Ok(()),
        }
    }

    /// The offsets of a group; none if there is no such group.
    pub fn offsets(&self, group: &str) -> Option<&OffsetsOf> {
        self.groups.get(group).map(|entry| &entry.offsets)
    }

    /// Removes offsets of topics that no member reads: what has become of each, in order.
    pub fn delete_offsets(
        &mut self,
        turn: &mut Turn<'_>,
        group: &str,
        partitions: &[(String, PartitionIndex)],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let Some(entry) = self.groups.get(group) else {
            return Err(GroupError::GroupNotFound { group: group.to_owned() });
        };
        let subscribed = entry.group.subscribed_topics(turn.topics).ok_or(GroupError::NotEmpty)?;
        let outcomes = partitions.iter().map(|(topic, _)| match subscribed.contains(topic) {
            true => Err(GroupError::Subscribed),
            false => Ok(()),
        });
        let outcomes: Vec<_> = outcomes.collect();
        let has_one = |topic: &str, partition: &PartitionIndex| {
            entry.offsets.get(topic).is_some_and(|it| it.contains_key(partition))
        };
        let deleted = partitions
            .iter()
            .zip(&outcomes)
            .filter(|((topic, partition), outcome)| outcome.is_ok() && has_one(topic, partition));
        let records = deleted.map(|((topic, partition), _)| gone(group, topic, *partition));
        let records = records.collect();
        self.append_in_parts(turn, records)?;
        Ok(outcomes)
    }

    /// Topics are not there any more, and so nobody has come far in them.
    pub fn forget_topics(&mut self, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        let is_gone = |topic: &str| turn.topics.topic(topic).is_none();
        let mut records = Vec::new();
        for (id, entry) in &self.groups {
            let all = offsets::partitions(&entry.offsets);
            let of_gone = all.filter(|(topic, ..)| is_gone(topic));
            records.extend(of_gone.map(|(topic, partition, _)| gone(id, topic, partition)));
        }
        self.append_in_parts(turn, records)
    }

    /// Removes what has been kept long enough, and groups of which nothing is left then.
    pub fn expire_offsets(&mut self, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        let now = turn.wall_clock;
        let mut records = Vec::new();
        for (id, entry) in &self.groups {
            let retention_ms = self.settings.offsets_retention_ms;
            let expired: Vec<_> = entry.expired(now, retention_ms, turn.topics).collect();
            let all_count = offsets::partitions(&entry.offsets).count();
            let is_left = expired.len() < all_count;
            records.extend(expired.iter().map(|(topic, partition)| gone(id, topic, *partition)));
            if !is_left && entry.group.is_idle() {
                records.extend(entry.group.tombstones());
            }
        }
        self.append_in_parts(turn, records)
    }

    /// Appends and takes up records that need not hold together.
    fn append_in_parts(
        &mut self,
        turn: &mut Turn<'_>,
        records: Vec<GroupRecord>,
    ) -> Result<(), GroupError> {
        for records in records.chunks(RECORDS_AT_ONCE) {
            turn.log.append(records)?;
            for record in records {
                self.replay(record);
            }
        }
        Ok(())
    }

    // ---- What administrators ask.

    /// All groups, in the order of their ids.
    pub fn list(&self) -> impl Iterator<Item = Listing> {
        self.groups.iter().map(|(id, entry)| Listing {
            group: id.clone(),
            protocol_type: entry.group.protocol_type().to_owned(),
            state: entry.group.state(),
            kind: entry.group.kind(),
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Members of all groups.
    pub fn members_count(&self) -> usize {
        self.groups.values().map(|entry| entry.group.members_count()).sum()
    }

    /// One group of the classic protocol.
    pub fn describe(&self, group: &str) -> Result<Description, GroupError> {
        match self.group(group)? {
            Group::Classic(group) => Ok(group.describe()),
            Group::Consumer(_) => {
                Err(GroupError::OtherKind { group: group.to_owned(), wanted: "classic" })
            }
        }
    }

    /// One group of the protocol of KIP-848.
    pub fn describe_consumer(&self, group: &str) -> Result<ConsumerDescription, GroupError> {
        match self.group(group)? {
            Group::Consumer(group) => Ok(group.describe()),
            Group::Classic(_) => {
                Err(GroupError::OtherKind { group: group.to_owned(), wanted: CONSUMER })
            }
        }
    }

    fn group(&self, group: &str) -> Result<&Group, GroupError> {
        let found = self.groups.get(group).map(|entry| &entry.group);
        found.ok_or_else(|| GroupError::GroupNotFound { group: group.to_owned() })
    }

    /// Removes a group without members, and its offsets.
    pub fn delete(&mut self, turn: &mut Turn<'_>, group: &str) -> Result<(), GroupError> {
        let Some(entry) = self.groups.get(group) else {
            return Err(GroupError::GroupNotFound { group: group.to_owned() });
        };
        if !entry.group.is_idle() {
            return Err(GroupError::NotEmpty);
        }
        let all = offsets::partitions(&entry.offsets);
        let mut records: Vec<_> =
            all.map(|(topic, partition, _)| gone(group, topic, partition)).collect();
        records.extend(entry.group.tombstones());
        self.append_in_parts(turn, records)
    }

    // ---- Bookkeeping.

    /// After a group may have changed: when it is to be looked at, and whether it is one at all.
    fn settle(&mut self, id: &str) {
        let Some(entry) = self.groups.get_mut(id) else { return };
        if entry.is_nothing() {
            if let Some(before) = entry.looked_at {
                self.deadlines.remove(&(before, id.to_owned()));
            }
            self.groups.remove(id);
            return;
        }
        let Some(deadline) = entry.group.deadline() else { return };
        match entry.looked_at {
            // Looked at early, it finds that nothing is due, and comes back here.
            Some(before) if before <= deadline => return,
            Some(before) => {
                self.deadlines.remove(&(before, id.to_owned()));
            }
            None => {}
        }
        entry.looked_at = Some(deadline);
        self.deadlines.insert((deadline, id.to_owned()));
    }
}

impl Entry {
    /// Offsets that are not kept any longer: those of groups without members, and of topics that no
    /// member reads any more (KIP-211).
    fn expired(
        &self,
        now: Timestamp,
        retention_ms: i64,
        topics: &dyn Topics,
    ) -> impl Iterator<Item = (&str, PartitionIndex)> + use<'_> {
        let (mut emptied_at, mut is_told) = (None, true);
        if let Group::Classic(group) = &self.group {
            let was_joined = group.protocol_type().is_some();
            emptied_at = group.state_since().filter(|_| group.is_empty() && was_joined);
            is_told = group.is_empty() || group.state() == ClassicState::Stable;
        }
        let read = self.group.subscribed_topics(topics).filter(|_| is_told);
        let is_old = move |topic: &str, offset: &CommittedOffset| {
            if read.as_ref().is_none_or(|topics| topics.contains(topic)) {
                return false;
            }
            let since = emptied_at.unwrap_or(offset.committed_at);
            match offset.expires_at {
                Some(expires_at) => expires_at <= now,
                None => since.0.saturating_add(retention_ms) <= now.0,
            }
        };
        let all = offsets::partitions(&self.offsets);
        all.filter(move |(topic, _, offset)| is_old(topic, offset))
            .map(|(topic, partition, _)| (topic, partition))
    }
}

fn gone(group: &str, topic: &str, partition: PartitionIndex) -> GroupRecord {
    let (group, topic) = (group.to_owned(), topic.to_owned());
    GroupRecord::Offset { group, topic, partition, value: None }
}

#[cfg(test)]
mod tests;
