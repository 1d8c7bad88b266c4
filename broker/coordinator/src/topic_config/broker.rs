//! What brokers say for all topics that do not say otherwise.

use super::{ConfigDefinition, ConfigError, ConfigValues};

/// Where a config's value is from, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigSource {
    /// The topic.
    Topic,
    /// The broker, changed while it runs.
    Broker,
    /// All brokers, changed while they run.
    AllBrokers,
    /// The broker's configuration file.
    File,
    /// Nobody has said anything.
    Default,
}

/// The configs of a broker that are those of its topics unless a topic has its own, by their names
/// as brokers' configs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerConfigs {
    broker: ConfigValues,
    all_brokers: ConfigValues,
    file: ConfigValues,
}

impl BrokerConfigs {
    /// What the configuration file says, by the names of topics' configs.
    pub fn from_file<'a>(
        given: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<BrokerConfigs, ConfigError> {
        let mut file = ConfigValues::new();
        for (name, value) in given {
            let definition = ConfigDefinition::of(name)
                .ok_or_else(|| ConfigError::Unknown { name: name.to_owned() })?;
            if definition.broker_name.is_empty() {
                return Err(ConfigError::NotOfBrokers { name: definition.name });
            }
            let value = definition.check(definition.name, value)?;
            file.insert(definition.broker_name.to_owned(), value);
        }
        Ok(BrokerConfigs { file, ..BrokerConfigs::default() })
    }

    /// The same file, under what was changed while brokers run.
    pub(crate) fn under(
        &self,
        broker: Option<&ConfigValues>,
        all_brokers: Option<&ConfigValues>,
    ) -> BrokerConfigs {
        BrokerConfigs {
            broker: broker.cloned().unwrap_or_default(),
            all_brokers: all_brokers.cloned().unwrap_or_default(),
            file: self.file.clone(),
        }
    }

    /// What is said of a config, the strongest first, without the default.
    pub fn values_of<'a>(
        &'a self,
        definition: &ConfigDefinition,
    ) -> impl Iterator<Item = (ConfigSource, &'a str)> {
        let name = definition.broker_name;
        let layers = [
            (ConfigSource::Broker, &self.broker),
            (ConfigSource::AllBrokers, &self.all_brokers),
            (ConfigSource::File, &self.file),
        ];
        layers
            .into_iter()
            .filter_map(move |(source, values)| Some((source, values.get(name)?.as_str())))
    }

    /// The value in force where a topic says nothing.
    pub fn value<'a>(&'a self, definition: &'a ConfigDefinition) -> (ConfigSource, &'a str) {
        self.values_of(definition).next().unwrap_or((ConfigSource::Default, definition.default))
    }
}

/// Checks what is said for topics by a broker, or by all.
pub(crate) fn check_broker_configs(given: &ConfigValues) -> Result<(), ConfigError> {
    for (name, value) in given {
        let definition = ConfigDefinition::of_broker(name)
            .ok_or_else(|| ConfigError::NotDynamic { name: name.clone() })?;
        definition.check(name, value)?;
    }
    Ok(())
}
