//! Topics created and deleted.

use std::time::Duration;

use wire::create_topics::{CreatableTopic, CreatableTopicConfig};
use wire::delete_topics::DeleteTopicState;
use wire::{ApiKey, CreateTopicsRequest, DeleteTopicsRequest, ErrorCode, Text};

use super::{Attempt, Cluster, Topic, incomplete};
use crate::connection::Connection;
use crate::error::ClusterError;

/// How long the brokers may take.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    pub partitions_count: i32,
    pub replication_factor: i16,
    /// Kafka's names and values, for example `flush.messages` and `1`.
    pub configs: Vec<(String, String)>,
}

impl Cluster {
    /// Creates a topic and waits until each of its partitions has a leader. One that exists already
    /// is an error.
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<Topic, ClusterError> {
        let request = request_for(topic);
        self.retry(ApiKey::CreateTopics, &topic.name, async || {
            let response = self.controller().await?.call(&request).await?;
            let answer = response.topics.first();
            let answer =
                answer.ok_or_else(|| incomplete::<CreateTopicsRequest>(topic.name.as_str()))?;
            Attempt::check(answer.error_code, answer.error_message.as_ref())
        })
        .await?;
        self.reload_topic(&topic.name).await
    }

    /// Deletes a topic. One that does not exist is an error.
    pub async fn delete_topic(&self, name: &str) -> Result<(), ClusterError> {
        self.forget_topic(name);
        let deleted = self
            .retry(ApiKey::DeleteTopics, name, async || {
                let connection = self.controller().await?;
                let by_state = 6 <= connection.version(ApiKey::DeleteTopics)?;
                let response = connection.call(&deletion_of(name, by_state)).await?;
                let answer = response.responses.first();
                let answer = answer.ok_or_else(|| incomplete::<DeleteTopicsRequest>(name))?;
                // Retriable by its code, since elsewhere it may mean that the broker is behind.
                if answer.error_code == ErrorCode::UnknownTopicOrPartition {
                    return Ok(Err(answer.error_code));
                }
                Attempt::check(answer.error_code, answer.error_message.as_ref())?;
                Ok(Ok(()))
            })
            .await?;
        deleted.map_err(|code| ClusterError::Refused {
            api_key: ApiKey::DeleteTopics,
            what: name.to_owned(),
            code,
            message: None,
        })
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

fn request_for(topic: &NewTopic) -> CreateTopicsRequest {
    let configs = topic.configs.iter().map(|(name, value)| CreatableTopicConfig {
        name: Text::from(name.clone()),
        value: Some(Text::from(value.clone())),
    });
    CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: Text::from(topic.name.clone()),
            num_partitions: topic.partitions_count,
            replication_factor: topic.replication_factor,
            configs: configs.collect(),
            ..Default::default()
        }],
        timeout_ms: i32::try_from(ADMIN_TIMEOUT.as_millis()).expect("half a minute"),
        validate_only: false,
    }
}

fn deletion_of(name: &str, by_state: bool) -> DeleteTopicsRequest {
    let name = Text::from(name.to_owned());
    let timeout_ms = i32::try_from(ADMIN_TIMEOUT.as_millis()).expect("half a minute");
    let mut request = DeleteTopicsRequest { timeout_ms, ..Default::default() };
    if by_state {
        request.topics = vec![DeleteTopicState { name: Some(name), ..Default::default() }];
    } else {
        request.topic_names = vec![name];
    }
    request
}
