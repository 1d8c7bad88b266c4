//! One partition of `__consumer_offsets`: its groups, and whom to answer when.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use coordinator::group::{
    self, GroupError, GroupsSettings, Listing, Moment, OffsetsOf, Ticket, Turn,
};
use model::{PartitionIndex, Timestamp, TopicPartition};
use replication::{Append, Replica};
use runtime::sim::{PlantedBug, has_bug};
use runtime::sync::budget::Budget;
use runtime::sync::oneshot;
use runtime::{Instant, JoinHandle, Reply};
use wire::ErrorCode;

use super::log::{self, ReplicaLog};
use super::{GroupAnswer, GroupCounts, GroupRequest, SharedImage, not_here};
use crate::call::{CoreAnswer, CoreRequest, WatchId};
use crate::core::CoreMesh;
use crate::failure::Failure;

/// A log that cannot be read is tried again.
const LOAD_AGAIN_AFTER: Duration = Duration::from_secs(10);

pub(super) struct Hosted {
    replica: Rc<Replica>,
    settings: GroupsSettings,
    mesh: Rc<CoreMesh>,
    image: SharedImage,
    loading: Rc<Budget>,
    state: RefCell<State>,
}

struct State {
    stage: Stage,
    /// Who waits for the answer to a join or a sync.
    waiting: BTreeMap<Ticket, WatchId>,
    tickets_count: u64,
    /// What is to be answered when what was appended before it is flushed, in order.
    outgoing: VecDeque<Outgoing>,
    is_sending: bool,
    /// Wakes when the next deadline has come.
    timer: Option<(Instant, JoinHandle<()>)>,
    /// Topics that are not there are to be forgotten once the log is read.
    forgets: bool,
}

enum Stage {
    /// The log is being read.
    Loading,
    Serving(group::Groups),
    Closed,
}

/// Appends, and what they have to be flushed for.
#[derive(Default)]
struct Outgoing {
    appends: Vec<Append>,
    replies: Vec<(WatchId, group::Reply)>,
    answer: Option<(Reply<CoreAnswer>, Result<GroupAnswer, Failure>)>,
    done: Option<oneshot::Sender<()>>,
}

impl Hosted {
    pub(super) fn open(
        replica: Rc<Replica>,
        settings: GroupsSettings,
        mesh: Rc<CoreMesh>,
        image: SharedImage,
        loading: Rc<Budget>,
    ) -> Rc<Hosted> {
        let state = State {
            stage: Stage::Loading,
            waiting: BTreeMap::new(),
            tickets_count: 0,
            outgoing: VecDeque::new(),
            is_sending: false,
            timer: None,
            forgets: false,
        };
        let hosted =
            Rc::new(Hosted { replica, settings, mesh, image, loading, state: RefCell::new(state) });
        runtime::spawn(hosted.clone().load());
        hosted
    }

    /// Reads the log until that succeeds.
    async fn load(self: Rc<Self>) {
        loop {
            let turn = self.loading.take(1).await;
            let mut groups = group::Groups::new(self.settings);
            let loaded = log::load(&self.replica, &mut groups).await;
            drop(turn);
            if matches!(self.state.borrow().stage, Stage::Closed) {
                return;
            }
            match loaded {
                Ok(()) => {
                    groups.resume(moment(runtime::now()));
                    let forgets = {
                        let mut state = self.state.borrow_mut();
                        state.stage = Stage::Serving(groups);
                        std::mem::take(&mut state.forgets)
                    };
                    self.arm();
                    if forgets {
                        // Nobody waits for it.
                        drop(self.forget_topics());
                    }
                    return;
                }
                Err(error) => {
                    let partition = self.replica.partition();
                    tracing::error!(%partition, %error, "groups cannot be read from their log");
                }
            }
            runtime::sleep(LOAD_AGAIN_AFTER).await;
        }
    }

    pub(super) fn partition(&self) -> TopicPartition {
        self.replica.partition()
    }

    pub(super) fn close(&self) {
        let mut state = self.state.borrow_mut();
        state.stage = Stage::Closed;
        if let Some((_, timer)) = state.timer.take() {
            timer.abort();
        }
        let waiting = std::mem::take(&mut state.waiting);
        let outgoing = std::mem::take(&mut state.outgoing);
        drop(state);
        for outgoing in outgoing {
            self.refuse(outgoing, &not_here());
        }
        for waiter in waiting.into_values() {
            drop(self.mesh.call(waiter.core, CoreRequest::GroupReply { waiter, reply: None }));
        }
    }

