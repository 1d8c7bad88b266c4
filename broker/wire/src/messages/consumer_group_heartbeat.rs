//! ConsumerGroupHeartbeat (key 68): a member of a group of the consumer protocol joins, stays,
//! leaves, and is told what to read, all with this (KIP-848).
//!
//! Versions: 0 flexible; 1 topics by a regular expression (KIP-848), and members make up their own
//! ids (KIP-1082).

use model::{PartitionIndex, TopicId};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message ConsumerGroupHeartbeatRequest: key 68, versions 0-1, flexible 0+ {
        group_id: Text [0+];
        member_id: Text [0+];
        /// 0 joins, -1 leaves, -2 leaves and will be back as the same static member.
        member_epoch: i32 [0+];
        instance_id: Option<Text> [0+, nullable 0+] = None;
        /// Null is as before, as in all that follows.
        rack_id: Option<Text> [0+, nullable 0+] = None;
        /// -1 is as before.
        rebalance_timeout_ms: i32 [0+] = -1;
        subscribed_topic_names: Option<Vec<Text>> [0+, nullable 0+] = None;
        subscribed_topic_regex: Option<Text> [1+, nullable 1+] = None;
        server_assignor: Option<Text> [0+, nullable 0+] = None;
        /// What the member reads at the time.
        topic_partitions: Option<Vec<TopicPartitions>> [0+, nullable 0+] = None;
    }

    struct TopicPartitions {
        topic_id: TopicId [0+];
        partitions: Vec<PartitionIndex> [0+];
    }

    message ConsumerGroupHeartbeatResponse: key 68, versions 0-1, flexible 0+ {
        throttle_time_ms: i32 [0+];
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+] = None;
        /// Given to a member of version 0 that joins without one.
        member_id: Option<Text> [0+, nullable 0+] = None;
        member_epoch: i32 [0+];
        heartbeat_interval_ms: i32 [0+];
        /// Null is as before.
        assignment: Option<Assignment> [0+, nullable 0+] = None;
    }

    struct Assignment {
        topic_partitions: Vec<TopicPartitions> [0+];
    }
}
