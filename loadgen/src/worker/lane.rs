//! A lane: one connection to each broker, some of the partitions, and one request after the other
//! at the times of the plan.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use client::{CallError, Cluster, ClusterError, Connection};
use model::BrokerId;
use runtime::{Instant, JoinHandle, now, sleep, sleep_until, spawn};
use wire::MetadataRequest;

use super::identity::{Identity, Signature};
use super::partitions::Partitions;
use super::request::{Exact, codes, produce_request};
use super::{Worker, closed, cluster_options};
use crate::plan::{PlannedBatch, PlannedRequest, Share};
use crate::record::{Stamp, Value};
use crate::settings::{Load, Settings};

/// Encoded and not taken by the kernel yet. Beyond it, records stay in the plan until the broker
/// reads again; they keep their times.
const UNSENT_BYTES_MAX: usize = 32 << 20;
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Lane {
    number: u32,
    /// Until when the broker kept the lane waiting, at its last request: it is not late for that.
    free_at: Instant,
    connections: BTreeMap<BrokerId, Connection>,
    identity: Rc<RefCell<Identity>>,
}

/// Opens a connection of every lane to every broker that leads one of its partitions.
pub(super) async fn open_all(
    cluster: &Cluster,
    partitions: &Partitions,
    settings: &Settings,
    share: Share,
) -> Result<Vec<Lane>, ClusterError> {
    let mut lanes = Vec::new();
    for number in 0..settings.connections {
        let mut lane =
            Lane { number, free_at: now(), connections: BTreeMap::new(), identity: Rc::default() };
        for partition in lane.partitions(partitions, settings.connections, share) {
            let broker = partitions.leader(cluster, partition).await?;
            lane.open(cluster, broker).await?;
        }
        if settings.idempotent {
            *lane.identity.borrow_mut() = Identity::new(cluster.init_producer().await?);
        }
        lanes.push(lane);
    }
    Ok(lanes)
}

/// Runs all lanes to the end of their load, or to the deadline.
pub(super) async fn run_all(worker: &Rc<Worker>, lanes: Vec<Lane>, deadline: Instant) -> Vec<Lane> {
    let start = |lane: Lane| -> JoinHandle<Lane> {
        let worker = worker.clone();
        match worker.settings.load {
            Load::Open(_) => spawn(follow_plan(worker, lane, deadline)),
            Load::Closed(settings) => spawn(closed::saturate(worker, lane, settings)),
        }
    };
    let running: Vec<_> = lanes.into_iter().map(start).collect();
    let mut ended = Vec::new();
    for lane in running {
        ended.push(lane.await);
    }
    ended
}

/// Waits until the brokers have acted upon everything that was sent without asking for an answer:
/// they answer what comes after it on the same connection.
pub(super) async fn flush_all(worker: &Rc<Worker>, lanes: Vec<Lane>) {
    if worker.settings.acks.is_answered() {
        return;
    }
    for lane in &lanes {
        lane.flush(worker).await;
    }
}

async fn follow_plan(worker: Rc<Worker>, mut lane: Lane, deadline: Instant) -> Lane {
    let requests_count = worker.plan.lanes[lane.number as usize].len();
    let mut reconnects = worker.reconnects.iter().map(|at| worker.start.get() + *at).peekable();
    for index in 0..requests_count {
        let request = worker.plan.lanes[lane.number as usize][index];
        let due = worker.start.get() + Duration::from_nanos(request.due_ns);
        while let Some(at) = reconnects.next_if(|at| *at <= due) {
            sleep_until(at).await;
            lane.reconnect(&worker).await;
        }
        sleep_until(due).await;
        lane.wait_for_room(deadline).await;
        if deadline <= now() {
            return lane;
        }
        if let Err(error) = lane.send_planned(&worker, request, deadline).await {
            worker.note_error(&error);
        }
    }
    for at in reconnects {
        sleep_until(at).await;
        lane.reconnect(&worker).await;
    }
    lane
}

impl Lane {
    /// The partitions that this lane sends to.
    pub(super) fn partitions(
        &self,
        partitions: &Partitions,
        lanes_count: u32,
        share: Share,
    ) -> Vec<u32> {
        let is_mine = |partition: &u32| share.lane_of(*partition, lanes_count) == self.number;
        partitions.of(share).filter(is_mine).collect()
    }

    fn alive(&self, broker: BrokerId) -> Option<Connection> {
        self.connections.get(&broker).filter(|connection| connection.end().is_none()).cloned()
    }

