//! The cluster's metadata: decides, records, replays, and tells every core. Lives on core 0.

mod configs;
mod quotas;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use coordinator::{
    BrokerConfigs, ClusterRecord, ClusterState, MorePartitions, NewTopic, ProducerIdBlock,
    TopicLimits,
};
use model::record_batch::{BatchBuilder, NewRecord};
use model::{Offset, Timestamp, TopicId, TopicPartition};
use replication::Replica;
use runtime::CoreId;
use runtime::sync::budget::Budget;
use wire::ErrorCode;

use crate::call::{CoreAnswer, CoreRequest, PartitionSpec};
use crate::core::CoreMesh;
use crate::failure::Failure;
use crate::image::{ClusterImage, PartitionImage, TopicImage, partitions_of};
use crate::records::{self, Unreadable};

/// Records of one change that go into one batch: nearly always all of them.
const RECORDS_BYTES: usize = 256 << 10;
/// How often partitions are opened again that could not be opened.
const REOPEN_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) struct Controller {
    replica: Rc<Replica>,
    mesh: Rc<CoreMesh>,
    settings: Settings,
    state: RefCell<ClusterState>,
    partitions: RefCell<BTreeMap<TopicPartition, PartitionImage>>,
    image: RefCell<Arc<ClusterImage>>,
    /// One change at a time.
    changing: Budget,
    /// A record could not be written, so nobody knows what the log holds.
    is_stopped: Cell<bool>,
}

/// What the controller is told at the start.
pub(crate) struct Settings {
    pub(crate) cores_count: u16,
    pub(crate) limits: TopicLimits,
    /// Between two checkpoints of a journal.
    pub(crate) checkpoint_interval_ms: i64,
    /// What the configuration file says for topics.
    pub(crate) file_configs: BrokerConfigs,
}

/// Why the metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("the cluster's metadata cannot be read: {0}")]
    Read(String),
    #[error("offset {offset} of __cluster_metadata: {source}")]
    Record { offset: Offset, source: coordinator::RecordError },
    #[error("offset {offset} of __cluster_metadata: {source}")]
    Replay { offset: Offset, source: coordinator::ReplayError },
    #[error("the cluster's metadata cannot be written: {}", .0.message)]
    Write(Failure),
}

impl Controller {
    /// Reads the metadata; on a new directory, begins it.
    pub(crate) async fn open(
        replica: Rc<Replica>,
        mesh: Rc<CoreMesh>,
        settings: Settings,
        image: ClusterImage,
    ) -> Result<Rc<Controller>, MetadataError> {
        let state = read_state(&replica).await?;
        let is_new = state.cluster_id().is_none();
        let controller = Rc::new(Controller {
            replica,
            mesh,
            settings,
            state: RefCell::new(state),
            partitions: RefCell::default(),
            image: RefCell::new(Arc::new(image)),
            changing: Budget::new(1),
            is_stopped: Cell::new(false),
        });
        if is_new {
            let id = TopicId::from_random(runtime::with_rng(runtime::Rng::next_u128));
            let record = ClusterRecord::Cluster { cluster_id: id.to_string() };
            controller.record(vec![record]).await.map_err(MetadataError::Write)?;
        }
        Ok(controller)
    }

    pub(crate) fn image(&self) -> Arc<ClusterImage> {
        self.image.borrow().clone()
    }

    pub(crate) fn topics_count(&self) -> usize {
        self.state.borrow().topics().count()
    }

    /// At a start: opens every partition where its log is, or where there is room. If not
    /// everything is known that the journals held, what is not found stays without a leader, and
    /// nothing is removed.
    pub(crate) async fn open_all(
        &self,
        owners: &BTreeMap<TopicPartition, CoreId>,
        is_complete: bool,
    ) {
        let state = self.state.borrow().clone();
        let spec_of = self.specs();
        let mut wanted = Vec::new();
        for topic in state.topics() {
            for partition in partitions_of(topic) {
                let owner = owners.get(&partition).copied();
                if owner.is_some() || is_complete {
                    wanted.push((spec_of(topic, partition), owner));
                }
            }
        }
        self.open_partitions(wanted).await;
        self.install().await;
        if is_complete {
            let image = self.image();
            self.broadcast(|| CoreRequest::Keep(image.clone())).await;
        }
    }

