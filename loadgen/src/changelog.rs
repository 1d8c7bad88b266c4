//! A changelog: many updates of few keys, in one partition, to see what a broker's compaction makes of
//! it.
//!
//! Guarantees: every update is acknowledged before the compaction begins; afterwards everything that is
//! left is read and looked at. Does not know: when a broker looks for logs to compact.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use client::{Cluster, ClusterError, ConfigChange, Fetch, NewTopic, OffsetAt};
use model::record_batch::{
    BatchBuilder, BatchError, Batches, NewRecord, ProducerStamp, Records, check_crc,
};
use model::{Offset, PartitionIndex, Timestamp};
use runtime::{Rng, now, sleep};
use wire::produce::{PartitionProduceData, TopicProduceData};
use wire::{ErrorCode, ProduceRequest, Text};

use crate::run::{RunError, on_cluster};
use crate::settings::SettingsError;

/// Requests that are sent before the first of them is answered.
const IN_FLIGHT_COUNT: usize = 5;
const TIMEOUT_MS: i32 = 60_000;
/// Between two looks at the log's size.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A log that has not become smaller for so long is as small as it gets.
const QUIET: Duration = Duration::from_secs(3);
const FETCH: Fetch =
    Fetch { size_bytes_min: 1, size_bytes_max: 4 << 20, wait_max: Duration::from_millis(500) };

/// What is written.
#[derive(Clone, Debug)]
pub struct Changelog {
    pub topic: String,
    /// Further configs of the topic, whose `cleanup.policy` is `delete` while it is filled.
    pub configs: Vec<(String, String)>,
    pub updates: u64,
    /// Each update is of one of them, by chance.
    pub keys: u32,
    /// Of each value.
    pub value_bytes: usize,
    pub batch_bytes: usize,
    pub seed: u64,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Filled {
    /// For each key, the last update of it and 1; 0 if there was none.
    last: Vec<u64>,
}

/// How a log became smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shrunk {
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// From the change of the topic's policy until the log became smaller for the last time.
    pub took: Duration,
}

/// What was left and has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub records: u64,
    pub keys: u64,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum ChangelogError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("an update was refused: {code:?}")]
    Refused { code: ErrorCode },
    #[error("the log has still {bytes} bytes of {bytes_before} after {limit:?}")]
    NotSmaller { bytes: u64, bytes_before: u64, limit: Duration },
    #[error("the broker does not tell how large the log is")]
    NoSize,
    #[error("what is left cannot be read: {0}")]
    Batch(#[from] BatchError),
    #[error("at offset {offset}: {what}")]
    Wrong { offset: Offset, what: String },
    #[error("{count} keys have not their last value, key {first} among them")]
    NotLast { count: usize, first: usize },
}

type Result<T> = std::result::Result<T, ChangelogError>;

fn on<T: 'static>(
    bootstrap: &str,
    body: impl AsyncFnOnce(Cluster) -> Result<T> + 'static,
) -> Result<T> {
    let hosts = vec![bootstrap.parse().map_err(SettingsError::from).map_err(RunError::from)?];
    on_cluster(hosts, async move |cluster| Ok(body(cluster).await))?
}

impl From<ClusterError> for ChangelogError {
    fn from(error: ClusterError) -> ChangelogError {
        ChangelogError::Run(error.into())
    }
}

/// Makes the topic and writes all updates.
pub fn fill(bootstrap: &str, changelog: &Changelog) -> Result<Filled> {
    let changelog = changelog.clone();
    on(bootstrap, async move |cluster| fill_on(&cluster, &changelog).await)
}

async fn fill_on(cluster: &Cluster, changelog: &Changelog) -> Result<Filled> {
    let mut configs = changelog.configs.clone();
    configs.push(("cleanup.policy".to_owned(), "delete".to_owned()));
    let new = NewTopic {
        name: changelog.topic.clone(),
        partitions_count: 1,
        replication_factor: 1,
        configs,
    };
    let topic = cluster.create_topic(&new).await?;
    let leader = topic.partitions[0].broker.ok_or(ChangelogError::NoSize)?;
    // Until the leader knows that it leads.
    cluster.offset(&changelog.topic, PartitionIndex(0), OffsetAt::End).await?;
    let connection = cluster.connection(leader).await?;
    let mut rng = Rng::from_seed(changelog.seed);
    let mut last = vec![0; changelog.keys as usize];
    let mut answers = VecDeque::new();
    let mut update = 0;
    while update < changelog.updates || !answers.is_empty() {
        if update < changelog.updates && answers.len() < IN_FLIGHT_COUNT {
            let batch = next_batch(changelog, &mut rng, &mut update, &mut last);
            let request = ProduceRequest {
                transactional_id: None,
                acks: -1,
                timeout_ms: TIMEOUT_MS,
                topic_data: vec![TopicProduceData {
                    name: Text::from(changelog.topic.clone()),
                    partition_data: vec![PartitionProduceData {
                        index: PartitionIndex(0),
                        records: Some(batch),
                    }],
                }],
            };
            answers.push_back(connection.start(&request).map_err(ClusterError::from)?);
            continue;
        }
        let answer = answers.pop_front().expect("there is one").await;
        let answer = answer.map_err(ClusterError::from)?.response;
        let code = answer.responses[0].partition_responses[0].error_code;
        if code.is_error() {
            return Err(ChangelogError::Refused { code });
        }
    }
    Ok(Filled { last })
}

