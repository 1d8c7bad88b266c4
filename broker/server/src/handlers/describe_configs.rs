//! DescribeConfigs: of topics and of this broker.

use std::collections::BTreeSet;
use std::rc::Rc;

use coordinator::CONFIGS;
use wire::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use wire::{DescribeConfigsRequest, DescribeConfigsResponse, ErrorCode, Text};

use super::configs::{source_of, type_of};
use crate::core::Core;
use crate::failure::Failure;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
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
        let value = Text::from(topic.configs.value(definition).to_owned());
        let source = source_of(&topic.configs, definition);
        let name = Text::from_static(definition.name);
        let mut synonyms = Vec::new();
        if request.include_synonyms {
            if source != SOURCE_DEFAULT {
                let value = Some(value.clone());
                synonyms.push(DescribeConfigsSynonym { name: name.clone(), value, source });
            }
            synonyms.push(DescribeConfigsSynonym {
                name: name.clone(),
                value: Some(Text::from_static(definition.default)),
                source: SOURCE_DEFAULT,
            });
        }
        DescribeConfigsResourceResult {
            name,
            value: Some(value),
            config_source: source,
            synonyms,
            config_type: type_of(definition),
            documentation: request
                .include_documentation
                .then(|| Text::from_static(definition.documentation)),
            ..Default::default()
        }
    });
    Ok(described.collect())
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
    const BOOLEAN: i8 = 1;
    const STRING: i8 = 2;
    const INT: i8 = 3;
    const LONG: i8 = 5;
    let address = core.image().address.clone();
    let values = [
        (
            "advertised.listeners",
            format!("PLAINTEXT://{}:{}", address.host, address.port),
            STRING,
            SOURCE_STATIC,
        ),
        (
            "auto.create.topics.enable",
            config.topics.auto_create.to_string(),
            BOOLEAN,
            SOURCE_STATIC,
        ),
        ("broker.id", config.broker_id.to_string(), INT, SOURCE_STATIC),
        (
            "connections.max.idle.ms",
            config.connections.idle.as_millis().to_string(),
            LONG,
            SOURCE_STATIC,
        ),
        ("default.replication.factor", "1".to_owned(), INT, SOURCE_DEFAULT),
        ("delete.topic.enable", "true".to_owned(), BOOLEAN, SOURCE_DEFAULT),
        ("fetch.max.bytes", config.connections.fetch_bytes_max.to_string(), INT, SOURCE_STATIC),
        ("log.dirs", config.data_dir.display().to_string(), STRING, SOURCE_STATIC),
        ("log.retention.bytes", "-1".to_owned(), LONG, SOURCE_DEFAULT),
        ("log.retention.ms", "-1".to_owned(), LONG, SOURCE_DEFAULT),
        ("message.max.bytes", "1048588".to_owned(), INT, SOURCE_DEFAULT),
        (
            "max.incremental.fetch.session.cache.slots",
            config.fetch_sessions.count_max.to_string(),
            INT,
            SOURCE_STATIC,
        ),
        ("min.insync.replicas", "1".to_owned(), INT, SOURCE_DEFAULT),
        ("node.id", config.broker_id.to_string(), INT, SOURCE_STATIC),
        ("num.partitions", config.topics.partitions.to_string(), INT, SOURCE_STATIC),
        (
            "producer.id.expiration.ms",
            config.producer_expiration.as_millis().to_string(),
            INT,
            SOURCE_STATIC,
        ),
        (
            "socket.request.max.bytes",
            config.connections.request_bytes_max.to_string(),
            INT,
            SOURCE_STATIC,
        ),
    ];
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
    Ok(described.collect())
}
