//! JoinGroup (key 11): a member joins its group, and waits until all the others have as well.
//!
//! Versions: 1 rebalance timeout (KIP-62); 2 throttle time; 4 a new member is given its id, with
//! which it joins again (KIP-394); 5 static members (KIP-345); 6 flexible; 7 the answer tells the
//! protocol's type (KIP-559); 8 reasons (KIP-800); 9 a leader can be told to assign nothing
//! (KIP-814).

use bytes::Bytes;

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message JoinGroupRequest: key 11, versions 0-9, flexible 6+ {
        group_id: Text [0+];
        session_timeout_ms: i32 [0+];
        /// How long the others are waited for; -1 is the session timeout.
        rebalance_timeout_ms: i32 [1+, ignorable] = -1;
        /// Empty for a new member.
        member_id: Text [0+];
        group_instance_id: Option<Text> [5+, nullable 5+] = None;
        protocol_type: Text [0+];
        /// In the order in which the member likes them.
        protocols: Vec<JoinGroupRequestProtocol> [0+];
        reason: Option<Text> [8+, nullable 8+, ignorable] = None;
    }

    struct JoinGroupRequestProtocol {
        name: Text [0+];
        /// For the leader, not looked into.
        metadata: Bytes [0+];
    }

    message JoinGroupResponse: key 11, versions 0-9, flexible 6+ {
        throttle_time_ms: i32 [2+, ignorable];
        error_code: ErrorCode [0+];
        generation_id: i32 [0+] = -1;
        protocol_type: Option<Text> [7+, nullable 7+, ignorable] = None;
        /// What all of them can; null, and before version 7 empty, with an error.
        protocol_name: Option<Text> [0+, nullable 7+];
        /// The id of the member that assigns.
        leader: Text [0+];
        /// The leader is not to assign: the assignment before still holds.
        skip_assignment: bool [9+];
        member_id: Text [0+];
        /// All of them, for the leader; empty for the others.
        members: Vec<JoinGroupResponseMember> [0+];
    }

    struct JoinGroupResponseMember {
        member_id: Text [0+];
        group_instance_id: Option<Text> [5+, nullable 5+, ignorable] = None;
        metadata: Bytes [0+];
    }
}
