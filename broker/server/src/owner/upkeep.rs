//! What becomes of logs over their lives: other settings, what is old goes, what is replaced goes,
//! how large they are.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use model::{Offset, Timestamp, TopicPartition};
use replication::{Enforced, Replica};
use runtime::{Instant, Reply};
use storage::{CompactionError, CompactionReport, Dirtiness, ReadError};

use super::{Owner, durability_of};
use crate::call::{CoreAnswer, PartitionSpec};
use crate::config::Upkeep;
use crate::failure::Failure;

/// Brokers that are started often are scrubbed as well.
const SCRUB_FIRST_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How often partitions are looked at whose settings have just changed.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// Partitions whose settings have just changed, so that somebody may wait to see old records go.
#[derive(Default)]
pub(super) struct Settling {
    /// By partition: when its oldest segment will be too old, and until when it is watched.
    due: RefCell<BTreeMap<TopicPartition, (Timestamp, Timestamp)>>,
    is_running: Cell<bool>,
}

impl Owner {
    /// Gives partitions other settings, which hold once this returns.
    pub(crate) async fn configure(
        self: &Rc<Self>,
        specs: Vec<PartitionSpec>,
    ) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(specs.len());
        for spec in &specs {
            outcomes.push(self.configure_one(spec).await);
        }
        let changed = specs.iter().map(|spec| spec.partition).collect();
        runtime::spawn(self.clone().settle_retention(changed));
        outcomes
    }

    async fn configure_one(&self, spec: &PartitionSpec) -> Result<(), Failure> {
        let replica = self.replica(spec.partition)?;
        let log = replica.log();
        log.set_options(spec.log);
        replica.set_retention(spec.retention);
        replica.set_compaction(spec.compaction);
        let durability = durability_of(spec.is_durable);
        if log.durability() != durability && !log.is_doubtful() {
            let switched = self.store().set_durability(log, durability).await;
            switched.map_err(|error| Failure::storage(spec.partition, &error))?;
        }
        Ok(())
    }

    /// Removes what is too old or too much, again and again.
    pub(crate) async fn run_retention(self: Rc<Self>) {
        loop {
            runtime::sleep(self.upkeep.retention).await;
            self.enforce_retention_of_all().await;
        }
    }

    /// Removes what is too old or too much now.
    pub(crate) async fn enforce_retention_of_all(&self) {
        for replica in self.replicas() {
            self.enforce_retention(&replica).await;
        }
    }

    /// The same for partitions whose settings have just changed: at once, and whenever more of them
    /// becomes too old, until it is everybody's turn.
    async fn settle_retention(self: Rc<Self>, changed: Vec<TopicPartition>) {
        let interval_ms = i64::try_from(self.upkeep.retention.as_millis()).unwrap_or(i64::MAX);
        let until = Timestamp(runtime::wall_clock_ms().saturating_add(interval_ms));
        for partition in changed {
            self.settle_one(partition, until).await;
        }
        if self.settling.is_running.replace(true) {
            return;
        }
        while !self.settling.due.borrow().is_empty() {
            runtime::sleep(SETTLE_EVERY).await;
            let now = Timestamp(runtime::wall_clock_ms());
            let settling = self.settling.due.borrow().clone();
            for (partition, (due, until)) in settling {
                if due < now {
                    self.settle_one(partition, until).await;
                }
            }
        }
        self.settling.is_running.set(false);
    }

    async fn settle_one(&self, partition: TopicPartition, until: Timestamp) {
        let enforced = match self.replica(partition) {
            Ok(replica) => self.enforce_retention(&replica).await,
            Err(_) => None,
        };
        let due = enforced.and_then(|enforced| enforced.due);
        let is_watched = runtime::wall_clock_ms() < until.0;
        let mut settling = self.settling.due.borrow_mut();
        match due.filter(|due| is_watched && *due < until) {
            Some(due) => settling.insert(partition, (due, until)),
            None => settling.remove(&partition),
        };
    }

    async fn enforce_retention(&self, replica: &Rc<Replica>) -> Option<Enforced> {
        let now = Timestamp(runtime::wall_clock_ms());
        match replica.enforce_retention(now).await {
            Ok(enforced) => {
                if let Some(log_start) = enforced.log_start {
                    let partition = replica.partition();
                    tracing::info!(%partition, %log_start, "old segments have left the log");
                }
                Some(enforced)
            }
            Err(error) => {
                let partition = replica.partition();
                tracing::warn!(%partition, %error, "old segments stay in the log");
                None
            }
        }
    }

    /// Compacts logs when it is time, one after the other, the one with the most to compact first.
    pub(crate) async fn run_compaction(self: Rc<Self>) {
        // What cannot be compacted is left alone until the next start, as it is damaged.
        let mut left_alone = BTreeSet::new();
        loop {
            runtime::sleep(self.upkeep.compaction).await;
            while let Some((replica, dirtiness)) = self.dirtiest(&left_alone).await {
                let partition = replica.partition();
                let (begun, now) = (runtime::now(), Timestamp(runtime::wall_clock_ms()));
                match replica.compact(now, &dirtiness).await {
                    Ok(Some(report)) => tell_compaction(partition, &report, begun),
                    Ok(None) | Err(CompactionError::Gone { .. }) => break,
                    Err(CompactionError::Stopped(_)) => return,
                    Err(error @ CompactionError::Read(ReadError::Damaged { .. })) => {
                        tracing::error!(%partition, %error,
                            "a log cannot be compacted, and is left as it is");
                        left_alone.insert(partition);
                    }
                    Err(error) => {
                        tracing::warn!(%partition, %error, "a log was not compacted");
                        break;
                    }
                }
            }
        }
    }

    /// Reads everything that is on the disk for good, now and then and slowly, to find what has rotted.
    pub(crate) async fn run_scrubs(self: Rc<Self>) {
        let Upkeep { scrub: interval, scrub_bytes_per_second, .. } = self.upkeep;
        runtime::sleep(interval.min(SCRUB_FIRST_AFTER_MAX)).await;
        loop {
            let begun = runtime::now();
            let mut findings_count = 0;
            let tell = |partition: TopicPartition, error: &ReadError| {
                findings_count += 1;
                tracing::error!(%partition, %error, "a file is not as it was written");
            };
            self.store().scrub(scrub_bytes_per_second, tell).await;
            let seconds = runtime::now().since(begun).as_secs();
            tracing::info!(findings_count, seconds, "everything on the disk was looked at");
            runtime::sleep(interval).await;
        }
    }

    /// The partition with the largest share of dirty bytes among those whose time has come.
    async fn dirtiest(
        &self,
        left_alone: &BTreeSet<TopicPartition>,
    ) -> Option<(Rc<Replica>, Dirtiness)> {
        let mut dirtiest: Option<(Rc<Replica>, Dirtiness)> = None;
        for replica in self.replicas() {
            if left_alone.contains(&replica.partition()) {
                continue;
            }
            let now = Timestamp(runtime::wall_clock_ms());
            // What cannot be read is told to whoever wants to read it.
            let Ok(Some(dirtiness)) = replica.dirtiness(now).await else { continue };
            let is_dirtier = dirtiest.as_ref().is_none_or(|(_, than)| than.ratio < dirtiness.ratio);
            if dirtiness.is_due && is_dirtier {
                dirtiest = Some((replica, dirtiness));
            }
        }
        dirtiest
    }

    /// Moves the starts of logs; answers when that is flushed.
    pub(crate) fn delete_records(
        self: &Rc<Self>,
        deletions: Vec<(TopicPartition, Option<Offset>)>,
        reply: Reply<CoreAnswer>,
    ) {
        let deleting: Vec<_> = deletions
            .into_iter()
            .map(|(partition, before)| {
                let owner = self.clone();
                runtime::spawn(async move { owner.delete_records_of(partition, before).await })
            })
            .collect();
        runtime::spawn(async move {
            let mut log_starts = Vec::with_capacity(deleting.len());
            for deleted in deleting {
                log_starts.push(deleted.await);
            }
            reply.send(CoreAnswer::LogStarts(log_starts));
        });
    }

    /// None is everything that consumers may read.
    async fn delete_records_of(
        &self,
        partition: TopicPartition,
        before: Option<Offset>,
    ) -> Result<Offset, Failure> {
        let replica = self.replica(partition)?;
        let high_watermark = replica.progress().high_watermark;
        let before = before.unwrap_or(high_watermark);
        if before < Offset::ZERO || high_watermark < before {
            return Err(Failure::beyond(before, high_watermark));
        }
        Ok(replica.delete_records(before).await?)
    }

    /// Answers with the bytes of each partition's segments.
    pub(crate) fn sizes(
        self: &Rc<Self>,
        partitions: Vec<TopicPartition>,
        reply: Reply<CoreAnswer>,
    ) {
        let owner = self.clone();
        runtime::spawn(async move {
            let mut sizes = Vec::with_capacity(partitions.len());
            for partition in partitions {
                sizes.push(match owner.replica(partition) {
                    Ok(replica) => replica.log().size_bytes().await.map_err(Failure::from),
                    Err(failure) => Err(failure),
                });
            }
            reply.send(CoreAnswer::Sizes(sizes));
        });
    }
}

fn tell_compaction(partition: TopicPartition, report: &CompactionReport, begun: Instant) {
    let CompactionReport { clean_end, keys_count, records_read, records_kept, .. } = *report;
    let CompactionReport { bytes_read, bytes_written, .. } = *report;
    let milliseconds = runtime::now().since(begun).as_millis();
    tracing::info!(%partition, %clean_end, keys_count, records_read, records_kept, bytes_read,
        bytes_written, milliseconds, "a log was compacted");
}
