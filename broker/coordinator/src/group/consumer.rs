//! A group of the protocol of KIP-848: the broker assigns, and each member goes its own way to what
//! it is to have.
//!
//! ```text
//!  a member, a subscription or a topic changes ─► group epoch rises
//!                                                    │ the assignor decides
//!                                                    ▼
//!                              target assignment, of the same epoch
//!                                                    │ each heartbeat, for its member alone
//!        Stable ◄── has everything ── UnreleasedPartitions ◄── others still have some of it
//!          │                                         ▲
//!          └─ has more than it should ─► UnrevokedPartitions ─ says that it has given it up
//! ```
//!
//! A partition is given to a member when no other has it, nor is still to give it up. Everything but
//! timeouts is recorded, in Kafka's formats, before a member hears of it.
//!
//! Members that join and sync, as those of classic groups do, may be among the others while the group
//! goes from one protocol to the other: a join is a heartbeat that says what the member has, the
//! answer to a sync has its assignment, and its epoch is what it knows as the generation.

mod step;
mod reconcile;
mod heartbeat;
mod classic;
mod describe;

use std::collections::{BTreeMap, BTreeSet};

use model::{PartitionIndex, TopicId};

use super::groups::GroupsSettings;
use super::record::{ConsumerRecord, CurrentAssignment, MemberMetadata};
use super::{GroupError, GroupRecord, Leaving, Moment, Partitions, Topics, Turn};

pub use describe::{ConsumerDescription, ConsumerState, DescribedConsumer};
pub use heartbeat::{Beat, ConsumerHeartbeat};

/// A member that joins, or joins anew.
pub(super) const JOINING: i32 = 0;
/// A member that leaves for good.
pub(super) const LEAVING: i32 = -1;
/// A static member that will be back.
pub(super) const LEAVING_FOR_A_WHILE: i32 = -2;

/// One group.
#[derive(Clone, Debug)]
pub(super) struct ConsumerGroup {
    id: String,
    /// Whether there is a record of it.
    is_recorded: bool,
    epoch: i32,
    /// Of the topics that its members read, so that a change is noticed.
    topics_hash: i64,
    target_epoch: i32,
    target: BTreeMap<String, Partitions>,
    members: BTreeMap<String, Member>,
    /// Who has each partition, or has yet to give it up.
    owners: BTreeMap<(TopicId, PartitionIndex), String>,
    /// Of the topics that were looked at last.
    topics_version: Option<u64>,
    /// Records that make the group what it is, and have yet to be appended: with its next ones.
    preceding: Vec<GroupRecord>,
}

#[derive(Clone, Debug)]
struct Member {
    metadata: MemberMetadata,
    current: CurrentAssignment,
    /// When its session ends.
    expires_at: Moment,
    /// By when it has to have done what it is to do: to have given up partitions or, if it speaks the
    /// classic protocol, to have joined again, or asked for its assignment.
    act_by: Option<Moment>,
}

impl Default for Member {
    fn default() -> Member {
        Member {
            metadata: MemberMetadata::default(),
            current: CurrentAssignment::default(),
            expires_at: Moment(u64::MAX),
            act_by: None,
        }
    }
}

impl Member {
    /// A sign of life.
    fn extend(&mut self, now: Moment, settings: &GroupsSettings) {
        let session_ms = match &self.metadata.classic {
            Some(classic) => u64::try_from(classic.session_timeout_ms).unwrap_or(0),
            None => settings.consumer_session_ms,
        };
        self.expires_at = now.after_ms(session_ms);
    }

    /// How long it may take to do what it is to do.
    fn wait_ms(&self) -> u64 {
        u64::try_from(self.metadata.rebalance_timeout_ms).unwrap_or(0)
    }
}

impl ConsumerGroup {
    pub(super) fn new(id: &str, epoch: i32) -> ConsumerGroup {
        ConsumerGroup {
            id: id.to_owned(),
            is_recorded: false,
            epoch,
            topics_hash: 0,
            target_epoch: 0,
            target: BTreeMap::new(),
            members: BTreeMap::new(),
            owners: BTreeMap::new(),
            topics_version: None,
            preceding: Vec::new(),
        }
    }

    /// One that is what these records say. They are to be appended with its next ones, after others
    /// that end what it was before.
    pub(super) fn of_records(
        id: &str,
        epoch: i32,
        preceding: Vec<GroupRecord>,
        records: Vec<ConsumerRecord>,
    ) -> ConsumerGroup {
        let mut group = ConsumerGroup::new(id, epoch);
        group.preceding = preceding;
        for of in records {
            group.replay(&of);
            group.preceding.push(GroupRecord::Consumer { group: id.to_owned(), of });
        }
        group
    }

