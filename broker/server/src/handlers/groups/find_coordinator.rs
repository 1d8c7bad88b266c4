//! FindCoordinator: who coordinates a group. There is one broker, which does.

use std::rc::Rc;

use coordinator::OFFSETS_TOPIC;
use wire::find_coordinator::Coordinator;
use wire::{ErrorCode, FindCoordinatorRequest, FindCoordinatorResponse, Text};

use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::failure::Failure;

const KEY_GROUP: i8 = 0;
const KEY_TRANSACTION: i8 = 1;
/// From here on, for several keys at once (KIP-699).
const BATCHED_VERSION_MIN: i16 = 4;

pub(super) async fn handle(
    core: &Rc<Core>,
    version: i16,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let found = find(core, request.key_type).await;
    let image = core.image();
    let coordinator_of = |key: Text| match &found {
        Ok(()) => Coordinator {
            key,
            node_id: image.broker,
            host: Text::from(image.address.host.clone()),
            port: i32::from(image.address.port),
            error_code: ErrorCode::None,
            error_message: None,
        },
        Err(Failure { code, message }) => Coordinator {
            key,
            node_id: model::BrokerId(-1),
            host: Text::default(),
            port: -1,
            error_code: *code,
            error_message: Some(message.clone()),
        },
    };
    if BATCHED_VERSION_MIN <= version {
        let coordinators = request.coordinator_keys.into_iter().map(coordinator_of).collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } =
        coordinator_of(request.key);
    FindCoordinatorResponse {
        error_code,
        // Kafka's own answer says so.
        error_message: error_message.or_else(|| Some(Text::from_static("NONE"))),
        node_id,
        host,
        port,
        ..Default::default()
    }
}

async fn find(core: &Rc<Core>, key_type: i8) -> Result<(), Failure> {
    match key_type {
        KEY_GROUP => has_offsets_topic(core).await,
        KEY_TRANSACTION => {
            // Fatal in every client, with words that say what is missing.
            let text = "transactions are not there yet";
            Err(Failure::new(ErrorCode::TransactionalIdAuthorizationFailed, text))
        }
        other => {
            let text = format!("keys of type {other} have no coordinator here");
            Err(Failure::new(ErrorCode::InvalidRequest, text))
        }
    }
}

/// The first group that asks makes the topic that keeps them all.
async fn has_offsets_topic(core: &Rc<Core>) -> Result<(), Failure> {
    if core.image().topic(OFFSETS_TOPIC).is_some() {
        return Ok(());
    }
    let not_available = |text: &str| Failure::new(ErrorCode::CoordinatorNotAvailable, text);
    let topics = vec![super::super::offsets_topic(core)];
    let create = CoreRequest::CreateTopics { topics, validate_only: false };
    match core.call_controller(create).await {
        CoreAnswer::Topics(outcomes) => match outcomes.into_iter().next() {
            // Somebody else may have been quicker.
            Some(Ok(_)) => Ok(()),
            Some(Err(failure)) if failure.code == ErrorCode::TopicAlreadyExists => Ok(()),
            Some(Err(failure)) => Err(not_available(&failure.message)),
            None => Err(not_available("the broker is starting or stopping")),
        },
        CoreAnswer::Failed(text) => Err(not_available(&text)),
        other => unreachable!("not an answer to this: {other:?}"),
    }
}
