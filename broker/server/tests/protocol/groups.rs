//! Groups of consumers by the classic protocol, and their offsets.

mod admin;
mod consumers;
mod migration;
mod offsets;

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::PartitionIndex;
use wire::join_group::JoinGroupRequestProtocol;
use wire::leave_group::MemberIdentity;
use wire::sync_group::SyncGroupRequestAssignment;
use wire::{
    ApiKey, DescribeGroupsRequest, ErrorCode, FindCoordinatorRequest, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest, SyncGroupResponse,
    Text,
};

use crate::support::{Broker, Client, Directory};

/// A broker whose groups begin after so long.
pub(crate) fn start(directory: &Directory, delay_ms: u64) -> Broker {
    let config = directory.0.join("groups.toml");
    let text = format!("[groups]\ninitial-rebalance-delay-ms = {delay_ms}\n");
    std::fs::write(&config, text).unwrap();
    Broker::start(&directory.data(), &["--cores", "2", "--config", path(&config)])
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn find_coordinator(client: &mut Client) {
    let request = FindCoordinatorRequest { key: text("g"), ..Default::default() };
    assert_eq!(client.call(0, &request).error_code, ErrorCode::None);
}

fn text(text: &str) -> Text {
    Text::from(text.to_owned())
}

pub(crate) fn join(group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: text(group),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: text(member),
        protocol_type: text("consumer"),
        protocols: vec![JoinGroupRequestProtocol {
            name: text("range"),
            // Version 0, of topic "t", and nothing for its assignor.
            metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff"),
        }],
        ..Default::default()
    }
}

pub(crate) fn sync(group: &str, member: &str, generation: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: text(group),
        generation_id: generation,
        member_id: text(member),
        ..Default::default()
    }
}

pub(crate) fn sync_with(
    group: &str,
    member: &str,
    generation: i32,
    assigned: &[&str],
) -> SyncGroupRequest {
    let assignments = assigned.iter().map(|member| SyncGroupRequestAssignment {
        member_id: text(member),
        assignment: Bytes::from(format!("for {member}")),
    });
    SyncGroupRequest { assignments: assignments.collect(), ..sync(group, member, generation) }
}

pub(crate) fn heartbeat(
    client: &mut Client,
    group: &str,
    member: &str,
    generation_id: i32,
) -> ErrorCode {
    let (group_id, member_id) = (text(group), text(member));
    let request = HeartbeatRequest { group_id, member_id, generation_id, group_instance_id: None };
    client.call(4, &request).error_code
}

pub(crate) fn leave(client: &mut Client, group: &str, member: &str) -> ErrorCode {
    let members = vec![MemberIdentity { member_id: text(member), ..Default::default() }];
    let request = LeaveGroupRequest { group_id: text(group), members, ..Default::default() };
    let response = client.call(5, &request);
    assert_eq!(response.error_code, ErrorCode::None);
    response.members[0].error_code
}

/// One member that has assigned everything to itself: its id and its generation.
pub(crate) fn alone(client: &mut Client, group: &str) -> (String, i32) {
    let joined = client.call(3, &join(group, ""));
    assert_eq!(joined.error_code, ErrorCode::None);
    let member = joined.member_id.to_string();
    let synced = client.call(5, &sync_with(group, &member, joined.generation_id, &[&member]));
    assert_eq!(synced.error_code, ErrorCode::None);
    assert_eq!(synced.assignment, format!("for {member}"));
    (member, joined.generation_id)
}

/// Every version, for a group of its own. There is a topic "every".
pub(crate) fn check_at(client: &mut Client, api: ApiKey, version: i16) {
    match api {
        ApiKey::FindCoordinator => find_coordinator(client),
        ApiKey::JoinGroup | ApiKey::SyncGroup | ApiKey::Heartbeat | ApiKey::LeaveGroup => {
            check_members_at(client, api, version);
        }
        ApiKey::OffsetCommit | ApiKey::OffsetFetch | ApiKey::OffsetDelete => {
            offsets::check_at(client, api, version, "every");
        }
        ApiKey::DescribeGroups | ApiKey::ListGroups | ApiKey::DeleteGroups => {
            admin::check_at(client, api, version);
        }
        ApiKey::ConsumerGroupHeartbeat | ApiKey::ConsumerGroupDescribe => {
            consumers::check_at(client, api, version, "every");
        }
        other => unreachable!("{other} does not concern groups"),
    }
}

