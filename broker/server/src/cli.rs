//! `highwater topic`, `group`, `cluster`, `produce` and `consume`: any broker that speaks Kafka's
//! protocol, from the command line.
//!
//! ```text
//!   arguments   what a user has written
//!       │
//!     topic     ask the cluster          ─► Done           produce   send what comes in
//!     group                                                consume   show what is there
//!    cluster
//!       │
//!    report     what came of it: JSON for programs, tables for people
//!     table
//! ```
//! Guarantees: standard output has the result and nothing else; what was not done is one sentence
//! for each topic or group, with Kafka's name for the error and the broker's words; the names in the
//! JSON stay. It runs on the calling thread alone, so that it begins at once.
//! Does not know: the broker that is in the same program.

mod arguments;
mod moment;
mod topic;
mod group;
mod cluster;
mod produce;
mod consume;
mod logs;
mod sentence;
mod report;
mod table;

use std::future::Future;
use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Subcommand;
use client::{Cluster, ClusterOptions, ConnectionOptions, Host};
use wire::Text;

use arguments::{
    ClusterArgs, CommonArgs, ConsumeArgs, GroupArgs, GroupCommand, ProduceArgs, TopicArgs,
    TopicCommand,
};
use report::Report;
use table::visible;

/// The longest that a connection is waited for.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Done {
    /// For standard output.
    pub(crate) text: String,
    /// What was not done, a sentence each.
    pub(crate) failures: Vec<String>,
    /// Whether all is done that was asked for.
    pub(crate) is_whole: bool,
}

impl Done {
    /// Brokers have a part in these failures.
    fn of(text: String, failures: &[String]) -> Done {
        let failures: Vec<String> = failures.iter().map(|failure| visible(failure)).collect();
        Done { text, is_whole: failures.is_empty(), failures }
    }
}

/// What is asked of brokers from outside.
#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Creates, lists, describes, changes and deletes topics, of any broker that speaks Kafka's
    /// protocol.
    Topic(TopicArgs),
    /// Lists, describes, resets and deletes groups of consumers, of any such broker.
    Group(GroupArgs),
    /// Shows which brokers there are, and how many topics and groups.
    Cluster(ClusterArgs),
    /// Sends each line of standard input as a record.
    Produce(ProduceArgs),
    /// Writes the records of a topic to standard output.
    Consume(ConsumeArgs),
}

impl Tool {
    /// What is wrong with arguments of which each by itself is right.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Tool::Topic(args) => args.check(),
            Tool::Group(args) => args.check(),
            Tool::Cluster(_) | Tool::Produce(_) | Tool::Consume(_) => Ok(()),
        }
    }

    /// Does what the user has asked for. An error is that nothing came of it at all.
    pub(crate) fn run(self) -> anyhow::Result<Done> {
        match self {
            Tool::Topic(TopicArgs { common, command }) => {
                run("highwater-topic", common, async |cluster| on_topics(&cluster, command).await)
            }
            Tool::Group(GroupArgs { common, command }) => {
                run("highwater-group", common, async |cluster| on_groups(&cluster, command).await)
            }
            Tool::Cluster(ClusterArgs { common }) => {
                run("highwater-cluster", common, async |cluster| {
                    let described = cluster::describe(&cluster).await?;
                    Ok((Report::Cluster(described), Vec::new()))
                })
            }
            Tool::Produce(args) => stream(produce::produce(args)),
            Tool::Consume(args) => stream(consume::consume(args)),
        }
    }
}

