//! Whole requests and responses: size, header, body.
//!
//! Guarantees: a response that decodes has been read to its last byte; what is encoded has its size
//! in front. Does not know: connections, or who waits for which correlation id.

use bytes::Bytes;

use crate::Text;
use crate::api::{ApiKey, Request, RequestMessage, ResponseMessage};
use crate::error::{DecodeError, EncodeError};
use crate::header::{RequestHeader, RequestPrefix, decode_response_header, encode_response_header};
use crate::input::Input;
use crate::output::{FRAME_PREFIX_SIZE_BYTES, Frame, Output};
use crate::schema::{Message, format_of};

/// How many bytes follow `prefix`. The limit is what bounds a receiver's memory.
pub fn frame_size_bytes(
    prefix: [u8; FRAME_PREFIX_SIZE_BYTES],
    size_bytes_max: usize,
) -> Result<usize, DecodeError> {
    let size_bytes = i32::from_be_bytes(prefix);
    usize::try_from(size_bytes)
        .ok()
        .filter(|&size_bytes| size_bytes <= size_bytes_max)
        .ok_or(DecodeError::FrameSize { size_bytes, size_bytes_max })
}

/// A request, ready to be sent.
pub fn encode_request<R: RequestMessage>(
    version: i16,
    correlation_id: i32,
    client_id: Option<Text>,
    request: &R,
) -> Result<Frame, EncodeError> {
    let header = RequestHeader { api_key: R::API, api_version: version, correlation_id, client_id };
    check_version::<R>(version)?;
    let mut out = Output::new();
    header.encode(&mut out)?;
    request.encode(&mut out, format_of::<R>(version))?;
    out.finish(R::NAME)
}

/// Reads a request from a `frame`, which begins after its size. Texts and records in it share the
/// frame's memory.
///
/// Bytes after the request are ignored, as Kafka ignores them: librdkafka writes a null list of
/// topics as four bytes where one is meant, so that three are left over.
pub fn decode_request(frame: &Bytes) -> Result<(RequestHeader, Request), DecodeError> {
    let mut input = Input::new(frame);
    let header = RequestHeader::decode(RequestPrefix::read(frame)?, &mut input)?;
    let request = Request::decode_body(header.api_key, header.api_version, &mut input)?;
    Ok((header, request))
}

/// A response, ready to be sent.
pub fn encode_response<R: ResponseMessage>(
    version: i16,
    correlation_id: i32,
    response: &R,
) -> Result<Frame, EncodeError> {
    check_version::<R>(version)?;
    let mut out = Output::new();
    encode_response_header(R::API, version, correlation_id, &mut out);
    response.encode(&mut out, format_of::<R>(version))?;
    out.finish(R::NAME)
}

/// Reads the response to a request of `version` from a `frame`, which begins after its size, with
/// its correlation id. Texts and records in it share the frame's memory.
pub fn decode_response<R: ResponseMessage>(
    version: i16,
    frame: &Bytes,
) -> Result<(i32, R), DecodeError> {
    let mut input = Input::new(frame);
    let correlation_id = decode_response_header(R::API, version, &mut input)?;
    let response = decode_body(R::API, version, &mut input)?;
    match input.remaining_bytes() {
        0 => Ok((correlation_id, response)),
        extra_bytes => Err(DecodeError::TrailingBytes { message: R::NAME, extra_bytes }),
    }
}

/// Reads a body, and nothing after it.
pub(crate) fn decode_body<M: Message>(
    api_key: ApiKey,
    version: i16,
    input: &mut Input<'_>,
) -> Result<M, DecodeError> {
    let versions = M::VERSIONS;
    if !versions.contains(version) {
        return Err(DecodeError::UnsupportedVersion { api_key, version, versions });
    }
    M::decode(input, format_of::<M>(version)).map_err(DecodeError::from)
}

fn check_version<M: Message>(version: i16) -> Result<(), EncodeError> {
    let (message, versions) = (M::NAME, M::VERSIONS);
    if versions.contains(version) {
        Ok(())
    } else {
        Err(EncodeError::UnsupportedVersion { message, version, versions })
    }
}

#[cfg(test)]
mod tests;
