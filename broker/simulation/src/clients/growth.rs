//! Topics that get more partitions, each under a name of its own: nothing that comes late is meant
//! for another one.

use std::rc::Rc;
use std::time::Duration;

use model::Offset;
use runtime::{now, sleep, with_rng};
use wire::create_partitions::CreatePartitionsTopic;
use wire::{CreatePartitionsRequest, ErrorCode, Text};

use super::Context;
use super::admin::{delete, make};
use super::batch::{Batch, only_answer, request};
use super::peer::Peer;
use super::reader::{
    FETCH_VERSION_MIN, Patience, Wanted, answers, fetch_request, fetched, metadata_request,
};
use crate::history::{Growth, GrowthFact, GrowthNumber, LongTopic, Outcome};
use crate::plan::TopicPlan;

const STEPS_MAX: usize = 6;

/// From a topic's making to its deletion. The last one of a run stays.
pub(super) async fn grow(peer: &mut Peer) {
    let plan = TopicPlan {
        name: format!("growing-{}", peer.context.next_growth()),
        partitions_count: 1 + with_rng(|rng| i32::from(rng.one_in(2))),
        is_durable: with_rng(|rng| rng.one_in(2)),
        has_broker_time: false,
    };
    let id = make(peer, &plan).await;
    let TopicPlan { name, partitions_count, is_durable, has_broker_time } = plan;
    let mut topic = LongTopic { name, id, partitions_count, is_durable, has_broker_time };
    let number = peer.context.history.borrow_mut().begin_growth(Growth {
        name: topic.name.clone(),
        made_count: partitions_count,
        facts: Vec::new(),
        is_deleted: false,
    });
    for _ in 0..1 + with_rng(|rng| rng.index(STEPS_MAX)) {
        step(peer, &mut topic, number).await;
        peer.context.pause().await;
        if peer.context.is_ending() {
            return;
        }
    }
    peer.context.history.borrow_mut().growth(number).is_deleted = true;
    delete(peer, &topic.name).await;
}

async fn step(peer: &mut Peer, topic: &mut LongTopic, number: GrowthNumber) {
    let some = i32::try_from(with_rng(|rng| rng.below(3))).expect("a few");
    match with_rng(|rng| rng.below(4)) {
        0 => {
            ask(peer, topic, number, topic.partitions_count - some).await;
        }
        1 => {
            describe(peer, &topic.name, number).await;
        }
        _ => {
            topic.partitions_count += 1 + some;
            ask(peer, topic, number, topic.partitions_count).await;
            // What came by an attempt that failed may not be open yet, but it is known.
            if describe(peer, &topic.name, number).await {
                use_last(peer, topic).await;
            }
        }
    }
}

/// Asks for so many partitions until it is known what has become of it.
async fn ask(peer: &mut Peer, topic: &LongTopic, number: GrowthNumber, count: i32) {
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: Text::from(topic.name.clone()),
            count,
            assignments: None,
        }],
        timeout_ms: i32::try_from(with_rng(|rng| rng.below(3000))).expect("seconds"),
        validate_only: false,
    };
    loop {
        // Whoever never hears of it has asked for it nevertheless.
        let asked = GrowthFact::Asked { count, answer: None };
        peer.context.history.borrow_mut().growth(number).facts.push(asked);
        let Ok(response) = peer.ask(&request).await else { continue };
        let result = response.results.first().expect("a response names what was asked for");
        let answer = match result.error_code {
            ErrorCode::None => Ok(()),
            // It is there, and has to be known.
            code @ ErrorCode::UnknownTopicOrPartition => Err(code),
            code if code.is_retriable() => {
                sleep(Duration::from_millis(100)).await;
                continue;
            }
            code => Err(code),
        };
        let mut history = peer.context.history.borrow_mut();
        let facts = &mut history.growth(number).facts;
        facts.pop();
        facts.push(GrowthFact::Asked { count, answer: Some(answer) });
        return;
    }
}

/// Notes how many partitions the topic has. False if that cannot be had now.
async fn describe(peer: &mut Peer, name: &str, number: GrowthNumber) -> bool {
    // From version 4 on it can say that nothing is to be made.
    let Ok(response) = peer.ask_from(4, &metadata_request(name)).await else { return false };
    let topic = response.topics.first().expect("a response names what was asked for");
    match topic.error_code {
        ErrorCode::None => {}
        code if code.is_retriable() && code != ErrorCode::UnknownTopicOrPartition => return false,
        code => {
            peer.note_absurd("Metadata of a topic that was made", code);
            return false;
        }
    }
    let count = i32::try_from(topic.partitions.len()).expect("few partitions");
    let described = GrowthFact::Described { count };
    peer.context.history.borrow_mut().growth(number).facts.push(described);
    true
}

/// Writes to the newest partition until that is acknowledged, and reads it.
async fn use_last(peer: &mut Peer, topic: &LongTopic) {
    let partition = topic.partitions().last().expect("it has partitions");
    let context = peer.context.clone();
    let batch = Batch::new(&context, None);
    let append = request(topic, partition.partition, &batch, -1);
    let send = context.begin_send(context.next_session(), partition, &batch, None);
    peer.connection().await;
    context.begin_attempt(send);
    let outcome = match peer.ask_from(batch.version_min, &append).await {
        Err(_) => Outcome::Unknown,
        Ok(response) => match only_answer(&response) {
            answer if !answer.error_code.is_error() => {
                Outcome::Acknowledged { base_offset: answer.base_offset }
            }
            answer => {
                note_unknown(peer, "Produce", answer.error_code);
                Outcome::Unknown
            }
        },
    };
    context.settle(send, outcome);
    let wanted = Wanted {
        topic: topic.name.clone(),
        partition,
        position: Offset(0),
        size_bytes_max: 1 << 20,
    };
    let (_, connection) = peer.connection().await;
    let begun = context.begin();
    let fetch = fetch_request(&[wanted], Patience::NONE);
    let Ok(response) = peer.ask_from(FETCH_VERSION_MIN, &fetch).await else { return };
    let Some(answer) = answers(&response).next() else { return };
    if answer.error_code.is_error() {
        return note_unknown(peer, "Fetch", answer.error_code);
    }
    let numbers = (context.next_walk(), connection);
    let fetched = fetched(numbers, (partition, Offset(0)), answer, begun.span());
    context.history.borrow_mut().fetches.push(fetched);
}

/// A partition that is described is known to everybody.
fn note_unknown(peer: &Peer, what: &str, code: ErrorCode) {
    let is_unknown = matches!(code, ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId);
    if is_unknown || !code.is_retriable() {
        peer.note_absurd(&format!("{what} at a partition that is described"), code);
    }
}

/// What all topics have at the end that were not to be deleted. False if it cannot be had before
/// `deadline`.
pub(crate) async fn describe_all(context: &Rc<Context>, deadline: runtime::Instant) -> bool {
    let mut peer = Peer::new(context);
    let left = context.history.borrow().growths_left();
    for (number, name) in left {
        while !describe(&mut peer, &name, number).await {
            if deadline < now() {
                return false;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    true
}
