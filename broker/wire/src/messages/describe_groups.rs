//! DescribeGroups (key 15): the state and the members of groups of the classic protocol.
//!
//! Versions: 1 throttle time; 3 authorized operations (KIP-430); 4 static members (KIP-345); 5
//! flexible; 6 error messages, and GROUP_ID_NOT_FOUND rather than a dead group (KIP-1043).

use bytes::Bytes;

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message DescribeGroupsRequest: key 15, versions 0-6, flexible 5+ {
        groups: Vec<Text> [0+];
        include_authorized_operations: bool [3+];
    }

    message DescribeGroupsResponse: key 15, versions 0-6, flexible 5+ {
        throttle_time_ms: i32 [1+, ignorable];
        groups: Vec<DescribedGroup> [0+];
    }

    struct DescribedGroup {
        error_code: ErrorCode [0+];
        error_message: Option<Text> [6+, nullable 6+] = None;
        group_id: Text [0+];
        /// Kafka's name of it, such as `Stable` or `PreparingRebalance`.
        group_state: Text [0+];
        protocol_type: Text [0+];
        /// The protocol's name; empty unless the group is stable, as is what is told of members.
        protocol_data: Text [0+];
        members: Vec<DescribedGroupMember> [0+];
        /// A bit for each operation; the lowest number is "not asked for".
        authorized_operations: i32 [3+] = i32::MIN;
    }

    struct DescribedGroupMember {
        member_id: Text [0+];
        group_instance_id: Option<Text> [4+, nullable 4+, ignorable] = None;
        client_id: Text [0+];
        client_host: Text [0+];
        member_metadata: Bytes [0+];
        member_assignment: Bytes [0+];
    }
}
