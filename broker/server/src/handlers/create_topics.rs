//! CreateTopics.

use std::collections::BTreeMap;
use std::rc::Rc;

use coordinator::{BrokerConfigs, CONFIGS, NewTopic, value_of};
use wire::create_topics::{CreatableTopic, CreatableTopicConfigs, CreatableTopicResult};
use wire::{CreateTopicsRequest, CreateTopicsResponse, ErrorCode, Text};

use super::configs::source_code;
use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;
use crate::image::TopicImage;

pub(super) async fn handle(core: &Rc<Core>, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *counts.entry(&topic.name).or_default() += 1;
    }
    let is_repeated: Vec<bool> =
        request.topics.iter().map(|topic| 1 < counts[topic.name.as_str()]).collect();
    let wanted = request.topics.iter().zip(&is_repeated).filter(|(_, repeated)| !**repeated);
    let topics = wanted.map(|(topic, _)| new_topic(topic)).collect();
    let create = CoreRequest::CreateTopics { topics, validate_only: request.validate_only };
    let mut outcomes = match core.call_controller(create).await {
        CoreAnswer::Topics(outcomes) => outcomes.into_iter(),
        CoreAnswer::Failed(_) => Vec::new().into_iter(),
        other => unreachable!("not an answer to this: {other:?}"),
    };
    let broker_configs = core.image().broker_configs.clone();
    let results = request.topics.iter().zip(is_repeated).map(|(topic, is_repeated)| {
        let outcome = match is_repeated {
            true => {
                let text = "the request names this topic more than once";
                Err(Failure::new(ErrorCode::InvalidRequest, text))
            }
            false => outcomes.next().unwrap_or_else(|| Err(Failure::not_controlled())),
        };
        match outcome {
            Ok(image) => created(topic, &image, &broker_configs),
            Err(Failure { code, message }) => CreatableTopicResult {
                name: topic.name.clone(),
                error_code: code,
                error_message: Some(message),
                configs: None,
                ..Default::default()
            },
        }
    });
    CreateTopicsResponse { topics: results.collect(), ..Default::default() }
}

/// Negative numbers are "the default" (KIP-464).
fn new_topic(topic: &CreatableTopic) -> NewTopic {
    NewTopic {
        name: topic.name.to_string(),
        partitions_count: (topic.num_partitions != -1).then_some(topic.num_partitions),
        replication_factor: (topic.replication_factor != -1).then_some(topic.replication_factor),
        assignments: topic
            .assignments
            .iter()
            .map(|of| (of.partition_index.0, of.broker_ids.clone()))
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(Text::to_string)))
            .collect(),
    }
}

fn created(
    topic: &CreatableTopic,
    image: &TopicImage,
    broker_configs: &BrokerConfigs,
) -> CreatableTopicResult {
    let configs = CONFIGS.iter().map(|definition| {
        let (source, value) = value_of(&image.configs, broker_configs, definition);
        CreatableTopicConfigs {
            name: Text::from_static(definition.name),
            value: Some(Text::from(value.to_owned())),
            config_source: source_code(source),
            ..Default::default()
        }
    });
    CreatableTopicResult {
        name: topic.name.clone(),
        topic_id: image.id,
        error_code: ErrorCode::None,
        error_message: None,
        num_partitions: i32::try_from(image.partitions.len()).expect("a topic's are counted so"),
        replication_factor: 1,
        configs: Some(configs.collect()),
        ..Default::default()
    }
}
