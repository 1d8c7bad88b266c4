//! AlterConfigs (key 33): all configs of a resource at once; what is not named goes back to its
//! default. Superseded by IncrementalAlterConfigs (KIP-339), and still what older clients send.
//!
//! Versions: 1 as 0; 2 flexible.

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message AlterConfigsRequest: key 33, versions 0-2, flexible 2+ {
        resources: Vec<AlterConfigsResource> [0+];
        /// Check everything, change nothing.
        validate_only: bool [0+];
    }

    struct AlterConfigsResource {
        /// 2 is a topic, 4 a broker.
        resource_type: i8 [0+];
        resource_name: Text [0+];
        configs: Vec<AlterableConfig> [0+];
    }

    struct AlterableConfig {
        name: Text [0+];
        value: Option<Text> [0+, nullable 0+];
    }

    message AlterConfigsResponse: key 33, versions 0-2, flexible 2+ {
        throttle_time_ms: i32 [0+];
        responses: Vec<AlterConfigsResourceResponse> [0+];
    }

    struct AlterConfigsResourceResponse {
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+];
        resource_type: i8 [0+];
        resource_name: Text [0+];
    }
}
