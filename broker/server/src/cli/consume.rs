//! `highwater consume`: the records of a topic on standard output.
//!
//! Guarantees: a record is on standard output before its offset is committed; what cannot be read is
//! told on the error output, and nothing is left out silently. Whoever stops reading ends it.
//! Does not know: transactions: records of those that were aborted are shown as well.

mod format;
mod group;
mod output;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{anyhow, bail};
use client::{Cluster, Fetch, FetchFrom, Fetched, OffsetAt, compression};
use model::record_batch::{BatchHeader, Batches, Compression, Records};
use model::{Offset, PartitionIndex};
use runtime::{Instant, now, sleep};
use wire::ErrorCode;

use super::arguments::{ConsumeArgs, From, Until};
use super::sentence::sentence;
use super::table::visible;
use super::{Done, cluster_options, complain};
use format::Shown;
use output::{Closed, Output};

pub(super) use format::Format;

const WAIT_MAX: Duration = Duration::from_millis(500);
const FETCH_BYTES_MAX: i32 = 4 << 20;
/// Of a batch, when it is decompressed.
const OPENED_BYTES_MAX: u64 = 1 << 30;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Where a partition is read, and how far.
#[derive(Clone, Debug)]
struct Position {
    from: FetchFrom,
    until: Option<Offset>,
}

impl Position {
    fn is_done(&self) -> bool {
        self.until.is_some_and(|until| until <= self.from.offset)
    }
}

/// What is read, and what becomes of it.
struct Consumer<'a> {
    cluster: &'a Cluster,
    args: &'a ConsumeArgs,
    output: Output,
    /// How many records may still be shown.
    left: Option<u64>,
    /// Since when nothing could be read at all.
    failing_since: Option<Instant>,
    /// Whether nothing was left out so far.
    is_whole: bool,
}

/// How a round of reading has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Read,
    /// There is nothing more to do.
    Finished,
}

pub(super) async fn consume(args: ConsumeArgs) -> anyhow::Result<Done> {
    let options = cluster_options("highwater-consume", args.brokers.timeout);
    let cluster = Cluster::connect(args.brokers.bootstrap.clone(), options).await;
    let cluster = cluster.map_err(|error| anyhow!(client::in_full(&error)))?;
    let mut consumer = Consumer {
        cluster: &cluster,
        args: &args,
        output: Output::new(),
        left: args.count,
        failing_since: None,
        is_whole: true,
    };
    match &args.group {
        Some(group) => consumer.read_as_member(group).await?,
        None => consumer.read_alone().await?,
    }
    let is_whole = consumer.is_whole;
    Ok(Done { text: String::new(), failures: Vec::new(), is_whole })
}

