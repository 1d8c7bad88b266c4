//! DescribeClientQuotas (key 48): what users, clients and addresses may use at most (KIP-546).
//!
//! Versions: 1 flexible.

use crate::schema::messages;
use crate::{ErrorCode, Float64, Text};

messages! {
    message DescribeClientQuotasRequest: key 48, versions 0-1, flexible 1+ {
        /// All of them must be met; none is all quotas.
        components: Vec<ComponentData> [0+];
        /// Only those of entities that have no other types.
        strict: bool [0+];
    }

    struct ComponentData {
        /// `user`, `client-id` or `ip`.
        entity_type: Text [0+];
        /// 0 is the one of that name, 1 the default, 2 any with a name.
        match_type: i8 [0+];
        /// The name; Kafka says `match`, which is a word of Rust's.
        _match: Option<Text> [0+, nullable 0+];
    }

    message DescribeClientQuotasResponse: key 48, versions 0-1, flexible 1+ {
        throttle_time_ms: i32 [0+];
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+];
        /// Null with an error.
        entries: Option<Vec<EntryData>> [0+, nullable 0+];
    }

    struct EntryData {
        entity: Vec<EntityData> [0+];
        values: Vec<ValueData> [0+];
    }

    struct EntityData {
        entity_type: Text [0+];
        /// Null is the default.
        entity_name: Option<Text> [0+, nullable 0+];
    }

    struct ValueData {
        key: Text [0+];
        value: Float64 [0+];
    }
}
