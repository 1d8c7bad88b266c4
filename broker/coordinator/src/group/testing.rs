//! Groups in a test: a log in memory, and time that is advanced by hand.

mod members;

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};

use super::*;

pub(super) use members::*;

pub(super) const SETTINGS: GroupsSettings = GroupsSettings {
    initial_rebalance_delay_ms: 3_000,
    session_timeout_ms_min: 6_000,
    session_timeout_ms_max: 1_800_000,
    new_member_join_ms_max: 300_000,
    consumer_session_ms: 45_000,
    consumer_heartbeat_ms: 5_000,
    members_count_max: 5,
    metadata_bytes_max: 10,
    offsets_retention_ms: 100_000,
};

/// Records that have been taken, and whether more are.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryLog {
    pub(super) records: Vec<GroupRecord>,
    pub(super) refuses: Option<NotAppended>,
}

impl GroupLog for MemoryLog {
    fn append(&mut self, records: &[GroupRecord]) -> Result<(), NotAppended> {
        match self.refuses {
            Some(refused) => Err(refused),
            None => {
                self.records.extend_from_slice(records);
                Ok(())
            }
        }
    }
}

/// Topics by name, each with a number of partitions.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryTopics(pub(super) BTreeMap<String, i32>);

impl MemoryTopics {
    pub(super) fn id_of(name: &str) -> TopicId {
        let mut bytes = [0; 16];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        TopicId::from_bytes(bytes)
    }
}

impl Topics for MemoryTopics {
    fn version(&self) -> u64 {
        self.0.values().map(|count| u64::from(count.unsigned_abs())).sum()
    }

    fn topic(&self, name: &str) -> Option<(TopicId, i32)> {
        self.0.get(name).map(|count| (MemoryTopics::id_of(name), *count))
    }

    fn name_of(&self, id: TopicId) -> Option<String> {
        self.0.keys().find(|name| MemoryTopics::id_of(name) == id).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// The groups of one partition, and everybody who asks.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) groups: Groups,
    pub(super) log: MemoryLog,
    pub(super) now: Moment,
    tickets_count: u64,
    ids_count: u128,
    pub(super) topics: MemoryTopics,
    pub(super) replies: Vec<(Ticket, Reply)>,
}

impl World {
    pub(super) fn new() -> World {
        World::with(SETTINGS)
    }

    pub(super) fn with(settings: GroupsSettings) -> World {
        World {
            groups: Groups::new(settings),
            log: MemoryLog::default(),
            now: Moment(0),
            tickets_count: 0,
            ids_count: 0,
            topics: MemoryTopics::default(),
            replies: Vec::new(),
        }
    }

