//! FindCoordinator (key 10): which broker looks after a group, or a transactional id.
//!
//! Versions: 1 transactional ids (KIP-98), error messages and throttle time; 3 flexible; 4 many
//! keys at once (KIP-699); 5 TRANSACTION_ABORTABLE allowed (KIP-890); 6 share groups (KIP-932).

use model::BrokerId;

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message FindCoordinatorRequest: key 10, versions 0-6, flexible 3+ {
        key: Text [0-3];
        /// 0 is a group, 1 a transactional id, 2 a partition of a share group.
        key_type: i8 [1+];
        coordinator_keys: Vec<Text> [4+];
    }

    message FindCoordinatorResponse: key 10, versions 0-6, flexible 3+ {
        throttle_time_ms: i32 [1+, ignorable];
        error_code: ErrorCode [0-3];
        error_message: Option<Text> [1-3, nullable 1+, ignorable];
        node_id: BrokerId [0-3];
        host: Text [0-3];
        port: i32 [0-3];
        coordinators: Vec<Coordinator> [4+];
    }

    struct Coordinator {
        key: Text [4+];
        node_id: BrokerId [4+];
        host: Text [4+];
        port: i32 [4+];
        error_code: ErrorCode [4+];
        error_message: Option<Text> [4+, nullable 4+, ignorable];
    }
}
