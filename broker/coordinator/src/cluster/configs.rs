//! Configs of topics and brokers, changed while they are in use.

use model::BrokerId;

use super::{ClusterState, TopicLimits};
use crate::record::ClusterRecord;
use crate::topic_config::{
    BrokerConfigs, ConfigDefinition, ConfigError, ConfigKind, ConfigValues, TopicConfigs,
    check_broker_configs,
};

/// Whose configs they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    /// A topic's, by its name.
    Topic(String),
    /// A broker's, or all brokers'.
    Broker(Option<BrokerId>),
}

/// What is to become of one config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// It has this value.
    Set(String),
    /// It is as if nobody had said anything.
    Unset,
    /// Its list has these elements too.
    Append(String),
    /// Its list does not have these elements.
    Subtract(String),
}

/// What somebody wants of a topic's or broker's configs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfigs {
    /// Whose.
    pub resource: ConfigResource,
    /// By the configs' names.
    pub changes: Vec<(String, ConfigChange)>,
    /// What is not named is unset.
    pub replaces_all: bool,
}

/// Why configs stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigsRefused {
    /// There is no such topic.
    #[error("The topic '{topic}' does not exist.")]
    UnknownTopic {
        /// As asked for.
        topic: String,
    },
    /// There is one broker, and it is another.
    #[error("Unexpected broker id, expected {ours} or empty string, but received {theirs}")]
    OtherBroker {
        /// The broker that there is.
        ours: BrokerId,
        /// As asked for.
        theirs: BrokerId,
    },
    /// A config is named twice.
    #[error("Error due to duplicate config keys: {name}")]
    Repeated {
        /// The config.
        name: String,
    },
    /// It is not a list.
    #[error("Can't {what} to key {name} because its type is not LIST.")]
    NotAList {
        /// What was asked for.
        what: &'static str,
        /// The config.
        name: String,
    },
    /// A broker's config, or its value.
    #[error(transparent)]
    OfBroker(ConfigError),
    /// A topic's config, or its value.
    #[error(transparent)]
    OfTopic(ConfigError),
}

impl ClusterState {
    /// What holds for the topics of a broker whose configuration file says this.
    pub fn broker_configs(&self, broker: BrokerId, file: &BrokerConfigs) -> BrokerConfigs {
        let recorded = |broker: Option<BrokerId>| self.broker_configs.get(&broker);
        file.under(recorded(Some(broker)), recorded(None))
    }

    /// Whether configs may be changed, and the record that does it. None if nothing changes.
    pub fn decide_configs(
        &self,
        alter: &AlterConfigs,
        limits: &TopicLimits,
    ) -> Result<Option<ClusterRecord>, ConfigsRefused> {
        match &alter.resource {
            ConfigResource::Topic(name) => {
                let refused = || ConfigsRefused::UnknownTopic { topic: name.clone() };
                let topic = self.topic_named(name).ok_or_else(refused)?;
                let configs = changed(topic.configs.given(), alter, ConfigDefinition::of)?;
                let checked = TopicConfigs::of(&configs).and_then(|configs| {
                    check_message_bytes(configs.given().get("max.message.bytes"), limits)?;
                    Ok(configs)
                });
                let configs = checked.map_err(ConfigsRefused::OfTopic)?;
                let record =
                    ClusterRecord::TopicConfigs { id: topic.id, configs: configs.given().clone() };
                Ok((configs != topic.configs).then_some(record))
            }
            ConfigResource::Broker(broker) => {
                if let Some(theirs) = broker.filter(|broker| *broker != limits.broker) {
                    return Err(ConfigsRefused::OtherBroker { ours: limits.broker, theirs });
                }
                let none = ConfigValues::new();
                let existing = self.broker_configs.get(broker).unwrap_or(&none);
                let configs = changed(existing, alter, ConfigDefinition::of_broker)?;
                let checked = check_broker_configs(&configs)
                    .and_then(|()| check_message_bytes(configs.get("message.max.bytes"), limits));
                checked.map_err(ConfigsRefused::OfBroker)?;
                let is_changed = configs != *existing;
                let record = ClusterRecord::BrokerConfigs { broker: *broker, configs };
                Ok(is_changed.then_some(record))
            }
        }
    }

    pub(super) fn replay_broker_configs(
        &mut self,
        broker: Option<BrokerId>,
        configs: &ConfigValues,
    ) -> Result<(), ConfigError> {
        check_broker_configs(configs)?;
        match configs.is_empty() {
            true => self.broker_configs.remove(&broker),
            false => self.broker_configs.insert(broker, configs.clone()),
        };
        Ok(())
    }
}

/// The configs after a change; not checked yet.
fn changed(
    existing: &ConfigValues,
    alter: &AlterConfigs,
    definition_of: impl Fn(&str) -> Option<&'static ConfigDefinition>,
) -> Result<ConfigValues, ConfigsRefused> {
    let mut seen = std::collections::BTreeSet::new();
    let mut configs = if alter.replaces_all { ConfigValues::new() } else { existing.clone() };
    for (name, change) in &alter.changes {
        if !seen.insert(name) {
            return Err(ConfigsRefused::Repeated { name: name.clone() });
        }
        let elements = |what| match definition_of(name).map(|definition| definition.kind) {
            Some(ConfigKind::List(_)) => {
                let existing = existing.get(name).map_or("", String::as_str);
                let elements = existing.split(',').filter(|element| !element.is_empty());
                Ok(elements.map(str::to_owned).collect::<Vec<String>>())
            }
            _ => Err(ConfigsRefused::NotAList { what, name: name.clone() }),
        };
        let value = match change {
            ConfigChange::Set(value) => Some(value.clone()),
            ConfigChange::Unset => None,
            ConfigChange::Append(more) => {
                let mut elements = elements("APPEND")?;
                for element in more.split(',') {
                    if !elements.iter().any(|existing| existing == element) {
                        elements.push(element.to_owned());
                    }
                }
                Some(elements.join(","))
            }
            ConfigChange::Subtract(fewer) => {
                let mut elements = elements("SUBTRACT")?;
                elements.retain(|element| fewer.split(',').all(|gone| gone != element));
                Some(elements.join(","))
            }
        };
        match value {
            Some(value) => configs.insert(name.clone(), value),
            None => configs.remove(name),
        };
    }
    Ok(configs)
}

/// A batch must fit into the journal, whatever is said.
pub(super) fn check_message_bytes(
    value: Option<&String>,
    limits: &TopicLimits,
) -> Result<(), ConfigError> {
    let limit = limits.message_bytes_max;
    match value.and_then(|value| value.parse::<usize>().ok().map(|bytes| (value, bytes))) {
        Some((value, bytes)) if limit < bytes => Err(ConfigError::Value {
            name: "max.message.bytes".to_owned(),
            value: value.clone(),
            allowed: format!("the journal takes batches of up to {limit} bytes"),
        }),
        _ => Ok(()),
    }
}
