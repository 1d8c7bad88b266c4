//! A partition's replica that is alone: it leads from its start to its end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use model::record_batch::BatchHeader;
use model::{LeaderEpoch, LogIndex, NodeId, Offset, Timestamp, TopicPartition};
use runtime::sim::{PlantedBug, has_bug};
use runtime::sync::oneshot;
use runtime::sync::watch::Watch;
use storage::{
    Admission, AppendError, AppliedState, BatchStamp, EntryKind, Found, JournalStopped, Log,
    LogListener, ReadError, ReadOutcome, ReadRequest, Vote,
};

use crate::compaction::Compaction;
use crate::membership::Membership;
use crate::producers::{ProducerStates, SequenceError, SnapshotError};
use crate::progress::Progress;
use crate::retention::Retention;

/// Batches that wait before those are looked for whose callers have given up.
const PURGED_FROM: usize = 64;

/// A batch that passed [`model::record_batch::validate_from_client`].
#[derive(Clone, Debug)]
pub struct Batch {
    /// Of the bytes.
    pub header: BatchHeader,
    /// The whole batch.
    pub bytes: Bytes,
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Under which it was appended, and is to be waited for.
    pub leader_epoch: LeaderEpoch,
    /// Of its first record.
    pub base_offset: Offset,
    /// After its last record.
    pub next_offset: Offset,
    /// The highest timestamp of its records.
    pub max_timestamp: Timestamp,
    /// It had been appended before, by an earlier attempt of its producer.
    pub is_duplicate: bool,
}

/// Why a batch was not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendRefused {
    /// This broker does not lead the partition.
    #[error("{partition} is not led here")]
    NotLeading {
        /// The partition.
        partition: TopicPartition,
    },
    /// It does not follow on what its producer sent before.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The journal cannot take so much at once.
    #[error("a batch of {size_bytes} bytes, at most {limit_bytes} can be taken")]
    TooLarge {
        /// Of the batch.
        size_bytes: usize,
        /// What fits.
        limit_bytes: usize,
    },
    /// The log does not take it.
    #[error(transparent)]
    Log(#[from] AppendError),
}

/// Why what was waited for will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The epoch that it was appended in is over, or the partition has left.
    #[error("the leader epoch is over")]
    EpochOver,
    /// The journal has stopped.
    #[error("the journal has stopped")]
    Stopped,
}

/// Why a replica cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    /// The journal has stopped.
    #[error(transparent)]
    Stopped(#[from] JournalStopped),
    /// What was kept of the log's producers cannot be read.
    #[error("cannot read the producer states of {partition}: {source}")]
    Applied {
        /// The partition.
        partition: TopicPartition,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// What was kept of the log's producers is not what a broker writes.
    #[error("the producer states of {partition} cannot be used: {source}")]
    Snapshot {
        /// The partition.
        partition: TopicPartition,
        /// What is wrong.
        #[source]
        source: SnapshotError,
    },
}

/// What a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Everything committed to the log.
    ReadUncommitted,
    /// Nothing at or after the first open transaction.
    ReadCommitted,
}

/// A read of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFrom {
    /// The epoch that the reader believes in; [`LeaderEpoch::NONE`] for no check.
    pub leader_epoch: LeaderEpoch,
    /// The answer begins with the batch that holds it.
    pub offset: Offset,
    /// Not more than this.
    pub bytes_max: usize,
    /// The first batch is wanted even if it is larger.
    pub at_least_one_batch: bool,
    /// Up to where.
    pub isolation: Isolation,
}