    async fn open(
        &mut self,
        cluster: &Cluster,
        broker: BrokerId,
    ) -> Result<Connection, ClusterError> {
        if let Some(connection) = self.alive(broker) {
            return Ok(connection);
        }
        let connection = cluster.open(broker, cluster_options().connection).await?;
        self.connections.insert(broker, connection.clone());
        Ok(connection)
    }

    /// Waits until the brokers have acted upon everything that this lane has sent: they answer in
    /// order, and so this question last.
    async fn flush(&self, worker: &Worker) {
        let question = MetadataRequest { topics: Some(vec![]), ..Default::default() };
        for connection in self.connections.values() {
            if let Err(error) = connection.call(&question).await {
                worker.note_error(&error);
            }
        }
    }

    /// Closes all connections and opens them again. What is on them is answered first: of what is
    /// sent on two connections, nobody could say which was to be stored first.
    async fn reconnect(&mut self, worker: &Worker) {
        self.flush(worker).await;
        let brokers: Vec<BrokerId> = std::mem::take(&mut self.connections).into_keys().collect();
        for broker in brokers {
            match worker.reconnect(broker).await {
                Ok(connection) => drop(self.connections.insert(broker, connection)),
                // It is tried again when there is something to be sent.
                Err(error) => worker.note_error(&error),
            }
        }
        // It was the brokers that had to be waited for.
        self.free_at = now();
    }

    async fn wait_for_room(&mut self, deadline: Instant) {
        let unsent = || self.connections.values().map(Connection::unsent_bytes).sum::<usize>();
        while UNSENT_BYTES_MAX < unsent() && now() < deadline {
            sleep(Duration::from_millis(1)).await;
            self.free_at = now();
        }
    }

    /// The connection to the leader of a partition; tries until there is one.
    pub(super) async fn connection_for(
        &mut self,
        worker: &Worker,
        partition: u32,
        deadline: Instant,
    ) -> Result<(BrokerId, Connection), ClusterError> {
        let known = worker.partitions.known_leader(partition);
        if let Some(broker) = known
            && let Some(connection) = self.alive(broker)
        {
            return Ok((broker, connection));
        }
        let found = self.find_connection(worker, partition, deadline).await;
        // It was the cluster that had to be waited for.
        self.free_at = now();
        found
    }

    async fn find_connection(
        &mut self,
        worker: &Worker,
        partition: u32,
        deadline: Instant,
    ) -> Result<(BrokerId, Connection), ClusterError> {
        loop {
            let broker = worker.partitions.leader(&worker.cluster, partition).await?;
            match self.open(&worker.cluster, broker).await {
                Ok(connection) => return Ok((broker, connection)),
                Err(error) if deadline <= now() => return Err(error),
                Err(error) => worker.note_error(&error),
            }
            worker.partitions.forget_leader(&worker.cluster, partition);
            sleep(RECONNECT_PAUSE).await;
        }
    }

    /// Sends a planned request, in parts if its partitions are led by several brokers.
    async fn send_planned(
        &mut self,
        worker: &Rc<Worker>,
        request: PlannedRequest,
        deadline: Instant,
    ) -> Result<(), ClusterError> {
        self.identify(worker).await?;
        let mut by_broker: BTreeMap<BrokerId, (Connection, Vec<PlannedBatch>)> = BTreeMap::new();
        for &batch in worker.plan.batches_of(request) {
            let (broker, connection) =
                self.connection_for(worker, batch.partition, deadline).await?;
            by_broker.entry(broker).or_insert_with(|| (connection, vec![])).1.push(batch);
        }
        for (connection, batches) in by_broker.into_values() {
            self.send(worker, &connection, batches, request.due_ns)?;
        }
        Ok(())
    }

