//! CreatePartitions.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use coordinator::MorePartitions;
use wire::create_partitions::{CreatePartitionsTopic, CreatePartitionsTopicResult};
use wire::{CreatePartitionsRequest, CreatePartitionsResponse, ErrorCode};

use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;

pub(super) async fn handle(
    core: &Rc<Core>,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *counts.entry(&topic.name).or_default() += 1;
    }
    let is_repeated: Vec<bool> =
        request.topics.iter().map(|topic| 1 < counts[topic.name.as_str()]).collect();
    let wanted = request.topics.iter().zip(&is_repeated).filter(|(_, repeated)| !**repeated);
    let topics = wanted.map(|(topic, _)| more_partitions(topic)).collect();
    let create = CoreRequest::CreatePartitions { topics, validate_only: request.validate_only };
    let creating = core.call_controller(create);
    let answer = match u64::try_from(request.timeout_ms) {
        // What is being created goes on. Who gives no time gets the answer when there is one.
        Ok(limit_ms @ 1..) => {
            runtime::timeout(Duration::from_millis(limit_ms), creating).await.ok()
        }
        Ok(0) | Err(_) => Some(creating.await),
    };
    let (mut outcomes, otherwise) = match answer {
        Some(CoreAnswer::Outcomes(outcomes)) => (outcomes.into_iter(), Failure::not_controlled()),
        Some(CoreAnswer::Failed(_)) => (Vec::new().into_iter(), Failure::not_controlled()),
        Some(other) => unreachable!("not an answer to this: {other:?}"),
        None => (Vec::new().into_iter(), too_late()),
    };
    let results = request.topics.iter().zip(is_repeated).map(|(topic, is_repeated)| {
        let outcome = match is_repeated {
            true => {
                let text = "the request names this topic more than once";
                Err(Failure::new(ErrorCode::InvalidRequest, text))
            }
            false => outcomes.next().unwrap_or_else(|| Err(otherwise.clone())),
        };
        let (error_code, error_message) = match outcome {
            Ok(()) => (ErrorCode::None, None),
            Err(Failure { code, message }) => (code, Some(message)),
        };
        CreatePartitionsTopicResult { name: topic.name.clone(), error_code, error_message }
    });
    CreatePartitionsResponse { results: results.collect(), ..Default::default() }
}

fn more_partitions(topic: &CreatePartitionsTopic) -> MorePartitions {
    let assignments = topic.assignments.as_ref();
    MorePartitions {
        topic: topic.name.to_string(),
        partitions_count: topic.count,
        assignments: assignments.map(|all| all.iter().map(|one| one.broker_ids.clone()).collect()),
    }
}

fn too_late() -> Failure {
    let text = "the partitions were not there within the request's timeout; they may come later";
    Failure::new(ErrorCode::RequestTimedOut, text)
}
