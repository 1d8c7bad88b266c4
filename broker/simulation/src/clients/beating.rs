//! A member that speaks the protocol of KIP-848. It does what it is told, commits, leaves and falls
//! silent.

use std::rc::Rc;

use model::{PartitionIndex, TopicPartition};
use runtime::{Instant, now, sleep, with_rng};
use wire::consumer_group_heartbeat::TopicPartitions;
use wire::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode, OffsetCommitRequest,
    RequestMessage, Text,
};

use super::Context;
use super::group::{
    Identity, Positions, commit, find_coordinator, positions, read_some, topic_of_groups,
};
use super::peer::Peer;

const REBALANCE_TIMEOUT_MS: i32 = 1500;
/// What the plan gives the broker, less some: who has not been heard for so long reads nothing any
/// more.
const SESSION_LESS: std::time::Duration = std::time::Duration::from_millis(2500);

struct Member {
    peer: Peer,
    identity: Identity,
    owned: Vec<TopicPartition>,
    heard_at: Instant,
}

pub(super) async fn run(context: Rc<Context>, group: &'static str) {
    let id = with_rng(runtime::Rng::next_u128);
    let identity = Identity {
        group,
        member: format!("member-{id:032x}"),
        instance: None,
        generation: 0,
        commit_version_min: OffsetCommitRequest::API.versions().max,
    };
    let peer = Peer::new(&context);
    let mut member = Member { peer, identity, owned: Vec::new(), heard_at: now() };
    find_coordinator(&mut member.peer, group).await;
    let mut read_to = Positions::new();
    while !context.is_ending() {
        member.step(&mut read_to).await;
        context.pause().await;
    }
    member.identity.generation = -1;
    let _ = member.beat().await;
}

impl Member {
    async fn step(&mut self, read_to: &mut Positions) {
        if self.heard_at + SESSION_LESS <= now() {
            self.begin_anew(read_to);
        }
        let told = self.beat().await;
        let Some(told) = told else { return };
        if told.error_code.is_error() {
            if !told.error_code.is_retriable() {
                self.begin_anew(read_to);
            }
            return;
        }
        self.heard_at = now();
        self.identity.generation = told.member_epoch;
        if let Some(assignment) = told.assignment {
            let topic = topic_of_groups(&self.peer).id;
            let indexes = assignment.topic_partitions.iter().flat_map(|it| &it.partitions);
            let of = |index: &PartitionIndex| TopicPartition { topic, partition: *index };
            self.owned = indexes.map(of).collect();
            read_to.retain(|partition, _| self.owned.contains(partition));
        }
        let new = self.owned.iter().copied().filter(|it| !read_to.contains_key(it));
        let new: Vec<TopicPartition> = new.collect();
        if !new.is_empty()
            && let Ok(found) = positions(&mut self.peer, self.identity.group, &new).await
        {
            read_to.extend(found);
        }
        match with_rng(|rng| rng.below(20)) {
            // Nobody hears of it for longer than its session.
            0 => sleep(SESSION_LESS + std::time::Duration::from_secs(1)).await,
            1 => {
                let epoch = std::mem::replace(&mut self.identity.generation, -1);
                let left = self.beat().await;
                self.identity.generation = epoch;
                if left.is_some_and(|left| !left.error_code.is_error()) {
                    self.begin_anew(read_to);
                }
            }
            _ => {
                read_some(&mut self.peer, self.identity.group, read_to).await;
                if !read_to.is_empty() && with_rng(|rng| rng.one_in(3)) {
                    commit(&mut self.peer, &self.identity, read_to, false).await;
                }
            }
        }
    }

    /// It gives up everything.
    fn begin_anew(&mut self, read_to: &mut Positions) {
        self.owned.clear();
        read_to.clear();
        self.identity.generation = 0;
        self.heard_at = now();
    }

    async fn beat(&mut self) -> Option<ConsumerGroupHeartbeatResponse> {
        let topic = topic_of_groups(&self.peer);
        let joins = self.identity.generation == 0;
        let owned = TopicPartitions {
            topic_id: topic.id,
            partitions: self.owned.iter().map(|partition| partition.partition).collect(),
        };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: Text::from_static(self.identity.group),
            member_id: Text::from(self.identity.member.clone()),
            member_epoch: self.identity.generation,
            rebalance_timeout_ms: if joins { REBALANCE_TIMEOUT_MS } else { -1 },
            subscribed_topic_names: joins.then(|| vec![Text::from(topic.name)]),
            topic_partitions: Some(vec![owned].into_iter().filter(|_| !joins).collect()),
            ..Default::default()
        };
        // Version 0 would give it an id.
        let version = ConsumerGroupHeartbeatRequest::API.versions().max;
        let told = self.peer.ask_at(version, &request).await.ok()?;
        if told.error_code == ErrorCode::InvalidRequest {
            self.peer.note_absurd("ConsumerGroupHeartbeat", told.error_code);
        }
        Some(told)
    }
}
