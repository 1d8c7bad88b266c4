//! InitProducerId (key 22): an id for a producer that numbers its batches (KIP-98).
//!
//! Versions: 2 flexible; 3 a producer may resume its id (KIP-360); 4 and 5 further error codes.

use model::{ProducerEpoch, ProducerId};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message InitProducerIdRequest: key 22, versions 0-5, flexible 2+ {
        transactional_id: Option<Text> [0+, nullable 0+];
        transaction_timeout_ms: i32 [0+];
        producer_id: ProducerId [3+] = ProducerId::NONE;
        producer_epoch: ProducerEpoch [3+] = ProducerEpoch::NONE;
    }

    message InitProducerIdResponse: key 22, versions 0-5, flexible 2+ {
        throttle_time_ms: i32 [0+, ignorable];
        error_code: ErrorCode [0+];
        producer_id: ProducerId [0+] = ProducerId::NONE;
        producer_epoch: ProducerEpoch [0+];
    }
}
