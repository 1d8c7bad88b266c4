//! What a user writes behind `highwater group`.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use model::{Offset, PartitionIndex, Timestamp};

use super::{CommonArgs, EXIT_CODES, offset, partition};
use crate::cli::moment;

/// Kafka's names for the states of groups, of both protocols.
const STATES: [&str; 8] = [
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Empty",
    "Assigning",
    "Reconciling",
    "NotReady",
];

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct GroupArgs {
    #[command(flatten)]
    pub(in crate::cli) common: CommonArgs,
    #[command(subcommand)]
    pub(in crate::cli) command: GroupCommand,
}

#[derive(Subcommand, Debug)]
pub(in crate::cli) enum GroupCommand {
    /// Lists the groups of all brokers.
    List(ListGroupsArgs),
    /// Shows how far groups have read, and who their members are.
    Describe(DescribeGroupsArgs),
    /// Sets how far a group has read, while it has no members. Only shows what would be set, unless
    /// --execute is given.
    Reset(ResetArgs),
    /// Deletes groups without members, and how far they have read.
    Delete(DeleteGroupsArgs),
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ListGroupsArgs {
    /// Only groups in these states, separated by commas, for example Stable,Empty.
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    pub(in crate::cli) state: Vec<String>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct DescribeGroupsArgs {
    /// The groups' names.
    #[arg(required = true, value_name = "NAME")]
    pub(in crate::cli) names: Vec<String>,
    /// Show each member, with what it reads.
    #[arg(long)]
    pub(in crate::cli) members: bool,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct DeleteGroupsArgs {
    /// The groups' names.
    #[arg(required = true, value_name = "NAME")]
    pub(in crate::cli) names: Vec<String>,
    /// That a group is not there is no error.
    #[arg(long)]
    pub(in crate::cli) if_exists: bool,
}

#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("scope").args(["topic", "all_topics"]).required(true),
    group = ArgGroup::new("target").required(true),
)]
pub(in crate::cli) struct ResetArgs {
    /// The group's name. It need not be there yet.
    pub(in crate::cli) name: String,
    /// A topic, or some of its partitions, for example orders or orders:0,3; may be given several
    /// times.
    #[arg(long, value_name = "TOPIC[:N,N]", value_parser = scope)]
    topic: Vec<TopicScope>,
    /// Everything of which the group has committed how far it has read.
    #[arg(long)]
    all_topics: bool,
    /// Back to the first record that there still is.
    #[arg(long, group = "target")]
    to_earliest: bool,
    /// On to the next record that will be.
    #[arg(long, group = "target")]
    to_latest: bool,
    /// To an offset; what is outside of the log becomes the nearest that is in it.
    #[arg(
        long,
        group = "target",
        value_name = "OFFSET",
        allow_negative_numbers = true,
        value_parser = offset
    )]
    to_offset: Option<Offset>,
    /// So many records on, or back if it is negative; bounded by the log as above.
    #[arg(long, group = "target", value_name = "N", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// To the first record that is not older, for example 2026-11-28T09:30:00Z.
    #[arg(long, group = "target", value_name = "TIME", value_parser = moment::rfc3339)]
    to_datetime: Option<Timestamp>,
    /// To the first record that is not older than so long ago, for example 10m or PT1H30M.
    #[arg(long, group = "target", value_name = "TIME", value_parser = moment::duration)]
    by_duration: Option<Duration>,
    /// Set it, rather than show what would be set.
    #[arg(long)]
    pub(in crate::cli) execute: bool,
}

/// A topic, and some of its partitions or, if none is named, all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct TopicScope {
    pub(in crate::cli) topic: String,
    pub(in crate::cli) partitions: Vec<PartitionIndex>,
}

/// Where a group is to read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Target {
    Earliest,
    Latest,
    Offset(Offset),
    Shift(i64),
    Time(Timestamp),
    Ago(Duration),
}

impl GroupArgs {
    pub(crate) fn check(&self) -> Result<(), String> {
        let GroupCommand::Reset(args) = &self.command else { return Ok(()) };
        let mut seen = BTreeMap::new();
        match args.topic.iter().find(|scope| seen.insert(&scope.topic, ()).is_some()) {
            Some(scope) => {
                let topic = &scope.topic;
                Err(format!(
                    "the topic `{topic}` is named twice: name all its partitions at once, for \
                     example {topic}:0,1"
                ))
            }
            None => Ok(()),
        }
    }
}

impl ResetArgs {
    /// What is named; none is everything that the group has read.
    pub(in crate::cli) fn scope(&self) -> Option<&[TopicScope]> {
        (!self.all_topics).then_some(&self.topic)
    }

    pub(in crate::cli) fn target(&self) -> Target {
        let others = [
            self.to_offset.map(Target::Offset),
            self.shift_by.map(Target::Shift),
            self.to_datetime.map(Target::Time),
            self.by_duration.map(Target::Ago),
            self.to_latest.then_some(Target::Latest),
        ];
        // The parser asks for one of them.
        others.into_iter().flatten().next().unwrap_or(Target::Earliest)
    }
}

/// Kafka's name, however it is spelled: `stable`, `preparing-rebalance`.
fn state(text: &str) -> Result<String, String> {
    let spelled = text.replace(['-', '_'], "");
    let known = STATES.iter().find(|state| state.eq_ignore_ascii_case(&spelled));
    known.map(|state| (*state).to_owned()).ok_or(format!("write one of {}", STATES.join(", ")))
}

/// `TOPIC` or `TOPIC:N,N`; a topic's name has no colon.
fn scope(text: &str) -> Result<TopicScope, String> {
    let (topic, partitions) = match text.split_once(':') {
        None => (text, Vec::new()),
        Some((topic, list)) => {
            let partitions: Result<Vec<_>, String> = list.split(',').map(partition).collect();
            let wrong = |_| "write TOPIC or TOPIC:N,N, for example orders:0,3".to_owned();
            (topic, partitions.map_err(wrong)?)
        }
    };
    if topic.is_empty() {
        return Err("there is no topic: write TOPIC or TOPIC:N,N, for example orders:0,3".into());
    }
    Ok(TopicScope { topic: topic.to_owned(), partitions })
}
