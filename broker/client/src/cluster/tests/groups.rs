//! Tests of what is asked about groups, from outside of them.

use wire::consumer_group_describe::{Assignment, DescribedGroup, Member, TopicPartitions};
use wire::delete_groups::DeletableGroupResult;
use wire::find_coordinator::Coordinator;
use wire::list_groups;
use wire::offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use wire::offset_delete::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use wire::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use wire::{
    ConsumerGroupDescribeResponse, DeleteGroupsResponse, DescribeGroupsResponse,
    FindCoordinatorResponse, ListGroupsResponse, OffsetCommitResponse, OffsetDeleteResponse,
    OffsetFetchResponse, describe_groups,
};

use super::*;
use crate::consumer_protocol::{self, Partitions, Subscription};
use crate::testing::{GROUP, cluster_up_to, coordinator};

/// As [`cluster_up_to`], of a broker that looks after all groups.
async fn coordinator_up_to(
    limits: &'static [(ApiKey, i16)],
    mut script: impl FnMut(RequestHeader, Request) -> Vec<Act> + 'static,
) -> Cluster {
    cluster_up_to(limits, move |header, request, brokers| match request {
        Request::FindCoordinator(request) => coordinator(header, &request, 0, brokers[0]),
        request => script(header, request),
    })
    .await
}

fn partitions(indexes: &[i32]) -> Partitions {
    [(TOPIC.to_owned(), indexes.iter().copied().map(PartitionIndex).collect())].into()
}

fn offsets(of_partitions: &[(i32, i64)]) -> GroupOffsets {
    let of_topic = of_partitions
        .iter()
        .map(|&(partition, offset)| (PartitionIndex(partition), Committed::at(Offset(offset))));
    [(TOPIC.to_owned(), of_topic.collect())].into()
}

#[test]
fn a_coordinator_is_looked_up_in_old_and_new_versions_and_remembered() {
    run(async {
        for limits in [&[][..], &[(ApiKey::FindCoordinator, 3)], &[(ApiKey::FindCoordinator, 0)]] {
            let (asked, count) = counter();
            let cluster = cluster_up_to(limits, move |header, request, brokers| {
                let Request::FindCoordinator(request) = request else {
                    unreachable!("{request:?}")
                };
                count();
                coordinator(header, &request, 7, brokers[0])
            })
            .await;
            assert_eq!(cluster.coordinator(GROUP).await.unwrap(), BrokerId(7));
            assert_eq!(cluster.coordinator(GROUP).await.unwrap(), BrokerId(7));
            assert_eq!(asked.get(), 1, "{limits:?}");
            // It is told where that broker is, so it can be asked.
            assert!(cluster.connection(BrokerId(7)).await.is_ok());
        }
    });
}

#[test]
fn a_coordinator_that_is_not_there_yet_is_waited_for_and_one_that_is_refused_is_not() {
    run(async {
        let (asked, count) = counter();
        let answers = asked.clone();
        let cluster = cluster_of_one(move |header, request, brokers| {
            let Request::FindCoordinator(request) = request else { unreachable!("{request:?}") };
            count();
            let error_code = match answers.get() {
                1 => ErrorCode::CoordinatorNotAvailable,
                2 => return coordinator(header, &request, 0, brokers[0]),
                _ => ErrorCode::InvalidGroupId,
            };
            let error_message = Some(Text::from_static("as it is"));
            let found = Coordinator { error_code, error_message, ..Default::default() };
            let coordinators = vec![found];
            answer(header, FindCoordinatorResponse { coordinators, ..Default::default() })
        })
        .await;
        assert_eq!(cluster.coordinator(GROUP).await.unwrap(), BrokerId(0));
        let error = cluster.coordinator("another").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "FindCoordinator of group another is refused: INVALID_GROUP_ID (24) (as it is)"
        );
        assert_eq!(asked.get(), 3);
    });
}

