//! What a sink knows, and its answers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::record_batch::BatchHeader;
use model::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};
use runtime::sync::watch::Watch;
use runtime::{Instant, now, timeout, with_rng};
use wire::api_versions::ApiVersion;
use wire::create_topics::CreatableTopicResult;
use wire::delete_topics::{DeletableTopicResult, DeleteTopicState};
use wire::fetch::{FetchPartition, FetchableTopicResponse, PartitionData};
use wire::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use wire::metadata::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use wire::produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceResponse};
use wire::{
    ApiKey, ApiVersionsResponse, CreateTopicsRequest, CreateTopicsResponse, DecodeError,
    DeleteTopicsRequest, DeleteTopicsResponse, ErrorCode, FetchRequest, FetchResponse, Frame,
    InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, ProduceRequest, ProduceResponse, Records, Request, RequestPrefix, Response,
    Text,
};

use super::faults::{Faults, PlantedFaults, Planter, Stall};
use super::log::Log;

const THIS: BrokerId = BrokerId(1);
/// ListOffsets' question for the end of a log; every other is for its start.
const LATEST: i64 = -1;

/// What clients may ask for; no groups and no transactions.
const SERVED: [ApiKey; 8] = [
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::InitProducerId,
];

#[derive(Debug)]
struct Topic {
    id: TopicId,
    partitions: Vec<Log>,
}

type Topics = BTreeMap<Text, Topic>;

/// A broker without a disk.
#[derive(Debug)]
pub(super) struct Broker {
    address: SocketAddr,
    keeps_records: bool,
    /// Of a topic that is made because somebody has named it.
    partitions_count: usize,
    stall: Option<Stall>,
    started_at: Instant,
    topics: RefCell<Topics>,
    planter: RefCell<Planter>,
    planted: Arc<PlantedFaults>,
    /// Batches so far: who waits for records looks again when there are more.
    appended: Watch<u64>,
    producers_count: RefCell<i64>,
}

/// What becomes of a request.
pub(super) enum Answer {
    Now(Frame),
    /// Producers that want no acknowledgement get none.
    None,
    /// There are not enough records yet.
    Waits(WaitingFetch),
}

/// A fetch that waits for records.
pub(super) struct WaitingFetch {
    request: FetchRequest,
    version: i16,
    correlation_id: i32,
}

impl Broker {
    pub(super) fn new(
        address: SocketAddr,
        keeps_records: bool,
        partitions_count: usize,
        faults: Faults,
        planted: Arc<PlantedFaults>,
    ) -> Broker {
        Broker {
            address,
            keeps_records,
            partitions_count,
            stall: faults.stall,
            started_at: now(),
            topics: RefCell::default(),
            planter: RefCell::new(Planter::new(faults)),
            planted,
            appended: Watch::new(0),
            producers_count: RefCell::default(),
        }
    }

    /// Until when nothing is done, if that is so now.
    pub(super) fn stalls_until(&self) -> Option<Instant> {
        let Stall { every, length } = self.stall?;
        let since_start = now().since(self.started_at);
        let rounds = u32::try_from(since_start.as_nanos() / every.as_nanos()).ok()?;
        let until = every * rounds + length;
        (since_start < until).then(|| self.started_at + until)
    }

