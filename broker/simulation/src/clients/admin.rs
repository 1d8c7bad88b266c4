//! Makes the topics of a run, and topics that come, grow and go.

use std::rc::Rc;
use std::time::Duration;

use model::{Offset, TopicId};
use runtime::{sleep, with_rng};
use wire::create_topics::{CreatableTopic, CreatableTopicConfig};
use wire::delete_topics::DeleteTopicState;
use wire::{CreateTopicsRequest, DeleteTopicsRequest, ErrorCode, Text};

use super::Context;
use super::batch::{Batch, only_answer, request};
use super::growth::grow;
use super::peer::Peer;
use super::reader::{
    FETCH_VERSION_MIN, Patience, Wanted, answers, fetch_request, metadata_request, partition_of,
    read_batches,
};
use crate::history::{LongTopic, Remade};
use crate::payload::RecordId;
use crate::plan::TopicPlan;

/// Smallest that a topic may have.
const SEGMENT_BYTES: u32 = 64 << 10;
/// What the smallest journals take.
const MESSAGE_BYTES_MAX: u32 = 20_000;

/// The topics that live as long as the run.
pub(super) async fn make_topics(context: &Rc<Context>) {
    let mut peer = Peer::new(context);
    for plan in context.plan.topics.clone() {
        let id = make(&mut peer, &plan).await;
        let TopicPlan { name, partitions_count, is_durable, has_broker_time } = plan;
        let topic = LongTopic { name, id, partitions_count, is_durable, has_broker_time };
        context.history.borrow_mut().topics.push(topic);
    }
}

/// Makes, fills, deletes and makes again, all under one name.
pub(super) async fn run(context: Rc<Context>) {
    let mut peer = Peer::new(&context);
    let mut old = None;
    while !context.is_ending() {
        let plan = TopicPlan {
            name: "passing".to_owned(),
            partitions_count: 1 + with_rng(|rng| i32::from(rng.one_in(2))),
            is_durable: with_rng(|rng| rng.one_in(2)),
            has_broker_time: false,
        };
        let new = make(&mut peer, &plan).await;
        if let Some(old) = old
            && let Some(remade) = look(&mut peer, &plan, old, new).await
        {
            context.history.borrow_mut().remade.push(remade);
        }
        let records = fill(&mut peer, &plan, new).await;
        context.pause().await;
        delete(&mut peer, &plan.name).await;
        old = Some((new, records));
        grow(&mut peer).await;
        for _ in 0..10 {
            context.pause().await;
        }
    }
}

/// The id of the topic, which is made if need be.
pub(super) async fn make(peer: &mut Peer, plan: &TopicPlan) -> TopicId {
    let config = |name: &str, value: String| CreatableTopicConfig {
        name: Text::from(name.to_owned()),
        value: Some(Text::from(value)),
    };
    let flush = if plan.is_durable { "1" } else { "1000" };
    let kind = if plan.has_broker_time { "LogAppendTime" } else { "CreateTime" };
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: Text::from(plan.name.clone()),
            num_partitions: plan.partitions_count,
            replication_factor: 1,
            configs: vec![
                config("flush.messages", flush.to_owned()),
                config("segment.bytes", SEGMENT_BYTES.to_string()),
                config("max.message.bytes", MESSAGE_BYTES_MAX.to_string()),
                config("message.timestamp.type", kind.to_owned()),
            ],
            ..Default::default()
        }],
        timeout_ms: 5000,
        validate_only: false,
    };
    loop {
        let response = peer.ask_on(2, &request).await;
        let code = response.topics.first().map(|topic| topic.error_code);
        match code {
            // Made now, or by an attempt whose answer was lost.
            Some(ErrorCode::None | ErrorCode::TopicAlreadyExists) => {
                if let Some(id) = id_of(peer, &plan.name).await {
                    return id;
                }
            }
            Some(code) if code.is_retriable() => {}
            Some(code) => peer.note_absurd("CreateTopics", code),
            None => peer.note_absurd("CreateTopics without a topic", ErrorCode::None),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn id_of(peer: &mut Peer, name: &str) -> Option<TopicId> {
    let request = metadata_request(name);
    // From version 10 on it tells ids.
    let response = peer.ask_on(10, &request).await;
    let topic = response.topics.first()?;
    (!topic.error_code.is_error()).then_some(topic.topic_id)
}

/// A batch for each partition, once. Returns what was acknowledged.
async fn fill(peer: &mut Peer, plan: &TopicPlan, id: TopicId) -> Vec<RecordId> {
    let TopicPlan { name, partitions_count, is_durable, has_broker_time } = plan.clone();
    let topic = LongTopic { name, id, partitions_count, is_durable, has_broker_time };
    let mut acknowledged = Vec::new();
    for partition in topic.partitions() {
        let batch = Batch::new(&peer.context, None);
        let request = request(&topic, partition.partition, &batch, -1);
        let answer = peer.ask_from(batch.version_min, &request).await;
        if answer.is_ok_and(|response| !only_answer(&response).error_code.is_error()) {
            acknowledged.extend(batch.records.iter().map(|record| record.id));
        }
    }
    acknowledged
}

/// What the first reader of a topic sees, which nobody has written to.
async fn look(
    peer: &mut Peer,
    plan: &TopicPlan,
    (old, old_records): (TopicId, Vec<RecordId>),
    new: TopicId,
) -> Option<Remade> {
    let wanted = Wanted {
        topic: plan.name.clone(),
        partition: partition_of(new, 0),
        position: Offset(0),
        size_bytes_max: 1 << 20,
    };
    let response =
        peer.ask_from(FETCH_VERSION_MIN, &fetch_request(&[wanted], Patience::NONE)).await.ok()?;
    let answer = answers(&response).next()?;
    if answer.error_code.is_error() {
        return None;
    }
    let (seen, _) = read_batches(answer);
    Some(Remade { name: plan.name.clone(), old, old_records, new, seen })
}

pub(super) async fn delete(peer: &mut Peer, name: &str) {
    let request = DeleteTopicsRequest {
        topics: vec![DeleteTopicState {
            name: Some(Text::from(name.to_owned())),
            topic_id: TopicId::ZERO,
        }],
        topic_names: vec![Text::from(name.to_owned())],
        timeout_ms: 5000,
    };
    loop {
        // Older versions name topics in another place.
        let response = peer.ask_on(6, &request).await;
        match response.responses.first().map(|topic| topic.error_code) {
            // Gone now, or by an attempt whose answer was lost.
            Some(ErrorCode::None | ErrorCode::UnknownTopicOrPartition) => return,
            Some(code) if code.is_retriable() => {}
            Some(code) => peer.note_absurd("DeleteTopics", code),
            None => peer.note_absurd("DeleteTopics without a topic", ErrorCode::None),
        }
        sleep(Duration::from_millis(100)).await;
    }
}
