use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use model::{LeaderEpoch, Offset, PartitionIndex};
use wire::join_group::JoinGroupResponseMember;
use wire::leave_group::MemberResponse;
use wire::metadata::{MetadataResponsePartition, MetadataResponseTopic};
use wire::offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use wire::{
    HeartbeatResponse, LeaveGroupResponse, MetadataResponse, Request, RequestHeader,
    SyncGroupResponse,
};

use super::*;
use crate::cluster::Committed;
use crate::testing::{
    Act, GROUP, TOPIC, answer, cluster, cluster_up_to, coordinator, metadata, modern_broker, node,
    run,
};

const ME: &str = "me-1";

fn options() -> MemberOptions {
    let mut connection = ConnectionOptions::new(Text::from_static("test"));
    connection.request_timeout = Duration::from_secs(5);
    MemberOptions {
        group: GROUP.to_owned(),
        topics: vec![TOPIC.to_owned()],
        assignors: Assignor::ALL.to_vec(),
        instance: None,
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        connection,
    }
}

/// A cluster of a broker that plays a script for a group's members, and whose topic has so many
/// partitions.
async fn group_up_to(
    limits: &'static [(ApiKey, i16)],
    partitions_count: Rc<Cell<usize>>,
    mut script: impl FnMut(RequestHeader, Request) -> Vec<Act> + 'static,
) -> Cluster {
    cluster_up_to(limits, move |header, request, brokers| match request {
        Request::FindCoordinator(request) => coordinator(header, &request, 0, brokers[0]),
        Request::Metadata(request) => {
            assert_eq!(request.topics.unwrap().len(), 1);
            let topic = MetadataResponseTopic {
                name: Some(Text::from_static(TOPIC)),
                partitions: vec![MetadataResponsePartition::default(); partitions_count.get()],
                ..Default::default()
            };
            let (brokers, topics) = (vec![node(brokers[0])], vec![topic]);
            answer(header, MetadataResponse { brokers, topics, ..Default::default() })
        }
        request => script(header, request),
    })
    .await
}

async fn group(script: impl FnMut(RequestHeader, Request) -> Vec<Act> + 'static) -> Cluster {
    group_up_to(&[], Rc::new(Cell::new(3)), script).await
}

/// Joined in this generation, led by this member, with these members if it is this one.
fn joined(leader: &'static str, generation_id: i32, members: &[&'static str]) -> JoinGroupResponse {
    let topics = vec![TOPIC.to_owned()];
    let metadata = Subscription { topics, ..Default::default() }.write();
    let member = |id: &&'static str| JoinGroupResponseMember {
        member_id: Text::from_static(id),
        metadata: metadata.clone(),
        ..Default::default()
    };
    JoinGroupResponse {
        generation_id,
        protocol_name: Some(Text::from_static("range")),
        leader: Text::from_static(leader),
        member_id: Text::from_static(ME),
        members: members.iter().map(member).collect(),
        ..Default::default()
    }
}

fn synced(indexes: &[i32]) -> SyncGroupResponse {
    let assignment = Assignment { partitions: partitions(indexes), user_data: None }.write();
    SyncGroupResponse { assignment, ..Default::default() }
}

fn partitions(indexes: &[i32]) -> Partitions {
    [(TOPIC.to_owned(), indexes.iter().copied().map(PartitionIndex).collect())].into()
}

fn offsets() -> GroupOffsets {
    let committed = Committed { leader_epoch: LeaderEpoch(3), ..Committed::at(Offset(42)) };
    [(TOPIC.to_owned(), [(PartitionIndex(1), committed)].into())].into()
}

/// Answers as a group whose other member leads does, in generation 5.
fn follow(header: RequestHeader, request: &Request) -> Vec<Act> {
    match request {
        Request::JoinGroup(_) => answer(header, joined("other", 5, &[])),
        Request::SyncGroup(_) => answer(header, synced(&[1])),
        other => unreachable!("not asked for: {other:?}"),
    }
}

