//! OffsetCommit (key 8): keeps how far a group has read.
//!
//! Versions: 2 retention time, which 5 takes away (KIP-211); 3 throttle time; 6 leader epochs
//! (KIP-320); 7 static members (KIP-345); 8 flexible; 9 members of the consumer protocol, with
//! their epoch (KIP-848).

use model::{LeaderEpoch, Offset, PartitionIndex};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message OffsetCommitRequest: key 8, versions 2-9, flexible 8+ {
        group_id: Text [0+];
        /// -1 is no member: somebody sets the offsets of a group from outside.
        generation_id_or_member_epoch: i32 [1+, ignorable] = -1;
        member_id: Text [1+, ignorable];
        group_instance_id: Option<Text> [7+, nullable 7+] = None;
        /// -1 is the broker's own.
        retention_time_ms: i64 [2-4, ignorable] = -1;
        topics: Vec<OffsetCommitRequestTopic> [0+];
    }

    struct OffsetCommitRequestTopic {
        name: Text [0-9, ignorable];
        partitions: Vec<OffsetCommitRequestPartition> [0+];
    }

    struct OffsetCommitRequestPartition {
        partition_index: PartitionIndex [0+];
        /// Of the record to be read next.
        committed_offset: Offset [0+];
        /// Of the record before it.
        committed_leader_epoch: LeaderEpoch [6+, ignorable] = LeaderEpoch::NONE;
        /// Whatever the client wants to find again.
        committed_metadata: Option<Text> [0+, nullable 0+];
    }

    message OffsetCommitResponse: key 8, versions 2-9, flexible 8+ {
        throttle_time_ms: i32 [3+, ignorable];
        topics: Vec<OffsetCommitResponseTopic> [0+];
    }

    struct OffsetCommitResponseTopic {
        name: Text [0-9, ignorable];
        partitions: Vec<OffsetCommitResponsePartition> [0+];
    }

    struct OffsetCommitResponsePartition {
        partition_index: PartitionIndex [0+];
        error_code: ErrorCode [0+];
    }
}
