//! DescribeClientQuotas and AlterClientQuotas: what clients may use at most.

use std::rc::Rc;

use coordinator::quota::{AlterQuotas, QuotaFilter, QuotaMatch};
use wire::alter_client_quotas as altering;
use wire::describe_client_quotas as describing;
use wire::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, ErrorCode, Float64, Text,
};

use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;

const MATCH_NAMED: i8 = 0;
const MATCH_DEFAULT: i8 = 1;
const MATCH_ANY: i8 = 2;

pub(super) fn describe(
    core: &Core,
    request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    match found(core, &request) {
        Ok(entries) => {
            DescribeClientQuotasResponse { entries: Some(entries), ..Default::default() }
        }
        Err(Failure { code, message }) => DescribeClientQuotasResponse {
            error_code: code,
            error_message: Some(message),
            entries: None,
            ..Default::default()
        },
    }
}

fn found(
    core: &Core,
    request: &DescribeClientQuotasRequest,
) -> Result<Vec<describing::EntryData>, Failure> {
    let filters: Vec<QuotaFilter> =
        request.components.iter().map(filter_of).collect::<Result<_, _>>()?;
    let image = core.image();
    let found = image.quotas.find(&filters, request.strict)?;
    let entries = found.into_iter().map(|(entity, quotas)| describing::EntryData {
        entity: entity
            .iter()
            .map(|(entity_type, name)| describing::EntityData {
                entity_type: Text::from(entity_type.clone()),
                entity_name: name.clone().map(Text::from),
            })
            .collect(),
        values: quotas
            .iter()
            .map(|(quota, rate)| describing::ValueData {
                key: Text::from(quota.clone()),
                value: Float64(rate.value()),
            })
            .collect(),
    });
    Ok(entries.collect())
}

fn filter_of(component: &describing::ComponentData) -> Result<QuotaFilter, Failure> {
    let invalid = |text: String| Err(Failure::new(ErrorCode::InvalidRequest, text));
    let entity_type = component.entity_type.to_string();
    let matches = match (component.match_type, &component._match) {
        (MATCH_NAMED, Some(name)) => QuotaMatch::Named(name.to_string()),
        (MATCH_DEFAULT, None) => QuotaMatch::Default,
        (MATCH_ANY, None) => QuotaMatch::Any,
        (MATCH_NAMED, None) => {
            return invalid("Request specified EXACT match type without a name".to_owned());
        }
        (MATCH_DEFAULT | MATCH_ANY, Some(name)) => {
            return invalid(format!("a name ({}) with a match that has none", &**name));
        }
        (other, _) => return invalid(format!("Unexpected match type: {other}")),
    };
    Ok(QuotaFilter { entity_type, matches })
}

pub(super) async fn alter(
    core: &Rc<Core>,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let alters = request.entries.iter().map(alter_of).collect();
    let alter = CoreRequest::AlterQuotas { alters, validate_only: request.validate_only };
    let mut outcomes = match core.call_controller(alter).await {
        CoreAnswer::Outcomes(outcomes) => outcomes.into_iter(),
        CoreAnswer::Failed(_) => Vec::new().into_iter(),
        other => unreachable!("not an answer to this: {other:?}"),
    };
    let entries = request.entries.into_iter().map(|entry| {
        let outcome = outcomes.next().unwrap_or_else(|| Err(Failure::not_controlled()));
        let (error_code, error_message) = match outcome {
            Ok(()) => (ErrorCode::None, None),
            Err(Failure { code, message }) => (code, Some(message)),
        };
        altering::EntryResult { error_code, error_message, entity: entry.entity }
    });
    AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() }
}

fn alter_of(entry: &altering::EntryData) -> AlterQuotas {
    let entity = entry
        .entity
        .iter()
        .map(|part| (part.entity_type.to_string(), part.entity_name.as_ref().map(Text::to_string)));
    let changes =
        entry.ops.iter().map(|op| (op.key.to_string(), (!op.remove).then_some(op.value.0)));
    AlterQuotas { entity: entity.collect(), changes: changes.collect() }
}
