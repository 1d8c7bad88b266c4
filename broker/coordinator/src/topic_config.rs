//! The configs of topics: which there are, what they may be, and what holds for a topic.
//!
//! A topic's own configs go before what a broker says for all topics, and that goes before the
//! defaults.

mod definition;
mod broker;
mod log;

use std::collections::BTreeMap;

pub(crate) use broker::check_broker_configs;
pub use broker::{BrokerConfigs, ConfigSource};
pub use definition::{CONFIGS, ConfigDefinition, ConfigKind};
pub use log::{CompactionConfig, LogCompression, LogConfig, TimestampType, value_of};

/// Values by their names.
pub(crate) type ConfigValues = BTreeMap<String, String>;

/// Why a config is refused. The words are Kafka's where it has some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no such config.
    #[error("Unknown topic config name: {name}")]
    Unknown {
        /// As given.
        name: String,
    },
    /// It was given twice.
    #[error("topic config {name} is given twice")]
    Repeated {
        /// As given.
        name: String,
    },
    /// It has no value.
    #[error("Null value not supported for topic configs: {name}")]
    Null {
        /// As given.
        name: String,
    },
    /// The value is not of the right kind or out of range.
    #[error("Invalid value {value} for configuration {name}: {allowed}")]
    Value {
        /// Of the config.
        name: String,
        /// As given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// Two values contradict each other.
    #[error("conflict topic config setting {low_name} ({low}) > {high_name} ({high})")]
    Conflict {
        /// Which must not be higher.
        low_name: &'static str,
        /// Its value.
        low: i64,
        /// Than which.
        high_name: &'static str,
        /// Its value.
        high: i64,
    },
    /// Only topics have it.
    #[error("{name} cannot be said for all topics")]
    NotOfBrokers {
        /// Of the config.
        name: &'static str,
    },
    /// A broker's config that is not for its topics.
    #[error("Cannot update these configs dynamically: [{name}]")]
    NotDynamic {
        /// As given.
        name: String,
    },
}

/// The configs of one topic: what was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicConfigs(ConfigValues);

impl ConfigDefinition {
    /// Checks a value that was given under a name, the topic's or the broker's. Returns it as it is
    /// kept.
    fn check(&self, name: &str, value: &str) -> Result<String, ConfigError> {
        // Kafka's values are trimmed as well.
        let value = value.trim();
        let allowed = match (self.only, self.kind) {
            (Some(reason), _) if value != self.default => {
                Some(format!("only '{}' is supported, as {reason}", self.default))
            }
            (Some(_), _) => None,
            (None, ConfigKind::Boolean) => {
                let is_valid = ["true", "false"].contains(&value.to_ascii_lowercase().as_str());
                (!is_valid).then(|| "Expected value to be either true or false".to_owned())
            }
            (None, ConfigKind::Int(low, high)) => {
                outside(value.parse::<i32>().ok().map(i64::from), "INT", low, high)
            }
            (None, ConfigKind::IntOr(low, high, other)) => {
                let number = value.parse::<i32>().ok().map(i64::from);
                match number {
                    Some(number) if number == other || (low..=high).contains(&number) => None,
                    Some(_) => {
                        Some(format!("Value must be between {low} and {high} or equal to {other}"))
                    }
                    None => outside(number, "INT", low, high),
                }
            }
            (None, ConfigKind::Long(low, high)) => {
                outside(value.parse::<i64>().ok(), "LONG", low, high)
            }
            (None, ConfigKind::Ratio) => match value.parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => None,
                Ok(ratio) if ratio < 0.0 => Some("Value must be at least 0".to_owned()),
                Ok(_) => Some("Value must be no more than 1".to_owned()),
                Err(_) => Some("Not a number of type DOUBLE".to_owned()),
            },
            (None, ConfigKind::Choice(choices)) => {
                (!choices.contains(&value)).then(|| one_of(choices))
            }
            (None, ConfigKind::List(choices)) => {
                let mut elements = value.split(',').map(str::trim);
                (!elements.all(|element| choices.contains(&element))).then(|| one_of(choices))
            }
        };
        match allowed {
            None => Ok(value.to_owned()),
            Some(allowed) => {
                let (name, value) = (name.to_owned(), value.to_owned());
                Err(ConfigError::Value { name, value, allowed })
            }
        }
    }
}

fn one_of(choices: &[&str]) -> String {
    format!("String must be one of: {}", choices.join(", "))
}

/// What is wrong with a number, if anything.
fn outside(number: Option<i64>, type_name: &str, low: i64, high: i64) -> Option<String> {
    match number {
        None => Some(format!("Not a number of type {type_name}")),
        Some(number) if number < low => Some(format!("Value must be at least {low}")),
        Some(number) if high < number => Some(format!("Value must be no more than {high}")),
        Some(_) => None,
    }
}

impl TopicConfigs {
    /// Checks what was given.
    pub fn new<'a>(
        given: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<TopicConfigs, ConfigError> {
        let mut configs = ConfigValues::new();
        for (name, value) in given {
            let Some(definition) = ConfigDefinition::of(name) else {
                return Err(ConfigError::Unknown { name: name.to_owned() });
            };
            let Some(value) = value else {
                return Err(ConfigError::Null { name: name.to_owned() });
            };
            let value = definition.check(name, value)?;
            if configs.insert(name.to_owned(), value).is_some() {
                return Err(ConfigError::Repeated { name: name.to_owned() });
            }
        }
        let configs = TopicConfigs(configs);
        configs.check_together()?;
        Ok(configs)
    }

    /// Checks what is kept of a topic's configs.
    pub(crate) fn of(kept: &ConfigValues) -> Result<TopicConfigs, ConfigError> {
        TopicConfigs::new(kept.iter().map(|(name, value)| (&**name, Some(&**value))))
    }

    /// What was given.
    pub fn given(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    fn check_together(&self) -> Result<(), ConfigError> {
        let number = |name: &'static str| -> i64 {
            let definition = ConfigDefinition::of(name).expect("one of our own");
            let value = self.0.get(name).map_or(definition.default, String::as_str);
            value.parse().expect("checked before")
        };
        let (low_name, high_name) = ("min.compaction.lag.ms", "max.compaction.lag.ms");
        let (low, high) = (number(low_name), number(high_name));
        if high < low {
            return Err(ConfigError::Conflict { low_name, low, high_name, high });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
