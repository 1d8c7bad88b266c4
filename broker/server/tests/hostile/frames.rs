//! Frames that are not what they say.

use std::io::Write;

use wire::{
    ApiKey, ApiVersionsRequest, CreateTopicsRequest, ErrorCode, FRAME_PREFIX_SIZE_BYTES,
    FetchRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest, Request, Text,
    create_topics::CreatableTopic,
};

use crate::machine::Target;
use crate::tables::Expected::{Answered, AnsweredAndClosed, Closed};
use crate::tables::{CORRELATION_ID, Case, NO_CLIENT_ID, case, check, frame, header, sized};

/// What each API has before its first array or string in its last version with old lengths and its
/// first with compact ones: key, old version, bytes before, compact version, bytes before. Whether
/// the first is a string.
const FIRST: [(ApiKey, i16, usize, i16, usize, bool); 9] = [
    (ApiKey::Produce, 8, 0, 9, 0, true),
    (ApiKey::Fetch, 11, 25, 12, 25, false),
    (ApiKey::ListOffsets, 5, 5, 6, 5, false),
    (ApiKey::Metadata, 8, 0, 9, 0, false),
    (ApiKey::ApiVersions, 2, 0, 3, 0, true),
    (ApiKey::CreateTopics, 4, 0, 5, 0, false),
    (ApiKey::DeleteTopics, 3, 0, 4, 0, false),
    (ApiKey::InitProducerId, 1, 0, 2, 0, true),
    (ApiKey::DescribeConfigs, 3, 0, 4, 0, false),
];

