//! Golden bytes, other versions, and what is damaged.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn offset() -> GroupRecord {
    GroupRecord::Offset {
        group: "g".to_owned(),
        topic: "orders".to_owned(),
        partition: PartitionIndex(3),
        value: Some(CommittedOffset {
            offset: Offset(42),
            leader_epoch: LeaderEpoch(7),
            metadata: "m".to_owned(),
            committed_at: Timestamp(1000),
            expires_at: None,
        }),
    }
}

fn group() -> GroupRecord {
    GroupRecord::Classic {
        group: "g".to_owned(),
        value: Some(ClassicMetadata {
            protocol_type: "consumer".to_owned(),
            generation: 5,
            protocol: Some("range".to_owned()),
            leader: Some("a".to_owned()),
            state_since: Some(Timestamp(9)),
            members: vec![ClassicMember {
                id: "a".to_owned(),
                instance: Some("i".to_owned()),
                client: ClientInfo { id: "c".to_owned(), host: "/h".to_owned() },
                rebalance_timeout_ms: 300,
                session_timeout_ms: 100,
                subscription: Bytes::from_static(b"\x01\x02"),
                assignment: Bytes::from_static(b"\x03"),
            }],
        }),
    }
}

#[test]
fn records_have_the_bytes_that_kafka_writes() {
    let (key, value) = offset().encode();
    assert_eq!(hex(&key), "0001000167 00066f7264657273 00000003".replace(' ', ""));
    let expected = "0003 000000000000002a 00000007 00016d 00000000000003e8";
    assert_eq!(hex(&value.unwrap()), expected.replace(' ', ""));
    let (key, value) = group().encode();
    assert_eq!(hex(&key), "0002000167");
    let expected = "0003 0008636f6e73756d6572 00000005 000572616e6765 000161 0000000000000009
        00000001 000161 000169 000163 00022f68 0000012c 00000064 000000020102 0000000103";
    assert_eq!(value.unwrap(), bytes_of(expected));
}

#[test]
fn members_of_either_kind_have_the_bytes_that_kafka_writes() {
    let record = |classic| GroupRecord::Consumer {
        group: "g".to_owned(),
        of: ConsumerRecord::Member {
            member: "m".to_owned(),
            value: Some(MemberMetadata {
                topics: ["t".to_owned()].into(),
                rebalance_timeout_ms: 300,
                classic,
                ..MemberMetadata::default()
            }),
        },
    };
    let said = ClassicMemberMetadata {
        session_timeout_ms: 100,
        supported_protocols: vec![("range".to_owned(), Bytes::from_static(b"\x01\x02"))],
    };
    let before = "0000 00 00 01 01 02 0274 00 0000012c 00";
    let without = format!("{before} 01 00 01 00");
    let with = format!("{before} 01 00 11 01 00000064 02 0672616e6765 03 0102 00 00");
    for (classic, expected) in [(None, &without), (Some(said), &with)] {
        let (key, value) = record(classic.clone()).encode();
        assert_eq!(hex(&value.clone().unwrap()), expected.replace(' ', ""));
        let read = GroupRecord::decode(&key, value.as_deref());
        assert_eq!(read, Ok(Some(record(classic))));
    }
    // As it was written before there were such members.
    let (key, _) = record(None).encode();
    let bare = bytes_of(&format!("{before} 00"));
    assert_eq!(GroupRecord::decode(&key, Some(&bare)), Ok(Some(record(None))));
}

#[test]
fn every_record_reads_back_and_no_part_of_one_does() {
    let mut expiring = offset();
    let GroupRecord::Offset { value: Some(value), .. } = &mut expiring else { unreachable!() };
    (value.expires_at, value.leader_epoch) = (Some(Timestamp(2000)), LeaderEpoch::NONE);
    let gone = GroupRecord::Classic { group: "g".to_owned(), value: None };
    let empty = GroupRecord::Classic {
        group: String::new(),
        value: Some(ClassicMetadata { generation: 1, ..ClassicMetadata::default() }),
    };
    for record in [offset(), group(), expiring, gone, empty] {
        let (key, value) = record.encode();
        let value = value.as_deref();
        assert_eq!(GroupRecord::decode(&key, value), Ok(Some(record)));
        for end in 0..key.len() {
            let error = GroupRecord::decode(&key[..end], value).unwrap_err();
            assert!(matches!(error, GroupRecordError::Damaged { .. }), "{error}");
        }
        for end in 0..value.unwrap_or_default().len() {
            let cut = value.map(|value| &value[..end]);
            let error = GroupRecord::decode(&key, cut).unwrap_err();
            assert!(matches!(error, GroupRecordError::Damaged { .. }), "{error}");
        }
    }
}

#[test]
fn what_older_and_newer_kafkas_have_written_is_read() {
    let (key, _) = offset().encode();
    let GroupRecord::Offset { value: Some(expected), .. } = offset() else { unreachable!() };
    let read = |value: &str| match GroupRecord::decode(&key, Some(&bytes_of(value))) {
        Ok(Some(GroupRecord::Offset { value, .. })) => value.unwrap(),
        other => panic!("{other:?}"),
    };
    let old = CommittedOffset { leader_epoch: LeaderEpoch::NONE, ..expected.clone() };
    assert_eq!(read("0000 000000000000002a 00016d 00000000000003e8"), old);
    let with_expiry = "0001 000000000000002a 00016d 00000000000003e8 ffffffffffffffff";
    assert_eq!(read(with_expiry), old);
    let with_topic_id = "0004 000000000000002a 00000007 026d 00000000000003e8
        01 00 10 0123456789abcdef0123456789abcdef";
    assert_eq!(read(with_topic_id), expected);

    let (key, _) = group().encode();
    let flexible = "0004 09636f6e73756d6572 00000005 0672616e6765 0261 0000000000000009
        02 0261 0269 0263 032f68 0000012c 00000064 030102 0203 00 00";
    assert_eq!(GroupRecord::decode(&key, Some(&bytes_of(flexible))), Ok(Some(group())));
    let first = "0000 0008636f6e73756d6572 00000005 000572616e6765 000161
        00000001 000161 000163 00022f68 00000064 000000020102 0000000103";
    let Ok(Some(GroupRecord::Classic { value: Some(read), .. })) =
        GroupRecord::decode(&key, Some(&bytes_of(first)))
    else {
        panic!("it is a group");
    };
    assert_eq!((read.state_since, read.members[0].rebalance_timeout_ms), (None, 100));
}

#[test]
fn what_is_newer_is_told_and_other_kinds_are_left_alone() {
    let (key, _) = group().encode();
    let error = GroupRecord::decode(&key, Some(&[0, 5])).unwrap_err();
    assert_eq!(error, GroupRecordError::Newer { what: "group", version: 5, max: 4 });
    assert_eq!(GroupRecord::decode(&[0, 99, 1, 2], Some(&[1])), Ok(None));
}
