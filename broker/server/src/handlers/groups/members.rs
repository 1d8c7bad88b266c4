//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup: the classic protocol of groups.

use std::rc::Rc;

use bytes::Bytes;
use coordinator::group::{self, GroupError, Join, Joined, Leaving, MemberOf, Sync};
use runtime::sync::oneshot;
use wire::join_group::JoinGroupResponseMember;
use wire::leave_group::MemberResponse;
use wire::{
    ErrorCode, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse, Text,
};

use super::{Client, ask, info_of};
use crate::call::WatchId;
use crate::core::Core;
use crate::failure::Failure;
use crate::groups::{GroupAnswer, GroupRequest};

/// From here on members know that they may be given an id first (KIP-394).
const GIVEN_ID_VERSION_MIN: i16 = 4;
/// From here on the protocol may be null.
const NULL_PROTOCOL_VERSION_MIN: i16 = 7;
/// From here on a leader may be told to keep assignments (KIP-814).
const SKIP_ASSIGNMENT_VERSION_MIN: i16 = 9;
/// From here on several members leave at once (KIP-345).
const LEAVE_BATCH_VERSION_MIN: i16 = 3;

pub(super) async fn join(
    core: &Rc<Core>,
    version: i16,
    client: Client,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let asked_as = request.member_id.clone();
    let refused = |code, member_id| JoinGroupResponse {
        error_code: code,
        protocol_name: protocol_name(version, None),
        member_id,
        ..Default::default()
    };
    let join = join_of(version, client, request);
    let group = join.group.clone();
    let asked =
        wait_for(core, &group, |waiter| GroupRequest::Join { waiter, join: Box::new(join) });
    match asked.await {
        Ok(group::Reply::Join(Ok(joined))) => joined_response(version, joined),
        Ok(group::Reply::Join(Err(group::JoinRefused { error, member }))) => {
            let code = Failure::from(error).code;
            refused(code, Text::from(member))
        }
        Ok(group::Reply::Sync(_)) => unreachable!("not an answer to this"),
        Err(failure) => refused(failure.code, asked_as),
    }
}

/// What outlives the request is copied out of its frame.
fn join_of(version: i16, client: Client, request: JoinGroupRequest) -> Join {
    let session_timeout_ms = request.session_timeout_ms;
    let protocols = request
        .protocols
        .iter()
        .map(|protocol| (protocol.name.to_string(), Bytes::copy_from_slice(&protocol.metadata)));
    Join {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        instance: request.group_instance_id.map(|id| id.to_string()),
        client: info_of(client),
        session_timeout_ms,
        rebalance_timeout_ms: match request.rebalance_timeout_ms {
            // Version 0 has no other.
            -1 => session_timeout_ms,
            given => given,
        },
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.collect(),
        may_be_given_id: GIVEN_ID_VERSION_MIN <= version,
        may_skip_assignment: SKIP_ASSIGNMENT_VERSION_MIN <= version,
    }
}

fn joined_response(version: i16, joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|member| JoinGroupResponseMember {
        member_id: Text::from(member.id),
        group_instance_id: member.instance.map(Text::from),
        metadata: member.metadata,
    });
    JoinGroupResponse {
        error_code: ErrorCode::None,
        generation_id: joined.generation,
        protocol_type: joined.protocol_type.map(Text::from),
        protocol_name: protocol_name(version, joined.protocol),
        leader: Text::from(joined.leader),
        skip_assignment: joined.skip_assignment,
        member_id: Text::from(joined.member),
        members: members.collect(),
        ..Default::default()
    }
}

fn protocol_name(version: i16, name: Option<String>) -> Option<Text> {
    match name {
        Some(name) => Some(Text::from(name)),
        None => (version < NULL_PROTOCOL_VERSION_MIN).then(Text::default),
    }
}

