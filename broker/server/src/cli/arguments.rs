//! What a user writes on the command line: here of all commands, and behind `highwater topic` and
//! `highwater cluster`.
//!
//! Guarantees: what is wrong is told with an example of what is right, before a broker is asked.
//! Does not know: which topics, configs and groups there are.

mod group;
mod records;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Args, Subcommand};
use client::{DeleteBefore, Host};
use model::{Offset, PartitionIndex};

pub(crate) use group::GroupArgs;
pub(super) use group::{
    DeleteGroupsArgs, DescribeGroupsArgs, GroupCommand, ListGroupsArgs, ResetArgs, Target,
    TopicScope,
};

pub(crate) use records::{ConsumeArgs, ProduceArgs};
pub(super) use records::{From, Until};

const EXIT_CODES: &str = "Exit codes:
  0  all of it is done
  1  some of it is not, and the error output says why
  2  the command line is not understood";

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct TopicArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[command(subcommand)]
    pub(super) command: TopicCommand,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ClusterArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

#[derive(Args, Debug)]
pub(super) struct CommonArgs {
    /// Brokers to ask first, separated by commas.
    #[arg(
        long,
        global = true,
        value_delimiter = ',',
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9092"
    )]
    pub(super) bootstrap: Vec<Host>,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// How long all of it may take, for example 500ms, 30s or 2m.
    #[arg(long, global = true, value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub(super) timeout: Duration,
}

#[derive(Subcommand, Debug)]
pub(super) enum TopicCommand {
    /// Creates a topic, and waits until all its partitions have a leader.
    Create(CreateArgs),
    /// Lists topics.
    List(ListArgs),
    /// Shows what topics consist of, and their configs that are not defaults.
    Describe(DescribeArgs),
    /// Shows or changes a topic's configs.
    Config(ConfigArgs),
    /// Deletes the oldest records of a topic.
    Trim(TrimArgs),
    /// Deletes topics, with all that is in them.
    Delete(DeleteArgs),
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// The topic's name.
    pub(super) name: String,
    /// How many; -1 is as many as the broker makes by default.
    #[arg(
        long,
        value_name = "N",
        default_value_t = -1,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(-1..)
    )]
    pub(super) partitions: i32,
    /// Copies of each partition; -1 is as many as the broker makes by default.
    #[arg(
        long,
        value_name = "N",
        default_value_t = -1,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i16).range(-1..)
    )]
    pub(super) replication_factor: i16,
    /// For example flush.messages=1; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(super) config: Vec<(String, String)>,
    /// That the topic is there already is no error, whatever it looks like.
    #[arg(long)]
    pub(super) if_not_exists: bool,
    /// Only ask whether it could be created.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// The brokers' own topics, too.
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Args, Debug)]
pub(super) struct DescribeArgs {
    /// The topics' names.
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct ConfigArgs {
    /// The topic's name.
    pub(super) name: String,
    /// Set a config, for example retention.ms=3600000; may be given several times. All changes are
    /// made, or none.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(super) set: Vec<(String, String)>,
    /// Take a config back to its default; may be given several times.
    #[arg(long, value_name = "KEY")]
    pub(super) unset: Vec<String>,
    /// Show all configs, not only those that are no defaults or that were changed.
    #[arg(long)]
    pub(super) all: bool,
    /// Only ask whether the changes could be made.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args, Debug)]
pub(super) struct TrimArgs {
    /// The topic's name.
    pub(super) name: String,
    /// Records with a lower offset go; `end` is all that there are.
    #[arg(long, value_name = "OFFSET|end", allow_negative_numbers = true, value_parser = before)]
    pub(super) before: DeleteBefore,
    /// Only of this partition; may be given several times. All, if not given.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = partition)]
    pub(super) partition: Vec<PartitionIndex>,
}

#[derive(Args, Debug)]
pub(super) struct DeleteArgs {
    /// The topics' names.
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// That a topic is not there is no error.
    #[arg(long)]
    pub(super) if_exists: bool,
}

impl TopicArgs {
    /// What is wrong with arguments of which each by itself is right.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (keys, wants_changes): (Vec<&String>, bool) = match &self.command {
            TopicCommand::Create(args) => (args.config.iter().map(|(key, _)| key).collect(), false),
            TopicCommand::Config(args) => {
                let set = args.set.iter().map(|(key, _)| key);
                (set.chain(&args.unset).collect(), args.dry_run)
            }
            TopicCommand::List(_)
            | TopicCommand::Describe(_)
            | TopicCommand::Trim(_)
            | TopicCommand::Delete(_) => return Ok(()),
        };
        if wants_changes && keys.is_empty() {
            return Err("--dry-run without --set or --unset: there is nothing to try".to_owned());
        }
        let mut seen = BTreeSet::new();
        match keys.into_iter().find(|key| !seen.insert(*key)) {
            Some(key) => Err(format!("the config `{key}` is named twice: name it once")),
            None => Ok(()),
        }
    }
}

/// `KEY=VALUE`; the value may have more of `=`, or be empty.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, for example flush.messages=1".to_owned()),
    }
}

/// `500ms`, `30s`, `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 3] = [("ms", 1), ("s", 1_000), ("m", 60_000)];
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms);
    let number: Option<u64> = number.parse().ok();
    let ms = number.zip(unit_ms).and_then(|(number, unit_ms)| number.checked_mul(unit_ms));
    // A request cannot carry more.
    match ms.filter(|ms| (1..=i32::MAX as u64).contains(ms)) {
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err("write a time from 1ms to 35791m, for example 500ms, 30s or 2m".to_owned()),
    }
}

fn before(text: &str) -> Result<DeleteBefore, String> {
    match text.parse() {
        Ok(offset) if 0 <= offset => Ok(DeleteBefore::Offset(Offset(offset))),
        _ if text == "end" => Ok(DeleteBefore::End),
        _ => Err("write an offset from 0 on, or `end`".to_owned()),
    }
}

fn offset(text: &str) -> Result<Offset, String> {
    match text.parse() {
        Ok(offset) if 0 <= offset => Ok(Offset(offset)),
        _ => Err("write an offset from 0 on".to_owned()),
    }
}

fn partition(text: &str) -> Result<PartitionIndex, String> {
    match text.parse() {
        Ok(number) if 0 <= number => Ok(PartitionIndex(number)),
        _ => Err("write the number of a partition, from 0 on".to_owned()),
    }
}
