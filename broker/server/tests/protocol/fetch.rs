//! Fetch: what is returned, how much of it, and when.

use std::time::{Duration, Instant};

use bytes::Bytes;
use model::record_batch::{BatchHeader, ProducerStamp};
use model::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use wire::fetch::{FetchPartition, FetchTopic, PartitionData};
use wire::{ErrorCode, FetchRequest, MetadataRequest, Text};

use crate::support::{Broker, Client, Directory, batch, now_ms, produce};
use crate::topics::{create, new_topic};

/// Asks for a topic's first partition, by name or by id as the version wants it.
pub(crate) fn fetch_from(
    client: &mut Client,
    version: i16,
    topic: &'static str,
    offset: i64,
) -> FetchRequest {
    let topic_id = if 13 <= version { id_of(client, topic) } else { TopicId::ZERO };
    let partition = FetchPartition {
        partition: PartitionIndex(0),
        fetch_offset: Offset(offset),
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: 5000,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![FetchTopic {
            topic: if 13 <= version { Text::default() } else { Text::from_static(topic) },
            topic_id,
            partitions: vec![partition],
        }],
        ..Default::default()
    }
}

pub(crate) fn id_of(client: &mut Client, topic: &str) -> TopicId {
    let all = client.call(12, &MetadataRequest { topics: None, ..Default::default() });
    let found = all.topics.iter().find(|found| found.name.as_ref().unwrap() == topic);
    found.unwrap().topic_id
}

fn fetch_one(client: &mut Client, request: &FetchRequest) -> PartitionData {
    client.call(12, request).responses.remove(0).partitions.remove(0)
}

pub(crate) fn bytes_of(data: &PartitionData) -> Bytes {
    data.records.as_ref().unwrap().contiguous().cloned().unwrap_or_default()
}

/// The batches from an offset on.
pub(crate) fn records_from(client: &mut Client, topic: &'static str, offset: i64) -> Bytes {
    let request = fetch_from(client, 12, topic, offset);
    let data = fetch_one(client, &request);
    assert_eq!(data.error_code, ErrorCode::None);
    bytes_of(&data)
}

fn with_topic(topic: &'static str) -> (Directory, Broker, Client) {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create(topic);
    (directory, broker, client)
}

pub(crate) fn append(client: &mut Client, topic: &'static str, partition: i32, values: &[&[u8]]) {
    let batch = batch(values, now_ms(), ProducerStamp::NONE);
    let response = client.call(9, &produce(topic, partition, -1, batch));
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
}

#[test]
fn f1_an_offset_within_a_batch_returns_the_whole_batch() {
    let (_directory, _broker, mut client) = with_topic("middle");
    append(&mut client, "middle", 0, &[b"0", b"1", b"2", b"3"]);
    append(&mut client, "middle", 0, &[b"4", b"5"]);
    for (offset, base) in [(0, 0), (1, 0), (3, 0), (4, 4), (5, 4)] {
        let bytes = records_from(&mut client, "middle", offset);
        assert_eq!(BatchHeader::read(&bytes).unwrap().base_offset, Offset(base));
    }
}

#[test]
fn f2_the_first_batch_is_returned_whatever_its_size_and_others_within_the_limits() {
    let (_directory, broker, mut client) = with_topic("other");
    let topic = wire::create_topics::CreatableTopic { num_partitions: 4, ..new_topic("sizes") };
    client.call(7, &create(vec![topic]));
    let value = vec![3; 10_000];
    for partition in 1..4 {
        for _ in 0..3 {
            append(&mut client, "sizes", partition, &[&value]);
        }
    }
    let mut request = fetch_from(&mut client, 12, "sizes", 0);
    request.topics[0].partitions = (0..4)
        .map(|partition| FetchPartition {
            partition: PartitionIndex(partition),
            partition_max_bytes: 100,
            ..Default::default()
        })
        .collect();
    let sizes = |client: &mut Client, request: &FetchRequest| -> Vec<usize> {
        let response = client.call(12, request);
        response.responses[0].partitions.iter().map(|data| bytes_of(data).len()).collect()
    };
    let one = 10_000 + batch(&[b""], 0, ProducerStamp::NONE).len();
    // Too large for its partition: the first that has any is returned, the others wait.
    request.max_bytes = 100;
    let found = sizes(&mut client, &request);
    assert!(found[0] == 0 && one <= found[1] && found[1] < 2 * one, "{found:?}");
    assert_eq!(found[2..], [0, 0]);
    // Room for two in all.
    request.max_bytes = i32::try_from(2 * one + 100).unwrap();
    for partition in &mut request.topics[0].partitions {
        partition.partition_max_bytes = i32::try_from(one + 50).unwrap();
    }
    let found = sizes(&mut client, &request);
    assert!(0 < found[1] && 0 < found[2] && found[3] == 0, "{found:?}");
    drop(broker);
}

