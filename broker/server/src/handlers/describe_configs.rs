//! DescribeConfigs: of topics and of this broker.

use std::collections::BTreeSet;
use std::rc::Rc;

use coordinator::{BrokerConfigs, CONFIGS, ConfigDefinition, ConfigSource, value_of};
use wire::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use wire::{DescribeConfigsRequest, DescribeConfigsResponse, ErrorCode, Text};

use super::configs::{BROKER, TOPIC, source_code, type_code};
use crate::config::Config;
use crate::core::Core;
use crate::failure::Failure;
use crate::image::ClusterImage;

const SOURCE_STATIC: i8 = 4;
const SOURCE_DEFAULT: i8 = 5;

pub(super) fn handle(core: &Rc<Core>, request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = once_each(&request.resources).into_iter().map(|resource| {
        let described = match resource.resource_type {
            TOPIC => of_topic(core, request, resource),
            BROKER => of_broker(core, request, resource),
            other => {
                let text = format!("resources of type {other} have no configs here");
                Err(Failure::new(ErrorCode::InvalidRequest, text))
            }
        };
        let (error_code, error_message, configs) = match described {
            Ok(configs) => (ErrorCode::None, None, configs),
            Err(failure) => (failure.code, Some(failure.message), Vec::new()),
        };
        DescribeConfigsResult {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs,
        }
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

/// In the order of the request; what is named again is the same as before, as in Kafka, so that the
/// answer does not grow with it.
fn once_each(resources: &[DescribeConfigsResource]) -> Vec<&DescribeConfigsResource> {
    let mut seen = BTreeSet::new();
    resources
        .iter()
        .filter(|resource| seen.insert((resource.resource_type, &resource.resource_name)))
        .collect()
}

/// Null asks for all.
fn is_asked_for(resource: &DescribeConfigsResource, name: &str) -> bool {
    let keys = resource.configuration_keys.as_ref();
    keys.is_none_or(|keys| keys.iter().any(|key| *key == *name))
}

fn of_topic(
    core: &Core,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Failure> {
    let image = core.image();
    let topic = image.topic(&resource.resource_name).ok_or_else(Failure::unknown_partition)?;
    let asked = CONFIGS.iter().filter(|config| is_asked_for(resource, config.name));
    let described = asked.map(|definition| {
        let (source, value) = value_of(&topic.configs, &image.broker_configs, definition);
        let mut synonyms = Vec::new();
        if request.include_synonyms {
            if source == ConfigSource::Topic {
                synonyms.push(synonym(definition.name, value, source));
            }
            synonyms.extend(of_brokers(&image.broker_configs, definition));
        }
        let name = definition.name;
        described_as(request, definition, name, (source, value), synonyms)
    });
    Ok(described.collect())
}

/// A config of topics, under its name as a topic's or a broker's.
fn described_as(
    request: &DescribeConfigsRequest,
    definition: &'static ConfigDefinition,
    name: &'static str,
    (source, value): (ConfigSource, &str),
    synonyms: Vec<DescribeConfigsSynonym>,
) -> DescribeConfigsResourceResult {
    let documentation = Text::from_static(definition.documentation);
    DescribeConfigsResourceResult {
        name: Text::from_static(name),
        value: Some(Text::from(value.to_owned())),
        config_source: source_code(source),
        synonyms,
        config_type: type_code(definition.kind),
        documentation: request.include_documentation.then_some(documentation),
        ..Default::default()
    }
}

fn synonym(name: &'static str, value: &str, source: ConfigSource) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym {
        name: Text::from_static(name),
        value: Some(Text::from(value.to_owned())),
        source: source_code(source),
    }
}

/// What brokers say of a topic's config, under their own name for it, the strongest first.
fn of_brokers(
    configs: &BrokerConfigs,
    definition: &'static ConfigDefinition,
) -> Vec<DescribeConfigsSynonym> {
    let said = configs.values_of(definition);
    let said = said.map(|(source, value)| synonym(definition.broker_name, value, source));
    let by_default = definition
        .has_broker_default
        .then(|| synonym(definition.broker_name, definition.default, ConfigSource::Default));
    said.chain(by_default).collect()
}

/// What brokers say for all topics, each as a config of the broker; of all brokers, only what was
/// said for all of them.
fn for_topics(
    image: &ClusterImage,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> Vec<DescribeConfigsResourceResult> {
    let is_all_brokers = resource.resource_name.is_empty();
    let asked = CONFIGS.iter().filter(|definition| {
        !definition.broker_name.is_empty() && is_asked_for(resource, definition.broker_name)
    });
    let described = asked.filter_map(|definition| {
        let mut values = image.broker_configs.values_of(definition);
        let (source, value) = match is_all_brokers {
            true => values.find(|(source, _)| *source == ConfigSource::AllBrokers)?,
            false => image.broker_configs.value(definition),
        };
        let mut synonyms = Vec::new();
        if request.include_synonyms {
            synonyms = of_brokers(&image.broker_configs, definition);
            synonyms.retain(|of| !is_all_brokers || of.source == source_code(source));
        }
        let name = definition.broker_name;
        Some(described_as(request, definition, name, (source, value), synonyms))
    });
    described.collect()
}

// Kafka's numbers of types.
const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;
const LIST: i8 = 7;

/// A config of the broker: its name, its value, its type and where it comes from.
type BrokerValue = (&'static str, String, i8, i8);

fn broker_values(config: &Config, image: &ClusterImage) -> Vec<BrokerValue> {
    let address = &image.address;
    let settings = &config.groups.of_all;
    let given = |name, value: &dyn std::fmt::Display, config_type| {
        (name, value.to_string(), config_type, SOURCE_STATIC)
    };
    let fixed =
        |name, value: &str, config_type| (name, value.to_owned(), config_type, SOURCE_DEFAULT);
    vec![
        given(
            "advertised.listeners",
            &format_args!("PLAINTEXT://{}:{}", address.host, address.port),
            STRING,
        ),
        given("auto.create.topics.enable", &config.topics.auto_create, BOOLEAN),
        given("broker.id", &config.broker_id, INT),
        given("connections.max.idle.ms", &config.connections.idle.as_millis(), LONG),
        fixed("default.replication.factor", "1", INT),
        fixed("delete.topic.enable", "true", BOOLEAN),
        given("fetch.max.bytes", &config.connections.fetch_bytes_max, INT),
        fixed("group.consumer.assignors", "uniform,range", LIST),
        given("group.consumer.heartbeat.interval.ms", &settings.consumer_heartbeat_ms, INT),
        given("group.consumer.session.timeout.ms", &settings.consumer_session_ms, INT),
        fixed("group.coordinator.rebalance.protocols", "classic,consumer", LIST),
        given("group.initial.rebalance.delay.ms", &settings.initial_rebalance_delay_ms, INT),
        given("group.max.session.timeout.ms", &settings.session_timeout_ms_max, INT),
        given("group.max.size", &settings.members_count_max, INT),
        given("group.min.session.timeout.ms", &settings.session_timeout_ms_min, INT),
        given("log.cleaner.backoff.ms", &config.upkeep.compaction.as_millis(), LONG),
        given("log.dirs", &config.data_dir.display(), STRING),
        given("max.incremental.fetch.session.cache.slots", &config.fetch_sessions.count_max, INT),
        given("log.retention.check.interval.ms", &config.upkeep.retention.as_millis(), LONG),
        given("node.id", &config.broker_id, INT),
        given("num.partitions", &config.topics.partitions, INT),
        given("offset.metadata.max.bytes", &settings.metadata_bytes_max, INT),
        given("offsets.retention.minutes", &(settings.offsets_retention_ms / 60_000), INT),
        given("offsets.topic.num.partitions", &config.groups.partitions, INT),
        given("producer.id.expiration.ms", &config.producer_expiration.as_millis(), INT),
        given("socket.request.max.bytes", &config.connections.request_bytes_max, INT),
    ]
}

/// Those of Kafka's broker configs that have a meaning here, as clients look for them.
fn of_broker(
    core: &Core,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Failure> {
    let config = &core.config;
    let name = resource.resource_name.as_str();
    if !name.is_empty() && name.parse() != Ok(config.broker_id.0) {
        let text = format!("broker {name}: the only broker is {}", config.broker_id);
        return Err(Failure::new(ErrorCode::InvalidRequest, text));
    }
    let image = core.image();
    if name.is_empty() {
        return Ok(for_topics(&image, request, resource));
    }
    let values = broker_values(config, &image);
    let asked = values.into_iter().filter(|(name, ..)| is_asked_for(resource, name));
    let described = asked.map(|(name, value, config_type, source)| {
        let name = Text::from_static(name);
        let value = Some(Text::from(value));
        let synonym = DescribeConfigsSynonym { name: name.clone(), value: value.clone(), source };
        DescribeConfigsResourceResult {
            name,
            value,
            read_only: true,
            config_source: source,
            synonyms: request.include_synonyms.then_some(synonym).into_iter().collect(),
            config_type,
            documentation: None,
            ..Default::default()
        }
    });
    let mut all: Vec<_> = described.collect();
    all.extend(for_topics(&image, request, resource));
    Ok(all)
}
