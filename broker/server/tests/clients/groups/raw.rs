//! A member that says what it likes: it joins, commits and leaves all the time, goes on after whatever
//! ends its connection, and compares what it is told with what it and others were told before.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use model::{LeaderEpoch, Offset, PartitionIndex};
use wire::join_group::JoinGroupRequestProtocol;
use wire::leave_group::MemberIdentity;
use wire::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use wire::sync_group::SyncGroupRequestAssignment;
use wire::{
    ErrorCode, FRAME_PREFIX_SIZE_BYTES, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetFetchRequest, RequestMessage, SyncGroupRequest, Text, decode_response, encode_request,
};

use crate::kills::Delays;

use super::TOPIC;

/// Longer than a rebalance takes.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Before something that could not be done is tried again.
const PAUSE: Duration = Duration::from_millis(5);

fn text(text: &str) -> Text {
    Text::from(text.to_owned())
}

/// A connection that may end at any time.
pub(super) struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

impl Connection {
    pub(super) fn open(address: &str) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        Ok(Connection { stream, correlation_id: 0 })
    }

    fn call<R: RequestMessage>(
        &mut self,
        version: i16,
        request: &R,
    ) -> std::io::Result<R::Response> {
        self.correlation_id += 1;
        let client_id = Some(Text::from_static("raw"));
        let frame = encode_request(version, self.correlation_id, client_id, request)
            .expect("it can be said in this version");
        self.stream.write_all(&frame.contiguous().expect("it is all there"))?;
        let mut prefix = [0; FRAME_PREFIX_SIZE_BYTES];
        self.stream.read_exact(&mut prefix).map_err(silence_is_a_failure)?;
        let size_bytes = usize::try_from(i32::from_be_bytes(prefix)).expect("it is a size");
        let mut frame = vec![0; size_bytes];
        self.stream.read_exact(&mut frame)?;
        let (answered, response) =
            decode_response(version, &Bytes::from(frame)).expect("it is an answer");
        assert_eq!(answered, self.correlation_id);
        Ok(response)
    }

    /// What a group has committed of partitions of the topic; nothing is -1. None if the group
    /// cannot be asked yet.
    pub(super) fn committed(
        &mut self,
        group: &str,
        partitions: &[u32],
    ) -> std::io::Result<Option<Vec<i64>>> {
        let indexes = partitions.iter().map(|index| i32::try_from(*index).expect("it is small"));
        let partition_indexes = indexes.map(PartitionIndex).collect();
        let topics = vec![OffsetFetchRequestTopics { name: text(TOPIC), partition_indexes }];
        let asked = OffsetFetchRequestGroup {
            group_id: text(group),
            topics: Some(topics),
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![asked], ..Default::default() };
        let response = self.call(8, &request)?;
        let group = &response.groups[0];
        if group.error_code.is_error() {
            assert!(group.error_code.is_retriable(), "{}", group.error_code);
            return Ok(None);
        }
        Ok(Some(group.topics[0].partitions.iter().map(|it| it.committed_offset.0).collect()))
    }

    /// In which state each group is. None if they cannot be asked yet.
    pub(super) fn states(&mut self) -> std::io::Result<Option<BTreeMap<String, String>>> {
        let response = self.call(4, &ListGroupsRequest::default())?;
        if response.error_code.is_error() {
            return Ok(None);
        }
        let groups = response.groups.iter();
        let states = groups.map(|it| (it.group_id.to_string(), it.group_state.to_string()));
        Ok(Some(states.collect()))
    }
}

/// The kernel says "would block" of a time limit. This one is no connection's end.
fn silence_is_a_failure(error: Error) -> Error {
    assert!(
        !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "an answer does not come: {error}"
    );
    error
}

/// What JoinGroup has told of a generation.
#[derive(Debug)]
struct Generation {
    leader: String,
    /// Only its leader is told.
    members: Option<BTreeSet<String>>,
    told: BTreeSet<String>,
}

/// Of all generations of a group.
#[derive(Debug, Default)]
pub(super) struct Generations {
    known: BTreeMap<i32, Generation>,
    complaints: Vec<String>,
}

impl Generations {
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    fn note(&mut self, number: i32, leader: &str, member: &str, members: BTreeSet<String>) {
        let known = self.known.entry(number).or_insert_with(|| Generation {
            leader: leader.to_owned(),
            members: None,
            told: BTreeSet::new(),
        });
        if known.leader != leader {
            let text = format!("{number}: its leader was {}, then {leader}", known.leader);
            self.complaints.push(text);
        }
        if member == leader {
            if known.members.as_ref().is_some_and(|before| *before != members) {
                let text =
                    format!("{number}: its members were {:?}, then {members:?}", known.members);
                self.complaints.push(text);
            }
            known.members = Some(members);
        }
        known.told.insert(member.to_owned());
    }

