//! Where the logs of a topic's partitions begin and end, and how large they are.
//!
//! Guarantees: every leader is asked once for all its partitions; what it does not tell is noted, and
//! the rest is told.

use std::collections::BTreeMap;

use client::{Cluster, OffsetAt, TopicDescription};
use model::{BrokerId, Offset, PartitionIndex};

use super::sentence::{is_not_served, sentence};

/// What a leader tells of a partition's log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartitionLog {
    pub(super) start: Option<Offset>,
    pub(super) end: Option<Offset>,
    pub(super) size_bytes: Option<u64>,
}

pub(super) type PartitionLogs = BTreeMap<PartitionIndex, PartitionLog>;

/// Where they begin and end, and how large they are. That a leader does not know how large logs are
/// is not noted.
pub(super) async fn logs_of(
    cluster: &Cluster,
    topic: &TopicDescription,
    notes: &mut Vec<String>,
) -> PartitionLogs {
    let mut logs = ranges_of(cluster, topic, notes).await;
    for (leader, partitions) in led_by(topic) {
        match cluster.describe_log_dirs(leader, &topic.name, &partitions).await {
            Ok(dirs) => {
                let replicas = dirs.iter().flat_map(|dir| &dir.replicas);
                for replica in replicas.filter(|it| !it.is_future && it.topic == topic.name) {
                    let log = logs.entry(replica.partition).or_default();
                    log.size_bytes = Some(replica.size_bytes);
                }
            }
            Err(error) if is_not_served(&error) => {}
            Err(error) => {
                let doing = format!("tell the sizes of broker {leader}");
                notes.push(sentence(&doing, &error));
            }
        }
    }
    logs
}

/// Where they begin and end.
pub(super) async fn ranges_of(
    cluster: &Cluster,
    topic: &TopicDescription,
    notes: &mut Vec<String>,
) -> PartitionLogs {
    let mut logs = PartitionLogs::new();
    for (leader, partitions) in led_by(topic) {
        for at in [OffsetAt::Start, OffsetAt::End] {
            let offsets = match cluster.offsets_on(leader, &topic.name, &partitions, at).await {
                Ok(offsets) => offsets,
                Err(error) => {
                    let doing = format!("tell the offsets of broker {leader}");
                    notes.push(sentence(&doing, &error));
                    // It would say the same again.
                    break;
                }
            };
            for (partition, offset) in offsets {
                let log = logs.entry(partition).or_default();
                match (offset, at) {
                    (Ok(offset), OffsetAt::Start) => log.start = Some(offset),
                    (Ok(offset), _) => log.end = Some(offset),
                    (Err(code), OffsetAt::Start) => {
                        notes.push(format!("partition {partition}: {code}"))
                    }
                    (Err(_), _) => {}
                }
            }
        }
    }
    logs
}

/// A topic's partitions by their leaders; those without one are in no list.
fn led_by(topic: &TopicDescription) -> BTreeMap<BrokerId, Vec<PartitionIndex>> {
    let mut led: BTreeMap<BrokerId, Vec<PartitionIndex>> = BTreeMap::new();
    for partition in &topic.partitions {
        if let Some(leader) = partition.leader {
            led.entry(leader).or_default().push(partition.partition);
        }
    }
    led
}