pub(super) async fn sync(core: &Rc<Core>, request: SyncGroupRequest) -> SyncGroupResponse {
    let refused = |error_code| SyncGroupResponse { error_code, ..Default::default() };
    let assignments = request.assignments.iter().map(|assignment| {
        (assignment.member_id.to_string(), Bytes::copy_from_slice(&assignment.assignment))
    });
    let sync = Sync {
        member: MemberOf {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            instance: request.group_instance_id.as_ref().map(|id| id.to_string()),
            generation: request.generation_id,
        },
        protocol_type: request.protocol_type.as_ref().map(|name| name.to_string()),
        protocol: request.protocol_name.as_ref().map(|name| name.to_string()),
        assignments: assignments.collect(),
    };
    let group = sync.member.group.clone();
    let asked =
        wait_for(core, &group, |waiter| GroupRequest::Sync { waiter, sync: Box::new(sync) });
    match asked.await {
        Ok(group::Reply::Sync(Ok(synced))) => SyncGroupResponse {
            error_code: ErrorCode::None,
            protocol_type: synced.protocol_type.map(Text::from),
            protocol_name: synced.protocol.map(Text::from),
            assignment: synced.assignment,
            ..Default::default()
        },
        Ok(group::Reply::Sync(Err(error))) => refused(Failure::from(error).code),
        Ok(group::Reply::Join(_)) => unreachable!("not an answer to this"),
        Err(failure) => refused(failure.code),
    }
}

pub(super) async fn heartbeat(core: &Rc<Core>, request: HeartbeatRequest) -> HeartbeatResponse {
    let member = MemberOf {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        instance: request.group_instance_id.map(|id| id.to_string()),
        generation: request.generation_id,
    };
    let heard = ask(core, &request.group_id, || GroupRequest::Heartbeat(member)).await;
    let error_code = heard.map_or_else(|failure| failure.code, |_| ErrorCode::None);
    HeartbeatResponse { error_code, ..Default::default() }
}

pub(super) async fn leave(
    core: &Rc<Core>,
    version: i16,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let leaving: Vec<Leaving> = match version < LEAVE_BATCH_VERSION_MIN {
        true => vec![Leaving { member: request.member_id.to_string(), instance: None }],
        false => request
            .members
            .iter()
            .map(|member| Leaving {
                member: member.member_id.to_string(),
                instance: member.group_instance_id.as_ref().map(|id| id.to_string()),
            })
            .collect(),
    };
    let refused = |error_code| LeaveGroupResponse { error_code, ..Default::default() };
    let group = request.group_id.to_string();
    let left = ask(core, &request.group_id, || GroupRequest::Leave { group, leaving }).await;
    let outcomes = match left {
        Ok(GroupAnswer::Outcomes(outcomes)) => outcomes,
        Ok(other) => unreachable!("not an answer to this: {other:?}"),
        Err(failure) => return refused(failure.code),
    };
    let codes = outcomes.into_iter().map(|outcome| match outcome {
        Ok(()) => ErrorCode::None,
        Err(failure) => failure.code,
    });
    if version < LEAVE_BATCH_VERSION_MIN {
        let mut codes = codes;
        return refused(codes.next().unwrap_or(ErrorCode::None));
    }
    let members = request.members.into_iter().zip(codes).map(|(member, error_code)| {
        let (member_id, group_instance_id) = (member.member_id, member.group_instance_id);
        MemberResponse { member_id, group_instance_id, error_code }
    });
    LeaveGroupResponse { members: members.collect(), ..Default::default() }
}

/// Asks the core that has the group, and waits for as long as it takes: until others have joined, or
/// the group ends here.
async fn wait_for(
    core: &Rc<Core>,
    group: &str,
    request: impl FnOnce(WatchId) -> GroupRequest,
) -> Result<group::Reply, Failure> {
    if core.is_leaving() {
        return Err(GroupError::NotAvailable.into());
    }
    let (waiter, reply) = core.open_group_wait();
    // Taken back when the connection ends, too.
    let _waiting = Waiting { core: core.clone(), waiter };
    ask(core, group, || request(waiter)).await?;
    reply.await.map_err(|oneshot::Closed| Failure::from(GroupError::NotAvailable))
}

struct Waiting {
    core: Rc<Core>,
    waiter: WatchId,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.core.close_group_wait(self.waiter);
    }
}
