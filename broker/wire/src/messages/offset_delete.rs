//! OffsetDelete (key 47): a group forgets how far it has read of partitions (KIP-496).
//!
//! Versions: only 0, which is not flexible.

use model::PartitionIndex;

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message OffsetDeleteRequest: key 47, versions 0-0, flexible 1+ {
        group_id: Text [0+];
        topics: Vec<OffsetDeleteRequestTopic> [0+];
    }

    struct OffsetDeleteRequestTopic {
        name: Text [0+];
        partitions: Vec<OffsetDeleteRequestPartition> [0+];
    }

    struct OffsetDeleteRequestPartition {
        partition_index: PartitionIndex [0+];
    }

    message OffsetDeleteResponse: key 47, versions 0-0, flexible 1+ {
        error_code: ErrorCode [0+];
        throttle_time_ms: i32 [0+, ignorable];
        topics: Vec<OffsetDeleteResponseTopic> [0+];
    }

    struct OffsetDeleteResponseTopic {
        name: Text [0+];
        partitions: Vec<OffsetDeleteResponsePartition> [0+];
    }

    struct OffsetDeleteResponsePartition {
        partition_index: PartitionIndex [0+];
        error_code: ErrorCode [0+];
    }
}
