//! DescribeConfigs (key 32): the configs of topics and brokers, and where they come from.
//!
//! Versions: 1 sources and synonyms; 3 types and documentation; 4 flexible.

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message DescribeConfigsRequest: key 32, versions 1-4, flexible 4+ {
        resources: Vec<DescribeConfigsResource> [0+];
        include_synonyms: bool [1+];
        include_documentation: bool [3+];
    }

    struct DescribeConfigsResource {
        /// 2 is a topic, 4 a broker.
        resource_type: i8 [0+];
        resource_name: Text [0+];
        /// Null is all.
        configuration_keys: Option<Vec<Text>> [0+, nullable 0+];
    }

    message DescribeConfigsResponse: key 32, versions 1-4, flexible 4+ {
        throttle_time_ms: i32 [0+];
        results: Vec<DescribeConfigsResult> [0+];
    }

    struct DescribeConfigsResult {
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+];
        resource_type: i8 [0+];
        resource_name: Text [0+];
        configs: Vec<DescribeConfigsResourceResult> [0+];
    }

    struct DescribeConfigsResourceResult {
        name: Text [0+];
        value: Option<Text> [0+, nullable 0+];
        read_only: bool [0+];
        config_source: i8 [1+, ignorable] = -1;
        is_sensitive: bool [0+];
        synonyms: Vec<DescribeConfigsSynonym> [1+, ignorable];
        config_type: i8 [3+, ignorable];
        documentation: Option<Text> [3+, nullable 0+, ignorable];
    }

    struct DescribeConfigsSynonym {
        name: Text [1+];
        value: Option<Text> [1+, nullable 0+];
        source: i8 [1+];
    }
}
