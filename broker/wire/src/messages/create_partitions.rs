//! CreatePartitions (key 37): more partitions for topics that are there.
//!
//! Versions: 1 as 0; 2 flexible; 3 quotas may be exceeded (KIP-599).

use model::BrokerId;

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message CreatePartitionsRequest: key 37, versions 0-3, flexible 2+ {
        topics: Vec<CreatePartitionsTopic> [0+];
        timeout_ms: i32 [0+];
        /// Check everything, create nothing.
        validate_only: bool [0+];
    }

    struct CreatePartitionsTopic {
        name: Text [0+];
        /// How many there are to be in all.
        count: i32 [0+];
        /// Of the new partitions, in their order; null if nobody cares.
        assignments: Option<Vec<CreatePartitionsAssignment>> [0+, nullable 0+];
    }

    struct CreatePartitionsAssignment {
        broker_ids: Vec<BrokerId> [0+];
    }

    message CreatePartitionsResponse: key 37, versions 0-3, flexible 2+ {
        throttle_time_ms: i32 [0+];
        results: Vec<CreatePartitionsTopicResult> [0+];
    }

    struct CreatePartitionsTopicResult {
        name: Text [0+];
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+] = None;
    }
}
