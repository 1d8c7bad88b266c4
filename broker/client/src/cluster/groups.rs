//! Groups as they are at the moment: listed, described down to their members, and deleted.
//!
//! Guarantees: a group that is not there is told at once, by whichever code the broker says so.
//! Does not know: what members of groups other than consumers say to each other.

use std::collections::BTreeMap;

use model::BrokerId;
use wire::consumer_group_describe::{self, ConsumerGroupDescribeRequest};
use wire::describe_groups::{DescribedGroup, DescribedGroupMember};
use wire::{
    ApiKey, DeleteGroupsRequest, DescribeGroupsRequest, ErrorCode, ListGroupsRequest,
    ListGroupsResponse, Text,
};

use super::coordinators::what_of;
use super::{Attempt, Cluster, incomplete};
use crate::connection::Connection;
use crate::consumer_protocol::{Assignment, CONSUMER, Partitions, Subscription};
use crate::error::ClusterError;

/// From this version of ListGroups on states are told, and only those asked for.
const STATES_VERSION: i16 = 4;
/// And types.
const TYPES_VERSION: i16 = 5;
/// The type of groups of which older brokers have no other, as Kafka calls it.
const CLASSIC: &str = "classic";
/// The state of a group that is going, or that never was.
const DEAD: &str = "Dead";

/// Which groups are to be listed: all, where nothing is named. Kafka's names, as in
/// [`ListedGroup`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFilter {
    pub states: Vec<String>,
    pub types: Vec<String>,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub name: String,
    /// `consumer`, or whatever its members are; empty if it has only offsets.
    pub protocol_type: String,
    /// Kafka's name for it, such as `Stable`; none if the broker does not tell.
    pub state: Option<String>,
    /// Kafka's name for how it is led: `classic`, `consumer` and so on.
    pub group_type: String,
}

/// A group as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    pub name: String,
    pub group_type: String,
    pub protocol_type: String,
    pub state: String,
    /// How its partitions are divided; none if that is not agreed upon.
    pub assignor: Option<String>,
    /// Of a classic group, none: there it is not told.
    pub epoch: Option<i32>,
    pub coordinator: BrokerId,
    /// In the order of their ids.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    pub id: String,
    /// Of a static member.
    pub instance: Option<String>,
    pub client_id: String,
    pub host: String,
    /// What it wants to read; none if that is not told, or in words that are not known here.
    pub topics: Option<Vec<String>>,
    /// What it reads; as above. Nobody reads while the group is being divided anew.
    pub partitions: Option<Partitions>,
}

impl Cluster {
    /// The groups of all brokers, in the order of their names.
    pub async fn list_groups(
        &self,
        filter: &GroupFilter,
    ) -> Result<Vec<ListedGroup>, ClusterError> {
        // So that a broker that has come is asked, too.
        self.retry(ApiKey::Metadata, "the brokers", async || Ok(self.refresh(Some(&[])).await?))
            .await?;
        let mut groups = BTreeMap::new();
        for broker in self.brokers() {
            let what = format!("broker {broker}");
            let listed = self.retry(ApiKey::ListGroups, &what, async || {
                let connection = self.connection(broker).await?;
                list_of(&connection, filter).await
            });
            // A group that moves meanwhile may be told twice.
            groups.extend(listed.await?.into_iter().map(|group| (group.name.clone(), group)));
        }
        Ok(groups.into_values().collect())
    }

    /// A group as it is at the moment. One that does not exist is an error.
    pub async fn describe_group(&self, name: &str) -> Result<GroupDescription, ClusterError> {
        self.on_coordinator(ApiKey::DescribeGroups, name, async |connection| {
            let mut described = None;
            // Whoever knows groups of both kinds says of the wrong one that it is not there.
            if connection.version(ApiKey::ConsumerGroupDescribe).is_ok() {
                described = describe_consumer(&connection, name).await?;
            }
            let mut described = match described {
                Some(described) => described,
                None => describe_classic(&connection, name).await?,
            };
            let coordinator = self.known.borrow().coordinators.get(name).copied();
            described.coordinator = coordinator.unwrap_or(described.coordinator);
            described.members.sort_by(|one, other| one.id.cmp(&other.id));
            Ok(described)
        })
        .await
    }

    /// Deletes a group, and with it how far it has read. One that does not exist, or has members, is
    /// an error.
    pub async fn delete_group(&self, name: &str) -> Result<(), ClusterError> {
        let request = DeleteGroupsRequest { groups_names: vec![Text::from(name.to_owned())] };
        self.on_coordinator(ApiKey::DeleteGroups, name, async |connection| {
            let response = connection.call(&request).await?;
            let answer = response.results.first();
            let answer = answer.ok_or_else(|| incomplete::<DeleteGroupsRequest>(name))?;
            Attempt::check(answer.error_code, None)
        })
        .await
    }
}

