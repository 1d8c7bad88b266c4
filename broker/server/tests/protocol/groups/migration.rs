//! Groups with members go from one protocol to the other.

use bytes::Bytes;
use wire::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, ErrorCode, JoinGroupRequest,
    ListGroupsRequest, SyncGroupRequest,
};

use super::consumers::{beat, joining, owned, partitions};
use super::offsets::commit;
use super::{alone, find_coordinator, heartbeat, join, start, sync, sync_with, text, until_loaded};
use crate::support::{Client, Directory};

/// Of topic "t", as consumers give and get it.
fn assignment(numbers: &[i32]) -> Bytes {
    let mut bytes = b"\0\0\0\0\0\x01\0\x01t".to_vec();
    bytes.extend(u32::try_from(numbers.len()).unwrap().to_be_bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    bytes.extend((-1_i32).to_be_bytes());
    Bytes::from(bytes)
}

fn synced(client: &mut Client, request: &SyncGroupRequest) -> Bytes {
    let synced = client.call(5, request);
    assert_eq!(synced.error_code, ErrorCode::None);
    synced.assignment
}

/// One member that has both partitions: its id and its generation.
fn with_both(client: &mut Client, group: &str) -> (String, i32) {
    let joined = client.call(3, &join(group, ""));
    let member = joined.member_id.to_string();
    let mut request = sync_with(group, &member, joined.generation_id, &[&member]);
    request.assignments[0].assignment = assignment(&[0, 1]);
    assert_eq!(synced(client, &request), assignment(&[0, 1]));
    (member, joined.generation_id)
}

/// Of each member its kind, by the epoch that it has come to.
fn kinds(client: &mut Client) -> Vec<(i32, i8)> {
    let request = ConsumerGroupDescribeRequest { group_ids: vec![text("g")], ..Default::default() };
    let described = client.call(1, &request).groups.remove(0);
    assert_eq!(described.error_code, ErrorCode::None);
    let members = described.members.iter();
    let mut kinds: Vec<_> = members.map(|it| (it.member_epoch, it.member_type)).collect();
    kinds.sort_unstable();
    kinds
}

fn listed(client: &mut Client) -> String {
    let listed = client.call(5, &ListGroupsRequest::default());
    let group = listed.groups.iter().find(|group| *group.group_id == *"g").unwrap();
    group.group_type.to_string()
}

fn restarted(directory: &Directory) -> (crate::support::Broker, Client) {
    let broker = start(directory, 0);
    let mut client = broker.connect();
    until_loaded(&mut client);
    (broker, client)
}

#[test]
fn g16_a_group_with_members_goes_to_the_other_protocol_and_back_also_through_kills() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    client.auto_create("t");
    let more = crate::partitions::more("t", 2);
    client.call(3, &crate::partitions::request(vec![more]));
    find_coordinator(&mut client);
    let (member, generation) = with_both(&mut client, "g");
    let first = commit("g", &member, generation, &[("t", 0, 7)]);
    assert_eq!(client.call(9, &first).topics[0].partitions[0].error_code, ErrorCode::None);
    let told = client.call(1, &joining("g", "b", "t"));
    assert_eq!((told.error_code, told.member_epoch), (ErrorCode::None, generation + 1));
    assert!(partitions(&told).is_empty(), "the other one has everything");
    assert_eq!(kinds(&mut client), [(generation, 0), (generation + 1, 1)]);
    assert_eq!(listed(&mut client), "consumer");
    let request = DescribeGroupsRequest { groups: vec![text("g")], ..Default::default() };
    let described = client.call(6, &request).groups.remove(0);
    assert_eq!(described.error_code, ErrorCode::GroupIdNotFound);

    broker.kill();
    let (broker, mut client) = restarted(&directory);
    assert_eq!(kinds(&mut client), [(generation, 0), (generation + 1, 1)]);
    let asked = heartbeat(&mut client, "g", &member, generation);
    assert_eq!(asked, ErrorCode::RebalanceInProgress);
    let joined = client.call(9, &join("g", &member));
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, generation + 1));
    assert_eq!((&*joined.leader, joined.protocol_name.as_deref()), ("", Some("range")));
    let half = synced(&mut client, &sync("g", &member, generation + 1));
    let told = client.call(1, &beat("g", "b", generation + 1));
    let other = partitions(&told);
    let numbers: Vec<i32> = [0, 1].into_iter().filter(|number| other[0].1 != *number).collect();
    assert_eq!((other.len(), half), (1, assignment(&numbers)));
    assert_eq!(heartbeat(&mut client, "g", &member, generation + 1), ErrorCode::None);

    // The last one that only sends heartbeats goes.
    let still = wire::ConsumerGroupHeartbeatRequest {
        topic_partitions: owned(&other),
        ..beat("g", "b", generation + 1)
    };
    assert_eq!(client.call(1, &still).error_code, ErrorCode::None);
    assert_eq!(client.call(1, &beat("g", "b", -1)).error_code, ErrorCode::None);
    assert_eq!(listed(&mut client), "classic");
    broker.kill();
    let (broker, mut client) = restarted(&directory);
    let asked = heartbeat(&mut client, "g", &member, generation + 1);
    assert_eq!(asked, ErrorCode::RebalanceInProgress);
    let joined = client.call(9, &join("g", &member));
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, generation + 2));
    assert_eq!(*joined.leader, *member);
    let request =
        wire::OffsetFetchRequest { group_id: text("g"), topics: None, ..Default::default() };
    let fetched = client.call(7, &request);
    assert_eq!(fetched.topics[0].partitions[0].committed_offset, model::Offset(7));
    broker.stop();
}

#[test]
fn g17_what_cannot_go_to_the_other_protocol_stays_as_it_is() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    client.auto_create("t");
    find_coordinator(&mut client);
    // An assignment that only its assignor understands.
    let (member, generation) = alone(&mut client, "custom");
    let refused = client.call(1, &joining("custom", "b", "t"));
    assert_eq!(refused.error_code, ErrorCode::GroupIdNotFound);
    assert_eq!(heartbeat(&mut client, "custom", &member, generation), ErrorCode::None);

    let epoch = client.call(1, &joining("g", "b", "t")).member_epoch;
    let connect = JoinGroupRequest { protocol_type: text("connect"), ..join("g", "") };
    let mut damaged = join("g", "");
    damaged.protocols[0].metadata = Bytes::from_static(b"\0");
    for request in [connect, damaged] {
        let refused = client.call(9, &request);
        assert_eq!(refused.error_code, ErrorCode::InconsistentGroupProtocol);
    }
    let given = client.call(9, &join("g", ""));
    assert_eq!(given.error_code, ErrorCode::MemberIdRequired);
    assert_eq!(kinds(&mut client), [(epoch, 1)]);
    let joined = client.call(9, &join("g", &given.member_id));
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, epoch + 1));
    let member = joined.member_id.to_string();
    assert_eq!(heartbeat(&mut client, "g", &member, epoch), ErrorCode::IllegalGeneration);
    assert_eq!(heartbeat(&mut client, "g", "b", epoch), ErrorCode::UnknownMemberId);
    let late = commit("g", &member, epoch, &[("t", 0, 1)]);
    let code = client.call(8, &late).topics[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::IllegalGeneration);
    broker.stop();
}
