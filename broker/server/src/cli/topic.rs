//! What the commands about topics ask of a cluster.
//!
//! Guarantees: an error is one sentence that names the topic, Kafka's error and the broker's words.
//! Does not know: how what came of it is shown.

use std::time::Duration;

use anyhow::anyhow;
use client::{
    Cluster, ClusterError, ConfigChange, ConfigEntry, ConfigSource, NewTopic, TopicDescription,
};
use model::{LeaderEpoch, TopicId};
use wire::ErrorCode;

use super::arguments::{ConfigArgs, CreateArgs, DeleteArgs, DescribeArgs, ListArgs, TrimArgs};
use super::logs::logs_of;
use super::report::{
    Changing, Config, ConfigsOfTopic, CreatedTopic, Creation, DeletedTopic, DeletedTopics,
    Deletion, DescribedPartition, DescribedTopic, DescribedTopics, ListedTopic, ListedTopics,
    TrimmedPartition, TrimmedTopic,
};
use super::sentence::{code_of, is_not_served, sentence};

/// For how long a change is looked for: the broker that is asked may hear of it later than the one
/// that has made it.
const SETTLED_AFTER_MAX: Duration = Duration::from_secs(2);
const SETTLING_PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn create(cluster: &Cluster, args: CreateArgs) -> anyhow::Result<CreatedTopic> {
    let topic = NewTopic {
        name: args.name,
        partitions_count: args.partitions,
        replication_factor: args.replication_factor,
        configs: args.config,
    };
    let name = topic.name.clone();
    let doing = format!("create topic {name}");
    let created = if args.dry_run {
        cluster.check_topic(&topic).await.map(Some)
    } else {
        cluster.create_topic(&topic).await.map(|_| None)
    };
    let outcome = match created {
        Ok(Some(shape)) => {
            return Ok(CreatedTopic {
                name,
                outcome: Creation::Valid,
                id: None,
                partitions: shape.partitions_count.and_then(|count| usize::try_from(count).ok()),
                replication_factor: shape
                    .replication_factor
                    .and_then(|factor| usize::try_from(factor).ok()),
            });
        }
        Ok(None) => Creation::Created,
        Err(error)
            if args.if_not_exists && code_of(&error) == Some(ErrorCode::TopicAlreadyExists) =>
        {
            Creation::Exists
        }
        Err(error) => return Err(anyhow!(sentence(&doing, &error))),
    };
    let described = cluster.describe_topic(&name).await;
    let topic = described.map_err(|error| anyhow!(sentence(&describing(&name), &error)))?;
    Ok(CreatedTopic {
        name,
        outcome,
        id: id_of(&topic),
        partitions: Some(topic.partitions.len()),
        replication_factor: topic.partitions.first().map(|partition| partition.replicas.len()),
    })
}

pub(super) async fn list(cluster: &Cluster, args: ListArgs) -> anyhow::Result<ListedTopics> {
    let topics = cluster.list_topics().await;
    let topics = topics.map_err(|error| anyhow!(sentence("list topics", &error)))?;
    let shown = topics.iter().filter(|topic| args.all || !topic.is_internal);
    let listed = shown.map(|topic| ListedTopic {
        name: topic.name.clone(),
        id: id_of(topic),
        partitions: topic.partitions.len(),
        internal: topic.is_internal,
    });
    Ok(ListedTopics { topics: listed.collect(), all: args.all })
}

/// One topic after the other; those that cannot be described are failures.
pub(super) async fn describe(
    cluster: &Cluster,
    args: DescribeArgs,
) -> (DescribedTopics, Vec<String>) {
    let mut topics = Vec::new();
    let mut failures = Vec::new();
    for name in &args.names {
        match cluster.describe_topic(name).await {
            Ok(topic) => topics.push(describe_one(cluster, &topic).await),
            Err(error) => failures.push(sentence(&describing(name), &error)),
        }
    }
    (DescribedTopics { topics }, failures)
}

async fn describe_one(cluster: &Cluster, topic: &TopicDescription) -> DescribedTopic {
    let mut notes = Vec::new();
    let logs = logs_of(cluster, topic, &mut notes).await;
    let partitions = topic.partitions.iter().map(|partition| {
        let log = logs.get(&partition.partition).copied().unwrap_or_default();
        DescribedPartition {
            partition: partition.partition.0,
            leader: partition.leader.map(|leader| leader.0),
            leader_epoch: Some(partition.leader_epoch)
                .filter(|epoch| *epoch != LeaderEpoch::NONE)
                .map(|epoch| epoch.0),
            replicas: partition.replicas.iter().map(|broker| broker.0).collect(),
            isr: partition.in_sync.iter().map(|broker| broker.0).collect(),
            start_offset: log.start.map(|offset| offset.0),
            end_offset: log.end.map(|offset| offset.0),
            size_bytes: log.size_bytes,
        }
    });
    let partitions = partitions.collect();
    let configs = match cluster.describe_configs(&topic.name).await {
        Ok(entries) => entries
            .into_iter()
            .filter(|entry| entry.source != ConfigSource::Default)
            .map(config_of)
            .collect(),
        Err(error) => {
            notes.push(sentence("tell the configs", &error));
            Vec::new()
        }
    };
    DescribedTopic {
        name: topic.name.clone(),
        id: id_of(topic),
        internal: topic.is_internal,
        partitions,
        configs,
        notes,
    }
}

