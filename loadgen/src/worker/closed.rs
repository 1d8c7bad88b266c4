//! A lane in a closed loop: as much in flight as allowed, at all times.
//!
//! It shows what a broker can take. Its latencies are those of the load that the broker itself
//! lets in, and so no answer to the question how long a user waits.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use client::{CallError, ClusterError};
use runtime::sync::budget::{Budget, Share as Room};
use runtime::{Instant, now, spawn};

use super::Worker;
use super::lane::Lane;
use super::request::{Exact, codes, produce_request};
use crate::measure::Clock;
use crate::record::Value;
use crate::settings::ClosedLoop;
use crate::units::nanos;

/// Records of one partition in a request.
#[derive(Clone, Copy, Debug)]
struct Batch {
    partition: u32,
    first: u64,
    count: u32,
}

pub(super) async fn saturate(worker: Rc<Worker>, mut lane: Lane, settings: ClosedLoop) -> Lane {
    let lanes_count = worker.settings.connections;
    let partitions = lane.partitions(&worker.partitions, lanes_count, worker.share);
    if partitions.is_empty() {
        return lane;
    }
    let room = Budget::new(requests_in_flight(&worker, settings));
    let end = worker.start.get() + worker.schedule_length();
    let turn = Cell::new(0);
    loop {
        let taken = room.take(1).await;
        if end <= now() {
            return lane;
        }
        let count = partitions.len().min(settings.batches_per_request as usize);
        let chosen = (0..count).map(|_| {
            let index = turn.replace(turn.get() + 1) % partitions.len();
            partitions[index]
        });
        let chosen: Vec<u32> = chosen.collect();
        if let Err(error) = send(&worker, &mut lane, &chosen, taken, end).await {
            worker.note_error(&error);
            runtime::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// A lane's share of what may be in flight, at least one request.
fn requests_in_flight(worker: &Worker, settings: ClosedLoop) -> usize {
    let lanes_count = (worker.settings.connections * worker.share.workers_count) as usize;
    let request_bytes = worker.template.size_bytes_max() * settings.batches_per_request as usize;
    let by_bytes = settings.in_flight.0 / lanes_count / request_bytes;
    let by_number = settings.requests_in_flight_max as usize / lanes_count;
    by_bytes.min(by_number).max(1)
}

async fn send(
    worker: &Rc<Worker>,
    lane: &mut Lane,
    partitions: &[u32],
    room: Room,
    deadline: Instant,
) -> Result<(), ClusterError> {
    lane.identify(worker).await?;
    // Of one request all partitions have the same leader: the first one's.
    let (broker, connection) = lane.connection_for(worker, partitions[0], deadline).await?;
    let begun = now();
    let mut batches = Vec::with_capacity(partitions.len());
    let mut encoded = Vec::with_capacity(partitions.len());
    for &partition in partitions {
        if worker.partitions.leader(&worker.cluster, partition).await? != broker {
            continue;
        }
        let sizes = worker.sizes.borrow_mut().fill(worker.template.limits());
        let batch = plan(worker, partition, sizes.len());
        encoded.push((partition, encode(worker, lane, batch, &sizes, begun)));
        batches.push(batch);
    }
    let request = produce_request(worker, encoded.into_iter());
    worker.outstanding.update(|outstanding| *outstanding += 1);
    let started = start(worker, lane, &connection, &request, batches, begun, room);
    if started.is_err() {
        worker.outstanding.update(|outstanding| *outstanding -= 1);
        lane.signature().spend();
    }
    Ok(started?)
}

fn start(
    worker: &Rc<Worker>,
    lane: &Lane,
    connection: &client::Connection,
    request: &wire::ProduceRequest,
    batches: Vec<Batch>,
    begun: Instant,
    room: Room,
) -> Result<(), CallError> {
    let (signature, task_worker) = (lane.signature(), worker.clone());
    if worker.settings.acks.is_answered() {
        let answer = connection.start(request)?;
        note_sent(worker, &batches);
        spawn(async move {
            match answer.await {
                Ok(answered) => note_answered(&task_worker, &batches, begun, &answered),
                Err(error) => {
                    task_worker.note_error(&error);
                    signature.spend();
                }
            }
            task_worker.outstanding.update(|outstanding| *outstanding -= 1);
            drop(room);
        });
    } else {
        let written = connection.post(request)?;
        note_sent(worker, &batches);
        spawn(async move {
            match written.await {
                Ok((_, written)) => note_written(&task_worker, &batches, written, written),
                Err(error) => task_worker.note_error(&error),
            }
            task_worker.outstanding.update(|outstanding| *outstanding -= 1);
            drop(room);
        });
    }
    Ok(())
}

/// The next full batch of a partition, entered into the books.
fn plan(worker: &Worker, partition: u32, count: usize) -> Batch {
    let first = worker.ledger.borrow_mut().plan(count);
    Batch { partition, first, count: u32::try_from(count).expect("settings limit it") }
}

fn encode(worker: &Worker, lane: &Lane, batch: Batch, sizes: &[u32], begun: Instant) -> Bytes {
    let partitions_count = worker.partitions.count();
    // Keys of this partition, one after the other.
    let keys_count = worker.settings.records.keys / partitions_count;
    let intended_ns = begun.as_nanos();
    let values = (batch.first..).zip(sizes).map(|(sequence, &size_bytes)| {
        let value = Value {
            run: worker.run,
            worker: worker.share.worker,
            key: batch.partition + partitions_count * key_turn(sequence, keys_count),
            sequence,
            intended_ns,
        };
        (value, size_bytes)
    });
    let stamp = lane.stamp(batch.partition, batch.count);
    worker.batch(stamp, Exact(values, batch.count as usize))
}

fn key_turn(sequence: u64, keys_count: u32) -> u32 {
    match keys_count {
        0 | 1 => 0,
        count => u32::try_from(sequence % u64::from(count)).expect("below a u32"),
    }
}

fn note_sent(worker: &Worker, batches: &[Batch]) {
    let mut ledger = worker.ledger.borrow_mut();
    for batch in batches {
        ledger.note_sent(batch.first, batch.count);
    }
}

/// `done` is when there is nothing more to wait for: an answer, or the kernel if none will come.
fn note_written(worker: &Worker, batches: &[Batch], written: Instant, done: Instant) {
    let count: u64 = batches.iter().map(|batch| u64::from(batch.count)).sum();
    let mut measured = worker.measured.borrow_mut();
    measured.count(worker.since_start(written), |tally| tally.written += count);
    measured.count(worker.since_start(done), |tally| tally.requests += 1);
}

fn note_answered(
    worker: &Worker,
    batches: &[Batch],
    begun: Instant,
    answered: &client::Answered<wire::ProduceResponse>,
) {
    note_written(worker, batches, answered.written_at, answered.answered_at);
    let at_ns = worker.since_start(answered.answered_at);
    let mut ledger = worker.ledger.borrow_mut();
    let mut measured = worker.measured.borrow_mut();
    let begun_ns = worker.since_start(begun);
    measured.record(Clock::Response, begun_ns, at_ns.saturating_sub(begun_ns));
    let service_ns = nanos(answered.answered_at.since(answered.written_at));
    measured.record(Clock::Service, begun_ns, service_ns);
    for (partition, code) in codes(worker, &answered.response) {
        let Some(batch) = batches.iter().find(|batch| batch.partition == partition) else {
            continue;
        };
        let count = u64::from(batch.count);
        if code.is_error() {
            ledger.note_failed(batch.first, batch.count);
            measured.count(at_ns, |tally| tally.failed += count);
            worker.note(format!("produce refused: {code}"));
            worker.partitions.forget_leader(&worker.cluster, partition);
        } else {
            ledger.note_acknowledged(batch.first, batch.count);
            measured.count(at_ns, |tally| tally.acknowledged += count);
        }
    }
}
