//! Metadata (key 3): which brokers there are, and which of them leads which partition.
//!
//! Versions: 1 controller, racks, and null for all topics; 2 cluster id; 4 auto-creation can be
//! declined; 5 offline replicas; 7 leader epochs (KIP-320); 8 authorized operations (KIP-430); 9
//! flexible; 10 topic ids (KIP-516); 11 cluster operations move to DescribeCluster; 12 topics can
//! be asked for by id.

use model::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message MetadataRequest: key 3, versions 0-12, flexible 9+ {
        /// Null is all topics, and empty is none; in version 0, which has no null, empty is all.
        topics: Option<Vec<MetadataRequestTopic>> [0+, nullable 1+];
        allow_auto_topic_creation: bool [4+] = true;
        include_cluster_authorized_operations: bool [8-10];
        include_topic_authorized_operations: bool [8+];
    }

    struct MetadataRequestTopic {
        topic_id: TopicId [10+, ignorable];
        name: Option<Text> [0+, nullable 10+];
    }

    message MetadataResponse: key 3, versions 0-12, flexible 9+ {
        throttle_time_ms: i32 [3+, ignorable];
        brokers: Vec<MetadataResponseBroker> [0+];
        cluster_id: Option<Text> [2+, nullable 2+, ignorable] = None;
        controller_id: BrokerId [1+, ignorable] = BrokerId(-1);
        topics: Vec<MetadataResponseTopic> [0+];
        /// A bit for each operation; the lowest number is "not asked for".
        cluster_authorized_operations: i32 [8-10] = i32::MIN;
    }

    struct MetadataResponseBroker {
        node_id: BrokerId [0+];
        host: Text [0+];
        port: i32 [0+];
        rack: Option<Text> [1+, nullable 1+, ignorable] = None;
    }

    struct MetadataResponseTopic {
        error_code: ErrorCode [0+];
        /// Null if the topic was asked for by an id that is not known.
        name: Option<Text> [0+, nullable 12+];
        topic_id: TopicId [10+, ignorable];
        is_internal: bool [1+, ignorable];
        partitions: Vec<MetadataResponsePartition> [0+];
        topic_authorized_operations: i32 [8+] = i32::MIN;
    }

    struct MetadataResponsePartition {
        error_code: ErrorCode [0+];
        partition_index: PartitionIndex [0+];
        leader_id: BrokerId [0+];
        leader_epoch: LeaderEpoch [7+, ignorable] = LeaderEpoch::NONE;
        replica_nodes: Vec<BrokerId> [0+];
        isr_nodes: Vec<BrokerId> [0+];
        offline_replicas: Vec<BrokerId> [5+, ignorable];
    }
}
