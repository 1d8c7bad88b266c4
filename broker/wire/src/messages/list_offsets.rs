//! ListOffsets (key 2): the offset of the first record from a time on, or of a place in the log.
//!
//! Versions: 2 isolation level; 4 leader epochs (KIP-320); 5 OFFSET_NOT_AVAILABLE allowed; 6
//! flexible; 7 the highest timestamp (KIP-734); 8 and 9 places in tiered storage.

use model::{BrokerId, LeaderEpoch, Offset, PartitionIndex, Timestamp};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message ListOffsetsRequest: key 2, versions 1-9, flexible 6+ {
        /// -1 is a consumer.
        replica_id: BrokerId [0+];
        isolation_level: i8 [2+];
        topics: Vec<ListOffsetsTopic> [0+];
    }

    struct ListOffsetsTopic {
        name: Text [0+];
        partitions: Vec<ListOffsetsPartition> [0+];
    }

    struct ListOffsetsPartition {
        partition_index: PartitionIndex [0+];
        current_leader_epoch: LeaderEpoch [4+, ignorable] = LeaderEpoch::NONE;
        /// Milliseconds; or -1 the end, -2 the start, -3 the highest timestamp, -4 the local start,
        /// -5 the last tiered.
        timestamp: i64 [0+];
    }

    message ListOffsetsResponse: key 2, versions 1-9, flexible 6+ {
        throttle_time_ms: i32 [2+, ignorable];
        topics: Vec<ListOffsetsTopicResponse> [0+];
    }

    struct ListOffsetsTopicResponse {
        name: Text [0+];
        partitions: Vec<ListOffsetsPartitionResponse> [0+];
    }

    struct ListOffsetsPartitionResponse {
        partition_index: PartitionIndex [0+];
        error_code: ErrorCode [0+];
        timestamp: Timestamp [1+] = Timestamp::NONE;
        offset: Offset [1+] = Offset::NONE;
        leader_epoch: LeaderEpoch [4+] = LeaderEpoch::NONE;
    }
}