#[test]
fn a_new_member_is_given_its_id_and_joins_again_with_it() {
    run(async {
        let cluster = group(|header, request| match request {
            Request::JoinGroup(request) => {
                assert_eq!(
                    (request.group_id.as_str(), request.session_timeout_ms),
                    (GROUP, 10_000)
                );
                assert_eq!(request.rebalance_timeout_ms, 60_000);
                let names = request.protocols.iter().map(|protocol| protocol.name.as_str());
                assert_eq!(names.collect::<Vec<_>>(), ["range", "roundrobin"]);
                let wants = Subscription::read(&request.protocols[1].metadata).unwrap();
                assert_eq!(wants.topics, [TOPIC]);
                match request.member_id.as_str() {
                    "" => answer(
                        header,
                        JoinGroupResponse {
                            error_code: ErrorCode::MemberIdRequired,
                            member_id: Text::from_static(ME),
                            ..Default::default()
                        },
                    ),
                    id => {
                        assert_eq!(id, ME);
                        answer(header, joined("other", 5, &[]))
                    }
                }
            }
            Request::SyncGroup(request) => {
                assert_eq!((request.generation_id, request.member_id.as_str()), (5, ME));
                assert_eq!(request.protocol_name.unwrap(), "range");
                assert_eq!(request.assignments, []);
                answer(header, synced(&[1]))
            }
            other => unreachable!("not asked for: {other:?}"),
        })
        .await;
        let mut member = Member::new(options());
        assert_eq!((member.id(), member.generation()), ("", -1));
        assert_eq!(member.heartbeat(&cluster).await.unwrap(), Standing::Lost);
        assert_eq!(member.commit(&cluster, &offsets()).await.unwrap(), Standing::Lost);
        member.join(&cluster).await.unwrap();
        assert_eq!((member.id(), member.generation(), member.is_leader()), (ME, 5, false));
        assert_eq!(member.partitions(), &partitions(&[1]));
        assert!(!member.is_outdated(&cluster).await.unwrap());
    });
}

#[test]
fn a_leader_divides_the_partitions_and_sees_when_there_are_others() {
    run(async {
        let partitions_count = Rc::new(Cell::new(3));
        let cluster = group_up_to(&[], partitions_count.clone(), |header, request| match request {
            Request::JoinGroup(_) => {
                let mut response = joined(ME, 1, &["java", ME, "strange"]);
                response.members[2].metadata = Bytes::from_static(b"?");
                answer(header, response)
            }
            Request::SyncGroup(request) => {
                let assigned = |id: &str| {
                    let found = request.assignments.iter().find(|it| it.member_id == *id).unwrap();
                    Assignment::read(&found.assignment).unwrap().partitions
                };
                assert_eq!(assigned("java"), partitions(&[0, 1]));
                assert_eq!(assigned("strange"), Partitions::new());
                let own = request.assignments.iter().find(|it| it.member_id == ME).unwrap();
                let assignment = own.assignment.clone();
                answer(header, SyncGroupResponse { assignment, ..Default::default() })
            }
            other => unreachable!("not asked for: {other:?}"),
        })
        .await;
        let mut member = Member::new(options());
        member.join(&cluster).await.unwrap();
        assert!(member.is_leader());
        assert_eq!(member.partitions(), &partitions(&[2]));
        assert!(!member.is_outdated(&cluster).await.unwrap());
        partitions_count.set(4);
        assert!(member.is_outdated(&cluster).await.unwrap());
        partitions_count.set(0);
        assert!(member.is_outdated(&cluster).await.unwrap());
    });
}

#[test]
fn a_leader_that_is_told_to_leave_all_as_it_is_assigns_nothing() {
    run(async {
        let cluster = group(|header, request| match request {
            Request::JoinGroup(request) => {
                assert_eq!(request.group_instance_id.unwrap(), "i-1");
                let skip_assignment = true;
                answer(header, JoinGroupResponse { skip_assignment, ..joined(ME, 9, &[ME]) })
            }
            Request::SyncGroup(request) => {
                assert_eq!(request.assignments, []);
                answer(header, synced(&[0, 1, 2]))
            }
            other => unreachable!("not asked for: {other:?}"),
        })
        .await;
        let mut member =
            Member::new(MemberOptions { instance: Some("i-1".to_owned()), ..options() });
        member.join(&cluster).await.unwrap();
        assert_eq!((member.generation(), member.is_leader()), (9, true));
        assert_eq!(member.partitions(), &partitions(&[0, 1, 2]));
        // And it leaves its place to the one who comes back.
        member.leave(&cluster).await.unwrap();
    });
}

#[test]
fn who_was_overtaken_while_it_joined_joins_again() {
    run(async {
        let syncs = Cell::new(0);
        let cluster = group(move |header, request| match request {
            Request::JoinGroup(request) => {
                let expected = if syncs.get() == 2 { "" } else { ME };
                assert!(request.member_id == expected || syncs.get() == 0, "{request:?}");
                answer(header, joined("other", syncs.get(), &[]))
            }
            Request::SyncGroup(_) => {
                let error_code = match syncs.replace(syncs.get() + 1) {
                    0 => ErrorCode::RebalanceInProgress,
                    1 => ErrorCode::UnknownMemberId,
                    2 => ErrorCode::IllegalGeneration,
                    _ => return answer(header, synced(&[2])),
                };
                answer(header, SyncGroupResponse { error_code, ..Default::default() })
            }
            other => unreachable!("not asked for: {other:?}"),
        })
        .await;
        let mut member = Member::new(options());
        member.join(&cluster).await.unwrap();
        assert_eq!((member.generation(), member.partitions()), (3, &partitions(&[2])));
    });
}

