//! LeaveGroup (key 13): members leave their group, or are made to.
//!
//! Versions: 1 throttle time; 3 many members at once, and static ones (KIP-345); 4 flexible; 5
//! reasons (KIP-800).

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message LeaveGroupRequest: key 13, versions 0-5, flexible 4+ {
        group_id: Text [0+];
        member_id: Text [0-2];
        members: Vec<MemberIdentity> [3+];
    }

    struct MemberIdentity {
        /// Empty if a static member is named by its instance alone.
        member_id: Text [3+];
        group_instance_id: Option<Text> [3+, nullable 3+] = None;
        reason: Option<Text> [5+, nullable 5+, ignorable] = None;
    }

    message LeaveGroupResponse: key 13, versions 0-5, flexible 4+ {
        throttle_time_ms: i32 [1+, ignorable];
        error_code: ErrorCode [0+];
        members: Vec<MemberResponse> [3+];
    }

    struct MemberResponse {
        member_id: Text [3+];
        group_instance_id: Option<Text> [3+, nullable 3+];
        error_code: ErrorCode [3+];
    }
}
