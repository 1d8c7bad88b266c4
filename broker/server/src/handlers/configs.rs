//! What DescribeConfigs and CreateTopics say of configs alike.

use coordinator::{ConfigDefinition, ConfigKind, TopicConfigs};

/// Where a value is from: 1 the topic, 5 the default.
pub(super) fn source_of(configs: &TopicConfigs, definition: &ConfigDefinition) -> i8 {
    const TOPIC: i8 = 1;
    const DEFAULT: i8 = 5;
    if configs.given().contains_key(definition.name) { TOPIC } else { DEFAULT }
}

/// Kafka's number for the type of a value.
pub(super) fn type_of(definition: &ConfigDefinition) -> i8 {
    const BOOLEAN: i8 = 1;
    const STRING: i8 = 2;
    const INT: i8 = 3;
    const LONG: i8 = 5;
    const LIST: i8 = 7;
    match definition.kind {
        ConfigKind::Int(..) => INT,
        ConfigKind::Long(..) => LONG,
        ConfigKind::Choice(_) => STRING,
        ConfigKind::Only(_) => match definition.default {
            "true" | "false" => BOOLEAN,
            "delete" => LIST,
            number if number.parse::<i64>().is_ok() => LONG,
            _ => STRING,
        },
    }
}
