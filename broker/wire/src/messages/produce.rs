//! Produce (key 0): appends one record batch to each partition named.
//!
//! Versions: 3 record format v2; 5 log start offset; 7 zstd allowed; 8 errors of single records
//! (KIP-467); 9 flexible; 10 the new leader comes with the error (KIP-951); 11 transactions may ask
//! to be aborted (KIP-890).

use bytes::Bytes;
use model::{BrokerId, LeaderEpoch, Offset, PartitionIndex, Timestamp};

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message ProduceRequest: key 0, versions 3-11, flexible 9+ {
        transactional_id: Option<Text> [3+, nullable 3+] = None;
        /// 0: do not answer; 1: when the leader has it; -1: when all in sync have it.
        acks: i16 [0+];
        timeout_ms: i32 [0+];
        topic_data: Vec<TopicProduceData> [0+];
    }

    struct TopicProduceData {
        name: Text [0-12, ignorable];
        partition_data: Vec<PartitionProduceData> [0+];
    }

    struct PartitionProduceData {
        index: PartitionIndex [0+];
        /// One record batch, not looked into.
        records: Option<Bytes> [0+, nullable 0+] = None;
    }

    message ProduceResponse: key 0, versions 3-11, flexible 9+ {
        responses: Vec<TopicProduceResponse> [0+];
        throttle_time_ms: i32 [1+, ignorable];
        node_endpoints: Vec<NodeEndpoint> [10+, tag 0];
    }

    struct TopicProduceResponse {
        name: Text [0-12, ignorable];
        partition_responses: Vec<PartitionProduceResponse> [0+];
    }

    struct PartitionProduceResponse {
        index: PartitionIndex [0+];
        error_code: ErrorCode [0+];
        base_offset: Offset [0+];
        /// Set only if the topic's timestamps are those of the append.
        log_append_time_ms: Timestamp [2+, ignorable] = Timestamp::NONE;
        log_start_offset: Offset [5+, ignorable] = Offset::NONE;
        record_errors: Vec<BatchIndexAndErrorMessage> [8+, ignorable];
        error_message: Option<Text> [8+, nullable 8+, ignorable] = None;
        current_leader: LeaderIdAndEpoch [10+, tag 0];
    }

    struct BatchIndexAndErrorMessage {
        /// Which record of the batch, from 0.
        batch_index: i32 [8+];
        batch_index_error_message: Option<Text> [8+, nullable 8+] = None;
    }

    struct LeaderIdAndEpoch {
        leader_id: BrokerId [10+] = BrokerId(-1);
        leader_epoch: LeaderEpoch [10+] = LeaderEpoch::NONE;
    }

    /// Where a leader named above can be reached.
    struct NodeEndpoint {
        node_id: BrokerId [10+];
        host: Text [10+];
        port: i32 [10+];
        rack: Option<Text> [10+, nullable 10+] = None;
    }
}
