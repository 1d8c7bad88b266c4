//! The cluster as a client sees it: its brokers, and which of them leads which partition.
//!
//! Guarantees: what it knows is refreshed when a broker says that it is wrong; what may be retried
//! is retried until a deadline, with growing pauses; a produce request is sent again only if it was
//! certainly not appended.
//! Does not know: batching, membership of groups. Lives on: one core.

mod topics;
mod descriptions;
mod configs;
mod records;
mod logs;
mod coordinators;
mod groups;
mod group_offsets;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use model::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use runtime::{now, sleep};
use wire::metadata::{MetadataRequestTopic, MetadataResponseBroker};
use wire::{ApiKey, ErrorCode, MetadataRequest, MetadataResponse, RequestMessage, Text};

use crate::address::{Host, Resolve};
use crate::connection::{Connection, ConnectionOptions};
use crate::error::{CallError, ClusterError, ConnectError, ms};

pub use configs::{ConfigChange, ConfigEntry, ConfigSource};
pub use descriptions::{
    BrokerDescription, ClusterDescription, PartitionDescription, TopicDescription,
};
pub(crate) use group_offsets::commit_of;
pub use group_offsets::{Committed, GroupOffsets};
pub use groups::{GroupDescription, GroupFilter, GroupMember, ListedGroup};
pub use logs::{DeleteBefore, LogDir, LogDirReplica};
pub use records::{Fetch, FetchFrom, Fetched, OffsetAt, Produced, Producer};
pub use topics::{NewTopic, NewTopicShape};

const RETRY_PAUSE_MIN: Duration = Duration::from_millis(10);
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(500);

/// How a cluster is talked to.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    pub connection: ConnectionOptions,
    pub resolve: Resolve,
    /// For how long errors that may pass are retried.
    pub retry_for: Duration,
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// None while there is none.
    pub broker: Option<BrokerId>,
    pub epoch: LeaderEpoch,
}

/// What is known of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Zero if the broker does not tell.
    pub id: TopicId,
    /// By partition index.
    pub partitions: Vec<Leader>,
}

#[derive(Debug, Default)]
struct Known {
    controller: Option<BrokerId>,
    brokers: BTreeMap<BrokerId, Host>,
    topics: BTreeMap<String, Topic>,
    /// Of groups.
    coordinators: BTreeMap<String, BrokerId>,
    /// One for each broker that has been talked to.
    connections: BTreeMap<BrokerId, Connection>,
}

/// A cluster of brokers that speak Kafka's protocol.
#[derive(Debug)]
pub struct Cluster {
    bootstrap: Vec<Host>,
    options: ClusterOptions,
    known: RefCell<Known>,
}

/// Why one attempt did not succeed.
#[derive(Debug)]
enum Attempt {
    /// The broker has answered so.
    Answered {
        code: ErrorCode,
        message: Option<Text>,
    },
    Failed(ClusterError),
}

impl From<CallError> for Attempt {
    fn from(error: CallError) -> Attempt {
        Attempt::Failed(error.into())
    }
}

impl From<ClusterError> for Attempt {
    fn from(error: ClusterError) -> Attempt {
        Attempt::Failed(error)
    }
}

impl Attempt {
    /// The answer's code, unless it says that all is well.
    fn check(code: ErrorCode, message: Option<&Text>) -> Result<(), Attempt> {
        match code {
            ErrorCode::None => Ok(()),
            code => Err(Attempt::Answered { code, message: message.cloned() }),
        }
    }

    /// As [`check`](Self::check), for whoever names a topic that should be there: that there is
    /// none is final. By its code it is not, since elsewhere it may mean that the broker is behind.
    fn check_named(
        api_key: ApiKey,
        topic: &str,
        code: ErrorCode,
        message: Option<&Text>,
    ) -> Result<(), Attempt> {
        if code != ErrorCode::UnknownTopicOrPartition {
            return Attempt::check(code, message);
        }
        let message = message.map(|message| message.as_str().to_owned());
        let what = topic.to_owned();
        Err(Attempt::Failed(ClusterError::Refused { api_key, what, code, message }))
    }

    /// Whether another attempt may succeed, and does no harm if this one did.
    fn may_pass(&self, api_key: ApiKey) -> bool {
        match self {
            Attempt::Answered { code, .. } => {
                code.is_retriable() && (is_harmless(api_key) || !may_be_done(*code))
            }
            // Nothing was sent.
            Attempt::Failed(ClusterError::Connect { .. } | ClusterError::Unreachable { .. }) => {
                true
            }
            Attempt::Failed(ClusterError::Call(CallError::Ended(_))) => is_harmless(api_key),
            Attempt::Failed(_) => false,
        }
    }

    fn into_error(self, api_key: ApiKey, what: &str, waited: Duration) -> ClusterError {
        let (code, message) = match self {
            Attempt::Failed(error) => return error,
            Attempt::Answered { code, message } => (code, message),
        };
        if code.is_retriable() {
            let what = format!("{api_key} of {what}");
            return ClusterError::TimedOut { what, waited_ms: ms(waited), code };
        }
        let message = message.map(|message| message.as_str().to_owned());
        ClusterError::Refused { api_key, what: what.to_owned(), code, message }
    }
}

