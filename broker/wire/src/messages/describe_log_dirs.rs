//! DescribeLogDirs (key 35): where partitions are on the disk, and how large they are.
//!
//! Versions: 2 flexible; 3 an error of the whole (KIP-784); 4 the disk's size (KIP-827).

use model::PartitionIndex;

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message DescribeLogDirsRequest: key 35, versions 1-4, flexible 2+ {
        /// Null is all.
        topics: Option<Vec<DescribableLogDirTopic>> [0+, nullable 0+];
    }

    struct DescribableLogDirTopic {
        topic: Text [0+];
        partitions: Vec<PartitionIndex> [0+];
    }

    message DescribeLogDirsResponse: key 35, versions 1-4, flexible 2+ {
        throttle_time_ms: i32 [0+];
        error_code: ErrorCode [3+, ignorable];
        results: Vec<DescribeLogDirsResult> [0+];
    }

    struct DescribeLogDirsResult {
        error_code: ErrorCode [0+];
        log_dir: Text [0+];
        topics: Vec<DescribeLogDirsTopic> [0+];
        /// Of the disk; -1 if it is not known.
        total_bytes: i64 [4+, ignorable] = -1;
        usable_bytes: i64 [4+, ignorable] = -1;
    }

    struct DescribeLogDirsTopic {
        name: Text [0+];
        partitions: Vec<DescribeLogDirsPartition> [0+];
    }

    struct DescribeLogDirsPartition {
        partition_index: PartitionIndex [0+];
        /// Of its segments.
        partition_size: i64 [0+];
        /// How far it is behind the high watermark.
        offset_lag: i64 [0+];
        /// Being moved here from another directory.
        is_future_key: bool [0+];
    }
}