fn next_batch(changelog: &Changelog, rng: &mut Rng, update: &mut u64, last: &mut [u64]) -> Bytes {
    let mut builder = BatchBuilder::new();
    let mut value = vec![0; changelog.value_bytes.max(size_of::<u64>())];
    let timestamp = Timestamp(runtime::wall_clock_ms());
    while *update < changelog.updates && builder.size_bytes() < changelog.batch_bytes {
        let key = rng.below(u64::from(changelog.keys));
        *update += 1;
        last[usize::try_from(key).expect("it is below their count")] = *update;
        for piece in value.chunks_mut(size_of::<u64>()) {
            piece.copy_from_slice(&rng.next_u64().to_le_bytes()[..piece.len()]);
        }
        value[..size_of::<u64>()].copy_from_slice(&update.to_le_bytes());
        builder.push(&NewRecord {
            timestamp,
            key: Some(&key.to_le_bytes()),
            value: Some(&value),
            headers: &[],
        });
    }
    Bytes::from(builder.finish(ProducerStamp::NONE))
}

/// Changes the topic's policy and waits until the log has become smaller and does not any more.
pub fn compact(bootstrap: &str, topic: &str, limit: Duration) -> Result<Shrunk> {
    let topic = topic.to_owned();
    on(bootstrap, async move |cluster| {
        let bytes_before = log_bytes(&cluster, &topic).await?;
        let change =
            ConfigChange::Set { name: "cleanup.policy".to_owned(), value: "compact".to_owned() };
        cluster.alter_configs(&topic, &[change], false).await?;
        let begun = now();
        let mut shrunk = Shrunk { bytes_before, bytes_after: bytes_before, took: Duration::ZERO };
        loop {
            sleep(LOOK_EVERY).await;
            let bytes = log_bytes(&cluster, &topic).await?;
            let since = now().since(begun);
            if bytes < shrunk.bytes_after {
                (shrunk.bytes_after, shrunk.took) = (bytes, since);
            }
            let is_smaller = shrunk.bytes_after < bytes_before / 2;
            if is_smaller && shrunk.took + QUIET < since {
                return Ok(shrunk);
            }
            if limit < since {
                return Err(ChangelogError::NotSmaller { bytes, bytes_before, limit });
            }
        }
    })
}

async fn log_bytes(cluster: &Cluster, topic: &str) -> Result<u64> {
    let leader = cluster.topic(topic).await?.partitions[0].broker;
    let leader = leader.ok_or(ChangelogError::NoSize)?;
    let dirs = cluster.describe_log_dirs(leader, topic, &[PartitionIndex(0)]).await?;
    let mut replicas = dirs.iter().flat_map(|dir| &dir.replicas);
    Ok(replicas.next().ok_or(ChangelogError::NoSize)?.size_bytes)
}

/// Reads everything that is left: offsets rise, and every key's last record is the one that was written
/// last.
pub fn verify(bootstrap: &str, topic: &str, filled: &Filled) -> Result<Left> {
    let (topic, last) = (topic.to_owned(), filled.last.clone());
    on(bootstrap, async move |cluster| {
        let partition = PartitionIndex(0);
        let end = cluster.offset(&topic, partition, OffsetAt::End).await?;
        let mut found = vec![0; last.len()];
        let mut records = 0;
        let mut offset = Offset::ZERO;
        while offset < end {
            let fetched = cluster.fetch(&topic, partition, offset, FETCH).await?;
            let before = offset;
            for batch in Batches::new(&fetched.records) {
                let (header, batch) = batch?;
                check_crc(batch)?;
                for record in Records::read(batch)? {
                    let record = record?;
                    let at = header.base_offset + i64::from(record.offset_delta);
                    if offset <= at {
                        records += 1;
                        note(&mut found, at, record.key, record.value)?;
                    }
                }
                offset = header.next_offset();
            }
            if offset == before {
                return Err(ChangelogError::Wrong { offset, what: "nothing comes".to_owned() });
            }
        }
        let not_last = |key: &usize| found[*key] != last[*key];
        let mut wrong = (0..last.len()).filter(not_last);
        if let Some(first) = wrong.next() {
            return Err(ChangelogError::NotLast { count: 1 + wrong.count(), first });
        }
        let keys = found.iter().filter(|update| 0 < **update).count() as u64;
        Ok(Left { records, keys })
    })
}

fn note(found: &mut [u64], offset: Offset, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<()> {
    let wrong = |what: &str| ChangelogError::Wrong { offset, what: what.to_owned() };
    let key = key.and_then(|key| key.try_into().ok()).map(u64::from_le_bytes);
    let slot = key.and_then(|key| found.get_mut(usize::try_from(key).ok()?));
    let slot = slot.ok_or_else(|| wrong("not a key that was written"))?;
    let update = value.and_then(|value| value.first_chunk()).map(|it| u64::from_le_bytes(*it));
    let update = update.ok_or_else(|| wrong("not a value that was written"))?;
    if update <= *slot {
        return Err(wrong("an update after a later one of its key"));
    }
    *slot = update;
    Ok(())
}

#[cfg(test)]
mod tests;