    // ---- Topics.

    /// Creates topics, each for itself: one that is refused does not hinder the others.
    pub(crate) async fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Vec<Result<Arc<TopicImage>, Failure>> {
        let _turn = self.changing.take(1).await;
        let mut decided: Vec<Result<ClusterRecord, Failure>> = Vec::with_capacity(topics.len());
        // Later topics of a request see the earlier ones.
        let mut state = self.state.borrow().clone();
        for new in &topics {
            let id = TopicId::from_random(runtime::with_rng(runtime::Rng::next_u128));
            let record = state.decide_topic(new, &self.settings.limits, id);
            if let Ok(record) = &record {
                state.replay(record).expect("what was decided can be replayed");
            }
            decided.push(record.map_err(Failure::from));
        }
        let id_of = |record: &ClusterRecord| match record {
            ClusterRecord::Topic { id, .. } => *id,
            other => unreachable!("topics are decided, not {other:?}"),
        };
        if validate_only {
            let nowhere = PartitionImage { owner: CoreId(0), leader_epoch: None };
            let image = self.image().next(&state, self.broker_configs(), |_| nowhere);
            let image_of = |id| image.topic_by_id(id).expect("it was replayed").clone();
            return decided.into_iter().map(|it| it.map(|it| image_of(id_of(&it)))).collect();
        }
        let records: Vec<_> = decided.iter().flatten().cloned().collect();
        if let Err(failure) = self.record(records).await {
            return decided.into_iter().map(|it| it.and(Err(failure.clone()))).collect();
        }
        let spec_of = self.specs();
        let mut wanted = Vec::new();
        for record in decided.iter().flatten() {
            let topic = state.topic(id_of(record)).expect("it was replayed");
            for partition in partitions_of(topic) {
                wanted.push((spec_of(topic, partition), None));
            }
        }
        let failed = self.open_partitions(wanted).await;
        self.install().await;
        let image = self.image();
        let image_of = |id| image.topic_by_id(id).expect("it was installed").clone();
        let created = decided.into_iter().map(|it| {
            let id = id_of(&it?);
            // The topic is there, and its partitions are tried again; but it is not what was asked.
            match failed.get(&id) {
                Some(failure) => Err(failure.clone()),
                None => Ok(image_of(id)),
            }
        });
        created.collect()
    }

    /// Gives topics more partitions, each for itself: one that is refused does not hinder the
    /// others.
    pub(crate) async fn create_partitions(
        &self,
        topics: Vec<MorePartitions>,
        validate_only: bool,
    ) -> Vec<Result<(), Failure>> {
        let _turn = self.changing.take(1).await;
        // Later topics of a request leave to the limit what the earlier ones take.
        let mut state = self.state.borrow().clone();
        let spec_of = self.specs();
        let mut wanted = Vec::new();
        let mut records = Vec::new();
        let mut outcomes: Vec<Result<TopicId, Failure>> = Vec::with_capacity(topics.len());
        for more in &topics {
            let decided = state.decide_partitions(more, &self.settings.limits);
            outcomes.push(match decided {
                Ok(record) => {
                    let topic = state.topic_named(&more.topic).expect("it was decided on").clone();
                    state.replay(&record).expect("what was decided can be replayed");
                    records.push(record);
                    let grown = state.topic(topic.id).expect("it was there");
                    let new = partitions_of(grown).skip(partitions_of(&topic).count());
                    wanted.extend(new.map(|partition| (spec_of(grown, partition), None)));
                    Ok(topic.id)
                }
                Err(refused) => Err(refused.into()),
            });
        }
        let without_id = |outcome: Result<TopicId, Failure>| outcome.map(drop);
        if validate_only {
            return outcomes.into_iter().map(without_id).collect();
        }
        if let Err(failure) = self.record(records).await {
            let failed = |it: Result<TopicId, Failure>| it.and(Err(failure.clone()));
            return outcomes.into_iter().map(failed).collect();
        }
        let failed = self.open_partitions(wanted).await;
        self.install().await;
        let created = outcomes.into_iter().map(|outcome| match failed.get(&outcome?) {
            // They are counted, and are tried again; but they are not what was asked for.
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        });
        created.collect()
    }

