//! Records: produced, fetched, and found by their time.

use std::time::Duration;

use bytes::Bytes;
use model::{Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicId};
use wire::fetch::{FetchPartition, FetchTopic};
use wire::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use wire::produce::{PartitionProduceData, TopicProduceData};
use wire::{ApiKey, FetchRequest, InitProducerIdRequest, ListOffsetsRequest, ProduceRequest, Text};

use super::{Attempt, Cluster, incomplete};
use crate::error::{ClusterError, ms};

/// The last version of Fetch that names topics by their names.
const FETCH_BY_NAME_VERSION_MAX: i16 = 12;
/// How long a broker may wait for its followers.
const PRODUCE_TIMEOUT: Duration = Duration::from_secs(30);

/// A place in a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetAt {
    /// Of the first record that there still is.
    Start,
    /// Of the next record that will be.
    End,
    /// Of the first record that is not older.
    Time(Timestamp),
}

/// How much to fetch, and how long to wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub wait_max: Duration,
    pub size_bytes_min: i32,
    pub size_bytes_max: i32,
}

/// What a partition holds from an offset on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Record batches. The first may begin before the offset asked for, the last may be cut off.
    pub records: Bytes,
    pub high_watermark: Offset,
    pub log_start: Offset,
}

/// Where records were appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    pub base_offset: Offset,
}

/// An identity under which a producer numbers its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
}

impl Cluster {
    /// Appends one record batch and waits for acks, which are 1 or -1 (all).
    ///
    /// When the connection ends before the answer, whether it was appended is not known; then the
    /// error is a [`CallError::Ended`](crate::CallError::Ended), and it was sent once.
    pub async fn produce(
        &self,
        topic: &str,
        partition: PartitionIndex,
        batch: Bytes,
        acks: i16,
    ) -> Result<Produced, ClusterError> {
        assert!(acks != 0, "without acks there is no answer to wait for: use Connection::post");
        let request = ProduceRequest {
            transactional_id: None,
            acks,
            timeout_ms: timeout_ms(PRODUCE_TIMEOUT),
            topic_data: vec![TopicProduceData {
                name: Text::from(topic.to_owned()),
                partition_data: vec![PartitionProduceData {
                    index: partition,
                    records: Some(batch),
                }],
            }],
        };
        self.on_leader(ApiKey::Produce, topic, partition, async |connection, _, _| {
            let response = connection.call(&request).await?;
            let answer = response.responses.first().and_then(|it| it.partition_responses.first());
            let answer = answer.ok_or_else(|| incomplete::<ProduceRequest>(topic))?;
            Attempt::check(answer.error_code, answer.error_message.as_ref())?;
            Ok(Produced { base_offset: answer.base_offset })
        })
        .await
    }

    /// Reads from an offset on; waits for as long as there are too few bytes.
    pub async fn fetch(
        &self,
        topic: &str,
        partition: PartitionIndex,
        offset: Offset,
        fetch: Fetch,
    ) -> Result<Fetched, ClusterError> {
        self.on_leader(ApiKey::Fetch, topic, partition, async |connection, known, leader| {
            let request = FetchRequest {
                max_wait_ms: timeout_ms(fetch.wait_max),
                min_bytes: fetch.size_bytes_min,
                max_bytes: fetch.size_bytes_max,
                topics: vec![FetchTopic {
                    topic: Text::from(topic.to_owned()),
                    topic_id: known.id,
                    partitions: vec![FetchPartition {
                        partition,
                        current_leader_epoch: leader.epoch,
                        fetch_offset: offset,
                        partition_max_bytes: fetch.size_bytes_max,
                        ..Default::default()
                    }],
                }],
                ..Default::default()
            };
            let version_max = fetch_version_max(known.id);
            let response = connection.start_up_to(version_max, &request)?.await?.response;
            Attempt::check(response.error_code, None)?;
            let answer = response.responses.first().and_then(|it| it.partitions.first());
            let answer = answer.ok_or_else(|| incomplete::<FetchRequest>(topic))?;
            Attempt::check(answer.error_code, None)?;
            let records = answer.records.as_ref().and_then(|records| records.contiguous());
            Ok(Fetched {
                records: records.cloned().unwrap_or_default(),
                high_watermark: answer.high_watermark,
                log_start: answer.log_start_offset,
            })
        })
        .await
    }

    /// The offset of a place in a partition's log. [`Offset::NONE`] if no record is that young.
    pub async fn offset(
        &self,
        topic: &str,
        partition: PartitionIndex,
        at: OffsetAt,
    ) -> Result<Offset, ClusterError> {
        let request = offsets_request(topic, &[partition], at);
        self.on_leader(ApiKey::ListOffsets, topic, partition, async |connection, _, _| {
            let response = connection.call(&request).await?;
            let answer = response.topics.first().and_then(|it| it.partitions.first());
            let answer = answer.ok_or_else(|| incomplete::<ListOffsetsRequest>(topic))?;
            Attempt::check(answer.error_code, None)?;
            Ok(answer.offset)
        })
        .await
    }

    /// A new identity for an idempotent producer.
    pub async fn init_producer(&self) -> Result<Producer, ClusterError> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            // Not used without a transactional id, but Kafka checks that it is positive.
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        self.retry(ApiKey::InitProducerId, "an idempotent producer", async || {
            let response = self.any_connection().await?.call(&request).await?;
            Attempt::check(response.error_code, None)?;
            Ok(Producer { id: response.producer_id, epoch: response.producer_epoch })
        })
        .await
    }
}

/// Asks for the offsets of a place in some of a topic's partitions.
pub(super) fn offsets_request(
    topic: &str,
    partitions: &[PartitionIndex],
    at: OffsetAt,
) -> ListOffsetsRequest {
    let timestamp = match at {
        OffsetAt::Start => -2,
        OffsetAt::End => -1,
        OffsetAt::Time(time) => time.0,
    };
    let partitions = partitions.iter().map(|&partition_index| ListOffsetsPartition {
        partition_index,
        timestamp,
        ..Default::default()
    });
    let name = Text::from(topic.to_owned());
    ListOffsetsRequest {
        replica_id: model::BrokerId(-1),
        isolation_level: 0,
        topics: vec![ListOffsetsTopic { name, partitions: partitions.collect() }],
    }
}

/// The latest version of Fetch that can name a topic of this id: later ones know ids only.
fn fetch_version_max(topic: TopicId) -> i16 {
    if topic == TopicId::ZERO { FETCH_BY_NAME_VERSION_MAX } else { i16::MAX }
}

fn timeout_ms(timeout: Duration) -> i32 {
    i32::try_from(ms(timeout)).unwrap_or(i32::MAX)
}
