//! ElectLeaders (key 43): partitions are to be led by their preferred replica again (KIP-183).
//!
//! Versions: 1 elections of replicas that are not in sync, and an error of the whole (KIP-460); 2
//! flexible.

use model::PartitionIndex;

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message ElectLeadersRequest: key 43, versions 0-2, flexible 2+ {
        /// 0 elects the preferred replica; 1 any that is alive, if none is in sync.
        election_type: i8 [1+];
        /// Null is all.
        topic_partitions: Option<Vec<TopicPartitions>> [0+, nullable 0+];
        timeout_ms: i32 [0+] = 60_000;
    }

    struct TopicPartitions {
        topic: Text [0+];
        partitions: Vec<PartitionIndex> [0+];
    }

    message ElectLeadersResponse: key 43, versions 0-2, flexible 2+ {
        throttle_time_ms: i32 [0+];
        error_code: ErrorCode [1+];
        replica_election_results: Vec<ReplicaElectionResult> [0+];
    }

    struct ReplicaElectionResult {
        topic: Text [0+];
        partition_result: Vec<PartitionResult> [0+];
    }

    struct PartitionResult {
        partition_id: PartitionIndex [0+];
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+];
    }
}