#[test]
fn a_coordinator_that_says_that_it_is_none_is_looked_up_again() {
    run(async {
        let looked_up = Rc::new(Cell::new(0));
        let brokers: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
        let script = |own: i32| {
            let (looked_up, brokers) = (looked_up.clone(), brokers.clone());
            move |header: RequestHeader, request| match request {
                Request::Metadata(_) => metadata(header, &brokers.borrow(), 0),
                Request::FindCoordinator(request) => {
                    let found = looked_up.replace(looked_up.get() + 1).min(1);
                    let address = brokers.borrow()[usize::try_from(found).unwrap()];
                    coordinator(header, &request, found, address)
                }
                Request::DeleteGroups(_) => {
                    let error_code =
                        if own == 1 { ErrorCode::None } else { ErrorCode::NotCoordinator };
                    let results = vec![DeletableGroupResult { error_code, ..Default::default() }];
                    answer(header, DeleteGroupsResponse { results, ..Default::default() })
                }
                other => unreachable!("not asked for: {other:?}"),
            }
        };
        let first = modern_broker(script(0)).await;
        let second = modern_broker(script(1)).await;
        *brokers.borrow_mut() = vec![first, second];
        let cluster = cluster(first).await;
        cluster.delete_group(GROUP).await.unwrap();
        assert_eq!(looked_up.get(), 2);
        cluster.delete_group(GROUP).await.unwrap();
        assert_eq!(looked_up.get(), 2);
    });
}

/// What a broker lists that is asked for these, in the version in which it is asked.
fn listed(header: RequestHeader, request: &wire::ListGroupsRequest, name: &str) -> Vec<Act> {
    let mut group = list_groups::ListedGroup {
        group_id: Text::from(name.to_owned()),
        protocol_type: Text::from_static("consumer"),
        ..Default::default()
    };
    if 4 <= header.api_version {
        group.group_state = request.states_filter.first().cloned().unwrap_or("Empty".into());
    }
    if 5 <= header.api_version {
        group.group_type = Text::from_static("consumer");
    }
    answer(header, ListGroupsResponse { groups: vec![group], ..Default::default() })
}

#[test]
fn groups_of_all_brokers_are_listed_in_the_order_of_their_names() {
    run(async {
        let brokers: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
        let script = |name: &'static str| {
            let (brokers, is_loaded) = (brokers.clone(), Cell::new(name != "a"));
            move |header: RequestHeader, request| match request {
                Request::Metadata(_) => metadata(header, &brokers.borrow(), 0),
                Request::ListGroups(_) if !is_loaded.replace(true) => {
                    let error_code = ErrorCode::CoordinatorLoadInProgress;
                    answer(header, ListGroupsResponse { error_code, ..Default::default() })
                }
                Request::ListGroups(request) => listed(header, &request, name),
                other => unreachable!("not asked for: {other:?}"),
            }
        };
        let first = modern_broker(script("b")).await;
        let second = modern_broker(script("a")).await;
        *brokers.borrow_mut() = vec![first, second];
        let cluster = cluster(first).await;
        let filter = GroupFilter { states: vec!["Stable".to_owned()], types: vec![] };
        let groups = cluster.list_groups(&filter).await.unwrap();
        let group = |name: &str| ListedGroup {
            name: name.to_owned(),
            protocol_type: "consumer".to_owned(),
            state: Some("Stable".to_owned()),
            group_type: "consumer".to_owned(),
        };
        assert_eq!(groups, [group("a"), group("b")]);
    });
}

#[test]
fn brokers_that_know_only_classic_groups_list_them() {
    run(async {
        const OLD: &[(ApiKey, i16)] = &[(ApiKey::ListGroups, 3)];
        let script = |header, request, _: &[SocketAddr]| match request {
            Request::ListGroups(request) => listed(header, &request, GROUP),
            other => unreachable!("not asked for: {other:?}"),
        };
        let cluster = cluster_up_to(OLD, script).await;
        let of_type = |name: &str| GroupFilter { states: vec![], types: vec![name.to_owned()] };
        let groups = cluster.list_groups(&of_type("Classic")).await.unwrap();
        assert_eq!((groups[0].state.as_ref(), groups[0].group_type.as_str()), (None, "classic"));
        assert_eq!(cluster.list_groups(&of_type("consumer")).await.unwrap(), []);
        let filter = GroupFilter { states: vec!["Stable".to_owned()], types: vec![] };
        let error = cluster.list_groups(&filter).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the broker is too old for the states of groups: it speaks ListGroups up to version 3, \
             and 4 is needed"
        );
    });
}

