//! DeleteRecords (key 21): the log starts later (KIP-107).
//!
//! Versions: 1 as 0; 2 flexible.

use model::{Offset, PartitionIndex};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message DeleteRecordsRequest: key 21, versions 0-2, flexible 2+ {
        topics: Vec<DeleteRecordsTopic> [0+];
        timeout_ms: i32 [0+];
    }

    struct DeleteRecordsTopic {
        name: Text [0+];
        partitions: Vec<DeleteRecordsPartition> [0+];
    }

    struct DeleteRecordsPartition {
        partition_index: PartitionIndex [0+];
        /// What is below it goes; -1 is the high watermark.
        offset: Offset [0+];
    }

    message DeleteRecordsResponse: key 21, versions 0-2, flexible 2+ {
        throttle_time_ms: i32 [0+];
        topics: Vec<DeleteRecordsTopicResult> [0+];
    }

    struct DeleteRecordsTopicResult {
        name: Text [0+];
        partitions: Vec<DeleteRecordsPartitionResult> [0+];
    }

    struct DeleteRecordsPartitionResult {
        partition_index: PartitionIndex [0+];
        /// The lowest log start of all replicas; -1 with an error.
        low_watermark: Offset [0+];
        error_code: ErrorCode [0+];
    }
}
