//! Offsets that are committed, asked for, deleted, and kept.

use model::{LeaderEpoch, Offset, PartitionIndex};
use wire::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use wire::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire::{ErrorCode, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, Text};

use super::{alone, find_coordinator, leave, start, text, until_loaded};
use crate::support::{Client, Directory};

pub(crate) fn commit(
    group: &str,
    member: &str,
    generation: i32,
    offsets: &[(&str, i32, i64)],
) -> OffsetCommitRequest {
    let topics = offsets.iter().map(|(topic, partition, offset)| OffsetCommitRequestTopic {
        name: text(topic),
        partitions: vec![OffsetCommitRequestPartition {
            partition_index: PartitionIndex(*partition),
            committed_offset: Offset(*offset),
            committed_leader_epoch: LeaderEpoch(3),
            committed_metadata: Some(text("note")),
        }],
    });
    OffsetCommitRequest {
        group_id: text(group),
        generation_id_or_member_epoch: generation,
        member_id: text(member),
        topics: topics.collect(),
        ..Default::default()
    }
}

fn codes(client: &mut Client, version: i16, request: &OffsetCommitRequest) -> Vec<ErrorCode> {
    let response = client.call(version, request);
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.error_code).collect()
}

/// Offset, leader epoch and note of partitions of one topic, at any version.
fn committed(
    client: &mut Client,
    version: i16,
    group: &str,
    topic: &str,
    partitions: &[i32],
) -> Vec<(i64, i32, String)> {
    let partition_indexes: Vec<_> = partitions.iter().map(|it| PartitionIndex(*it)).collect();
    if 8 <= version {
        let topics = vec![OffsetFetchRequestTopics { name: text(topic), partition_indexes }];
        let asked = OffsetFetchRequestGroup {
            group_id: text(group),
            topics: Some(topics),
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![asked], ..Default::default() };
        let response = client.call(version, &request);
        assert_eq!(response.groups[0].error_code, ErrorCode::None);
        let partitions = response.groups[0].topics[0].partitions.iter();
        return partitions
            .map(|it| {
                let note = it.metadata.as_ref().unwrap().to_string();
                (it.committed_offset.0, it.committed_leader_epoch.0, note)
            })
            .collect();
    }
    let topics = vec![OffsetFetchRequestTopic { name: text(topic), partition_indexes }];
    let request =
        OffsetFetchRequest { group_id: text(group), topics: Some(topics), ..Default::default() };
    let response = client.call(version, &request);
    assert_eq!(response.error_code, ErrorCode::None);
    let partitions = response.topics[0].partitions.iter();
    partitions
        .map(|it| {
            let note = it.metadata.as_ref().unwrap().to_string();
            (it.committed_offset.0, it.committed_leader_epoch.0, note)
        })
        .collect()
}

/// Every version, for a group of its own. Its topic has one partition at least.
pub(crate) fn check_at(client: &mut Client, api: wire::ApiKey, version: i16, topic: &str) {
    let group = format!("{api}-{version}");
    let at = |wanted: wire::ApiKey, otherwise: i16| if api == wanted { version } else { otherwise };
    let (commit_at, fetch_at) =
        (at(wire::ApiKey::OffsetCommit, 9), at(wire::ApiKey::OffsetFetch, 9));
    let request = commit(&group, "", -1, &[(topic, 0, 5)]);
    assert_eq!(codes(client, commit_at, &request), [ErrorCode::None]);
    let leader_epoch = if 6 <= commit_at && 5 <= fetch_at { 3 } else { -1 };
    let found = committed(client, fetch_at, &group, topic, &[0, 7]);
    assert_eq!(found, [(5, leader_epoch, "note".to_owned()), (-1, -1, String::new())]);
    let request = delete(&group, &[(topic, 0)]);
    assert_eq!(client.call(0, &request).error_code, ErrorCode::None);
    assert_eq!(committed(client, fetch_at, &group, topic, &[0])[0].0, -1);
}

fn delete(group: &str, partitions: &[(&str, i32)]) -> OffsetDeleteRequest {
    let topics = partitions.iter().map(|(topic, partition)| OffsetDeleteRequestTopic {
        name: text(topic),
        partitions: vec![OffsetDeleteRequestPartition {
            partition_index: PartitionIndex(*partition),
        }],
    });
    OffsetDeleteRequest { group_id: text(group), topics: topics.collect() }
}

