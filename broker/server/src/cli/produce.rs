//! `highwater produce`: each line of standard input a record.
//!
//! Guarantees: lines of one partition are appended in their order; nothing is sent twice unless it
//! was certainly not appended; nothing is sent after a failure, and the failure says which lines it
//! is about. Lines that are there at once go together; one that stands alone goes alone.

mod lines;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use bytes::Bytes;
use client::{Cluster, ClusterError, compression, partitioner};
use model::record_batch::{BatchBuilder, Compression, NewRecord, ProducerStamp, RecordHeader};
use model::{PartitionIndex, Timestamp};
use runtime::{StandardInput, spawn};
use wire::ErrorCode;

use super::arguments::ProduceArgs;
use super::sentence::{code_of, sentence};
use super::{Done, cluster_options};
use lines::{Line, Lines};

/// Of a batch, unless a single record is larger. Well below what brokers take by default.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Of lines that are sent together.
const ROUND_BYTES_MAX: usize = 4 << 20;
/// How long lines are waited for that go together with those that are there.
const LINGER: Duration = Duration::from_millis(2);

/// Records for one partition that are sent together.
struct Batch {
    records: Vec<Line>,
    size_bytes: usize,
}

/// What every record is made with.
struct Shape {
    topic: String,
    headers: Vec<(String, String)>,
    compression: Compression,
    acks: i16,
}

pub(super) async fn produce(args: ProduceArgs) -> anyhow::Result<Done> {
    let ProduceArgs { brokers, topic, key_separator, partition, header, compression, acks } = args;
    let options = cluster_options("highwater-produce", brokers.timeout);
    let cluster = Cluster::connect(brokers.bootstrap, options).await;
    let cluster = Rc::new(cluster.map_err(|error| anyhow!(client::in_full(&error)))?);
    let doing = format!("produce to topic {topic}");
    let described = cluster.describe_topic(&topic).await;
    let described = described.map_err(|error| anyhow!(sentence(&doing, &error)))?;
    let count = described.partitions.len();
    let is_there = |wanted: PartitionIndex| {
        described.partitions.iter().any(|partition| partition.partition == wanted)
    };
    if let Some(wanted) = partition.filter(|wanted| !is_there(*wanted)) {
        bail!("cannot {doing}: it has no partition {wanted}: it has {count}");
    }
    let shape = Rc::new(Shape { topic, headers: header, compression, acks });
    let mut lines = Lines::new(StandardInput::new(), key_separator);
    let mut turn = 0;
    loop {
        let round = lines.next_round(ROUND_BYTES_MAX, LINGER).await?;
        if round.is_empty() {
            return Ok(Done::of(String::new(), &[]));
        }
        let mut batches: BTreeMap<PartitionIndex, VecDeque<Batch>> = BTreeMap::new();
        // Those without a key stay together in a batch, and the next batch goes elsewhere.
        let mut of_others = PartitionIndex(i32::try_from(turn % count).unwrap_or(0));
        for line in round {
            let to = match (partition, &line.key) {
                (Some(partition), _) => partition,
                (None, Some(key)) => partitioner::partition_of(key, count),
                (None, None) => of_others,
            };
            let is_new = add(batches.entry(to).or_default(), line);
            if is_new && to == of_others {
                turn += 1;
                of_others = PartitionIndex(i32::try_from(turn % count).unwrap_or(0));
            }
        }
        let failures = send_all(&cluster, &shape, batches).await;
        if !failures.is_empty() {
            return Ok(Done::of(String::new(), &failures));
        }
    }
}

/// Whether that began another batch.
fn add(batches: &mut VecDeque<Batch>, line: Line) -> bool {
    let size_bytes = line.size_bytes();
    if let Some(last) = batches.back_mut()
        && last.size_bytes + size_bytes <= BATCH_BYTES_MAX
    {
        last.size_bytes += size_bytes;
        last.records.push(line);
        return false;
    }
    batches.push_back(Batch { records: vec![line], size_bytes });
    true
}

/// Sends what is for different partitions at the same time. Returns what has failed.
async fn send_all(
    cluster: &Rc<Cluster>,
    shape: &Rc<Shape>,
    batches: BTreeMap<PartitionIndex, VecDeque<Batch>>,
) -> Vec<String> {
    let started: Vec<_> = batches
        .into_iter()
        .map(|(partition, batches)| {
            let (cluster, shape) = (cluster.clone(), shape.clone());
            spawn(async move { send(&cluster, &shape, partition, batches).await.err() })
        })
        .collect();
    let mut failures = Vec::new();
    for sent in started {
        failures.extend(sent.await);
    }
    failures
}

/// One batch after the other, until one fails.
async fn send(
    cluster: &Cluster,
    shape: &Shape,
    partition: PartitionIndex,
    mut batches: VecDeque<Batch>,
) -> Result<(), String> {
    while let Some(batch) = batches.pop_front() {
        let Err(error) = send_one(cluster, shape, partition, &batch.records).await else {
            continue;
        };
        let is_too_large = code_of(&error) == Some(ErrorCode::MessageTooLarge);
        if is_too_large && 1 < batch.records.len() {
            // It is the batch that is too large; its records by themselves may not be.
            let (first, second) = halves(batch);
            batches.push_front(second);
            batches.push_front(first);
            continue;
        }
        let mut numbers = batch.records.iter().map(|line| line.number);
        let first = numbers.next().unwrap_or(0);
        let which = match numbers.next_back() {
            Some(last) => format!("lines {first} to {last}"),
            None => format!("line {first}"),
        };
        let doing = format!("produce to topic {}, partition {partition}, {which}", shape.topic);
        let mut text = sentence(&doing, &error);
        if is_too_large {
            let size_bytes = batch.size_bytes;
            text += &format!(
                "; it has {size_bytes} bytes: raise the topic's max.message.bytes, or send less"
            );
        }
        return Err(text);
    }
    Ok(())
}

fn halves(batch: Batch) -> (Batch, Batch) {
    let mut first = batch.records;
    let second = first.split_off(first.len() / 2);
    let of = |records: Vec<Line>| {
        let size_bytes = records.iter().map(Line::size_bytes).sum();
        Batch { records, size_bytes }
    };
    (of(first), of(second))
}

async fn send_one(
    cluster: &Cluster,
    shape: &Shape,
    partition: PartitionIndex,
    records: &[Line],
) -> Result<(), ClusterError> {
    let batch = encode(shape, records);
    match shape.acks {
        0 => cluster.produce_unacknowledged(&shape.topic, partition, batch).await,
        acks => cluster.produce(&shape.topic, partition, batch, acks).await.map(|_| ()),
    }
}

fn encode(shape: &Shape, records: &[Line]) -> Bytes {
    let headers: Vec<RecordHeader<'_>> = shape
        .headers
        .iter()
        .map(|(name, value)| RecordHeader { key: name.as_bytes(), value: Some(value.as_bytes()) })
        .collect();
    let mut builder = BatchBuilder::new();
    for line in records {
        builder.push(&NewRecord {
            timestamp: Timestamp(line.read_at_ms),
            key: line.key.as_deref(),
            value: Some(&line.value),
            headers: &headers,
        });
    }
    let batch = builder.finish(ProducerStamp::NONE);
    match shape.compression {
        Compression::None => Bytes::from(batch),
        codec => compression::compress(&batch, codec),
    }
}
