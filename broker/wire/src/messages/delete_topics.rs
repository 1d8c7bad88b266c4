//! DeleteTopics (key 20).
//!
//! Versions: 4 flexible; 5 error messages; 6 topics by name or by id (KIP-516).

use model::TopicId;

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message DeleteTopicsRequest: key 20, versions 1-6, flexible 4+ {
        topics: Vec<DeleteTopicState> [6+];
        topic_names: Vec<Text> [0-5, ignorable];
        timeout_ms: i32 [0+];
    }

    struct DeleteTopicState {
        /// Null if the topic is named by its id.
        name: Option<Text> [6+, nullable 6+] = None;
        topic_id: TopicId [6+];
    }

    message DeleteTopicsResponse: key 20, versions 1-6, flexible 4+ {
        throttle_time_ms: i32 [1+, ignorable];
        responses: Vec<DeletableTopicResult> [0+];
    }

    struct DeletableTopicResult {
        name: Option<Text> [0+, nullable 6+];
        topic_id: TopicId [6+, ignorable];
        error_code: ErrorCode [0+];
        error_message: Option<Text> [5+, nullable 5+, ignorable] = None;
    }
}
