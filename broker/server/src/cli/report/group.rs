//! What came of a command about groups.

use std::fmt::Write;

use serde::Serialize;

use super::{Deletion, UNKNOWN, facts, list_of, shown};
use crate::cli::table::{Align, Table, visible};

#[derive(Debug, Serialize)]
pub(in crate::cli) struct ListedGroups {
    pub(in crate::cli) groups: Vec<ListedGroup>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct ListedGroup {
    pub(in crate::cli) name: String,
    /// As Kafka spells it: `classic`, `consumer` and so on.
    #[serde(rename = "type")]
    pub(in crate::cli) group_type: String,
    /// `consumer`, or whatever its members are; empty if it has only offsets.
    pub(in crate::cli) protocol_type: String,
    /// As Kafka spells it; null if the broker does not tell.
    pub(in crate::cli) state: Option<String>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct DescribedGroups {
    pub(in crate::cli) groups: Vec<DescribedGroup>,
    /// Whether people want to see them; programs always do.
    #[serde(skip)]
    pub(in crate::cli) with_members: bool,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct DescribedGroup {
    pub(in crate::cli) name: String,
    #[serde(rename = "type")]
    pub(in crate::cli) group_type: String,
    pub(in crate::cli) protocol_type: String,
    pub(in crate::cli) state: String,
    pub(in crate::cli) assignor: Option<String>,
    /// Null of a classic group.
    pub(in crate::cli) epoch: Option<i32>,
    pub(in crate::cli) coordinator: i32,
    pub(in crate::cli) members: Vec<DescribedMember>,
    /// Those of which it has read something, or is reading.
    pub(in crate::cli) partitions: Vec<GroupPartition>,
    /// What could not be found out, and why.
    pub(in crate::cli) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct DescribedMember {
    pub(in crate::cli) id: String,
    /// Of a static member.
    pub(in crate::cli) instance: Option<String>,
    pub(in crate::cli) client: String,
    pub(in crate::cli) host: String,
    /// Null if that is not told, or in words that are not known here.
    pub(in crate::cli) topics: Option<Vec<String>>,
    /// As above.
    pub(in crate::cli) partitions: Option<Vec<AssignedTopic>>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct AssignedTopic {
    pub(in crate::cli) topic: String,
    pub(in crate::cli) partitions: Vec<i32>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct GroupPartition {
    pub(in crate::cli) topic: String,
    pub(in crate::cli) partition: i32,
    pub(in crate::cli) committed_offset: Option<i64>,
    pub(in crate::cli) end_offset: Option<i64>,
    /// Records from the one to the other.
    pub(in crate::cli) lag: Option<i64>,
    /// What the one who has committed the offset wanted to find again.
    pub(in crate::cli) metadata: Option<String>,
    /// The id of the member that reads it.
    pub(in crate::cli) member: Option<String>,
    /// What that member calls itself.
    pub(in crate::cli) client: Option<String>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct ResetGroup {
    pub(in crate::cli) name: String,
    pub(in crate::cli) outcome: Resetting,
    pub(in crate::cli) partitions: Vec<ResetPartition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum Resetting {
    /// Nothing is set.
    DryRun,
    Reset,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct ResetPartition {
    pub(in crate::cli) topic: String,
    pub(in crate::cli) partition: i32,
    /// Before.
    pub(in crate::cli) committed_offset: Option<i64>,
    pub(in crate::cli) new_offset: i64,
    /// What it would be if the log had no bounds.
    pub(in crate::cli) wanted_offset: i64,
    pub(in crate::cli) start_offset: i64,
    pub(in crate::cli) end_offset: i64,
    /// After.
    pub(in crate::cli) lag: i64,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct DeletedGroups {
    pub(in crate::cli) groups: Vec<DeletedGroup>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct DeletedGroup {
    pub(in crate::cli) name: String,
    pub(in crate::cli) outcome: Deletion,
}

pub(super) fn list(listed: &ListedGroups) -> String {
    let columns = ["group", "type", "protocol", "state"].map(|name| (name, Align::Left));
    let mut table = Table::new(&columns);
    for group in &listed.groups {
        let protocol_type = Some(&group.protocol_type).filter(|it| !it.is_empty());
        table.push(vec![
            group.name.clone(),
            group.group_type.clone(),
            shown(protocol_type),
            shown(group.state.as_ref()),
        ]);
    }
    table.text(0)
}

pub(super) fn description(group: &DescribedGroup, with_members: bool) -> String {
    let lags: Vec<i64> = group.partitions.iter().filter_map(|partition| partition.lag).collect();
    let mut text = format!("{}\n", visible(&group.name));
    text += &facts(&[
        ("state", Some(group.state.clone())),
        ("type", Some(group.group_type.clone())),
        ("protocol", Some(group.protocol_type.clone()).filter(|it| !it.is_empty())),
        ("assignor", group.assignor.clone()),
        ("epoch", group.epoch.map(|epoch| epoch.to_string())),
        ("coordinator", Some(group.coordinator.to_string())),
        ("members", Some(group.members.len().to_string())),
        ("lag", (!lags.is_empty()).then(|| lags.iter().sum::<i64>().to_string())),
    ]);
    if with_members && !group.members.is_empty() {
        let _ = write!(text, "\n{}", members(&group.members));
    }
    let _ = write!(text, "\n{}", partitions(&group.partitions));
    if !group.notes.is_empty() {
        text.push('\n');
    }
    for note in &group.notes {
        let _ = writeln!(text, "  {}", visible(note));
    }
    text
}

fn members(members: &[DescribedMember]) -> String {
    let columns =
        ["member", "instance", "client", "host", "partitions"].map(|name| (name, Align::Left));
    let mut table = Table::new(&columns);
    for member in members {
        let partitions = member.partitions.as_ref().map(|partitions| {
            let of_topic = |it: &AssignedTopic| format!("{}:{}", it.topic, list_of(&it.partitions));
            let topics: Vec<String> = partitions.iter().map(of_topic).collect();
            if topics.is_empty() { "none".to_owned() } else { topics.join(" ") }
        });
        table.push(vec![
            member.id.clone(),
            shown(member.instance.as_ref()),
            member.client.clone(),
            member.host.clone(),
            shown(partitions),
        ]);
    }
    table.text(2)
}

fn partitions(partitions: &[GroupPartition]) -> String {
    let names = [("topic", Align::Left)];
    let numbers = ["partition", "committed", "end", "lag"].map(|name| (name, Align::Right));
    let mut table = Table::new(&[&names[..], &numbers, &[("client", Align::Left)]].concat());
    for partition in partitions {
        table.push(vec![
            partition.topic.clone(),
            partition.partition.to_string(),
            shown(partition.committed_offset),
            shown(partition.end_offset),
            shown(partition.lag),
            partition.client.clone().unwrap_or(UNKNOWN.to_owned()),
        ]);
    }
    table.text(2)
}

pub(super) fn reset(group: &ResetGroup) -> String {
    let name = visible(&group.name);
    let heading = match group.outcome {
        Resetting::DryRun => format!("{name}: would be set so, and is as before; see --execute\n"),
        Resetting::Reset => format!("{name}: set\n"),
    };
    let names = [("topic", Align::Left)];
    let numbers =
        ["partition", "committed", "new", "start", "end", "lag"].map(|name| (name, Align::Right));
    let mut table = Table::new(&[&names[..], &numbers].concat());
    for partition in &group.partitions {
        table.push(vec![
            partition.topic.clone(),
            partition.partition.to_string(),
            shown(partition.committed_offset),
            partition.new_offset.to_string(),
            partition.start_offset.to_string(),
            partition.end_offset.to_string(),
            partition.lag.to_string(),
        ]);
    }
    let mut text = heading + &table.text(2);
    for partition in group.partitions.iter().filter(|it| it.wanted_offset != it.new_offset) {
        let ResetPartition { topic, partition, wanted_offset, new_offset, .. } = partition;
        let _ = writeln!(
            text,
            "  {} {partition}: {wanted_offset} is outside of the log, {new_offset} is the nearest",
            visible(topic)
        );
    }
    text
}
