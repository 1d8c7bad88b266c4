//! Consumers: each reads some partitions from where they ended before the run to where they end
//! after it, and looks at every record. Together those that verify read everything once; each
//! [`Reader`] reads everything once more.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use client::{ClusterError, Connection};
use model::record_batch::{BatchHeader, Batches};
use model::{BrokerId, Offset, TopicId};
use runtime::{Instant, JoinHandle, TimedOut, now, sleep, spawn, timeout, yield_now};
use wire::fetch::{FetchPartition, FetchTopic};
use wire::{ErrorCode, FetchRequest};

use super::look::look_at;
use super::reader::Reader;
use super::{Worker, cluster_options};
use crate::ledger::Sighting;
use crate::record::Damage;
use crate::settings::{Consume, Pace};

/// The last version of Fetch that names topics by their names.
const FETCH_BY_NAME_VERSION_MAX: i16 = 12;
/// Once it is known where reading ends, nothing is worth a long wait.
const LAST_WAIT_MAX: Duration = Duration::from_millis(100);
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// Records looked at before other tasks get their turn: less than a tenth of a millisecond.
const RECORDS_PER_TURN: usize = 512;

/// Where a consumer is in a partition.
pub(super) struct Position {
    pub(super) partition: u32,
    pub(super) offset: Offset,
}

/// What a consumer reads for.
pub(super) enum Purpose {
    /// The worker's ledger.
    Verify,
    Read(Rc<Reader>),
}

/// Starts the consumers of a worker that verify.
pub(super) fn spawn_all(worker: &Rc<Worker>, positions: &[Offset]) -> Vec<JoinHandle<()>> {
    let consumers_count = worker.settings.consumers as usize;
    let mut shares: Vec<Vec<Position>> = (0..consumers_count).map(|_| Vec::new()).collect();
    for (turn, partition) in worker.partitions.of(worker.share).enumerate() {
        let offset = positions[partition as usize];
        shares[turn % consumers_count].push(Position { partition, offset });
    }
    let shares = shares.into_iter().filter(|positions| !positions.is_empty());
    shares.map(|positions| spawn(consume(worker.clone(), positions, Purpose::Verify))).collect()
}

/// Starts a worker's part of each reader that is no group.
pub(super) fn spawn_readers(worker: &Rc<Worker>, positions: &[Offset]) -> Vec<JoinHandle<()>> {
    let of_worker = || {
        let partitions = worker.partitions.of(worker.share);
        partitions.map(|partition| Position { partition, offset: positions[partition as usize] })
    };
    let kinds = worker.settings.readers.iter().flat_map(|it| it.each());
    let alone = kinds.zip(&worker.readers).filter(|(kind, _)| !matches!(kind.pace, Pace::Group(_)));
    let readers = alone.flat_map(|(_, parts)| parts).map(|reader| {
        let (worker, reader, positions) = (worker.clone(), reader.clone(), of_worker().collect());
        spawn(async move {
            reader.begin(&worker).await;
            consume(worker.clone(), positions, Purpose::Read(reader.clone())).await;
            reader.note_end(worker.since_start(now()));
        })
    });
    readers.collect()
}

/// Waits until all have read to the end, or for as long as the settings allow without progress.
pub(super) async fn finish(worker: &Rc<Worker>, consumers: Vec<JoinHandle<()>>) {
    let mut all = std::pin::pin!(async {
        for consumer in consumers {
            consumer.await;
        }
    });
    let progress = || {
        let by_readers: u64 =
            worker.readers.iter().flatten().map(|reader| reader.records_count()).sum();
        worker.ledger.borrow().counts(true).consumed + by_readers
    };
    loop {
        let before = progress();
        let Err(TimedOut) = timeout(worker.settings.drain_max.0, &mut all).await else { return };
        if progress() == before {
            worker.note("reading back did not come to the end of the log");
            return;
        }
    }
}

