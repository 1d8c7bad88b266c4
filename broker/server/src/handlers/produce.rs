//! Produce: one batch for each of some partitions.

mod appends;
mod opening;

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use coordinator::{LogConfig, TimestampType};
use model::record_batch::{
    self, AppendRules, BatchError, BatchHeader, Compression, Recompression, Validated,
};
use model::{Offset, Timestamp, TopicPartition};
use replication::Batch;
use runtime::CoreId;
use runtime::sync::budget::Share;
use wire::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, TopicProduceResponse,
};
use wire::{ApiKey, ErrorCode, ProduceRequest, ProduceResponse, Text};

use appends::{Appends, Part};
use opening::{WALK_PIECE_BYTES, recompress, validate};

use crate::call::{AckWait, AppendOutcome};
use crate::connection::Affinity;
use crate::core::Core;
use crate::failure::Failure;
use crate::image::{TopicImage, is_internal};

const ACKS_NONE: i16 = 0;
const ACKS_LEADER: i16 = 1;
const ACKS_ALL: i16 = -1;
/// With acks=1: long beyond any flush that ends at all.
const LEADER_FLUSH_MAX: Duration = Duration::from_secs(120);

pub(super) enum Produced {
    Answer(ProduceResponse),
    /// With acks=0 there is no answer,
    Unacknowledged,
    /// and an error can only be told by ending the connection.
    Failed,
}

/// A batch's fate before its owner has seen it.
struct Refused {
    failure: Failure,
    record: Option<i32>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused { failure, record: None }
    }
}

impl From<BatchError> for Refused {
    fn from(error: BatchError) -> Refused {
        let record = match error {
            BatchError::Record { index, .. } => Some(index),
            BatchError::TimestampOutOfRange { index, .. } => Some(index),
            _ => None,
        };
        Refused { failure: error.into(), record }
    }
}

/// Checks the batches and hands them to their owners, in the order of arrival: the connection's next
/// request is not looked at before. The future waits for what the request waits for. The client is
/// told that nothing more is read from it for a while (KIP-219).
pub(super) async fn begin(
    core: &Rc<Core>,
    affinity: &Affinity,
    version: i16,
    rest: Duration,
    request: ProduceRequest,
) -> impl Future<Output = Produced> + use<> {
    let ProduceRequest { acks, timeout_ms, topic_data, .. } = request;
    let image = core.image();
    let mut responses = Vec::with_capacity(topic_data.len());
    let mut appends = Appends::new(match acks {
        ACKS_NONE => AckWait::Append,
        // The request's timeout is for other brokers' copies; a leader's own flush is waited for.
        ACKS_LEADER => AckWait::Flush(LEADER_FLUSH_MAX),
        _ => AckWait::Flush(Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0))),
    });
    let mut walked_bytes = 0;
    for (topic_number, data) in topic_data.into_iter().enumerate() {
        let topic = image.topic(&data.name);
        let mut partition_responses = Vec::with_capacity(data.partition_data.len());
        for (number, data) in data.partition_data.into_iter().enumerate() {
            let index = data.index;
            if WALK_PIECE_BYTES <= walked_bytes {
                runtime::yield_now().await;
                walked_bytes = 0;
            }
            let added = async {
                let checked = check(core, topic, data, acks, version, &mut walked_bytes).await?;
                let (owner, partition) = (checked.owner, checked.partition);
                let log_append_time = checked.log_append_time;
                let (batch, memory) =
                    to_store(core, checked, &mut appends, &mut walked_bytes).await?;
                let part = Part { topic: topic_number, index: number, log_append_time };
                appends.add(owner, part, (partition, batch), memory);
                Ok(())
            };
            partition_responses.push(match added.await {
                Ok(()) => PartitionProduceResponse { index, ..answer(Err(pending()), None) },
                Err(refused) => PartitionProduceResponse { index, ..refusal(refused) },
            });
        }
        responses.push(TopicProduceResponse { name: data.name, partition_responses });
    }
    affinity.note(core, ApiKey::Produce, appends.counts());
    let handed_over = appends.finish(core);
    async move {
        for batches in handed_over {
            for (part, outcome) in batches.outcomes().await {
                let slot = &mut responses[part.topic].partition_responses[part.index];
                let index = slot.index;
                *slot = PartitionProduceResponse { index, ..answer(outcome, part.log_append_time) };
            }
        }
        if acks != ACKS_NONE {
            let throttle_time_ms = super::millis(rest);
            return Produced::Answer(ProduceResponse {
                responses,
                throttle_time_ms,
                ..Default::default()
            });
        }
        let mut partitions = responses.iter().flat_map(|topic| &topic.partition_responses);
        if partitions.any(|partition| partition.error_code.is_error()) {
            return Produced::Failed;
        }
        Produced::Unacknowledged
    }
}

/// Overwritten by the owner's answer.
fn pending() -> Failure {
    Failure::new(ErrorCode::UnknownServerError, "no answer yet")
}

/// A batch that may be appended.
struct Checked<'a> {
    partition: TopicPartition,
    owner: CoreId,
    bytes: Bytes,
    validated: Validated,
    config: &'a LogConfig,
    /// If the broker sets the time.
    log_append_time: Option<Timestamp>,
}