#[test]
fn f4_a_fetch_waits_for_its_bytes_and_no_longer_than_asked() {
    let (_directory, broker, mut client) = with_topic("wait");
    let mut request = fetch_from(&mut client, 12, "wait", 0);
    request.max_wait_ms = 200;
    let since = Instant::now();
    let data = fetch_one(&mut client, &request);
    assert!(Duration::from_millis(200) <= since.elapsed());
    assert_eq!((data.error_code, bytes_of(&data).len()), (ErrorCode::None, 0));
    // Woken by an append, on another connection and perhaps another core.
    request.max_wait_ms = 20_000;
    for round in 0..20 {
        request.topics[0].partitions[0].fetch_offset = Offset(round);
        client.send(12, &request);
        std::thread::sleep(Duration::from_millis(round.unsigned_abs() % 4));
        append(&mut broker.connect(), "wait", 0, &[b"v"]);
        let since = Instant::now();
        let (_, response) = client.receive::<FetchRequest>(12);
        assert!(since.elapsed() < Duration::from_secs(10), "woken, not timed out");
        assert!(!bytes_of(&response.responses[0].partitions[0]).is_empty());
    }
    // Not for less than asked for.
    request.min_bytes = 1000;
    request.max_wait_ms = 400;
    request.topics[0].partitions[0].fetch_offset = Offset(20);
    client.send(12, &request);
    let since = Instant::now();
    append(&mut broker.connect(), "wait", 0, &[b"v"]);
    let (_, response) = client.receive::<FetchRequest>(12);
    assert!(Duration::from_millis(300) <= since.elapsed());
    assert!(!bytes_of(&response.responses[0].partitions[0]).is_empty());
}

#[test]
fn f4_an_error_is_told_at_once() {
    let (_directory, _broker, mut client) = with_topic("fails");
    let mut request = fetch_from(&mut client, 12, "fails", 99);
    request.max_wait_ms = 15_000;
    let since = Instant::now();
    let data = fetch_one(&mut client, &request);
    assert_eq!(data.error_code, ErrorCode::OffsetOutOfRange);
    assert!(since.elapsed() < Duration::from_secs(10));
}

#[test]
fn f6_f7_a_partition_that_fails_has_empty_records_and_no_preferred_replica() {
    let (_directory, _broker, mut client) = with_topic("known");
    for version in 4..=17 {
        let mut request = fetch_from(&mut client, version, "known", 0);
        request.topics[0].topic = match version {
            13.. => Text::default(),
            _ => Text::from_static("unknown"),
        };
        request.topics[0].topic_id = match version {
            13.. => TopicId::from_random(9),
            _ => TopicId::ZERO,
        };
        let data = client.call(version, &request).responses.remove(0).partitions.remove(0);
        let expected = match version {
            13.. => ErrorCode::UnknownTopicId,
            _ => ErrorCode::UnknownTopicOrPartition,
        };
        assert_eq!(data.error_code, expected, "version {version}");
        assert_eq!(data.high_watermark, Offset::NONE);
        assert!(data.records.as_ref().unwrap().is_empty());
        assert_eq!(data.aborted_transactions, None);
        assert_eq!(data.preferred_read_replica.0, -1);
    }
}

#[test]
fn f8_f9_aborted_transactions_are_listed_for_who_asks() {
    let (_directory, _broker, mut client) = with_topic("isolated");
    append(&mut client, "isolated", 0, &[b"v"]);
    let mut request = fetch_from(&mut client, 12, "isolated", 0);
    let data = fetch_one(&mut client, &request);
    assert_eq!(data.aborted_transactions, None);
    assert_eq!((data.high_watermark, data.last_stable_offset), (Offset(1), Offset(1)));
    request.isolation_level = 1;
    let data = fetch_one(&mut client, &request);
    assert_eq!(data.aborted_transactions, Some(vec![]));
    assert!(!bytes_of(&data).is_empty());
}