/// What one broker lists. States that it could not tell are an error: leaving them out would list
/// what nobody has asked for.
async fn list_of(
    connection: &Connection,
    filter: &GroupFilter,
) -> Result<Vec<ListedGroup>, Attempt> {
    let version = connection.version(ApiKey::ListGroups)?;
    if version < STATES_VERSION && !filter.states.is_empty() {
        return Err(Attempt::Failed(ClusterError::TooOld {
            api_key: ApiKey::ListGroups,
            what: "the states of groups",
            version,
            needed_version: STATES_VERSION,
        }));
    }
    let texts = |names: &[String]| names.iter().cloned().map(Text::from).collect();
    let mut request =
        ListGroupsRequest { states_filter: texts(&filter.states), ..Default::default() };
    if TYPES_VERSION <= version {
        request.types_filter = texts(&filter.types);
    }
    let response: ListGroupsResponse = connection.call(&request).await?;
    Attempt::check(response.error_code, None)?;
    let listed = response.groups.iter().map(|group| ListedGroup {
        name: group.group_id.as_str().to_owned(),
        protocol_type: group.protocol_type.as_str().to_owned(),
        state: (STATES_VERSION <= version).then(|| group.group_state.as_str().to_owned()),
        group_type: match group.group_type.as_str() {
            "" => CLASSIC.to_owned(),
            group_type => group_type.to_owned(),
        },
    });
    let is_wanted = |group: &ListedGroup| {
        filter.types.is_empty()
            || filter.types.iter().any(|it| it.eq_ignore_ascii_case(&group.group_type))
    };
    Ok(listed.filter(is_wanted).collect())
}

/// A group of the consumer protocol (KIP-848); none if it is not one.
async fn describe_consumer(
    connection: &Connection,
    name: &str,
) -> Result<Option<GroupDescription>, Attempt> {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![Text::from(name.to_owned())],
        ..Default::default()
    };
    let response = connection.call(&request).await?;
    let group = response.groups.first();
    let group = group.ok_or_else(|| incomplete::<ConsumerGroupDescribeRequest>(name))?;
    // A broker on which the protocol is not switched on says that it has no such version.
    if matches!(group.error_code, ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion) {
        return Ok(None);
    }
    Attempt::check(group.error_code, group.error_message.as_ref())?;
    Ok(Some(GroupDescription {
        name: name.to_owned(),
        group_type: CONSUMER.to_owned(),
        protocol_type: CONSUMER.to_owned(),
        state: group.group_state.as_str().to_owned(),
        assignor: name_of(&group.assignor_name),
        epoch: Some(group.group_epoch),
        coordinator: BrokerId(-1),
        members: group.members.iter().map(consumer_member).collect(),
    }))
}

fn consumer_member(member: &consumer_group_describe::Member) -> GroupMember {
    let topics = member.subscribed_topic_names.iter().map(|topic| topic.as_str().to_owned());
    let mut partitions = Partitions::new();
    for of_topic in &member.assignment.topic_partitions {
        let topic = of_topic.topic_name.as_str().to_owned();
        partitions.entry(topic).or_default().extend(&of_topic.partitions);
    }
    GroupMember {
        id: member.member_id.as_str().to_owned(),
        instance: member.instance_id.as_ref().map(|it| it.as_str().to_owned()),
        client_id: member.client_id.as_str().to_owned(),
        host: member.client_host.as_str().to_owned(),
        topics: Some(topics.collect()),
        partitions: Some(partitions),
    }
}

async fn describe_classic(
    connection: &Connection,
    name: &str,
) -> Result<GroupDescription, Attempt> {
    let request =
        DescribeGroupsRequest { groups: vec![Text::from(name.to_owned())], ..Default::default() };
    let response = connection.call(&request).await?;
    let group = response.groups.first();
    let group = group.ok_or_else(|| incomplete::<DescribeGroupsRequest>(name))?;
    Attempt::check(group.error_code, group.error_message.as_ref())?;
    // What brokers say that have no code for it in this version.
    if group.group_state == DEAD && group.members.is_empty() {
        return Err(Attempt::Failed(ClusterError::Refused {
            api_key: ApiKey::DescribeGroups,
            what: what_of(name),
            code: ErrorCode::GroupIdNotFound,
            message: None,
        }));
    }
    Ok(GroupDescription {
        name: name.to_owned(),
        group_type: CLASSIC.to_owned(),
        protocol_type: group.protocol_type.as_str().to_owned(),
        state: group.group_state.as_str().to_owned(),
        assignor: name_of(&group.protocol_data),
        epoch: None,
        coordinator: BrokerId(-1),
        members: group.members.iter().map(|member| classic_member(group, member)).collect(),
    })
}

fn classic_member(group: &DescribedGroup, member: &DescribedGroupMember) -> GroupMember {
    let is_consumer = group.protocol_type == CONSUMER;
    let subscription = match member.member_metadata.as_ref() {
        b"" => None,
        _ => Subscription::read(&member.member_metadata).ok(),
    };
    let partitions = Assignment::read(&member.member_assignment).map(|it| it.partitions);
    GroupMember {
        id: member.member_id.as_str().to_owned(),
        instance: member.group_instance_id.as_ref().map(|it| it.as_str().to_owned()),
        client_id: member.client_id.as_str().to_owned(),
        host: member.client_host.as_str().to_owned(),
        topics: subscription.filter(|_| is_consumer).map(|it| it.topics),
        partitions: partitions.ok().filter(|_| is_consumer),
    }
}

fn name_of(text: &Text) -> Option<String> {
    Some(text.as_str().to_owned()).filter(|name| !name.is_empty())
}