    /// What is not as it has to be.
    pub(super) fn judge(&self) -> Vec<String> {
        let mut complaints = self.complaints.clone();
        for (number, known) in &self.known {
            if known.members.as_ref().is_some_and(|members| !known.told.is_subset(members)) {
                complaints.push(format!("{number} was told to others than its members: {known:?}"));
            }
        }
        complaints
    }
}

/// What the members of a group do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Mood {
    /// They come and go.
    Restless,
    /// They stay.
    Calm,
    /// They leave for good.
    Over,
}

/// What members of one group share.
pub(super) struct Shared {
    mood: AtomicU8,
    pub(super) generations: Mutex<Generations>,
}

impl Shared {
    pub(super) fn new() -> Arc<Shared> {
        let mood = AtomicU8::new(Mood::Restless as u8);
        Arc::new(Shared { mood, generations: Mutex::default() })
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::Relaxed);
    }

    fn is(&self, mood: Mood) -> bool {
        self.mood.load(Ordering::Relaxed) == mood as u8
    }
}

/// What a member has done.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) joins: usize,
    pub(super) leaves: usize,
    pub(super) connections: usize,
    pub(super) commits: usize,
    pub(super) refused_commits: usize,
    pub(super) complaints: Vec<String>,
}

/// A member that commits offsets of a partition of its own, one after the other.
pub(super) struct RawMember {
    address: String,
    group: &'static str,
    shared: Arc<Shared>,
    /// Otherwise it commits as somebody who is no member.
    joins: bool,
    partition: u32,
    delays: Delays,
    member_id: String,
    /// While it is in one.
    generation: Option<i32>,
    acknowledged: i64,
    sent: i64,
    account: Account,
}

impl RawMember {
    /// Runs until the mood is over. It is no member, but only commits, if it is not to join.
    pub(super) fn start(
        address: &str,
        group: &'static str,
        shared: &Arc<Shared>,
        partition: u32,
        joins: bool,
    ) -> JoinHandle<Account> {
        let mut member = RawMember {
            address: address.to_owned(),
            group,
            shared: shared.clone(),
            joins,
            partition,
            delays: Delays(u64::from(partition) + 7),
            member_id: String::new(),
            generation: None,
            acknowledged: -1,
            sent: -1,
            account: Account::default(),
        };
        std::thread::spawn(move || {
            while !member.shared.is(Mood::Over) {
                // The broker is killed; what it has acknowledged is not.
                let _ = member.live();
                std::thread::sleep(PAUSE);
            }
            member.account
        })
    }

    fn live(&mut self) -> std::io::Result<()> {
        let mut connection = Connection::open(&self.address)?;
        self.account.connections += 1;
        let request = FindCoordinatorRequest { key: text(self.group), ..Default::default() };
        let _ = connection.call(2, &request)?;
        self.check_committed(&mut connection)?;
        while !self.shared.is(Mood::Over) {
            if self.joins && self.generation.is_none() {
                self.enter(&mut connection)?;
                continue;
            }
            // Of a hundred.
            match self.delays.next(100).as_millis() {
                0..70 => self.commit(&mut connection)?,
                70..85 => self.check_committed(&mut connection)?,
                85..95 => self.heartbeat(&mut connection)?,
                95..98 => self.leave(&mut connection)?,
                _ => self.rejoin(),
            }
        }
        self.check_committed(&mut connection)?;
        match self.generation {
            Some(_) => self.say_goodbye(&mut connection),
            None => Ok(()),
        }
    }

    fn enter(&mut self, connection: &mut Connection) -> std::io::Result<()> {
        let protocol = JoinGroupRequestProtocol {
            name: Text::from_static("range"),
            // Version 0, of topic "t", and nothing for its assignor.
            metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff"),
        };
        let request = JoinGroupRequest {
            group_id: text(self.group),
            session_timeout_ms: 6000,
            rebalance_timeout_ms: 3000,
            member_id: text(&self.member_id),
            protocol_type: Text::from_static("consumer"),
            protocols: vec![protocol],
            ..Default::default()
        };
        let joined = connection.call(9, &request)?;
        match joined.error_code {
            ErrorCode::None => self.sync(connection, &joined),
            ErrorCode::MemberIdRequired => {
                self.member_id = joined.member_id.to_string();
                Ok(())
            }
            code => {
                self.is_refused(code);
                Ok(())
            }
        }
    }

    fn sync(
        &mut self,
        connection: &mut Connection,
        joined: &JoinGroupResponse,
    ) -> std::io::Result<()> {
        self.account.joins += 1;
        let members: BTreeSet<String> =
            joined.members.iter().map(|member| member.member_id.to_string()).collect();
        let mut generations =
            self.shared.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.note(joined.generation_id, &joined.leader, &joined.member_id, members.clone());
        drop(generations);
        let assignments = members.iter().map(|member| SyncGroupRequestAssignment {
            member_id: text(member),
            assignment: Bytes::from(format!("for {member}")),
        });
        let request = SyncGroupRequest {
            group_id: text(self.group),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            assignments: assignments.collect(),
            ..Default::default()
        };
        let synced = connection.call(5, &request)?;
        if synced.error_code.is_error() {
            self.is_refused(synced.error_code);
        } else {
            assert_eq!(synced.assignment, format!("for {}", &*joined.member_id));
            self.generation = Some(joined.generation_id);
        }
        Ok(())
    }

