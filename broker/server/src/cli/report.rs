//! What came of a command: a document for programs, text for people.
//!
//! Guarantees: the fields of the documents keep their names, and are there even if they have no
//! value. Does not know: how anything was found out.

mod cluster;
mod group;

use std::fmt::Write;

use serde::Serialize;

use super::table::{Align, Table, size_text, visible};

pub(super) use cluster::{DescribedBroker, DescribedCluster};
pub(super) use group::{
    AssignedTopic, DeletedGroup, DeletedGroups, DescribedGroup, DescribedGroups, DescribedMember,
    GroupPartition, ListedGroup, ListedGroups, ResetGroup, ResetPartition, Resetting,
};

/// What stands for something that is not known.
const UNKNOWN: &str = "-";

/// What came of a command that was not refused as a whole.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Report {
    Created(CreatedTopic),
    Listed(ListedTopics),
    Described(DescribedTopics),
    Configs(ConfigsOfTopic),
    Trimmed(TrimmedTopic),
    Deleted(DeletedTopics),
    GroupsListed(ListedGroups),
    GroupsDescribed(DescribedGroups),
    GroupReset(ResetGroup),
    GroupsDeleted(DeletedGroups),
    Cluster(DescribedCluster),
}

/// A topic that was to be created.
#[derive(Debug, Serialize)]
pub(super) struct CreatedTopic {
    pub(super) name: String,
    pub(super) outcome: Creation,
    /// As Kafka spells it; null before there is one.
    pub(super) id: Option<String>,
    pub(super) partitions: Option<usize>,
    pub(super) replication_factor: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Creation {
    Created,
    /// It could be created.
    Valid,
    /// It was there already.
    Exists,
}

#[derive(Debug, Serialize)]
pub(super) struct ListedTopics {
    pub(super) topics: Vec<ListedTopic>,
    /// Whether the brokers' own are among them.
    #[serde(skip)]
    pub(super) all: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct ListedTopic {
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) partitions: usize,
    pub(super) internal: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct DescribedTopics {
    pub(super) topics: Vec<DescribedTopic>,
}

#[derive(Debug, Serialize)]
pub(super) struct DescribedTopic {
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) internal: bool,
    pub(super) partitions: Vec<DescribedPartition>,
    /// Those that are not defaults.
    pub(super) configs: Vec<Config>,
    /// What could not be found out, and why.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct DescribedPartition {
    pub(super) partition: i32,
    pub(super) leader: Option<i32>,
    pub(super) leader_epoch: Option<i32>,
    pub(super) replicas: Vec<i32>,
    pub(super) isr: Vec<i32>,
    pub(super) start_offset: Option<i64>,
    pub(super) end_offset: Option<i64>,
    /// Of the leader's copy.
    pub(super) size_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct ConfigsOfTopic {
    pub(super) name: String,
    pub(super) outcome: Changing,
    pub(super) configs: Vec<Config>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Changing {
    /// Nobody has asked for a change.
    Unchanged,
    Changed,
    /// It could be changed so.
    Valid,
}

#[derive(Debug, Serialize)]
pub(super) struct Config {
    pub(super) name: String,
    pub(super) value: Option<String>,
    /// `topic`, `dynamic-broker`, `dynamic-default-broker`, `static-broker`, `default` or `other`.
    pub(super) source: &'static str,
    pub(super) read_only: bool,
    pub(super) sensitive: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct TrimmedTopic {
    pub(super) name: String,
    pub(super) partitions: Vec<TrimmedPartition>,
}

#[derive(Debug, Serialize)]
pub(super) struct TrimmedPartition {
    pub(super) partition: i32,
    /// Of the first record that there still is.
    pub(super) start_offset: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct DeletedTopics {
    pub(super) topics: Vec<DeletedTopic>,
}

#[derive(Debug, Serialize)]
pub(super) struct DeletedTopic {
    pub(super) name: String,
    pub(super) outcome: Deletion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Deletion {
    Deleted,
    /// It was not there.
    Absent,
}

impl Report {
    pub(super) fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(super) fn text(&self) -> String {
        match self {
            Report::Created(topic) => created(topic),
            Report::Listed(listed) => list(listed),
            Report::Described(described) => {
                let topics: Vec<String> = described.topics.iter().map(description).collect();
                topics.join("\n")
            }
            Report::Configs(configs) => configs_of(configs),
            Report::Trimmed(trimmed) => trim(trimmed),
            Report::Deleted(deleted) => {
                deleted.topics.iter().map(|it| it.outcome.line(&it.name)).collect()
            }
            Report::GroupsListed(listed) => group::list(listed),
            Report::GroupsDescribed(described) => {
                let show = |it: &DescribedGroup| group::description(it, described.with_members);
                let groups: Vec<String> = described.groups.iter().map(show).collect();
                groups.join("\n")
            }
            Report::GroupReset(reset) => group::reset(reset),
            Report::GroupsDeleted(deleted) => {
                deleted.groups.iter().map(|it| it.outcome.line(&it.name)).collect()
            }
            Report::Cluster(described) => cluster::description(described),
        }
    }
}

impl Deletion {
    fn line(self, name: &str) -> String {
        match self {
            Deletion::Deleted => format!("deleted {}\n", visible(name)),
            Deletion::Absent => format!("{} is not there\n", visible(name)),
        }
    }
}

fn created(topic: &CreatedTopic) -> String {
    let name = visible(&topic.name);
    let mut text = match topic.outcome {
        Creation::Created => format!("created {name}"),
        Creation::Valid => format!("{name} could be created"),
        Creation::Exists => format!("{name} exists already"),
    };
    let partitions = topic.partitions.map(|count| counted(count, "partition"));
    let factor = topic.replication_factor.map(|factor| format!("replication factor {factor}"));
    let shape: Vec<String> = partitions.into_iter().chain(factor).collect();
    if !shape.is_empty() {
        let _ = write!(text, ": {}", shape.join(", "));
    }
    text.push('\n');
    text
}

fn list(listed: &ListedTopics) -> String {
    let mut columns = vec![("topic", Align::Left), ("partitions", Align::Right)];
    if listed.all {
        columns.push(("internal", Align::Left));
    }
    let mut table = Table::new(&columns);
    for topic in &listed.topics {
        let mut cells = vec![topic.name.clone(), topic.partitions.to_string()];
        if listed.all {
            cells.push(yes_or_no(topic.internal));
        }
        table.push(cells);
    }
    table.text(0)
}

fn description(topic: &DescribedTopic) -> String {
    let mut text = format!("{}\n", visible(&topic.name));
    let sizes: Option<u64> = topic.partitions.iter().map(|partition| partition.size_bytes).sum();
    text += &facts(&[
        ("id", topic.id.clone()),
        ("internal", topic.internal.then(|| yes_or_no(true))),
        ("partitions", Some(topic.partitions.len().to_string())),
        ("size", sizes.map(size_text)),
    ]);
    let columns = ["partition", "leader", "epoch"].map(|name| (name, Align::Right));
    let lists = ["replicas", "isr"].map(|name| (name, Align::Left));
    let numbers = ["start", "end", "size"].map(|name| (name, Align::Right));
    let mut table = Table::new(&[&columns[..], &lists, &numbers].concat());
    for partition in &topic.partitions {
        table.push(vec![
            partition.partition.to_string(),
            partition.leader.map_or("none".to_owned(), |leader| leader.to_string()),
            shown(partition.leader_epoch),
            list_of(&partition.replicas),
            list_of(&partition.isr),
            shown(partition.start_offset),
            shown(partition.end_offset),
            shown(partition.size_bytes.map(size_text)),
        ]);
    }
    let _ = write!(text, "\n{}", table.text(2));
    if !topic.configs.is_empty() {
        let _ = write!(text, "\n{}", configs(&topic.configs));
    }
    if !topic.notes.is_empty() {
        text.push('\n');
    }
    for note in &topic.notes {
        let _ = writeln!(text, "  {}", visible(note));
    }
    text
}

fn configs_of(topic: &ConfigsOfTopic) -> String {
    let name = visible(&topic.name);
    let heading = match topic.outcome {
        Changing::Unchanged if topic.configs.is_empty() => {
            return format!("{name}: every config has its default, --all shows them\n");
        }
        Changing::Unchanged => format!("{name}\n"),
        Changing::Changed => format!("{name}: changed\n"),
        Changing::Valid => format!("{name}: could be changed so, and is as before\n"),
    };
    heading + &configs(&topic.configs)
}

fn trim(trimmed: &TrimmedTopic) -> String {
    if trimmed.partitions.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["partition", "start"].map(|name| (name, Align::Right)));
    for TrimmedPartition { partition, start_offset } in &trimmed.partitions {
        table.push(vec![partition.to_string(), start_offset.to_string()]);
    }
    format!("{}\n{}", visible(&trimmed.name), table.text(2))
}

fn configs(configs: &[Config]) -> String {
    let columns = ["config", "value", "source"].map(|name| (name, Align::Left));
    let mut table = Table::new(&columns);
    for config in configs {
        let value = match &config.value {
            None if config.sensitive => "(hidden)".to_owned(),
            None => UNKNOWN.to_owned(),
            Some(value) if value.is_empty() => "\"\"".to_owned(),
            Some(value) => value.clone(),
        };
        table.push(vec![config.name.clone(), value, config.source.to_owned()]);
    }
    table.text(2)
}

/// A line for each fact that is known.
fn facts(facts: &[(&str, Option<String>)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, fact) in facts {
        if let Some(fact) = fact {
            let _ = writeln!(text, "  {name:<width$}  {}", visible(fact));
        }
    }
    text
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or(UNKNOWN.to_owned(), |value| value.to_string())
}

fn list_of(numbers: &[i32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
    if numbers.is_empty() { UNKNOWN.to_owned() } else { numbers.join(",") }
}

fn yes_or_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
