//! Batches of records that are each other's like in nothing but their format. Some are compressed.

use bytes::Bytes;
use client::compression::compress;
use model::record_batch::{BatchBuilder, Compression, NewRecord, ProducerStamp};
use model::{PartitionIndex, Timestamp};
use runtime::with_rng;
use wire::produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData};
use wire::{ProduceRequest, ProduceResponse, RequestMessage, Text};

use super::Context;
use super::compression::{ZSTD_PRODUCE_VERSION_MIN, any_compression};
use crate::history::{LongTopic, SentRecord, Sequence};
use crate::payload::{self, SIZE_BYTES_MIN};

/// So much is in no batch of any run, as the smallest journals take no more.
const BATCH_BYTES_MAX: usize = 16 << 10;
/// How long the broker may take for what needs others.
const PRODUCE_TIMEOUT_MS: i32 = 2000;

/// A batch and what is in it.
#[derive(Clone)]
pub(super) struct Batch {
    pub(super) records: Vec<SentRecord>,
    pub(super) bytes: Bytes,
    /// Of the produce requests that it may be sent with.
    pub(super) version_min: i16,
}

impl Batch {
    /// New records, with numbers of a producer or without.
    pub(super) fn new(context: &Context, sequence: Option<Sequence>) -> Batch {
        let plan = &context.plan;
        let mut builder = BatchBuilder::new();
        let mut records = Vec::new();
        let count = 1 + with_rng(|rng| rng.index(plan.batch_records_max));
        for _ in 0..count {
            let id = context.next_record();
            let more = plan.value_bytes_max.saturating_sub(SIZE_BYTES_MIN) + 1;
            let size_bytes = SIZE_BYTES_MIN + with_rng(|rng| rng.index(more));
            // Producers' clocks differ, so times are in no order.
            let late_ms = i64::try_from(with_rng(|rng| rng.below(5000))).expect("seconds");
            let timestamp = Timestamp(runtime::wall_clock_ms() - late_ms);
            let value = payload::write(id, size_bytes);
            let key = (id.0 % 17).to_string();
            let key = (!id.0.is_multiple_of(3)).then_some(key.as_bytes());
            let record = NewRecord { timestamp, key, value: Some(&value), headers: &[] };
            if !records.is_empty() && BATCH_BYTES_MAX < builder.size_bytes_with(&record) {
                break;
            }
            builder.push(&record);
            records.push(SentRecord { id, timestamp });
        }
        let stamp = match sequence {
            None => ProducerStamp::NONE,
            Some(Sequence { producer, epoch, first }) => ProducerStamp {
                producer_id: producer,
                producer_epoch: epoch,
                base_sequence: first,
                ..ProducerStamp::NONE
            },
        };
        let (bytes, compression) = (builder.finish(stamp), any_compression());
        let version_min = match compression {
            Compression::Zstd => ZSTD_PRODUCE_VERSION_MIN,
            Compression::None | Compression::Gzip | Compression::Snappy | Compression::Lz4 => {
                ProduceRequest::API.versions().min
            }
        };
        Batch { records, bytes: compress(&bytes, compression), version_min }
    }

    pub(super) fn count(&self) -> i32 {
        i32::try_from(self.records.len()).expect("a batch has few records")
    }
}

/// Asks for one batch to be appended.
pub(super) fn request(
    topic: &LongTopic,
    partition: PartitionIndex,
    batch: &Batch,
    acks: i16,
) -> ProduceRequest {
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: PRODUCE_TIMEOUT_MS,
        topic_data: vec![TopicProduceData {
            name: Text::from(topic.name.clone()),
            partition_data: vec![PartitionProduceData {
                index: partition,
                records: Some(batch.bytes.clone()),
            }],
        }],
    }
}

/// The answer to a request for one batch.
pub(super) fn only_answer(response: &ProduceResponse) -> &PartitionProduceResponse {
    let answer = response.responses.first().and_then(|topic| topic.partition_responses.first());
    answer.expect("a response names what was asked for")
}
