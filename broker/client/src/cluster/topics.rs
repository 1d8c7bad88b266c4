//! Topics created and deleted.

use std::time::Duration;

use wire::create_topics::{CreatableTopic, CreatableTopicConfig, CreatableTopicResult};
use wire::delete_topics::DeleteTopicState;
use wire::{ApiKey, CreateTopicsRequest, DeleteTopicsRequest, Text};

use super::{Attempt, Cluster, Topic, incomplete};
use crate::connection::Connection;
use crate::error::ClusterError;

/// How long the brokers may take at most.
const ADMIN_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    /// -1 is the broker's default.
    pub partitions_count: i32,
    /// As above.
    pub replication_factor: i16,
    /// Kafka's names and values, for example `flush.messages` and `1`.
    pub configs: Vec<(String, String)>,
}

/// What a topic would be, as far as the broker tells: older ones do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTopicShape {
    pub partitions_count: Option<i32>,
    pub replication_factor: Option<i16>,
}

impl Cluster {
    /// Creates a topic and waits until each of its partitions has a leader. One that exists already
    /// is an error.
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<Topic, ClusterError> {
        self.ask_to_create(topic, false).await?;
        self.reload_topic(&topic.name).await
    }

    /// Whether a topic could be created, and what it would be. Nothing is created.
    pub async fn check_topic(&self, topic: &NewTopic) -> Result<NewTopicShape, ClusterError> {
        let answer = self.ask_to_create(topic, true).await?;
        Ok(NewTopicShape {
            partitions_count: Some(answer.num_partitions).filter(|&count| 0 < count),
            replication_factor: Some(answer.replication_factor).filter(|&factor| 0 < factor),
        })
    }

    async fn ask_to_create(
        &self,
        topic: &NewTopic,
        validate_only: bool,
    ) -> Result<CreatableTopicResult, ClusterError> {
        let timeout_ms = self.admin_timeout_ms();
        let topics = vec![creatable(topic)];
        let request = CreateTopicsRequest { topics, timeout_ms, validate_only };
        self.retry(ApiKey::CreateTopics, &topic.name, async || {
            let response = self.controller().await?.call(&request).await?;
            let answer = response.topics.into_iter().next();
            let answer = answer.ok_or_else(|| incomplete::<CreateTopicsRequest>(&topic.name))?;
            Attempt::check(answer.error_code, answer.error_message.as_ref())?;
            Ok(answer)
        })
        .await
    }

    /// Deletes a topic. One that does not exist is an error.
    pub async fn delete_topic(&self, name: &str) -> Result<(), ClusterError> {
        self.forget_topic(name);
        let timeout_ms = self.admin_timeout_ms();
        self.retry(ApiKey::DeleteTopics, name, async || {
            let connection = self.controller().await?;
            let by_state = 6 <= connection.version(ApiKey::DeleteTopics)?;
            let request = deletion_of(name, by_state, timeout_ms);
            let response = connection.call(&request).await?;
            let answer = response.responses.first();
            let answer = answer.ok_or_else(|| incomplete::<DeleteTopicsRequest>(name))?;
            let message = answer.error_message.as_ref();
            Attempt::check_named(ApiKey::DeleteTopics, name, answer.error_code, message)
        })
        .await
    }

    /// How long the brokers may take for a change: no longer than their answer is waited for.
    pub(super) fn admin_timeout_ms(&self) -> i32 {
        let timeout = self.options.connection.request_timeout.min(ADMIN_TIMEOUT_MAX);
        i32::try_from(timeout.as_millis()).expect("at most half a minute")
    }

    /// The broker that changes topics, if the cluster names one: otherwise any will pass it on.
    async fn controller(&self) -> Result<Connection, ClusterError> {
        let controller = self.known.borrow().controller;
        match controller {
            Some(broker) => self.connection(broker).await,
            None => self.any_connection().await,
        }
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let configs = topic.configs.iter().map(|(name, value)| CreatableTopicConfig {
        name: Text::from(name.clone()),
        value: Some(Text::from(value.clone())),
    });
    CreatableTopic {
        name: Text::from(topic.name.clone()),
        num_partitions: topic.partitions_count,
        replication_factor: topic.replication_factor,
        configs: configs.collect(),
        ..Default::default()
    }
}

fn deletion_of(name: &str, by_state: bool, timeout_ms: i32) -> DeleteTopicsRequest {
    let name = Text::from(name.to_owned());
    let mut request = DeleteTopicsRequest { timeout_ms, ..Default::default() };
    if by_state {
        request.topics = vec![DeleteTopicState { name: Some(name), ..Default::default() }];
    } else {
        request.topic_names = vec![name];
    }
    request
}