#[test]
fn g8_offsets_are_committed_by_members_of_the_generation_and_by_nobody_only_without_members() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    client.auto_create("t");
    find_coordinator(&mut client);
    let check = |client: &mut Client, member: &str, generation: i32, expected: ErrorCode| {
        let before = committed(client, 8, "g", "t", &[0]);
        let request = commit("g", member, generation, &[("t", 0, 100)]);
        assert_eq!(codes(client, 8, &request), [expected]);
        if expected.is_error() {
            assert_eq!(committed(client, 8, "g", "t", &[0]), before, "{expected}");
        }
    };
    check(&mut client, "", 3, ErrorCode::IllegalGeneration);
    let request = commit("g", "", 3, &[("t", 0, 1)]);
    assert_eq!(codes(&mut client, 9, &request), [ErrorCode::GroupIdNotFound]);
    check(&mut client, "", -1, ErrorCode::None);
    let (member, generation) = alone(&mut client, "g");
    check(&mut client, "", -1, ErrorCode::UnknownMemberId);
    check(&mut client, "x", generation, ErrorCode::UnknownMemberId);
    check(&mut client, &member, generation + 1, ErrorCode::IllegalGeneration);
    check(&mut client, &member, generation, ErrorCode::None);
    let mut fenced = commit("g", &member, generation, &[("t", 0, 7)]);
    fenced.group_instance_id = Some(text("i"));
    assert_eq!(codes(&mut client, 9, &fenced), [ErrorCode::UnknownMemberId]);
    // Each partition is judged by itself.
    let mut several =
        commit("g", &member, generation, &[("t", 0, 1), ("none", 0, 2), ("t", 1, 3), ("t", 0, 9)]);
    several.topics[0].partitions[0].committed_metadata = Some(Text::from("x".repeat(4097)));
    let expected = [
        ErrorCode::OffsetMetadataTooLarge,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::None,
    ];
    assert_eq!(codes(&mut client, 8, &several), expected);
    assert_eq!(committed(&mut client, 8, "g", "t", &[0])[0].0, 9);
    assert_eq!(committed(&mut client, 8, "no such group", "t", &[0])[0].0, -1);
}

#[test]
fn g9_offsets_that_were_acknowledged_are_there_after_a_kill_with_their_notes() {
    let directory = Directory::new();
    for round in 0..3_i64 {
        let broker = start(&directory, 0);
        let mut client = broker.connect();
        client.auto_create("t");
        find_coordinator(&mut client);
        until_loaded(&mut client);
        if 0 < round {
            let expected = (10 * round + 9, 3, "note".to_owned());
            assert_eq!(committed(&mut client, 9, "g", "t", &[0]), [expected]);
        }
        for offset in 0..10 {
            let request = commit("g", "", -1, &[("t", 0, 10 * (round + 1) + offset)]);
            assert_eq!(codes(&mut client, 9, &request), [ErrorCode::None]);
        }
        broker.kill();
    }
}

#[test]
fn g10_all_offsets_of_a_group_and_those_of_several_groups_are_asked_for_at_once() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    for topic in ["t", "u"] {
        client.auto_create(topic);
    }
    find_coordinator(&mut client);
    for (group, topic) in [("a", "t"), ("a", "u"), ("b", "u")] {
        assert_eq!(
            codes(&mut client, 9, &commit(group, "", -1, &[(topic, 0, 4)])),
            [ErrorCode::None]
        );
    }
    for version in 2..=7 {
        let request =
            OffsetFetchRequest { group_id: text("a"), topics: None, ..Default::default() };
        let response = client.call(version, &request);
        let names: Vec<&str> = response.topics.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(names, ["t", "u"]);
        let nothing = OffsetFetchRequest { topics: Some(Vec::new()), ..request };
        assert!(client.call(version, &nothing).topics.is_empty());
    }
    let all = |group: &str| OffsetFetchRequestGroup {
        group_id: text(group),
        topics: None,
        ..Default::default()
    };
    let groups = vec![all("b"), all("a"), all("none")];
    let request = OffsetFetchRequest { groups, require_stable: true, ..Default::default() };
    let response = client.call(8, &request);
    let counts: Vec<(&str, usize)> =
        response.groups.iter().map(|group| (group.group_id.as_str(), group.topics.len())).collect();
    assert_eq!(counts, [("b", 1), ("a", 2), ("none", 0)]);
    assert!(response.groups.iter().all(|group| !group.error_code.is_error()));
}

#[test]
fn g11_offsets_of_topics_that_are_read_stay_and_those_of_deleted_topics_go() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    for topic in ["t", "u"] {
        client.auto_create(topic);
    }
    find_coordinator(&mut client);
    let both = commit("g", "", -1, &[("t", 0, 4), ("u", 0, 5)]);
    assert_eq!(codes(&mut client, 9, &both), [ErrorCode::None; 2]);
    let (member, _) = alone(&mut client, "g");
    let deleted = client.call(0, &delete("g", &[("t", 0), ("u", 0), ("none", 0)]));
    let outcomes: Vec<ErrorCode> =
        deleted.topics.iter().map(|topic| topic.partitions[0].error_code).collect();
    let expected =
        [ErrorCode::GroupSubscribedToTopic, ErrorCode::None, ErrorCode::UnknownTopicOrPartition];
    assert_eq!(outcomes, expected);
    assert_eq!(committed(&mut client, 9, "g", "t", &[0])[0].0, 4);
    assert_eq!(committed(&mut client, 9, "g", "u", &[0])[0].0, -1);
    let unknown = client.call(0, &delete("h", &[("t", 0)])).error_code;
    assert_eq!(unknown, ErrorCode::GroupIdNotFound);
    leave(&mut client, "g", &member);
    let request = wire::DeleteTopicsRequest { topic_names: vec![text("t")], ..Default::default() };
    assert_eq!(client.call(4, &request).responses[0].error_code, ErrorCode::None);
    client.auto_create("t");
    assert_eq!(committed(&mut client, 9, "g", "t", &[0])[0].0, -1);
}