pub(super) async fn config(cluster: &Cluster, args: ConfigArgs) -> anyhow::Result<ConfigsOfTopic> {
    let ConfigArgs { name, set, unset, all, dry_run } = args;
    let set = set.into_iter().map(|(name, value)| ConfigChange::Set { name, value });
    let unset = unset.into_iter().map(|name| ConfigChange::Unset { name });
    let changes: Vec<ConfigChange> = set.chain(unset).collect();
    let mut outcome = Changing::Unchanged;
    if !changes.is_empty() {
        outcome = if dry_run { Changing::Valid } else { Changing::Changed };
        let changed = cluster.alter_configs(&name, &changes, dry_run).await;
        changed.map_err(|error| anyhow!(cannot_change(&name, &error)))?;
    }
    let entries = match outcome {
        Changing::Changed => settled_configs(cluster, &name, &changes).await,
        Changing::Unchanged | Changing::Valid => cluster.describe_configs(&name).await,
    };
    let doing = format!("show the configs of topic {name}");
    let entries = entries.map_err(|error| anyhow!(sentence(&doing, &error)))?;
    let is_shown = |entry: &ConfigEntry| match outcome {
        _ if all => true,
        Changing::Unchanged => entry.source != ConfigSource::Default,
        Changing::Changed | Changing::Valid => {
            changes.iter().any(|change| change.name() == entry.name)
        }
    };
    let configs = entries.into_iter().filter(is_shown).map(config_of).collect();
    Ok(ConfigsOfTopic { name, outcome, configs })
}

fn cannot_change(name: &str, error: &ClusterError) -> String {
    let doing = format!("change configs of topic {name}");
    let mut text = sentence(&doing, error);
    if is_not_served(error) {
        text.push_str("; nothing is changed, as there is no other way to change single configs");
    }
    text
}

/// The configs once the changes can be seen in them, or when it has taken too long: a broker may
/// also write a value in another way.
async fn settled_configs(
    cluster: &Cluster,
    name: &str,
    changes: &[ConfigChange],
) -> Result<Vec<ConfigEntry>, ClusterError> {
    let deadline = runtime::now() + SETTLED_AFTER_MAX;
    loop {
        let entries = cluster.describe_configs(name).await?;
        let is_seen = changes.iter().all(|change| {
            let entry = entries.iter().find(|entry| entry.name == change.name());
            entry.is_none_or(|entry| agrees(entry, change))
        });
        if is_seen || deadline <= runtime::now() {
            return Ok(entries);
        }
        runtime::sleep(SETTLING_PAUSE).await;
    }
}

fn agrees(entry: &ConfigEntry, change: &ConfigChange) -> bool {
    match change {
        ConfigChange::Set { value, .. } => {
            let is_same = entry.value.as_deref().is_some_and(|it| it.trim() == value.trim());
            entry.source == ConfigSource::Topic && (entry.is_sensitive || is_same)
        }
        ConfigChange::Unset { .. } => entry.source != ConfigSource::Topic,
    }
}

/// One partition after the other; those that are refused are failures.
pub(super) async fn trim(
    cluster: &Cluster,
    args: TrimArgs,
) -> anyhow::Result<(TrimmedTopic, Vec<String>)> {
    let TrimArgs { name, before, partition: mut wanted } = args;
    let doing = format!("trim topic {name}");
    let described = cluster.describe_topic(&name).await;
    let topic = described.map_err(|error| anyhow!(sentence(&doing, &error)))?;
    if wanted.is_empty() {
        wanted = topic.partitions.iter().map(|partition| partition.partition).collect();
    }
    let mut partitions = Vec::new();
    let mut failures = Vec::new();
    for partition in wanted {
        let doing = format!("{doing}, partition {partition}");
        match cluster.delete_records(&name, partition, before).await {
            Ok(start) => {
                partitions.push(TrimmedPartition { partition: partition.0, start_offset: start.0 })
            }
            Err(error) => failures.push(sentence(&doing, &error)),
        }
    }
    Ok((TrimmedTopic { name, partitions }, failures))
}

/// One topic after the other; those that are refused are failures.
pub(super) async fn delete(cluster: &Cluster, args: DeleteArgs) -> (DeletedTopics, Vec<String>) {
    let mut topics = Vec::new();
    let mut failures = Vec::new();
    for name in args.names {
        let outcome = match cluster.delete_topic(&name).await {
            Ok(()) => Deletion::Deleted,
            Err(error)
                if args.if_exists
                    && code_of(&error) == Some(ErrorCode::UnknownTopicOrPartition) =>
            {
                Deletion::Absent
            }
            Err(error) => {
                failures.push(sentence(&format!("delete topic {name}"), &error));
                continue;
            }
        };
        topics.push(DeletedTopic { name, outcome });
    }
    (DeletedTopics { topics }, failures)
}

fn describing(name: &str) -> String {
    format!("describe topic {name}")
}

fn id_of(topic: &TopicDescription) -> Option<String> {
    (topic.id != TopicId::ZERO).then(|| topic.id.to_string())
}

fn config_of(entry: ConfigEntry) -> Config {
    Config {
        name: entry.name,
        value: entry.value,
        source: entry.source.name(),
        read_only: entry.is_read_only,
        sensitive: entry.is_sensitive,
    }
}