    // ---- Requests.

    pub(super) fn handle(self: &Rc<Self>, request: GroupRequest, reply: Reply<CoreAnswer>) {
        // A sign of life waits for nothing: what it depends on was told to the member.
        if let GroupRequest::Heartbeat(member) = &request {
            let now = moment(runtime::now());
            let heard = self.look(|groups| groups.heartbeat(now, member));
            // Who is asked to join has so long for it.
            self.arm();
            let answer = heard.and_then(|heard| Ok(heard.map(|()| GroupAnswer::Done)?));
            return reply.send(CoreAnswer::Group(answer));
        }
        if let GroupRequest::Join { waiter, .. } | GroupRequest::Sync { waiter, .. } = &request {
            self.handle_waiting(*waiter, request, reply);
            return;
        }
        let acted = self.act(|groups, turn| decide(groups, turn, request));
        match acted {
            Ok((answer, outgoing)) => {
                self.send(Outgoing { answer: Some((reply, answer)), ..outgoing });
            }
            Err(failure) => reply.send(CoreAnswer::Group(Err(failure))),
        }
    }

    /// The call is answered at once, and the request when its time has come.
    fn handle_waiting(
        self: &Rc<Self>,
        waiter: WatchId,
        request: GroupRequest,
        reply: Reply<CoreAnswer>,
    ) {
        let ticket = {
            let mut state = self.state.borrow_mut();
            state.tickets_count += 1;
            let ticket = Ticket(state.tickets_count);
            state.waiting.insert(ticket, waiter);
            ticket
        };
        let acted = self.act(|groups, turn| match request {
            GroupRequest::Join { join, .. } => groups.join(turn, ticket, *join),
            GroupRequest::Sync { sync, .. } => groups.sync(turn, ticket, *sync),
            other => unreachable!("it does not wait: {other:?}"),
        });
        match acted {
            Ok(((), outgoing)) => {
                reply.send(CoreAnswer::Group(Ok(GroupAnswer::Waits)));
                self.send(outgoing);
            }
            Err(failure) => {
                self.state.borrow_mut().waiting.remove(&ticket);
                reply.send(CoreAnswer::Group(Err(failure)));
            }
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Listing>, Failure> {
        self.look(|groups| groups.list().collect())
    }

    pub(super) fn count(&self, counts: &mut GroupCounts) {
        // Those that are being read are counted when they are there.
        let _ = self.look(|groups| {
            counts.groups += groups.len();
            counts.members += groups.members_count();
        });
    }

    /// The future is ready when that is flushed, or is sure to be done when the log has been read.
    pub(super) fn forget_topics(
        self: &Rc<Self>,
    ) -> impl Future<Output = Result<(), oneshot::Closed>> + use<> {
        let (sender, receiver) = oneshot::channel();
        let acted = self.act(|groups, turn| groups.forget_topics(turn));
        match acted {
            Ok((_, outgoing)) => self.send(Outgoing { done: Some(sender), ..outgoing }),
            Err(_) => self.state.borrow_mut().forgets = true,
        }
        receiver
    }

    pub(super) fn expire_offsets(self: &Rc<Self>) {
        let acted = self.act(|groups, turn| groups.expire_offsets(turn));
        if let Ok((outcome, outgoing)) = acted {
            if let Err(error) = outcome {
                let partition = self.replica.partition();
                tracing::warn!(%partition, %error, "offsets that are too old stay for now");
            }
            self.send(outgoing);
        }
    }

    // ---- Turns.

    /// The groups, to look at or to change what no record says.
    fn look<R>(&self, look: impl FnOnce(&mut group::Groups) -> R) -> Result<R, Failure> {
        match &mut self.state.borrow_mut().stage {
            Stage::Serving(groups) => Ok(look(groups)),
            Stage::Loading => Err(Failure::new(
                ErrorCode::CoordinatorLoadInProgress,
                "the group's log is being read",
            )),
            Stage::Closed => Err(not_here()),
        }
    }

    /// Lets the groups act; what they append and answer is to be sent.
    fn act<R>(
        self: &Rc<Self>,
        act: impl FnOnce(&mut group::Groups, &mut Turn<'_>) -> R,
    ) -> Result<(R, Outgoing), Failure> {
        let wall_clock = Timestamp(runtime::wall_clock_ms());
        let mut log = ReplicaLog { replica: &self.replica, now: wall_clock, appends: Vec::new() };
        let mut replies = Vec::new();
        let image = self.image.borrow().clone();
        let outcome = self.look(|groups| {
            let mut turn = Turn {
                now: moment(runtime::now()),
                wall_clock,
                random: &mut || runtime::with_rng(runtime::Rng::next_u128),
                topics: &*image,
                log: &mut log,
                replies: &mut replies,
            };
            act(groups, &mut turn)
        })?;
        let appends = log.appends;
        let mut state = self.state.borrow_mut();
        let replies = replies.into_iter().filter_map(|(ticket, reply)| {
            let waiter = state.waiting.remove(&ticket);
            waiter.map(|waiter| (waiter, reply))
        });
        let outgoing = Outgoing { appends, replies: replies.collect(), answer: None, done: None };
        drop(state);
        self.arm();
        Ok((outcome, outgoing))
    }

    /// Wakes up at the next deadline.
    fn arm(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        let Stage::Serving(groups) = &state.stage else { return };
        let Some(Moment(next_ms)) = groups.next_deadline() else { return };
        let next = Instant::from_nanos(next_ms.saturating_mul(NANOS_PER_MS));
        if let Some((armed, _)) = &state.timer
            && *armed <= next
        {
            return;
        }
        let hosted = self.clone();
        let timer = runtime::spawn(async move {
            runtime::sleep_until(next).await;
            hosted.state.borrow_mut().timer = None;
            if let Ok(((), outgoing)) = hosted.act(|groups, turn| groups.expire(turn)) {
                hosted.send(outgoing);
            }
        });
        if let Some((_, before)) = state.timer.replace((next, timer)) {
            before.abort();
        }
    }

    // ---- Answers.

    /// Sends what it is when everything that was appended before is flushed.
    fn send(self: &Rc<Self>, outgoing: Outgoing) {
        let mut state = self.state.borrow_mut();
        let may_answer = has_bug(PlantedBug::AnswerGroupsBeforeFlush)
            || (outgoing.appends.is_empty() && !state.is_sending);
        if may_answer {
            drop(state);
            self.deliver(outgoing);
            return;
        }
        state.outgoing.push_back(outgoing);
        if !std::mem::replace(&mut state.is_sending, true) {
            runtime::spawn(self.clone().send_in_order());
        }
    }

    async fn send_in_order(self: Rc<Self>) {
        loop {
            let next = {
                let mut state = self.state.borrow_mut();
                let next = state.outgoing.pop_front();
                state.is_sending = next.is_some();
                next
            };
            let Some(mut outgoing) = next else { return };
            let appends = std::mem::take(&mut outgoing.appends);
            match self.flushed(appends).await {
                Ok(()) => self.deliver(outgoing),
                Err(failure) => self.fall_back(outgoing, &failure).await,
            }
        }
    }

    async fn flushed(&self, appends: Vec<Append>) -> Result<(), Failure> {
        for append in appends {
            let appended = append.await?;
            self.replica.wait_past(appended.leader_epoch, appended.next_offset).await?;
        }
        Ok(())
    }

    fn deliver(&self, outgoing: Outgoing) {
        let Outgoing { appends: _, replies, answer, done } = outgoing;
        for (waiter, reply) in replies {
            let reply = Some(Box::new(reply));
            // Nobody waits for the answer.
            drop(self.mesh.call(waiter.core, CoreRequest::GroupReply { waiter, reply }));
        }
        if let Some((reply, answer)) = answer {
            reply.send(CoreAnswer::Group(answer));
        }
        if let Some(done) = done {
            done.send(());
        }
    }

    fn refuse(&self, outgoing: Outgoing, failure: &Failure) {
        for (waiter, _) in outgoing.replies {
            drop(self.mesh.call(waiter.core, CoreRequest::GroupReply { waiter, reply: None }));
        }
        if let Some((reply, _)) = outgoing.answer {
            reply.send(CoreAnswer::Group(Err(failure.clone())));
        }
    }

    /// A record that the groups have taken up will not be in the log. What they are is what the log
    /// says, so it is read again.
    async fn fall_back(self: &Rc<Self>, outgoing: Outgoing, failure: &Failure) {
        let partition = self.replica.partition();
        let message = &failure.message;
        tracing::warn!(%partition, %message, "groups are read again from their log");
        let retry = Failure::new(ErrorCode::CoordinatorNotAvailable, &failure.message);
        let (rest, waiting) = {
            let mut state = self.state.borrow_mut();
            if matches!(state.stage, Stage::Closed) {
                drop(state);
                return self.refuse(outgoing, &not_here());
            }
            state.stage = Stage::Loading;
            if let Some((_, timer)) = state.timer.take() {
                timer.abort();
            }
            (std::mem::take(&mut state.outgoing), std::mem::take(&mut state.waiting))
        };
        self.refuse(outgoing, &retry);
        for waiter in waiting.into_values() {
            drop(self.mesh.call(waiter.core, CoreRequest::GroupReply { waiter, reply: None }));
        }
        for mut outgoing in rest {
            // What is in the log in the end is found there.
            let appends = std::mem::take(&mut outgoing.appends);
            let _ = self.flushed(appends).await;
            self.refuse(outgoing, &retry);
        }
        runtime::spawn(self.clone().load());
    }
}

const NANOS_PER_MS: u64 = 1_000_000;

fn moment(instant: Instant) -> Moment {
    Moment(instant.as_nanos() / NANOS_PER_MS)
}

/// What becomes of a request that does not wait.
fn decide(
    groups: &mut group::Groups,
    turn: &mut Turn<'_>,
    request: GroupRequest,
) -> Result<GroupAnswer, Failure> {
    match request {
        GroupRequest::Join { .. } | GroupRequest::Sync { .. } | GroupRequest::Heartbeat(_) => {
            unreachable!("handled elsewhere")
        }
        GroupRequest::Leave { group, leaving } => {
            Ok(GroupAnswer::Outcomes(outcomes(groups.leave(turn, &group, &leaving)?)))
        }
        GroupRequest::Beat(beat) => Ok(GroupAnswer::Beaten(groups.beat(turn, &beat)?)),
        GroupRequest::Commit(commit) => commit_known(groups, turn, commit),
        GroupRequest::Offsets { group, member, partitions } => {
            if let Some((member, epoch)) = member {
                groups.check_fetch(&group, &member, epoch)?;
            }
            let nothing = OffsetsOf::new();
            let offsets = groups.offsets(&group).unwrap_or(&nothing);
            Ok(GroupAnswer::Offsets(match partitions {
                None => offsets.clone(),
                Some(partitions) => some_of(offsets, partitions),
            }))
        }
        GroupRequest::DeleteOffsets { group, partitions } => {
            let deleted = groups.delete_offsets(turn, &group, &partitions)?;
            Ok(GroupAnswer::Outcomes(outcomes(deleted)))
        }
        GroupRequest::Delete { group } => {
            groups.delete(turn, &group)?;
            Ok(GroupAnswer::Done)
        }
        GroupRequest::Describe { group } => Ok(GroupAnswer::Described(groups.describe(&group)?)),
        GroupRequest::DescribeConsumer { group } => {
            Ok(GroupAnswer::DescribedConsumer(groups.describe_consumer(&group)?))
        }
    }
}

fn outcomes(outcomes: Vec<Result<(), GroupError>>) -> Vec<Result<(), Failure>> {
    outcomes.into_iter().map(|outcome| outcome.map_err(Failure::from)).collect()
}

/// Nobody comes far in a topic that is not there. Whether it is, this core knows: where a topic is
/// deleted, the image is replaced before its offsets go.
fn commit_known(
    groups: &mut group::Groups,
    turn: &mut Turn<'_>,
    mut commit: group::Commit,
) -> Result<GroupAnswer, Failure> {
    let is_known = |topic: &str, partition: PartitionIndex| {
        turn.topics.topic(topic).is_some_and(|(_, count)| (0..count).contains(&partition.0))
    };
    let known = commit.offsets.iter().map(|new| is_known(&new.topic, new.partition));
    let known: Vec<bool> = known.collect();
    let mut is_kept = known.iter();
    commit.offsets.retain(|_| *is_kept.next().expect("one for each"));
    let mut committed = groups.commit(turn, commit)?.into_iter();
    let outcomes = known.into_iter().map(|is_known| match is_known {
        true => committed.next().expect("one for each").map_err(Failure::from),
        false => Err(Failure::unknown_partition()),
    });
    Ok(GroupAnswer::Outcomes(outcomes.collect()))
}

fn some_of(offsets: &OffsetsOf, partitions: Vec<(String, Vec<PartitionIndex>)>) -> OffsetsOf {
    let mut found = OffsetsOf::new();
    for (topic, indexes) in partitions {
        let Some(all) = offsets.get(&topic) else { continue };
        let of_topic = found.entry(topic).or_default();
        for index in indexes {
            if let Some(offset) = all.get(&index) {
                of_topic.insert(index, offset.clone());
            }
        }
    }
    found
}
