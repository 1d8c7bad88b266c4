//! ApiVersions: what this broker serves.

use wire::api_versions::ApiVersion;
use wire::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, Response};

pub(super) fn handle(version: i16, request: &ApiVersionsRequest) -> Response {
    // KIP-511: names that could not be shown are refused.
    let is_valid = version < 3
        || (is_software_name(&request.client_software_name)
            && is_software_name(&request.client_software_version));
    if is_valid { table(ErrorCode::None) } else { refused() }
}

/// The versions that are served, with this code.
pub(super) fn table(error_code: ErrorCode) -> Response {
    let api_keys = ApiKey::ALL.iter().filter(|api| is_served(**api)).map(|api| {
        let versions = api.advertised_versions();
        ApiVersion { api_key: api.code(), min_version: versions.min, max_version: versions.max }
    });
    ApiVersionsResponse { error_code, api_keys: api_keys.collect(), ..Default::default() }.into()
}

/// Not everything that can be read.
pub(super) fn is_served(api: ApiKey) -> bool {
    !matches!(
        api,
        ApiKey::ElectLeaders
            | ApiKey::AlterPartitionReassignments
            | ApiKey::ListPartitionReassignments
            | ApiKey::DescribeClientQuotas
            | ApiKey::AlterClientQuotas
            | ApiKey::ConsumerGroupHeartbeat
            | ApiKey::ConsumerGroupDescribe
    )
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
