//! DescribeTopicPartitions: topics in the order of their names, so many partitions at a time.

use std::collections::BTreeSet;
use std::rc::Rc;

use model::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use wire::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsResponsePartition as ResponsePartition,
    DescribeTopicPartitionsResponseTopic as ResponseTopic,
};
use wire::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, ErrorCode, Text};

use super::metadata::is_possible;
use crate::core::Core;
use crate::image::is_internal;
use crate::image::{PartitionImage, TopicImage};

/// Partitions of one answer, whatever is asked for (Kafka's `max.request.partition.size.limit`).
const PARTITIONS_MAX: usize = 2000;

pub(super) fn handle(
    core: &Rc<Core>,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = core.image();
    let are_all = request.topics.is_empty();
    let mut names: BTreeSet<Text> = match are_all {
        true => image.topics().map(|topic| topic.name.clone()).collect(),
        false => request.topics.iter().map(|topic| topic.name.clone()).collect(),
    };
    if let Some(cursor) = &request.cursor {
        // Of all topics, the cursor's may have been deleted since.
        let is_known = are_all || names.contains(&cursor.topic_name);
        if !is_known || cursor.partition_index < PartitionIndex(0) {
            return refused(request);
        }
        names = names.split_off(&cursor.topic_name);
    }
    let asked = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut left_count = asked.clamp(1, PARTITIONS_MAX);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        if left_count == 0 {
            response.next_cursor =
                Some(Cursor { topic_name: name, partition_index: PartitionIndex(0) });
            break;
        }
        let Some(topic) = image.topic(&name) else {
            response.topics.push(missing(name));
            continue;
        };
        let first = match &request.cursor {
            Some(cursor) if cursor.topic_name == name => cursor.partition_index,
            _ => PartitionIndex(0),
        };
        let described = described(topic, first, left_count, image.broker);
        left_count -= described.partitions.len();
        let next =
            described.partitions.last().map(|last| PartitionIndex(last.partition_index.0 + 1));
        response.topics.push(described);
        if let Some(next) = next.filter(|next| topic.partition(*next).is_some()) {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index: next });
            break;
        }
    }
    response
}

/// The cursor is not one of ours: told for each topic, as there is no other place.
fn refused(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| ResponseTopic {
        error_code: ErrorCode::InvalidRequest,
        name: Some(topic.name.clone()),
        ..Default::default()
    });
    DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() }
}

fn missing(name: Text) -> ResponseTopic {
    ResponseTopic {
        error_code: match is_possible(&name) {
            true => ErrorCode::UnknownTopicOrPartition,
            false => ErrorCode::InvalidTopicException,
        },
        is_internal: is_internal(&name),
        name: Some(name),
        topic_id: TopicId::ZERO,
        ..Default::default()
    }
}

fn described(
    topic: &TopicImage,
    first: PartitionIndex,
    count_max: usize,
    broker: BrokerId,
) -> ResponseTopic {
    let skipped_count = usize::try_from(first.0).unwrap_or(0);
    let partitions = (0..).zip(&topic.partitions).skip(skipped_count).take(count_max);
    let partition_of = |(index, partition): (i32, &PartitionImage)| ResponsePartition {
        error_code: match partition.leader_epoch {
            Some(_) => ErrorCode::None,
            None => ErrorCode::LeaderNotAvailable,
        },
        partition_index: PartitionIndex(index),
        leader_id: if partition.leader_epoch.is_some() { broker } else { BrokerId(-1) },
        leader_epoch: partition.leader_epoch.unwrap_or(LeaderEpoch::NONE),
        replica_nodes: vec![broker],
        isr_nodes: vec![broker],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: Vec::new(),
    };
    ResponseTopic {
        error_code: ErrorCode::None,
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: partitions.map(partition_of).collect(),
        ..Default::default()
    }
}
