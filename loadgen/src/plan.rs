//! Which record goes where, and with which others: decided before the run, like its time.
//!
//! A *lane* is one connection to each broker, and some of the partitions. Records of a lane gather
//! until the first of them has lingered long enough or a batch is full; then they go out as one
//! request, with one batch for each partition that has records, as a Kafka producer does it.
//!
//! Guarantees: the same settings give the same requests, so that two brokers get the same batches;
//! a key always goes to the same partition; within a partition sequence numbers rise. Does not
//! know: which broker leads what, or whether anything arrives.

mod keys;
mod sizes;

use std::time::Duration;

use runtime::Rng;

use crate::units::nanos;
use keys::Keys;
pub use keys::{KeyDistribution, KeyDistributionError};
pub(crate) use sizes::Sizes;
pub use sizes::{SizeDistribution, SizeDistributionError};

/// Whose plan: one worker of several, each with its own partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub worker: u32,
    pub workers_count: u32,
}

impl Share {
    pub const WHOLE: Share = Share { worker: 0, workers_count: 1 };

    /// Whether this worker produces and consumes a partition.
    pub fn has(self, partition: u32) -> bool {
        partition % self.workers_count == self.worker
    }

    /// The lane of one of this worker's partitions, which are every nth: only those are counted.
    pub fn lane_of(self, partition: u32, lanes_count: u32) -> u32 {
        partition / self.workers_count % lanes_count
    }
}

/// What a batch may have in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    pub records_max: u32,
    /// Of all its records together.
    pub records_bytes: usize,
    /// Of each record, besides its value.
    pub overhead_bytes: usize,
}

impl BatchLimits {
    /// How many records there may be if all their values have this size.
    pub fn records_fitting(self, size_bytes: usize) -> u32 {
        let by_size = self.records_bytes / size_bytes.saturating_add(self.overhead_bytes);
        u32::try_from(by_size).unwrap_or(u32::MAX).min(self.records_max)
    }

    /// Of an empty batch.
    fn room(self) -> Room {
        Room { left: self }
    }
}

/// What is left of a batch's limits.
#[derive(Clone, Copy, Debug)]
struct Room {
    left: BatchLimits,
}

impl Room {
    fn fits(self, size_bytes: u32) -> bool {
        self.left.records_fitting(size_bytes as usize) != 0
    }

    /// For a record that fits.
    fn take(&mut self, size_bytes: u32) {
        self.left.records_max -= 1;
        self.left.records_bytes -= size_bytes as usize + self.left.overhead_bytes;
    }
}

/// How records become requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    pub keys_count: u32,
    pub key_distribution: KeyDistribution,
    /// The share of all records that have key 0, above what the distribution gives it.
    pub hot_key: f64,
    /// Of all topics together.
    pub partitions_count: u32,
    pub lanes_count: u32,
    pub linger: Duration,
    pub sizes: SizeDistribution,
    pub limits: BatchLimits,
    pub seed: u64,
}

impl Shape {
    pub fn partition_of(&self, key: u32) -> u32 {
        key % self.partitions_count
    }

    pub fn lane_of(&self, partition: u32, share: Share) -> u32 {
        share.lane_of(partition, self.lanes_count)
    }
}

/// A record. Its index in the plan is its sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedRecord {
    /// Since the start of the run.
    pub intended_ns: u64,
    pub key: u32,
    /// Of its value.
    pub size_bytes: u32,
}

/// Records that go to one partition together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedBatch {
    pub partition: u32,
    /// The first of its records.
    pub first: u32,
    pub count: u32,
}

/// Batches that leave together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedRequest {
    /// When it is to be sent, since the start of the run: known before the run, too.
    pub due_ns: u64,
    /// The first of its batches.
    pub first: u32,
    pub count: u32,
}

/// All that one worker will send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub records: Vec<PlannedRecord>,
    pub batches: Vec<PlannedBatch>,
    /// By lane, in the order of time.
    pub lanes: Vec<Vec<PlannedRequest>>,
}