/// A classic group with a member whose subscription and assignment are these bytes.
fn classic(state: &'static str, metadata: &[u8], assignment: &[u8]) -> DescribeGroupsResponse {
    let member = describe_groups::DescribedGroupMember {
        member_id: Text::from_static("m-1"),
        client_id: Text::from_static("app"),
        client_host: Text::from_static("/127.0.0.1"),
        member_metadata: Bytes::copy_from_slice(metadata),
        member_assignment: Bytes::copy_from_slice(assignment),
        ..Default::default()
    };
    let group = describe_groups::DescribedGroup {
        group_id: Text::from_static(GROUP),
        group_state: Text::from_static(state),
        protocol_type: Text::from_static("consumer"),
        protocol_data: Text::from_static("range"),
        members: if state == "Dead" { vec![] } else { vec![member] },
        ..Default::default()
    };
    DescribeGroupsResponse { groups: vec![group], ..Default::default() }
}

/// A member as it is described, with what it reads.
fn member(topics: Option<&[&str]>, partitions: Option<Partitions>) -> GroupMember {
    GroupMember {
        id: "m-1".to_owned(),
        instance: None,
        client_id: "app".to_owned(),
        host: "/127.0.0.1".to_owned(),
        topics: topics.map(|topics| topics.iter().map(|&topic| topic.to_owned()).collect()),
        partitions,
    }
}

#[test]
fn a_classic_group_is_described_down_to_what_its_members_read() {
    run(async {
        let topics = vec![TOPIC.to_owned()];
        let metadata = Subscription { topics, ..Default::default() }.write();
        let assigned =
            consumer_protocol::Assignment { partitions: partitions(&[0, 2]), ..Default::default() };
        let responses = RefCell::new(vec![
            classic("Stable", b"\xff", b"\0"),
            classic("PreparingRebalance", b"", b""),
            classic("Stable", &metadata, &assigned.write()),
        ]);
        let cluster =
            coordinator_up_to(&[(ApiKey::ConsumerGroupDescribe, -1)], move |header, request| {
                match request {
                    Request::DescribeGroups(request) => {
                        assert_eq!(request.groups, [Text::from_static(GROUP)]);
                        answer(header, responses.borrow_mut().pop().unwrap())
                    }
                    other => unreachable!("not asked for: {other:?}"),
                }
            })
            .await;
        let mut expected = GroupDescription {
            name: GROUP.to_owned(),
            group_type: "classic".to_owned(),
            protocol_type: "consumer".to_owned(),
            state: "Stable".to_owned(),
            assignor: Some("range".to_owned()),
            epoch: None,
            coordinator: BrokerId(0),
            members: vec![member(Some(&[TOPIC]), Some(partitions(&[0, 2])))],
        };
        assert_eq!(cluster.describe_group(GROUP).await.unwrap(), expected);
        expected.state = "PreparingRebalance".to_owned();
        expected.members = vec![member(None, Some(Partitions::new()))];
        assert_eq!(cluster.describe_group(GROUP).await.unwrap(), expected);
        // What cannot be read is not shown, and the rest is.
        expected.state = "Stable".to_owned();
        expected.members = vec![member(None, None)];
        assert_eq!(cluster.describe_group(GROUP).await.unwrap(), expected);
    });
}

#[test]
fn a_group_of_the_consumer_protocol_is_described_by_its_own_api() {
    run(async {
        let cluster = coordinator_up_to(&[], |header, request| {
            let Request::ConsumerGroupDescribe(_) = request else { unreachable!("{request:?}") };
            let reads = TopicPartitions {
                topic_name: Text::from_static(TOPIC),
                partitions: vec![PartitionIndex(1)],
                ..Default::default()
            };
            let member = Member {
                member_id: Text::from_static("m-1"),
                client_id: Text::from_static("app"),
                client_host: Text::from_static("/127.0.0.1"),
                subscribed_topic_names: vec![Text::from_static(TOPIC)],
                assignment: Assignment { topic_partitions: vec![reads] },
                ..Default::default()
            };
            let group = DescribedGroup {
                group_state: Text::from_static("Reconciling"),
                group_epoch: 4,
                assignor_name: Text::from_static("uniform"),
                members: vec![member],
                ..Default::default()
            };
            let groups = vec![group];
            answer(header, ConsumerGroupDescribeResponse { groups, ..Default::default() })
        })
        .await;
        let described = cluster.describe_group(GROUP).await.unwrap();
        let expected = GroupDescription {
            name: GROUP.to_owned(),
            group_type: "consumer".to_owned(),
            protocol_type: "consumer".to_owned(),
            state: "Reconciling".to_owned(),
            assignor: Some("uniform".to_owned()),
            epoch: Some(4),
            coordinator: BrokerId(0),
            members: vec![member(Some(&[TOPIC]), Some(partitions(&[1])))],
        };
        assert_eq!(described, expected);
    });
}