/// What no compact length may be.
const COMPACT_LIES: [(&str, &[u8]); 7] = [
    ("a length of 2^32 - 2", &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ("a length of 2^31 - 1", &[0x80, 0x80, 0x80, 0x80, 0x08]),
    ("a length beyond the end", &[0x7f]),
    ("a varint of 6 bytes", &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    ("a varint of 11 bytes", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    ("a varint that does not end", &[0x80, 0x80]),
    ("nothing", &[]),
];

const ARRAY_LIES: [(&str, &[u8]); 6] = [
    ("an array of 2^31 - 1", &[0x7f, 0xff, 0xff, 0xff]),
    ("an array of -2", &[0xff, 0xff, 0xff, 0xfe]),
    ("an array of -2^31", &[0x80, 0, 0, 0]),
    ("an array beyond the end", &[0, 0, 0, 9, 0]),
    ("an array of 2^24 in 3 bytes", &[1, 0, 0, 0, 0, 1, b'x']),
    ("half a length", &[0, 0]),
];

const STRING_LIES: [(&str, &[u8]); 6] = [
    ("a string of -2", &[0xff, 0xfe]),
    ("a string of -2^15", &[0x80, 0]),
    ("a string beyond the end", &[0x7f, 0xff, b'x']),
    ("a string that is not UTF-8", &[0, 2, 0xc3, 0x28]),
    ("a string of one more than there is", &[0, 3, b'a', b'b']),
    ("half a length of a string", &[0]),
];

const TAG_LIES: [(&str, &[u8], bool); 8] = [
    ("2^32 - 1 tagged fields", &[0xff, 0xff, 0xff, 0xff, 0x0f], false),
    ("a tagged field beyond the end", &[1, 200, 1, 0x7f], false),
    ("a tagged field of 2^32 - 1 bytes", &[1, 200, 1, 0xff, 0xff, 0xff, 0xff, 0x0f], false),
    ("a count of tagged fields of 6 bytes", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01], false),
    ("a tag of 6 bytes", &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0], false),
    ("no tagged fields after their count", &[3], false),
    ("one unknown tag twice", &[2, 99, 1, b'a', 99, 1, b'b'], true),
    ("unknown tags in the wrong order", &[2, 99, 1, b'a', 98, 1, b'b'], true),
];

/// A request that is what it says, without its size.
fn valid(api: ApiKey) -> Vec<u8> {
    let version = api.versions().max;
    let request: Request = match api {
        ApiKey::Produce => ProduceRequest { acks: 1, ..Default::default() }.into(),
        ApiKey::Fetch => FetchRequest::default().into(),
        ApiKey::ListOffsets => ListOffsetsRequest::default().into(),
        ApiKey::Metadata => MetadataRequest { topics: Some(vec![]), ..Default::default() }.into(),
        ApiKey::CreateTopics => CreateTopicsRequest::default().into(),
        _ => ApiVersionsRequest {
            client_software_name: Text::from_static("software"),
            client_software_version: Text::from_static("1"),
        }
        .into(),
    };
    let version = version.min(request.api_key().versions().max);
    let frame = request.encode(version, CORRELATION_ID, None).unwrap();
    frame.contiguous().unwrap()[FRAME_PREFIX_SIZE_BYTES..].to_vec()
}

const VALID: [ApiKey; 6] = [
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::CreateTopics,
    ApiKey::ApiVersions,
];

/// Sizes, and what is no Kafka at all.
fn framing() -> Vec<Case> {
    let hello = valid(ApiKey::ApiVersions);
    let mut cases = vec![
        // 0x16030100 is a size of 369 MB, "GET " one of 1.2 GB and "SSH-" one of 1.4 GB.
        case(
            "a ClientHello of TLS",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".to_vec(),
            Closed,
        ),
        case("a request of HTTP", b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".to_vec(), Closed),
        case("a banner of SSH", b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), Closed),
        case("a POST of HTTP", b"POST /topics HTTP/1.1\r\n\r\n".to_vec(), Closed),
        case("a PROXY header", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n".to_vec(), Closed),
        case("bytes of one kind", vec![0xff; 5000], Closed),
        case("zeros", vec![0; 5000], Closed),
    ];
    for size_bytes in [i32::MIN, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 4_194_305, 104_857_601, i32::MAX] {
        cases.push(case(format!("a size of {size_bytes}"), sized(size_bytes, &hello), Closed));
    }
    for size_bytes in [8, 9] {
        // The key and version of Metadata 0, and not all of a client id.
        let bytes = header(3, 0, &NO_CLIENT_ID);
        cases.push(case(
            format!("a size of {size_bytes} that cuts the client id"),
            sized(size_bytes, &bytes),
            Closed,
        ));
    }
    for cut in [1, 3, 4, 5, 9, 13, hello.len()] {
        let whole = frame(&hello);
        let mut cut_off = case(format!("{cut} bytes, then the end"), whole[..cut].to_vec(), Closed);
        cut_off.ends = true;
        cases.push(cut_off);
    }
    for (name, garbage) in [
        ("TLS", &b"\x16\x03\x01\x02\x00\x01\x00\x01"[..]),
        ("a negative size", &[0xff; 8]),
        ("an empty frame", &[0; 4]),
        ("an unknown API", &[0, 0, 0, 10, 3, 0xe8, 0, 0, 0, 0, 0, 1, 0xff, 0xff]),
    ] {
        let bytes = [&frame(&hello)[..], garbage].concat();
        let expected = AnsweredAndClosed;
        cases.push(case(format!("a valid request, then {name}"), bytes, expected));
    }
    cases
}

/// Keys and versions that are not served.
fn unserved() -> Vec<Case> {
    let mut cases = Vec::new();
    let keys = (-2..=100).chain([1000, i16::MAX, i16::MIN]);
    for key in keys.filter(|key| ApiKey::from_code(*key).is_none()) {
        let bytes = frame(&[header(key, 0, &NO_CLIENT_ID), vec![0; 20]].concat());
        cases.push(case(format!("the API {key}"), bytes, Closed));
    }
    for api in ApiKey::ALL {
        let versions = api.versions();
        for version in [i16::MIN, -1, versions.min - 1, versions.max + 1, i16::MAX] {
            let bytes = frame(&[header(api.code(), version, &NO_CLIENT_ID), vec![0; 20]].concat());
            // Who does not know the versions yet is told.
            let expected = if *api == ApiKey::ApiVersions { Answered } else { Closed };
            let name = format!("{api} in version {version}");
            if !cases.iter().any(|case: &Case| case.name == name) {
                cases.push(case(name, bytes, expected));
            }
        }
    }
    cases
}

/// Lengths, counts and texts.
fn bodies() -> Vec<Case> {
    let mut cases = Vec::new();
    for (api, old, before_old, compact, before_compact, is_string) in FIRST {
        let lies = if is_string { &STRING_LIES[..] } else { &ARRAY_LIES[..] };
        // ApiVersions had no body then.
        for (name, lie) in lies.iter().filter(|_| api != ApiKey::ApiVersions) {
            let body = [&vec![0; before_old][..], lie].concat();
            let bytes = frame(&[header(api.code(), old, &NO_CLIENT_ID), body].concat());
            cases.push(case(format!("{api} {old}: {name}"), bytes, Closed));
        }
        for (name, lie) in COMPACT_LIES {
            let body = [&[0][..], &vec![0; before_compact], lie].concat();
            let bytes = frame(&[header(api.code(), compact, &NO_CLIENT_ID), body].concat());
            cases.push(case(format!("{api} {compact}: {name}"), bytes, Closed));
        }
    }
    for api in VALID {
        let bytes = valid(api);
        let cut = frame(&bytes[..bytes.len() - 1]);
        cases.push(case(format!("{api}: one byte too few"), cut, Closed));
        let longer = frame(&[&bytes[..], &[0xff]].concat());
        cases.push(case(format!("{api}: one byte too many"), longer, Answered));
        let twice = [frame(&bytes), frame(&bytes)].concat();
        cases.push(case(format!("{api}: one correlation id twice"), twice, Answered));
        // After key, version, correlation id and the null client id come the tagged fields.
        let (head, body) = (&bytes[..10], &bytes[11..]);
        for (name, lie, is_answered) in TAG_LIES {
            let behind: &[u8] = if is_answered { body } else { &[] };
            let in_header = frame(&[head, lie, behind].concat());
            let expected = if is_answered { Answered } else { Closed };
            cases.push(case(format!("{api}, in the header: {name}"), in_header, expected));
            let in_body = frame(&[&bytes[..bytes.len() - 1], lie].concat());
            cases.push(case(format!("{api}, at the end: {name}"), in_body, expected));
        }
        let flexible_as_old = frame(&[head, body].concat());
        // What is missing at the beginning is missing at the end.
        cases.push(case(format!("{api}: header 1 for header 2"), flexible_as_old, Closed));
        let compact_id = frame(&[&bytes[..8], &[2, b'x', 0], body].concat());
        cases.push(case(format!("{api}: a compact client id"), compact_id, Closed));
    }
    cases
}

fn client_ids() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, id, expected) in [
        ("of 32 KiB", "x".repeat(32_767).into_bytes(), Answered),
        ("with a NUL", b"a\0b".to_vec(), Answered),
        ("with lines", b"a\nERROR forged\r\n".to_vec(), Answered),
        ("with a path", b"../../etc/passwd".to_vec(), Answered),
        ("with colours", b"\x1b[31mred\x1b[0m".to_vec(), Answered),
        ("without letters", Vec::new(), Answered),
        ("that is not UTF-8", vec![0xc3, 0x28], Closed),
        ("cut in a letter", vec![b'a', 0xe2, 0x82], Closed),
    ] {
        let length = i16::try_from(id.len()).unwrap().to_be_bytes();
        let id = [&length[..], &id].concat();
        let bytes = frame(&header(18, 0, &id));
        cases.push(case(format!("a client id {name}"), bytes, expected));
    }
    for (name, length) in [("of -2", -2_i16), ("of -2^15", i16::MIN), ("beyond the end", 999)] {
        let bytes = frame(&header(18, 0, &length.to_be_bytes()));
        cases.push(case(format!("a client id {name}"), bytes, Closed));
    }
    cases
}

