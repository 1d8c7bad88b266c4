//! One core's part of a run: its lanes, its consumers, its books.
//!
//! Workers have nothing in common but the time at which they start: each has its own partitions,
//! its own connections, and reads back what it has sent itself.
//!
//! Guarantees: a lane sends when its plan says so and never because of an answer. Does not know:
//! other workers, files, tables. Lives on: one core.

mod gate;
mod partitions;
mod identity;
mod request;
mod lane;
mod closed;
mod consumer;
mod look;
mod reader;
mod group;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::compression::compress;
use client::{Cluster, ClusterError, ClusterOptions, Connection, ConnectionOptions, in_full};
use model::record_batch::Compression;
use model::{BrokerId, Offset, Timestamp};
use runtime::sync::watch::Watch;
use runtime::{Instant, JoinHandle, TimedOut, now, sleep_until, spawn, timeout};
use wire::{ErrorCode, Text};

use crate::ledger::{Counts, Ledger};
use crate::live::Live;
use crate::measure::{Clock, Measurements, Tally};
use crate::outcome::ReaderCounts;
use crate::plan::{Plan, PlannedBatch, Share, Sizes};
use crate::record::{Stamp, Template, Value};
use crate::settings::{Consume, Load, ReaderSettings, Settings};
use crate::units::nanos;

pub(crate) use gate::StartGate;
use partitions::Partitions;
use reader::Reader;

/// What a worker is given.
pub(crate) struct WorkerInput {
    pub(crate) settings: Arc<Settings>,
    /// In the order in which partitions are numbered through them.
    pub(crate) topics: Vec<String>,
    pub(crate) partitions_per_topic: u32,
    pub(crate) share: Share,
    /// Number of the run, in every record.
    pub(crate) run: u32,
    /// None in a closed loop.
    pub(crate) plan: Option<Plan>,
    pub(crate) gate: Arc<StartGate>,
    pub(crate) live: Arc<Live>,
}

/// What a worker has found.
pub(crate) struct WorkerOutput {
    pub(crate) start: Instant,
    pub(crate) finished: Instant,
    pub(crate) counts: Counts,
    pub(crate) measurements: Measurements,
    /// Errors in words, and how often.
    pub(crate) notes: BTreeMap<String, u64>,
    /// Time and records of reading back what was left when producing had ended.
    pub(crate) read_back: (Duration, u64),
    /// In the order of the settings.
    pub(crate) readers: Vec<(ReaderCounts, Measurements)>,
}

/// How many different notes are kept; an error may have a number in it.
const NOTES_MAX: usize = 50;
/// Requests in flight on one connection: far more than wait in any run that goes well, as an open
/// loop does not wait for answers.
const IN_FLIGHT_MAX: usize = 1 << 16;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_FOR: Duration = Duration::from_secs(30);

/// How the workers, and whoever prepares the run, talk to a cluster.
pub(crate) fn cluster_options() -> ClusterOptions {
    let mut connection = ConnectionOptions::new(Text::from_static("loadgen"));
    connection.in_flight_max = IN_FLIGHT_MAX;
    connection.request_timeout = REQUEST_TIMEOUT;
    ClusterOptions { connection, resolve: crate::run::resolve, retry_for: RETRY_FOR }
}

/// What the tasks of a worker share.
struct Worker {
    settings: Arc<Settings>,
    cluster: Cluster,
    partitions: Partitions,
    template: Template,
    /// In a closed loop; a plan has its own.
    sizes: RefCell<Sizes>,
    plan: Plan,
    share: Share,
    run: u32,
    start: Cell<Instant>,
    ledger: RefCell<Ledger>,
    measured: RefCell<Measurements>,
    notes: RefCell<BTreeMap<String, u64>>,
    /// Requests that have no answer yet, or are not written yet if none will come.
    outstanding: Watch<usize>,
    /// Of each reader its parts here: one, or one for each of the group's members that are here.
    readers: Vec<Vec<Rc<Reader>>>,
    /// Since the start, in order: when all connections are opened anew.
    reconnects: Vec<Duration>,
    /// By partition: where reading back ends, once that is known.
    ends: Watch<Option<Vec<Offset>>>,
}