fn check_members_at(client: &mut Client, api: ApiKey, version: i16) {
    let group = format!("{api}-{version}");
    match api {
        ApiKey::JoinGroup => {
            let mut joined = client.call(version, &join(&group, ""));
            if 4 <= version {
                assert_eq!(joined.error_code, ErrorCode::MemberIdRequired);
                assert_eq!(joined.generation_id, -1);
                joined = client.call(version, &join(&group, &joined.member_id));
            }
            assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 1));
            assert_eq!(joined.protocol_name.as_deref(), Some("range"));
            assert_eq!(joined.leader, joined.member_id);
            assert_eq!(joined.members[0].metadata, join("", "").protocols[0].metadata);
            assert!(joined.member_id.starts_with("test-"), "{:?}", joined.member_id);
        }
        ApiKey::SyncGroup => {
            let joined = client.call(3, &join(&group, ""));
            let member = &joined.member_id;
            let synced = client.call(version, &sync_with(&group, member, 1, &[member]));
            assert_eq!(synced.assignment, format!("for {}", &**member));
            if 5 <= version {
                let (protocol_type, name) = (synced.protocol_type, synced.protocol_name);
                assert_eq!(protocol_type.as_deref(), Some("consumer"));
                assert_eq!(name.as_deref(), Some("range"));
            }
        }
        ApiKey::Heartbeat => {
            let (member, generation_id) = alone(client, &group);
            let (group_id, member_id) = (text(&group), text(&member));
            let request =
                HeartbeatRequest { group_id, member_id, generation_id, group_instance_id: None };
            assert_eq!(client.call(version, &request).error_code, ErrorCode::None);
        }
        ApiKey::LeaveGroup => {
            let (member, _) = alone(client, &group);
            let members = vec![MemberIdentity { member_id: text(&member), ..Default::default() }];
            let mut request = LeaveGroupRequest { group_id: text(&group), ..Default::default() };
            match version < 3 {
                true => request.member_id = text(&member),
                false => request.members = members,
            }
            let left = client.call(version, &request);
            assert_eq!(left.error_code, ErrorCode::None);
            assert!(left.members.iter().all(|member| member.error_code == ErrorCode::None));
            assert_eq!(left.members.len(), usize::from(3 <= version));
            assert_eq!(leave(client, &group, &member), ErrorCode::UnknownMemberId);
        }
        other => unreachable!("{other} is checked elsewhere"),
    }
}

#[test]
fn g1_whoever_asks_for_a_coordinator_finds_this_broker_and_the_topic_is_made() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    // Nobody has asked yet.
    let early = client.call(3, &join("g", ""));
    assert_eq!(early.error_code, ErrorCode::NotCoordinator);
    let metadata = |client: &mut Client| {
        client.call(9, &wire::MetadataRequest { topics: None, ..Default::default() })
    };
    assert!(metadata(&mut client).topics.is_empty());
    for version in 0..=6 {
        let keys = vec![text("g"), text("h")];
        let request = match version < 4 {
            true => FindCoordinatorRequest { key: text("g"), ..Default::default() },
            false => FindCoordinatorRequest { coordinator_keys: keys, ..Default::default() },
        };
        let found = client.call(version, &request);
        let port = i32::from(broker.address.port());
        if version < 4 {
            assert_eq!((found.error_code, found.node_id.0, found.port), (ErrorCode::None, 1, port));
        } else {
            let keys: Vec<&str> = found.coordinators.iter().map(|it| it.key.as_str()).collect();
            assert_eq!(keys, ["g", "h"]);
            assert!(
                found.coordinators.iter().all(|it| it.port == port && !it.error_code.is_error())
            );
        }
    }
    let topics = metadata(&mut client).topics;
    let offsets = &topics[0];
    assert_eq!(offsets.name.as_deref(), Some("__consumer_offsets"));
    assert!(offsets.is_internal);
    assert_eq!(offsets.partitions.len(), 50);
    let configs = crate::topics::describe(&mut client, 4, 2, "__consumer_offsets").configs;
    let value = |name: &str| {
        let config = configs.iter().find(|config| config.name == *name).unwrap();
        config.value.clone().unwrap().to_string()
    };
    assert_eq!((value("cleanup.policy"), value("flush.messages")), ("compact".into(), "1".into()));
    // Of what there is none yet, and of what there is none at all.
    for (key_type, code) in
        [(1, ErrorCode::TransactionalIdAuthorizationFailed), (7, ErrorCode::InvalidRequest)]
    {
        let request = FindCoordinatorRequest { key: text("x"), key_type, ..Default::default() };
        assert_eq!(client.call(2, &request).error_code, code);
    }
}