    /// Takes up a record of the group.
    pub(super) fn replay(&mut self, record: &ConsumerRecord) {
        match record {
            ConsumerRecord::Group(metadata) => {
                if let Some((epoch, topics_hash)) = *metadata {
                    (self.epoch, self.topics_hash) = (epoch, topics_hash);
                    self.is_recorded = true;
                }
            }
            ConsumerRecord::Member { member, value: Some(metadata) } => {
                self.members.entry(member.clone()).or_default().metadata = metadata.clone();
            }
            ConsumerRecord::Member { member, value: None } => {
                self.set_current(member, CurrentAssignment::default());
                self.members.remove(member);
            }
            ConsumerRecord::TargetEpoch(epoch) => self.target_epoch = epoch.unwrap_or(0),
            ConsumerRecord::Target { member, value: Some(partitions) } => {
                self.target.insert(member.clone(), partitions.clone());
            }
            ConsumerRecord::Target { member, value: None } => {
                self.target.remove(member);
            }
            ConsumerRecord::Current { member, value } => {
                if value.is_some() || self.members.contains_key(member) {
                    self.set_current(member, value.clone().unwrap_or_default());
                }
            }
        }
    }

    fn set_current(&mut self, id: &str, current: CurrentAssignment) {
        let member = self.members.entry(id.to_owned()).or_default();
        let before = std::mem::replace(&mut member.current, current);
        for partition in before.assigned.iter().chain(before.revoking.iter()) {
            if self.owners.get(&partition).is_some_and(|owner| owner == id) {
                self.owners.remove(&partition);
            }
        }
        let current = &self.members[id].current;
        for partition in current.assigned.iter().chain(current.revoking.iter()) {
            self.owners.insert(partition, id.to_owned());
        }
    }

    /// Begins to serve with what was replayed.
    pub(super) fn resume(&mut self, now: Moment, settings: &GroupsSettings) {
        for member in self.members.values_mut() {
            member.extend(now, settings);
            let is_revoking = !member.current.revoking.is_empty();
            member.act_by = is_revoking.then(|| now.after_ms(member.wait_ms()));
        }
    }

    /// Appends records and takes them up. If the log does not take them, nothing has changed.
    fn record(
        &mut self,
        turn: &mut Turn<'_>,
        records: Vec<ConsumerRecord>,
    ) -> Result<(), GroupError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut all = self.preceding.clone();
        let group = || self.id.clone();
        all.extend(records.into_iter().map(|of| GroupRecord::Consumer { group: group(), of }));
        turn.log.append(&all)?;
        for record in all.iter().skip(std::mem::take(&mut self.preceding).len()) {
            if let GroupRecord::Consumer { of, .. } = record {
                self.replay(of);
            }
        }
        Ok(())
    }

    // ---- What others ask of it.

    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn members_count(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// Records that say that there is no such group.
    pub(super) fn tombstones(&self) -> Vec<GroupRecord> {
        let members = self.members.keys().flat_map(|member| gone(member));
        let target = (self.target_epoch != 0).then_some(ConsumerRecord::TargetEpoch(None));
        let all = members.chain(target).chain([ConsumerRecord::Group(None)]);
        all.map(|of| GroupRecord::Consumer { group: self.id.clone(), of }).collect()
    }

    /// Whether offsets may be committed by whom it is.
    pub(super) fn check_commit(&self, member: &str, epoch: i32) -> Result<(), GroupError> {
        if epoch < 0 && self.is_empty() {
            return Ok(());
        }
        self.check_epoch(member, epoch)
    }

    /// Whether it is a member, and of this epoch.
    pub(super) fn check_epoch(&self, member: &str, theirs: i32) -> Result<(), GroupError> {
        let unknown = || GroupError::UnknownMember { member: member.to_owned() };
        let member = self.members.get(member).ok_or_else(unknown)?;
        let ours = member.current.epoch;
        match &member.metadata.classic {
            _ if theirs == ours => Ok(()),
            Some(_) => Err(GroupError::IllegalGeneration { theirs, ours }),
            None => Err(GroupError::StaleMemberEpoch { theirs, ours }),
        }
    }

    fn static_member(&self, instance: &str) -> Option<(&String, &Member)> {
        let is_it = |member: &Member| member.metadata.instance.as_deref() == Some(instance);
        self.members.iter().find(|(_, member)| is_it(member))
    }

    /// Which topics its members read.
    pub(super) fn subscribed_topics(&self, topics: &dyn Topics) -> BTreeSet<String> {
        self.members.values().flat_map(|member| subscribed(&member.metadata, topics)).collect()
    }

    // ---- Members go.

    /// Whom somebody takes out, by ids or instances: what is to become of each, in order, and the ids
    /// of those who are there.
    pub(super) fn find_leaving(
        &self,
        leaving: &[Leaving],
    ) -> (Vec<Result<(), GroupError>>, Vec<String>) {
        let mut found = Vec::new();
        let outcomes = leaving.iter().map(|Leaving { member, instance }| {
            let id = match instance {
                Some(instance) if member.is_empty() => {
                    let unknown = GroupError::UnknownMember { member: String::new() };
                    self.static_member(instance).map(|(id, _)| id).ok_or(unknown)?
                }
                _ => self.check_member(member, instance.as_deref()).map(|_| member)?,
            };
            found.push(id.clone());
            Ok(())
        });
        (outcomes.collect(), found)
    }

    /// Whether a member is who it says it is.
    fn check_member(&self, id: &str, instance: Option<&str>) -> Result<&Member, GroupError> {
        let unknown = || GroupError::UnknownMember { member: id.to_owned() };
        if let Some(instance) = instance {
            let (known, _) = self.static_member(instance).ok_or_else(unknown)?;
            if known != id {
                return Err(GroupError::FencedInstance { instance: instance.to_owned() });
            }
        }
        self.members.get(id).ok_or_else(unknown)
    }

    /// Members go.
    pub(super) fn take_out(
        &mut self,
        turn: &mut Turn<'_>,
        ids: &[String],
    ) -> Result<(), GroupError> {
        let records = self.without(ids, turn.topics);
        self.record(turn, records)
    }

    /// Those who are left without these, if all of them join and sync; each with what it has.
    pub(super) fn classic_without(
        &self,
        ids: &[String],
        topics: &dyn Topics,
    ) -> Option<BTreeMap<String, super::member::Member>> {
        let left = self.members.iter().filter(|(id, _)| !ids.contains(id));
        let classic = left.map(|(id, Member { metadata, current, .. })| {
            let classic = metadata.classic.as_ref()?;
            let has = current.assigned.iter().chain(current.revoking.iter()).collect();
            let assignment = classic.assignment(&has, topics);
            Some((id.clone(), super::member::Member::of_consumer(metadata, classic, assignment)))
        });
        classic.collect()
    }

    /// Records that say that members are gone, and what follows for the group.
    fn without(&self, ids: &[String], topics: &dyn Topics) -> Vec<ConsumerRecord> {
        let mut records = Vec::new();
        for member in ids {
            records.extend(gone(member));
        }
        let left = self.members.iter().filter(|(id, _)| !ids.contains(id));
        let hash = hash_of(left.map(|(_, member)| &member.metadata), topics);
        records.push(ConsumerRecord::Group(Some((self.next_epoch(), hash))));
        records
    }

    fn next_epoch(&self) -> i32 {
        // After 2^31 changes it begins again.
        self.epoch.checked_add(1).unwrap_or(1)
    }

    /// When the group has to be looked at again.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let of =
            |member: &Member| member.act_by.unwrap_or(member.expires_at).min(member.expires_at);
        self.members.values().map(of).min()
    }

    /// Members that are silent, or have not done what they are to do: they are to be taken out.
    pub(super) fn late(&self, now: Moment) -> Vec<String> {
        let is_over = |deadline: Moment| deadline <= now;
        let late = self
            .members
            .iter()
            .filter(|(_, member)| is_over(member.expires_at) || member.act_by.is_some_and(is_over));
        late.map(|(id, _)| id.clone()).collect()
    }

    /// They could not be taken out, and stay for a little longer.
    pub(super) fn bear_with(&mut self, ids: &[String], now: Moment) {
        for id in ids {
            if let Some(member) = self.members.get_mut(id) {
                member.expires_at = now.after_ms(RETRY_MS);
                member.act_by = None;
            }
        }
    }
}

