//! Metadata: the broker, and who leads which partition.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use coordinator::{NewTopic, OFFSETS_TOPIC};
use model::{BrokerId, PartitionIndex, TopicId};
use wire::metadata::{
    MetadataRequestTopic, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use wire::{ErrorCode, MetadataRequest, MetadataResponse, Text};

use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;
use crate::image::{ClusterImage, TopicImage, is_internal};

/// From here on a client can decline that topics are created.
const DECLINE_VERSION_MIN: i16 = 4;

/// What an answer takes for each partition: as a structure, and as bytes.
const PARTITION_BYTES_MAX: usize = 256;

/// Creates what is asked for and is not there, before anything that comes after on the connection.
pub(super) async fn begin(core: &Rc<Core>, version: i16, request: &MetadataRequest) {
    let may_create = core.config.topics.auto_create
        && (version < DECLINE_VERSION_MIN || request.allow_auto_topic_creation);
    if may_create {
        create_missing(core, request).await;
    }
}

/// About how much memory the answer takes.
pub(super) fn answer_bytes(core: &Core, request: &MetadataRequest) -> usize {
    let image = core.image();
    let partitions_count: usize = match request.topics.as_deref() {
        None | Some([]) => image.topics().map(|topic| topic.partitions.len()).sum(),
        Some(topics) => {
            let names = once_each(topics).into_iter().filter_map(|topic| topic.name.as_ref());
            names.filter_map(|name| image.topic(name)).map(|topic| topic.partitions.len()).sum()
        }
    };
    partitions_count * PARTITION_BYTES_MAX
}

pub(super) fn handle(core: &Core, version: i16, request: &MetadataRequest) -> MetadataResponse {
    let image = core.image();
    let broker = image.broker;
    let topics = match &request.topics {
        None => image.topics().map(|topic| described(topic, broker)).collect(),
        // Kafka compatibility 3.2: in version 0 empty is all, later it is none.
        Some(topics) if topics.is_empty() && version == 0 => {
            image.topics().map(|topic| described(topic, broker)).collect()
        }
        Some(topics) => once_each(topics)
            .into_iter()
            .map(|topic| match &topic.name {
                Some(name) if topic.topic_id == TopicId::ZERO => by_name(&image, name),
                _ => by_id(&image, topic.topic_id),
            })
            .collect(),
    };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: broker,
            host: Text::from(image.address.host.clone()),
            port: i32::from(image.address.port),
            rack: None,
        }],
        cluster_id: Some(image.cluster_id.clone()),
        controller_id: broker,
        topics,
        ..Default::default()
    }
}

/// In the order of the request. A topic is described once however often it is named, as Kafka does
/// it: the answer is not longer than that about all topics.
fn once_each(topics: &[MetadataRequestTopic]) -> Vec<&MetadataRequestTopic> {
    let mut seen = BTreeSet::new();
    topics.iter().filter(|topic| seen.insert((&topic.name, topic.topic_id))).collect()
}

fn by_name(image: &ClusterImage, name: &Text) -> MetadataResponseTopic {
    match image.topic(name) {
        Some(topic) => described(topic, image.broker),
        None => MetadataResponseTopic {
            error_code: match is_possible(name) {
                true => ErrorCode::UnknownTopicOrPartition,
                false => ErrorCode::InvalidTopicException,
            },
            name: Some(name.clone()),
            ..Default::default()
        },
    }
}

fn by_id(image: &ClusterImage, topic_id: TopicId) -> MetadataResponseTopic {
    match image.topic_by_id(topic_id) {
        Some(topic) => described(topic, image.broker),
        None => MetadataResponseTopic {
            error_code: ErrorCode::UnknownTopicId,
            name: None,
            topic_id,
            ..Default::default()
        },
    }
}

/// Whether a topic could have this name.
pub(super) fn is_possible(name: &str) -> bool {
    coordinator::check_topic_name(name).is_ok()
}

fn described(topic: &Arc<TopicImage>, broker: BrokerId) -> MetadataResponseTopic {
    let partitions = (0..).zip(&topic.partitions).map(|(index, partition)| {
        let leader_epoch = partition.leader_epoch;
        MetadataResponsePartition {
            error_code: match leader_epoch {
                Some(_) => ErrorCode::None,
                None => ErrorCode::LeaderNotAvailable,
            },
            partition_index: PartitionIndex(index),
            leader_id: if leader_epoch.is_some() { broker } else { BrokerId(-1) },
            leader_epoch: leader_epoch.unwrap_or(model::LeaderEpoch::NONE),
            replica_nodes: vec![broker],
            isr_nodes: vec![broker],
            offline_replicas: Vec::new(),
        }
    });
    MetadataResponseTopic {
        error_code: ErrorCode::None,
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        ..Default::default()
    }
}

/// Creates the topics that are asked for by name and are not there.
async fn create_missing(core: &Rc<Core>, request: &MetadataRequest) {
    let image = core.image();
    let named = request.topics.iter().flatten().filter_map(|topic| topic.name.as_ref());
    let mut missing: Vec<String> = named
        .filter(|name| image.topic(name).is_none() && is_possible(name))
        .map(|name| name.to_string())
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return;
    }
    let topics = missing.into_iter().map(|name| match name.as_str() {
        OFFSETS_TOPIC => super::offsets_topic(core),
        _ => NewTopic { name, ..NewTopic::default() },
    });
    let create = CoreRequest::CreateTopics { topics: topics.collect(), validate_only: false };
    if let CoreAnswer::Topics(outcomes) = core.call_controller(create).await {
        // Who has lost a race against another client finds the topic as well.
        for failure in outcomes.into_iter().filter_map(Result::err) {
            if let Some(left_out) = core.lines.not_created.admit() {
                let Failure { code, message } = failure;
                tracing::info!(%code, ?message, left_out, "a topic is not created");
            }
        }
    }
}
