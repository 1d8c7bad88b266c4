//! What requests about configs have in common: Kafka's numbers for resources, sources and types.

use coordinator::{ConfigKind, ConfigSource};

/// A resource that is a topic.
pub(super) const TOPIC: i8 = 2;
/// A resource that is a broker, or all of them.
pub(super) const BROKER: i8 = 4;

pub(super) fn source_code(source: ConfigSource) -> i8 {
    match source {
        ConfigSource::Topic => 1,
        ConfigSource::Broker => 2,
        ConfigSource::AllBrokers => 3,
        ConfigSource::File => 4,
        ConfigSource::Default => 5,
    }
}

pub(super) fn type_code(kind: ConfigKind) -> i8 {
    match kind {
        ConfigKind::Boolean => 1,
        ConfigKind::Choice(_) => 2,
        ConfigKind::Int(..) | ConfigKind::IntOr(..) => 3,
        ConfigKind::Long(..) => 5,
        ConfigKind::Ratio => 6,
        ConfigKind::List(_) => 7,
    }
}