#[test]
fn who_is_overtaken_for_ever_does_not_join_for_ever() {
    run(async {
        let cluster = group(|header, request| match request {
            Request::JoinGroup(_) => {
                let error_code = ErrorCode::UnknownMemberId;
                answer(header, JoinGroupResponse { error_code, ..joined("", -1, &[]) })
            }
            other => unreachable!("not asked for: {other:?}"),
        })
        .await;
        let mut options = options();
        options.session_timeout = Duration::from_millis(20);
        options.rebalance_timeout = Duration::from_millis(20);
        options.connection.request_timeout = Duration::from_millis(20);
        let error = Member::new(options).join(&cluster).await.unwrap_err().to_string();
        assert!(error.starts_with("joining group billing did not succeed within "), "{error}");
        assert!(error.ends_with(" ms, the last answer was UNKNOWN_MEMBER_ID (25)"), "{error}");
    });
}

#[test]
fn what_no_second_attempt_changes_is_told_at_once() {
    run(async {
        let codes = [
            (ErrorCode::GroupMaxSizeReached, "GROUP_MAX_SIZE_REACHED (81)"),
            (ErrorCode::InconsistentGroupProtocol, "INCONSISTENT_GROUP_PROTOCOL (23)"),
            (ErrorCode::InvalidSessionTimeout, "INVALID_SESSION_TIMEOUT (26)"),
        ];
        for (error_code, name) in codes {
            let cluster = group(move |header, request| {
                assert!(matches!(request, Request::JoinGroup(_)), "{request:?}");
                answer(header, JoinGroupResponse { error_code, ..joined("", -1, &[]) })
            })
            .await;
            let error = Member::new(options()).join(&cluster).await.unwrap_err();
            let expected = format!("JoinGroup of group billing is refused: {name}");
            assert_eq!(error.to_string(), expected);
        }
    });
}

#[test]
fn heartbeats_and_commits_tell_how_a_member_stands() {
    run(async {
        let codes = [
            (ErrorCode::None, Ok(Standing::Stable)),
            (ErrorCode::RebalanceInProgress, Ok(Standing::Rebalancing)),
            (ErrorCode::IllegalGeneration, Ok(Standing::Lost)),
            (ErrorCode::UnknownMemberId, Ok(Standing::Lost)),
            (
                ErrorCode::FencedInstanceId,
                Err(
                    "another member of group billing has taken the place of instance i-1: give each \
                     member an instance of its own",
                ),
            ),
            (ErrorCode::GroupAuthorizationFailed, Err("GROUP_AUTHORIZATION_FAILED (30)")),
            (ErrorCode::UnknownTopicOrPartition, Err("UNKNOWN_TOPIC_OR_PARTITION (3)")),
        ];
        for ((code, expected), by_commit) in
            codes.into_iter().flat_map(|it| [(it, false), (it, true)])
        {
            let cluster = group(move |header, request| match request {
                Request::Heartbeat(request) => {
                    assert_eq!((request.generation_id, request.member_id.as_str()), (5, ME));
                    assert_eq!(request.group_instance_id.unwrap(), "i-1");
                    answer(header, HeartbeatResponse { error_code: code, ..Default::default() })
                }
                Request::OffsetCommit(request) => {
                    let generation = request.generation_id_or_member_epoch;
                    assert_eq!((generation, request.member_id.as_str()), (5, ME));
                    let asked = &request.topics[0].partitions[0];
                    assert_eq!(asked.committed_offset, Offset(42));
                    assert_eq!(asked.committed_leader_epoch, LeaderEpoch(3));
                    let partition = OffsetCommitResponsePartition {
                        partition_index: asked.partition_index,
                        error_code: code,
                    };
                    let name = Text::from_static(TOPIC);
                    let topic = OffsetCommitResponseTopic { name, partitions: vec![partition] };
                    let topics = vec![topic];
                    answer(header, OffsetCommitResponse { topics, ..Default::default() })
                }
                request => follow(header, &request),
            })
            .await;
            let instance = Some("i-1".to_owned());
            let mut member = Member::new(MemberOptions { instance, ..options() });
            member.join(&cluster).await.unwrap();
            let standing = match by_commit {
                true => member.commit(&cluster, &offsets()).await,
                false => member.heartbeat(&cluster).await,
            };
            match (standing, expected) {
                (Ok(standing), Ok(expected)) => assert_eq!(standing, expected),
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().ends_with(expected), "{error}");
                }
                (standing, _) => panic!("{code}: {standing:?}"),
            }
            let is_lost = expected == Ok(Standing::Lost) || code == ErrorCode::FencedInstanceId;
            assert_eq!(member.partitions().is_empty(), is_lost, "{code}");
            assert_eq!(member.generation(), if is_lost { -1 } else { 5 }, "{code}");
            assert_eq!(member.id().is_empty(), code == ErrorCode::UnknownMemberId, "{code}");
        }
    });
}

