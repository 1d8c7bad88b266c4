//! A client that asks for places in logs, for leaders and for the ends of their epochs, and reads at
//! random places.

use std::collections::BTreeSet;
use std::rc::Rc;

use model::{BrokerId, LeaderEpoch, Offset, Timestamp, TopicPartition};
use runtime::with_rng;
use wire::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use wire::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use wire::{ErrorCode, ListOffsetsRequest, OffsetForLeaderEpochRequest, Text};

use super::Context;
use super::peer::Peer;
use super::reader::{
    FETCH_VERSION_MIN, Patience, Wanted, answers, fetch_request, fetched, metadata_request,
    partition_of,
};
use crate::history::{EpochEnd, Listed, LongTopic, Place, ToldEpoch};

pub(super) async fn run(context: Rc<Context>) {
    let mut peer = Peer::new(&context);
    while !context.is_ending() {
        let (topic, partition) = context.any_partition();
        match with_rng(|rng| rng.below(5)) {
            0 => tell_epochs(&mut peer, &topic).await,
            1 => read_anywhere(&mut peer, &topic, partition).await,
            2 => find_epoch_end(&mut peer, &topic, partition).await,
            _ => list(&mut peer, &topic, partition).await,
        }
        context.pause().await;
    }
}

async fn list(peer: &mut Peer, topic: &LongTopic, partition: TopicPartition) {
    let now_ms = runtime::wall_clock_ms();
    let place = with_rng(|rng| match rng.below(4) {
        0 => Place::Start,
        1 => Place::End,
        _ => {
            let ago_ms = i64::try_from(rng.below(40_000)).expect("seconds");
            Place::Time(Timestamp(now_ms - ago_ms))
        }
    });
    if let Some(listed) = list_offset(peer, topic, partition, place).await {
        peer.context.history.borrow_mut().listed.push(listed);
    }
}

async fn list_offset(
    peer: &mut Peer,
    topic: &LongTopic,
    partition: TopicPartition,
    place: Place,
) -> Option<Listed> {
    let timestamp = match place {
        Place::End => -1,
        Place::Start => -2,
        Place::Time(time) => time.0,
    };
    let request = ListOffsetsRequest {
        replica_id: BrokerId(-1),
        isolation_level: 0,
        topics: vec![ListOffsetsTopic {
            name: Text::from(topic.name.clone()),
            partitions: vec![ListOffsetsPartition {
                partition_index: partition.partition,
                timestamp,
                ..Default::default()
            }],
        }],
    };
    peer.connection().await;
    let begun = peer.context.begin();
    let response = peer.ask(&request).await.ok()?;
    let answer = response.topics.first()?.partitions.first()?;
    match answer.error_code {
        ErrorCode::None => {}
        code if code.is_retriable() => return None,
        code => {
            peer.note_absurd("ListOffsets", code);
            return None;
        }
    }
    let (offset, timestamp) = (answer.offset, answer.timestamp);
    Some(Listed { partition, place, offset, timestamp, span: begun.span() })
}

async fn read_anywhere(peer: &mut Peer, topic: &LongTopic, partition: TopicPartition) {
    let Some(end) = list_offset(peer, topic, partition, Place::End).await else { return };
    let context = peer.context.clone();
    context.history.borrow_mut().listed.push(end);
    let count = u64::try_from(end.offset.0).expect("an end is not negative");
    let position = with_rng(|rng| rng.below(count + 1));
    let wanted = Wanted {
        topic: topic.name.clone(),
        partition,
        position: Offset(i64::try_from(position).expect("below an offset")),
        size_bytes_max: 1 << with_rng(|rng| 6 + rng.below(12)),
    };
    let position = wanted.position;
    let (_, connection) = peer.connection().await;
    let begun = context.begin();
    let Ok(response) =
        peer.ask_from(FETCH_VERSION_MIN, &fetch_request(&[wanted], Patience::NONE)).await
    else {
        return;
    };
    let Some(answer) = answers(&response).next() else { return };
    match answer.error_code {
        ErrorCode::None => {}
        // A relaxed log may have become shorter since it told its end.
        ErrorCode::OffsetOutOfRange if !topic.is_durable => return,
        code if code.is_retriable() => return,
        code => return peer.note_absurd("Fetch at a place that was there", code),
    }
    let numbers = (context.next_walk(), connection);
    let fetched = fetched(numbers, (partition, position), answer, begun.span());
    context.history.borrow_mut().fetches.push(fetched);
}

async fn tell_epochs(peer: &mut Peer, topic: &LongTopic) {
    let request = metadata_request(&topic.name);
    let begun = peer.context.begin();
    // From version 7 on it tells epochs.
    let Ok(response) = peer.ask_from(7, &request).await else { return };
    for answer in &response.topics {
        match answer.error_code {
            ErrorCode::None => {}
            code if code.is_retriable() && code != ErrorCode::UnknownTopicOrPartition => continue,
            code => {
                peer.note_absurd("Metadata of a topic that was made", code);
                continue;
            }
        }
        for told in answer.partitions.iter().filter(|told| !told.error_code.is_error()) {
            let partition = partition_of(topic.id, told.partition_index.0);
            let (epoch, span) = (told.leader_epoch, begun.span());
            peer.context.history.borrow_mut().told_epochs.push(ToldEpoch {
                partition,
                epoch,
                span,
            });
        }
    }
}

/// An epoch that somebody has seen, or sometimes a later one.
fn any_epoch(context: &Context, partition: TopicPartition) -> Option<LeaderEpoch> {
    let history = context.history.borrow();
    let told = history.told_epochs.iter().filter(|told| told.partition == partition);
    let told = told.map(|told| told.epoch);
    let fetched = history.fetches.iter().filter(|fetch| fetch.partition == partition);
    let seen = fetched.flat_map(|fetch| &fetch.batches).map(|batch| batch.leader_epoch);
    let known: BTreeSet<LeaderEpoch> = told.chain(seen).collect();
    let count = known.len();
    let epoch = *known.iter().nth(with_rng(|rng| rng.index(count.max(1))))?;
    let more = with_rng(|rng| if rng.one_in(8) { 1 + rng.below(3) } else { 0 });
    Some(LeaderEpoch(epoch.0 + i32::try_from(more).expect("a few")))
}

async fn find_epoch_end(peer: &mut Peer, topic: &LongTopic, partition: TopicPartition) {
    let Some(asked) = any_epoch(&peer.context, partition) else { return };
    let request = OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: Text::from(topic.name.clone()),
            partitions: vec![OffsetForLeaderPartition {
                partition: partition.partition,
                leader_epoch: asked,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    peer.connection().await;
    let begun = peer.context.begin();
    let Ok(response) = peer.ask(&request).await else { return };
    let answer = response.topics.first().and_then(|topic| topic.partitions.first());
    let answer = answer.expect("a response names what was asked for");
    match answer.error_code {
        ErrorCode::None => {}
        code if code.is_retriable() => return,
        code => return peer.note_absurd("OffsetForLeaderEpoch", code),
    }
    let (epoch, end, span) = (answer.leader_epoch, answer.end_offset, begun.span());
    let told = EpochEnd { partition, asked, epoch, end, span };
    peer.context.history.borrow_mut().epoch_ends.push(told);
}