/// Runs one worker to its end.
pub(crate) async fn run(input: WorkerInput) -> Result<WorkerOutput, ClusterError> {
    let (gate, live) = (input.gate.clone(), input.live.clone());
    let prepared = prepare(input).await;
    let Some(start) = gate.pass(prepared.is_ok(), now()) else {
        // Another worker could not be prepared and says why, if it was not this one.
        return Err(prepared.err().unwrap_or(ClusterError::NoBootstrap));
    };
    let Prepared { worker, lanes, positions, members } = prepared?;
    worker.start.set(start);
    let (warm_up, _) = worker.settings.load.times();
    live.note_start((start + warm_up).as_nanos());
    spawn(tick(worker.clone(), live));
    let during = worker.settings.fetch.when == Consume::During;
    let tailing = during.then(|| consumer::spawn_all(&worker, &positions));
    let mut beside = consumer::spawn_readers(&worker, &positions);
    beside.extend(members);
    let schedule_end = start + worker.schedule_length();
    let deadline = schedule_end + worker.settings.drain_max.0;
    let lanes = lane::run_all(&worker, lanes, deadline).await;
    worker.wait_for_answers(deadline).await;
    lane::flush_all(&worker, lanes).await;
    gate.note_produced();
    let read_from = now();
    let already = worker.ledger.borrow().counts(true).consumed;
    let ends = worker.partitions.ends(&worker.cluster, worker.share).await?;
    worker.ends.set(Some(ends));
    let verifying = tailing.unwrap_or_else(|| consumer::spawn_all(&worker, &positions));
    consumer::finish(&worker, verifying).await;
    let read_back = now().since(read_from);
    consumer::finish(&worker, beside).await;
    let consumed = worker.ledger.borrow().counts(true).consumed;
    Ok(WorkerOutput {
        start,
        finished: now(),
        counts: worker.ledger.borrow().counts(worker.settings.acks.is_answered()),
        measurements: worker.measured.borrow().clone(),
        notes: worker.notes.borrow().clone(),
        read_back: (read_back, consumed - already),
        readers: worker.readers.iter().map(|parts| Reader::found_by(parts)).collect(),
    })
}

/// What a worker needs to start.
struct Prepared {
    worker: Rc<Worker>,
    lanes: Vec<lane::Lane>,
    /// Where each of its partitions ends before the run, by number.
    positions: Vec<Offset>,
    /// Of groups, which have joined already.
    members: Vec<JoinHandle<()>>,
}

/// Connects, finds out where each partition ends before the run, and has members of groups join.
async fn prepare(input: WorkerInput) -> Result<Prepared, ClusterError> {
    let WorkerInput { settings, topics, partitions_per_topic, share, run, plan, gate, .. } = input;
    let hosts = settings.hosts().expect("the settings have been checked");
    let cluster = Cluster::connect(hosts, cluster_options()).await?;
    let partitions = Partitions::new(&cluster, topics, partitions_per_topic).await?;
    let positions = partitions.ends(&cluster, share).await?;
    let records = &settings.records;
    let template = Template::new(
        &records.size,
        records.headers,
        settings.batch_limits(),
        records.payload,
        settings.seed,
    );
    let sizes = Sizes::new(records.size.clone(), settings.seed);
    let (warm_up, duration) = settings.load.times();
    let (from, to) = (nanos(warm_up), nanos(warm_up + duration));
    let mut ledger = Ledger::new(run, share.worker, records.keys, partitions.count());
    let plan = plan.unwrap_or_default();
    ledger.plan(plan.records.len());
    let mut measured = Measurements::new(from, to, settings.interval.0);
    let rate_of = |pace| settings.rate_of(pace);
    let reader = |settings: ReaderSettings| {
        let rate_per_s = rate_of(settings.pace).expect("the settings have been checked");
        let part = || Rc::new(Reader::new(settings.pace, rate_per_s, share, measured.clone()));
        let parts_count = group::members_count(settings.pace, share).unwrap_or(1).max(1);
        (0..parts_count).map(|_| part()).collect()
    };
    let readers = settings.readers.iter().flat_map(|it| it.each()).map(reader).collect();
    for record in &plan.records {
        measured.count(record.intended_ns, |tally| tally.offered += 1);
    }
    let reconnects = match &settings.load {
        Load::Open(open) => open.profile.reconnects(duration),
        Load::Closed(_) => Vec::new(),
    };
    let reconnects = reconnects.into_iter().map(|at| warm_up + at).collect();
    let lanes = lane::open_all(&cluster, &partitions, &settings, share).await?;
    let worker = Rc::new(Worker {
        cluster,
        partitions,
        template,
        sizes: RefCell::new(sizes),
        plan,
        share,
        run,
        start: Cell::new(Instant::FAR_FUTURE),
        ledger: RefCell::new(ledger),
        measured: RefCell::new(measured),
        notes: RefCell::default(),
        outstanding: Watch::new(0),
        readers,
        reconnects,
        ends: Watch::new(None),
        settings,
    });
    let members = group::join_all(&worker, &gate).await?;
    Ok(Prepared { worker, lanes, positions, members })
}

impl Worker {
    /// A batch as it is sent. Compressed here, when it is due: its values are not known before, and
    /// what it costs is the producer's own time, as in any client.
    fn batch(
        &self,
        stamp: Stamp,
        records: impl ExactSizeIterator<Item = (Value, u32)> + Clone,
    ) -> Bytes {
        let plain = self.template.batch(stamp, records);
        match self.settings.records.codec.0 {
            Compression::None => Bytes::from(plain),
            codec @ (Compression::Gzip
            | Compression::Snappy
            | Compression::Lz4
            | Compression::Zstd) => compress(&plain, codec),
        }
    }

    /// Nanoseconds since the start.
    fn since_start(&self, at: Instant) -> u64 {
        nanos(at.since(self.start.get()))
    }

