//! How far a group has read, set by somebody else.

use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use client::{Cluster, Committed, GroupOffsets, OffsetAt};
use model::{Offset, PartitionIndex, Timestamp};
use wire::ErrorCode;

use super::{lag, ranges_of};
use crate::cli::arguments::{ResetArgs, Target, TopicScope};
use crate::cli::logs::PartitionLog;
use crate::cli::report::{ResetGroup, ResetPartition, Resetting};
use crate::cli::sentence::{code_of, sentence};

/// Partitions of topics, with where their logs begin and end.
type Ranges = BTreeMap<String, BTreeMap<PartitionIndex, PartitionLog>>;

/// Shows what would be set, and sets it if that is wanted. If there is a failure nothing is set.
pub(in crate::cli) async fn reset(
    cluster: &Cluster,
    args: ResetArgs,
) -> anyhow::Result<(ResetGroup, Vec<String>)> {
    let name = &args.name;
    let doing = format!("reset group {name}");
    refuse_members(cluster, name, &doing).await?;
    let committed = cluster.committed_offsets(name, None).await;
    let committed = committed.map_err(|error| anyhow!(sentence(&doing, &error)))?;
    let ranges = ranges(cluster, &doing, args.scope(), &committed).await?;
    if ranges.is_empty() {
        bail!("cannot {doing}: it has read nothing yet: name a topic, for example --topic orders");
    }
    let mut partitions = Vec::new();
    let mut failures = Vec::new();
    let mut offsets = GroupOffsets::new();
    for (topic, of_topic) in &ranges {
        for (&partition, log) in of_topic {
            let before = committed.get(topic).and_then(|it| it.get(&partition));
            let before = before.map(|committed| committed.offset);
            match decide(cluster, args.target(), (topic, partition), *log, before).await {
                Ok(decided) => {
                    let of_topic = offsets.entry(topic.clone()).or_default();
                    of_topic.insert(partition, Committed::at(Offset(decided.new_offset)));
                    partitions.push(decided);
                }
                Err(reason) => failures.push(format!(
                    "cannot {doing}, topic {topic}, partition {partition}: {reason}"
                )),
            }
        }
    }
    let mut outcome = Resetting::DryRun;
    if args.execute && failures.is_empty() {
        let set = cluster.commit_offsets(name, &offsets).await;
        set.map_err(|error| anyhow!(sentence(&doing, &error)))?;
        outcome = Resetting::Reset;
    }
    Ok((ResetGroup { name: args.name, outcome, partitions }, failures))
}

/// While it has members they would go on where they are, and commit that.
async fn refuse_members(cluster: &Cluster, name: &str, doing: &str) -> anyhow::Result<()> {
    match cluster.describe_group(name).await {
        Ok(group) if group.members.is_empty() => Ok(()),
        Ok(group) => {
            let members = match group.members.len() {
                1 => "a member".to_owned(),
                count => format!("{count} members"),
            };
            bail!("cannot {doing}: it has {members}, and is {}: stop them first", group.state)
        }
        // It will be there when it has an offset.
        Err(error) if code_of(&error) == Some(ErrorCode::GroupIdNotFound) => Ok(()),
        Err(error) => Err(anyhow!(sentence(doing, &error))),
    }
}

/// What is to be set, and what may be. Unlike in a description, nothing may be missing.
async fn ranges(
    cluster: &Cluster,
    doing: &str,
    scope: Option<&[TopicScope]>,
    committed: &GroupOffsets,
) -> anyhow::Result<Ranges> {
    let all = || {
        let of_topic = |(topic, of_topic): (&String, &BTreeMap<PartitionIndex, Committed>)| {
            TopicScope { topic: topic.clone(), partitions: of_topic.keys().copied().collect() }
        };
        committed.iter().map(of_topic).collect()
    };
    let scope = scope.map_or_else(all, <[TopicScope]>::to_vec);
    let mut ranges = Ranges::new();
    for TopicScope { topic, partitions } in scope {
        let described = cluster.describe_topic(&topic).await;
        let doing = format!("{doing}, topic {topic}");
        let described = described.map_err(|error| anyhow!(sentence(&doing, &error)))?;
        let count = described.partitions.len();
        let is_there = |wanted: &PartitionIndex| {
            described.partitions.iter().any(|partition| partition.partition == *wanted)
        };
        if let Some(wanted) = partitions.iter().find(|wanted| !is_there(wanted)) {
            bail!("cannot {doing}: it has no partition {wanted}: it has {count}");
        }
        let mut notes = Vec::new();
        let mut logs = ranges_of(cluster, &described, &mut notes).await;
        if !partitions.is_empty() {
            logs.retain(|partition, _| partitions.contains(partition));
        } else if logs.len() < count && notes.is_empty() {
            notes.push("a partition has no leader: try again when it has".to_owned());
        }
        if !notes.is_empty() {
            bail!("cannot {doing}: {}", notes.join("; "));
        }
        ranges.insert(topic, logs);
    }
    Ok(ranges)
}

async fn decide(
    cluster: &Cluster,
    target: Target,
    (topic, partition): (&str, PartitionIndex),
    log: PartitionLog,
    before: Option<Offset>,
) -> Result<ResetPartition, String> {
    let (Some(start), Some(end)) = (log.start, log.end) else {
        return Err("its leader does not tell where it begins and ends".to_owned());
    };
    let at_time = async |time: Timestamp| {
        let found = cluster.offset(topic, partition, OffsetAt::Time(time)).await;
        let found = found.map_err(|error| client::in_full(&error))?;
        // No record is so young: the next one will be.
        Ok::<Offset, String>(if found == Offset::NONE { end } else { found })
    };
    let wanted = match target {
        Target::Earliest => start,
        Target::Latest => end,
        Target::Offset(offset) => offset,
        Target::Shift(records) => {
            let before = before.ok_or(
                "it has no offset to shift: use --to-earliest, --to-latest or --to-offset",
            )?;
            Offset(before.0.saturating_add(records))
        }
        Target::Time(time) => at_time(time).await?,
        Target::Ago(duration) => {
            let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            let now = runtime::wall_clock_ms();
            at_time(Timestamp(now.saturating_sub(ms).max(0))).await?
        }
    };
    let new = wanted.max(start).min(end);
    Ok(ResetPartition {
        topic: topic.to_owned(),
        partition: partition.0,
        committed_offset: before.map(|offset| offset.0),
        new_offset: new.0,
        wanted_offset: wanted.0,
        start_offset: start.0,
        end_offset: end.0,
        lag: lag(new, end),
    })
}
