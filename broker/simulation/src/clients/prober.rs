//! A producer that tries the rules of idempotence: it repeats what was acknowledged, leaves numbers
//! out, and goes on under an epoch that is over.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use model::{Offset, ProducerEpoch, TopicPartition};
use runtime::{sleep, with_rng};
use wire::ErrorCode;

use super::Context;
use super::batch::{Batch, only_answer, request};
use super::peer::Peer;
use super::pipelined::new_producer;
use crate::history::{Era, Forbidden, LongTopic, Misunderstood, Outcome, Repeat, Sequence};

/// Of so many batches the broker has to know the offsets.
const KNOWN_BATCHES: usize = 5;
const STEPS_MAX: usize = 60;

/// One session with one partition.
struct Session {
    number: u64,
    era: Era,
    topic: LongTopic,
    partition: TopicPartition,
    next: Sequence,
    /// The last ones, oldest first.
    acknowledged: VecDeque<(Batch, Sequence, Offset)>,
}

pub(super) async fn run(context: Rc<Context>) {
    let mut peer = Peer::new(&context);
    while !context.is_ending() {
        let (producer, epoch) = new_producer(&mut peer).await;
        let (topic, partition) = loop {
            let (topic, partition) = context.any_partition();
            // A relaxed partition may forget with the machine whom it knew.
            if topic.is_durable {
                break (topic, partition);
            }
        };
        let next = Sequence { producer, epoch, first: 0 };
        let number = context.next_session();
        let acknowledged = VecDeque::new();
        let era = context.era.get();
        let mut session = Session { number, era, topic, partition, next, acknowledged };
        let steps = 1 + with_rng(|rng| rng.index(STEPS_MAX));
        for _ in 0..steps {
            if context.is_ending() || !step(&mut peer, &mut session).await {
                break;
            }
            context.pause().await;
        }
    }
}

/// Does one of the things. False if the session is over.
async fn step(peer: &mut Peer, session: &mut Session) -> bool {
    match with_rng(|rng| rng.below(8)) {
        0 if !session.acknowledged.is_empty() => {
            repeat(peer, session).await;
            true
        }
        1 if !session.acknowledged.is_empty() => {
            leave_out(peer, session).await;
            true
        }
        2 if !session.acknowledged.is_empty() => {
            begin_epoch(session);
            if append(peer, session).await {
                use_old_epoch(peer, session).await;
                return true;
            }
            false
        }
        _ => append(peer, session).await,
    }
}

/// The next batch, as often as it takes.
async fn append(peer: &mut Peer, session: &mut Session) -> bool {
    let batch = Batch::new(&peer.context, Some(session.next));
    let sequence = Some(session.next);
    let number = peer.context.begin_send(session.number, session.partition, &batch, sequence);
    let answer = send(peer, session, &batch).await;
    peer.context.settle(number, outcome_of(answer));
    note_refused(peer, session, answer);
    let Ok(base_offset) = answer else { return false };
    let count = batch.count();
    session.acknowledged.push_back((batch, session.next, base_offset));
    if KNOWN_BATCHES < session.acknowledged.len() {
        session.acknowledged.pop_front();
    }
    session.next.first += count;
    true
}

fn outcome_of(answer: Result<Offset, ErrorCode>) -> Outcome {
    match answer {
        Ok(base_offset) => Outcome::Acknowledged { base_offset },
        // An attempt before, of which nobody has heard, may have come further.
        Err(_) => Outcome::Unknown,
    }
}

fn note_refused(peer: &Peer, session: &Session, answer: Result<Offset, ErrorCode>) {
    let Err(code) = answer else { return };
    let (partition, sequence) = (session.partition, session.next);
    let (session_era, era) = (session.era, peer.context.era.get());
    let refused = Misunderstood { partition, sequence, code, session_era, era };
    peer.context.history.borrow_mut().misunderstood.push(refused);
}

/// One of the last batches again: the broker has to answer as it did.
async fn repeat(peer: &mut Peer, session: &mut Session) {
    let index = with_rng(|rng| rng.index(session.acknowledged.len()));
    let (batch, sequence, first_answer) = session.acknowledged[index].clone();
    let answer = send(peer, session, &batch).await;
    let partition = session.partition;
    let repeat = Repeat { partition, sequence, first_answer, answer };
    peer.context.history.borrow_mut().repeats.push(repeat);
}

/// A batch whose numbers do not follow.
async fn leave_out(peer: &mut Peer, session: &mut Session) {
    let gap = 1 + i32::try_from(with_rng(|rng| rng.below(1000))).expect("below");
    let sequence = Sequence { first: session.next.first + gap, ..session.next };
    forbidden(peer, session, sequence, ErrorCode::OutOfOrderSequenceNumber).await;
}

/// Another epoch of the same producer begins with 0 again.
fn begin_epoch(session: &mut Session) {
    session.next.epoch = ProducerEpoch(session.next.epoch.0 + 1);
    session.next.first = 0;
    session.acknowledged.clear();
}

async fn use_old_epoch(peer: &mut Peer, session: &mut Session) {
    let epoch = ProducerEpoch(session.next.epoch.0 - 1);
    let sequence = Sequence { epoch, ..session.next };
    forbidden(peer, session, sequence, ErrorCode::InvalidProducerEpoch).await;
}

async fn forbidden(
    peer: &mut Peer,
    session: &mut Session,
    sequence: Sequence,
    expected: ErrorCode,
) {
    let batch = Batch::new(&peer.context, Some(sequence));
    let answer = send(peer, session, &batch).await;
    let partition = session.partition;
    let records = batch.records;
    let forbidden = Forbidden { partition, records, sequence, expected, answer };
    peer.context.history.borrow_mut().forbidden.push(forbidden);
}

/// Sends until there is an answer that will not change.
async fn send(peer: &mut Peer, session: &Session, batch: &Batch) -> Result<Offset, ErrorCode> {
    let request = request(&session.topic, session.partition.partition, batch, -1);
    loop {
        let Ok(response) = peer.ask_from(batch.version_min, &request).await else { continue };
        let answer = only_answer(&response);
        match answer.error_code {
            ErrorCode::None => return Ok(answer.base_offset),
            code if code.is_retriable() => sleep(Duration::from_millis(50)).await,
            code => return Err(code),
        }
    }
}
