//! AlterPartitionReassignments (key 45): partitions move to other brokers, or stay after all
//! (KIP-455).
//!
//! Versions: 0 flexible; 1 the number of replicas can be held (KIP-860).

use model::{BrokerId, PartitionIndex};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message AlterPartitionReassignmentsRequest: key 45, versions 0-1, flexible 0+ {
        timeout_ms: i32 [0+] = 60_000;
        allow_replication_factor_change: bool [1+] = true;
        topics: Vec<ReassignableTopic> [0+];
    }

    struct ReassignableTopic {
        name: Text [0+];
        partitions: Vec<ReassignablePartition> [0+];
    }

    struct ReassignablePartition {
        partition_index: PartitionIndex [0+];
        /// Null takes back a move that is under way.
        replicas: Option<Vec<BrokerId>> [0+, nullable 0+] = None;
    }

    message AlterPartitionReassignmentsResponse: key 45, versions 0-1, flexible 0+ {
        throttle_time_ms: i32 [0+];
        allow_replication_factor_change: bool [1+, ignorable] = true;
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+];
        responses: Vec<ReassignableTopicResponse> [0+];
    }

    struct ReassignableTopicResponse {
        name: Text [0+];
        partitions: Vec<ReassignablePartitionResponse> [0+];
    }

    struct ReassignablePartitionResponse {
        partition_index: PartitionIndex [0+];
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+];
    }
}