#[test]
fn a_group_that_is_not_there_is_told_whatever_the_broker_says() {
    run(async {
        for error_code in [ErrorCode::GroupIdNotFound, ErrorCode::UnsupportedVersion] {
            let cluster = coordinator_up_to(&[], move |header, request| match request {
                Request::ConsumerGroupDescribe(_) => {
                    let groups = vec![DescribedGroup { error_code, ..Default::default() }];
                    answer(header, ConsumerGroupDescribeResponse { groups, ..Default::default() })
                }
                Request::DescribeGroups(_) => answer(header, classic("Dead", b"", b"")),
                other => unreachable!("not asked for: {other:?}"),
            })
            .await;
            let error = cluster.describe_group(GROUP).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "DescribeGroups of group billing is refused: GROUP_ID_NOT_FOUND (69)"
            );
        }
    });
}

#[test]
fn a_deletion_that_may_have_been_done_is_not_asked_for_again() {
    run(async {
        let (asked, count) = counter();
        let cluster = coordinator_up_to(&[], move |header, request| {
            let Request::DeleteGroups(request) = request else { unreachable!("{request:?}") };
            count();
            if request.groups_names == [Text::from_static(GROUP)] {
                return vec![Act::Close];
            }
            let error_code = ErrorCode::NonEmptyGroup;
            let results = vec![DeletableGroupResult { error_code, ..Default::default() }];
            answer(header, DeleteGroupsResponse { results, ..Default::default() })
        })
        .await;
        let error = cluster.delete_group(GROUP).await.unwrap_err();
        assert_eq!(error.to_string(), "the broker closed the connection");
        assert_eq!(asked.get(), 1);
    });
}

/// The answer to a request for offsets, in the version in which it is asked.
fn told(header: RequestHeader, request: &wire::OffsetFetchRequest, code: ErrorCode) -> Vec<Act> {
    let partition = |index, offset, error_code| OffsetFetchResponsePartition {
        partition_index: PartitionIndex(index),
        committed_offset: Offset(offset),
        metadata: Some(Text::from_static("")),
        error_code,
        ..Default::default()
    };
    let of_topic = [partition(0, 42, code), partition(1, -1, ErrorCode::None)];
    let name = Text::from_static(TOPIC);
    let mut response = OffsetFetchResponse::default();
    if header.api_version < 8 {
        assert_eq!(request.group_id, GROUP);
        response.topics = vec![OffsetFetchResponseTopic { name, partitions: of_topic.into() }];
    } else {
        assert_eq!(request.groups[0].group_id, GROUP);
        let of_topic = of_topic.map(|it| OffsetFetchResponsePartitions {
            partition_index: it.partition_index,
            committed_offset: it.committed_offset,
            metadata: it.metadata,
            error_code: it.error_code,
            ..Default::default()
        });
        let topic = OffsetFetchResponseTopics { name, partitions: of_topic.into() };
        let topics = vec![topic];
        response.groups = vec![OffsetFetchResponseGroup { topics, ..Default::default() }];
    }
    answer(header, response)
}

