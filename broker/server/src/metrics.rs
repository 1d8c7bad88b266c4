//! What the broker counts, as text for Prometheus (exposition format 0.0.4).

mod http;
mod text;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use model::TopicPartition;
use runtime::CoreId;
use storage::{Durability, Durations};
use wire::{ApiKey, Text};

use crate::core::Core;
use crate::disk::DiskReport;
use crate::groups::GroupCounts;

pub(crate) use http::serve;

/// What the connections of a core count.
#[derive(Debug, Default)]
pub(crate) struct ConnectionCounters {
    unanswered: Rc<Cell<usize>>,
    requests: Requests,
    received_bytes: Cell<u64>,
    sent_bytes: Cell<u64>,
    moved_in: Cell<u64>,
    moved_out: Cell<u64>,
    placed: [PlacedCounts; 2],
}

/// Produces or fetches, by where their partitions live.
#[derive(Debug, Default)]
struct PlacedCounts {
    own: Cell<u64>,
    hopped: Cell<u64>,
}

const APIS_COUNT: usize = ApiKey::ALL.len();

/// By API, in the order of all of them.
#[derive(Debug)]
struct Requests([Cell<u64>; APIS_COUNT]);

impl Default for Requests {
    fn default() -> Requests {
        Requests([const { Cell::new(0) }; APIS_COUNT])
    }
}

/// A request that has no answer yet, of a core and of a connection.
pub(crate) struct Unanswered {
    counts: [Rc<Cell<usize>>; 2],
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        for count in &self.counts {
            count.set(count.get() - 1);
        }
    }
}

impl ConnectionCounters {
    pub(crate) fn begin_request(&self, of_connection: &Rc<Cell<usize>>) -> Unanswered {
        let counts = [self.unanswered.clone(), of_connection.clone()];
        for count in &counts {
            count.set(count.get() + 1);
        }
        Unanswered { counts }
    }

    pub(crate) fn note_request(&self, api: ApiKey) {
        let index = ApiKey::ALL.iter().position(|known| *known == api).expect("it is one of all");
        increment(&self.requests.0[index]);
    }

    /// Notes a produce or fetch; `hops` says whether any of it goes to another core.
    pub(crate) fn note_placed(&self, api: ApiKey, hops: bool) {
        let [produces, fetches] = &self.placed;
        let counts = if api == ApiKey::Produce { produces } else { fetches };
        increment(if hops { &counts.hopped } else { &counts.own });
    }

    pub(crate) fn note_moved_in(&self) {
        increment(&self.moved_in);
    }

    pub(crate) fn note_moved_out(&self) {
        increment(&self.moved_out);
    }

    pub(crate) fn moved_in(&self) -> u64 {
        self.moved_in.get()
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.get()
    }

    pub(crate) fn note_received(&self, bytes: usize) {
        self.received_bytes.set(self.received_bytes.get() + bytes as u64);
    }

    pub(crate) fn note_sent(&self, bytes: usize) {
        self.sent_bytes.set(self.sent_bytes.get() + bytes as u64);
    }
}

fn increment(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

/// What one core counts, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct CoreMetrics {
    pub(crate) core: CoreId,
    cpu_seconds: f64,
    streams: [StreamCounts; 2],
    durable_flushes: u64,
    checkpoint_flushes: u64,
    checkpoints: u64,
    checkpoint_duration: Durations,
    carry_bytes: u64,
    segment_bytes: u64,
    read_bytes: u64,
    segments_removed: u64,
    scrubs: u64,
    scrubbed_bytes: u64,
    scrub_findings: u64,
    compactions: u64,
    compaction_read_bytes: u64,
    compaction_written_bytes: u64,
    compaction_removed_records: u64,
    disk: DiskReport,
    refused_disk_full: u64,
    rested_seconds: f64,
    open_segments: usize,
    journal_waiting_bytes: usize,
    journal_replay_bytes: u64,
    tail_bytes: usize,
    requests: [u64; APIS_COUNT],
    requests_unanswered: usize,
    request_bytes_free: usize,
    fetch_bytes_free: usize,
    received_bytes: u64,
    sent_bytes: u64,
    connections: usize,
    connections_opened: u64,
    connections_moved_in: u64,
    connections_moved_out: u64,
    /// Of produces and of fetches: those of the core's own partitions, and all others.
    placed: [[u64; 2]; 2],
    watches: usize,
    fetch_sessions: usize,
    fetch_session_partitions: usize,
    fetch_session_evictions: u64,
    incremental_fetches: u64,
    appends_waiting: usize,
    producers: usize,
    doubtful_partitions: usize,
    groups: GroupCounts,
    partitions: BTreeMap<TopicPartition, PartitionCounts>,
}

