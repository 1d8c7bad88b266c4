//! Records: produced, fetched, and found by their time.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use model::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicId,
};
use wire::fetch::{FetchPartition, FetchTopic, PartitionData};
use wire::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use wire::produce::{PartitionProduceData, TopicProduceData};
use wire::{
    ApiKey, ErrorCode, FetchRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest, Text,
};

use super::{Attempt, Cluster, incomplete, leader_of};
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

/// Where to read on in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchFrom {
    pub topic: String,
    pub partition: PartitionIndex,
    pub offset: Offset,
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
        assert!(acks != 0, "without acks there is no answer to wait for");
        let request = produce_request(topic, partition, batch, acks);
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
            Ok(of_partition(answer))
        })
        .await
    }

    /// Appends one record batch and waits for nothing but that the kernel has taken it (acks=0). The
    /// broker says nothing, whatever becomes of it; one that refuses it closes the connection.
    pub async fn produce_unacknowledged(
        &self,
        topic: &str,
        partition: PartitionIndex,
        batch: Bytes,
    ) -> Result<(), ClusterError> {
        let request = produce_request(topic, partition, batch, 0);
        self.on_leader(ApiKey::Produce, topic, partition, async |connection, _, _| {
            connection.post(&request)?.await?;
            Ok(())
        })
        .await
    }

    /// Reads on in many partitions, asking each leader once; the first of a leader's that has enough
    /// ends the wait. A code says that nothing was read of a partition; where it means that another
    /// broker leads, that is looked up the next time. In the order of `from`.
    ///
    /// Nothing is tried again, as the caller is in a loop anyway.
    pub async fn fetch_many(
        &self,
        from: &[FetchFrom],
        fetch: Fetch,
    ) -> Result<Vec<Result<Fetched, ErrorCode>>, ClusterError> {
        let mut by_leader: BTreeMap<BrokerId, Vec<(usize, LeaderEpoch, TopicId)>> = BTreeMap::new();
        for (number, from) in from.iter().enumerate() {
            let known = self.topic(&from.topic).await?;
            let leader = leader_of(&known, &from.topic, from.partition)?;
            let broker = leader.broker.ok_or_else(|| {
                incomplete::<MetadataRequest>(&format!("the leader of {}", from.topic))
            })?;
            by_leader.entry(broker).or_default().push((number, leader.epoch, known.id));
        }
        let mut started = Vec::new();
        for (broker, of_leader) in by_leader {
            let connection = self.connection(broker).await?;
            let version_max =
                of_leader.iter().map(|(_, _, id)| fetch_version_max(*id)).min().unwrap_or(i16::MAX);
            let request = fetch_request(from, &of_leader, fetch);
            started.push((of_leader, connection.start_up_to(version_max, &request)?));
        }
        let mut results: Vec<Option<Result<Fetched, ErrorCode>>> = vec![None; from.len()];
        for (of_leader, answer) in started {
            let response = answer.await?.response;
            if response.error_code.is_error() {
                for (number, _, _) in of_leader {
                    results[number] = Some(Err(response.error_code));
                }
                continue;
            }
            for topic in response.responses {
                for data in topic.partitions {
                    let found = of_leader.iter().find(|(number, _, id)| {
                        let asked = &from[*number];
                        let is_topic = if topic.topic.is_empty() {
                            topic.topic_id == *id
                        } else {
                            topic.topic == *asked.topic
                        };
                        is_topic && asked.partition == data.partition_index
                    });
                    if let Some((number, _, _)) = found {
                        results[*number] = Some(fetched(data));
                    }
                }
            }
        }
        let results = results.into_iter().zip(from).map(|(result, from)| {
            let result = result.ok_or_else(|| incomplete::<FetchRequest>(&from.topic))?;
            if result.as_ref().is_err_and(|code| code.is_retriable()) {
                self.forget_topic(&from.topic);
            }
            Ok(result)
        });
        results.collect()
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

fn produce_request(topic: &str, index: PartitionIndex, batch: Bytes, acks: i16) -> ProduceRequest {
    let partition_data = vec![PartitionProduceData { index, records: Some(batch) }];
    let name = Text::from(topic.to_owned());
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: timeout_ms(PRODUCE_TIMEOUT),
        topic_data: vec![TopicProduceData { name, partition_data }],
    }
}

/// Asks one leader for all that it leads.
fn fetch_request(
    from: &[FetchFrom],
    of_leader: &[(usize, LeaderEpoch, TopicId)],
    fetch: Fetch,
) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for &(number, current_leader_epoch, topic_id) in of_leader {
        let from = &from[number];
        let partition = FetchPartition {
            partition: from.partition,
            current_leader_epoch,
            fetch_offset: from.offset,
            partition_max_bytes: fetch.size_bytes_max,
            ..Default::default()
        };
        match topics.iter_mut().find(|topic| topic.topic == *from.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(FetchTopic {
                topic: Text::from(from.topic.clone()),
                topic_id,
                partitions: vec![partition],
            }),
        }
    }
    FetchRequest {
        max_wait_ms: timeout_ms(fetch.wait_max),
        min_bytes: fetch.size_bytes_min,
        max_bytes: fetch.size_bytes_max,
        topics,
        ..Default::default()
    }
}

fn fetched(data: PartitionData) -> Result<Fetched, ErrorCode> {
    match data.error_code {
        ErrorCode::None => Ok(of_partition(&data)),
        code => Err(code),
    }
}

fn of_partition(data: &PartitionData) -> Fetched {
    let records = data.records.as_ref().and_then(|records| records.contiguous());
    Fetched {
        records: records.cloned().unwrap_or_default(),
        high_watermark: data.high_watermark,
        log_start: data.log_start_offset,
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