    /// What it does about an answer that is none. Whatever else comes is the broker's mistake.
    fn is_refused(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::UnknownMemberId => self.forget(),
            ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress => self.generation = None,
            code => {
                assert!(code.is_retriable(), "{code}");
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn forget(&mut self) {
        self.member_id.clear();
        self.generation = None;
    }

    fn rejoin(&mut self) {
        if self.joins && self.shared.is(Mood::Restless) {
            self.generation = None;
        }
    }

    fn leave(&mut self, connection: &mut Connection) -> std::io::Result<()> {
        match self.joins && self.shared.is(Mood::Restless) {
            true => self.say_goodbye(connection),
            false => Ok(()),
        }
    }

    fn say_goodbye(&mut self, connection: &mut Connection) -> std::io::Result<()> {
        let members =
            vec![MemberIdentity { member_id: text(&self.member_id), ..Default::default() }];
        let request =
            LeaveGroupRequest { group_id: text(self.group), members, ..Default::default() };
        let left = connection.call(5, &request)?;
        if left.error_code.is_error() {
            self.is_refused(left.error_code);
        } else {
            self.account.leaves += 1;
            self.forget();
        }
        Ok(())
    }

    fn heartbeat(&mut self, connection: &mut Connection) -> std::io::Result<()> {
        let Some(generation_id) = self.generation else { return Ok(()) };
        let request = HeartbeatRequest {
            group_id: text(self.group),
            generation_id,
            member_id: text(&self.member_id),
            ..Default::default()
        };
        let code = connection.call(4, &request)?.error_code;
        if code.is_error() {
            self.is_refused(code);
        }
        Ok(())
    }

    fn commit(&mut self, connection: &mut Connection) -> std::io::Result<()> {
        self.sent += 1;
        let partition_index = PartitionIndex(i32::try_from(self.partition).expect("it is small"));
        let partition = OffsetCommitRequestPartition {
            partition_index,
            committed_offset: Offset(self.sent),
            committed_leader_epoch: LeaderEpoch(-1),
            committed_metadata: Some(Text::from_static("raw")),
        };
        let topic = OffsetCommitRequestTopic { name: text(TOPIC), partitions: vec![partition] };
        let member_id = if self.generation.is_some() { text(&self.member_id) } else { text("") };
        let request = OffsetCommitRequest {
            group_id: text(self.group),
            generation_id_or_member_epoch: self.generation.unwrap_or(-1),
            member_id,
            topics: vec![topic],
            ..Default::default()
        };
        let response = connection.call(8, &request)?;
        match response.topics[0].partitions[0].error_code {
            ErrorCode::None => {
                self.acknowledged = self.sent;
                self.account.commits += 1;
            }
            code => {
                self.account.refused_commits += 1;
                self.is_refused(code);
            }
        }
        Ok(())
    }

    /// Of commits that have no answer, any may have come to pass.
    fn check_committed(&mut self, connection: &mut Connection) -> std::io::Result<()> {
        let Some(committed) = connection.committed(self.group, &[self.partition])? else {
            return Ok(());
        };
        if committed[0] < self.acknowledged || self.sent < committed[0] {
            self.account.complaints.push(format!(
                "{} {}: {} is committed; {} was acknowledged, {} was sent",
                self.group, self.partition, committed[0], self.acknowledged, self.sent
            ));
        }
        // What was seen stays.
        self.acknowledged = self.acknowledged.max(committed[0]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, Generations};

    /// Each is a generation, its leader, who is told, and, to the leader, the members.
    #[track_caller]
    fn check(told: &[(i32, &str, &str, &[&str])], complaints: usize) {
        let mut generations = Generations::default();
        for (number, leader, member, members) in told {
            let members: BTreeSet<String> = members.iter().map(|it| (*it).to_owned()).collect();
            generations.note(*number, leader, member, members);
        }
        let found = generations.judge();
        assert_eq!(found.len(), complaints, "{found:?}");
    }

    #[test]
    fn a_generation_that_is_told_for_another_is_found() {
        check(&[(1, "a", "a", &["a", "b"]), (1, "a", "b", &[]), (2, "b", "b", &["b"])], 0);
        check(&[(1, "a", "a", &["a", "b"]), (1, "a", "a", &["a", "b"])], 0);
        check(&[(1, "a", "a", &["a"]), (1, "b", "a", &[])], 1);
        check(&[(1, "a", "a", &["a"]), (1, "a", "a", &["a", "b"])], 1);
        check(&[(1, "a", "a", &["a"]), (1, "a", "b", &[])], 1);
    }
}