/// Where the records of a leader epoch end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch with records that is not larger than the one asked for; that one itself
    /// if no such record is left.
    pub leader_epoch: LeaderEpoch,
    /// After the last of them.
    pub end_offset: Offset,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadRefused {
    /// The reader's leader epoch is over (KIP-320).
    #[error("leader epoch {theirs} is older than {ours}")]
    Fenced {
        /// The reader's.
        theirs: LeaderEpoch,
        /// The replica's.
        ours: LeaderEpoch,
    },
    /// The reader knows a leader epoch that is not known here.
    #[error("leader epoch {theirs} is newer than {ours}")]
    UnknownEpoch {
        /// The reader's.
        theirs: LeaderEpoch,
        /// The replica's.
        ours: LeaderEpoch,
    },
    /// The log does not have it.
    #[error(transparent)]
    Log(#[from] ReadError),
}

/// One partition on this broker. Lives on the partition's owner core.
pub struct Replica {
    log: Rc<Log>,
    node: NodeId,
    batch_bytes_max: usize,
    progress: Watch<Progress>,
    state: RefCell<State>,
    busy_nanos: Cell<u64>,
    pub(crate) retention: Cell<Retention>,
    pub(crate) compaction: Cell<Option<Compaction>>,
}

struct State {
    leader_epoch: LeaderEpoch,
    is_leading: bool,
    is_stopped: bool,
    producers: ProducerStates,
    /// Entries that `producers` has applied.
    applied_count: u64,
    /// Batches that the log does not take yet, in order, and whom to tell.
    waiting: VecDeque<(Batch, oneshot::Sender<Result<Appended, AppendRefused>>)>,
    is_draining: bool,
}

impl Replica {
    /// Takes up a log: rebuilds what producers have sent, and leads it in a new epoch, which is
    /// flushed once this returns. A damaged log is only read.
    pub async fn open(
        log: Rc<Log>,
        node: NodeId,
        batch_bytes_max: usize,
    ) -> Result<Rc<Replica>, ElectionError> {
        let partition = log.partition();
        let recovered = log
            .recovered_applied()
            .await
            .map_err(|source| ElectionError::Applied { partition, source })?;
        let mut producers = match &recovered.state {
            Some(state) => ProducerStates::decode(state)
                .map_err(|source| ElectionError::Snapshot { partition, source })?,
            None => ProducerStates::default(),
        };
        let now = Timestamp(runtime::wall_clock_ms());
        let committed_count = log.ends().committed_count;
        for entry in recovered.entries.iter().filter(|entry| recovered.count <= entry.index.0) {
            let Some(stamp) = entry.batch() else { continue };
            if entry.index.0 < committed_count {
                producers.reapply(stamp, now);
            } else {
                producers.stage(entry.index, stamp);
            }
        }
        let is_leading = !log.is_doubtful();
        let mut leader_epoch = log.vote().leader_epoch;
        if is_leading {
            leader_epoch = leader_epoch.next();
            log.save_vote(Vote { leader_epoch, voted_for: node, is_committed: true });
            log.voted().await?;
        }
        let state = State {
            leader_epoch,
            is_leading,
            is_stopped: false,
            producers,
            applied_count: committed_count,
            waiting: VecDeque::new(),
            is_draining: false,
        };
        let replica = Rc::new_cyclic(|weak: &Weak<Replica>| {
            let ears = Rc::new(Ears { replica: weak.clone() });
            log.listen(ears.clone());
            log.set_applied_state(ears);
            let progress = Watch::new(progress_of(&log, &state));
            let (state, busy_nanos) = (RefCell::new(state), Cell::new(0));
            Replica {
                log,
                node,
                batch_bytes_max,
                progress,
                state,
                busy_nanos,
                retention: Cell::new(Retention::EVERYTHING),
                compaction: Cell::new(None),
            }
        });
        replica.publish();
        Ok(replica)
    }

    /// The partition.
    pub fn partition(&self) -> TopicPartition {
        self.log.partition()
    }

    /// The log, for its settings and its metrics.
    pub fn log(&self) -> &Rc<Log> {
        &self.log
    }

    /// The epoch in which this broker leads, if it does.
    pub fn leader(&self) -> Option<LeaderEpoch> {
        let state = self.state.borrow();
        state.is_leading.then_some(state.leader_epoch)
    }

    /// How far the replica has come.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Time that this core has spent on the partition.
    pub fn busy_nanos(&self) -> u64 {
        self.busy_nanos.get()
    }

    /// Producers that are known.
    pub fn producers_count(&self) -> usize {
        self.state.borrow().producers.len()
    }

    /// Batches that wait until the log takes them.
    pub fn waiting_count(&self) -> usize {
        self.state.borrow().waiting.len()
    }

    /// Appends a batch at the end of the log, after those of all calls before. It is not flushed
    /// when this is ready: see [`Replica::wait_past`]. Its place in the order is fixed by the call.
    /// If the answer is dropped before the log has taken the batch, it is not appended.
    pub fn append(self: &Rc<Self>, batch: Batch) -> Append {
        let started = runtime::now();
        let mut state = self.state.borrow_mut();
        if state.waiting.is_empty()
            && let Some(result) = self.try_append(&mut state, &batch)
        {
            drop(state);
            self.publish();
            self.note_busy(started);
            return Append { inner: AppendInner::Ready(Some(result)) };
        }
        let (sender, receiver) = oneshot::channel();
        if PURGED_FROM <= state.waiting.len() && state.waiting.len().is_power_of_two() {
            state.waiting.retain(|(_, sender)| !sender.is_closed());
        }
        state.waiting.push_back((batch, sender));
        if !std::mem::replace(&mut state.is_draining, true) {
            runtime::spawn(self.clone().drain());
        }
        Append { inner: AppendInner::Waiting(receiver) }
    }

    /// What can be said of a batch without asking the log; none if it is new.
    fn check(&self, state: &State, batch: &Batch) -> Option<Result<Appended, AppendRefused>> {
        let size_bytes = batch.bytes.len();
        if !state.is_leading && !state.is_stopped && !self.log.is_doubtful() {
            return Some(Err(AppendRefused::NotLeading { partition: self.partition() }));
        }
        if self.batch_bytes_max < size_bytes {
            let limit_bytes = self.batch_bytes_max;
            return Some(Err(AppendRefused::TooLarge { size_bytes, limit_bytes }));
        }
        match state.producers.check(&self.stamp(batch)) {
            Ok(None) => None,
            Ok(Some(known)) => Some(Ok(Appended {
                leader_epoch: state.leader_epoch,
                base_offset: known.base_offset,
                next_offset: known.next_offset,
                max_timestamp: known.max_timestamp,
                is_duplicate: true,
            })),
            Err(error) => Some(Err(error.into())),
        }
    }

    /// None if the log does not take it yet.
    fn try_append(
        self: &Rc<Self>,
        state: &mut State,
        batch: &Batch,
    ) -> Option<Result<Appended, AppendRefused>> {
        if let Some(result) = self.check(state, batch) {
            return Some(result);
        }
        self.log.roll_before(batch.header.max_timestamp);
        match self.log.admit(batch.bytes.len()) {
            Admission::Later => return None,
            Admission::Refused(refused) => {
                state.producers.turn_away(&self.stamp(batch));
                return Some(Err(refused.into()));
            }
            Admission::Now => {}
        }
        let (leader_epoch, stamp) = (state.leader_epoch, self.stamp(batch));
        if self.log.ends().end_count == 0 {
            // A group's log begins with its voters. Not before there is something to vote on: an
            // empty log needs no space on the disk.
            let membership = Membership { voters: vec![self.node] }.encode();
            self.log.append_other(leader_epoch, EntryKind::Membership, &membership);
        }
        let entry = self.log.append_batch(leader_epoch, &batch.header, &batch.bytes);
        state.producers.stage(entry.index, &stamp);
        Some(Ok(Appended {
            leader_epoch,
            base_offset: stamp.base_offset,
            next_offset: stamp.next_offset(),
            max_timestamp: stamp.max_timestamp,
            is_duplicate: false,
        }))
    }

    /// The batch's stamp, if it were appended now.
    fn stamp(&self, batch: &Batch) -> BatchStamp {
        BatchStamp::of(&batch.header, self.log.ends().end_offset)
    }

    /// Appends what waits, as the log takes it.
    async fn drain(self: Rc<Self>) {
        loop {
            let size_bytes = {
                let mut state = self.state.borrow_mut();
                // Who has given up does not want the batch appended any more.
                while state.waiting.pop_front_if(|(_, sender)| sender.is_closed()).is_some() {}
                match state.waiting.front() {
                    Some((batch, _)) => batch.bytes.len(),
                    None => break,
                }
            };
            let admitted = self.log.admitted(size_bytes.min(self.batch_bytes_max)).await;
            let started = runtime::now();
            let mut state = self.state.borrow_mut();
            if let Err(refused) = admitted
                && let Some((batch, sender)) = state.waiting.pop_front()
            {
                // What is known without the log goes before what the log says.
                let result = self.check(&state, &batch).unwrap_or_else(|| {
                    state.producers.turn_away(&self.stamp(&batch));
                    Err(refused.into())
                });
                sender.send(result);
                continue;
            }
            while let Some((batch, sender)) = state.waiting.pop_front() {
                if sender.is_closed() {
                    continue;
                }
                let Some(result) = self.try_append(&mut state, &batch) else {
                    state.waiting.push_front((batch, sender));
                    break;
                };
                sender.send(result);
            }
            drop(state);
            self.publish();
            self.note_busy(started);
        }
        self.state.borrow_mut().is_draining = false;
    }

    /// Waits until everything below an offset is flushed, and committed, in the same epoch.
    pub async fn wait_past(
        &self,
        leader_epoch: LeaderEpoch,
        offset: Offset,
    ) -> Result<Progress, WaitError> {
        self.progress
            .wait_for(|progress| {
                if progress.leader_epoch != leader_epoch {
                    return Some(Err(WaitError::EpochOver));
                }
                if offset <= progress.high_watermark {
                    return Some(Ok(*progress));
                }
                let is_stopped = self.state.borrow().is_stopped;
                match progress.is_leading {
                    true => None,
                    false if is_stopped => Some(Err(WaitError::Stopped)),
                    false => Some(Err(WaitError::EpochOver)),
                }
            })
            .await
    }

    /// Waits for the first progress that `found` yields something for; it is asked now and after
    /// every change.
    pub async fn wait_for<R>(&self, found: impl FnMut(&Progress) -> Option<R>) -> R {
        self.progress.wait_for(found).await
    }

    /// Reads whole batches.
    pub fn read(&self, from: &ReadFrom) -> Result<ReadOutcome, ReadRefused> {
        let started = runtime::now();
        self.check_epoch(from.leader_epoch)?;
        let request = ReadRequest {
            offset: from.offset,
            bytes_max: from.bytes_max,
            up_to: self.readable_end(from.isolation),
            at_least_one_batch: from.at_least_one_batch,
        };
        let outcome = self.log.read(&request);
        self.note_busy(started);
        Ok(outcome?)
    }

    /// Where the records of a leader epoch end, for readers who want to know whether what they have
    /// read is still what the log has (KIP-320). None of an epoch that is not known here.
    pub async fn epoch_end(
        &self,
        leader_epoch: LeaderEpoch,
    ) -> Result<Option<EpochEnd>, ReadError> {
        let ours = self.state.borrow().leader_epoch;
        if leader_epoch == LeaderEpoch::NONE || ours < leader_epoch {
            return Ok(None);
        }
        if leader_epoch == ours {
            let end_offset = self.progress().log_end;
            return Ok(Some(EpochEnd { leader_epoch, end_offset }));
        }
        let found = self.log.epoch_end(leader_epoch).await?;
        Ok(Some(EpochEnd {
            leader_epoch: found.leader_epoch.unwrap_or(leader_epoch),
            end_offset: found.end_offset,
        }))
    }

    /// Where the log of a reader that has read up to `from`, and records of `last_epoch` last, parts
    /// from this one. None if it does not.
    pub async fn divergence(
        &self,
        from: &ReadFrom,
        last_epoch: LeaderEpoch,
    ) -> Result<Option<EpochEnd>, ReadRefused> {
        self.check_epoch(from.leader_epoch)?;
        let end = self.epoch_end(last_epoch).await?;
        let Progress { log_start, log_end, .. } = self.progress();
        match end {
            Some(end) if log_start <= from.offset => {
                let is_apart = end.leader_epoch < last_epoch || end.end_offset < from.offset;
                Ok(is_apart.then_some(end))
            }
            Some(_) | None => {
                let requested = from.offset;
                Err(ReadError::OutOfRange { requested, log_start, log_end }.into())
            }
        }
    }

    /// The offset at which readers stop.
    pub fn readable_end(&self, isolation: Isolation) -> Offset {
        let progress = self.progress();
        if has_bug(PlantedBug::ServeBeyondHighWatermark) {
            return progress.log_end;
        }
        match isolation {
            Isolation::ReadUncommitted => progress.high_watermark,
            Isolation::ReadCommitted => progress.last_stable,
        }
    }

    /// The first readable record with this time or a later one.
    pub async fn find_time(
        &self,
        timestamp: Timestamp,
        isolation: Isolation,
    ) -> Result<Option<Found>, ReadError> {
        self.log.find_time(timestamp, self.readable_end(isolation)).await
    }

    /// The first readable record with the latest time.
    pub async fn find_latest_time(&self, isolation: Isolation) -> Result<Option<Found>, ReadError> {
        self.log.find_latest_time(self.readable_end(isolation)).await
    }

    /// Whether a client's idea of the leader is ours (KIP-320).
    pub fn check_epoch(&self, theirs: LeaderEpoch) -> Result<(), ReadRefused> {
        let ours = self.state.borrow().leader_epoch;
        match theirs {
            LeaderEpoch::NONE => Ok(()),
            theirs if theirs < ours => Err(ReadRefused::Fenced { theirs, ours }),
            theirs if ours < theirs => Err(ReadRefused::UnknownEpoch { theirs, ours }),
            _ => Ok(()),
        }
    }

    /// Moves the log's start: no record below the offset is read any more. Not beyond what is
    /// committed. Returns the new start once it is flushed.
    pub async fn delete_records(self: &Rc<Self>, before: Offset) -> Result<Offset, AppendRefused> {
        self.log.admitted_other().await?;
        let ends = self.log.ends();
        if ends.log_start < ends.end_offset && ends.end_offset == before {
            // The segment that takes the appends goes as well.
            self.log.roll();
        }
        self.move_log_start(before).await
    }

    /// To be awaited in the step in which the log has admitted an entry: nothing is waited for before
    /// the append.
    pub(crate) async fn move_log_start(&self, before: Offset) -> Result<Offset, AppendRefused> {
        let partition = self.partition();
        let leader_epoch = self.leader().ok_or(AppendRefused::NotLeading { partition })?;
        let progress = self.progress();
        let log_start = before.min(progress.high_watermark);
        if log_start <= progress.log_start {
            return Ok(progress.log_start);
        }
        self.log.append_other(leader_epoch, EntryKind::LogStart(log_start), &[]);
        let moved = self.wait_for(|progress| {
            (log_start <= progress.log_start).then_some(Ok(progress.log_start)).or_else(|| {
                let gone = AppendRefused::NotLeading { partition };
                (!progress.is_leading).then_some(Err(gone))
            })
        });
        moved.await
    }

    /// Forgets producers that have not written since `before` (`producer.id.expiration.ms`).
    pub fn expire_producers(&self, before: Timestamp) {
        self.state.borrow_mut().producers.expire(before);
    }

    /// The partition leaves this core or this broker: whoever waits is told.
    pub fn resign(&self) {
        self.state.borrow_mut().is_leading = false;
        self.publish();
    }

    fn publish(&self) {
        let state = self.state.borrow();
        let progress = progress_of(&self.log, &state);
        drop(state);
        if progress != *self.progress.borrow() {
            self.progress.set(progress);
        }
    }

    fn note_busy(&self, since: runtime::Instant) {
        let nanos = u64::try_from(runtime::now().since(since).as_nanos()).unwrap_or(u64::MAX);
        self.busy_nanos.set(self.busy_nanos.get().saturating_add(nanos));
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Replica({}, {:?})", self.partition(), self.progress())
    }
}

fn progress_of(log: &Log, state: &State) -> Progress {
    let ends = log.ends();
    Progress {
        leader_epoch: state.leader_epoch,
        log_start: ends.log_start,
        // Without transactions nothing is open.
        last_stable: ends.committed_offset,
        high_watermark: ends.committed_offset,
        flushed: ends.flushed_offset,
        log_end: ends.end_offset,
        is_leading: state.is_leading,
    }
}

/// Hears of the log's progress; the log does not keep the replica alive.
struct Ears {
    replica: Weak<Replica>,
}

impl LogListener for Ears {
    fn progressed(&self) {
        let Some(replica) = self.replica.upgrade() else { return };
        let committed_count = replica.log.ends().committed_count;
        let mut state = replica.state.borrow_mut();
        if state.applied_count < committed_count {
            let now = Timestamp(runtime::wall_clock_ms());
            state.producers.apply(LogIndex(committed_count), now);
            state.applied_count = committed_count;
        }
        drop(state);
        replica.publish();
    }

    fn stopped(&self) {
        let Some(replica) = self.replica.upgrade() else { return };
        let mut state = replica.state.borrow_mut();
        state.is_leading = false;
        state.is_stopped = true;
        drop(state);
        replica.publish();
    }
}

impl AppliedState for Ears {
    fn capture(&self) -> (u64, Bytes) {
        let replica = self.replica.upgrade().expect("a log's checkpoints end with its replica");
        let state = replica.state.borrow();
        (state.applied_count, state.producers.encode())
    }
}

/// The answer to [`Replica::append`].
#[derive(Debug)]
pub struct Append {
    inner: AppendInner,
}

#[derive(Debug)]
enum AppendInner {
    Ready(Option<Result<Appended, AppendRefused>>),
    Waiting(oneshot::Receiver<Result<Appended, AppendRefused>>),
}

impl Append {
    /// Why the batch was not appended, if that is known already. None also of one that waits until
    /// the log takes it.
    pub fn refused(&self) -> Option<&AppendRefused> {
        match &self.inner {
            AppendInner::Ready(Some(Err(refused))) => Some(refused),
            AppendInner::Ready(_) | AppendInner::Waiting(_) => None,
        }
    }
}

impl Future for Append {
    type Output = Result<Appended, AppendRefused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.inner {
            AppendInner::Ready(result) => {
                Poll::Ready(result.take().expect("a future is not polled after its end"))
            }
            AppendInner::Waiting(receiver) => Pin::new(receiver)
                .poll(context)
                .map(|result| result.expect("a replica answers what it has taken")),
        }
    }
}
