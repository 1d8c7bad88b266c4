//! A member that speaks the classic protocol. It gives up everything before it joins; it reads, commits,
//! leaves, falls silent, and tries now and then to commit as what it was before.

use std::rc::Rc;

use runtime::with_rng;
use wire::join_group::JoinGroupRequestProtocol;
use wire::leave_group::MemberIdentity;
use wire::sync_group::SyncGroupRequestAssignment;
use wire::{
    ErrorCode, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    SyncGroupRequest, Text,
};

use super::Context;
use super::group::{
    Identity, Positions, assigned, assignment, commit, find_coordinator, positions, read_some,
    subscription, topic_of_groups,
};
use super::peer::{Peer, any_version};
use crate::history::{Assigned, Joined};

const SESSION_TIMEOUT_MS: i32 = 2000;
/// Less than a request may take.
const REBALANCE_TIMEOUT_MS: i32 = 1500;
/// What members like, most of all the first; all of them know the first of all.
const PROTOCOLS: [&[&str]; 3] = [&["turns"], &["turns", "rounds"], &["rounds", "turns"]];
/// From here on there are static members.
const INSTANCE_VERSION_MIN: i16 = 5;

struct Member {
    peer: Peer,
    identity: Identity,
    /// What it was before.
    former: Option<Identity>,
    /// By which rules it would have partitions divided.
    protocols: &'static [&'static str],
}

/// As a static member if it has an instance.
pub(super) async fn run(context: Rc<Context>, group: &'static str, instance: Option<String>) {
    let identity =
        Identity { group, member: String::new(), instance, generation: -1, commit_version_min: 0 };
    let protocols = PROTOCOLS[0];
    let mut member = Member { peer: Peer::new(&context), identity, former: None, protocols };
    find_coordinator(&mut member.peer, group).await;
    while !context.is_ending() {
        if let Some(mut positions) = member.become_one().await {
            member.be_one(&mut positions).await;
        }
        context.pause().await;
    }
    member.leave().await;
}

impl Member {
    /// Joins and is told what to read. None if it has to begin anew.
    async fn become_one(&mut self) -> Option<Positions> {
        let joined = self.join().await?;
        let topic = topic_of_groups(&self.peer);
        let begun = self.peer.context.begin();
        let assignments = self.decide(&joined);
        let request = SyncGroupRequest {
            group_id: Text::from_static(self.identity.group),
            generation_id: self.identity.generation,
            member_id: Text::from(self.identity.member.clone()),
            group_instance_id: self.identity.instance.clone().map(Text::from),
            assignments,
            ..Default::default()
        };
        let version_min = if self.identity.instance.is_some() { 3 } else { 0 };
        let version = any_version::<SyncGroupRequest>(version_min);
        let synced = self.peer.ask_at(version, &request).await.ok()?;
        self.note_code(synced.error_code);
        if synced.error_code.is_error() {
            return None;
        }
        let partitions = assigned(&topic, &synced.assignment);
        self.peer.context.history.borrow_mut().assigned.push(Assigned {
            group: self.identity.group.to_owned(),
            generation: self.identity.generation,
            member: self.identity.member.clone(),
            instance: self.identity.instance.clone(),
            partitions: partitions.clone(),
            span: begun.span(),
        });
        match partitions.is_empty() {
            true => Some(Positions::new()),
            false => positions(&mut self.peer, self.identity.group, &partitions).await.ok(),
        }
    }

    async fn join(&mut self) -> Option<JoinGroupResponse> {
        let version_min = if self.identity.instance.is_some() { INSTANCE_VERSION_MIN } else { 0 };
        // One version for all of it, as the second answer belongs to the first.
        let version = any_version::<JoinGroupRequest>(version_min);
        self.protocols = with_rng(|rng| PROTOCOLS[rng.index(PROTOCOLS.len())]);
        for _ in 0..2 {
            let begun = self.peer.context.begin();
            let request = self.join_request();
            let joined = self.peer.ask_at(version, &request).await.ok()?;
            if joined.error_code == ErrorCode::MemberIdRequired {
                self.identity.member = joined.member_id.to_string();
                continue;
            }
            self.note_code(joined.error_code);
            if joined.error_code.is_error() {
                return None;
            }
            self.identity.member = joined.member_id.to_string();
            self.identity.generation = joined.generation_id;
            self.peer.context.history.borrow_mut().joined.push(Joined {
                group: self.identity.group.to_owned(),
                generation: joined.generation_id,
                member: self.identity.member.clone(),
                instance: self.identity.instance.clone(),
                leader: joined.leader.to_string(),
                protocol: joined.protocol_name.as_ref().map(Text::to_string).unwrap_or_default(),
                span: begun.span(),
            });
            return Some(joined);
        }
        None
    }

