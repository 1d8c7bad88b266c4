//! ConsumerGroupHeartbeat and ConsumerGroupDescribe: the protocol of KIP-848.

use std::rc::Rc;

use coordinator::group::{
    Beat, ConsumerDescription, DescribedConsumer, MemberMetadata, Partitions,
};
use model::TopicId;
use wire::consumer_group_describe as describing;
use wire::consumer_group_heartbeat as beating;
use wire::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, ErrorCode, Text,
};

use super::admin::once_each;
use super::{Client, ask, info_of};
use crate::core::Core;
use crate::failure::Failure;
use crate::groups::{GroupAnswer, GroupRequest};
use crate::image::ClusterImage;

/// From here on members bring an id of their own.
const OWN_ID_VERSION_MIN: i16 = 1;
/// Of a member that joins and syncs.
const MEMBER_TYPE_CLASSIC: i8 = 0;
/// Of one that speaks this protocol.
const MEMBER_TYPE_CONSUMER: i8 = 1;

pub(super) async fn heartbeat(
    core: &Rc<Core>,
    version: i16,
    client: Client,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let heard = match OWN_ID_VERSION_MIN <= version && request.member_id.is_empty() {
        true => Err(Failure::new(ErrorCode::InvalidRequest, "MemberId can't be empty.")),
        false => {
            let beat = Box::new(beat_of(client, &request));
            ask(core, &request.group_id, || GroupRequest::Beat(beat)).await
        }
    };
    match heard {
        Ok(GroupAnswer::Beaten(told)) => ConsumerGroupHeartbeatResponse {
            error_code: ErrorCode::None,
            member_id: Some(Text::from(told.member)),
            member_epoch: told.epoch,
            heartbeat_interval_ms: told.interval_ms,
            assignment: told
                .assignment
                .map(|partitions| beating::Assignment { topic_partitions: in_answer(&partitions) }),
            ..Default::default()
        },
        Ok(other) => unreachable!("not an answer to this: {other:?}"),
        Err(Failure { code, message }) => ConsumerGroupHeartbeatResponse {
            error_code: code,
            error_message: Some(message),
            ..Default::default()
        },
    }
}

fn beat_of(client: Client, request: &ConsumerGroupHeartbeatRequest) -> Beat {
    let text = |text: &Option<Text>| text.as_ref().map(Text::to_string);
    let owned = request.topic_partitions.as_ref().map(|topics| {
        let all = topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| (topic.topic_id, *partition))
        });
        all.collect()
    });
    let topics = request.subscribed_topic_names.as_ref();
    Beat {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        epoch: request.member_epoch,
        instance: text(&request.instance_id),
        rack: text(&request.rack_id),
        client: info_of(client),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|ms| *ms != -1),
        topics: topics.map(|names| names.iter().map(Text::to_string).collect()),
        regex: text(&request.subscribed_topic_regex),
        assignor: text(&request.server_assignor),
        owned,
    }
}

fn in_answer(partitions: &Partitions) -> Vec<beating::TopicPartitions> {
    let topics = partitions.topics().map(|(topic_id, indexes)| beating::TopicPartitions {
        topic_id,
        partitions: indexes.iter().copied().collect(),
    });
    topics.collect()
}

pub(super) async fn describe(
    core: &Rc<Core>,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let image = core.image();
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for group_id in once_each(request.group_ids) {
        let group = group_id.to_string();
        let asked = ask(core, &group_id, || GroupRequest::DescribeConsumer { group }).await;
        groups.push(match asked {
            Ok(GroupAnswer::DescribedConsumer(group)) => described(&image, group_id, group),
            Ok(other) => unreachable!("not an answer to this: {other:?}"),
            Err(Failure { code, message }) => describing::DescribedGroup {
                error_code: code,
                error_message: Some(message),
                group_id,
                ..Default::default()
            },
        });
    }
    ConsumerGroupDescribeResponse { groups, ..Default::default() }
}

fn described(
    image: &ClusterImage,
    group_id: Text,
    group: ConsumerDescription,
) -> describing::DescribedGroup {
    let members = group.members.into_iter().map(|member| described_member(image, member));
    describing::DescribedGroup {
        error_code: ErrorCode::None,
        group_id,
        group_state: Text::from_static(group.state.name()),
        group_epoch: group.epoch,
        assignment_epoch: group.target_epoch,
        assignor_name: Text::from_static(group.assignor.name()),
        members: members.collect(),
        ..Default::default()
    }
}

fn described_member(image: &ClusterImage, member: DescribedConsumer) -> describing::Member {
    let MemberMetadata { instance, rack, client, topics, regex, classic, .. } = member.metadata;
    describing::Member {
        member_id: Text::from(member.id),
        instance_id: instance.map(Text::from),
        rack_id: rack.map(Text::from),
        member_epoch: member.epoch,
        client_id: Text::from(client.id),
        client_host: Text::from(client.host),
        subscribed_topic_names: topics.into_iter().map(Text::from).collect(),
        subscribed_topic_regex: regex.map(Text::from),
        assignment: named(image, &member.assigned),
        target_assignment: named(image, &member.target),
        member_type: match classic {
            Some(_) => MEMBER_TYPE_CLASSIC,
            None => MEMBER_TYPE_CONSUMER,
        },
    }
}

/// With the names of topics. Those that are not there any more are left out.
fn named(image: &ClusterImage, partitions: &Partitions) -> describing::Assignment {
    let name_of = |id: TopicId| image.topic_by_id(id).map(|topic| topic.name.clone());
    let topics = partitions.topics().filter_map(|(topic_id, indexes)| {
        Some(describing::TopicPartitions {
            topic_id,
            topic_name: name_of(topic_id)?,
            partitions: indexes.iter().copied().collect(),
        })
    });
    describing::Assignment { topic_partitions: topics.collect() }
}