impl Consumer<'_> {
    async fn read_alone(&mut self) -> anyhow::Result<()> {
        let mut partitions = self.partitions().await?;
        if !self.args.partition.is_empty() {
            let count = partitions.len();
            if let Some(wanted) = self.args.partition.iter().find(|it| !partitions.contains(it)) {
                bail!("cannot {}: it has no partition {wanted}: it has {count}", self.doing());
            }
            partitions.retain(|partition| self.args.partition.contains(partition));
        }
        let ends = self.ends(&partitions).await?;
        let mut positions = Vec::new();
        for partition in partitions {
            let offset = self.beginning(partition).await?;
            positions.push(self.position(partition, offset, &ends));
        }
        while self.read(&mut positions).await? == Round::Read {}
        Ok(())
    }

    async fn partitions(&self) -> anyhow::Result<Vec<PartitionIndex>> {
        let described = self.cluster.describe_topic(&self.args.topic).await;
        let described = described.map_err(|error| anyhow!(sentence(&self.doing(), &error)))?;
        Ok(described.partitions.iter().map(|partition| partition.partition).collect())
    }

    fn position(
        &self,
        partition: PartitionIndex,
        offset: Offset,
        ends: &BTreeMap<PartitionIndex, Offset>,
    ) -> Position {
        let topic = self.args.topic.clone();
        let from = FetchFrom { topic, partition, offset };
        Position { from, until: ends.get(&partition).copied() }
    }

    /// Where to begin in a partition.
    async fn beginning(&self, partition: PartitionIndex) -> anyhow::Result<Offset> {
        match self.args.from {
            From::Offset(offset) => Ok(offset),
            From::Earliest => self.offset(partition, OffsetAt::Start).await,
            From::Latest => self.offset(partition, OffsetAt::End).await,
            From::Time(time) => self.offset(partition, OffsetAt::Time(time)).await,
        }
    }

    /// Where to end, of each partition that has an end.
    async fn ends(
        &self,
        partitions: &[PartitionIndex],
    ) -> anyhow::Result<BTreeMap<PartitionIndex, Offset>> {
        let mut ends = BTreeMap::new();
        let Some(until) = self.args.until else { return Ok(ends) };
        for &partition in partitions {
            let end = match until {
                Until::Offset(offset) => offset,
                Until::End => self.offset(partition, OffsetAt::End).await?,
                Until::Time(time) => self.offset(partition, OffsetAt::Time(time)).await?,
            };
            ends.insert(partition, end);
        }
        Ok(ends)
    }

    /// The offset of a place; where no record is so young, the log's end.
    async fn offset(&self, partition: PartitionIndex, at: OffsetAt) -> anyhow::Result<Offset> {
        let topic = &self.args.topic;
        let mut found = self.cluster.offset(topic, partition, at).await;
        if matches!(found, Ok(Offset::NONE)) {
            found = self.cluster.offset(topic, partition, OffsetAt::End).await;
        }
        let doing = format!("{}, partition {partition}", self.doing());
        found.map_err(|error| anyhow!(sentence(&doing, &error)))
    }

    /// Reads once what is there, or waits for it, and shows it.
    async fn read(&mut self, positions: &mut [Position]) -> anyhow::Result<Round> {
        let open: Vec<usize> =
            (0..positions.len()).filter(|&index| !positions[index].is_done()).collect();
        if open.is_empty() || self.left == Some(0) {
            return Ok(Round::Finished);
        }
        let from: Vec<FetchFrom> =
            open.iter().map(|&index| positions[index].from.clone()).collect();
        let fetch =
            Fetch { wait_max: WAIT_MAX, size_bytes_min: 1, size_bytes_max: FETCH_BYTES_MAX };
        let results = match self.cluster.fetch_many(&from, fetch).await {
            Ok(results) => results,
            Err(error) => {
                let text = sentence(&self.doing(), &error);
                return self.failed(text).await;
            }
        };
        let mut refusal = None;
        for (&index, result) in open.iter().zip(results) {
            let position = &mut positions[index];
            match result {
                Ok(fetched) => {
                    if let Err(Closed) = self.show(position, &fetched)? {
                        return Ok(Round::Finished);
                    }
                }
                Err(ErrorCode::OffsetOutOfRange) => self.catch_up(position).await?,
                Err(code) if code.is_retriable() => {
                    let partition = position.from.partition;
                    refusal =
                        Some(format!("cannot {}, partition {partition}: {code}", self.doing()));
                }
                Err(code) => {
                    bail!("cannot {}, partition {}: {code}", self.doing(), position.from.partition)
                }
            }
            if self.left == Some(0) {
                break;
            }
        }
        // Nothing is late for who looks at the output while records are rare.
        if let Err(Closed) = self.output.flush()? {
            return Ok(Round::Finished);
        }
        match refusal {
            Some(refusal) => self.failed(refusal).await,
            None => {
                self.failing_since = None;
                Ok(Round::Read)
            }
        }
    }

    /// Waits before the next attempt, unless it has failed for too long.
    async fn failed(&mut self, text: String) -> anyhow::Result<Round> {
        let since = *self.failing_since.get_or_insert_with(now);
        if self.args.brokers.timeout <= now().since(since) {
            bail!(text);
        }
        sleep(RETRY_PAUSE).await;
        Ok(Round::Read)
    }

    /// Records went before they were read, or there are not so many: goes on where the log begins, or
    /// ends.
    async fn catch_up(&mut self, position: &mut Position) -> anyhow::Result<()> {
        let partition = position.from.partition;
        let wanted = position.from.offset;
        let start = self.offset(partition, OffsetAt::Start).await?;
        let doing = self.doing();
        if wanted < start {
            let last = start.0 - 1;
            let failure = format!(
                "cannot {doing}, partition {partition}: the records from {wanted} to {last} are \
                 gone; going on at {start}"
            );
            // At once, as the end may never come.
            complain(&visible(&failure));
            self.is_whole = false;
            position.from.offset = start;
            return Ok(());
        }
        let end = self.offset(partition, OffsetAt::End).await?;
        bail!(
            "cannot {doing}, partition {partition}: it has no offset {wanted}: it ends at {end}, use \
             an offset up to that, or latest"
        )
    }

    /// Shows what is between position and end, and moves the position on.
    fn show(
        &mut self,
        position: &mut Position,
        fetched: &Fetched,
    ) -> anyhow::Result<Result<(), Closed>> {
        for batch in Batches::new(&fetched.records) {
            let place = |it: &Position| {
                format!("cannot read partition {} at offset {}", it.from.partition, it.from.offset)
            };
            let (header, batch) = batch.map_err(|error| anyhow!("{}: {error}", place(position)))?;
            if header.next_offset() <= position.from.offset {
                continue;
            }
            if !header.is_control() {
                let shown = self.show_batch(position, &header, batch);
                if let Err(Closed) =
                    shown.map_err(|error| anyhow!("{}: {error}", place(position)))?
                {
                    return Ok(Err(Closed));
                }
            }
            if position.is_done() || self.left == Some(0) {
                return Ok(Ok(()));
            }
            position.from.offset = header.next_offset();
        }
        Ok(Ok(()))
    }

    fn show_batch(
        &mut self,
        position: &mut Position,
        header: &BatchHeader,
        batch: &[u8],
    ) -> anyhow::Result<Result<(), Closed>> {
        let opened;
        let mut batch = batch;
        if header.compression()? != Compression::None {
            opened = compression::open(batch, OPENED_BYTES_MAX)?;
            batch = &opened;
        }
        for record in Records::read(batch)? {
            let record = record?;
            let offset = header.base_offset + i64::from(record.offset_delta);
            if offset < position.from.offset {
                continue;
            }
            if position.until.is_some_and(|until| until <= offset) || self.left == Some(0) {
                position.from.offset = position.from.offset.max(offset);
                return Ok(Ok(()));
            }
            let shown = Shown {
                topic: &position.from.topic,
                partition: position.from.partition,
                offset,
                timestamp_type: header.timestamp_type(),
                record: &record,
            };
            let out = self.output.buffer();
            if self.args.json {
                format::write_json(&shown, out);
            } else {
                self.args.format.write(&shown, out);
            }
            position.from.offset = offset + 1;
            if let Some(left) = &mut self.left {
                *left -= 1;
            }
            if let Err(Closed) = self.output.flush_if_full()? {
                return Ok(Err(Closed));
            }
        }
        Ok(Ok(()))
    }

    fn doing(&self) -> String {
        format!("consume topic {}", self.args.topic)
    }
}