/// Whether asking twice changes no more than asking once.
fn is_harmless(api_key: ApiKey) -> bool {
    // What is not listed is taken not to be: that is the safe side.
    matches!(
        api_key,
        ApiKey::Fetch
            | ApiKey::ListOffsets
            | ApiKey::Metadata
            | ApiKey::ApiVersions
            // The same offsets once more.
            | ApiKey::OffsetCommit
            | ApiKey::OffsetDelete
            | ApiKey::OffsetFetch
            | ApiKey::FindCoordinator
            // A member that joins again under its id takes its own place.
            | ApiKey::JoinGroup
            | ApiKey::SyncGroup
            | ApiKey::Heartbeat
            | ApiKey::LeaveGroup
            | ApiKey::DescribeGroups
            | ApiKey::ListGroups
            | ApiKey::ConsumerGroupDescribe
            | ApiKey::InitProducerId
            | ApiKey::OffsetForLeaderEpoch
            | ApiKey::DescribeConfigs
            | ApiKey::DescribeLogDirs
            | ApiKey::DescribeCluster
            | ApiKey::DescribeTopicPartitions
    )
}

/// Whether a broker answers so although it has done, or may yet do, what was asked.
fn may_be_done(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RequestTimedOut
            | ErrorCode::NetworkException
            | ErrorCode::NotEnoughReplicasAfterAppend
            | ErrorCode::KafkaStorageError
    )
}

impl Cluster {
    /// Connects to the first of the brokers that answers, and learns of the others.
    pub async fn connect(
        bootstrap: Vec<Host>,
        options: ClusterOptions,
    ) -> Result<Cluster, ClusterError> {
        let cluster = Cluster { bootstrap, options, known: RefCell::default() };
        cluster.refresh(Some(&[])).await?;
        Ok(cluster)
    }

    /// The brokers, as they were last told.
    pub fn brokers(&self) -> Vec<BrokerId> {
        self.known.borrow().brokers.keys().copied().collect()
    }

    /// What is known of a topic; asks if nothing is. A topic whose partitions have no leader yet is
    /// waited for.
    pub async fn topic(&self, name: &str) -> Result<Topic, ClusterError> {
        let known = self.known.borrow().topics.get(name).cloned();
        if let Some(topic) = known
            && topic.partitions.iter().all(|leader| leader.broker.is_some())
        {
            return Ok(topic);
        }
        self.reload_topic(name).await
    }

    /// Asks anew who leads a topic's partitions, and waits until each of them is led.
    pub async fn reload_topic(&self, name: &str) -> Result<Topic, ClusterError> {
        self.retry(ApiKey::Metadata, name, async || {
            let response = self.refresh(Some(&[name])).await?;
            let answer = response.topics.first().ok_or_else(|| incomplete::<MetadataRequest>(name));
            Attempt::check(answer?.error_code, None)?;
            let topic = self.known.borrow().topics.get(name).cloned();
            let topic = topic.ok_or_else(|| incomplete::<MetadataRequest>(name))?;
            let is_led = topic.partitions.iter().all(|leader| leader.broker.is_some());
            Attempt::check(
                if is_led { ErrorCode::None } else { ErrorCode::LeaderNotAvailable },
                None,
            )?;
            Ok(topic)
        })
        .await
    }

    /// Forgets who leads a topic's partitions, because a broker says that it is otherwise.
    pub fn forget_topic(&self, name: &str) {
        self.known.borrow_mut().topics.remove(name);
    }

    /// A connection to a broker, shared by all who ask; made if there is none that is alive.
    pub async fn connection(&self, broker: BrokerId) -> Result<Connection, ClusterError> {
        let known = self.known.borrow().connections.get(&broker).cloned();
        if let Some(connection) = known
            && connection.end().is_none()
        {
            return Ok(connection);
        }
        let connection = self.open(broker, self.options.connection.clone()).await?;
        self.known.borrow_mut().connections.insert(broker, connection.clone());
        Ok(connection)
    }

    /// A new connection to a broker, for the caller alone.
    pub async fn open(
        &self,
        broker: BrokerId,
        options: ConnectionOptions,
    ) -> Result<Connection, ClusterError> {
        let host = self.known.borrow().brokers.get(&broker).cloned();
        let host = host.ok_or(ClusterError::UnknownBroker { broker })?;
        let address = (self.options.resolve)(&host).ok_or(ClusterError::Unresolved { host })?;
        let connected = Connection::connect(address, options).await;
        connected.map_err(|source| ClusterError::Connect { broker, source })
    }

