//! One member of a group of the classic protocol: it joins, learns which partitions it is to read,
//! and hears when they are divided anew.
//!
//! ```text
//!              ┌────────────── Rebalancing: commit what was read ◄──────────┐
//!              ▼                                                            │
//!   new ──► join() ──► partitions() ──► heartbeat(), commit() ──► Stable ───┤
//!              ▲                                                            │
//!              └────────────── Lost: others have them, commit nothing ◄─────┘
//! ```
//! It is driven by its owner and does nothing by itself: whoever does not call
//! [`heartbeat`](Member::heartbeat) several times within the session timeout is taken for dead. It
//! gives up all partitions before it joins again, as members do whose rebalances are eager.
//!
//! Guarantees: it is in one group with Java's consumers and librdkafka's, and divides partitions as
//! they do when it leads; what it holds is always of one generation.
//! Does not know: what it reads, and how far. Lives on: one core.

mod division;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use model::BrokerId;
use runtime::{now, sleep, timeout};
use wire::join_group::JoinGroupRequestProtocol;
use wire::leave_group::MemberIdentity;
use wire::{
    ApiKey, ErrorCode, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetCommitResponse, RequestMessage, SyncGroupRequest, Text,
};

use crate::assignor::Assignor;
use crate::cluster::{Cluster, GroupOffsets, commit_of};
use crate::connection::{Connection, ConnectionOptions};
use crate::consumer_protocol::{Assignment, CONSUMER, Partitions, Subscription};
use crate::error::{CallError, ClusterError, ConnectionEnd, ms};

/// From this version of JoinGroup on members may have an instance.
const STATIC_VERSION: i16 = 5;
/// From this version of LeaveGroup on many leave at once, and no other way is left.
const LEAVE_BATCHED_VERSION: i16 = 3;
/// Before it joins again because the first time was in vain.
const AGAIN_PAUSE: Duration = Duration::from_millis(10);

/// How a member belongs to its group.
#[derive(Clone, Debug)]
pub struct MemberOptions {
    pub group: String,
    /// What it wants to read.
    pub topics: Vec<String>,
    /// In the order in which it likes them; one of them has to be known to all.
    pub assignors: Vec<Assignor>,
    /// Of a static member (KIP-345): who comes back under the same instance within the session
    /// timeout gets the same partitions, and nobody else is disturbed.
    pub instance: Option<String>,
    /// Without a heartbeat for so long it is taken for dead. Brokers have limits for it.
    pub session_timeout: Duration,
    /// How long the others wait for it to join again.
    pub rebalance_timeout: Duration,
    /// Of its own connection to the coordinator, as joining may take long.
    pub connection: ConnectionOptions,
}

/// What its group thinks of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has its partitions.
    Stable,
    /// The partitions are being divided anew. They are still its own: commit how far they are read,
    /// and join again within the rebalance timeout.
    Rebalancing,
    /// It was taken for dead, or was too late: others have its partitions, and have begun where it
    /// has committed last. Read nothing more, commit nothing, and join again.
    Lost,
}

/// A member of a group.
#[derive(Debug)]
pub struct Member {
    options: MemberOptions,
    connection: RefCell<Option<(BrokerId, Connection)>>,
    /// Empty before the group has given it one.
    id: Text,
    /// -1 while it has no partitions.
    generation: i32,
    partitions: Partitions,
    /// How many partitions topics had when it divided them, as the leader.
    divided: Option<BTreeMap<String, usize>>,
}

/// What came of one attempt to join.
enum Step {
    Joined,
    /// At once, as the group wants it so.
    Again,
    /// The group has gone on without it.
    Overtaken(ApiKey, ErrorCode),
}

impl Member {
    /// A member that has not joined yet.
    pub fn new(options: MemberOptions) -> Member {
        Member {
            options,
            connection: RefCell::default(),
            id: Text::default(),
            generation: -1,
            partitions: Partitions::new(),
            divided: None,
        }
    }