#[test]
fn h1_frames_that_are_not_what_they_say_end_their_connection_and_nothing_else() {
    let target = Target::start();
    let cases: Vec<Case> =
        [framing(), unserved(), bodies(), client_ids()].into_iter().flatten().collect();
    assert!(300 < cases.len(), "{} cases", cases.len());
    check(&target.broker, &cases);
    target.check(&format!("{} frames", cases.len()));
}

/// A byte at a time is as good as all at once.
#[test]
fn h1_a_request_may_come_in_pieces() {
    let target = Target::start();
    let mut client = target.broker.connect();
    for byte in frame(&valid(ApiKey::Metadata)) {
        client.stream.write_all(&[byte]).unwrap();
    }
    assert!(client.try_receive_frame().unwrap().is_some());
}

#[test]
fn h2_names_that_are_no_names_of_topics_are_refused_and_nothing_is_made_of_them() {
    let target = Target::start();
    let mut client = target.broker.connect();
    let long = |count| "x".repeat(count);
    let mut codes = Vec::new();
    for (name, code) in [
        ("a.b".to_owned(), ErrorCode::None),
        ("a_b".to_owned(), ErrorCode::InvalidTopicException),
        (long(249), ErrorCode::None),
        (long(250), ErrorCode::InvalidTopicException),
        (long(30_000), ErrorCode::InvalidTopicException),
        (String::new(), ErrorCode::InvalidTopicException),
        (".".to_owned(), ErrorCode::InvalidTopicException),
        ("..".to_owned(), ErrorCode::InvalidTopicException),
        ("../escape".to_owned(), ErrorCode::InvalidTopicException),
        ("/etc/passwd".to_owned(), ErrorCode::InvalidTopicException),
        ("a\0b".to_owned(), ErrorCode::InvalidTopicException),
        ("a\nERROR forged".to_owned(), ErrorCode::InvalidTopicException),
        ("a b".to_owned(), ErrorCode::InvalidTopicException),
        ("\u{1b}[31mred".to_owned(), ErrorCode::InvalidTopicException),
        ("é".to_owned(), ErrorCode::InvalidTopicException),
        ("\u{202e}reversed".to_owned(), ErrorCode::InvalidTopicException),
        ("__cluster_metadata".to_owned(), ErrorCode::InvalidTopicException),
    ] {
        let topic = CreatableTopic {
            name: Text::from(name.clone()),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let found = client.call(7, &request).topics[0].error_code;
        codes.push((name, found, code));
    }
    for (name, found, code) in codes {
        let name: String = name.chars().take(40).collect();
        assert_eq!(found, code, "{name:?}");
    }
    assert!(!target.directory.0.join("escape").exists());
    // Only ids are names on the disk.
    for entry in std::fs::read_dir(target.directory.data().join("topics")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.len() == 32 && name.chars().all(|digit| digit.is_ascii_hexdigit()), "{name}");
    }
    target.check("names");
}
