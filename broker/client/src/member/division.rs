//! A leader's work: who in the group reads what.

use std::collections::{BTreeMap, BTreeSet};

use wire::join_group::JoinGroupResponseMember;
use wire::sync_group::SyncGroupRequestAssignment;
use wire::{ApiKey, JoinGroupResponse};

use super::Member;
use crate::assignor::{Assignor, Subscriber};
use crate::cluster::Cluster;
use crate::consumer_protocol::{Assignment, Subscription};
use crate::error::ClusterError;

impl Member {
    /// How many partitions the group's topics have, and what each member is to get of them.
    pub(super) async fn divide(
        &self,
        cluster: &Cluster,
        joined: &JoinGroupResponse,
    ) -> Result<(BTreeMap<String, usize>, Vec<SyncGroupRequestAssignment>), ClusterError> {
        let subscribers: Vec<Subscriber> = joined.members.iter().map(subscriber).collect();
        let topics: BTreeSet<&str> =
            subscribers.iter().flat_map(|it| it.topics.iter().map(String::as_str)).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let mut counts = cluster.partitions_counts(&topics).await?;
        let assigned = self.assignor(joined)?.assign(&counts, &subscribers);
        // What is not there has no partitions, and is noticed when it comes.
        for topic in topics {
            counts.entry(topic.to_owned()).or_insert(0);
        }
        if joined.skip_assignment {
            return Ok((counts, Vec::new()));
        }
        let assignments = assigned.into_iter().map(|(id, partitions)| {
            let assignment = Assignment { partitions, user_data: None }.write();
            SyncGroupRequestAssignment { member_id: id.into(), assignment }
        });
        Ok((counts, assignments.collect()))
    }

    /// What the group has agreed upon, which has to be one of those that this member has named.
    fn assignor(&self, joined: &JoinGroupResponse) -> Result<Assignor, ClusterError> {
        let name = joined.protocol_name.as_ref().map_or("", |name| name.as_str());
        let assignor = Assignor::named(name).filter(|it| self.options.assignors.contains(it));
        let what = format!("a protocol of {}", self.what());
        assignor.ok_or(ClusterError::Incomplete { api_key: ApiKey::JoinGroup, what })
    }
}

/// One whose subscription is in words that nobody knows gets nothing, and does not stop the others.
fn subscriber(member: &JoinGroupResponseMember) -> Subscriber {
    let subscription = Subscription::read(&member.metadata).unwrap_or_default();
    Subscriber {
        id: member.member_id.as_str().to_owned(),
        instance: member.group_instance_id.as_ref().map(|it| it.as_str().to_owned()),
        topics: subscription.topics,
    }
}
