//! DeleteTopics.

use std::rc::Rc;

use model::TopicId;
use wire::delete_topics::{DeletableTopicResult, DeleteTopicState};
use wire::{DeleteTopicsRequest, DeleteTopicsResponse, ErrorCode, Text};

use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;
use crate::image::TopicImage;

/// From here on topics may be named by their ids.
const IDS_VERSION_MIN: i16 = 6;

pub(super) async fn handle(
    core: &Rc<Core>,
    version: i16,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let asked = match version < IDS_VERSION_MIN {
        true => {
            let by_name = |name| DeleteTopicState { name: Some(name), ..Default::default() };
            request.topic_names.into_iter().map(by_name).collect()
        }
        false => request.topics,
    };
    let image = core.image();
    let found: Vec<Result<TopicId, Failure>> = asked
        .iter()
        .map(|topic| match &topic.name {
            Some(name) => {
                let topic = image.topic(name).map(|topic| topic.id);
                topic.ok_or_else(Failure::unknown_partition)
            }
            None => {
                let topic = image.topic_by_id(topic.topic_id).map(|topic| topic.id);
                topic.ok_or_else(|| {
                    Failure::new(ErrorCode::UnknownTopicId, "There is no such topic.")
                })
            }
        })
        .collect();
    let ids = found.iter().flatten().copied().collect();
    let mut outcomes = match core.call_controller(CoreRequest::DeleteTopics(ids)).await {
        CoreAnswer::Outcomes(outcomes) => outcomes.into_iter(),
        CoreAnswer::Failed(_) => Vec::new().into_iter(),
        other => unreachable!("not an answer to this: {other:?}"),
    };
    let responses = asked.into_iter().zip(found).map(|(topic, found)| {
        let outcome = found.and_then(|id| {
            let failed = || Err(Failure::not_controlled());
            outcomes.next().unwrap_or_else(failed).map(|()| id)
        });
        let name_of =
            |id| image.topic_by_id(id).map(|topic: &std::sync::Arc<TopicImage>| topic.name.clone());
        match outcome {
            Ok(topic_id) => DeletableTopicResult {
                name: topic.name.or_else(|| name_of(topic_id)),
                topic_id,
                error_code: ErrorCode::None,
                error_message: None,
            },
            Err(Failure { code, message }) => DeletableTopicResult {
                name: topic.name.or_else(|| name_of(topic.topic_id)),
                topic_id: topic.topic_id,
                error_code: code,
                error_message: Some::<Text>(message),
            },
        }
    });
    DeleteTopicsResponse { responses: responses.collect(), ..Default::default() }
}