#[test]
fn a_member_follows_its_coordinator() {
    run(async {
        let at = Rc::new(Cell::new(0));
        let brokers: Rc<RefCell<Vec<core::net::SocketAddr>>> = Rc::default();
        let script = |own: i32| {
            let (at, brokers) = (at.clone(), brokers.clone());
            move |header: RequestHeader, request| match request {
                Request::Metadata(_) => metadata(header, &brokers.borrow(), 0),
                Request::FindCoordinator(request) => {
                    let address = brokers.borrow()[usize::try_from(at.get()).unwrap()];
                    coordinator(header, &request, at.get(), address)
                }
                Request::Heartbeat(_) if own != at.get() => {
                    let error_code = ErrorCode::NotCoordinator;
                    answer(header, HeartbeatResponse { error_code, ..Default::default() })
                }
                Request::Heartbeat(_) => answer(header, HeartbeatResponse::default()),
                request => follow(header, &request),
            }
        };
        let first = modern_broker(script(0)).await;
        let second = modern_broker(script(1)).await;
        *brokers.borrow_mut() = vec![first, second];
        let cluster = cluster(first).await;
        let mut member = Member::new(options());
        member.join(&cluster).await.unwrap();
        assert_eq!(member.heartbeat(&cluster).await.unwrap(), Standing::Stable);
        at.set(1);
        assert_eq!(member.heartbeat(&cluster).await.unwrap(), Standing::Stable);
        assert_eq!(member.generation(), 5);
    });
}

#[test]
fn a_connection_that_is_lost_is_made_anew() {
    run(async {
        let is_first = Cell::new(true);
        let cluster = group(move |header, request| match request {
            Request::Heartbeat(_) if is_first.replace(false) => vec![Act::Close],
            Request::Heartbeat(_) => answer(header, HeartbeatResponse::default()),
            request => follow(header, &request),
        })
        .await;
        let mut member = Member::new(options());
        member.join(&cluster).await.unwrap();
        assert_eq!(member.heartbeat(&cluster).await.unwrap(), Standing::Stable);
    });
}

#[test]
fn a_member_leaves_in_old_and_new_versions_and_may_have_been_forgotten_already() {
    run(async {
        for limits in [&[][..], &[(ApiKey::LeaveGroup, 2)]] {
            let partitions_count = Rc::new(Cell::new(3));
            let cluster = group_up_to(limits, partitions_count, |header, request| match request {
                Request::LeaveGroup(request) => {
                    let mut response = LeaveGroupResponse::default();
                    if header.api_version < 3 {
                        assert_eq!(request.member_id, ME);
                        response.error_code = ErrorCode::UnknownMemberId;
                    } else {
                        assert_eq!(request.members[0].member_id, ME);
                        let error_code = ErrorCode::UnknownMemberId;
                        response.members =
                            vec![MemberResponse { error_code, ..Default::default() }];
                    }
                    answer(header, response)
                }
                request => follow(header, &request),
            })
            .await;
            let mut member = Member::new(options());
            // One that is in no group has nothing to leave.
            member.leave(&cluster).await.unwrap();
            member.join(&cluster).await.unwrap();
            member.leave(&cluster).await.unwrap();
            assert_eq!((member.id(), member.generation()), ("", -1));
            assert_eq!(member.partitions(), &Partitions::new());
        }
    });
}

#[test]
fn a_broker_without_static_members_is_told() {
    run(async {
        let partitions_count = Rc::new(Cell::new(3));
        let limits = &[(ApiKey::JoinGroup, 4)];
        let cluster = group_up_to(limits, partitions_count, |_, request| {
            unreachable!("not asked for: {request:?}")
        })
        .await;
        let instance = Some("i-1".to_owned());
        let mut member = Member::new(MemberOptions { instance, ..options() });
        assert_eq!(
            member.join(&cluster).await.unwrap_err().to_string(),
            "the broker is too old for static members: it speaks JoinGroup up to version 4, and 5 \
             is needed"
        );
    });
}
