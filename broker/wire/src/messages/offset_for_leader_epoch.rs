//! OffsetForLeaderEpoch (key 23): where the records of a leader epoch end (KIP-101, KIP-320).
//!
//! Versions: 3 replica id; 4 flexible.

use model::{BrokerId, LeaderEpoch, Offset, PartitionIndex};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message OffsetForLeaderEpochRequest: key 23, versions 2-4, flexible 4+ {
        /// -1 is a consumer, -2 one that debugs.
        replica_id: BrokerId [3+, ignorable] = BrokerId(-2);
        topics: Vec<OffsetForLeaderTopic> [0+];
    }

    struct OffsetForLeaderTopic {
        topic: Text [0+];
        partitions: Vec<OffsetForLeaderPartition> [0+];
    }

    struct OffsetForLeaderPartition {
        partition: PartitionIndex [0+];
        /// In which the client believes.
        current_leader_epoch: LeaderEpoch [2+, ignorable] = LeaderEpoch::NONE;
        /// Whose end is wanted.
        leader_epoch: LeaderEpoch [0+];
    }

    message OffsetForLeaderEpochResponse: key 23, versions 2-4, flexible 4+ {
        throttle_time_ms: i32 [2+, ignorable];
        topics: Vec<OffsetForLeaderTopicResult> [0+];
    }

    struct OffsetForLeaderTopicResult {
        topic: Text [0+];
        partitions: Vec<EpochEndOffset> [0+];
    }

    struct EpochEndOffset {
        error_code: ErrorCode [0+];
        partition: PartitionIndex [0+];
        /// The largest epoch with records that is not larger than the one asked for.
        leader_epoch: LeaderEpoch [1+, ignorable] = LeaderEpoch::NONE;
        end_offset: Offset [0+] = Offset::NONE;
    }
}
