//! CreateTopics (key 19).
//!
//! Versions: 4 defaults for partitions and replicas (KIP-464); 5 flexible, and the answer tells the
//! topic's configs (KIP-525); 6 quotas may be exceeded (KIP-599); 7 topic ids (KIP-516).

use model::{BrokerId, PartitionIndex, TopicId};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message CreateTopicsRequest: key 19, versions 2-7, flexible 5+ {
        topics: Vec<CreatableTopic> [0+];
        timeout_ms: i32 [0+] = 60_000;
        /// Check everything, create nothing.
        validate_only: bool [1+];
    }

    struct CreatableTopic {
        name: Text [0+];
        /// -1 is the broker's default, or what the assignments say.
        num_partitions: i32 [0+];
        /// As above.
        replication_factor: i16 [0+];
        assignments: Vec<CreatableReplicaAssignment> [0+];
        configs: Vec<CreatableTopicConfig> [0+];
    }

    struct CreatableReplicaAssignment {
        partition_index: PartitionIndex [0+];
        broker_ids: Vec<BrokerId> [0+];
    }

    struct CreatableTopicConfig {
        name: Text [0+];
        value: Option<Text> [0+, nullable 0+];
    }

    message CreateTopicsResponse: key 19, versions 2-7, flexible 5+ {
        throttle_time_ms: i32 [2+, ignorable];
        topics: Vec<CreatableTopicResult> [0+];
    }

    struct CreatableTopicResult {
        name: Text [0+];
        topic_id: TopicId [7+, ignorable];
        error_code: ErrorCode [0+];
        error_message: Option<Text> [1+, nullable 0+, ignorable];
        topic_config_error_code: ErrorCode [5+, tag 0, ignorable];
        num_partitions: i32 [5+, ignorable] = -1;
        replication_factor: i16 [5+, ignorable] = -1;
        configs: Option<Vec<CreatableTopicConfigs>> [5+, nullable 5+, ignorable];
    }

    struct CreatableTopicConfigs {
        name: Text [5+];
        value: Option<Text> [5+, nullable 5+];
        read_only: bool [5+];
        config_source: i8 [5+, ignorable] = -1;
        is_sensitive: bool [5+];
    }
}
