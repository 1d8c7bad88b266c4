//! InitProducerId: an id for a producer that numbers its batches.

use std::rc::Rc;

use model::{ProducerEpoch, ProducerId};
use wire::{ErrorCode, InitProducerIdRequest, InitProducerIdResponse};

use crate::core::Core;

pub(super) async fn handle(
    core: &Rc<Core>,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refused = |error_code| InitProducerIdResponse {
        error_code,
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        ..Default::default()
    };
    // Fatal in every client, with words that say what is missing.
    if let Some(id) = &request.transactional_id {
        tracing::warn!(%id, "a client asks for transactions, which are not supported yet");
        return refused(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    match core.next_producer_id().await {
        Ok(producer_id) => InitProducerIdResponse {
            error_code: ErrorCode::None,
            producer_id,
            producer_epoch: ProducerEpoch(0),
            ..Default::default()
        },
        Err(failure) => refused(failure.code),
    }
}