    /// Empty before it has joined for the first time.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Which division of the group's partitions it takes part in; -1 if in none.
    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// What it is to read; nothing unless it has joined.
    pub fn partitions(&self) -> &Partitions {
        &self.partitions
    }

    /// Whether it has divided the group's partitions.
    pub fn is_leader(&self) -> bool {
        self.divided.is_some()
    }

    /// Gives up its partitions, and waits for those that it is to have now: for as long as the
    /// others may take to join, and longer only if some of them come and go all the time.
    pub async fn join(&mut self, cluster: &Cluster) -> Result<(), ClusterError> {
        self.give_up();
        let since = now();
        let allowed = self.join_timeout() + self.options.session_timeout;
        loop {
            let (api_key, code) = match self.try_to_join(cluster).await? {
                Step::Joined => return Ok(()),
                Step::Again => continue,
                Step::Overtaken(api_key, code) => (api_key, code),
            };
            self.note(api_key, code)?;
            let waited = now().since(since);
            if allowed <= waited {
                let what = format!("joining {}", self.what());
                return Err(ClusterError::TimedOut { what, waited_ms: ms(waited), code });
            }
            sleep(AGAIN_PAUSE).await;
        }
    }

    /// Says that it is alive, and hears how it stands.
    pub async fn heartbeat(&mut self, cluster: &Cluster) -> Result<Standing, ClusterError> {
        if self.generation < 0 {
            return Ok(Standing::Lost);
        }
        let request = HeartbeatRequest {
            group_id: self.group(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance(),
        };
        let allowed = self.options.connection.request_timeout;
        let build = |_: &Connection| Ok(request.clone());
        let passing = |response: &wire::HeartbeatResponse| passing(response.error_code);
        let response = self.ask(cluster, allowed, build, passing).await?;
        self.note(ApiKey::Heartbeat, response.error_code)
    }

    /// Commits how far it has read. Only [`Standing::Stable`] says that this was done; while the
    /// group waits for members to join it is done as well, and only the next heartbeat says so.
    pub async fn commit(
        &mut self,
        cluster: &Cluster,
        offsets: &GroupOffsets,
    ) -> Result<Standing, ClusterError> {
        if self.generation < 0 {
            return Ok(Standing::Lost);
        }
        let request = OffsetCommitRequest {
            group_id: self.group(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance(),
            topics: commit_of(offsets),
            ..Default::default()
        };
        let allowed = self.options.connection.request_timeout;
        let passing = |response: &OffsetCommitResponse| codes_of(response).find_map(passing);
        let build = |_: &Connection| Ok(request.clone());
        let response = self.ask(cluster, allowed, build, passing).await?;
        let code = codes_of(&response).find(|code| code.is_error());
        self.note(ApiKey::OffsetCommit, code.unwrap_or(ErrorCode::None))
    }

    /// Leaves the group, so that the others need not wait for it. A static member keeps its place
    /// until its session is over, for the one who comes back.
    pub async fn leave(&mut self, cluster: &Cluster) -> Result<(), ClusterError> {
        self.give_up();
        if self.id.is_empty() || self.options.instance.is_some() {
            return Ok(());
        }
        let (group_id, member_id) = (self.group(), std::mem::take(&mut self.id));
        let build = |connection: &Connection| {
            let mut request =
                LeaveGroupRequest { group_id: group_id.clone(), ..Default::default() };
            if LEAVE_BATCHED_VERSION <= connection.version(ApiKey::LeaveGroup)? {
                let member_id = member_id.clone();
                request.members = vec![MemberIdentity { member_id, ..Default::default() }];
            } else {
                request.member_id = member_id.clone();
            }
            Ok(request)
        };
        let allowed = self.options.connection.request_timeout;
        let passing = |response: &wire::LeaveGroupResponse| passing(response.error_code);
        let response = self.ask(cluster, allowed, build, passing).await?;
        let of_member = response.members.first().map_or(ErrorCode::None, |it| it.error_code);
        let code = if response.error_code.is_error() { response.error_code } else { of_member };
        match code {
            // It was not there any more, which is what is wanted.
            ErrorCode::None | ErrorCode::UnknownMemberId => Ok(()),
            code => Err(self.refused(ApiKey::LeaveGroup, code)),
        }
    }

    /// Whether topics have other partitions by now than it has divided as the leader: then it has to
    /// join again, and so have all the others. Of whoever does not lead it is never so.
    pub async fn is_outdated(&self, cluster: &Cluster) -> Result<bool, ClusterError> {
        let Some(divided) = &self.divided else { return Ok(false) };
        let topics: Vec<&str> = divided.keys().map(String::as_str).collect();
        let counts = cluster.partitions_counts(&topics).await?;
        Ok(divided.iter().any(|(topic, count)| counts.get(topic).unwrap_or(&0) != count))
    }

    async fn try_to_join(&mut self, cluster: &Cluster) -> Result<Step, ClusterError> {
        let joined = self.ask_to_join(cluster).await?;
        match joined.error_code {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired => {
                // KIP-394: so that a member whose answer is lost does not stay for a whole session.
                self.id = joined.member_id.detached();
                return Ok(Step::Again);
            }
            code => return Ok(Step::Overtaken(ApiKey::JoinGroup, code)),
        }
        self.id = joined.member_id.detached();
        let leads = joined.leader == joined.member_id;
        let divided = if leads { Some(self.divide(cluster, &joined).await?) } else { None };
        let (counts, assignments) = divided.unzip();
        let request = SyncGroupRequest {
            group_id: self.group(),
            generation_id: joined.generation_id,
            member_id: self.id.clone(),
            group_instance_id: self.instance(),
            protocol_type: Some(Text::from_static(CONSUMER)),
            protocol_name: joined.protocol_name.as_ref().map(Text::detached),
            assignments: assignments.unwrap_or_default(),
        };
        let build = |_: &Connection| Ok(request.clone());
        let passing = |response: &wire::SyncGroupResponse| passing(response.error_code);
        let synced = self.ask(cluster, self.join_timeout(), build, passing).await?;
        if synced.error_code.is_error() {
            return Ok(Step::Overtaken(ApiKey::SyncGroup, synced.error_code));
        }
        let assignment = Assignment::read(&synced.assignment);
        let what = || format!("the assignment of {}", self.what());
        let assignment =
            assignment.map_err(|source| ClusterError::Unreadable { what: what(), source })?;
        self.generation = joined.generation_id;
        self.partitions = assignment.partitions;
        self.divided = counts;
        Ok(Step::Joined)
    }

    async fn ask_to_join(&self, cluster: &Cluster) -> Result<JoinGroupResponse, ClusterError> {
        let topics = self.options.topics.clone();
        let metadata = Subscription { topics, ..Default::default() }.write();
        let protocol = |assignor: &Assignor| JoinGroupRequestProtocol {
            name: Text::from_static(assignor.name()),
            metadata: metadata.clone(),
        };
        let request = JoinGroupRequest {
            group_id: self.group(),
            session_timeout_ms: timeout_ms(self.options.session_timeout),
            rebalance_timeout_ms: timeout_ms(self.options.rebalance_timeout),
            member_id: self.id.clone(),
            group_instance_id: self.instance(),
            protocol_type: Text::from_static(CONSUMER),
            protocols: self.options.assignors.iter().map(protocol).collect(),
            reason: None,
        };
        let build = |connection: &Connection| {
            let version = connection.version(ApiKey::JoinGroup)?;
            if version < STATIC_VERSION && request.group_instance_id.is_some() {
                return Err(ClusterError::TooOld {
                    api_key: ApiKey::JoinGroup,
                    what: "static members",
                    version,
                    needed_version: STATIC_VERSION,
                });
            }
            Ok(request.clone())
        };
        let passing = |response: &JoinGroupResponse| passing(response.error_code);
        self.ask(cluster, self.join_timeout(), build, passing).await
    }

    /// Asks the coordinator, over a connection of its own, again for as long as `passing` says so.
    async fn ask<R: RequestMessage>(
        &self,
        cluster: &Cluster,
        allowed: Duration,
        build: impl Fn(&Connection) -> Result<R, ClusterError>,
        passing: impl Fn(&R::Response) -> Option<ErrorCode>,
    ) -> Result<R::Response, ClusterError> {
        let connect = async |broker| self.connect(cluster, broker).await;
        let ask = async |connection: Connection| {
            let request = build(&connection)?;
            match timeout(allowed, connection.call(&request)).await {
                Ok(answered) => Ok(answered?),
                Err(runtime::TimedOut) => {
                    self.connection.take();
                    let end = ConnectionEnd::TimedOut { api_key: R::API, waited_ms: ms(allowed) };
                    Err(CallError::Ended(end).into())
                }
            }
        };
        cluster.ask_coordinator::<R>(&self.options.group, connect, ask, passing).await
    }

    async fn connect(
        &self,
        cluster: &Cluster,
        broker: BrokerId,
    ) -> Result<Connection, ClusterError> {
        if let Some((to, connection)) = &*self.connection.borrow()
            && *to == broker
            && connection.end().is_none()
        {
            return Ok(connection.clone());
        }
        let mut options = self.options.connection.clone();
        // What takes less is bounded where it is asked.
        options.request_timeout = self.join_timeout();
        let connection = cluster.open(broker, options).await?;
        self.connection.replace(Some((broker, connection.clone())));
        Ok(connection)
    }

    /// How the member stands after an answer with this code. What ends its membership for good is an
    /// error.
    fn note(&mut self, api_key: ApiKey, code: ErrorCode) -> Result<Standing, ClusterError> {
        match code {
            ErrorCode::None => Ok(Standing::Stable),
            ErrorCode::RebalanceInProgress => Ok(Standing::Rebalancing),
            ErrorCode::IllegalGeneration => {
                self.give_up();
                Ok(Standing::Lost)
            }
            ErrorCode::UnknownMemberId => {
                self.give_up();
                self.id = Text::default();
                Ok(Standing::Lost)
            }
            ErrorCode::FencedInstanceId => {
                self.give_up();
                let (group, instance) = (self.options.group.clone(), self.options.instance.clone());
                let instance = instance.unwrap_or_default();
                Err(ClusterError::Fenced { group, instance })
            }
            code => Err(self.refused(api_key, code)),
        }
    }

    fn give_up(&mut self) {
        self.generation = -1;
        self.partitions.clear();
        self.divided = None;
    }

    /// The others may take the whole rebalance timeout, and the answer some time after that.
    fn join_timeout(&self) -> Duration {
        self.options.rebalance_timeout + self.options.connection.request_timeout
    }

    fn group(&self) -> Text {
        Text::from(self.options.group.clone())
    }

    fn instance(&self) -> Option<Text> {
        self.options.instance.clone().map(Text::from)
    }

    fn what(&self) -> String {
        format!("group {}", self.options.group)
    }

    fn refused(&self, api_key: ApiKey, code: ErrorCode) -> ClusterError {
        ClusterError::Refused { api_key, what: self.what(), code, message: None }
    }
}

/// The code, if it says that the same request may succeed later. That a topic is not there does not
/// pass while a member waits for it.
fn passing(code: ErrorCode) -> Option<ErrorCode> {
    Some(code).filter(|it| it.is_retriable() && *it != ErrorCode::UnknownTopicOrPartition)
}

fn codes_of(response: &OffsetCommitResponse) -> impl Iterator<Item = ErrorCode> {
    response.topics.iter().flat_map(|topic| topic.partitions.iter().map(|it| it.error_code))
}

fn timeout_ms(timeout: Duration) -> i32 {
    i32::try_from(ms(timeout)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
