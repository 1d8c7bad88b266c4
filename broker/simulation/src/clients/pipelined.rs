//! An idempotent producer as Kafka's clients have it: up to five batches of a partition in flight,
//! sent again in order until every one of them is acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use client::Answer;
use model::{ProducerEpoch, ProducerId, TopicPartition};
use runtime::{sleep, with_rng};
use wire::{ErrorCode, InitProducerIdRequest, ProduceResponse};

use super::Context;
use super::batch::{Batch, only_answer, request};
use super::peer::{Peer, any_version};
use crate::history::{LongTopic, Misunderstood, Outcome, SendNumber, Sequence};

/// Kafka's brokers know so many batches of a producer again.
const IN_FLIGHT_MAX: usize = 5;
/// What one session sends at most.
const SESSION_BATCHES_MAX: usize = 200;

/// A batch that is not acknowledged.
struct Unacknowledged {
    number: SendNumber,
    topic: LongTopic,
    partition: TopicPartition,
    sequence: Sequence,
    batch: Batch,
    attempts_count: u32,
    /// None until it is sent again.
    answer: Option<Answer<ProduceResponse>>,
    /// The connection that it was sent over last.
    connection: u64,
}

pub(super) async fn run(context: Rc<Context>) {
    let mut peer = Peer::new(&context);
    while !context.is_ending() {
        let (producer, epoch) = new_producer(&mut peer).await;
        session(&mut peer, producer, epoch).await;
    }
}

/// An identity that nobody else has.
pub(super) async fn new_producer(peer: &mut Peer) -> (ProducerId, ProducerEpoch) {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    loop {
        let response = peer.ask_on(0, &request).await;
        match response.error_code {
            ErrorCode::None => {
                peer.context.history.borrow_mut().producer_ids.push(response.producer_id);
                return (response.producer_id, response.producer_epoch);
            }
            code if code.is_retriable() => sleep(Duration::from_millis(100)).await,
            code => {
                peer.note_absurd("InitProducerId", code);
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn session(peer: &mut Peer, producer: ProducerId, epoch: ProducerEpoch) {
    let context = peer.context.clone();
    let session = context.next_session();
    let session_era = context.era.get();
    let mut next: BTreeMap<TopicPartition, i32> = BTreeMap::new();
    let mut waiting: VecDeque<Unacknowledged> = VecDeque::new();
    let mut batches_left = 1 + with_rng(|rng| rng.index(SESSION_BATCHES_MAX));
    // Two partitions at most, so that numbers matter.
    let targets = [context.any_partition(), context.any_partition()];
    loop {
        while waiting.len() < IN_FLIGHT_MAX && 0 < batches_left && !context.is_ending() {
            let (topic, partition) = targets[with_rng(|rng| rng.index(targets.len()))].clone();
            let first = next.entry(partition).or_default();
            let sequence = Sequence { producer, epoch, first: *first };
            let batch = Batch::new(&context, Some(sequence));
            *first += batch.count();
            batches_left -= 1;
            let number = context.begin_send(session, partition, &batch, Some(sequence));
            waiting.push_back(Unacknowledged {
                number,
                topic,
                partition,
                sequence,
                batch,
                attempts_count: 0,
                answer: None,
                connection: 0,
            });
            if with_rng(|rng| rng.one_in(2)) {
                break;
            }
        }
        if waiting.is_empty() {
            return;
        }
        send_all(peer, &mut waiting).await;
        let first = waiting.front_mut().expect("just seen");
        let Some(answer) = first.answer.take() else { continue };
        let answer = answer.await;
        peer.note(&answer);
        let Ok(answered) = answer else {
            forget_answers(&mut waiting);
            continue;
        };
        let answer = only_answer(&answered.response);
        let mut refused = None;
        let outcome = match answer.error_code {
            ErrorCode::None => Outcome::Acknowledged { base_offset: answer.base_offset },
            // It may pass, and nothing after it can have been appended either.
            code if code.is_retriable() || code == ErrorCode::RequestTimedOut => {
                drain(peer, &mut waiting).await;
                sleep(Duration::from_millis(50)).await;
                continue;
            }
            code => {
                refused = Some(code);
                // An attempt before, of which nobody has heard, may have come further.
                match first.attempts_count {
                    1 => Outcome::Refused(code),
                    _ => Outcome::Unknown,
                }
            }
        };
        let sent = waiting.pop_front().expect("the first was answered");
        let (partition, sequence) = (sent.partition, sent.sequence);
        context.settle(sent.number, outcome);
        if let Some(code) = refused {
            // Everything before it was acknowledged, so its number was the next.
            let era = context.era.get();
            let refused = Misunderstood { partition, sequence, code, session_era, era };
            context.history.borrow_mut().misunderstood.push(refused);
            for sent in waiting {
                context.settle(sent.number, Outcome::Unknown);
            }
            return;
        }
        if with_rng(|rng| rng.one_in(2)) {
            context.pause().await;
        }
    }
}

/// Sends what is not under way, all of it in order on one connection.
async fn send_all(peer: &mut Peer, waiting: &mut VecDeque<Unacknowledged>) {
    let (connection, number) = peer.connection().await;
    // What is under way over a connection that has ended is not overtaken: it will be sent again.
    let is_overtaking =
        waiting.iter().any(|sent| sent.answer.is_some() && sent.connection != number);
    if is_overtaking {
        return;
    }
    // After a failure some are under way behind others that are not: then none of them counts.
    let first_unsent = waiting.iter().position(|sent| sent.answer.is_none());
    let Some(first_unsent) = first_unsent else { return };
    let is_mixed = waiting.iter().skip(first_unsent).any(|sent| sent.answer.is_some());
    if is_mixed {
        return;
    }
    for sent in waiting.iter_mut().skip(first_unsent) {
        peer.context.begin_attempt(sent.number);
        sent.attempts_count += 1;
        sent.connection = number;
        let request = request(&sent.topic, sent.partition.partition, &sent.batch, -1);
        let version = any_version::<wire::ProduceRequest>(sent.batch.version_min);
        match connection.start_up_to(version, &request) {
            Ok(answer) => sent.answer = Some(answer),
            Err(_) => {
                peer.hang_up();
                forget_answers(waiting);
                return;
            }
        }
    }
}

/// Waits for the answers to everything that is under way. What was appended will be known again
/// when it is sent again.
async fn drain(peer: &mut Peer, waiting: &mut VecDeque<Unacknowledged>) {
    for sent in waiting.iter_mut() {
        let Some(answer) = sent.answer.take() else { continue };
        let answer = answer.await;
        peer.note(&answer);
    }
}

fn forget_answers(waiting: &mut VecDeque<Unacknowledged>) {
    for sent in waiting {
        sent.answer = None;
    }
}
