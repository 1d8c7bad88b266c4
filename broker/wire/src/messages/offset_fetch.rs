//! OffsetFetch (key 9): how far groups have read.
//!
//! Versions: 2 null for all topics, and an error of the whole (KIP-88); 3 throttle time; 5 leader
//! epochs (KIP-320); 6 flexible; 7 offsets that no transaction may still change (KIP-447); 8 many
//! groups at once (KIP-709); 9 members of the consumer protocol, with their epoch (KIP-848).

use model::{LeaderEpoch, Offset, PartitionIndex};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message OffsetFetchRequest: key 9, versions 1-9, flexible 6+ {
        group_id: Text [0-7];
        /// Null is all.
        topics: Option<Vec<OffsetFetchRequestTopic>> [0-7, nullable 2+];
        groups: Vec<OffsetFetchRequestGroup> [8+];
        /// Answer UNSTABLE_OFFSET_COMMIT where a transaction is about to set the offset.
        require_stable: bool [7+];
    }

    struct OffsetFetchRequestTopic {
        name: Text [0-7];
        partition_indexes: Vec<PartitionIndex> [0-7];
    }

    struct OffsetFetchRequestGroup {
        group_id: Text [8+];
        /// Null if it is asked from outside of the group.
        member_id: Option<Text> [9+, nullable 9+, ignorable] = None;
        member_epoch: i32 [9+, ignorable] = -1;
        /// Null is all.
        topics: Option<Vec<OffsetFetchRequestTopics>> [8+, nullable 8+];
    }

    struct OffsetFetchRequestTopics {
        name: Text [8-9, ignorable];
        partition_indexes: Vec<PartitionIndex> [8+];
    }

    message OffsetFetchResponse: key 9, versions 1-9, flexible 6+ {
        throttle_time_ms: i32 [3+, ignorable];
        topics: Vec<OffsetFetchResponseTopic> [0-7];
        error_code: ErrorCode [2-7, ignorable];
        groups: Vec<OffsetFetchResponseGroup> [8+];
    }

    struct OffsetFetchResponseTopic {
        name: Text [0-7];
        partitions: Vec<OffsetFetchResponsePartition> [0-7];
    }

    struct OffsetFetchResponsePartition {
        partition_index: PartitionIndex [0-7];
        /// -1 if the group has none.
        committed_offset: Offset [0-7];
        committed_leader_epoch: LeaderEpoch [5-7, ignorable] = LeaderEpoch::NONE;
        metadata: Option<Text> [0-7, nullable 0+];
        error_code: ErrorCode [0-7];
    }

    struct OffsetFetchResponseGroup {
        group_id: Text [8+];
        topics: Vec<OffsetFetchResponseTopics> [8+];
        error_code: ErrorCode [8+];
    }

    struct OffsetFetchResponseTopics {
        name: Text [8-9, ignorable];
        partitions: Vec<OffsetFetchResponsePartitions> [8+];
    }

    struct OffsetFetchResponsePartitions {
        partition_index: PartitionIndex [8+];
        /// -1 if the group has none.
        committed_offset: Offset [8+];
        committed_leader_epoch: LeaderEpoch [8+, ignorable] = LeaderEpoch::NONE;
        metadata: Option<Text> [8+, nullable 8+];
        error_code: ErrorCode [8+];
    }
}