    /// Opens partitions again that could not be opened, for example because the disk was full.
    pub(crate) async fn reopen(self: Rc<Self>) {
        loop {
            runtime::sleep(REOPEN_INTERVAL).await;
            let _turn = self.changing.take(1).await;
            if self.is_stopped.get() {
                return;
            }
            let spec_of = self.specs();
            let wanted: Vec<_> = {
                let (state, partitions) = (self.state.borrow(), self.partitions.borrow());
                let closed = partitions.iter().filter(|(_, image)| image.leader_epoch.is_none());
                closed
                    .filter_map(|(partition, image)| {
                        let topic = state.topic(partition.topic)?;
                        Some((spec_of(topic, *partition), Some(image.owner)))
                    })
                    .collect()
            };
            if !wanted.is_empty() {
                self.open_partitions(wanted).await;
                self.install().await;
            }
        }
    }

    /// Finishes the change that is being made, and takes no other.
    pub(crate) async fn close(&self) {
        let _turn = self.changing.take(1).await;
        self.is_stopped.set(true);
    }

    pub(crate) async fn delete_topics(&self, ids: Vec<TopicId>) -> Vec<Result<(), Failure>> {
        let _turn = self.changing.take(1).await;
        let mut state = self.state.borrow().clone();
        let mut records = Vec::new();
        let mut gone = Vec::new();
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            let topic = state.topic(id).cloned();
            let record = state.decide_deletion(id);
            outcomes.push(match (topic, record) {
                (Some(topic), Some(record)) => {
                    state.replay(&record).expect("what was decided can be replayed");
                    gone.extend(partitions_of(&topic));
                    records.push(record);
                    Ok(())
                }
                _ => Err(Failure::new(ErrorCode::UnknownTopicId, "There is no such topic.")),
            });
        }
        if let Err(failure) = self.record(records).await {
            return outcomes.into_iter().map(|it| it.and(Err(failure.clone()))).collect();
        }
        let mut by_owner: BTreeMap<CoreId, Vec<TopicPartition>> = BTreeMap::new();
        for partition in gone {
            if let Some(image) = self.partitions.borrow_mut().remove(&partition) {
                by_owner.entry(image.owner).or_default().push(partition);
            }
        }
        // First nobody finds them, then they are removed.
        self.install().await;
        for (owner, partitions) in by_owner {
            let _ = self.mesh.call(owner, CoreRequest::RemovePartitions(partitions)).await;
        }
        self.broadcast(|| CoreRequest::ForgetTopics).await;
        outcomes
    }

    pub(crate) async fn producer_ids(&self) -> Result<ProducerIdBlock, Failure> {
        let _turn = self.changing.take(1).await;
        let (record, block) = self.state.borrow().decide_producer_ids();
        self.record(vec![record]).await?;
        Ok(block)
    }

    /// Writes records and waits until they are flushed; then they hold.
    async fn record(&self, records: Vec<ClusterRecord>) -> Result<(), Failure> {
        if records.is_empty() {
            return Ok(());
        }
        let stopped = || {
            Failure::new(ErrorCode::KafkaStorageError, "the cluster's metadata takes no changes")
        };
        if self.is_stopped.get() {
            return Err(stopped());
        }
        let mut batches = Vec::new();
        let now = Timestamp(runtime::wall_clock_ms());
        let mut builder = BatchBuilder::new();
        for record in &records {
            let value = record.encode();
            let new = NewRecord { timestamp: now, key: None, value: Some(&value), headers: &[] };
            if !builder.is_empty() && RECORDS_BYTES < builder.size_bytes_with(&new) {
                batches.push(std::mem::take(&mut builder));
            }
            builder.push(&new);
        }
        batches.push(builder);
        let mut last = None;
        for builder in batches {
            match self.replica.append(records::batch_of(builder)).await {
                Ok(appended) => last = Some(appended),
                Err(refused) => {
                    // With a part of a change in the log, deciding on the state would repeat it.
                    self.is_stopped.set(last.is_some());
                    return Err(refused.into());
                }
            }
        }
        let last = last.expect("there is a record");
        if let Err(error) = self.replica.wait_past(last.leader_epoch, last.next_offset).await {
            self.is_stopped.set(true);
            return Err(error.into());
        }
        let mut state = self.state.borrow_mut();
        for record in &records {
            state.replay(record).expect("what was decided can be replayed");
        }
        Ok(())
    }

    // ---- Partitions and images.

    /// Opens partitions on the owner that is given, or where the fewest are. Returns a failure for
    /// each topic that has one.
    async fn open_partitions(
        &self,
        wanted: Vec<(PartitionSpec, Option<CoreId>)>,
    ) -> BTreeMap<TopicId, Failure> {
        let mut counts = vec![0_usize; usize::from(self.settings.cores_count)];
        for image in self.partitions.borrow().values() {
            counts[image.owner.index()] += 1;
        }
        for owner in wanted.iter().filter_map(|(_, owner)| *owner) {
            counts[owner.index()] += 1;
        }
        let mut by_owner: BTreeMap<CoreId, Vec<_>> = BTreeMap::new();
        for (spec, owner) in wanted {
            let owner = owner.unwrap_or_else(|| {
                let least = (0..self.settings.cores_count)
                    .min_by_key(|core| counts[usize::from(*core)])
                    .expect("there is a core");
                counts[usize::from(least)] += 1;
                CoreId(least)
            });
            by_owner.entry(owner).or_default().push(spec);
        }
        let calls: Vec<_> = by_owner
            .into_iter()
            .map(|(owner, specs)| {
                let partitions: Vec<_> = specs.iter().map(|spec| spec.partition).collect();
                (owner, partitions, self.mesh.call(owner, CoreRequest::OpenPartitions(specs)))
            })
            .collect();
        let mut failed = BTreeMap::new();
        for (owner, partitions, call) in calls {
            let opened = match call.await {
                Ok(CoreAnswer::Opened(opened)) => opened,
                _ => return failed,
            };
            let mut known = self.partitions.borrow_mut();
            for (partition, opened) in partitions.into_iter().zip(opened) {
                let leader_epoch = match opened {
                    Ok(leader_epoch) => Some(leader_epoch),
                    Err(failure) => {
                        failed.insert(partition.topic, failure);
                        None
                    }
                };
                known.insert(partition, PartitionImage { owner, leader_epoch });
            }
        }
        failed
    }

    /// Gives every core the image of what is now.
    async fn install(&self) {
        let image = {
            let (state, partitions) = (self.state.borrow(), self.partitions.borrow());
            let nowhere = PartitionImage { owner: CoreId(0), leader_epoch: None };
            let of = |partition| partitions.get(&partition).copied().unwrap_or(nowhere);
            Arc::new(self.image.borrow().next(&state, self.broker_configs(), of))
        };
        *self.image.borrow_mut() = image.clone();
        self.broadcast(|| CoreRequest::Install(image.clone())).await;
    }

    async fn broadcast(&self, request: impl Fn() -> CoreRequest) {
        let calls: Vec<_> = (0..self.settings.cores_count)
            .map(|core| self.mesh.call(CoreId(core), request()))
            .collect();
        for call in calls {
            // A core that is stopping needs no image.
            let _ = call.await;
        }
    }
}

async fn read_state(replica: &Rc<Replica>) -> Result<ClusterState, MetadataError> {
    let mut state = ClusterState::default();
    records::read_all(replica, |offset, record| {
        let decoded = ClusterRecord::decode(record.value.unwrap_or_default())
            .map_err(|source| MetadataError::Record { offset, source })?;
        state.replay(&decoded).map_err(|source| MetadataError::Replay { offset, source })
    })
    .await?;
    Ok(state)
}

impl From<Unreadable> for MetadataError {
    fn from(Unreadable(text): Unreadable) -> MetadataError {
        MetadataError::Read(text)
    }
}
