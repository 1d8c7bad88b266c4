//! What the members of groups and their coordinator say to each other.

use bytes::Bytes;
use expect_test::expect;
use model::{LeaderEpoch, Offset, PartitionIndex, TopicId};

use super::{check_request, check_response};
use crate::consumer_group_heartbeat::{Assignment, TopicPartitions};
use crate::join_group::JoinGroupResponseMember;
use crate::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use crate::{
    ConsumerGroupHeartbeatResponse, ErrorCode, JoinGroupResponse, OffsetFetchResponse,
    SyncGroupResponse,
};

#[test]
fn a_new_member_joins_with_version_5() {
    check_request(
        "00000046
         000b 0005 00000004      # JoinGroup 5, correlation id 4
         0007 72646b61666b61     # client id: rdkafka
         0001 67                 # group g
         0000afc8 000493e0       # session timeout 45 s, rebalance timeout 5 min
         0000 ffff               # no member id yet, no static member
         0008 636f6e73756d6572   # protocol type: consumer
         00000001 0005 72616e6765 # one protocol: range
         0000000d                # 13 bytes for the leader, here a subscription:
         0000 00000001 0001 74 ffffffff # version 0, topic t, no user data",
        expect![[r#"
            RequestHeader {
                api_key: JoinGroup,
                api_version: 5,
                correlation_id: 4,
                client_id: Some(
                    "rdkafka",
                ),
            }
            JoinGroup(
                JoinGroupRequest {
                    group_id: "g",
                    session_timeout_ms: 45000,
                    rebalance_timeout_ms: 300000,
                    member_id: "",
                    group_instance_id: None,
                    protocol_type: "consumer",
                    protocols: [
                        JoinGroupRequestProtocol {
                            name: "range",
                            metadata: b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff",
                        },
                    ],
                    reason: None,
                },
            )"#]],
    );
}

#[test]
fn the_leader_of_a_group_hears_of_all_members() {
    let response = JoinGroupResponse {
        generation_id: 1,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: "m".into(),
        member_id: "m".into(),
        members: vec![JoinGroupResponseMember {
            member_id: "m".into(),
            group_instance_id: None,
            metadata: Bytes::from_static(b"ab"),
        }],
        ..JoinGroupResponse::default()
    };
    check_response(
        response,
        9,
        4,
        "0000002c
         00000004 00             # correlation id 4, no tagged fields
         00000000 0000 00000001  # throttle time, no error, generation 1
         09 636f6e73756d6572     # consumer
         06 72616e6765           # range
         02 6d                   # the leader: m
         00                      # it is to assign
         02 6d                   # m is who reads this
         02 02 6d 00 03 6162 00  # one member: m, not static, 2 bytes of metadata
         00",
    );
}

#[test]
fn who_could_not_join_with_version_1_hears_no_throttle_time() {
    let response = JoinGroupResponse {
        error_code: ErrorCode::UnknownMemberId,
        member_id: "m".into(),
        ..JoinGroupResponse::default()
    };
    check_response(
        response,
        1,
        4,
        "00000015
         00000004                # correlation id 4
         0019                    # UNKNOWN_MEMBER_ID
         ffffffff                # no generation
         0000 0000               # no protocol, no leader
         0001 6d 00000000        # m is who reads this; no members",
    );
}

#[test]
fn a_leader_hands_in_assignments_with_version_5() {
    check_request(
        "0000002c
         000e 0005 00000005      # SyncGroup 5, correlation id 5
         ffff 00                 # no client id, no tagged fields
         02 67 00000001 02 6d 00 # group g, generation 1, member m, not static
         09 636f6e73756d6572     # consumer
         06 72616e6765           # range
         02 02 6d 04 616263 00   # one assignment: 3 bytes for m
         00",
        expect![[r#"
            RequestHeader {
                api_key: SyncGroup,
                api_version: 5,
                correlation_id: 5,
                client_id: None,
            }
            SyncGroup(
                SyncGroupRequest {
                    group_id: "g",
                    generation_id: 1,
                    member_id: "m",
                    group_instance_id: None,
                    protocol_type: Some(
                        "consumer",
                    ),
                    protocol_name: Some(
                        "range",
                    ),
                    assignments: [
                        SyncGroupRequestAssignment {
                            member_id: "m",
                            assignment: b"abc",
                        },
                    ],
                },
            )"#]],
    );
}

#[test]
fn an_assignment_in_version_3_has_a_length_of_4_bytes() {
    let response = SyncGroupResponse {
        assignment: Bytes::from_static(b"abc"),
        ..SyncGroupResponse::default()
    };
    check_response(
        response,
        3,
        5,
        "00000011
         00000005                # correlation id 5
         00000000 0000           # throttle time, no error
         00000003 616263         # 3 bytes",
    );
}

#[test]
fn offsets_are_committed_from_outside_with_version_2() {
    check_request(
        "00000034
         0008 0002 00000006      # OffsetCommit 2, correlation id 6
         ffff                    # no client id
         0001 67 ffffffff 0000   # group g, no generation, no member
         ffffffffffffffff        # kept for as long as the broker likes
         00000001 0001 74        # one topic: t
         00000001                # one partition:
         00000000 000000000000002a ffff # 0, offset 42, no metadata",
        expect![[r#"
            RequestHeader {
                api_key: OffsetCommit,
                api_version: 2,
                correlation_id: 6,
                client_id: None,
            }
            OffsetCommit(
                OffsetCommitRequest {
                    group_id: "g",
                    generation_id_or_member_epoch: -1,
                    member_id: "",
                    group_instance_id: None,
                    retention_time_ms: -1,
                    topics: [
                        OffsetCommitRequestTopic {
                            name: "t",
                            partitions: [
                                OffsetCommitRequestPartition {
                                    partition_index: PartitionIndex(
                                        0,
                                    ),
                                    committed_offset: Offset(
                                        42,
                                    ),
                                    committed_leader_epoch: LeaderEpoch(
                                        -1,
                                    ),
                                    committed_metadata: None,
                                },
                            ],
                        },
                    ],
                },
            )"#]],
    );
}

#[test]
fn a_member_commits_offsets_with_version_8() {
    check_request(
        "0000002c
         0008 0008 00000006      # OffsetCommit 8, correlation id 6
         ffff 00                 # no client id, no tagged fields
         02 67 00000001 02 6d 00 # group g, generation 1, member m, not static
         02 02 74                # one topic: t
         02                      # one partition:
         00000000 000000000000002a # 0, offset 42
         00000007 01 00          # leader epoch 7, empty metadata
         00                      # end of the topic
         00",
        expect![[r#"
            RequestHeader {
                api_key: OffsetCommit,
                api_version: 8,
                correlation_id: 6,
                client_id: None,
            }
            OffsetCommit(
                OffsetCommitRequest {
                    group_id: "g",
                    generation_id_or_member_epoch: 1,
                    member_id: "m",
                    group_instance_id: None,
                    retention_time_ms: -1,
                    topics: [
                        OffsetCommitRequestTopic {
                            name: "t",
                            partitions: [
                                OffsetCommitRequestPartition {
                                    partition_index: PartitionIndex(
                                        0,
                                    ),
                                    committed_offset: Offset(
                                        42,
                                    ),
                                    committed_leader_epoch: LeaderEpoch(
                                        7,
                                    ),
                                    committed_metadata: Some(
                                        "",
                                    ),
                                },
                            ],
                        },
                    ],
                },
            )"#]],
    );
}

#[test]
fn offsets_of_two_groups_are_fetched_with_version_8() {
    check_request(
        "00000022
         0009 0008 00000007      # OffsetFetch 8, correlation id 7
         ffff 00                 # no client id, no tagged fields
         03                      # two groups:
         02 67 02 02 74          # g, one topic: t
         03 00000000 00000001 00 # partitions 0 and 1
         00                      # end of g
         02 68 00 00             # h, all topics: null
         01                      # stable offsets only
         00",
        expect![[r#"
            RequestHeader {
                api_key: OffsetFetch,
                api_version: 8,
                correlation_id: 7,
                client_id: None,
            }
            OffsetFetch(
                OffsetFetchRequest {
                    group_id: "",
                    topics: Some(
                        [],
                    ),
                    groups: [
                        OffsetFetchRequestGroup {
                            group_id: "g",
                            member_id: None,
                            member_epoch: -1,
                            topics: Some(
                                [
                                    OffsetFetchRequestTopics {
                                        name: "t",
                                        partition_indexes: [
                                            PartitionIndex(
                                                0,
                                            ),
                                            PartitionIndex(
                                                1,
                                            ),
                                        ],
                                    },
                                ],
                            ),
                        },
                        OffsetFetchRequestGroup {
                            group_id: "h",
                            member_id: None,
                            member_epoch: -1,
                            topics: None,
                        },
                    ],
                    require_stable: true,
                },
            )"#]],
    );
}

#[test]
fn where_a_group_has_no_offset_it_is_minus_one() {
    let partition = |index, offset, epoch| OffsetFetchResponsePartitions {
        partition_index: PartitionIndex(index),
        committed_offset: Offset(offset),
        committed_leader_epoch: LeaderEpoch(epoch),
        ..OffsetFetchResponsePartitions::default()
    };
    let topic = OffsetFetchResponseTopics {
        name: "t".into(),
        partitions: vec![partition(0, 42, 7), partition(1, -1, -1)],
    };
    let group = OffsetFetchResponseGroup {
        group_id: "g".into(),
        topics: vec![topic],
        error_code: ErrorCode::None,
    };
    check_response(
        OffsetFetchResponse { groups: vec![group], ..OffsetFetchResponse::default() },
        8,
        7,
        "0000003d
         00000007 00             # correlation id 7, no tagged fields
         00000000                # throttle time
         02 02 67                # one group: g
         02 02 74                # one topic: t
         03                      # two partitions:
         00000000 000000000000002a 00000007 01 0000 00 # 0, offset 42, epoch 7, empty metadata
         00000001 ffffffffffffffff ffffffff 01 0000 00 # 1, none
         00                      # end of the topic
         0000 00                 # no error; end of the group
         00",
    );
}

#[test]
fn a_member_of_the_consumer_protocol_joins_by_its_first_heartbeat() {
    check_request(
        "00000020
         0044 0001 00000008      # ConsumerGroupHeartbeat 1, correlation id 8
         ffff 00                 # no client id, no tagged fields
         02 67 02 6d 00000000    # group g, member m, epoch 0: it joins
         00 00 000493e0          # not static, no rack, rebalance timeout 5 min
         02 02 74                # topic t
         00 00                   # no regular expression, any assignor
         01                      # it reads nothing yet
         00",
        expect![[r#"
            RequestHeader {
                api_key: ConsumerGroupHeartbeat,
                api_version: 1,
                correlation_id: 8,
                client_id: None,
            }
            ConsumerGroupHeartbeat(
                ConsumerGroupHeartbeatRequest {
                    group_id: "g",
                    member_id: "m",
                    member_epoch: 0,
                    instance_id: None,
                    rack_id: None,
                    rebalance_timeout_ms: 300000,
                    subscribed_topic_names: Some(
                        [
                            "t",
                        ],
                    ),
                    subscribed_topic_regex: None,
                    server_assignor: None,
                    topic_partitions: Some(
                        [],
                    ),
                },
            )"#]],
    );
}

#[test]
fn an_assignment_of_the_consumer_protocol_may_be_null() {
    let assignment = Assignment {
        topic_partitions: vec![TopicPartitions {
            topic_id: TopicId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
            partitions: vec![PartitionIndex(0), PartitionIndex(1)],
        }],
    };
    let response = ConsumerGroupHeartbeatResponse {
        member_id: Some("m".into()),
        member_epoch: 1,
        heartbeat_interval_ms: 5_000,
        ..ConsumerGroupHeartbeatResponse::default()
    };
    check_response(
        ConsumerGroupHeartbeatResponse { assignment: Some(assignment), ..response.clone() },
        1,
        8,
        "00000034
         00000008 00             # correlation id 8, no tagged fields
         00000000 0000 00        # throttle time, no error, no message
         02 6d 00000001 00001388 # member m, epoch 1, a heartbeat every 5 s
         01                      # there is an assignment
         02 000102030405060708090a0b0c0d0e0f # one topic, by id
         03 00000000 00000001 00 # partitions 0 and 1
         00                      # end of the assignment
         00",
    );
    check_response(
        response,
        1,
        8,
        "00000018
         00000008 00             # correlation id 8, no tagged fields
         00000000 0000 00        # throttle time, no error, no message
         02 6d 00000001 00001388 # member m, epoch 1, a heartbeat every 5 s
         ff                      # as before
         00",
    );
}
