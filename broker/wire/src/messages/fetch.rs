//! Fetch (key 1): reads record batches from partitions, waiting for enough of them.
//!
//! Versions: 4 isolation level; 5 log start offset; 7 sessions (KIP-227); 9 leader epochs
//! (KIP-320); 10 zstd allowed; 11 rack and preferred replica (KIP-392); 12 flexible; 13 topic ids
//! in place of names (KIP-516); 15 the replica's state (KIP-903); 16 the new leader comes with the
//! error (KIP-951); 17 directory ids (KIP-853).

use model::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};

use crate::schema::messages;
use crate::{ErrorCode, Records, Text};

messages! {
    message FetchRequest: key 1, versions 4-17, flexible 12+ {
        cluster_id: Option<Text> [12+, nullable 12+, tag 0, ignorable] = None;
        /// -1 is a consumer.
        replica_id: BrokerId [0-14] = BrokerId(-1);
        replica_state: ReplicaState [15+, tag 1];
        max_wait_ms: i32 [0+];
        min_bytes: i32 [0+];
        max_bytes: i32 [3+, ignorable] = i32::MAX;
        /// 0: everything; 1: nothing of a transaction that is open.
        isolation_level: i8 [4+, ignorable];
        session_id: i32 [7+, ignorable];
        session_epoch: i32 [7+, ignorable] = -1;
        topics: Vec<FetchTopic> [0+];
        /// Partitions that leave the session.
        forgotten_topics_data: Vec<ForgottenTopic> [7+];
        rack_id: Text [11+, ignorable];
    }

    struct ReplicaState {
        replica_id: BrokerId [15+] = BrokerId(-1);
        replica_epoch: i64 [15+] = -1;
    }

    struct FetchTopic {
        topic: Text [0-12, ignorable];
        topic_id: TopicId [13+, ignorable];
        partitions: Vec<FetchPartition> [0+];
    }

    struct FetchPartition {
        partition: PartitionIndex [0+];
        current_leader_epoch: LeaderEpoch [9+, ignorable] = LeaderEpoch::NONE;
        fetch_offset: Offset [0+];
        last_fetched_epoch: LeaderEpoch [12+] = LeaderEpoch::NONE;
        /// Of a follower's own log.
        log_start_offset: Offset [5+, ignorable] = Offset::NONE;
        partition_max_bytes: i32 [0+];
        replica_directory_id: [u8; 16] [17+, tag 0, ignorable];
    }

    struct ForgottenTopic {
        topic: Text [7-12, ignorable];
        topic_id: TopicId [13+, ignorable];
        partitions: Vec<PartitionIndex> [7+];
    }

    message FetchResponse: key 1, versions 4-17, flexible 12+ {
        throttle_time_ms: i32 [1+, ignorable];
        error_code: ErrorCode [7+, ignorable];
        session_id: i32 [7+];
        responses: Vec<FetchableTopicResponse> [0+];
        node_endpoints: Vec<NodeEndpoint> [16+, tag 0];
    }

    struct FetchableTopicResponse {
        topic: Text [0-12, ignorable];
        topic_id: TopicId [13+, ignorable];
        partitions: Vec<PartitionData> [0+];
    }

    struct PartitionData {
        partition_index: PartitionIndex [0+];
        error_code: ErrorCode [0+];
        high_watermark: Offset [0+];
        last_stable_offset: Offset [4+, ignorable] = Offset::NONE;
        log_start_offset: Offset [5+, ignorable] = Offset::NONE;
        diverging_epoch: EpochEndOffset [12+, tag 0];
        current_leader: LeaderIdAndEpoch [12+, tag 1];
        snapshot_id: SnapshotId [12+, tag 2];
        /// Null unless the reader asked to see no open transactions.
        aborted_transactions: Option<Vec<AbortedTransaction>> [4+, nullable 4+, ignorable];
        preferred_read_replica: BrokerId [11+] = BrokerId(-1);
        records: Option<Records> [0+, nullable 0+] = None;
    }

    struct EpochEndOffset {
        epoch: LeaderEpoch [12+] = LeaderEpoch::NONE;
        end_offset: Offset [12+] = Offset::NONE;
    }

    struct LeaderIdAndEpoch {
        leader_id: BrokerId [12+] = BrokerId(-1);
        leader_epoch: LeaderEpoch [12+] = LeaderEpoch::NONE;
    }

    struct SnapshotId {
        end_offset: Offset [0+] = Offset::NONE;
        epoch: LeaderEpoch [0+] = LeaderEpoch::NONE;
    }

    struct AbortedTransaction {
        producer_id: ProducerId [4+];
        first_offset: Offset [4+];
    }

    /// Where a leader named above can be reached.
    struct NodeEndpoint {
        node_id: BrokerId [16+];
        host: Text [16+];
        port: i32 [16+];
        rack: Option<Text> [16+, nullable 16+] = None;
    }
}