/// Asks a cluster, under this name, within the time that the user gives it.
fn run(
    client_id: &'static str,
    common: CommonArgs,
    ask: impl AsyncFnOnce(Cluster) -> anyhow::Result<(Report, Vec<String>)> + 'static,
) -> anyhow::Result<Done> {
    let CommonArgs { bootstrap, json, timeout } = common;
    let in_time = runtime::block_on(async move {
        let done = async {
            let options = cluster_options(client_id, timeout);
            let connected = Cluster::connect(bootstrap, options).await;
            let cluster = connected.map_err(|error| anyhow!(client::in_full(&error)))?;
            ask(cluster).await
        };
        runtime::timeout(timeout, done).await
    })?;
    let Ok(done) = in_time else {
        bail!("not done within {timeout:?}: what was begun may still be done; see --timeout");
    };
    // Brokers have a part in these sentences.
    let (report, failures) = done.map_err(|error| anyhow!(visible(&error.to_string())))?;
    let text = if json { report.json()? } else { report.text() };
    Ok(Done::of(text, &failures))
}

/// Runs what shows its results by itself, for as long as it takes.
fn stream(work: impl Future<Output = anyhow::Result<Done>> + 'static) -> anyhow::Result<Done> {
    runtime::block_on(work)?.map_err(|error| anyhow!(visible(&error.to_string())))
}

/// Tells the user of something that went wrong.
pub(crate) fn complain(text: &str) {
    // If nobody reads it, the exit code says enough.
    let _ = writeln!(std::io::stderr(), "error: {text}");
}

/// What came of it, and what failed.
async fn on_topics(
    cluster: &Cluster,
    command: TopicCommand,
) -> anyhow::Result<(Report, Vec<String>)> {
    match command {
        TopicCommand::Create(args) => {
            let created = topic::create(cluster, args).await?;
            Ok((Report::Created(created), Vec::new()))
        }
        TopicCommand::List(args) => {
            let listed = topic::list(cluster, args).await?;
            Ok((Report::Listed(listed), Vec::new()))
        }
        TopicCommand::Describe(args) => {
            let (described, failures) = topic::describe(cluster, args).await;
            Ok((Report::Described(described), failures))
        }
        TopicCommand::Config(args) => {
            let configs = topic::config(cluster, args).await?;
            Ok((Report::Configs(configs), Vec::new()))
        }
        TopicCommand::Trim(args) => {
            let (trimmed, failures) = topic::trim(cluster, args).await?;
            Ok((Report::Trimmed(trimmed), failures))
        }
        TopicCommand::Delete(args) => {
            let (deleted, failures) = topic::delete(cluster, args).await;
            Ok((Report::Deleted(deleted), failures))
        }
    }
}

/// As above.
async fn on_groups(
    cluster: &Cluster,
    command: GroupCommand,
) -> anyhow::Result<(Report, Vec<String>)> {
    match command {
        GroupCommand::List(args) => {
            let listed = group::list(cluster, args).await?;
            Ok((Report::GroupsListed(listed), Vec::new()))
        }
        GroupCommand::Describe(args) => {
            let (described, failures) = group::describe(cluster, args).await;
            Ok((Report::GroupsDescribed(described), failures))
        }
        GroupCommand::Reset(args) => {
            let (reset, failures) = group::reset(cluster, args).await?;
            Ok((Report::GroupReset(reset), failures))
        }
        GroupCommand::Delete(args) => {
            let (deleted, failures) = group::delete(cluster, args).await;
            Ok((Report::GroupsDeleted(deleted), failures))
        }
    }
}

fn cluster_options(client_id: &'static str, timeout: Duration) -> ClusterOptions {
    // Less than there is in all, so that who has to wait too long is told for what: that no answer
    // has come is judged an eighth late at most.
    let step = timeout * 3 / 4;
    let mut connection = ConnectionOptions::new(Text::from_static(client_id));
    connection.request_timeout = step;
    connection.connect_timeout = step.min(CONNECT_MAX);
    ClusterOptions { connection, resolve, retry_for: step }
}

/// The system's resolver, which blocks: nothing else is done meanwhile. An address that can be
/// reached by IPv4 if there is one.
fn resolve(host: &Host) -> Option<SocketAddr> {
    let addresses: Vec<SocketAddr> =
        (host.name.as_str(), host.port).to_socket_addrs().ok()?.collect();
    addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied()
}

#[cfg(test)]
mod tests;
