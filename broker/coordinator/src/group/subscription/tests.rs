//! Bytes as Kafka's consumers send them, and what is none.

use super::super::testing::MemoryTopics;
use super::*;

fn topics() -> MemoryTopics {
    MemoryTopics([("a".to_owned(), 2), ("bc".to_owned(), 9)].into())
}

fn numbers(partitions: &Partitions) -> Vec<i32> {
    partitions.iter().map(|(_, partition)| partition.0).collect()
}

#[test]
fn topics_are_read_of_what_consumers_send() {
    let subscription = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff\0\0\0\0";
    let topics = topics_of(subscription).unwrap();
    assert_eq!(topics.into_iter().collect::<Vec<_>>(), ["a", "bc"]);
    assert_eq!(topics_of(b"\0\0\0\0\0\0"), Some(BTreeSet::new()));
}

#[test]
fn what_has_no_topics_is_none() {
    let subscription = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc";
    for end in 0..subscription.len() {
        assert_eq!(topics_of(&subscription[..end]), None, "{end}");
    }
    assert_eq!(topics_of(b"\0\0\xff\xff\xff\xff\0\x01a"), None);
    assert_eq!(topics_of(b"\0\0\0\0\0\x01\0\x01\xff"), None);
}

#[test]
fn every_version_of_a_subscription_is_read_and_no_part_of_one_is() {
    let topics_and_data = b"\0\0\0\x01\0\x01a\0\0\0\x01x";
    let owned = b"\0\0\0\x02\0\x02bc\0\0\0\x02\0\0\0\x04\0\0\0\x05\0\x04gone\0\0\0\x01\0\0\0\0";
    let generation = b"\0\0\0\x07";
    let rack = b"\0\x01r";
    let mut bytes = topics_and_data.to_vec();
    for (version, added) in [(0, &b""[..]), (1, owned), (2, generation), (3, rack), (4, b"new")] {
        bytes.extend_from_slice(added);
        let whole = [&i16::to_be_bytes(version)[..], &bytes].concat();
        let read = Subscription::read(&whole).unwrap();
        assert_eq!(read.topics, ["a".to_owned()].into());
        let expected = if version == 0 { vec![] } else { vec![4, 5] };
        assert_eq!(numbers(&read.owned(&topics())), expected, "those of topics that there are");
        assert_eq!(read.rack.as_deref(), (3 <= version).then_some("r"));
        let known = whole.len() - if version == 4 { 3 } else { 0 };
        for end in 0..known {
            assert_eq!(Subscription::read(&whole[..end]), None, "version {version} to {end}");
        }
    }
    assert_eq!(Subscription::read(b"\xff\xff\0\0\0\0\xff\xff\xff\xff"), None, "version -1");
    let many = b"\0\x01\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\x01a\x7f\xff\xff\xff";
    assert_eq!(Subscription::read(many), None);
}

#[test]
fn an_assignment_is_written_in_the_members_version_and_reads_back() {
    let said = Subscription::read(b"\0\x01\0\0\0\0\xff\xff\xff\xff\0\0\0\0").unwrap();
    let id = MemoryTopics::id_of;
    let given = [(id("a"), 1), (id("bc"), 0), (id("bc"), 8), (id("gone"), 3)];
    let given = given.into_iter().map(|(topic, number)| (topic, PartitionIndex(number))).collect();
    let bytes = said.answer(&given, &topics());
    let expected =
        b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x01\0\0\0\x01\0\x02bc\0\0\0\x02\0\0\0\0\0\0\0\x08\
        \xff\xff\xff\xff";
    assert_eq!(&bytes[..], expected);
    let read = Assignment::read(&bytes).unwrap();
    assert_eq!(numbers(&read.partitions(&topics())), [1, 0, 8]);
    assert!(!read.has_user_data);
    for end in 0..bytes.len() {
        assert_eq!(Assignment::read(&bytes[..end]), None, "{end}");
    }
    assert!(Assignment::read(b"\0\0\0\0\0\0\0\0\0\x01x").unwrap().has_user_data);
    assert!(!Assignment::read(b"\0\0\0\0\0\0\0\0\0\0").unwrap().has_user_data);
}