    /// A connection to whichever broker can be had: one that is known, or one of the first.
    pub async fn any_connection(&self) -> Result<Connection, ClusterError> {
        let alive = self.known.borrow().connections.values().find(|it| it.end().is_none()).cloned();
        if let Some(connection) = alive {
            return Ok(connection);
        }
        for broker in self.brokers() {
            if let Ok(connection) = self.connection(broker).await {
                return Ok(connection);
            }
        }
        let mut last: Option<(Host, ConnectError)> = None;
        for host in &self.bootstrap {
            let Some(address) = (self.options.resolve)(host) else {
                return Err(ClusterError::Unresolved { host: host.clone() });
            };
            match Connection::connect(address, self.options.connection.clone()).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some((host.clone(), error)),
            }
        }
        Err(match last {
            Some((host, source)) => ClusterError::Unreachable { host, source },
            None => ClusterError::NoBootstrap,
        })
    }

    /// Asks for the brokers and these topics, or for all that there are, and remembers the answer.
    async fn refresh(&self, topics: Option<&[&str]>) -> Result<MetadataResponse, ClusterError> {
        let connection = self.any_connection().await?;
        let version = connection.version(ApiKey::Metadata)?;
        let named = |&name: &&str| MetadataRequestTopic {
            name: Some(Text::from(name.to_owned())),
            ..Default::default()
        };
        let request = MetadataRequest {
            topics: match topics {
                Some(names) => Some(names.iter().map(named).collect()),
                // Version 0 has no null: there an empty list is all.
                None => (version == 0).then(Vec::new),
            },
            // Whoever misspells a topic should be told so.
            allow_auto_topic_creation: version < 4,
            ..Default::default()
        };
        let response = connection.call(&request).await?;
        self.known.borrow_mut().learn(&response);
        Ok(response)
    }

    /// Tries until it succeeds, fails for good, or time is up.
    async fn retry<T>(
        &self,
        api_key: ApiKey,
        what: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, Attempt>,
    ) -> Result<T, ClusterError> {
        let since = now();
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            let failure = match attempt().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let waited = now().since(since);
            if !failure.may_pass(api_key) || self.options.retry_for <= waited {
                return Err(failure.into_error(api_key, what, waited));
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    /// Does something on the leader of a partition. When the answer is that it is not the leader,
    /// or knows no such topic, what is known of the topic is forgotten before the next attempt.
    async fn on_leader<T>(
        &self,
        api_key: ApiKey,
        topic: &str,
        partition: PartitionIndex,
        mut attempt: impl AsyncFnMut(Connection, &Topic, Leader) -> Result<T, Attempt>,
    ) -> Result<T, ClusterError> {
        self.retry(api_key, topic, async || {
            let known = self.topic(topic).await?;
            let leader = leader_of(&known, topic, partition)?;
            let broker = leader.broker.expect("`topic` waits until every partition is led");
            let done = attempt(self.connection(broker).await?, &known, leader).await;
            if done.is_err() {
                self.forget_topic(topic);
            }
            done
        })
        .await
    }
}

impl Known {
    fn learn(&mut self, response: &MetadataResponse) {
        self.brokers.clear();
        for broker in &response.brokers {
            self.brokers.insert(broker.node_id, host_of(broker));
        }
        self.connections.retain(|broker, _| self.brokers.contains_key(broker));
        self.controller =
            Some(response.controller_id).filter(|broker| self.brokers.contains_key(broker));
        for topic in &response.topics {
            let Some(name) = topic.name.as_ref().map(|name| name.as_str().to_owned()) else {
                continue;
            };
            if topic.error_code.is_error() {
                self.topics.remove(&name);
                continue;
            }
            let mut leaders: Vec<(PartitionIndex, Leader)> = topic
                .partitions
                .iter()
                .map(|partition| {
                    let broker = Some(partition.leader_id)
                        .filter(|broker| self.brokers.contains_key(broker));
                    (partition.partition_index, Leader { broker, epoch: partition.leader_epoch })
                })
                .collect();
            leaders.sort_by_key(|(index, _)| *index);
            let partitions = leaders.into_iter().map(|(_, leader)| leader).collect();
            self.topics.insert(name, Topic { id: topic.topic_id, partitions });
        }
    }
}

fn leader_of(
    known: &Topic,
    topic: &str,
    partition: PartitionIndex,
) -> Result<Leader, ClusterError> {
    let index = usize::try_from(partition.0).ok();
    let leader = index.and_then(|index| known.partitions.get(index));
    leader.copied().ok_or_else(|| ClusterError::NoSuchPartition {
        topic: topic.to_owned(),
        partition,
        partitions_count: known.partitions.len(),
    })
}

fn host_of(broker: &MetadataResponseBroker) -> Host {
    let port = u16::try_from(broker.port).unwrap_or(0);
    Host { name: broker.host.as_str().to_owned(), port }
}

/// The answer leaves out what was asked for: a broker's bug.
fn incomplete<R: RequestMessage>(what: &str) -> ClusterError {
    ClusterError::Incomplete { api_key: R::API, what: what.to_owned() }
}

#[cfg(test)]
mod tests;
