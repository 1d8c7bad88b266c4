//! What clients ask of groups, and of whoever coordinates them.

mod admin;
mod consumers;
mod find_coordinator;
mod members;
mod offsets;

use std::rc::Rc;

use coordinator::group::ClientInfo;
use coordinator::{OFFSETS_TOPIC, group};
use model::PartitionIndex;
use runtime::CoreId;
use wire::{ErrorCode, Request, Response};

use super::Client;
use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;
use crate::groups::{GroupAnswer, GroupCall, GroupRequest};

/// As groups know whoever sends a request. Kafka shows an address with a slash before it.
fn info_of(client: Client) -> ClientInfo {
    ClientInfo { id: client.id, host: format!("/{}", client.peer.ip()) }
}

/// The answer to a request that concerns groups.
pub(super) async fn handle(
    core: &Rc<Core>,
    version: i16,
    client: Client,
    request: Request,
) -> Response {
    match request {
        Request::FindCoordinator(request) => {
            find_coordinator::handle(core, version, request).await.into()
        }
        Request::JoinGroup(request) => members::join(core, version, client, request).await.into(),
        Request::SyncGroup(request) => members::sync(core, request).await.into(),
        Request::Heartbeat(request) => members::heartbeat(core, request).await.into(),
        Request::LeaveGroup(request) => members::leave(core, version, request).await.into(),
        Request::OffsetCommit(request) => offsets::commit(core, version, request).await.into(),
        Request::OffsetFetch(request) => offsets::fetch(core, version, request).await.into(),
        Request::OffsetDelete(request) => offsets::delete(core, request).await.into(),
        Request::DescribeGroups(request) => admin::describe(core, version, request).await.into(),
        Request::ListGroups(request) => admin::list(core, request).await.into(),
        Request::DeleteGroups(request) => admin::delete(core, request).await.into(),
        Request::ConsumerGroupHeartbeat(request) => {
            consumers::heartbeat(core, version, client, request).await.into()
        }
        Request::ConsumerGroupDescribe(request) => consumers::describe(core, request).await.into(),
        request => unreachable!("it does not concern groups: {}", request.api_key()),
    }
}

/// Which partition has a group, and which core.
fn place_of(core: &Core, group: &str) -> Result<(PartitionIndex, CoreId), Failure> {
    let image = core.image();
    let nowhere = || {
        let text = "no group has been coordinated yet: ask who coordinates this one first";
        Failure::new(ErrorCode::NotCoordinator, text)
    };
    let topic = image.topic(OFFSETS_TOPIC).ok_or_else(nowhere)?;
    let partitions_count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    let index = group::partition_of(group, partitions_count);
    let (_, owner) = topic.partition(index).ok_or_else(nowhere)?;
    Ok((index, owner))
}

/// Asks the core that has the group.
async fn ask(
    core: &Core,
    group: &str,
    request: impl FnOnce() -> GroupRequest,
) -> Result<GroupAnswer, Failure> {
    let (partition, owner) = place_of(core, group)?;
    let call = GroupCall { partition, request: request() };
    match core.call(owner, CoreRequest::Group(call)).await {
        CoreAnswer::Group(answer) => answer,
        CoreAnswer::Failed(text) => Err(Failure::new(ErrorCode::CoordinatorNotAvailable, text)),
        other => unreachable!("not an answer to this: {other:?}"),
    }
}
