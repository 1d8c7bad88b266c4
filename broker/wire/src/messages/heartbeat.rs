//! Heartbeat (key 12): a member is alive, and hears whether it has to join again.
//!
//! Versions: 1 throttle time; 3 static members (KIP-345); 4 flexible.

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message HeartbeatRequest: key 12, versions 0-4, flexible 4+ {
        group_id: Text [0+];
        generation_id: i32 [0+];
        member_id: Text [0+];
        group_instance_id: Option<Text> [3+, nullable 3+] = None;
    }

    message HeartbeatResponse: key 12, versions 0-4, flexible 4+ {
        throttle_time_ms: i32 [1+, ignorable];
        error_code: ErrorCode [0+];
    }
}
