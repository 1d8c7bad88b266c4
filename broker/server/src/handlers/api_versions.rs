//! ApiVersions: what this broker serves.

use wire::api_versions::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use wire::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, Response, Text};

const GROUP_VERSION: i16 = 1;

pub(super) fn handle(version: i16, request: &ApiVersionsRequest) -> Response {
    // KIP-511: names that could not be shown are refused.
    let is_valid = version < 3
        || (is_software_name(&request.client_software_name)
            && is_software_name(&request.client_software_version));
    if is_valid { table(version, ErrorCode::None) } else { refused() }
}

/// The versions that are served, with this code.
pub(super) fn table(version: i16, error_code: ErrorCode) -> Response {
    let api_keys = ApiKey::ALL.iter().map(|api| {
        let versions = api.advertised_versions();
        ApiVersion { api_key: api.code(), min_version: versions.min, max_version: versions.max }
    });
    // KIP-848: by this clients know that groups can have its protocol.
    let name = Text::from_static("group.version");
    let supported =
        SupportedFeatureKey { name: name.clone(), min_version: 0, max_version: GROUP_VERSION };
    let finalized = FinalizedFeatureKey {
        name,
        min_version_level: GROUP_VERSION,
        max_version_level: GROUP_VERSION,
    };
    ApiVersionsResponse {
        error_code,
        api_keys: api_keys.collect(),
        // Clients of before are surprised by a lowest version of 0 (KAFKA-17011).
        supported_features: (4 <= version).then_some(supported).into_iter().collect(),
        finalized_features_epoch: 0,
        finalized_features: vec![finalized],
        ..Default::default()
    }
    .into()
}

fn refused() -> Response {
    let error_code = ErrorCode::InvalidRequest;
    ApiVersionsResponse { error_code, ..Default::default() }.into()
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`
fn is_software_name(name: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    match name.as_bytes() {
        [] => false,
        [only] => only.is_ascii_alphanumeric(),
        [first, inside @ .., last] => {
            first.is_ascii_alphanumeric()
                && inside.iter().all(|byte| is_inside(*byte))
                && last.is_ascii_alphanumeric()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_checked_as_kip_511_says() {
        for good in ["a", "librdkafka", "apache-kafka-java", "4.1.1", "v1.2-rc1"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-", "a-", ".a", "a b", "a\"", "ä"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