/// Where the log takes nothing, a member that is silent stays for so much longer.
const RETRY_MS: u64 = 1000;

/// Records that say that nothing is known of a member.
fn gone(member: &str) -> [ConsumerRecord; 3] {
    let member = || member.to_owned();
    [
        ConsumerRecord::Current { member: member(), value: None },
        ConsumerRecord::Target { member: member(), value: None },
        ConsumerRecord::Member { member: member(), value: None },
    ]
}

/// Its own, or one that nobody has had.
fn id_or_new(turn: &mut Turn<'_>, id: &str) -> String {
    match id.is_empty() {
        true => TopicId::from_random((turn.random)()).to_string(),
        false => id.to_owned(),
    }
}

/// Which topics a member reads of those that are there.
fn subscribed(metadata: &MemberMetadata, topics: &dyn Topics) -> BTreeSet<String> {
    let named = metadata.topics.iter().filter(|name| topics.topic(name).is_some()).cloned();
    let mut all: BTreeSet<String> = named.collect();
    if let Some(pattern) = metadata.regex.as_deref().and_then(|pattern| compiled(pattern).ok()) {
        all.extend(topics.names().into_iter().filter(|name| pattern.is_match(name)));
    }
    all
}

/// A pattern matches whole names, as in Kafka.
fn compiled(pattern: &str) -> Result<regex::Regex, regex::Error> {
    const SIZE_BYTES_MAX: usize = 1 << 20;
    regex::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(SIZE_BYTES_MAX).build()
}

/// Of names, ids and numbers of partitions of the topics that members read: it is another one when
/// any of them is. Never 0, which is none.
pub(super) fn hash_of<'a>(
    members: impl Iterator<Item = &'a MemberMetadata>,
    topics: &dyn Topics,
) -> i64 {
    let all: BTreeSet<String> = members.flat_map(|member| subscribed(member, topics)).collect();
    // FNV-1a, of 64 bits.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for name in &all {
        if let Some((id, count)) = topics.topic(name) {
            add(name.as_bytes());
            add(id.bytes());
            add(&count.to_be_bytes());
        }
    }
    match hash {
        0 => 1,
        hash => hash.cast_signed(),
    }
}

#[cfg(test)]
mod tests;
