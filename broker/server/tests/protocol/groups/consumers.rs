//! Groups by the protocol of KIP-848.

use model::{PartitionIndex, TopicId};
use wire::consumer_group_heartbeat::TopicPartitions;
use wire::{
    ApiKey, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, ErrorCode,
};

use super::offsets::commit;
use super::{find_coordinator, join, start, text, until_loaded};
use crate::support::{Client, Directory};

pub(super) fn beat(group: &str, member: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: text(group),
        member_id: text(member),
        member_epoch,
        ..Default::default()
    }
}

pub(super) fn joining(group: &str, member: &str, topic: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec![text(topic)]),
        topic_partitions: Some(Vec::new()),
        ..beat(group, member, 0)
    }
}

pub(super) fn partitions(response: &ConsumerGroupHeartbeatResponse) -> Vec<(TopicId, i32)> {
    let assignment = response.assignment.as_ref().unwrap();
    let topics = assignment.topic_partitions.iter();
    let all = topics.flat_map(|topic| topic.partitions.iter().map(|it| (topic.topic_id, it.0)));
    all.collect()
}

pub(super) fn owned(partitions: &[(TopicId, i32)]) -> Option<Vec<TopicPartitions>> {
    let topics = partitions.iter().map(|(topic_id, index)| TopicPartitions {
        topic_id: *topic_id,
        partitions: vec![PartitionIndex(*index)],
    });
    Some(topics.collect())
}

/// Every version, for a group of its own.
pub(crate) fn check_at(client: &mut Client, api: ApiKey, version: i16, topic: &str) {
    let group = format!("{api}-{version}");
    let at = if api == ApiKey::ConsumerGroupHeartbeat { version } else { 1 };
    // Before version 1 a member is given an id.
    let id = if at == 0 { "" } else { "m" };
    let told = client.call(at, &joining(&group, id, topic));
    assert_eq!((told.error_code, told.member_epoch), (ErrorCode::None, 1));
    assert!(!told.member_id.as_ref().unwrap().is_empty());
    assert!(!partitions(&told).is_empty());
    if api == ApiKey::ConsumerGroupDescribe {
        let group_ids = vec![text(&group)];
        let request = ConsumerGroupDescribeRequest { group_ids, ..Default::default() };
        let described = client.call(version, &request).groups.remove(0);
        assert_eq!((&*described.group_state, &*described.assignor_name), ("Stable", "uniform"));
        assert_eq!(described.members[0].assignment.topic_partitions[0].topic_name, *topic);
    }
}

#[test]
fn g14_the_broker_assigns_and_a_partition_is_one_members_at_a_time() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    client.auto_create("t");
    let more = crate::partitions::more("t", 4);
    client.call(3, &crate::partitions::request(vec![more]));
    find_coordinator(&mut client);
    let first = client.call(1, &joining("g", "a", "t"));
    let all = partitions(&first);
    assert_eq!((first.member_epoch, all.len()), (1, 4));
    assert_eq!(first.heartbeat_interval_ms, 5000);
    let second = client.call(1, &joining("g", "b", "t"));
    assert!(partitions(&second).is_empty());
    let kept = partitions(&client.call(1, &beat("g", "a", 1)));
    assert_eq!(kept.len(), 2);
    let nothing_yet = client.call(1, &beat("g", "b", second.member_epoch));
    assert!(nothing_yet.assignment.is_none());
    let gave_up =
        ConsumerGroupHeartbeatRequest { topic_partitions: owned(&kept), ..beat("g", "a", 1) };
    assert_eq!(client.call(1, &gave_up).member_epoch, second.member_epoch);
    let got = partitions(&client.call(1, &beat("g", "b", second.member_epoch)));
    let mut both = [kept.clone(), got].concat();
    both.sort_unstable();
    assert_eq!(both, all);
    // All of it is there after a kill.
    broker.kill();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    until_loaded(&mut client);
    let told = client.call(1, &beat("g", "a", second.member_epoch));
    assert_eq!((told.error_code, told.assignment), (ErrorCode::None, None));
    let full = ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec![text("t")]),
        topic_partitions: owned(&kept),
        ..beat("g", "a", second.member_epoch)
    };
    assert_eq!(partitions(&client.call(1, &full)), kept);
}

#[test]
fn g15_what_a_member_may_not_do_is_told_by_kafkas_error_and_changes_nothing() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    client.auto_create("t");
    find_coordinator(&mut client);
    client.call(1, &joining("g", "a", "t"));
    let ok = joining("g", "b", "t");
    let with = |change: &dyn Fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = ok.clone();
        change(&mut request);
        request
    };
    let cases = [
        (beat("g", "a", 2), ErrorCode::FencedMemberEpoch),
        (beat("g", "x", 1), ErrorCode::UnknownMemberId),
        (beat("h", "a", 1), ErrorCode::GroupIdNotFound),
        (beat("", "a", 1), ErrorCode::InvalidRequest),
        (beat("g", "", 0), ErrorCode::InvalidRequest),
        (beat("g", "a", -3), ErrorCode::InvalidRequest),
        (beat("g", "a", -2), ErrorCode::InvalidRequest),
        (with(&|it| it.server_assignor = Some(text("x"))), ErrorCode::UnsupportedAssignor),
        (
            with(&|it| it.subscribed_topic_regex = Some(text("("))),
            ErrorCode::InvalidRegularExpression,
        ),
        (with(&|it| it.topic_partitions = None), ErrorCode::InvalidRequest),
        (with(&|it| it.rebalance_timeout_ms = -1), ErrorCode::InvalidRequest),
        (with(&|it| it.subscribed_topic_names = None), ErrorCode::InvalidRequest),
    ];
    for (request, expected) in cases {
        let refused = client.call(1, &request);
        assert_eq!(refused.error_code, expected, "{request:?}");
        assert!(refused.error_message.is_some());
        let unchanged = client.call(1, &beat("g", "a", 1));
        assert_eq!((unchanged.error_code, unchanged.assignment), (ErrorCode::None, None));
    }
    let code = |client: &mut Client, version: i16, epoch: i32| {
        let response = client.call(version, &commit("g", "a", epoch, &[("t", 0, 1)]));
        response.topics[0].partitions[0].error_code
    };
    assert_eq!(code(&mut client, 9, 1), ErrorCode::None);
    assert_eq!(code(&mut client, 9, 3), ErrorCode::StaleMemberEpoch);
    assert_eq!(code(&mut client, 8, 3), ErrorCode::UnsupportedVersion);
    let request =
        ConsumerGroupDescribeRequest { group_ids: vec![text("none")], ..Default::default() };
    let missing = client.call(1, &request).groups.remove(0);
    assert_eq!(missing.error_code, ErrorCode::GroupIdNotFound);
    assert_eq!(client.call(1, &beat("g", "a", -1)).member_epoch, -1);
    let joined = client.call(3, &join("g", ""));
    assert_eq!(joined.error_code, ErrorCode::None);
    assert!(2 < joined.generation_id, "numbers go on");
}
