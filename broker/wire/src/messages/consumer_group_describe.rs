//! ConsumerGroupDescribe (key 69): the state and the members of groups of the consumer protocol
//! (KIP-848).
//!
//! Versions: 0 flexible; 1 which protocol a member speaks (KIP-1099).

use model::{PartitionIndex, TopicId};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message ConsumerGroupDescribeRequest: key 69, versions 0-1, flexible 0+ {
        group_ids: Vec<Text> [0+];
        include_authorized_operations: bool [0+];
    }

    message ConsumerGroupDescribeResponse: key 69, versions 0-1, flexible 0+ {
        throttle_time_ms: i32 [0+];
        groups: Vec<DescribedGroup> [0+];
    }

    struct DescribedGroup {
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+] = None;
        group_id: Text [0+];
        /// Kafka's name of it, such as `Stable` or `Reconciling`.
        group_state: Text [0+];
        group_epoch: i32 [0+];
        assignment_epoch: i32 [0+];
        assignor_name: Text [0+];
        members: Vec<Member> [0+];
        /// A bit for each operation; the lowest number is "not asked for".
        authorized_operations: i32 [0+] = i32::MIN;
    }

    struct Member {
        member_id: Text [0+];
        instance_id: Option<Text> [0+, nullable 0+] = None;
        rack_id: Option<Text> [0+, nullable 0+] = None;
        member_epoch: i32 [0+];
        client_id: Text [0+];
        client_host: Text [0+];
        subscribed_topic_names: Vec<Text> [0+];
        subscribed_topic_regex: Option<Text> [0+, nullable 0+] = None;
        assignment: Assignment [0+];
        /// What it is to have once the others have given it up.
        target_assignment: Assignment [0+];
        /// 0 speaks the classic protocol, 1 the consumer protocol, -1 is not known.
        member_type: i8 [1+, ignorable] = -1;
    }

    struct Assignment {
        topic_partitions: Vec<TopicPartitions> [0+];
    }

    struct TopicPartitions {
        topic_id: TopicId [0+];
        topic_name: Text [0+];
        partitions: Vec<PartitionIndex> [0+];
    }
}
