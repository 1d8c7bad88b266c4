//! DeleteGroups (key 42): groups without members go, and their offsets with them (KIP-229).
//!
//! Versions: 1 as 0; 2 flexible.

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message DeleteGroupsRequest: key 42, versions 0-2, flexible 2+ {
        groups_names: Vec<Text> [0+];
    }

    message DeleteGroupsResponse: key 42, versions 0-2, flexible 2+ {
        throttle_time_ms: i32 [0+];
        results: Vec<DeletableGroupResult> [0+];
    }

    struct DeletableGroupResult {
        group_id: Text [0+];
        error_code: ErrorCode [0+];
    }
}
