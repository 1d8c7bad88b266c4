//! A consumer that follows some partitions from their start, all of them with one fetch at a time.

use std::rc::Rc;
use std::time::Duration;

use model::{Offset, TopicPartition};
use runtime::{sleep, with_rng};
use wire::ErrorCode;

use super::Context;
use super::compression::ZSTD_FETCH_VERSION_MIN;
use super::peer::Peer;
use super::reader::{Patience, Wanted, answers, fetch_request, fetched};

/// Where one partition is being read.
struct Walk {
    number: u64,
    topic: String,
    partition: TopicPartition,
    position: Offset,
}

/// From this version on answers tell where a log starts.
const VERSION_MIN: i16 = 5;

pub(super) async fn run(context: Rc<Context>) {
    let mut peer = Peer::new(&context);
    let mut version_min = VERSION_MIN;
    let mut walks = Vec::new();
    for topic in context.topics() {
        for partition in topic.partitions() {
            if with_rng(|rng| !rng.one_in(3)) {
                let (number, position) = (context.next_walk(), Offset(0));
                walks.push(Walk { number, topic: topic.name.clone(), partition, position });
            }
        }
    }
    while !context.is_ending() && !walks.is_empty() {
        poll(&context, &mut peer, &mut version_min, &mut walks).await;
        if with_rng(|rng| rng.one_in(3)) {
            context.pause().await;
        }
    }
}

async fn poll(context: &Context, peer: &mut Peer, version_min: &mut i16, walks: &mut [Walk]) {
    let wanted: Vec<Wanted> = walks
        .iter()
        .map(|walk| Wanted {
            topic: walk.topic.clone(),
            partition: walk.partition,
            position: walk.position,
            size_bytes_max: 1 << with_rng(|rng| 8 + rng.below(12)),
        })
        .collect();
    let patience = with_rng(|rng| Patience {
        wait_ms_max: i32::try_from(rng.below(500)).expect("short"),
        size_bytes_min: 1 << rng.below(14),
        size_bytes_max: 1 << (10 + rng.below(10)),
        isolation_level: i8::from(rng.one_in(2)),
    });
    let (_, connection) = peer.connection().await;
    let begun = context.begin();
    let Ok(response) = peer.ask_from(*version_min, &fetch_request(&wanted, patience)).await else {
        return;
    };
    if response.error_code.is_error() {
        peer.note_absurd("Fetch", response.error_code);
        return;
    }
    let knows_zstd = ZSTD_FETCH_VERSION_MIN <= *version_min;
    let has_failed = answers(&response).any(|answer| answer.error_code.is_error());
    for (walk, answer) in walks.iter_mut().zip(answers(&response)) {
        assert_eq!(walk.partition.partition, answer.partition_index, "answered in order");
        match answer.error_code {
            ErrorCode::None => {}
            // The end of a relaxed log is earlier after a loss of power.
            ErrorCode::OffsetOutOfRange => {
                note_lost_end(context, peer, walk);
                walk.number = context.next_walk();
                walk.position = Offset(0);
                continue;
            }
            // It goes on as a client that knows zstd.
            ErrorCode::UnsupportedCompressionType if !knows_zstd => {
                *version_min = ZSTD_FETCH_VERSION_MIN;
                continue;
            }
            code if code.is_retriable() => continue,
            code => {
                peer.note_absurd("Fetch", code);
                continue;
            }
        }
        let place = (walk.partition, walk.position);
        let fetched = fetched((walk.number, connection), place, answer, begun.span());
        if let Some(last) = fetched.batches.last().and_then(|batch| batch.records.last()) {
            walk.position = Offset(last.offset.0 + 1);
        }
        context.history.borrow_mut().fetches.push(fetched);
    }
    if has_failed {
        sleep(Duration::from_millis(50)).await;
    }
}

fn note_lost_end(context: &Context, peer: &Peer, walk: &Walk) {
    if context.history.borrow().is_durable(walk.partition) {
        peer.note_absurd("Fetch at the end of a durable log", ErrorCode::OffsetOutOfRange);
    }
}
