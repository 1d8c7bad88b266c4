//! Headers by key and version, and what can be told of a request that is not ours.

use bytes::Bytes;

use super::*;

fn encoded(api_key: ApiKey, api_version: i16, client_id: Option<Text>) -> Vec<u8> {
    let header = RequestHeader { api_key, api_version, correlation_id: 7, client_id };
    let mut out = Output::new();
    header.encode(&mut out).unwrap();
    let frame = out.finish("test").unwrap().contiguous().unwrap().slice(4..);
    let prefix = RequestPrefix::read(&frame).unwrap();
    let mut input = Input::new(&frame);
    assert_eq!(RequestHeader::decode(prefix, &mut input), Ok(header));
    assert_eq!(input.remaining_bytes(), 0);
    frame.to_vec()
}

#[test]
fn request_header_1_has_no_tagged_fields() {
    let bytes = encoded(ApiKey::Metadata, 8, Some(Text::from("me")));
    assert_eq!(bytes, [0, 3, 0, 8, 0, 0, 0, 7, 0, 2, b'm', b'e']);
}

#[test]
fn client_id_is_an_old_string_even_in_the_flexible_request_header() {
    let bytes = encoded(ApiKey::Metadata, 9, Some(Text::from("me")));
    assert_eq!(bytes, [0, 3, 0, 9, 0, 0, 0, 7, 0, 2, b'm', b'e', 0]);
    let bytes = encoded(ApiKey::Metadata, 9, None);
    assert_eq!(bytes, [0, 3, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 0]);
}

#[test]
fn the_request_header_is_flexible_where_its_body_is() {
    for &api_key in ApiKey::ALL {
        for version in api_key.versions().min..=api_key.versions().max {
            let size_bytes = encoded(api_key, version, None).len();
            let is_flexible = api_key.flexible_versions().contains(version);
            assert_eq!(size_bytes, 10 + usize::from(is_flexible), "{api_key} {version}");
        }
    }
}

#[test]
fn unknown_tagged_fields_of_a_header_are_skipped() {
    let bytes = [0, 3, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 2, 0, 1, 0xaa, 0x81, 0x01, 2, 0xbb, 0xcc];
    let frame = Bytes::copy_from_slice(&bytes);
    let mut input = Input::new(&frame);
    let header = RequestHeader::decode(RequestPrefix::read(&frame).unwrap(), &mut input).unwrap();
    assert_eq!(header.client_id, None);
    assert_eq!(input.remaining_bytes(), 0);

    let frame = Bytes::from_static(&[0, 0, 0, 7, 1, 5, 1, 0xaa]);
    let mut input = Input::new(&frame);
    assert_eq!(decode_response_header(ApiKey::Metadata, 9, &mut input), Ok(7));
    assert_eq!(input.remaining_bytes(), 0);
}

#[test]
fn the_api_versions_response_header_is_always_v0() {
    for version in 0..=4 {
        let mut out = Output::new();
        encode_response_header(ApiKey::ApiVersions, version, 7, &mut out);
        assert_eq!(out.finish("test").unwrap().contiguous().unwrap()[4..], [0, 0, 0, 7]);
        let frame = Bytes::from_static(&[0, 0, 0, 7]);
        let found = decode_response_header(ApiKey::ApiVersions, version, &mut Input::new(&frame));
        assert_eq!(found, Ok(7));
    }
}

#[test]
fn the_response_header_of_other_apis_is_flexible_where_their_body_is() {
    let encoded = |api_key, version| {
        let mut out = Output::new();
        encode_response_header(api_key, version, 7, &mut out);
        out.finish("test").unwrap().contiguous().unwrap()[4..].to_vec()
    };
    assert_eq!(encoded(ApiKey::Metadata, 8), [0, 0, 0, 7]);
    assert_eq!(encoded(ApiKey::Metadata, 9), [0, 0, 0, 7, 0]);
    assert_eq!(encoded(ApiKey::DescribeCluster, 0), [0, 0, 0, 7, 0]);
}

#[test]
fn a_request_that_is_not_ours_can_still_be_told() {
    let read = |bytes: &[u8]| RequestPrefix::read(bytes).unwrap();
    let api_versions_99 = read(&[0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0xff]);
    assert_eq!(api_versions_99.correlation_id, 7);
    assert_eq!(
        api_versions_99.api(),
        Err(DecodeError::UnsupportedVersion {
            api_key: ApiKey::ApiVersions,
            version: 99,
            versions: crate::Versions::new(0, 4),
        })
    );
    let produce_2 = read(&[0, 0, 0, 2, 0, 0, 0, 7]);
    assert!(matches!(produce_2.api(), Err(DecodeError::UnsupportedVersion { version: 2, .. })));
    let negative = read(&[0, 3, 0xff, 0xff, 0, 0, 0, 7]);
    assert!(matches!(negative.api(), Err(DecodeError::UnsupportedVersion { version: -1, .. })));
    let unknown = read(&[0x7f, 0xff, 0, 0, 0, 0, 0, 7]);
    assert_eq!(unknown.api(), Err(DecodeError::UnknownApiKey { api_key: 0x7fff }));
    assert_eq!(read(&[0, 3, 0, 12, 0, 0, 0, 7]).api(), Ok(ApiKey::Metadata));
}

#[test]
fn fewer_than_8_bytes_are_no_request() {
    for size_bytes in 0..8 {
        assert!(RequestPrefix::read(&[0; 8][..size_bytes]).is_err());
    }
}
