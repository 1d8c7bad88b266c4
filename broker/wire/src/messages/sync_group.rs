//! SyncGroup (key 14): the leader hands in what each member is to read, and every member gets its
//! own.
//!
//! Versions: 1 throttle time; 3 static members (KIP-345); 4 flexible; 5 the protocol's type and
//! name, to be checked (KIP-559).

use bytes::Bytes;

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message SyncGroupRequest: key 14, versions 0-5, flexible 4+ {
        group_id: Text [0+];
        generation_id: i32 [0+];
        member_id: Text [0+];
        group_instance_id: Option<Text> [3+, nullable 3+] = None;
        protocol_type: Option<Text> [5+, nullable 5+, ignorable] = None;
        protocol_name: Option<Text> [5+, nullable 5+, ignorable] = None;
        /// Of all members, from the leader; empty from the others.
        assignments: Vec<SyncGroupRequestAssignment> [0+];
    }

    struct SyncGroupRequestAssignment {
        member_id: Text [0+];
        /// For that member, not looked into.
        assignment: Bytes [0+];
    }

    message SyncGroupResponse: key 14, versions 0-5, flexible 4+ {
        throttle_time_ms: i32 [1+, ignorable];
        error_code: ErrorCode [0+];
        protocol_type: Option<Text> [5+, nullable 5+, ignorable] = None;
        protocol_name: Option<Text> [5+, nullable 5+, ignorable] = None;
        assignment: Bytes [0+];
    }
}