/// Everything that can be said of a batch without its partition's owner.
async fn check<'a>(
    core: &Core,
    topic: Option<&'a Arc<TopicImage>>,
    data: PartitionProduceData,
    acks: i16,
    version: i16,
    walked_bytes: &mut usize,
) -> Result<Checked<'a>, Refused> {
    if !matches!(acks, ACKS_NONE | ACKS_LEADER | ACKS_ALL) {
        let text = format!("acks {acks}: choose 0, 1 or -1 (all)");
        return Err(Failure::new(ErrorCode::InvalidRequiredAcks, text).into());
    }
    let topic = topic.ok_or_else(Failure::unknown_partition)?;
    if is_internal(&topic.name) {
        let text = format!("only the broker writes to {}", &*topic.name);
        return Err(Failure::new(ErrorCode::InvalidTopicException, text).into());
    }
    let (partition, owner) = topic.partition(data.index).ok_or_else(Failure::unknown_partition)?;
    let config = &topic.log;
    let insync_min = config.insync_replicas_min;
    if acks == ACKS_ALL && 1 < insync_min {
        let text = format!("min.insync.replicas is {insync_min}, and there is one copy");
        return Err(Failure::new(ErrorCode::NotEnoughReplicas, text).into());
    }
    let bytes = data.records.unwrap_or_default();
    let limit = config.message_bytes_max;
    if limit < bytes.len() {
        let size = bytes.len();
        let text = format!("a batch of {size} bytes: max.message.bytes is {limit}");
        return Err(Failure::new(ErrorCode::MessageTooLarge, text).into());
    }
    let now = runtime::wall_clock_ms();
    let sets_time = config.timestamp_type == TimestampType::LogAppendTime;
    let rules = AppendRules {
        keys_required: config.compaction.is_some(),
        // A broker that sets the time does not ask for the producer's.
        timestamp_min: Timestamp(match sets_time {
            true => i64::MIN,
            false => now.saturating_sub(config.timestamp_before_max_ms),
        }),
        timestamp_max: Timestamp(match sets_time {
            true => i64::MAX,
            false => now.saturating_add(config.timestamp_after_max_ms),
        }),
        decompressed_bytes_max: core.config.connections.decompressed_bytes_max as u64,
    };
    let validated = validate(core, &bytes, rules, walked_bytes).await?;
    if validated.header.is_transactional() {
        let text = "transactions are not supported yet";
        return Err(Failure::new(ErrorCode::InvalidTxnState, text).into());
    }
    const ZSTD_VERSION_MIN: i16 = 7;
    if validated.header.compression()? == Compression::Zstd && version < ZSTD_VERSION_MIN {
        let text = format!("zstd needs Produce {ZSTD_VERSION_MIN} or later, not {version}");
        return Err(Failure::new(ErrorCode::UnsupportedCompressionType, text).into());
    }
    let log_append_time = sets_time.then_some(Timestamp(now));
    Ok(Checked { partition, owner, bytes, validated, config, log_append_time })
}

/// The batch as it is stored, and its memory if that is not the request's.
async fn to_store(
    core: &Core,
    checked: Checked<'_>,
    appends: &mut Appends,
    walked_bytes: &mut usize,
) -> Result<(Batch, Option<Share>), Refused> {
    let Checked { bytes, validated, config, log_append_time, .. } = checked;
    let sent = validated.header.compression()?;
    let stamp = |batch: &mut [u8]| match (log_append_time, validated.max_timestamp_to_patch()) {
        (Some(now), _) => record_batch::set_log_append_time(batch, now),
        (None, Some(time)) => record_batch::set_max_timestamp(batch, time),
        (None, None) => {}
    };
    if let Some(into) = config.compression.filter(|into| into.codec != sent) {
        // As sent it was within the limit; in another codec it may be larger.
        let limit_bytes = config.message_bytes_max;
        let batch_bytes_max = Recompression::batch_bytes_max(&validated, limit_bytes);
        let mut memory = appends.memory(core, batch_bytes_max).await;
        let anew = recompress(core, &bytes, &validated, into, limit_bytes, walked_bytes).await;
        let mut batch = anew?;
        memory.shrink_to(batch.len());
        stamp(&mut batch);
        return Ok((batch_of(Bytes::from(batch)), Some(memory)));
    }
    if log_append_time.is_none() && validated.max_timestamp_to_patch().is_none() {
        return Ok((Batch { header: validated.header, bytes }, None));
    }
    let mut copy = BytesMut::from(&bytes[..]);
    stamp(&mut copy);
    Ok((batch_of(copy.freeze()), None))
}

fn batch_of(bytes: Bytes) -> Batch {
    let header = BatchHeader::read(&bytes).expect("it was valid before");
    Batch { header, bytes }
}

fn refusal(Refused { failure, record }: Refused) -> PartitionProduceResponse {
    let mut response = answer(Err(failure), None);
    // KIP-467: the client fails this record and sends the others again.
    response.record_errors = record
        .map(|batch_index| BatchIndexAndErrorMessage {
            batch_index,
            batch_index_error_message: response.error_message.clone(),
        })
        .into_iter()
        .collect();
    response
}

/// The response without its index.
fn answer(
    outcome: Result<AppendOutcome, Failure>,
    log_append_time: Option<Timestamp>,
) -> PartitionProduceResponse {
    let (error_code, error_message, base_offset, log_start_offset) = match &outcome {
        Ok(outcome) => (ErrorCode::None, None, outcome.base_offset, outcome.log_start),
        Err(failure) => (failure.code, Some(failure.message.clone()), Offset::NONE, Offset::NONE),
    };
    let log_append_time_ms = match (outcome, log_append_time) {
        // Of a duplicate, the time at which it was first appended.
        (Ok(outcome), Some(_)) => outcome.max_timestamp,
        _ => Timestamp::NONE,
    };
    PartitionProduceResponse {
        error_code,
        base_offset,
        log_append_time_ms,
        log_start_offset,
        error_message: error_message.map(|message: Text| message),
        ..Default::default()
    }
}