async fn consume(worker: Rc<Worker>, mut positions: Vec<Position>, purpose: Purpose) {
    let mut connections: BTreeMap<BrokerId, Connection> = BTreeMap::new();
    let start = worker.start.get();
    let passed = now().since(start);
    let mut reconnects = worker.reconnects.iter().filter(|at| passed < **at).peekable();
    loop {
        let is_last = worker.ends.borrow().is_some();
        if let Some(ends) = &*worker.ends.borrow() {
            positions.retain(|it| it.offset < ends[it.partition as usize]);
        }
        if positions.is_empty() {
            return;
        }
        let round = fetch_round(&worker, &mut positions, &mut connections, is_last, &purpose);
        let round = match reconnects.peek() {
            None => round.await,
            // Positions are those of the last batch that was looked at, whenever a round ends.
            Some(&&at) => match timeout((start + at).since(now()), round).await {
                Ok(round) => round,
                Err(TimedOut) => {
                    reconnects.next();
                    reconnect_all(&worker, &mut connections).await
                }
            },
        };
        if let Err(error) = round {
            worker.note_error(&error);
            for position in &positions {
                worker.partitions.forget_leader(&worker.cluster, position.partition);
            }
            sleep(RETRY_PAUSE).await;
        }
        if let Purpose::Read(reader) = &purpose {
            reader.keep_pace().await;
        }
    }
}

/// Closes a consumer's connections and opens them again.
async fn reconnect_all(
    worker: &Worker,
    connections: &mut BTreeMap<BrokerId, Connection>,
) -> Result<(), ClusterError> {
    for broker in std::mem::take(connections).into_keys() {
        let connection = worker.reconnect(broker).await?;
        connections.insert(broker, connection);
    }
    Ok(())
}

/// Asks every leader once for everything.
pub(super) async fn fetch_round(
    worker: &Worker,
    positions: &mut Vec<Position>,
    connections: &mut BTreeMap<BrokerId, Connection>,
    is_last: bool,
    purpose: &Purpose,
) -> Result<(), ClusterError> {
    let mut by_leader: BTreeMap<BrokerId, Vec<&Position>> = BTreeMap::new();
    for position in &*positions {
        let leader = worker.partitions.leader(&worker.cluster, position.partition).await?;
        by_leader.entry(leader).or_default().push(position);
    }
    let mut started = Vec::new();
    for (leader, positions) in by_leader {
        let is_alive = |it: &Connection| it.end().is_none();
        if !connections.get(&leader).is_some_and(is_alive) {
            let opened = worker.cluster.open(leader, cluster_options().connection).await?;
            connections.insert(leader, opened);
        }
        let (request, version_max) = request_for(worker, &positions, is_last, purpose);
        started.push(connections[&leader].start_up_to(version_max, &request)?);
    }
    for answer in started {
        let answered = answer.await?;
        if answered.response.error_code.is_error() {
            worker.note(format!("fetch refused: {}", answered.response.error_code));
            sleep(RETRY_PAUSE).await;
        }
        for topic in answered.response.responses {
            for data in topic.partitions {
                let number =
                    worker.partitions.number(&topic.topic, topic.topic_id, data.partition_index);
                let position =
                    positions.iter_mut().find(|position| Some(position.partition) == number);
                let Some(position) = position else { continue };
                match data.error_code {
                    ErrorCode::None => {
                        let records = data.records.as_ref().and_then(|it| it.contiguous());
                        if let Some(records) = records {
                            read(worker, position, records, answered.answered_at, purpose).await;
                        }
                    }
                    code => refused(worker, position, code, data.log_start_offset).await,
                }
            }
        }
    }
    // The partition that came last is asked for first the next time, so that none is starved.
    positions.rotate_left(1);
    Ok(())
}

