//! Which version of which API both sides speak.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use wire::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, Text, Versions, decode_response,
};

use super::transport::Transport;
use crate::error::{CallError, ConnectError};

/// What this client calls itself (KIP-511). Letters, digits, dots and hyphens only.
const SOFTWARE_NAME: Text = Text::from_static("highwater-client");
const SOFTWARE_VERSION: Text = Text::from_static(env!("CARGO_PKG_VERSION"));

/// What the broker serves of what is spoken here.
#[derive(Clone, Debug, Default)]
pub(super) struct Negotiated {
    theirs: BTreeMap<ApiKey, Versions>,
}

impl Negotiated {
    pub(super) fn from_response(response: &ApiVersionsResponse) -> Negotiated {
        let theirs = response.api_keys.iter().filter_map(|api| {
            let api_key = ApiKey::from_code(api.api_key)?;
            let is_range = 0 <= api.min_version && api.min_version <= api.max_version;
            is_range.then(|| (api_key, Versions::new(api.min_version, api.max_version)))
        });
        Negotiated { theirs: theirs.collect() }
    }

    /// The latest version that both sides speak.
    pub(super) fn version(&self, api_key: ApiKey) -> Result<i16, CallError> {
        let ours = api_key.versions();
        let Some(&theirs) = self.theirs.get(&api_key) else {
            return Err(CallError::Unsupported { api_key, ours });
        };
        let version = ours.max.min(theirs.max);
        if version < ours.min || version < theirs.min {
            return Err(CallError::NoCommonVersion { api_key, ours, theirs });
        }
        Ok(version)
    }
}

/// Asks at our latest version. A broker that does not have it says so at version 0, with the
/// versions that it has.
pub(super) async fn negotiate(
    transport: &Transport,
    address: SocketAddr,
) -> Result<Negotiated, ConnectError> {
    let failed = |source| ConnectError::Negotiation { address, source };
    let request = ApiVersionsRequest {
        client_software_name: SOFTWARE_NAME,
        client_software_version: SOFTWARE_VERSION,
    };
    let mut version = ApiKey::ApiVersions.versions().max;
    loop {
        let room = transport.try_room().map_err(failed)?;
        let reply = transport.start(version, &request, room).map_err(failed)?;
        let replied = reply.await.unwrap_or(Err(crate::ConnectionEnd::Dropped));
        let frame = replied.map_err(|end| failed(end.into()))?.frame;
        if let Some(lower) = refused_for(version, &frame) {
            version = lower;
            continue;
        }
        let (_, response) = decode_response::<ApiVersionsResponse>(version, &frame)
            .map_err(|error| failed(CallError::Decode(error)))?;
        return match response.error_code {
            ErrorCode::None => Ok(Negotiated::from_response(&response)),
            code => Err(ConnectError::NegotiationRefused { address, code }),
        };
    }
}

/// The version to ask at instead, if the frame says that `version` is too new.
fn refused_for(version: i16, frame: &bytes::Bytes) -> Option<i16> {
    let (_, refusal) = decode_response::<ApiVersionsResponse>(0, frame).ok()?;
    if refusal.error_code != ErrorCode::UnsupportedVersion || version == 0 {
        return None;
    }
    let theirs = refusal.api_keys.iter().find(|api| api.api_key == ApiKey::ApiVersions.code());
    // Some say only that they refuse; 0 is understood by everybody.
    Some(theirs.map_or(0, |api| api.max_version.clamp(0, version - 1)))
}
