//! What `highwater cluster` asks of a cluster.

use anyhow::anyhow;
use client::{Cluster, GroupFilter};

use super::report::{DescribedBroker, DescribedCluster};
use super::sentence::{is_not_served, sentence};

pub(super) async fn describe(cluster: &Cluster) -> anyhow::Result<DescribedCluster> {
    let refused = |doing: &str, error| anyhow!(sentence(doing, &error));
    let described = cluster.describe_cluster().await;
    let described = described.map_err(|error| refused("describe the cluster", error))?;
    let topics = cluster.list_topics().await.map_err(|error| refused("list topics", error))?;
    let mut notes = Vec::new();
    let groups = match cluster.list_groups(&GroupFilter::default()).await {
        Ok(groups) => Some(groups.len()),
        Err(error) => {
            if !is_not_served(&error) {
                notes.push(sentence("count the groups", &error));
            }
            None
        }
    };
    let brokers = described.brokers.into_iter().map(|broker| DescribedBroker {
        id: broker.id.0,
        host: broker.host.name,
        port: broker.host.port,
        rack: broker.rack,
    });
    Ok(DescribedCluster {
        id: described.id,
        controller: described.controller.map(|broker| broker.0),
        brokers: brokers.collect(),
        topics: topics.iter().filter(|topic| !topic.is_internal).count(),
        internal_topics: topics.iter().filter(|topic| topic.is_internal).count(),
        partitions: topics.iter().map(|topic| topic.partitions.len()).sum(),
        groups,
        notes,
    })
}