impl Plan {
    /// Plans for these intended times, which rise.
    pub fn new(times_ns: &[u64], shape: &Shape, share: Share) -> Plan {
        let mut plan =
            Plan { lanes: vec![Vec::new(); shape.lanes_count as usize], ..Plan::default() };
        let mut open: Vec<OpenRequest> =
            (0..shape.lanes_count).map(|_| OpenRequest::default()).collect();
        let mut rng = Rng::from_seed(shape.seed);
        let keys = Keys::new(shape.key_distribution, shape.keys_count);
        let mut sizes = Sizes::new(shape.sizes.clone(), shape.seed);
        let smallest = index_of(shape.sizes.min().0);
        for &intended_ns in times_ns {
            // Drawn for every worker's records, so that all workers plan the same run.
            let key = draw_key(shape, &keys, &mut rng);
            let size_bytes = sizes.draw();
            let partition = shape.partition_of(key);
            if !share.has(partition) {
                continue;
            }
            let lane = shape.lane_of(partition, share);
            let request = &mut open[lane as usize];
            if request.due_ns.is_some_and(|due_ns| due_ns <= intended_ns) {
                plan.close(lane, request);
            }
            if !request.room(partition, shape.limits).fits(size_bytes) {
                request.due_ns = Some(intended_ns);
                plan.close(lane, request);
            }
            request.due_ns.get_or_insert(intended_ns.saturating_add(nanos(shape.linger)));
            let record = PlannedRecord { intended_ns, key, size_bytes };
            if !request.add(partition, shape.limits, record).fits(smallest) {
                request.due_ns = Some(intended_ns);
                plan.close(lane, request);
            }
        }
        for (lane, request) in (0..).zip(&mut open) {
            plan.close(lane, request);
        }
        plan
    }

    /// The batches of a request.
    pub fn batches_of(&self, request: PlannedRequest) -> &[PlannedBatch] {
        &self.batches[request.first as usize..][..request.count as usize]
    }

    /// The records of a batch.
    pub fn records_of(&self, batch: PlannedBatch) -> &[PlannedRecord] {
        &self.records[batch.first as usize..][..batch.count as usize]
    }

    fn close(&mut self, lane: u32, request: &mut OpenRequest) {
        let Some(due_ns) = request.due_ns.take() else { return };
        let first = index_of(self.batches.len());
        for OpenBatch { partition, records, .. } in &mut request.batches {
            if records.is_empty() {
                continue;
            }
            self.batches.push(PlannedBatch {
                partition: *partition,
                first: index_of(self.records.len()),
                count: index_of(records.len()),
            });
            self.records.append(records);
        }
        let count = index_of(self.batches.len()) - first;
        self.lanes[lane as usize].push(PlannedRequest { due_ns, first, count });
    }
}

/// What has gathered of a lane's next request.
#[derive(Debug, Default)]
struct OpenRequest {
    due_ns: Option<u64>,
    /// In the order of their partition's first record ever; empty ones are kept for their memory.
    batches: Vec<OpenBatch>,
}

#[derive(Debug)]
struct OpenBatch {
    partition: u32,
    records: Vec<PlannedRecord>,
    /// Left beside the records.
    room: Room,
}

impl OpenRequest {
    /// What is left in a partition's batch.
    fn room(&self, partition: u32, limits: BatchLimits) -> Room {
        let open = self.batches.iter().find(|batch| batch.partition == partition);
        let open = open.filter(|batch| !batch.records.is_empty());
        open.map_or(limits.room(), |batch| batch.room)
    }

    /// Adds a record that fits, and returns what is left in its batch.
    fn add(&mut self, partition: u32, limits: BatchLimits, record: PlannedRecord) -> Room {
        let known = self.batches.iter().position(|batch| batch.partition == partition);
        let index = known.unwrap_or_else(|| {
            self.batches.push(OpenBatch { partition, records: Vec::new(), room: limits.room() });
            self.batches.len() - 1
        });
        let batch = &mut self.batches[index];
        if batch.records.is_empty() {
            batch.room = limits.room();
        }
        batch.room.take(record.size_bytes);
        batch.records.push(record);
        batch.room
    }
}

fn draw_key(shape: &Shape, keys: &Keys, rng: &mut Rng) -> u32 {
    if 0.0 < shape.hot_key && rng.fraction() < shape.hot_key {
        return 0;
    }
    keys.draw(rng)
}

fn index_of(length: usize) -> u32 {
    u32::try_from(length).expect("a schedule is bounded far below")
}

#[cfg(test)]
mod tests;
