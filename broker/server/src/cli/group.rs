//! What the commands about groups ask of a cluster.
//!
//! Guarantees: an error is one sentence that names the group, Kafka's error and the broker's words.
//! Offsets are set for all partitions that are named, or for none.
//! Does not know: how what came of it is shown.

mod reset;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;
use client::{Cluster, GroupDescription, GroupFilter, GroupMember, GroupOffsets};
use model::{Offset, PartitionIndex};
use wire::ErrorCode;

use super::arguments::{DeleteGroupsArgs, DescribeGroupsArgs, ListGroupsArgs};
use super::logs::{PartitionLogs, ranges_of};
use super::report::{
    AssignedTopic, DeletedGroup, DeletedGroups, Deletion, DescribedGroup, DescribedGroups,
    DescribedMember, GroupPartition, ListedGroup, ListedGroups,
};
use super::sentence::{code_of, sentence};

pub(super) use reset::reset;

pub(super) async fn list(cluster: &Cluster, args: ListGroupsArgs) -> anyhow::Result<ListedGroups> {
    let filter = GroupFilter { states: args.state, types: Vec::new() };
    let groups = cluster.list_groups(&filter).await;
    let groups = groups.map_err(|error| anyhow!(sentence("list groups", &error)))?;
    let listed = groups.into_iter().map(|group| ListedGroup {
        name: group.name,
        group_type: group.group_type,
        protocol_type: group.protocol_type,
        state: group.state,
    });
    Ok(ListedGroups { groups: listed.collect() })
}

/// One group after the other; those that cannot be described are failures.
pub(super) async fn describe(
    cluster: &Cluster,
    args: DescribeGroupsArgs,
) -> (DescribedGroups, Vec<String>) {
    let mut groups = Vec::new();
    let mut failures = Vec::new();
    for name in &args.names {
        match describe_one(cluster, name).await {
            Ok(group) => groups.push(group),
            Err(sentence) => failures.push(sentence),
        }
    }
    (DescribedGroups { groups, with_members: args.members }, failures)
}

async fn describe_one(cluster: &Cluster, name: &str) -> Result<DescribedGroup, String> {
    let doing = format!("describe group {name}");
    let described = cluster.describe_group(name).await;
    let group = described.map_err(|error| sentence(&doing, &error))?;
    let offsets = cluster.committed_offsets(name, None).await;
    let offsets = offsets.map_err(|error| sentence(&doing, &error))?;
    let mut notes = Vec::new();
    let partitions = partitions_of(cluster, &group, &offsets, &mut notes).await;
    Ok(DescribedGroup {
        name: group.name,
        group_type: group.group_type,
        protocol_type: group.protocol_type,
        state: group.state,
        assignor: group.assignor,
        epoch: group.epoch,
        coordinator: group.coordinator.0,
        members: group.members.into_iter().map(member).collect(),
        partitions,
        notes,
    })
}

/// Everything that the group has read or is reading, with what is left of it.
async fn partitions_of(
    cluster: &Cluster,
    group: &GroupDescription,
    offsets: &GroupOffsets,
    notes: &mut Vec<String>,
) -> Vec<GroupPartition> {
    let readers = readers_of(&group.members);
    let mut wanted: BTreeMap<&str, BTreeSet<PartitionIndex>> = BTreeMap::new();
    for (topic, of_topic) in offsets {
        wanted.entry(topic).or_default().extend(of_topic.keys());
    }
    for &(topic, partition) in readers.keys() {
        wanted.entry(topic).or_default().insert(partition);
    }
    let mut partitions = Vec::new();
    for (topic, of_topic) in wanted {
        let logs = logs_or_note(cluster, topic, notes).await;
        for partition in of_topic {
            let committed = offsets.get(topic).and_then(|it| it.get(&partition));
            let end = logs.get(&partition).and_then(|log| log.end);
            let reader = readers.get(&(topic, partition));
            partitions.push(GroupPartition {
                topic: topic.to_owned(),
                partition: partition.0,
                committed_offset: committed.map(|it| it.offset.0),
                end_offset: end.map(|offset| offset.0),
                lag: committed.zip(end).map(|(committed, end)| lag(committed.offset, end)),
                metadata: committed.map(|it| it.metadata.clone()).filter(|it| !it.is_empty()),
                member: reader.map(|member| member.id.clone()),
                client: reader.map(|member| member.client_id.clone()),
            });
        }
    }
    partitions
}

fn readers_of(members: &[GroupMember]) -> BTreeMap<(&str, PartitionIndex), &GroupMember> {
    let mut readers = BTreeMap::new();
    for member in members {
        for (topic, of_topic) in member.partitions.iter().flatten() {
            for &partition in of_topic {
                readers.insert((topic.as_str(), partition), member);
            }
        }
    }
    readers
}

/// What a topic's partitions hold; a topic that is not there any more holds nothing.
async fn logs_or_note(cluster: &Cluster, topic: &str, notes: &mut Vec<String>) -> PartitionLogs {
    match cluster.describe_topic(topic).await {
        Ok(described) => ranges_of(cluster, &described, notes).await,
        Err(error) => {
            notes.push(sentence(&format!("tell the offsets of topic {topic}"), &error));
            PartitionLogs::new()
        }
    }
}

/// A log that was cut, or another of the same name, may end before what was read of it.
fn lag(committed: Offset, end: Offset) -> i64 {
    (end - committed).max(0)
}

fn member(member: GroupMember) -> DescribedMember {
    let partitions = member.partitions.map(|partitions| {
        let of_topic = |(topic, of_topic): (String, Vec<PartitionIndex>)| {
            let mut partitions: Vec<i32> = of_topic.iter().map(|partition| partition.0).collect();
            partitions.sort_unstable();
            AssignedTopic { topic, partitions }
        };
        partitions.into_iter().map(of_topic).collect()
    });
    DescribedMember {
        id: member.id,
        instance: member.instance,
        client: member.client_id,
        host: member.host,
        topics: member.topics,
        partitions,
    }
}

/// One group after the other; those that are refused are failures.
pub(super) async fn delete(
    cluster: &Cluster,
    args: DeleteGroupsArgs,
) -> (DeletedGroups, Vec<String>) {
    let mut groups = Vec::new();
    let mut failures = Vec::new();
    for name in args.names {
        let outcome = match cluster.delete_group(&name).await {
            Ok(()) => Deletion::Deleted,
            Err(error) if args.if_exists && code_of(&error) == Some(ErrorCode::GroupIdNotFound) => {
                Deletion::Absent
            }
            Err(error) => {
                failures.push(sentence(&format!("delete group {name}"), &error));
                continue;
            }
        };
        groups.push(DeletedGroup { name, outcome });
    }
    (DeletedGroups { groups }, failures)
}
