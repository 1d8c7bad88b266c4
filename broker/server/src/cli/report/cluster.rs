//! What a cluster consists of.

use std::fmt::Write;

use serde::Serialize;

use super::{facts, shown};
use crate::cli::table::{Align, Table, visible};

#[derive(Debug, Serialize)]
pub(in crate::cli) struct DescribedCluster {
    pub(in crate::cli) id: Option<String>,
    pub(in crate::cli) controller: Option<i32>,
    pub(in crate::cli) brokers: Vec<DescribedBroker>,
    pub(in crate::cli) topics: usize,
    /// The brokers' own.
    pub(in crate::cli) internal_topics: usize,
    /// Of all topics.
    pub(in crate::cli) partitions: usize,
    /// Null if the brokers do not tell.
    pub(in crate::cli) groups: Option<usize>,
    /// What could not be found out, and why.
    pub(in crate::cli) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct DescribedBroker {
    pub(in crate::cli) id: i32,
    pub(in crate::cli) host: String,
    pub(in crate::cli) port: u16,
    pub(in crate::cli) rack: Option<String>,
}

pub(super) fn description(cluster: &DescribedCluster) -> String {
    let mut text = format!("cluster {}\n", visible(&shown(cluster.id.as_ref())));
    let topics = match cluster.internal_topics {
        0 => cluster.topics.to_string(),
        internal => format!("{}, and {internal} of the brokers' own", cluster.topics),
    };
    text += &facts(&[
        ("controller", Some(shown(cluster.controller))),
        ("topics", Some(topics)),
        ("partitions", Some(cluster.partitions.to_string())),
        ("groups", Some(shown(cluster.groups))),
    ]);
    let mut table = Table::new(&[
        ("broker", Align::Right),
        ("host", Align::Left),
        ("port", Align::Right),
        ("rack", Align::Left),
    ]);
    for broker in &cluster.brokers {
        table.push(vec![
            broker.id.to_string(),
            broker.host.clone(),
            broker.port.to_string(),
            shown(broker.rack.as_ref()),
        ]);
    }
    let _ = write!(text, "\n{}", table.text(2));
    if !cluster.notes.is_empty() {
        text.push('\n');
    }
    for note in &cluster.notes {
        let _ = writeln!(text, "  {}", visible(note));
    }
    text
}