    fn join_request(&self) -> JoinGroupRequest {
        JoinGroupRequest {
            group_id: Text::from_static(self.identity.group),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            member_id: Text::from(self.identity.member.clone()),
            group_instance_id: self.identity.instance.clone().map(Text::from),
            protocol_type: Text::from_static("consumer"),
            protocols: self
                .protocols
                .iter()
                .map(|name| JoinGroupRequestProtocol {
                    name: Text::from_static(name),
                    metadata: subscription(&topic_of_groups(&self.peer).name),
                })
                .collect(),
            ..Default::default()
        }
    }

    /// The leader gives partitions by turns, whatever the rule is called. Where there is none, the broker
    /// has assigned.
    fn decide(&self, joined: &JoinGroupResponse) -> Vec<SyncGroupRequestAssignment> {
        if joined.leader != joined.member_id || joined.skip_assignment {
            return Vec::new();
        }
        let topic = topic_of_groups(&self.peer);
        let members_count = joined.members.len();
        let of = |place: usize| (0..topic.partitions_count).skip(place).step_by(members_count);
        let members = joined.members.iter().enumerate();
        members
            .map(|(place, member)| SyncGroupRequestAssignment {
                member_id: member.member_id.clone(),
                assignment: assignment(&topic.name, of(place)),
            })
            .collect()
    }

    /// Reads and commits until it is told to join again, or has enough.
    async fn be_one(&mut self, positions: &mut Positions) {
        loop {
            if self.peer.context.is_ending() {
                return;
            }
            read_some(&mut self.peer, self.identity.group, positions).await;
            let code = match with_rng(|rng| rng.below(20)) {
                0 => {
                    self.leave().await;
                    return;
                }
                // Nobody hears of it for longer than its session.
                1 => {
                    let pause = u64::from(SESSION_TIMEOUT_MS.unsigned_abs()) + 500;
                    runtime::sleep(std::time::Duration::from_millis(pause)).await;
                    continue;
                }
                2 => {
                    self.commit_as_before(positions).await;
                    None
                }
                3..8 if !positions.is_empty() => {
                    commit(&mut self.peer, &self.identity, positions, false).await
                }
                _ => self.heartbeat().await,
            };
            let code = code.unwrap_or(ErrorCode::None);
            self.note_code(code);
            if code.is_error() && !code.is_retriable() {
                return;
            }
            self.peer.context.pause().await;
        }
    }

    /// What it was before may not commit any more.
    async fn commit_as_before(&mut self, positions: &Positions) {
        if let Some(former) = self.former.clone()
            && former.generation < self.identity.generation
            && !positions.is_empty()
        {
            commit(&mut self.peer, &former, positions, true).await;
        }
    }

    async fn heartbeat(&mut self) -> Option<ErrorCode> {
        let request = HeartbeatRequest {
            group_id: Text::from_static(self.identity.group),
            generation_id: self.identity.generation,
            member_id: Text::from(self.identity.member.clone()),
            group_instance_id: self.identity.instance.clone().map(Text::from),
        };
        let version_min = if self.identity.instance.is_some() { 3 } else { 0 };
        let version = any_version::<HeartbeatRequest>(version_min);
        self.peer.ask_at(version, &request).await.ok().map(|response| response.error_code)
    }

    async fn leave(&mut self) {
        if self.identity.member.is_empty() {
            return;
        }
        let members = vec![MemberIdentity {
            member_id: Text::from(self.identity.member.clone()),
            group_instance_id: self.identity.instance.clone().map(Text::from),
            ..Default::default()
        }];
        let group_id = Text::from_static(self.identity.group);
        let request = LeaveGroupRequest { group_id, members, ..Default::default() };
        let left = self.peer.ask_at(any_version::<LeaveGroupRequest>(3), &request).await;
        if left.is_ok() {
            self.forget();
        }
    }

    /// It is no member any more, or not the one that it was.
    fn note_code(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => self.forget(),
            ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress => {
                self.former = Some(self.identity.clone()).filter(|it| 0 <= it.generation);
            }
            _ => {}
        }
    }

    fn forget(&mut self) {
        self.former = Some(self.identity.clone()).filter(|it| 0 <= it.generation);
        self.identity.member.clear();
        self.identity.generation = -1;
    }
}
