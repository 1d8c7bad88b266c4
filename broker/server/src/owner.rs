//! The partitions that live on this core, and what other cores may ask of them.

mod upkeep;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use model::{BrokerId, LeaderEpoch, NodeId, Offset, Timestamp, TopicPartition};
use replication::{Append, EpochEnd, Isolation, ReadFrom, Replica};
use runtime::{JoinHandle, Reply};
use storage::{ColdRead, Durability, ReadOutcome, Slice, Store, Vote};
use wire::ErrorCode;

use crate::call::{
    AckWait, AppendCall, AppendOutcome, CoreAnswer, EpochQuery, FoundOffset, OffsetPlace,
    OffsetQuery, PartitionRead, PartitionSpec, ReadCall, ReadResult, WatchCall, WatchId,
};
use crate::config::Upkeep;
use crate::failure::Failure;
use crate::groups::Groups;
use crate::image::ClusterImage;

/// Counts the times this broker began a partition's log anew; with one copy, never.
const INCARNATION: u64 = 1;

pub(crate) struct Owner {
    node: NodeId,
    store: Rc<Store>,
    batch_bytes_max: usize,
    upkeep: Upkeep,
    settling: upkeep::Settling,
    replicas: RefCell<BTreeMap<TopicPartition, Rc<Replica>>>,
    groups: Groups,
    watches: RefCell<BTreeMap<WatchId, Vec<JoinHandle<()>>>>,
    /// A journal is damaged so that logs may be there which were not found.
    misses_logs: Cell<bool>,
}

impl Owner {
    pub(crate) fn new(
        broker: BrokerId,
        store: Rc<Store>,
        batch_bytes_max: usize,
        upkeep: Upkeep,
        groups: Groups,
    ) -> Rc<Owner> {
        Rc::new(Owner {
            node: NodeId { broker, incarnation: INCARNATION },
            store,
            batch_bytes_max,
            upkeep,
            settling: upkeep::Settling::default(),
            replicas: RefCell::default(),
            groups,
            watches: RefCell::default(),
            misses_logs: Cell::new(false),
        })
    }

    /// From now on a partition without a log is one whose log was not found.
    pub(crate) fn note_missing_logs(&self) {
        self.misses_logs.set(true);
    }