    fn send(
        &self,
        worker: &Rc<Worker>,
        connection: &Connection,
        batches: Vec<PlannedBatch>,
        due_ns: u64,
    ) -> Result<(), ClusterError> {
        let start_ns = worker.start.get().as_nanos();
        let encoded = batches.iter().map(|&batch| {
            let records = worker.plan.records_of(batch);
            let values = (u64::from(batch.first)..).zip(records);
            let values = values.map(|(sequence, record)| {
                let value = Value {
                    run: worker.run,
                    worker: worker.share.worker,
                    key: record.key,
                    sequence,
                    intended_ns: start_ns + record.intended_ns,
                };
                (value, record.size_bytes)
            });
            let stamp = self.stamp(batch.partition, batch.count);
            (batch.partition, worker.batch(stamp, Exact(values, records.len())))
        });
        let request = produce_request(worker, encoded);
        let due = (worker.start.get() + Duration::from_nanos(due_ns)).max(self.free_at);
        let departure =
            Departure { due, is_kept_waiting: 0 < connection.unsent_bytes(), at: now() };
        // Whatever cannot be started was not sent, and stays unsent in the books.
        if worker.settings.acks.is_answered() {
            let answer = self.or_spend(connection.start(&request))?;
            self.note_started(worker, &batches);
            let answered =
                await_answer(worker.clone(), self.signature(), batches, departure, answer);
            spawn(answered);
        } else {
            let written = self.or_spend(connection.post(&request))?;
            self.note_started(worker, &batches);
            spawn(await_written(worker.clone(), batches, departure, written));
        }
        Ok(())
    }

    /// What could not be started has numbers that will never be sent: the broker would refuse
    /// every later one.
    fn or_spend<T>(&self, started: Result<T, CallError>) -> Result<T, CallError> {
        started.inspect_err(|_| self.signature().spend())
    }

    fn note_started(&self, worker: &Worker, batches: &[PlannedBatch]) {
        worker.outstanding.update(|outstanding| *outstanding += 1);
        let mut ledger = worker.ledger.borrow_mut();
        for batch in batches {
            ledger.note_sent(batch.first.into(), batch.count);
        }
    }

    /// Gets a new identity if the last one is spent: after an error nobody knows which sequence
    /// number the broker expects next.
    pub(super) async fn identify(&mut self, worker: &Worker) -> Result<(), ClusterError> {
        if worker.settings.idempotent && self.identity.borrow().is_spent() {
            let producer = worker.cluster.init_producer().await;
            self.free_at = now();
            *self.identity.borrow_mut() = Identity::new(producer?);
        }
        Ok(())
    }

    /// To be spent if what is sent under it fails.
    pub(super) fn signature(&self) -> Signature {
        Signature::of(&self.identity)
    }

    /// What a batch of so many records carries; numbers them.
    pub(super) fn stamp(&self, partition: u32, count: u32) -> Stamp {
        self.identity.borrow_mut().stamp(partition, count)
    }
}

/// How a request left the generator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    due: Instant,
    /// Whether it stands in line behind others that the kernel does not take, as the broker does
    /// not read.
    is_kept_waiting: bool,
    /// When it was handed to its connection.
    at: Instant,
}

impl Departure {
    /// How late it was by the generator's own doing: up to the kernel, or to the end of the line.
    pub(super) fn lateness(self, begun: Instant) -> Duration {
        let left = if self.is_kept_waiting { self.at } else { begun };
        left.since(self.due)
    }
}

async fn await_answer(
    worker: Rc<Worker>,
    signature: Signature,
    batches: Vec<PlannedBatch>,
    departure: Departure,
    answer: client::Answer<wire::ProduceResponse>,
) {
    match answer.await {
        Ok(answered) => {
            let lateness = departure.lateness(answered.begun_at);
            worker.note_written(&batches, lateness, answered.written_at);
            worker.count_request(answered.answered_at);
            for (partition, code) in codes(&worker, &answered.response) {
                let batch = batches.iter().find(|batch| batch.partition == partition);
                let Some(&batch) = batch else {
                    worker.note("an answer for a partition that was not asked about");
                    continue;
                };
                worker.note_answer(batch, code, &answered);
                if code.is_error() {
                    signature.spend();
                }
            }
        }
        Err(error) => {
            signature.spend();
            forget_leaders(&worker, &batches, error);
        }
    }
    worker.outstanding.update(|outstanding| *outstanding -= 1);
}

async fn await_written(
    worker: Rc<Worker>,
    batches: Vec<PlannedBatch>,
    departure: Departure,
    written: client::Written,
) {
    match written.await {
        Ok((begun, written)) => {
            worker.note_written(&batches, departure.lateness(begun), written);
            worker.count_request(written);
        }
        Err(error) => forget_leaders(&worker, &batches, error),
    }
    worker.outstanding.update(|outstanding| *outstanding -= 1);
}

fn forget_leaders(worker: &Worker, batches: &[PlannedBatch], error: CallError) {
    worker.note_error(&error);
    for batch in batches {
        worker.partitions.forget_leader(&worker.cluster, batch.partition);
    }
}
