//! DescribeTopicPartitions (key 75): topics as in Metadata, so many partitions at a time (KIP-966).

use model::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message DescribeTopicPartitionsRequest: key 75, versions 0-0, flexible 0+ {
        /// None is all topics.
        topics: Vec<TopicRequest> [0+];
        response_partition_limit: i32 [0+] = 2000;
        /// From where on, as the answer before has told.
        cursor: Option<Cursor> [0+, nullable 0+] = None;
    }

    struct TopicRequest {
        name: Text [0+];
    }

    struct Cursor {
        topic_name: Text [0+];
        partition_index: PartitionIndex [0+];
    }

    message DescribeTopicPartitionsResponse: key 75, versions 0-0, flexible 0+ {
        throttle_time_ms: i32 [0+, ignorable];
        topics: Vec<DescribeTopicPartitionsResponseTopic> [0+];
        /// Null if nothing is left.
        next_cursor: Option<Cursor> [0+, nullable 0+] = None;
    }

    struct DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode [0+];
        name: Option<Text> [0+, nullable 0+];
        topic_id: TopicId [0+, ignorable];
        is_internal: bool [0+, ignorable];
        partitions: Vec<DescribeTopicPartitionsResponsePartition> [0+];
        /// A bit for each operation; the lowest number is "not asked for".
        topic_authorized_operations: i32 [0+] = i32::MIN;
    }

    struct DescribeTopicPartitionsResponsePartition {
        error_code: ErrorCode [0+];
        partition_index: PartitionIndex [0+];
        leader_id: BrokerId [0+];
        leader_epoch: LeaderEpoch [0+, ignorable] = LeaderEpoch::NONE;
        replica_nodes: Vec<BrokerId> [0+];
        isr_nodes: Vec<BrokerId> [0+];
        eligible_leader_replicas: Option<Vec<BrokerId>> [0+, nullable 0+] = None;
        last_known_elr: Option<Vec<BrokerId>> [0+, nullable 0+] = None;
        offline_replicas: Vec<BrokerId> [0+, ignorable];
    }
}