    /// Answers a request, as far as that can be done at once. What cannot be understood ends the
    /// connection.
    pub(super) fn answer(&self, frame: &Bytes) -> io::Result<Answer> {
        let prefix = RequestPrefix::read(frame).map_err(io::Error::other)?;
        let RequestPrefix { api_version: version, correlation_id, .. } = prefix;
        let (version, response) = match prefix.api() {
            Ok(_) => {
                let (_, request) = wire::decode_request(frame).map_err(io::Error::other)?;
                let response: Response = match request {
                    Request::Produce(request) => {
                        let is_answered = request.acks != 0;
                        let response = self.produce(request);
                        if !is_answered {
                            return Ok(Answer::None);
                        }
                        response.into()
                    }
                    Request::Fetch(request) => {
                        let (size_bytes, response) = self.fetch(&request);
                        let enough = usize::try_from(request.min_bytes).unwrap_or(0);
                        if size_bytes < enough && 0 < request.max_wait_ms {
                            let waiting = WaitingFetch { request, version, correlation_id };
                            return Ok(Answer::Waits(waiting));
                        }
                        response.into()
                    }
                    Request::ListOffsets(request) => self.list_offsets(&request).into(),
                    Request::Metadata(request) => self.metadata(&request).into(),
                    Request::ApiVersions(_) => versions(ErrorCode::None).into(),
                    Request::CreateTopics(request) => self.create_topics(&request).into(),
                    Request::DeleteTopics(request) => self.delete_topics(&request).into(),
                    Request::InitProducerId(_) => self.init_producer().into(),
                    request => {
                        let api = request.api_key();
                        return Err(io::Error::other(format!("a sink does not serve {api}")));
                    }
                };
                (version, response)
            }
            // KIP-511: in version 0 and with the versions that can be chosen from.
            Err(DecodeError::UnsupportedVersion { api_key: ApiKey::ApiVersions, .. }) => {
                (0, versions(ErrorCode::UnsupportedVersion).into())
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        response.encode(version, correlation_id).map(Answer::Now).map_err(io::Error::other)
    }

    /// Waits until there are enough records, or for as long as the client wants.
    pub(super) async fn wait_for_records(&self, fetch: WaitingFetch) -> io::Result<Frame> {
        let WaitingFetch { request, version, correlation_id } = fetch;
        let enough = usize::try_from(request.min_bytes).unwrap_or(0);
        let patience = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let found = self.appended.wait_for(|_| {
            let (size_bytes, response) = self.fetch(&request);
            (enough <= size_bytes).then_some(response)
        });
        let response = match timeout(patience, found).await {
            Ok(response) => response,
            Err(runtime::TimedOut) => self.fetch(&request).1,
        };
        let response = Response::from(response);
        response.encode(version, correlation_id).map_err(io::Error::other)
    }

    fn produce(&self, request: ProduceRequest) -> ProduceResponse {
        let mut topics = self.topics.borrow_mut();
        let responses = request.topic_data.into_iter().map(|data| {
            let mut topic = topics.get_mut(&data.name);
            let partitions = data.partition_data.into_iter().map(|partition| {
                let index = partition.index;
                let log = topic.as_mut().and_then(|topic| log_of(topic, index));
                let appended = match log {
                    None => Err(ErrorCode::UnknownTopicOrPartition),
                    Some(log) => self.append(log, partition),
                };
                match appended {
                    Ok(base_offset) => {
                        PartitionProduceResponse { index, base_offset, ..Default::default() }
                    }
                    Err(error_code) => PartitionProduceResponse {
                        index,
                        error_code,
                        base_offset: Offset::NONE,
                        ..Default::default()
                    },
                }
            });
            let partition_responses = partitions.collect();
            TopicProduceResponse { name: data.name, partition_responses }
        });
        let responses = responses.collect();
        drop(topics);
        self.appended.update(|count| *count += 1);
        ProduceResponse { responses, ..Default::default() }
    }

    fn append(&self, log: &mut Log, data: PartitionProduceData) -> Result<Offset, ErrorCode> {
        let batch = data.records.unwrap_or_default();
        let header = BatchHeader::read(&batch).map_err(|_| ErrorCode::CorruptMessage)?;
        let batch = self.planter.borrow_mut().pass(&header, batch, &self.planted);
        let Some(batch) = batch else { return Ok(log.end()) };
        let header = BatchHeader::read(&batch).map_err(|_| ErrorCode::CorruptMessage)?;
        Ok(log.append(&header, &batch))
    }

    /// The answer as it is now, and how many bytes of records are in it.
    fn fetch(&self, request: &FetchRequest) -> (usize, FetchResponse) {
        let topics = self.topics.borrow();
        let mut left_bytes = usize::try_from(request.max_bytes).unwrap_or(0);
        let mut size_bytes = 0;
        let responses = request.topics.iter().map(|wanted| {
            let is_named = |(name, topic): &(&Text, &Topic)| {
                **name == wanted.topic
                    || (wanted.topic_id != TopicId::ZERO && topic.id == wanted.topic_id)
            };
            let topic = topics.iter().find(is_named).map(|(_, topic)| topic);
            let partitions = wanted.partitions.iter().map(|partition| {
                let index = usize::try_from(partition.partition.0).ok();
                let log = topic.and_then(|topic| topic.partitions.get(index?));
                let data = fetch_partition(log, partition, left_bytes);
                let read_bytes = data.records.as_ref().map_or(0, Records::size_bytes);
                left_bytes = left_bytes.saturating_sub(read_bytes);
                size_bytes += read_bytes;
                data
            });
            let partitions = partitions.collect();
            let (topic, topic_id) = (wanted.topic.clone(), wanted.topic_id);
            FetchableTopicResponse { topic, topic_id, partitions }
        });
        let responses = responses.collect();
        (size_bytes, FetchResponse { responses, ..Default::default() })
    }

    fn list_offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let topics = self.topics.borrow();
        let answers = request.topics.iter().map(|wanted| {
            let topic = topics.get(&wanted.name);
            let partitions = wanted.partitions.iter().map(|partition| {
                let partition_index = partition.partition_index;
                let index = usize::try_from(partition_index.0).ok();
                let log = topic.and_then(|topic| topic.partitions.get(index?));
                let (error_code, offset) = match log {
                    None => (ErrorCode::UnknownTopicOrPartition, Offset::NONE),
                    Some(log) if partition.timestamp == LATEST => (ErrorCode::None, log.end()),
                    Some(log) => (ErrorCode::None, log.start()),
                };
                let answer = ListOffsetsPartitionResponse { partition_index, ..Default::default() };
                ListOffsetsPartitionResponse { error_code, offset, ..answer }
            });
            let partitions = partitions.collect();
            ListOffsetsTopicResponse { name: wanted.name.clone(), partitions }
        });
        ListOffsetsResponse { topics: answers.collect(), ..Default::default() }
    }

    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let mut topics = self.topics.borrow_mut();
        // Most clients make topics by naming them.
        let named = request.topics.iter().flatten().filter_map(|wanted| wanted.name.as_ref());
        for name in named.filter(|_| request.allow_auto_topic_creation) {
            if !topics.contains_key(name) {
                topics.insert(name.clone(), self.new_topic(self.partitions_count));
            }
        }
        let described = match &request.topics {
            None => topics.iter().map(|(name, topic)| describe(name, topic)).collect(),
            Some(wanted) => wanted
                .iter()
                .map(|wanted| {
                    let found = wanted.name.as_ref().and_then(|name| topics.get_key_value(name));
                    found.map_or_else(
                        || MetadataResponseTopic {
                            error_code: ErrorCode::UnknownTopicOrPartition,
                            name: wanted.name.clone(),
                            ..Default::default()
                        },
                        |(name, topic)| describe(name, topic),
                    )
                })
                .collect(),
        };
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: THIS,
                host: Text::from(self.address.ip().to_string()),
                port: self.address.port().into(),
                rack: None,
            }],
            controller_id: THIS,
            topics: described,
            ..Default::default()
        }
    }

    fn create_topics(&self, request: &CreateTopicsRequest) -> CreateTopicsResponse {
        let mut topics = self.topics.borrow_mut();
        let answers = request.topics.iter().map(|wanted| {
            let name = wanted.name.clone();
            if topics.contains_key(&name) {
                let error_code = ErrorCode::TopicAlreadyExists;
                return CreatableTopicResult { name, error_code, ..Default::default() };
            }
            let count = usize::try_from(wanted.num_partitions).unwrap_or(1).max(1);
            let topic = self.new_topic(count);
            let id = topic.id;
            topics.insert(name.clone(), topic);
            let num_partitions = i32::try_from(count).unwrap_or(i32::MAX);
            CreatableTopicResult {
                name,
                topic_id: id,
                num_partitions,
                replication_factor: 1,
                ..Default::default()
            }
        });
        CreateTopicsResponse { topics: answers.collect(), ..Default::default() }
    }

    fn new_topic(&self, partitions_count: usize) -> Topic {
        let id = TopicId::from_random(with_rng(|rng| rng.next_u128()));
        let partitions = (0..partitions_count).map(|_| Log::new(self.keeps_records)).collect();
        Topic { id, partitions }
    }

    fn delete_topics(&self, request: &DeleteTopicsRequest) -> DeleteTopicsResponse {
        let mut topics = self.topics.borrow_mut();
        let by_state = request.topics.iter().map(|DeleteTopicState { name, .. }| name.clone());
        let by_name = request.topic_names.iter().cloned().map(Some);
        let answers = by_state.chain(by_name).map(|name| {
            let was_there = name.as_ref().and_then(|name| topics.remove(name));
            let error_code = match was_there {
                Some(_) => ErrorCode::None,
                None => ErrorCode::UnknownTopicOrPartition,
            };
            DeletableTopicResult { name, error_code, ..Default::default() }
        });
        DeleteTopicsResponse { responses: answers.collect(), ..Default::default() }
    }

    fn init_producer(&self) -> InitProducerIdResponse {
        let mut count = self.producers_count.borrow_mut();
        *count += 1;
        InitProducerIdResponse {
            producer_id: ProducerId(*count),
            producer_epoch: ProducerEpoch(0),
            ..Default::default()
        }
    }
}

