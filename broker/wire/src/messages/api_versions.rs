//! ApiVersions (key 18): which versions of which APIs a broker serves. The first thing most clients
//! ask.
//!
//! Versions: 1 throttle time; 3 flexible, and the client says what it is (KIP-511); 4 features may
//! begin at 0.

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message ApiVersionsRequest: key 18, versions 0-4, flexible 3+ {
        client_software_name: Text [3+, ignorable];
        client_software_version: Text [3+, ignorable];
    }

    message ApiVersionsResponse: key 18, versions 0-4, flexible 3+ {
        error_code: ErrorCode [0+];
        api_keys: Vec<ApiVersion> [0+];
        throttle_time_ms: i32 [1+, ignorable];
        supported_features: Vec<SupportedFeatureKey> [3+, tag 0, ignorable];
        /// -1 if not known.
        finalized_features_epoch: i64 [3+, tag 1, ignorable] = -1;
        finalized_features: Vec<FinalizedFeatureKey> [3+, tag 2, ignorable];
        zk_migration_ready: bool [3+, tag 3, ignorable];
    }

    struct ApiVersion {
        /// A number, as a broker may serve what this crate does not speak.
        api_key: i16 [0+];
        min_version: i16 [0+];
        max_version: i16 [0+];
    }

    struct SupportedFeatureKey {
        name: Text [3+];
        min_version: i16 [3+];
        max_version: i16 [3+];
    }

    struct FinalizedFeatureKey {
        name: Text [3+];
        max_version_level: i16 [3+];
        min_version_level: i16 [3+];
    }
}
