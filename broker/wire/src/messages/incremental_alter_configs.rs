//! IncrementalAlterConfigs (key 44): single configs of a resource are set, taken back, or changed
//! (KIP-339).
//!
//! Versions: 1 flexible.

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message IncrementalAlterConfigsRequest: key 44, versions 0-1, flexible 1+ {
        resources: Vec<IncrementalAlterConfigsResource> [0+];
        /// Check everything, change nothing.
        validate_only: bool [0+];
    }

    struct IncrementalAlterConfigsResource {
        /// 2 is a topic, 4 a broker.
        resource_type: i8 [0+];
        resource_name: Text [0+];
        configs: Vec<IncrementalAlterableConfig> [0+];
    }

    struct IncrementalAlterableConfig {
        name: Text [0+];
        /// 0 sets, 1 takes back, 2 appends to a list, 3 removes from one.
        config_operation: i8 [0+];
        value: Option<Text> [0+, nullable 0+];
    }

    message IncrementalAlterConfigsResponse: key 44, versions 0-1, flexible 1+ {
        throttle_time_ms: i32 [0+];
        responses: Vec<IncrementalAlterConfigsResourceResponse> [0+];
    }

    struct IncrementalAlterConfigsResourceResponse {
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+];
        resource_type: i8 [0+];
        resource_name: Text [0+];
    }
}