    pub(crate) fn store(&self) -> &Rc<Store> {
        &self.store
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    pub(crate) fn batch_bytes_max(&self) -> usize {
        self.batch_bytes_max
    }

    pub(crate) fn replicas(&self) -> Vec<Rc<Replica>> {
        self.replicas.borrow().values().cloned().collect()
    }

    pub(crate) fn replica(&self, partition: TopicPartition) -> Result<Rc<Replica>, Failure> {
        let found = self.replicas.borrow().get(&partition).cloned();
        found.ok_or_else(|| match self.misses_logs.get() {
            true => Failure::missing_log(partition),
            false => Failure::not_open(partition),
        })
    }

    // ---- Appends.

    /// Appends in the order of the calls; answers when everything is flushed, or at once if nobody
    /// waits for that.
    pub(crate) fn append(self: &Rc<Self>, call: AppendCall, reply: Reply<CoreAnswer>) {
        let AppendCall { batches, wait } = call;
        let appending: Vec<Result<(Rc<Replica>, Append), Failure>> = batches
            .into_iter()
            .map(|(partition, batch)| {
                let replica = self.replica(partition)?;
                let append = replica.append(batch);
                Ok((replica, append))
            })
            .collect();
        runtime::spawn(async move {
            let begun = runtime::now();
            let mut outcomes = Vec::with_capacity(appending.len());
            for append in appending {
                let outcome = match (append, wait) {
                    (Ok((replica, append)), AckWait::Append) => appended(&replica, append).await,
                    (Ok((replica, append)), AckWait::Flush(limit)) => {
                        let left = limit.saturating_sub(runtime::now().since(begun));
                        let outcome = runtime::timeout(left, flushed(&replica, append)).await;
                        outcome.unwrap_or_else(|_| {
                            let message = "the flush did not end within the request's timeout";
                            Err(Failure::new(ErrorCode::RequestTimedOut, message))
                        })
                    }
                    (Err(failure), _) => Err(failure),
                };
                outcomes.push(outcome);
            }
            reply.send(CoreAnswer::Appended(outcomes));
        });
    }

    // ---- Reads.

    /// Reads from memory at once, from disk with a wait: one partition after the other, until there
    /// is enough.
    pub(crate) fn read(self: &Rc<Self>, call: ReadCall, reply: Reply<CoreAnswer>) {
        let ReadCall { reads, bytes_max } = call;
        let mut reading = Reading { results: Vec::new(), left_bytes: bytes_max, is_first: true };
        let mut reads = reads.into_iter().peekable();
        while let Some(read) = reads.next_if(|read| read.last_epoch == LeaderEpoch::NONE) {
            match self.read_one(&read, &reading) {
                Err(failure) => reading.results.push(Err(failure)),
                Ok((replica, ReadOutcome::Ready(slices))) => {
                    reading.push(result_of(&replica, slices));
                }
                Ok((replica, ReadOutcome::Cold(cold))) => {
                    let owner = self.clone();
                    runtime::spawn(async move {
                        reading.push_cold(&replica, cold).await;
                        owner.read_rest(&mut reading, reads).await;
                        reply.send(CoreAnswer::Read(reading.results));
                    });
                    return;
                }
            }
        }
        if reads.peek().is_none() {
            reply.send(CoreAnswer::Read(reading.results));
            return;
        }
        let owner = self.clone();
        runtime::spawn(async move {
            owner.read_rest(&mut reading, reads).await;
            reply.send(CoreAnswer::Read(reading.results));
        });
    }

    async fn read_rest(&self, reading: &mut Reading, reads: impl Iterator<Item = PartitionRead>) {
        for read in reads {
            match self.find_divergence(&read).await {
                Ok(None) => {}
                Ok(Some((replica, end))) => {
                    let divergence = Some(end);
                    reading.push(ReadResult { divergence, ..result_of(&replica, Vec::new()) });
                    continue;
                }
                Err(failure) => {
                    reading.results.push(Err(failure));
                    continue;
                }
            }
            match self.read_one(&read, reading) {
                Err(failure) => reading.results.push(Err(failure)),
                Ok((replica, ReadOutcome::Ready(slices))) => {
                    reading.push(result_of(&replica, slices));
                }
                Ok((replica, ReadOutcome::Cold(cold))) => reading.push_cold(&replica, cold).await,
            }
        }
    }

    async fn find_divergence(
        &self,
        read: &PartitionRead,
    ) -> Result<Option<(Rc<Replica>, EpochEnd)>, Failure> {
        if read.last_epoch == LeaderEpoch::NONE {
            return Ok(None);
        }
        let replica = self.replica(read.partition)?;
        let end = replica.divergence(&read.from, read.last_epoch).await?;
        Ok(end.map(|end| (replica, end)))
    }

    fn read_one(
        &self,
        read: &PartitionRead,
        reading: &Reading,
    ) -> Result<(Rc<Replica>, ReadOutcome), Failure> {
        let replica = self.replica(read.partition)?;
        let from = ReadFrom {
            bytes_max: read.from.bytes_max.min(reading.left_bytes),
            at_least_one_batch: reading.is_first,
            ..read.from
        };
        let outcome = match replica.read(&from)? {
            // Nothing would be kept of it.
            ReadOutcome::Cold(_) if from.bytes_max == 0 && !from.at_least_one_batch => {
                ReadOutcome::Ready(Vec::new())
            }
            outcome => outcome,
        };
        Ok((replica, outcome))
    }

    /// Calls `wake` once when any of the partitions has come further, or has left.
    pub(crate) fn watch(self: &Rc<Self>, call: WatchCall, wake: impl Fn() + Clone + 'static) {
        let WatchCall { id, partitions, isolation } = call;
        let mut tasks = Vec::with_capacity(partitions.len());
        for (partition, known) in partitions {
            let Ok(replica) = self.replica(partition) else {
                wake();
                continue;
            };
            let wake = wake.clone();
            let was_leading = replica.progress().is_leading;
            tasks.push(runtime::spawn(async move {
                let moved = replica.wait_for(|progress| {
                    let end = match isolation {
                        Isolation::ReadUncommitted => progress.high_watermark,
                        Isolation::ReadCommitted => progress.last_stable,
                    };
                    (known < end || progress.is_leading != was_leading).then_some(())
                });
                moved.await;
                wake();
            }));
        }
        self.watches.borrow_mut().insert(id, tasks);
    }

    pub(crate) fn unwatch(&self, id: WatchId) {
        for task in self.watches.borrow_mut().remove(&id).unwrap_or_default() {
            task.abort();
        }
    }

    pub(crate) fn watches_count(&self) -> usize {
        self.watches.borrow().len()
    }

    pub(crate) fn find_offsets(
        self: &Rc<Self>,
        queries: Vec<OffsetQuery>,
        reply: Reply<CoreAnswer>,
    ) {
        let owner = self.clone();
        runtime::spawn(async move {
            let mut found = Vec::with_capacity(queries.len());
            for query in queries {
                found.push(owner.find_offset(query).await);
            }
            reply.send(CoreAnswer::Offsets(found));
        });
    }

    async fn find_offset(&self, query: OffsetQuery) -> Result<FoundOffset, Failure> {
        let replica = self.replica(query.partition)?;
        replica.check_epoch(query.leader_epoch)?;
        let progress = replica.progress();
        let leader_epoch = progress.leader_epoch;
        let place = |offset| FoundOffset { offset, timestamp: Timestamp::NONE, leader_epoch };
        let found = match query.place {
            OffsetPlace::Start => return Ok(place(progress.log_start)),
            OffsetPlace::End => return Ok(place(replica.readable_end(query.isolation))),
            OffsetPlace::Nowhere => None,
            OffsetPlace::LatestTime => replica.find_latest_time(query.isolation).await?,
            OffsetPlace::Time(time) => replica.find_time(time, query.isolation).await?,
        };
        Ok(match found {
            Some(found) => FoundOffset {
                offset: found.offset,
                timestamp: found.timestamp,
                leader_epoch: found.leader_epoch,
            },
            None => FoundOffset {
                offset: Offset::NONE,
                timestamp: Timestamp::NONE,
                leader_epoch: LeaderEpoch::NONE,
            },
        })
    }

    pub(crate) fn find_epoch_ends(
        self: &Rc<Self>,
        queries: Vec<EpochQuery>,
        reply: Reply<CoreAnswer>,
    ) {
        let owner = self.clone();
        runtime::spawn(async move {
            let mut found = Vec::with_capacity(queries.len());
            for query in queries {
                found.push(owner.find_epoch_end(query).await);
            }
            reply.send(CoreAnswer::EpochEnds(found));
        });
    }

    async fn find_epoch_end(&self, query: EpochQuery) -> Result<Option<EpochEnd>, Failure> {
        let replica = self.replica(query.partition)?;
        replica.check_epoch(query.believed_epoch)?;
        Ok(replica.epoch_end(query.leader_epoch).await?)
    }

    // ---- Partitions come and go.

    /// Opens partitions, creating those that are not there. All at once, so that they share the
    /// journal's commits.
    pub(crate) async fn open(
        self: &Rc<Self>,
        specs: Vec<PartitionSpec>,
    ) -> Vec<Result<LeaderEpoch, Failure>> {
        let opening: Vec<_> = specs
            .into_iter()
            .map(|spec| {
                let owner = self.clone();
                runtime::spawn(async move { owner.open_one(spec).await })
            })
            .collect();
        let mut opened = Vec::with_capacity(opening.len());
        for partition in opening {
            opened.push(partition.await.map(|replica| replica.progress().leader_epoch));
        }
        opened
    }

    async fn open_one(&self, spec: PartitionSpec) -> Result<Rc<Replica>, Failure> {
        let PartitionSpec { partition, is_durable, log: options, retention, .. } = spec;
        if let Ok(replica) = self.replica(partition) {
            return Ok(replica);
        }
        let storage_error = |error: &dyn std::fmt::Display| Failure::storage(partition, error);
        let durability = durability_of(is_durable);
        let log = match self.store.log(partition) {
            Some(log) => {
                log.set_options(options);
                log
            }
            None => {
                // The first leader's epoch is 0.
                let vote = Vote {
                    leader_epoch: LeaderEpoch::NONE,
                    voted_for: self.node,
                    is_committed: true,
                };
                self.store
                    .create(partition, durability, vote, options)
                    .await
                    .map_err(|error| storage_error(&error))?
            }
        };
        if log.durability() != durability && !log.is_doubtful() {
            self.store
                .set_durability(&log, durability)
                .await
                .map_err(|error| storage_error(&error))?;
        }
        if partition == TopicPartition::CLUSTER_METADATA || spec.has_groups {
            // Deleting a topic is recorded here, and frees space; consumers go on when producers
            // cannot.
            log.use_last_room();
        }
        let replica = Replica::open(log, self.node, self.batch_bytes_max)
            .await
            .map_err(|error| storage_error(&error))?;
        replica.set_retention(retention);
        replica.set_compaction(spec.compaction);
        if spec.has_groups {
            self.groups.open(&replica);
        }
        self.replicas.borrow_mut().insert(partition, replica.clone());
        Ok(replica)
    }

    pub(crate) async fn remove(self: &Rc<Self>, partitions: Vec<TopicPartition>) {
        for partition in partitions {
            let replica = self.replicas.borrow_mut().remove(&partition);
            if let Some(replica) = &replica {
                self.groups.close(replica);
                replica.resign();
            }
            if let Some(log) = self.store.log(partition)
                && let Err(error) = self.store.remove(&log).await
            {
                tracing::error!(%partition, %error, "a partition cannot be removed");
            }
            // A checkpoint of the log may have asked the replica until now.
            drop(replica);
        }
    }

    /// Removes the logs of topics that do not exist any more.
    pub(crate) async fn remove_all_but(self: &Rc<Self>, image: &Arc<ClusterImage>) {
        let is_known = |partition: TopicPartition| {
            partition == TopicPartition::CLUSTER_METADATA
                || image
                    .topic_by_id(partition.topic)
                    .is_some_and(|topic| topic.partition(partition.partition).is_some())
        };
        let logs = self.store.logs();
        let unknown = logs.iter().map(|log| log.partition()).filter(|log| !is_known(*log));
        self.remove(unknown.collect()).await;
    }

    /// Nothing is appended any more.
    pub(crate) fn resign(&self) {
        for replica in self.replicas() {
            replica.resign();
        }
    }
}

fn durability_of(is_durable: bool) -> Durability {
    if is_durable { Durability::Durable } else { Durability::Relaxed }
}

/// A fetch's results so far, and what it may still take.
struct Reading {
    results: Vec<Result<ReadResult, Failure>>,
    left_bytes: usize,
    /// Nothing was found yet: the first batch of all is returned whatever its size.
    is_first: bool,
}

impl Reading {
    fn push(&mut self, result: ReadResult) {
        let size_bytes = result.size_bytes();
        self.left_bytes = self.left_bytes.saturating_sub(size_bytes);
        self.is_first &= size_bytes == 0;
        self.results.push(Ok(result));
    }

    async fn push_cold(&mut self, replica: &Replica, cold: ColdRead) {
        match cold.run().await {
            Ok(slices) => self.push(result_of(replica, slices)),
            Err(error) => self.results.push(Err(error.into())),
        }
    }
}

fn result_of(replica: &Replica, slices: Vec<Slice>) -> ReadResult {
    let progress = replica.progress();
    ReadResult {
        log_start: progress.log_start,
        high_watermark: progress.high_watermark,
        last_stable: progress.last_stable,
        slices,
        divergence: None,
    }
}

async fn appended(replica: &Replica, append: Append) -> Result<AppendOutcome, Failure> {
    let appended = append.await?;
    Ok(AppendOutcome {
        base_offset: appended.base_offset,
        log_start: replica.progress().log_start,
        max_timestamp: appended.max_timestamp,
    })
}

async fn flushed(replica: &Replica, append: Append) -> Result<AppendOutcome, Failure> {
    let appended = append.await?;
    let progress = replica.wait_past(appended.leader_epoch, appended.next_offset).await?;
    Ok(AppendOutcome {
        base_offset: appended.base_offset,
        log_start: progress.log_start,
        max_timestamp: appended.max_timestamp,
    })
}