fn versions(error_code: ErrorCode) -> ApiVersionsResponse {
    let api_keys = SERVED.iter().map(|api| ApiVersion {
        api_key: api.code(),
        min_version: api.versions().min,
        max_version: api.versions().max,
    });
    ApiVersionsResponse { error_code, api_keys: api_keys.collect(), ..Default::default() }
}

fn log_of(topic: &mut Topic, index: PartitionIndex) -> Option<&mut Log> {
    topic.partitions.get_mut(usize::try_from(index.0).ok()?)
}

fn fetch_partition(log: Option<&Log>, wanted: &FetchPartition, left_bytes: usize) -> PartitionData {
    let partition_index = wanted.partition;
    let Some(log) = log else {
        let error_code = ErrorCode::UnknownTopicOrPartition;
        return PartitionData { partition_index, error_code, ..Default::default() };
    };
    let (start, end) = (log.start(), log.end());
    let error_code = match (start..=end).contains(&wanted.fetch_offset) {
        true => ErrorCode::None,
        false => ErrorCode::OffsetOutOfRange,
    };
    let limit_bytes = left_bytes.min(usize::try_from(wanted.partition_max_bytes).unwrap_or(0));
    let mut records = Records::new();
    if !error_code.is_error() && 0 < left_bytes {
        for (_, batch) in log.read(wanted.fetch_offset, limit_bytes) {
            records.push_bytes(batch.clone());
        }
    }
    PartitionData {
        partition_index,
        error_code,
        high_watermark: end,
        last_stable_offset: end,
        log_start_offset: start,
        records: Some(records),
        ..Default::default()
    }
}

fn describe(name: &Text, topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..).zip(&topic.partitions).map(|(index, _)| MetadataResponsePartition {
        partition_index: PartitionIndex(index),
        leader_id: THIS,
        leader_epoch: LeaderEpoch(0),
        replica_nodes: vec![THIS],
        isr_nodes: vec![THIS],
        ..Default::default()
    });
    MetadataResponseTopic {
        name: Some(name.clone()),
        topic_id: topic.id,
        partitions: partitions.collect(),
        ..Default::default()
    }
}
