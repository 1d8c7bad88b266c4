//! What comes before a body: who asks for what, and which answer is to which question.
//!
//! ```text
//! request header 1:  api key i16 │ version i16 │ correlation id i32 │ client id: old string
//! request header 2:  the same, then tagged fields
//! response header 0: correlation id i32
//! response header 1: the same, then tagged fields
//! ```
//! Flexible versions have the later header, but the response to ApiVersions has header 0 for ever,
//! as a client reads it before it knows what the broker speaks. (Request header 0 was only ever
//! that of ControlledShutdown 0, which is not spoken here.)
//!
//! Guarantees: the first 8 bytes of a request can be read whatever follows. Does not know: bodies.

use crate::error::{DecodeError, DecodeFault, EncodeError, EncodeFault, FieldError};
use crate::input::Input;
use crate::output::Output;
use crate::schema::decode_tagged_fields;
use crate::{ApiKey, Text};

/// How every request begins, whether we speak its API and version or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestPrefix {
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
}

impl RequestPrefix {
    /// Reads the first 8 bytes of `frame`, which begins after its size.
    pub fn read(frame: &[u8]) -> Result<RequestPrefix, DecodeError> {
        let Some(&[k0, k1, v0, v1, c0, c1, c2, c3]) = frame.first_chunk() else {
            let fault = DecodeFault::Truncated { needed_bytes: 8, remaining_bytes: frame.len() };
            return Err(FieldError { field: "RequestHeader.request_api_key", fault }.into());
        };
        Ok(RequestPrefix {
            api_key: i16::from_be_bytes([k0, k1]),
            api_version: i16::from_be_bytes([v0, v1]),
            correlation_id: i32::from_be_bytes([c0, c1, c2, c3]),
        })
    }

    /// The API, if it is one of ours at a version of ours. A client that is refused ApiVersions is
    /// to be told with version 0 and UNSUPPORTED_VERSION which versions there are.
    pub fn api(&self) -> Result<ApiKey, DecodeError> {
        let RequestPrefix { api_key, api_version: version, .. } = *self;
        let Some(api_key) = ApiKey::from_code(api_key) else {
            return Err(DecodeError::UnknownApiKey { api_key });
        };
        let versions = api_key.versions();
        if !versions.contains(version) {
            return Err(DecodeError::UnsupportedVersion { api_key, version, versions });
        }
        Ok(api_key)
    }
}

/// The header of a request of an API that this crate speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    pub api_key: ApiKey,
    pub api_version: i16,
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<Text>,
}

impl RequestHeader {
    pub(crate) fn encode(&self, out: &mut Output) -> Result<(), EncodeError> {
        let at_fault = |fault: EncodeFault| FieldError { field: "RequestHeader.client_id", fault };
        out.put(&self.api_key.code().to_be_bytes());
        out.put(&self.api_version.to_be_bytes());
        out.put(&self.correlation_id.to_be_bytes());
        Text::encode_classic(self.client_id.as_deref(), out).map_err(at_fault)?;
        if is_flexible(self.api_key, self.api_version) {
            out.put_unsigned_varint(0);
        }
        Ok(())
    }

    pub(crate) fn decode(
        prefix: RequestPrefix,
        input: &mut Input<'_>,
    ) -> Result<RequestHeader, DecodeError> {
        let at_fault = |fault: DecodeFault| FieldError { field: "RequestHeader.client_id", fault };
        let api_key = prefix.api()?;
        let _prefix: [u8; 8] = input.array().map_err(at_fault)?;
        let client_id = Text::decode_classic(input).map_err(at_fault)?;
        if is_flexible(api_key, prefix.api_version) {
            decode_tagged_fields("RequestHeader tagged fields", input, |_, _| Ok(()))?;
        }
        let RequestPrefix { api_version, correlation_id, .. } = prefix;
        Ok(RequestHeader { api_key, api_version, correlation_id, client_id })
    }
}

pub(crate) fn encode_response_header(
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
    out: &mut Output,
) {
    out.put(&correlation_id.to_be_bytes());
    if response_header_has_tags(api_key, version) {
        out.put_unsigned_varint(0);
    }
}

/// Reads a response header, and returns its correlation id.
pub(crate) fn decode_response_header(
    api_key: ApiKey,
    version: i16,
    input: &mut Input<'_>,
) -> Result<i32, DecodeError> {
    let at_fault =
        |fault: DecodeFault| FieldError { field: "ResponseHeader.correlation_id", fault };
    let correlation_id = i32::from_be_bytes(input.array().map_err(at_fault)?);
    if response_header_has_tags(api_key, version) {
        decode_tagged_fields("ResponseHeader tagged fields", input, |_, _| Ok(()))?;
    }
    Ok(correlation_id)
}

fn is_flexible(api_key: ApiKey, version: i16) -> bool {
    api_key.flexible_versions().contains(version)
}

fn response_header_has_tags(api_key: ApiKey, version: i16) -> bool {
    api_key != ApiKey::ApiVersions && is_flexible(api_key, version)
}

#[cfg(test)]
mod tests;