#[test]
fn g2_who_is_no_member_or_of_another_generation_is_told_so_and_changes_nothing() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    find_coordinator(&mut client);
    let (member, generation) = alone(&mut client, "g");
    let unchanged = |client: &mut Client| {
        assert_eq!(heartbeat(client, "g", &member, generation), ErrorCode::None);
    };
    assert_eq!(heartbeat(&mut client, "g", "x", generation), ErrorCode::UnknownMemberId);
    assert_eq!(heartbeat(&mut client, "h", &member, generation), ErrorCode::UnknownMemberId);
    assert_eq!(heartbeat(&mut client, "", &member, generation), ErrorCode::InvalidGroupId);
    for other in [generation - 1, generation + 1, -1, i32::MAX] {
        assert_eq!(heartbeat(&mut client, "g", &member, other), ErrorCode::IllegalGeneration);
        let synced = client.call(5, &sync_with("g", &member, other, &[]));
        assert_eq!(synced.error_code, ErrorCode::IllegalGeneration);
    }
    let mut wrong = sync("g", &member, generation);
    wrong.protocol_name = Some(text("roundrobin"));
    assert_eq!(client.call(5, &wrong).error_code, ErrorCode::InconsistentGroupProtocol);
    assert_eq!(client.call(5, &sync("g", "x", 1)).error_code, ErrorCode::UnknownMemberId);
    unchanged(&mut client);
    let refused = |client: &mut Client, request: &JoinGroupRequest| -> JoinGroupResponse {
        let response = client.call(9, request);
        assert_eq!((response.generation_id, response.members.len()), (-1, 0));
        response
    };
    let none = JoinGroupRequest { protocols: Vec::new(), ..join("g", "") };
    let other = JoinGroupRequest { protocol_type: text("connect"), ..join("g", "") };
    for request in [none, other] {
        let code = refused(&mut client, &request).error_code;
        assert_eq!(code, ErrorCode::InconsistentGroupProtocol);
    }
    for session_timeout_ms in [0, 5999, 1_800_001, -1] {
        let request = JoinGroupRequest { session_timeout_ms, ..join("g", "") };
        let code = refused(&mut client, &request).error_code;
        assert_eq!(code, ErrorCode::InvalidSessionTimeout);
    }
    assert_eq!(refused(&mut client, &join("", "")).error_code, ErrorCode::InvalidGroupId);
    let unknown = refused(&mut client, &join("g", "x"));
    assert_eq!((unknown.error_code, &*unknown.member_id), (ErrorCode::UnknownMemberId, "x"));
    let fenced = JoinGroupRequest { group_instance_id: Some(text("i")), ..join("g", &member) };
    assert_eq!(refused(&mut client, &fenced).error_code, ErrorCode::UnknownMemberId);
    unchanged(&mut client);
    assert_eq!(leave(&mut client, "g", "x"), ErrorCode::UnknownMemberId);
    let nobody = LeaveGroupRequest { group_id: text("h"), ..Default::default() };
    assert_eq!(client.call(5, &nobody).error_code, ErrorCode::UnknownMemberId);
    unchanged(&mut client);
}

#[test]
fn g3_members_agree_on_a_generation_and_get_what_their_leader_gives() {
    let directory = Directory::new();
    let broker = start(&directory, 500);
    let mut clients: Vec<Client> = (0..3).map(|_| broker.connect()).collect();
    find_coordinator(&mut clients[0]);
    for client in &mut clients {
        client.send(3, &join("g", ""));
    }
    let joined: Vec<JoinGroupResponse> =
        clients.iter_mut().map(|client| client.receive::<JoinGroupRequest>(3).1).collect();
    assert!(joined.iter().all(|it| it.generation_id == 1));
    let leads = |it: &JoinGroupResponse| it.leader == it.member_id;
    let leader = joined.iter().position(leads).unwrap();
    assert!(joined.iter().all(|it| it.leader == joined[leader].member_id));
    let ids: Vec<String> = joined.iter().map(|it| it.member_id.to_string()).collect();
    let members = &joined[leader].members;
    let told: Vec<&str> = members.iter().map(|member| &*member.member_id).collect();
    assert_eq!(told.len(), 3);
    assert!(ids.iter().all(|id| told.contains(&id.as_str())));
    assert!(joined.iter().all(|it| leads(it) || it.members.is_empty()));
    // Before the leader has spoken the others wait, and one that it leaves out gets nothing.
    for (client, id) in clients.iter_mut().zip(&ids).filter(|(_, id)| **id != ids[leader]) {
        client.send(5, &sync("g", id, 1));
    }
    let assigned = sync_with("g", &ids[leader], 1, &[&ids[0], &ids[1]]);
    clients[leader].send(5, &assigned);
    let synced: Vec<SyncGroupResponse> =
        clients.iter_mut().map(|client| client.receive::<SyncGroupRequest>(5).1).collect();
    assert_eq!(synced[0].assignment, format!("for {}", ids[0]));
    assert_eq!(synced[1].assignment, format!("for {}", ids[1]));
    assert!(synced[2].assignment.is_empty() && !synced[2].error_code.is_error());
}

