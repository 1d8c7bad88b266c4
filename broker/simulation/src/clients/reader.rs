//! Reading: what a fetch shows, and everything that a partition holds.

use std::time::Duration;

use bytes::Bytes;
use model::record_batch::{BatchHeader, Records, check_crc};
use model::{Offset, PartitionIndex, TopicId, TopicPartition};
use runtime::{now, sleep};
use wire::fetch::{FetchPartition, FetchTopic, PartitionData};
use wire::metadata::MetadataRequestTopic;
use wire::{ErrorCode, FetchRequest, FetchResponse, MetadataRequest, Text};

use super::batch::{Batch, only_answer, request};
use super::compression::{ZSTD_FETCH_VERSION_MIN, opened};
use super::peer::Peer;
use crate::history::{Fetched, FinalLog, LongTopic, Outcome, SeenBatch, SeenRecord, Span};
use crate::payload;

/// From this version on a reader gets everything. Answers tell where a log starts.
pub(super) const FETCH_VERSION_MIN: i16 = ZSTD_FETCH_VERSION_MIN;

/// What a fetch asks for of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) topic: String,
    pub(super) partition: TopicPartition,
    pub(super) position: Offset,
    pub(super) size_bytes_max: i32,
}

/// How long a fetch waits for how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) wait_ms_max: i32,
    pub(super) size_bytes_min: i32,
    pub(super) size_bytes_max: i32,
    pub(super) isolation_level: i8,
}

impl Patience {
    /// Whatever there is now.
    pub(super) const NONE: Patience =
        Patience { wait_ms_max: 0, size_bytes_min: 0, size_bytes_max: 1 << 20, isolation_level: 0 };
}

/// A request for the partitions, in their order.
pub(super) fn fetch_request(wanted: &[Wanted], patience: Patience) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for want in wanted {
        let partition = FetchPartition {
            partition: want.partition.partition,
            fetch_offset: want.position,
            partition_max_bytes: want.size_bytes_max,
            ..Default::default()
        };
        match topics.last_mut().filter(|topic| topic.topic_id == want.partition.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(FetchTopic {
                topic: Text::from(want.topic.clone()),
                topic_id: want.partition.topic,
                partitions: vec![partition],
            }),
        }
    }
    FetchRequest {
        max_wait_ms: patience.wait_ms_max,
        min_bytes: patience.size_bytes_min,
        max_bytes: patience.size_bytes_max,
        isolation_level: patience.isolation_level,
        topics,
        ..Default::default()
    }
}

/// The answers for the partitions, in the order of the request.
pub(super) fn answers(response: &FetchResponse) -> impl Iterator<Item = &PartitionData> {
    response.responses.iter().flat_map(|topic| &topic.partitions)
}

/// What a fetch over a connection has shown of a partition, for the history.
pub(super) fn fetched(
    (walk, connection): (u64, u64),
    (partition, position): (TopicPartition, Offset),
    answer: &PartitionData,
    span: Span,
) -> Fetched {
    let (batches, is_damaged) = read_batches(answer);
    Fetched {
        walk,
        connection,
        partition,
        position,
        high_watermark: answer.high_watermark,
        last_stable: answer.last_stable_offset,
        log_start: answer.log_start_offset,
        batches,
        is_damaged,
        span,
    }
}

/// Asks what is known of one topic, without making it.
pub(super) fn metadata_request(topic: &str) -> MetadataRequest {
    let name = Some(Text::from(topic.to_owned()));
    MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name, ..Default::default() }]),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

/// The whole batches that bytes begin with. An incomplete one at the end is left out, as clients
/// do; true if there is something that is no batch, or whose checksum does not hold.
pub(super) fn read_batches(data: &PartitionData) -> (Vec<SeenBatch>, bool) {
    let mut left: Bytes =
        data.records.as_ref().and_then(|records| records.contiguous()).cloned().unwrap_or_default();
    let mut batches = Vec::new();
    while model::record_batch::HEADER_SIZE_BYTES <= left.len() {
        let Ok(header) = BatchHeader::read(&left) else { return (batches, true) };
        if left.len() < header.size_bytes() {
            break;
        }
        let bytes = left.split_to(header.size_bytes());
        let Some(batch) = read_batch(&header, &bytes) else { return (batches, true) };
        batches.push(batch);
    }
    (batches, false)
}