fn request_for(
    worker: &Worker,
    positions: &[&Position],
    is_last: bool,
    purpose: &Purpose,
) -> (FetchRequest, i16) {
    let settings = &worker.settings.fetch;
    let wait_max =
        if is_last { settings.wait_max.0.min(LAST_WAIT_MAX) } else { settings.wait_max.0 };
    let size_max = match purpose {
        Purpose::Verify => settings.size_max.0,
        Purpose::Read(reader) => reader.size_max(worker),
    };
    let size_max = i32::try_from(size_max).unwrap_or(i32::MAX);
    let mut topics: Vec<FetchTopic> = Vec::new();
    let mut version_max = i16::MAX;
    for position in positions {
        let (topic, index) = worker.partitions.place(position.partition);
        if topic.id == TopicId::ZERO {
            version_max = FETCH_BY_NAME_VERSION_MAX;
        }
        let partition = FetchPartition {
            partition: index,
            fetch_offset: position.offset,
            partition_max_bytes: size_max,
            ..Default::default()
        };
        match topics.iter_mut().find(|known| known.topic == topic.name) {
            Some(known) => known.partitions.push(partition),
            None => topics.push(FetchTopic {
                topic: topic.name.clone(),
                topic_id: topic.id,
                partitions: vec![partition],
            }),
        }
    }
    let request = FetchRequest {
        max_wait_ms: i32::try_from(wait_max.as_millis()).unwrap_or(i32::MAX),
        min_bytes: i32::try_from(settings.size_min.0).unwrap_or(i32::MAX),
        max_bytes: size_max,
        topics,
        ..Default::default()
    };
    (request, version_max)
}

async fn refused(worker: &Worker, position: &mut Position, code: ErrorCode, log_start: Offset) {
    worker.note(format!("fetch refused: {code}"));
    worker.partitions.forget_leader(&worker.cluster, position.partition);
    // What was there is gone; the books will say what was lost.
    if code == ErrorCode::OffsetOutOfRange && position.offset < log_start {
        position.offset = log_start;
    }
    sleep(RETRY_PAUSE).await;
}

/// Looks at every record of a fetched run of batches.
async fn read(
    worker: &Worker,
    position: &mut Position,
    records: &Bytes,
    answered_at: Instant,
    purpose: &Purpose,
) {
    let at_ns = worker.since_start(answered_at);
    let mut since_turn = 0;
    for batch in Batches::new(records) {
        let (header, batch) = match batch {
            Ok(batch) => batch,
            Err(error) => {
                worker.note(format!("what was fetched is no batch: {error}"));
                match purpose {
                    Purpose::Verify => {
                        let mut ledger = worker.ledger.borrow_mut();
                        ledger.note_read(position.partition, Err(Damage::TooShort));
                    }
                    Purpose::Read(reader) => reader.note_corrupt(1),
                }
                // Nothing after it can be found; the next fetch begins with it again.
                sleep(RETRY_PAUSE).await;
                return;
            }
        };
        if header.next_offset() <= position.offset || header.is_control() {
            position.offset = position.offset.max(header.next_offset());
            continue;
        }
        match purpose {
            Purpose::Verify => read_batch(worker, position, &header, batch, at_ns),
            Purpose::Read(reader) => {
                reader.read_batch(worker, position.offset, &header, batch, at_ns);
            }
        }
        position.offset = header.next_offset();
        since_turn += usize::try_from(header.records_count).unwrap_or(0);
        if RECORDS_PER_TURN <= since_turn {
            since_turn = 0;
            yield_now().await;
        }
    }
}

fn read_batch(
    worker: &Worker,
    position: &Position,
    header: &BatchHeader,
    batch: &[u8],
    at_ns: u64,
) {
    let mut ledger = worker.ledger.borrow_mut();
    let mut measured = worker.measured.borrow_mut();
    let partition = position.partition;
    // Read back later, the time to the consumer would be our own doing.
    let is_tailing = worker.settings.fetch.when == Consume::During;
    let mut consumed = 0;
    let looked = look_at(worker, header, batch, position.offset, |read| {
        match ledger.note_read(partition, read) {
            Sighting::Expected | Sighting::OutOfOrder => {
                consumed += 1;
                if is_tailing && let Ok(value) = read {
                    worker.note_age(&mut measured, &value, at_ns);
                }
            }
            Sighting::Duplicate | Sighting::Corrupt | Sighting::Foreign => {}
        }
    });
    if let Err(error) = looked {
        worker.note(format!("a batch cannot be read: {error}"));
        for _ in 0..header.records_count.max(1) {
            ledger.note_read(partition, Err(Damage::Checksum));
        }
        return;
    }
    measured.count(at_ns, |tally| tally.consumed += consumed);
}
