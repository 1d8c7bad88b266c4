//! What is done with each request.

mod alter_configs;
mod api_versions;
mod client_quotas;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_log_dirs;
mod describe_topic_partitions;
mod fetch;
mod groups;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod placement;
mod produce;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use coordinator::quota::Quota;
use coordinator::{NewTopic, OFFSETS_TOPIC};
use runtime::sync::budget::Share;
use storage::FileSlice;
use wire::{ApiKey, DecodeError, ErrorCode, Frame, Request, RequestPrefix, Response};

use crate::connection::Caller;
use crate::core::Core;

/// An answer of so many bytes does not wait for those who take theirs slowly.
const ANSWER_BYTES_FREE: usize = 64 << 10;

/// What comes of a request.
pub(crate) enum Outcome {
    Send(Answer),
    /// The client has asked for no answer.
    Nothing,
    /// The client can only be told by ending the connection.
    Close(&'static str),
}

/// An answer that can be sent.
pub(crate) struct Answer {
    pub(crate) frame: Frame,
    /// What the frame's external pieces stand for, by their tokens.
    pub(crate) files: Vec<FileSlice>,
    /// Of the core's, for what the answer holds on to.
    pub(crate) _memory: Option<Share>,
}

/// Who sends a request.
#[derive(Clone, Debug)]
struct Client {
    id: String,
    peer: SocketAddr,
}

pub(crate) type OutcomeFuture = Pin<Box<dyn Future<Output = Outcome>>>;

/// Begins with a request. What has to be in the order of arrival has happened when this returns;
/// the future is run when all answers before are sent. An error ends the connection.
pub(crate) async fn dispatch(
    core: &Rc<Core>,
    caller: &Caller,
    frame: &Bytes,
) -> Result<OutcomeFuture, DecodeError> {
    let prefix = RequestPrefix::read(frame)?;
    let RequestPrefix { api_version: version, correlation_id, .. } = prefix;
    let api = match prefix.api() {
        Ok(api) => api,
        Err(DecodeError::UnsupportedVersion { api_key: ApiKey::ApiVersions, .. }) => {
            // Kafka compatibility 3.1: version 0 with the range, from which clients choose again.
            let response = api_versions::table(0, ErrorCode::UnsupportedVersion);
            return Ok(ready(send(response, 0, correlation_id)));
        }
        Err(error) => return Err(error),
    };
    core.counters.note_request(api);
    let (header, request) = wire::decode_request(frame)?;
    let client_id = header.client_id.as_deref().unwrap_or_default();
    let throttle = &caller.throttle;
    if let Request::Produce(request) = request {
        // In the order of arrival, and then waited for.
        let used = [(Quota::ProducerBytes, frame.len())];
        let wait = throttle.charge(core, client_id, &used).await;
        let rest = caller.rest.note(core, frame.len(), request.timeout_ms).max(wait);
        let begun = produce::begin(core, &caller.affinity, version, rest, request);
        let produced = throttle.timed(core, begun).await;
        return Ok(Box::pin(async move {
            match produced.await {
                produce::Produced::Answer(response) => {
                    send(response.into(), version, correlation_id)
                }
                produce::Produced::Unacknowledged => Outcome::Nothing,
                produce::Produced::Failed => {
                    Outcome::Close("a batch without acknowledgement was refused")
                }
            }
        }));
    }
    let respond = move |response: Response| send(response, version, correlation_id);
    let client = Client { id: client_id.to_owned(), peer: caller.peer };
    let begun = begin(core.clone(), caller, client, version, request, respond);
    let answering = throttle.timed(core, begun).await;
    if core.image().quotas.is_empty() {
        return Ok(answering);
    }
    let (core, throttle, client_id) = (core.clone(), throttle.clone(), client_id.to_owned());
    Ok(Box::pin(async move {
        let outcome = throttle.timed(&core, answering).await;
        throttle.charge(&core, &client_id, &[]).await;
        outcome
    }))
}

/// Begins with what is no produce.
async fn begin(
    core: Rc<Core>,
    caller: &Caller,
    client: Client,
    version: i16,
    request: Request,
    respond: impl Fn(Response) -> Outcome + 'static,
) -> OutcomeFuture {
    match request {
        Request::Produce(_) => unreachable!("begun above"),
        // One after the other, each when all before it are answered.
        Request::Fetch(request) => {
            let (affinity, throttle) = (caller.affinity.clone(), caller.throttle.clone());
            Box::pin(async move {
                let mut fetched = fetch::handle(&core, &affinity, version, request).await;
                let (files, memory) = (fetched.files, fetched.memory);
                let used = [(Quota::ConsumerBytes, memory.as_ref().map_or(0, Share::amount))];
                let wait = throttle.charge(&core, &client.id, &used).await;
                fetched.response.throttle_time_ms = millis(wait);
                match respond(fetched.response.into()) {
                    Outcome::Send(answer) => {
                        Outcome::Send(Answer { files, _memory: memory, ..answer })
                    }
                    other => other,
                }
            })
        }
        Request::ListOffsets(request) => {
            Box::pin(
                async move { respond(list_offsets::handle(&core, version, request).await.into()) },
            )
        }
        Request::OffsetForLeaderEpoch(request) => Box::pin(async move {
            respond(offset_for_leader_epoch::handle(&core, request).await.into())
        }),
        // Topics are created before anything that comes after. The answer, which may be large, is
        // made when those before it are sent, so that a connection has one of them at a time; all
        // connections together have what fetches may have.
        Request::Metadata(request) => {
            metadata::begin(&core, version, &request).await;
            Box::pin(async move {
                let answer_bytes = metadata::answer_bytes(&core, &request);
                let counted_bytes = answer_bytes.saturating_sub(ANSWER_BYTES_FREE);
                let memory = match counted_bytes {
                    0 => None,
                    _ => Some(core.fetch_bytes.take(counted_bytes).await),
                };
                let outcome = respond(metadata::handle(&core, version, &request).into());
                with_memory(outcome, memory)
            })
        }
        // Before anything that comes after them on the connection.
        Request::CreateTopics(_)
        | Request::CreatePartitions(_)
        | Request::DeleteTopics(_)
        | Request::DeleteRecords(_)
        | Request::AlterConfigs(_)
        | Request::IncrementalAlterConfigs(_)
        | Request::AlterClientQuotas(_)
        | Request::InitProducerId(_) => ready(respond(finish(&core, version, request).await)),
        // One after the other as well: a join may wait for long.
        Request::FindCoordinator(_)
        | Request::JoinGroup(_)
        | Request::SyncGroup(_)
        | Request::Heartbeat(_)
        | Request::LeaveGroup(_)
        | Request::OffsetCommit(_)
        | Request::OffsetFetch(_)
        | Request::OffsetDelete(_)
        | Request::DescribeGroups(_)
        | Request::ListGroups(_)
        | Request::DeleteGroups(_)
        | Request::ConsumerGroupHeartbeat(_)
        | Request::ConsumerGroupDescribe(_) => {
            Box::pin(async move { respond(groups::handle(&core, version, client, request).await) })
        }
        Request::DescribeLogDirs(request) => {
            Box::pin(
                async move { respond(describe_log_dirs::handle(&core, &request).await.into()) },
            )
        }
        Request::DescribeConfigs(request) => {
            Box::pin(async move { respond(describe_configs::handle(&core, &request).into()) })
        }
        Request::ApiVersions(_)
        | Request::DescribeCluster(_)
        | Request::DescribeTopicPartitions(_)
        | Request::ElectLeaders(_)
        | Request::AlterPartitionReassignments(_)
        | Request::ListPartitionReassignments(_)
        | Request::DescribeClientQuotas(_) => ready(respond(now(&core, version, request))),
    }
}

/// What is done before the next request is read.
async fn finish(core: &Rc<Core>, version: i16, request: Request) -> Response {
    match request {
        Request::CreateTopics(request) => create_topics::handle(core, request).await.into(),
        Request::CreatePartitions(request) => create_partitions::handle(core, request).await.into(),
        Request::DeleteTopics(request) => {
            delete_topics::handle(core, version, request).await.into()
        }
        Request::DeleteRecords(request) => delete_records::handle(core, request).await.into(),
        Request::AlterConfigs(request) => alter_configs::handle(core, request).await.into(),
        Request::IncrementalAlterConfigs(request) => {
            alter_configs::handle_incremental(core, request).await.into()
        }
        Request::AlterClientQuotas(request) => client_quotas::alter(core, request).await.into(),
        Request::InitProducerId(request) => init_producer_id::handle(core, request).await.into(),
        request => unreachable!("dispatched elsewhere: {}", request.api_key()),
    }
}

/// What every core can answer by itself, without a wait.
fn now(core: &Rc<Core>, version: i16, request: Request) -> Response {
    match request {
        Request::ApiVersions(request) => api_versions::handle(version, &request),
        Request::DescribeCluster(request) => describe_cluster::handle(core, &request).into(),
        Request::DescribeTopicPartitions(request) => {
            describe_topic_partitions::handle(core, &request).into()
        }
        Request::ElectLeaders(request) => placement::elect(core, version, request).into(),
        Request::AlterPartitionReassignments(request) => placement::reassign(core, request).into(),
        Request::ListPartitionReassignments(_) => placement::list_reassignments().into(),
        Request::DescribeClientQuotas(request) => client_quotas::describe(core, request).into(),
        request => unreachable!("dispatched elsewhere: {}", request.api_key()),
    }
}

/// The topic that keeps groups, as the broker makes it: Kafka's own settings, and durable whatever is
/// said for others.
fn offsets_topic(core: &Core) -> NewTopic {
    let configs = [
        ("cleanup.policy", "compact"),
        ("compression.type", "producer"),
        ("flush.messages", "1"),
        ("segment.bytes", "104857600"),
    ];
    let configs = configs.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
    NewTopic {
        name: OFFSETS_TOPIC.to_owned(),
        partitions_count: Some(core.config.groups.partitions),
        configs: configs.to_vec(),
        ..NewTopic::default()
    }
}

/// As answers tell it.
fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

fn ready(outcome: Outcome) -> OutcomeFuture {
    Box::pin(std::future::ready(outcome))
}

/// The answer gives the memory back when it is sent.
fn with_memory(outcome: Outcome, memory: Option<Share>) -> Outcome {
    match outcome {
        Outcome::Send(answer) => Outcome::Send(Answer { _memory: memory, ..answer }),
        other @ (Outcome::Nothing | Outcome::Close(_)) => other,
    }
}

fn send(response: Response, version: i16, correlation_id: i32) -> Outcome {
    match response.encode(version, correlation_id) {
        Ok(frame) => Outcome::Send(Answer { frame, files: Vec::new(), _memory: None }),
        Err(error) => {
            tracing::error!(%error, api = %response.api_key(), version, "an answer of ours");
            Outcome::Close("an answer cannot be written")
        }
    }
}
