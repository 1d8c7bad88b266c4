//! Groups as administrators see them.

use wire::{ApiKey, DeleteGroupsRequest, DescribeGroupsRequest, ErrorCode, ListGroupsRequest};

use super::offsets::commit;
use super::{alone, find_coordinator, join, leave, start, text};
use crate::support::{Client, Directory};

/// Every version, for a group of its own.
pub(crate) fn check_at(client: &mut Client, api: ApiKey, version: i16) {
    let group = format!("{api}-{version}");
    let (member, _) = alone(client, &group);
    match api {
        ApiKey::DescribeGroups => {
            let groups = vec![text(&group)];
            let request = DescribeGroupsRequest { groups, ..Default::default() };
            let described = &client.call(version, &request).groups[0];
            assert_eq!(described.group_state, "Stable");
            assert_eq!(described.members[0].member_id, *member);
        }
        ApiKey::ListGroups => {
            let listed = client.call(version, &ListGroupsRequest::default());
            assert!(listed.groups.iter().any(|listed| *listed.group_id == group));
        }
        ApiKey::DeleteGroups => {
            let request = DeleteGroupsRequest { groups_names: vec![text(&group)] };
            let code = |client: &mut Client| client.call(version, &request).results[0].error_code;
            assert_eq!(code(client), ErrorCode::NonEmptyGroup);
            leave(client, &group, &member);
            assert_eq!(code(client), ErrorCode::None);
            assert_eq!(code(client), ErrorCode::GroupIdNotFound);
        }
        other => unreachable!("{other} is checked elsewhere"),
    }
}

#[test]
fn g12_groups_are_described_as_kafka_does_it() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    find_coordinator(&mut client);
    let (member, _) = alone(&mut client, "g");
    let groups = vec![text("g"), text("none"), text("g")];
    let request = DescribeGroupsRequest { groups, ..Default::default() };
    let described = client.call(5, &request).groups;
    assert_eq!(described.len(), 2, "each once");
    let group = &described[0];
    assert_eq!((group.protocol_type.as_str(), group.protocol_data.as_str()), ("consumer", "range"));
    let only = &group.members[0];
    assert_eq!((only.client_id.as_str(), only.client_host.as_str()), ("test", "/127.0.0.1"));
    assert_eq!(only.member_metadata, join("", "").protocols[0].metadata);
    assert_eq!(only.member_assignment, format!("for {member}"));
    assert_eq!((&*described[1].group_state, described[1].error_code), ("Dead", ErrorCode::None));
    let latest = client.call(6, &request).groups;
    assert_eq!(latest[1].error_code, ErrorCode::GroupIdNotFound);
    assert_eq!(latest[1].error_message.as_deref(), Some("Group none not found."));
    // While the group is not stable, nothing is said of what members have.
    let mut other = broker.connect();
    other.send(3, &join("g", ""));
    let begun = std::time::Instant::now();
    let preparing = loop {
        let described = client.call(5, &request).groups.remove(0);
        if described.group_state != "Stable" {
            break described;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    };
    assert_eq!((&*preparing.group_state, &*preparing.protocol_data), ("PreparingRebalance", ""));
    assert!(preparing.members.iter().all(|member| member.member_assignment.is_empty()));
}

#[test]
fn g13_groups_are_listed_by_state_and_type() {
    let directory = Directory::new();
    let broker = start(&directory, 0);
    let mut client = broker.connect();
    client.auto_create("t");
    find_coordinator(&mut client);
    alone(&mut client, "stable");
    let (member, _) = alone(&mut client, "empty");
    leave(&mut client, "empty", &member);
    client.call(9, &commit("simple", "", -1, &[("t", 0, 1)]));
    let mut list = |states: &[&str], types: &[&str]| -> Vec<String> {
        let texts = |names: &[&str]| names.iter().map(|name| text(name)).collect();
        let request =
            ListGroupsRequest { states_filter: texts(states), types_filter: texts(types) };
        let listed = client.call(5, &request);
        assert_eq!(listed.error_code, ErrorCode::None);
        let shown = listed.groups.iter().map(|group| {
            let (id, state) = (&*group.group_id, &*group.group_state);
            format!("{id} {state} {:?} {}", &*group.protocol_type, &*group.group_type)
        });
        shown.collect()
    };
    let all = [
        "empty Empty \"consumer\" classic",
        "simple Empty \"\" classic",
        "stable Stable \"consumer\" classic",
    ];
    assert_eq!(list(&[], &[]), all);
    assert_eq!(list(&["Stable"], &["classic"]), all[2..]);
    assert_eq!(list(&["empty", "Dead"], &[]), all[..2]);
    assert!(list(&[], &["consumer"]).is_empty());
}