fn read_batch(header: &BatchHeader, bytes: &[u8]) -> Option<SeenBatch> {
    check_crc(bytes).ok()?;
    let mut records = Vec::new();
    for record in Records::read(&opened(bytes)?).ok()? {
        let record = record.ok()?;
        records.push(SeenRecord {
            offset: Offset(header.base_offset.0 + i64::from(record.offset_delta)),
            id: record.value.and_then(payload::read),
            timestamp: record.timestamp,
        });
    }
    Some(SeenBatch { base_offset: header.base_offset, leader_epoch: header.leader_epoch, records })
}

/// Everything that a partition holds from its start to its end, and whether it takes appends. Gives
/// up at `deadline`, which a caller takes as a failure of its own.
pub(crate) async fn read_everything(
    context: &std::rc::Rc<super::Context>,
    topic: &LongTopic,
    partition: TopicPartition,
    deadline: runtime::Instant,
) -> Option<FinalLog> {
    let mut peer = Peer::new(context);
    let mut log = FinalLog::default();
    let batch = Batch::new(context, None);
    let append = request(topic, partition.partition, &batch, -1);
    let number = context.begin_send(context.next_session(), partition, &batch, None);
    let end = loop {
        if deadline < now() {
            return None;
        }
        let Ok(response) = peer.ask_from(batch.version_min, &append).await else { continue };
        let answer = only_answer(&response);
        log.append = Some(answer.error_code);
        match answer.error_code {
            ErrorCode::None => {
                let base_offset = answer.base_offset;
                context.settle(number, Outcome::Acknowledged { base_offset });
                break Some(Offset(base_offset.0 + i64::from(batch.count())));
            }
            // A partition that refuses for good is read as far as it goes.
            code if is_final(context, code) => {
                context.settle(number, Outcome::Refused(code));
                break None;
            }
            _ => sleep(Duration::from_millis(100)).await,
        }
    };
    let mut position = Offset(0);
    loop {
        if deadline < now() {
            return None;
        }
        if end.is_some_and(|end| end <= position) {
            return Some(log);
        }
        let wanted =
            Wanted { topic: topic.name.clone(), partition, position, size_bytes_max: 1 << 20 };
        let patience = Patience {
            wait_ms_max: 10,
            size_bytes_min: 1,
            size_bytes_max: 1 << 20,
            isolation_level: 0,
        };
        let Ok(response) =
            peer.ask_from(FETCH_VERSION_MIN, &fetch_request(&[wanted], patience)).await
        else {
            continue;
        };
        let Some(answer) = answers(&response).next() else { continue };
        match answer.error_code {
            ErrorCode::None => {}
            ErrorCode::KafkaStorageError | ErrorCode::CorruptMessage
                if context.history.borrow().has_rotted =>
            {
                log.refused = Some(answer.error_code);
                return Some(log);
            }
            code if code.is_retriable() => {
                sleep(Duration::from_millis(100)).await;
                continue;
            }
            code => {
                log.refused = Some(code);
                return Some(log);
            }
        }
        let (batches, is_damaged) = read_batches(answer);
        if is_damaged {
            log.is_damaged = true;
            return Some(log);
        }
        let Some(last) = batches.last() else {
            // Nothing more up to the high watermark.
            if end.is_none() && answer.high_watermark <= position {
                return Some(log);
            }
            continue;
        };
        let last_offset = last.records.last().map_or(last.base_offset, |record| record.offset);
        position = Offset(last_offset.0 + 1);
        log.batches.extend(batches);
    }
}

/// Whether a partition that has refused an append at the end will go on to refuse it.
fn is_final(context: &super::Context, code: ErrorCode) -> bool {
    let is_rotten = code == ErrorCode::KafkaStorageError && context.history.borrow().has_rotted;
    is_rotten || !code.is_retriable()
}

/// A partition of a topic by its id.
pub(super) fn partition_of(topic: TopicId, index: i32) -> TopicPartition {
    TopicPartition { topic, partition: PartitionIndex(index) }
}