#[test]
fn committed_offsets_are_told_in_every_version_and_what_is_not_committed_is_not_there() {
    run(async {
        for limits in [&[][..], &[(ApiKey::OffsetFetch, 7)], &[(ApiKey::OffsetFetch, 1)]] {
            let is_first = Cell::new(true);
            let cluster = coordinator_up_to(limits, move |header, request| {
                let Request::OffsetFetch(request) = request else { unreachable!("{request:?}") };
                // A transaction is about to set the offset, and then it has.
                let code = match is_first.replace(false) {
                    true => ErrorCode::UnstableOffsetCommit,
                    false => ErrorCode::None,
                };
                told(header, &request, code)
            })
            .await;
            let some = partitions(&[0, 1]);
            let told = cluster.committed_offsets(GROUP, Some(&some)).await.unwrap();
            assert_eq!(told, offsets(&[(0, 42)]), "{limits:?}");
            let all = cluster.committed_offsets(GROUP, None).await;
            if limits.contains(&(ApiKey::OffsetFetch, 1)) {
                assert_eq!(
                    all.unwrap_err().to_string(),
                    "the broker is too old for all offsets of a group: it speaks OffsetFetch up to \
                     version 1, and 2 is needed"
                );
            } else {
                assert_eq!(all.unwrap(), told, "{limits:?}");
            }
        }
    });
}

#[test]
fn offsets_are_set_from_outside_of_the_group() {
    run(async {
        let (asked, count) = counter();
        let answers = asked.clone();
        let cluster = coordinator_up_to(&[], move |header, request| {
            let Request::OffsetCommit(request) = request else { unreachable!("{request:?}") };
            count();
            assert_eq!(
                (request.generation_id_or_member_epoch, request.member_id.as_str()),
                (-1, "")
            );
            let partitions = request.topics[0].partitions.iter().map(|partition| {
                assert_eq!(partition.committed_offset, Offset(42));
                OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: match answers.get() {
                        1 => ErrorCode::CoordinatorLoadInProgress,
                        2 => ErrorCode::None,
                        3 => ErrorCode::UnknownMemberId,
                        _ => ErrorCode::UnknownTopicOrPartition,
                    },
                }
            });
            let name = request.topics[0].name.clone();
            let topics = vec![OffsetCommitResponseTopic { name, partitions: partitions.collect() }];
            answer(header, OffsetCommitResponse { topics, ..Default::default() })
        })
        .await;
        let offsets = offsets(&[(3, 42)]);
        cluster.commit_offsets(GROUP, &offsets).await.unwrap();
        assert_eq!(asked.get(), 2);
        for code in ["UNKNOWN_MEMBER_ID (25)", "UNKNOWN_TOPIC_OR_PARTITION (3)"] {
            let error = cluster.commit_offsets(GROUP, &offsets).await.unwrap_err();
            let expected = "OffsetCommit of group billing, topic orders, partition 3 is refused: ";
            assert_eq!(error.to_string(), format!("{expected}{code}"));
        }
        assert_eq!(asked.get(), 4);
    });
}

#[test]
fn offsets_are_forgotten() {
    run(async {
        let cluster = coordinator_up_to(&[], |header, request| {
            let Request::OffsetDelete(request) = request else { unreachable!("{request:?}") };
            let asked = &request.topics[0].partitions;
            let partitions = asked.iter().map(|partition| OffsetDeleteResponsePartition {
                partition_index: partition.partition_index,
                error_code: match partition.partition_index {
                    PartitionIndex(0) => ErrorCode::None,
                    _ => ErrorCode::GroupSubscribedToTopic,
                },
            });
            let name = request.topics[0].name.clone();
            let topics = vec![OffsetDeleteResponseTopic { name, partitions: partitions.collect() }];
            answer(header, OffsetDeleteResponse { topics, ..Default::default() })
        })
        .await;
        cluster.delete_offsets(GROUP, &partitions(&[0])).await.unwrap();
        let error = cluster.delete_offsets(GROUP, &partitions(&[0, 1])).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "OffsetDelete of group billing, topic orders, partition 1 is refused: \
             GROUP_SUBSCRIBED_TO_TOPIC (86)"
        );
    });
}

#[test]
fn a_cluster_is_described_with_its_brokers_and_its_controller() {
    run(async {
        let cluster = cluster_of_one(|_, request, _| unreachable!("not asked for: {request:?}"));
        let described = cluster.await.describe_cluster().await.unwrap();
        assert_eq!((described.id, described.controller), (None, Some(BrokerId(0))));
        assert_eq!((described.brokers[0].id, described.brokers.len()), (BrokerId(0), 1));
    });
}
