//! AlterConfigs and IncrementalAlterConfigs.

use std::collections::BTreeMap;
use std::rc::Rc;

use coordinator::{AlterConfigs, ConfigChange, ConfigResource};
use model::BrokerId;
use wire::alter_configs::{AlterConfigsResource, AlterConfigsResourceResponse};
use wire::incremental_alter_configs::{
    IncrementalAlterConfigsResource, IncrementalAlterConfigsResourceResponse,
};
use wire::{
    AlterConfigsRequest, AlterConfigsResponse, ErrorCode, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, Text,
};

use super::configs::{BROKER, TOPIC};
use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;

pub(super) async fn handle(core: &Rc<Core>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let AlterConfigsRequest { resources, validate_only } = request;
    let named = |of: &AlterConfigsResource| (of.resource_type, of.resource_name.clone());
    let names: Vec<_> = resources.iter().map(named).collect();
    let wanted = resources.iter().map(replacement).collect();
    let outcomes = alter(core, &names, wanted, validate_only).await;
    let responses = names.into_iter().zip(outcomes).map(|((resource_type, resource_name), it)| {
        let (error_code, error_message) = told(it);
        AlterConfigsResourceResponse { error_code, error_message, resource_type, resource_name }
    });
    AlterConfigsResponse { responses: responses.collect(), ..Default::default() }
}

pub(super) async fn handle_incremental(
    core: &Rc<Core>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let IncrementalAlterConfigsRequest { resources, validate_only } = request;
    let named = |of: &IncrementalAlterConfigsResource| (of.resource_type, of.resource_name.clone());
    let names: Vec<_> = resources.iter().map(named).collect();
    let wanted = resources.iter().map(changes).collect();
    let outcomes = alter(core, &names, wanted, validate_only).await;
    let responses = names.into_iter().zip(outcomes).map(|((resource_type, resource_name), it)| {
        let (error_code, error_message) = told(it);
        IncrementalAlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name,
        }
    });
    IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
}

fn told(outcome: Result<(), Failure>) -> (ErrorCode, Option<Text>) {
    match outcome {
        Ok(()) => (ErrorCode::None, None),
        Err(Failure { code, message }) => (code, Some(message)),
    }
}

/// What becomes of each resource, in the order of the request.
async fn alter(
    core: &Rc<Core>,
    names: &[(i8, Text)],
    wanted: Vec<Result<AlterConfigs, Failure>>,
    validate_only: bool,
) -> Vec<Result<(), Failure>> {
    let mut counts: BTreeMap<&(i8, Text), usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let wanted: Vec<_> = names
        .iter()
        .zip(wanted)
        .map(|(name, wanted)| match counts[name] {
            1 => wanted,
            _ => Err(invalid("Each resource must appear at most once.")),
        })
        .collect();
    let alters: Vec<AlterConfigs> = wanted.iter().flatten().cloned().collect();
    let mut outcomes = match alters.is_empty() {
        true => Vec::new().into_iter(),
        false => {
            match core.call_controller(CoreRequest::AlterConfigs { alters, validate_only }).await {
                CoreAnswer::Outcomes(outcomes) => outcomes.into_iter(),
                CoreAnswer::Failed(_) => Vec::new().into_iter(),
                other => unreachable!("not an answer to this: {other:?}"),
            }
        }
    };
    let outcome_of = |wanted: Result<AlterConfigs, Failure>| match wanted {
        Ok(_) => outcomes.next().unwrap_or_else(|| Err(Failure::not_controlled())),
        Err(failure) => Err(failure),
    };
    wanted.into_iter().map(outcome_of).collect()
}

fn invalid(text: impl std::fmt::Display) -> Failure {
    Failure::new(ErrorCode::InvalidRequest, text)
}

fn resource(resource_type: i8, name: &Text) -> Result<ConfigResource, Failure> {
    match resource_type {
        TOPIC => Ok(ConfigResource::Topic(name.to_string())),
        BROKER if name.is_empty() => Ok(ConfigResource::Broker(None)),
        BROKER => match name.parse() {
            Ok(id) => Ok(ConfigResource::Broker(Some(BrokerId(id)))),
            Err(_) => Err(invalid(format_args!("Node id must be an integer, but it is: {name}"))),
        },
        other => Err(invalid(format_args!("Unknown resource type {other}"))),
    }
}

fn null_value(names: &[&str]) -> Failure {
    invalid(format_args!("Null value not supported for : {}", names.join(", ")))
}

fn replacement(of: &AlterConfigsResource) -> Result<AlterConfigs, Failure> {
    let resource = resource(of.resource_type, &of.resource_name)?;
    let nulls = of.configs.iter().filter(|config| config.value.is_none());
    let nulls: Vec<&str> = nulls.map(|config| config.name.as_str()).collect();
    if !nulls.is_empty() {
        return Err(null_value(&nulls));
    }
    let changes = of.configs.iter().map(|config| {
        let value = config.value.as_ref().map(Text::to_string).unwrap_or_default();
        (config.name.to_string(), ConfigChange::Set(value))
    });
    Ok(AlterConfigs { resource, changes: changes.collect(), replaces_all: true })
}

fn changes(of: &IncrementalAlterConfigsResource) -> Result<AlterConfigs, Failure> {
    const SET: i8 = 0;
    const UNSET: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;
    let resource = resource(of.resource_type, &of.resource_name)?;
    let is_null = |config: &&wire::incremental_alter_configs::IncrementalAlterableConfig| {
        config.config_operation != UNSET && config.value.is_none()
    };
    let nulls: Vec<&str> =
        of.configs.iter().filter(is_null).map(|config| config.name.as_str()).collect();
    if !nulls.is_empty() {
        return Err(null_value(&nulls));
    }
    let changes = of.configs.iter().map(|config| {
        let value = config.value.as_ref().map(Text::to_string).unwrap_or_default();
        let change = match config.config_operation {
            SET => ConfigChange::Set(value),
            UNSET => ConfigChange::Unset,
            APPEND => ConfigChange::Append(value),
            SUBTRACT => ConfigChange::Subtract(value),
            other => return Err(invalid(format_args!("Unknown operations type {other}"))),
        };
        Ok((config.name.to_string(), change))
    });
    Ok(AlterConfigs { resource, changes: changes.collect::<Result<_, _>>()?, replaces_all: false })
}
