//! Bytes that are not messages: cut off, damaged, or made to hurt. Nothing may panic, and what is
//! not whole must be refused.

use bytes::Bytes;
use proptest::prelude::*;

use super::{for_every_message, requests, responses};
use crate::testing::Arbitrary;
use crate::{ApiKey, RequestMessage, Response, ResponseMessage, decode_request, decode_response};

/// Every length of small frames, and of large ones the first and the last thousand.
fn cuts(size_bytes: usize) -> impl Iterator<Item = usize> {
    (0..size_bytes.min(1_000)).chain(size_bytes.saturating_sub(1_000).max(1_000)..size_bytes)
}

#[test]
fn a_message_that_is_cut_off_anywhere_is_refused() {
    fn request<R: RequestMessage + Arbitrary>() {
        for (version, _, bytes) in requests::<R>().step_by(7) {
            for cut in cuts(bytes.len()) {
                assert!(decode_request(&bytes.slice(..cut)).is_err(), "{} {version}", R::NAME);
            }
        }
    }
    fn response<R: ResponseMessage + Arbitrary>() {
        for (version, _, bytes) in responses::<R>().step_by(7) {
            for cut in cuts(bytes.len()) {
                let found = decode_response::<R>(version, &bytes.slice(..cut));
                assert!(found.is_err(), "{} {version}", R::NAME);
            }
        }
    }
    for_every_message!(request, response);
}

#[test]
fn bytes_after_the_end_are_ignored_in_requests_and_refused_in_responses() {
    fn with_more(bytes: &Bytes) -> Bytes {
        [bytes, &[0_u8][..]].concat().into()
    }
    fn request<R: RequestMessage + Arbitrary>() {
        for (version, _, bytes) in requests::<R>() {
            assert_eq!(
                decode_request(&with_more(&bytes)),
                decode_request(&bytes),
                "{} {version}",
                R::NAME
            );
        }
    }
    fn response<R: ResponseMessage + Arbitrary>() {
        for (version, _, bytes) in responses::<R>() {
            let found = decode_response::<R>(version, &with_more(&bytes));
            assert!(found.is_err(), "{} {version}", R::NAME);
        }
    }
    for_every_message!(request, response);
}

#[test]
fn no_damaged_byte_panics() {
    fn request<R: RequestMessage + Arbitrary>() {
        for (_, _, bytes) in requests::<R>().step_by(11) {
            for damaged in damaged(&bytes) {
                let _ = decode_request(&damaged);
            }
        }
    }
    fn response<R: ResponseMessage + Arbitrary>() {
        for (version, _, bytes) in responses::<R>().step_by(11) {
            for damaged in damaged(&bytes) {
                let _ = decode_response::<R>(version, &damaged);
            }
        }
    }
    for_every_message!(request, response);
}

/// `bytes` with one byte changed, at every position of small frames, to what is likely to hurt.
fn damaged(bytes: &Bytes) -> impl Iterator<Item = Bytes> {
    cuts(bytes.len()).filter(|position| position % 3 == 0).flat_map(move |position| {
        [0x00, 0x7f, 0x80, 0xff].map(|byte| {
            let mut damaged = bytes.to_vec();
            damaged[position] = byte;
            Bytes::from(damaged)
        })
    })
}

/// A key and one of its versions.
fn any_api() -> impl Strategy<Value = (ApiKey, i16)> {
    proptest::sample::select(ApiKey::ALL).prop_flat_map(|api_key| {
        let versions = api_key.versions();
        (Just(api_key), versions.min..=versions.max)
    })
}

/// Bytes with more small numbers, and more numbers with the high bit set, than chance would give.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => 0..4_u8, 1 => Just(0xff_u8), 2 => any::<u8>()];
    proptest::collection::vec(byte, 0..160)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_body_panics((api_key, version) in any_api(), bytes in any_bytes()) {
        let is_flexible = api_key.flexible_versions().contains(version);
        let no_tags: &[u8] = if is_flexible { &[0] } else { &[] };
        let (key, version_bytes) = (api_key.code().to_be_bytes(), version.to_be_bytes());
        let ids = [0, 0, 0, 7, 0xff, 0xff];
        let request = [&key[..], &version_bytes, &ids, no_tags, &bytes].concat();
        let _ = decode_request(&Bytes::from(request));
        let response = [&[0, 0, 0, 7], no_tags, &bytes].concat();
        let _ = Response::decode(api_key, version, &Bytes::from(response));
    }

    #[test]
    fn no_frame_panics(bytes in any_bytes()) {
        let _ = decode_request(&Bytes::from(bytes));
    }
}
