//! InitProducerId: an id for a producer that numbers its batches.

use std::rc::Rc;

use model::{ProducerEpoch, ProducerId};
use wire::{ErrorCode, InitProducerIdRequest, InitProducerIdResponse};

use crate::core::Core;

/// Characters of a client's id in the log.
const ID_SHOWN_MAX: usize = 100;

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
        if let Some(left_out) = core.lines.transactional.admit() {
            let id: String = id.chars().take(ID_SHOWN_MAX).collect();
            tracing::warn!(
                ?id,
                left_out,
                "a client asks for transactions, which are not there yet"
            );
        }
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
