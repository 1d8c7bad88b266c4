//! DescribeGroups, ListGroups and DeleteGroups: what administrators ask of groups.

use std::collections::BTreeSet;
use std::rc::Rc;

use coordinator::group::{Description, Listing};
use runtime::CoreId;
use wire::delete_groups::DeletableGroupResult;
use wire::describe_groups::{DescribedGroup, DescribedGroupMember};
use wire::list_groups::ListedGroup;
use wire::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    ErrorCode, ListGroupsRequest, ListGroupsResponse, Text,
};

use super::ask;
use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;
use crate::groups::{GroupAnswer, GroupRequest};

/// From here on a group that is not there is an error (KIP-1043); before it was one that is dead.
const NOT_FOUND_VERSION_MIN: i16 = 6;
const DEAD: Text = Text::from_static("Dead");

pub(super) async fn describe(
    core: &Rc<Core>,
    version: i16,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for group_id in once_each(request.groups) {
        let group = group_id.to_string();
        let described = match ask(core, &group_id, || GroupRequest::Describe { group }).await {
            Ok(GroupAnswer::Described(description)) => described(group_id, description),
            Ok(other) => unreachable!("not an answer to this: {other:?}"),
            Err(Failure { code: ErrorCode::GroupIdNotFound, .. })
                if version < NOT_FOUND_VERSION_MIN =>
            {
                DescribedGroup { group_id, group_state: DEAD, ..Default::default() }
            }
            Err(Failure { code, message }) => DescribedGroup {
                error_code: code,
                error_message: (NOT_FOUND_VERSION_MIN <= version).then_some(message),
                group_id,
                group_state: match code {
                    ErrorCode::GroupIdNotFound => DEAD,
                    _ => Text::default(),
                },
                ..Default::default()
            },
        };
        groups.push(described);
    }
    DescribeGroupsResponse { groups, ..Default::default() }
}

/// As Kafka answers.
pub(super) fn once_each(groups: Vec<Text>) -> Vec<Text> {
    let mut seen = BTreeSet::new();
    groups.into_iter().filter(|group| seen.insert(group.clone())).collect()
}

fn described(group_id: Text, description: Description) -> DescribedGroup {
    let members = description.members.into_iter().map(|member| DescribedGroupMember {
        member_id: Text::from(member.id),
        group_instance_id: member.instance.map(Text::from),
        client_id: Text::from(member.client.id),
        client_host: Text::from(member.client.host),
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    });
    DescribedGroup {
        error_code: ErrorCode::None,
        group_id,
        group_state: Text::from_static(description.state.name()),
        protocol_type: Text::from(description.protocol_type),
        protocol_data: Text::from(description.protocol),
        members: members.collect(),
        ..Default::default()
    }
}

pub(super) async fn list(core: &Rc<Core>, request: ListGroupsRequest) -> ListGroupsResponse {
    let is_wanted = |wanted: &[Text], name: &str| {
        wanted.is_empty() || wanted.iter().any(|it| it.eq_ignore_ascii_case(name))
    };
    let calls: Vec<_> = (0..core.cores_count)
        .map(|number| core.mesh().call(CoreId(number), CoreRequest::ListGroups))
        .collect();
    let (mut all, mut error_code) = (Vec::new(), ErrorCode::None);
    for call in calls {
        match call.await {
            Ok(CoreAnswer::Groups(Ok(listings))) => all.extend(listings),
            // What is known is told as well.
            Ok(CoreAnswer::Groups(Err(failure))) => error_code = failure.code,
            _ => error_code = ErrorCode::CoordinatorNotAvailable,
        }
    }
    all.sort_unstable_by(|a, b| a.group.cmp(&b.group));
    let wanted = all.into_iter().filter(|listing| {
        is_wanted(&request.states_filter, listing.state)
            && is_wanted(&request.types_filter, listing.kind.name())
    });
    let groups = wanted.map(|Listing { group, protocol_type, state, kind }| ListedGroup {
        group_id: Text::from(group),
        protocol_type: Text::from(protocol_type),
        group_state: Text::from_static(state),
        group_type: Text::from_static(kind.name()),
    });
    ListGroupsResponse { error_code, groups: groups.collect(), ..Default::default() }
}

pub(super) async fn delete(core: &Rc<Core>, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in once_each(request.groups_names) {
        let group = group_id.to_string();
        let deleted = ask(core, &group_id, || GroupRequest::Delete { group }).await;
        let error_code = deleted.map_or_else(|failure| failure.code, |_| ErrorCode::None);
        results.push(DeletableGroupResult { group_id, error_code });
    }
    DeleteGroupsResponse { results, ..Default::default() }
}
