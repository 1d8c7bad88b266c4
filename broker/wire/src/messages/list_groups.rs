//! ListGroups (key 16): the groups that a broker looks after.
//!
//! Versions: 1 throttle time; 3 flexible; 4 states, and only those asked for (KIP-518); 5 types, in
//! the same way (KIP-848).

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message ListGroupsRequest: key 16, versions 0-5, flexible 3+ {
        /// None is all.
        states_filter: Vec<Text> [4+];
        /// None is all.
        types_filter: Vec<Text> [5+];
    }

    message ListGroupsResponse: key 16, versions 0-5, flexible 3+ {
        throttle_time_ms: i32 [1+, ignorable];
        error_code: ErrorCode [0+];
        groups: Vec<ListedGroup> [0+];
    }

    struct ListedGroup {
        group_id: Text [0+];
        protocol_type: Text [0+];
        group_state: Text [4+, ignorable];
        /// `classic`, `consumer` and so on.
        group_type: Text [5+, ignorable];
    }
}
