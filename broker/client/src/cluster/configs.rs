//! Configs of topics: told, and changed one by one.
//!
//! Guarantees: a change is sent once, unless it was certainly not made. Does not know: which
//! configs there are, and what they mean.

use wire::describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult};
use wire::incremental_alter_configs::{
    IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};
use wire::{ApiKey, DescribeConfigsRequest, IncrementalAlterConfigsRequest, Text};

use super::{Attempt, Cluster, incomplete};
use crate::error::ClusterError;

/// Kafka's number for topics among all that has configs.
const TOPIC: i8 = 2;
const SET: i8 = 0;
const UNSET: i8 = 1;

/// A config of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    /// None if it has none, or if it is not told.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub is_read_only: bool,
    /// Its value is not told.
    pub is_sensitive: bool,
}

/// Where the value of a config is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set for the topic.
    Topic,
    /// Set for one broker while it runs.
    DynamicBroker,
    /// Set for all brokers while they run.
    DynamicDefaultBroker,
    /// From the broker's file.
    StaticBroker,
    /// Set nowhere.
    Default,
    /// What is not known here.
    Other(i8),
}

/// A change of a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    Set {
        name: String,
        value: String,
    },
    /// Back to what it is when nobody sets it for the topic.
    Unset {
        name: String,
    },
}

impl ConfigSource {
    fn from_code(code: i8) -> ConfigSource {
        match code {
            1 => ConfigSource::Topic,
            2 => ConfigSource::DynamicBroker,
            3 => ConfigSource::DynamicDefaultBroker,
            4 => ConfigSource::StaticBroker,
            5 => ConfigSource::Default,
            code => ConfigSource::Other(code),
        }
    }

    /// One word for it, made of Kafka's.
    pub const fn name(self) -> &'static str {
        match self {
            ConfigSource::Topic => "topic",
            ConfigSource::DynamicBroker => "dynamic-broker",
            ConfigSource::DynamicDefaultBroker => "dynamic-default-broker",
            ConfigSource::StaticBroker => "static-broker",
            ConfigSource::Default => "default",
            ConfigSource::Other(_) => "other",
        }
    }
}

impl ConfigChange {
    /// Of the config that is changed.
    pub fn name(&self) -> &str {
        match self {
            ConfigChange::Set { name, .. } | ConfigChange::Unset { name } => name,
        }
    }
}

impl Cluster {
    /// All configs of a topic, in the order of their names. A topic that does not exist is an error.
    pub async fn describe_configs(&self, topic: &str) -> Result<Vec<ConfigEntry>, ClusterError> {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: TOPIC,
                resource_name: Text::from(topic.to_owned()),
                configuration_keys: None,
            }],
            ..Default::default()
        };
        self.retry(ApiKey::DescribeConfigs, topic, async || {
            let response = self.any_connection().await?.call(&request).await?;
            let answer = response.results.first();
            let answer = answer.ok_or_else(|| incomplete::<DescribeConfigsRequest>(topic))?;
            let message = answer.error_message.as_ref();
            Attempt::check_named(ApiKey::DescribeConfigs, topic, answer.error_code, message)?;
            let mut entries: Vec<ConfigEntry> = answer.configs.iter().map(entry).collect();
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(entries)
        })
        .await
    }

    /// Changes some of a topic's configs, all of them or none; or only checks that they could be
    /// changed so. Needs a broker that serves IncrementalAlterConfigs: of older ones all configs
    /// would have to be written at once, over what somebody else has changed meanwhile.
    pub async fn alter_configs(
        &self,
        topic: &str,
        changes: &[ConfigChange],
        validate_only: bool,
    ) -> Result<(), ClusterError> {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![IncrementalAlterConfigsResource {
                resource_type: TOPIC,
                resource_name: Text::from(topic.to_owned()),
                configs: changes.iter().map(alteration).collect(),
            }],
            validate_only,
        };
        self.retry(ApiKey::IncrementalAlterConfigs, topic, async || {
            let response = self.any_connection().await?.call(&request).await?;
            let answer = response.responses.first();
            let answer =
                answer.ok_or_else(|| incomplete::<IncrementalAlterConfigsRequest>(topic))?;
            let message = answer.error_message.as_ref();
            Attempt::check_named(ApiKey::IncrementalAlterConfigs, topic, answer.error_code, message)
        })
        .await
    }
}

fn entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: config.name.as_str().to_owned(),
        value: config.value.as_ref().map(|value| value.as_str().to_owned()),
        source: ConfigSource::from_code(config.config_source),
        is_read_only: config.read_only,
        is_sensitive: config.is_sensitive,
    }
}

fn alteration(change: &ConfigChange) -> IncrementalAlterableConfig {
    let (name, config_operation, value) = match change {
        ConfigChange::Set { name, value } => (name, SET, Some(Text::from(value.clone()))),
        ConfigChange::Unset { name } => (name, UNSET, None),
    };
    IncrementalAlterableConfig { name: Text::from(name.clone()), config_operation, value }
}
