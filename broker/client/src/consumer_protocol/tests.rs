use super::*;

fn partitions(topic: &str, indexes: &[i32]) -> Partitions {
    [(topic.to_owned(), indexes.iter().copied().map(PartitionIndex).collect())].into()
}

/// A subscription to two topics in version 3, with everything that there is.
const WHOLE: &[u8] = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\0\0\0\x02hi\
    \0\0\0\x01\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\x07\0\x02r1";

/// Where a version ends in it.
fn cut(version: u8) -> Vec<u8> {
    let size_bytes = match version {
        0 => 19,
        1 => 38,
        2 => 42,
        _ => WHOLE.len(),
    };
    let mut bytes = WHOLE[..size_bytes].to_vec();
    bytes[1] = version;
    bytes
}

fn whole() -> Subscription {
    Subscription {
        topics: vec!["a".to_owned(), "bc".to_owned()],
        user_data: Some(Bytes::from_static(b"hi")),
        owned: partitions("a", &[0, 3]),
        generation: Some(7),
        rack: Some("r1".to_owned()),
    }
}

#[test]
fn subscriptions_are_read_in_every_version() {
    for version in 0..=4 {
        let mut expected = whole();
        if version < 1 {
            expected.owned.clear();
        }
        if version < 2 {
            expected.generation = None;
        }
        if version < 3 {
            expected.rack = None;
        }
        let mut bytes = cut(version);
        if version == 4 {
            bytes.extend(b"what nobody knows yet");
        }
        assert_eq!(Subscription::read(&bytes.into()), Ok(expected), "version {version}");
    }
}

#[test]
fn subscriptions_are_written_as_java_writes_them() {
    assert_eq!(whole().write(), WHOLE);
    let plain = Subscription { topics: vec!["a".to_owned()], ..Default::default() };
    let bytes = plain.write();
    assert_eq!(
        bytes,
        &b"\0\x03\0\0\0\x01\0\x01a\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff"[..]
    );
    assert_eq!(Subscription::read(&bytes), Ok(plain));
}

#[test]
fn assignments_are_written_and_read_in_every_version() {
    let assignment = Assignment { partitions: partitions("bc", &[1, 2]), user_data: None };
    let bytes = assignment.write();
    let written = b"\0\0\0\0\0\x01\0\x02bc\0\0\0\x02\0\0\0\x01\0\0\0\x02\xff\xff\xff\xff";
    assert_eq!(bytes, &written[..]);
    for version in 0..=4 {
        let mut bytes = bytes.to_vec();
        bytes[1] = version;
        assert_eq!(Assignment::read(&bytes.into()), Ok(assignment.clone()), "version {version}");
    }
    assert_eq!(Assignment::read(&Bytes::new()), Ok(Assignment::default()));
}

#[test]
fn what_is_cut_at_any_length_is_an_error() {
    for version in 0..=3 {
        let bytes = Bytes::from(cut(version));
        for size_bytes in 0..bytes.len() {
            let read = Subscription::read(&bytes.slice(..size_bytes));
            assert!(matches!(read, Err(ProtocolError::Truncated { .. })), "{size_bytes}: {read:?}");
        }
    }
    let bytes = Assignment { partitions: partitions("a", &[1]), user_data: None }.write();
    for size_bytes in 1..bytes.len() {
        let read = Assignment::read(&bytes.slice(..size_bytes));
        assert!(matches!(read, Err(ProtocolError::Truncated { .. })), "{size_bytes}: {read:?}");
    }
}

#[test]
fn what_cannot_be_is_an_error() {
    let read = |bytes: &'static [u8]| Subscription::read(&Bytes::from_static(bytes)).unwrap_err();
    assert_eq!(read(b"\xff\xff"), ProtocolError::Version { version: -1 });
    assert_eq!(read(b"\0\0\xff\xff\xff\xfe"), ProtocolError::Length { length: -2 });
    assert_eq!(read(b"\0\0\0\0\0\x01\xff\xff"), ProtocolError::Length { length: -1 });
    assert_eq!(read(b"\0\0\0\0\0\x01\0\x01\xff"), ProtocolError::NotUtf8);
    let claims_much = read(b"\0\0\x7f\xff\xff\xff\0\x01a");
    assert_eq!(claims_much, ProtocolError::Truncated { needed_bytes: 2, remaining_bytes: 0 });
    // One that reads nothing says so with null, as some clients do.
    let nothing = Subscription::read(&Bytes::from_static(b"\0\0\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_eq!(nothing, Ok(Subscription::default()));
}
