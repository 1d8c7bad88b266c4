//! `highwater topic`: topics of any broker that speaks Kafka's protocol, from the command line.
//!
//! ```text
//!   arguments   what a user has written
//!       │
//!     topic     asks the cluster                        ─► Done
//!       │
//!    report     what came of it: JSON for programs, tables for people
//!     table
//! ```
//! Guarantees: standard output has the result and nothing else; what was not done is one sentence
//! for each topic, with Kafka's name for the error and the broker's words; the names in the JSON
//! stay. It runs on the calling thread alone, so that it begins at once.
//! Does not know: the broker that is in the same program.

mod arguments;
mod topic;
mod report;
mod table;

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::{anyhow, bail};
use client::{Cluster, ClusterOptions, ConnectionOptions, Host};
use wire::Text;

pub(crate) use arguments::TopicArgs;
use arguments::{CommonArgs, TopicCommand};
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
}

/// Does what the user has asked for. An error is that nothing came of it at all.
pub(crate) fn run(args: TopicArgs) -> anyhow::Result<Done> {
    let TopicArgs { common: CommonArgs { bootstrap, json, timeout }, command } = args;
    let in_time = runtime::block_on(async move {
        let done = async {
            let connected = Cluster::connect(bootstrap, cluster_options(timeout)).await;
            let cluster = connected.map_err(|error| anyhow!(client::in_full(&error)))?;
            obey(&cluster, command).await
        };
        runtime::timeout(timeout, done).await
    })?;
    let Ok(done) = in_time else {
        bail!("not done within {timeout:?}: what was begun may still be done; see --timeout");
    };
    // Brokers have a part in these sentences.
    let (report, failures) = done.map_err(|error| anyhow!(visible(&error.to_string())))?;
    let text = if json { report.json()? } else { report.text() };
    Ok(Done { text, failures: failures.iter().map(|failure| visible(failure)).collect() })
}

/// What came of it, and what failed.
async fn obey(cluster: &Cluster, command: TopicCommand) -> anyhow::Result<(Report, Vec<String>)> {
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

fn cluster_options(timeout: Duration) -> ClusterOptions {
    // Less than there is in all, so that who has to wait too long is told for what: that no answer
    // has come is judged an eighth late at most.
    let step = timeout * 3 / 4;
    let mut connection = ConnectionOptions::new(Text::from_static("highwater-topic"));
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