#[derive(Clone, Debug)]
struct StreamCounts {
    durability: Durability,
    commits: u64,
    bytes: u64,
    records: u64,
    latency: Durations,
}

#[derive(Clone, Copy, Debug)]
struct PartitionCounts {
    busy_nanos: u64,
    log_start: i64,
    log_end: i64,
    durability: Durability,
}

impl CoreMetrics {
    pub(crate) fn of(core: &Core) -> CoreMetrics {
        let owner = core.owner();
        let store = owner.store();
        let metrics = store.metrics();
        let stream = |durability: Durability| {
            let stream = metrics.stream(durability);
            StreamCounts {
                durability,
                commits: stream.commits.get(),
                bytes: stream.bytes.get(),
                records: stream.records.get(),
                latency: stream.latency.borrow().clone(),
            }
        };
        let replicas = owner.replicas();
        let partitions = replicas.iter().map(|replica| {
            let counts = PartitionCounts {
                busy_nanos: replica.busy_nanos(),
                log_start: replica.progress().log_start.0,
                log_end: replica.progress().log_end.0,
                durability: replica.log().durability(),
            };
            (replica.partition(), counts)
        });
        let cpu = runtime::host::thread_cpu_time().as_nanos();
        let counters = &core.counters;
        CoreMetrics {
            core: core.id,
            cpu_seconds: std::time::Duration::from_nanos(cpu).as_secs_f64(),
            streams: [stream(Durability::Durable), stream(Durability::Relaxed)],
            durable_flushes: metrics.durable_flushes.get(),
            checkpoint_flushes: metrics.checkpoint_flushes.get(),
            checkpoints: metrics.checkpoints.get(),
            checkpoint_duration: metrics.checkpoint_duration.borrow().clone(),
            carry_bytes: metrics.carry_bytes.get(),
            segment_bytes: metrics.segment_bytes.get(),
            read_bytes: metrics.read_bytes.get(),
            segments_removed: metrics.segments_removed.get(),
            scrubs: metrics.scrubs.get(),
            scrubbed_bytes: metrics.scrubbed_bytes.get(),
            scrub_findings: metrics.scrub_findings.get(),
            compactions: metrics.compactions.get(),
            compaction_read_bytes: metrics.compaction_read_bytes.get(),
            compaction_written_bytes: metrics.compaction_written_bytes.get(),
            compaction_removed_records: metrics.compaction_removed_records.get(),
            disk: core.disk.report(),
            refused_disk_full: metrics.refused_disk_full.get(),
            rested_seconds: core.disk.rested().as_secs_f64(),
            open_segments: store.open_segments_count(),
            journal_waiting_bytes: store.waiting_bytes(),
            journal_replay_bytes: store.replay_bytes(),
            tail_bytes: store.tail_bytes(),
            requests: counters.requests.0.each_ref().map(Cell::get),
            requests_unanswered: counters.unanswered(),
            request_bytes_free: core.request_bytes.free(),
            fetch_bytes_free: core.fetch_bytes.free(),
            received_bytes: counters.received_bytes.get(),
            sent_bytes: counters.sent_bytes.get(),
            connections: core.connections_count(),
            connections_opened: core.connections_opened(),
            connections_moved_in: counters.moved_in.get(),
            connections_moved_out: counters.moved_out.get(),
            placed: counters.placed.each_ref().map(|of| [of.own.get(), of.hopped.get()]),
            watches: owner.watches_count(),
            fetch_sessions: core.fetch_sessions.count(),
            fetch_session_partitions: core.fetch_sessions.partitions_count(),
            fetch_session_evictions: core.fetch_sessions.evictions_count(),
            incremental_fetches: core.fetch_sessions.incremental_count(),
            appends_waiting: replicas.iter().map(|replica| replica.waiting_count()).sum(),
            producers: replicas.iter().map(|replica| replica.producers_count()).sum(),
            doubtful_partitions: store.logs().iter().filter(|log| log.is_doubtful()).count(),
            groups: owner.groups().counts(),
            partitions: partitions.collect(),
        }
    }
}

/// Names of topics, by which people know partitions.
pub(crate) type TopicNames = BTreeMap<model::TopicId, Text>;