    /// Opens a connection of its own to a broker, in the place of one that was closed because a
    /// phase says so, and takes its time.
    async fn reconnect(&self, broker: BrokerId) -> Result<Connection, ClusterError> {
        let begun = now();
        let connection = self.cluster.open(broker, cluster_options().connection).await?;
        let time_ns = nanos(now().since(begun));
        let mut measured = self.measured.borrow_mut();
        measured.record(Clock::Connect, self.since_start(begun), time_ns);
        Ok(connection)
    }

    fn schedule_length(&self) -> Duration {
        let (warm_up, duration) = self.settings.load.times();
        warm_up + duration
    }

    /// Remembers an error for the report.
    fn note_error(&self, error: &dyn std::error::Error) {
        self.note(in_full(error));
    }

    /// Remembers what happened for the report.
    fn note(&self, text: impl Into<String>) {
        let mut notes = self.notes.borrow_mut();
        let text = text.into();
        if notes.len() < NOTES_MAX || notes.contains_key(&text) {
            *notes.entry(text).or_default() += 1;
        }
    }

    /// Waits until every request is answered, or the deadline has come.
    async fn wait_for_answers(&self, deadline: Instant) {
        let left = deadline.since(now());
        let answered = self.outstanding.wait_for(|outstanding| (*outstanding == 0).then_some(()));
        if let Err(TimedOut) = timeout(left, answered).await {
            let count = *self.outstanding.borrow();
            self.note(format!("{count} requests without an answer when the run was over"));
        }
    }

    /// The broker has answered for a planned batch.
    fn note_answer(
        &self,
        batch: PlannedBatch,
        code: ErrorCode,
        answered: &client::Answered<wire::ProduceResponse>,
    ) {
        let mut ledger = self.ledger.borrow_mut();
        let at_ns = self.since_start(answered.answered_at);
        let mut measured = self.measured.borrow_mut();
        let count = u64::from(batch.count);
        if code.is_error() {
            ledger.note_failed(batch.first.into(), batch.count);
            measured.count(at_ns, |tally| tally.failed += count);
            drop((ledger, measured));
            self.note(format!("produce refused: {code}"));
            self.partitions.forget_leader(&self.cluster, batch.partition);
            return;
        }
        ledger.note_acknowledged(batch.first.into(), batch.count);
        measured.count(at_ns, |tally| tally.acknowledged += count);
        let service_ns = nanos(answered.answered_at.since(answered.written_at));
        for record in self.plan.records_of(batch) {
            let response_ns = at_ns.saturating_sub(record.intended_ns);
            measured.record(Clock::Response, record.intended_ns, response_ns);
            measured.record(Clock::Service, record.intended_ns, service_ns);
        }
    }

    /// The kernel has taken a planned request.
    fn note_written(&self, batches: &[PlannedBatch], lateness: Duration, written: Instant) {
        let written_ns = self.since_start(written);
        let lateness_ns = nanos(lateness);
        let mut measured = self.measured.borrow_mut();
        for &batch in batches {
            let count = u64::from(batch.count);
            measured.count(written_ns, |tally| tally.written += count);
            for record in self.plan.records_of(batch) {
                let lag_ns = written_ns.saturating_sub(record.intended_ns);
                measured.record(Clock::SendLag, record.intended_ns, lag_ns);
                measured.record(Clock::Lateness, record.intended_ns, lateness_ns);
            }
        }
    }

    fn count_request(&self, at: Instant) {
        let at_ns = self.since_start(at);
        self.measured.borrow_mut().count(at_ns, |tally| tally.requests += 1);
    }
}

/// Now, as records carry it.
fn timestamp() -> Timestamp {
    Timestamp(runtime::wall_clock_ms())
}

/// Notes in each interval how much processor time the worker used in it, and shows the interval to
/// those who watch.
async fn tick(worker: Rc<Worker>, live: Arc<Live>) {
    let interval = worker.settings.interval.0;
    let settles_after = Live::settles_after(interval);
    let (warm_up, _) = worker.settings.load.times();
    let mut next = worker.start.get() + warm_up;
    sleep_until(next).await;
    let mut used = runtime::host::thread_cpu_time();
    let mut shown = Tally::default();
    for number in 0.. {
        next = next + interval;
        sleep_until(next).await;
        let before = std::mem::replace(&mut used, runtime::host::thread_cpu_time());
        let cpu_ns = nanos(used.since(before));
        // A nanosecond before its end, the interval is still the one that has passed.
        let at_ns = worker.since_start(next) - 1;
        let mut measured = worker.measured.borrow_mut();
        measured.count(at_ns, |tally| tally.cpu_ns += cpu_ns);
        // What is noticed late belongs to an interval that was shown already: it is shown now. What
        // is meant to be sent was known before.
        let all = measured.tally();
        let more = all.minus(std::mem::replace(&mut shown, all));
        let intervals = measured.intervals();
        let offered = intervals.get(number).map_or(0, |it| it.tally.offered);
        let tally = Tally { offered, ..more };
        let settled = number.checked_sub(settles_after);
        let settled = settled.and_then(|number| Some((number, intervals.get(number)?)));
        live.note(interval, number, tally, settled);
    }
}