#[test]
fn f12_a_leader_epoch_that_is_not_ours_is_refused() {
    let directory = Directory::new();
    drop(Broker::start(&directory.data(), &[]).connect().auto_create("epochs"));
    let broker = Broker::start(&directory.data(), &[]);
    let mut client = broker.connect();
    let epoch = client.auto_create("epochs").topics[0].partitions[0].leader_epoch;
    assert!(LeaderEpoch(0) < epoch);
    append(&mut client, "epochs", 0, &[b"v"]);
    for (theirs, code) in [
        (LeaderEpoch::NONE, ErrorCode::None),
        (epoch, ErrorCode::None),
        (LeaderEpoch(epoch.0 - 1), ErrorCode::FencedLeaderEpoch),
        (epoch.next(), ErrorCode::UnknownLeaderEpoch),
    ] {
        let mut request = fetch_from(&mut client, 12, "epochs", 0);
        request.topics[0].partitions[0].current_leader_epoch = theirs;
        assert_eq!(fetch_one(&mut client, &request).error_code, code);
        let mut query = crate::list_offsets::query("epochs", -1);
        query.topics[0].partitions[0].current_leader_epoch = theirs;
        let answer = client.call(7, &query);
        assert_eq!(answer.topics[0].partitions[0].error_code, code);
    }
}

#[test]
fn f13_only_what_the_log_does_not_have_is_out_of_range() {
    let (_directory, _broker, mut client) = with_topic("range");
    append(&mut client, "range", 0, &[b"0", b"1"]);
    for (offset, code) in [
        (-1, ErrorCode::OffsetOutOfRange),
        (0, ErrorCode::None),
        (2, ErrorCode::None),
        (3, ErrorCode::OffsetOutOfRange),
    ] {
        let mut request = fetch_from(&mut client, 12, "range", offset);
        request.max_wait_ms = 10;
        assert_eq!(fetch_one(&mut client, &request).error_code, code, "{offset}");
    }
}

/// From memory, from segments in the page cache by sendfile, and from the disk: the same bytes.
#[test]
fn f14_records_are_the_same_wherever_they_are_read_from() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[memory]\ntail-bytes = 1048576\n").unwrap();
    let config = config.to_str().unwrap();
    let arguments = ["--cores", "2", "--config", config];
    let mut expected = Vec::new();
    for life in 0..2_u8 {
        let broker = Broker::start(&directory.data(), &arguments);
        let mut client = broker.connect();
        if life == 0 {
            let topic = crate::topics::with_config(new_topic("places"), "segment.bytes", "262144");
            client.call(7, &create(vec![topic]));
            for n in 0..300_u32 {
                let value: Vec<u8> = (0..9000_u32).map(|i| (i ^ n).to_le_bytes()[0]).collect();
                append(&mut client, "places", 0, &[&value, b"small"]);
                expected.push(value);
                expected.push(b"small".to_vec());
            }
        }
        for (from, limit) in [(0, 1 << 20), (0, 20_000), (301, 100), (599, 1)] {
            let mut offset = from;
            while offset < 600 {
                let mut request = fetch_from(&mut client, 12, "places", offset);
                request.topics[0].partitions[0].partition_max_bytes = limit;
                let bytes = bytes_of(&fetch_one(&mut client, &request));
                assert!(!bytes.is_empty(), "life {life}, offset {offset}");
                for found in model::record_batch::Batches::new(&bytes) {
                    let (header, bytes) = found.unwrap();
                    model::record_batch::check_crc(bytes).unwrap();
                    for record in model::record_batch::Records::read(bytes).unwrap() {
                        let record = record.unwrap();
                        let at = header.base_offset.0 + i64::from(record.offset_delta);
                        let value = &expected[usize::try_from(at).unwrap()];
                        assert_eq!(record.value.unwrap(), value);
                    }
                    offset = header.next_offset().0;
                }
            }
        }
        assert!(broker.stop().success());
    }
}
