//! AlterClientQuotas (key 49): sets what users, clients and addresses may use at most (KIP-546).
//!
//! Versions: 1 flexible.

use crate::schema::messages;
use crate::{ErrorCode, Float64, Text};

messages! {
    message AlterClientQuotasRequest: key 49, versions 0-1, flexible 1+ {
        entries: Vec<EntryData> [0+];
        /// Check everything, change nothing.
        validate_only: bool [0+];
    }

    struct EntryData {
        entity: Vec<EntityData> [0+];
        ops: Vec<OpData> [0+];
    }

    struct EntityData {
        /// `user`, `client-id` or `ip`.
        entity_type: Text [0+];
        /// Null is the default.
        entity_name: Option<Text> [0+, nullable 0+];
    }

    struct OpData {
        key: Text [0+];
        value: Float64 [0+];
        /// Take it back, whatever the value says.
        remove: bool [0+];
    }

    message AlterClientQuotasResponse: key 49, versions 0-1, flexible 1+ {
        throttle_time_ms: i32 [0+];
        entries: Vec<EntryResult> [0+];
    }

    /// Another `EntryData` of Kafka's.
    struct EntryResult {
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+];
        entity: Vec<EntityData> [0+];
    }
}