    pub(super) fn turn<R>(&mut self, act: impl FnOnce(&mut Groups, &mut Turn<'_>) -> R) -> R {
        let ids_count = &mut self.ids_count;
        let mut turn = Turn {
            now: self.now,
            wall_clock: Timestamp(i64::try_from(self.now.0).unwrap()),
            random: &mut || {
                *ids_count += 1;
                *ids_count
            },
            topics: &self.topics,
            log: &mut self.log,
            replies: &mut self.replies,
        };
        act(&mut self.groups, &mut turn)
    }

    fn next_ticket(&mut self) -> Ticket {
        self.tickets_count += 1;
        Ticket(self.tickets_count)
    }

    pub(super) fn join(&mut self, join: Join) -> Ticket {
        let ticket = self.next_ticket();
        self.turn(|groups, turn| groups.join(turn, ticket, join));
        ticket
    }

    pub(super) fn sync(&mut self, sync: Sync) -> Ticket {
        let ticket = self.next_ticket();
        self.turn(|groups, turn| groups.sync(turn, ticket, sync));
        ticket
    }

    /// Time passes, and everything that is due on the way is done when it is.
    pub(super) fn pass_ms(&mut self, ms: u64) {
        let end = self.now.after_ms(ms);
        while let Some(deadline) = self.groups.next_deadline().filter(|it| *it <= end) {
            self.now = self.now.max(deadline);
            self.turn(|groups, turn| groups.expire(turn));
        }
        self.now = end;
    }

    /// The process ends, and another one goes on with the log.
    pub(super) fn restart(&mut self) {
        let mut groups = Groups::new(SETTINGS);
        for record in &self.log.records {
            groups.replay(&through_bytes(record));
        }
        groups.resume(self.now);
        self.groups = groups;
        self.replies.clear();
    }

    pub(super) fn take_reply(&mut self, ticket: Ticket) -> Option<Reply> {
        let index = self.replies.iter().position(|(it, _)| *it == ticket)?;
        Some(self.replies.remove(index).1)
    }

    pub(super) fn joined(&mut self, ticket: Ticket) -> Joined {
        match self.take_reply(ticket) {
            Some(Reply::Join(Ok(joined))) => joined,
            other => panic!("not joined: {other:?}"),
        }
    }

    pub(super) fn not_joined(&mut self, ticket: Ticket) -> JoinRefused {
        match self.take_reply(ticket) {
            Some(Reply::Join(Err(refused))) => refused,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(super) fn synced(&mut self, ticket: Ticket) -> Bytes {
        match self.take_reply(ticket) {
            Some(Reply::Sync(Ok(synced))) => synced.assignment,
            other => panic!("no assignment: {other:?}"),
        }
    }

    pub(super) fn not_synced(&mut self, ticket: Ticket) -> GroupError {
        match self.take_reply(ticket) {
            Some(Reply::Sync(Err(error))) => error,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(super) fn heartbeat(&mut self, member: &str, generation: i32) -> Result<(), GroupError> {
        self.groups.heartbeat(self.now, &member_of(member, None, generation))
    }

    pub(super) fn leave(&mut self, member: &str) -> Vec<Result<(), GroupError>> {
        let leaving = Leaving { member: member.to_owned(), instance: None };
        self.turn(|groups, turn| groups.leave(turn, "g", &[leaving])).unwrap()
    }

    pub(super) fn commit(
        &mut self,
        member: &str,
        generation: i32,
        offset: i64,
    ) -> Result<(), GroupError> {
        let commit = commit_of(member, generation, &[("t", 0, offset)]);
        let outcomes = self.turn(|groups, turn| groups.commit(turn, commit))?;
        outcomes.into_iter().collect()
    }

    pub(super) fn committed(&self) -> Option<i64> {
        let offsets = self.groups.offsets("g")?;
        Some(offsets.get("t")?.get(&PartitionIndex(0))?.offset.0)
    }

    /// A group of so many members that has assigned everything: their ids, and its generation.
    pub(super) fn stable(&mut self, count: usize) -> (Vec<String>, i32) {
        let tickets: Vec<Ticket> = (0..count).map(|_| self.join(join_of(""))).collect();
        self.pass_ms(3 * SETTINGS.initial_rebalance_delay_ms);
        let joined: Vec<Joined> = tickets.into_iter().map(|it| self.joined(it)).collect();
        let generation = joined[0].generation;
        let ids: Vec<String> = joined.iter().map(|joined| joined.member.clone()).collect();
        let leader = joined[0].leader.clone();
        self.assign(&leader, generation, &ids);
        for id in &ids {
            let sync = self.sync(sync_of(id, generation, &[]));
            assert_eq!(self.synced(sync), format!("for {id}").as_bytes());
        }
        (ids, generation)
    }

    /// The leader gives everybody something.
    pub(super) fn assign(&mut self, leader: &str, generation: i32, ids: &[String]) {
        let assignments: Vec<_> = ids.iter().map(|id| (id.as_str(), format!("for {id}"))).collect();
        let ticket = self.sync(sync_of(leader, generation, &assignments));
        assert_eq!(self.synced(ticket), format!("for {leader}").as_bytes());
    }

    pub(super) fn state(&self) -> &'static str {
        self.groups.describe("g").map_or("none", |group| group.state.name())
    }
}

/// Everything that is replayed has been bytes.
pub(super) fn through_bytes(record: &GroupRecord) -> GroupRecord {
    let (key, value) = record.encode();
    let read = GroupRecord::decode(&key, value.as_deref()).unwrap().unwrap();
    assert_eq!(read, *record, "a record reads back as it was written");
    read
}

/// A consumer's first join, or a member's.
pub(super) fn join_of(member: &str) -> Join {
    Join {
        group: "g".to_owned(),
        member: member.to_owned(),
        instance: None,
        client: ClientInfo { id: "c".to_owned(), host: "/127.0.0.1".to_owned() },
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), subscription(&["t"]))],
        may_be_given_id: false,
        may_skip_assignment: false,
    }
}

pub(super) fn static_join(instance: &str, member: &str) -> Join {
    Join { instance: Some(instance.to_owned()), ..join_of(member) }
}

/// As Kafka's consumers send it.
pub(super) fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend(u32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    Bytes::from(bytes)
}

pub(super) fn member_of(member: &str, instance: Option<&str>, generation: i32) -> MemberOf {
    MemberOf {
        group: "g".to_owned(),
        member: member.to_owned(),
        instance: instance.map(str::to_owned),
        generation,
    }
}

pub(super) fn sync_of(member: &str, generation: i32, assignments: &[(&str, String)]) -> Sync {
    let assignments = assignments.iter().map(|(member, assignment)| {
        ((*member).to_owned(), Bytes::copy_from_slice(assignment.as_bytes()))
    });
    Sync {
        member: member_of(member, None, generation),
        protocol_type: None,
        protocol: None,
        assignments: assignments.collect(),
    }
}

pub(super) fn commit_of(member: &str, generation: i32, offsets: &[(&str, i32, i64)]) -> Commit {
    let offsets = offsets.iter().map(|(topic, partition, offset)| NewOffset {
        topic: (*topic).to_owned(),
        partition: PartitionIndex(*partition),
        offset: Offset(*offset),
        leader_epoch: LeaderEpoch(3),
        metadata: "note".to_owned(),
    });
    Commit {
        member: member_of(member, None, generation),
        retention_ms: None,
        offsets: offsets.collect(),
    }
}
