//! ListPartitionReassignments (key 46): the moves of partitions that are under way (KIP-455).
//!
//! Versions: only 0, flexible.

use model::{BrokerId, PartitionIndex};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message ListPartitionReassignmentsRequest: key 46, versions 0-0, flexible 0+ {
        timeout_ms: i32 [0+] = 60_000;
        /// Null is all.
        topics: Option<Vec<ListPartitionReassignmentsTopics>> [0+, nullable 0+] = None;
    }

    struct ListPartitionReassignmentsTopics {
        name: Text [0+];
        partition_indexes: Vec<PartitionIndex> [0+];
    }

    message ListPartitionReassignmentsResponse: key 46, versions 0-0, flexible 0+ {
        throttle_time_ms: i32 [0+];
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+];
        topics: Vec<OngoingTopicReassignment> [0+];
    }

    struct OngoingTopicReassignment {
        name: Text [0+];
        partitions: Vec<OngoingPartitionReassignment> [0+];
    }

    struct OngoingPartitionReassignment {
        partition_index: PartitionIndex [0+];
        /// All there are at the time.
        replicas: Vec<BrokerId> [0+];
        adding_replicas: Vec<BrokerId> [0+];
        removing_replicas: Vec<BrokerId> [0+];
    }
}