#[test]
fn g4_a_generation_that_was_told_is_never_given_out_again() {
    let directory = Directory::new();
    let mut last = 0;
    for _ in 0..4 {
        let broker = start(&directory, 0);
        let mut client = broker.connect();
        find_coordinator(&mut client);
        let begun = Instant::now();
        // Who was a member before has not left; its session or its rebalance has to end first.
        let joined = loop {
            let request = JoinGroupRequest { rebalance_timeout_ms: 500, ..join("g", "") };
            let joined = client.call(3, &request);
            if !joined.error_code.is_error() {
                break joined;
            }
            assert!(joined.error_code.is_retriable(), "{}", joined.error_code);
            assert!(begun.elapsed() < Duration::from_secs(30));
        };
        assert!(last < joined.generation_id, "{last} then {}", joined.generation_id);
        last = joined.generation_id;
        // Nothing is assigned yet.
        broker.kill();
    }
}

#[test]
fn g5_members_go_on_after_a_kill_without_a_rebalance() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    find_coordinator(&mut client);
    let (member, generation) = alone(&mut client, "g");
    broker.kill();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    until_loaded(&mut client);
    assert_eq!(heartbeat(&mut client, "g", &member, generation), ErrorCode::None);
    let synced = client.call(5, &sync("g", &member, generation));
    assert_eq!(synced.assignment, format!("for {member}"));
    assert_eq!(leave(&mut client, "g", &member), ErrorCode::None);
}

/// Groups answer when their log has been read.
pub(crate) fn until_loaded(client: &mut Client) {
    let begun = Instant::now();
    while heartbeat(client, "g", "nobody", 0) == ErrorCode::CoordinatorLoadInProgress {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn g6_a_join_that_waits_ends_with_the_broker_and_leaves_nothing_when_its_connection_ends() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    find_coordinator(&mut client);
    let (member, generation) = alone(&mut client, "g");
    let mut waiting = broker.connect();
    waiting.send(3, &join("g", ""));
    let begun = Instant::now();
    while heartbeat(&mut client, "g", &member, generation) == ErrorCode::None {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    drop(waiting);
    let mut waiting = broker.connect();
    waiting.send(3, &join("g", ""));
    let groups = vec![text("g")];
    let described = DescribeGroupsRequest { groups, ..Default::default() };
    while client.call(5, &described).groups[0].members.len() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    // The broker does not wait for the rebalance's end.
    let stopping = Instant::now();
    assert!(broker.stop().success());
    assert!(stopping.elapsed() < Duration::from_secs(5));
    let (_, answer) = waiting.receive::<JoinGroupRequest>(3);
    assert!(answer.error_code.is_retriable(), "{}", answer.error_code);
}

#[test]
fn g7_nobody_but_the_broker_writes_to_the_topic_of_groups() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    find_coordinator(&mut client);
    let batch = crate::support::batch(
        &[b"v"],
        crate::support::now_ms(),
        model::record_batch::ProducerStamp::NONE,
    );
    let produced = client.call(9, &crate::support::produce("__consumer_offsets", 0, -1, batch));
    let answer = &produced.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, ErrorCode::InvalidTopicException);
    let more = crate::partitions::more("__consumer_offsets", 60);
    let response = client.call(3, &crate::partitions::request(vec![more]));
    assert_eq!(response.results[0].error_code, ErrorCode::InvalidTopicException);
    let response = client.call(2, &crate::deletions::request("__consumer_offsets", &[(0, 0)]));
    assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::InvalidTopicException);
    assert_eq!(response.topics[0].partitions[0].partition_index, PartitionIndex(0));
}
