//! Requests and responses of every API and version.

use bytes::Bytes;
use wire::{ApiKey, FRAME_PREFIX_SIZE_BYTES, Frame, Response, decode_request};

fn bytes_of(frame: &Frame) -> Bytes {
    frame.contiguous().expect("nothing is external").slice(FRAME_PREFIX_SIZE_BYTES..)
}

/// The input is a frame after its size.
pub(crate) fn request(input: &[u8]) {
    let Ok((header, request)) = decode_request(&Bytes::copy_from_slice(input)) else { return };
    let (version, id) = (header.api_version, header.correlation_id);
    let frame = request.encode(version, id, header.client_id.clone());
    let frame = bytes_of(&frame.expect("what a version can say can be written in it"));
    // Bytes after a request and unknown tagged fields are gone, and nothing has come in their place.
    assert!(frame.len() <= input.len(), "{} bytes of {}", frame.len(), input.len());
    let again = decode_request(&frame).expect("it was just written");
    assert_eq!(again, (header, request));
}

/// The first byte chooses the API, the second its version; then a frame after its size.
pub(crate) fn response(input: &[u8]) {
    let [api, version, frame @ ..] = input else { return };
    let api = ApiKey::ALL[usize::from(*api) % ApiKey::ALL.len()];
    let versions = api.versions();
    let count = versions.max - versions.min + 1;
    let version = versions.min + i16::from(*version) % count;
    let frame = Bytes::copy_from_slice(frame);
    let Ok((id, response)) = Response::decode(api, version, &frame) else { return };
    let written = response.encode(version, id);
    let written = bytes_of(&written.expect("what a version can say can be written in it"));
    let again = Response::decode(api, version, &written).expect("it was just written");
    assert_eq!(again, (id, response));
}
