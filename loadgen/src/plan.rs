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

use std::time::Duration;

use runtime::Rng;

use crate::units::nanos;
use keys::Keys;
pub use keys::{KeyDistribution, KeyDistributionError};

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

/// How records become requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub keys_count: u32,
    pub key_distribution: KeyDistribution,
    /// The share of all records that have key 0, above what the distribution gives it.
    pub hot_key: f64,
    /// Of all topics together.
    pub partitions_count: u32,
    pub lanes_count: u32,
    pub linger: Duration,
    /// Of one batch.
    pub records_max: u32,
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
        for &intended_ns in times_ns {
            // Drawn for every worker's records, so that all workers plan the same run.
            let key = draw_key(shape, &keys, &mut rng);
            let partition = shape.partition_of(key);
            if !share.has(partition) {
                continue;
            }
            let lane = shape.lane_of(partition, share);
            let request = &mut open[lane as usize];
            if request.due_ns.is_some_and(|due_ns| due_ns <= intended_ns) {
                plan.close(lane, request);
            }
            request.due_ns.get_or_insert(intended_ns.saturating_add(nanos(shape.linger)));
            let record = PlannedRecord { intended_ns, key };
            if shape.records_max <= request.add(partition, record) {
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
        for (partition, records) in &mut request.batches {
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
    /// By partition, in the order of their first record ever; empty ones are kept for their memory.
    batches: Vec<(u32, Vec<PlannedRecord>)>,
}

impl OpenRequest {
    /// Adds a record and returns how many its batch has now.
    fn add(&mut self, partition: u32, record: PlannedRecord) -> u32 {
        let known = self.batches.iter().position(|(of, _)| *of == partition);
        let index = known.unwrap_or_else(|| {
            self.batches.push((partition, Vec::new()));
            self.batches.len() - 1
        });
        let records = &mut self.batches[index].1;
        records.push(record);
        index_of(records.len())
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
