//! CreatePartitions: topics grow.

use std::time::{Duration, Instant};

use model::BrokerId;
use model::record_batch::ProducerStamp;
use wire::create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic};
use wire::{CreatePartitionsRequest, ErrorCode, MetadataRequest, Text};

use crate::support::{Broker, Client, Directory, batch, now_ms, produce};

pub(crate) fn more(name: &'static str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic { name: Text::from_static(name), count, assignments: None }
}

pub(crate) fn request(topics: Vec<CreatePartitionsTopic>) -> CreatePartitionsRequest {
    CreatePartitionsRequest { topics, timeout_ms: 30_000, validate_only: false }
}

fn assigned(topic: CreatePartitionsTopic, assignments: &[&[i32]]) -> CreatePartitionsTopic {
    let one = |brokers: &&[i32]| CreatePartitionsAssignment {
        broker_ids: brokers.iter().copied().map(BrokerId).collect(),
    };
    CreatePartitionsTopic { assignments: Some(assignments.iter().map(one).collect()), ..topic }
}

/// How many partitions a topic has, all of them with a leader.
fn partitions_count(client: &mut Client, topic: &str) -> i32 {
    let all = client.call(12, &MetadataRequest { topics: None, ..Default::default() });
    let found = all.topics.iter().find(|found| found.name.as_ref().unwrap() == topic).unwrap();
    for partition in &found.partitions {
        assert_eq!(partition.error_code, ErrorCode::None, "{partition:?}");
        assert!(0 <= partition.leader_epoch.0, "{partition:?}");
    }
    found.partitions.len().try_into().unwrap()
}

fn append(client: &mut Client, topic: &'static str, partition: i32) {
    let batch = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
    let response = client.call(9, &produce(topic, partition, -1, batch));
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::None, "{topic} {partition}");
}

#[test]
fn m12_a_topic_grows_at_once_on_every_connection_and_stays_so() {
    let directory = Directory::new();
    let arguments = ["--cores", "3"];
    let broker = Broker::start(&directory.data(), &arguments);
    // Connections are spread over the cores by the kernel.
    let mut clients: Vec<Client> = (0..6).map(|_| broker.connect()).collect();
    clients[0].auto_create("grows");
    append(&mut clients[0], "grows", 0);
    for (client, count) in (0..6).zip([2, 3, 5, 6, 20, 21]) {
        let response = clients[client].call(3, &request(vec![more("grows", count)]));
        assert_eq!(response.results[0].error_code, ErrorCode::None);
        assert_eq!(response.results[0].error_message, None);
        for other in &mut clients {
            assert_eq!(partitions_count(other, "grows"), count);
            append(other, "grows", count - 1);
        }
    }
    broker.kill();
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    assert_eq!(partitions_count(&mut client, "grows"), 21);
    for (partition, expected) in [(0, 1), (1, 6), (2, 6), (3, 0), (20, 6)] {
        let mut query = crate::list_offsets::query("grows", -1);
        query.topics[0].partitions[0].partition_index = model::PartitionIndex(partition);
        let end = client.call(7, &query).topics.remove(0).partitions.remove(0);
        assert_eq!((end.error_code, end.offset.0), (ErrorCode::None, expected), "{partition}");
    }
}

#[test]
fn m13_every_topic_of_a_request_is_judged_by_itself() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[topics]\npartitions = 2\npartitions-max = 20\n").unwrap();
    let config = config.to_str().unwrap();
    let broker = Broker::start(&directory.data(), &["--cores", "2", "--config", config]);
    let mut client = broker.connect();
    for topic in ["a", "b", "c", "d", "e"] {
        client.auto_create(topic);
    }
    let topics = [
        (more("a", 4), ErrorCode::None),
        (more("b", 2), ErrorCode::InvalidPartitions),
        (more("missing", 2), ErrorCode::UnknownTopicOrPartition),
        (more("c", 3), ErrorCode::InvalidRequest),
        (more("c", 3), ErrorCode::InvalidRequest),
        (assigned(more("d", 4), &[&[1], &[1]]), ErrorCode::None),
        (assigned(more("e", 4), &[&[1]]), ErrorCode::InvalidReplicaAssignment),
    ];
    let asked = |validate_only| CreatePartitionsRequest {
        topics: topics.iter().map(|(topic, _)| topic.clone()).collect(),
        validate_only,
        ..request(Vec::new())
    };
    for (validate_only, count) in [(true, 2), (false, 4)] {
        let response = client.call(3, &asked(validate_only));
        assert_eq!(response.results.len(), topics.len());
        for ((topic, expected), result) in topics.iter().zip(&response.results) {
            assert_eq!((&result.name, result.error_code), (&topic.name, *expected));
            assert_eq!(result.error_message.is_some(), expected.is_error(), "{}", topic.name);
        }
        assert_eq!(partitions_count(&mut client, "a"), count);
        assert_eq!(partitions_count(&mut client, "d"), count);
    }
    // There are 14 of 20 now; the second topic of the request finds what the first has left.
    for (wrong, code) in [
        (more("a", 1), ErrorCode::InvalidPartitions),
        (more("a", -1), ErrorCode::InvalidPartitions),
        (more("a", 11), ErrorCode::InvalidPartitions),
        (assigned(more("a", 5), &[&[]]), ErrorCode::InvalidReplicaAssignment),
        (assigned(more("a", 5), &[&[2]]), ErrorCode::InvalidReplicaAssignment),
        (assigned(more("a", 5), &[&[1, 2]]), ErrorCode::InvalidReplicaAssignment),
    ] {
        let result = client.call(3, &request(vec![wrong])).results.remove(0);
        assert_eq!(result.error_code, code, "{result:?}");
    }
    let response = client.call(3, &request(vec![more("a", 8), more("b", 5), more("c", 4)]));
    let codes: Vec<ErrorCode> = response.results.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::InvalidPartitions, ErrorCode::None]);
    assert_eq!(partitions_count(&mut client, "b"), 2);
}

#[test]
fn m14_who_has_no_time_is_told_so_and_the_partitions_come() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("large");
    let hurried = CreatePartitionsRequest { timeout_ms: 1, ..request(vec![more("large", 2000)]) };
    let result = client.call(3, &hurried).results.remove(0);
    assert_eq!(result.error_code, ErrorCode::RequestTimedOut);
    let since = Instant::now();
    while partitions_count(&mut client, "large") != 2000 {
        assert!(since.elapsed() < Duration::from_secs(20), "they come");
        std::thread::sleep(Duration::from_millis(10));
    }
    append(&mut client, "large", 1999);
    // Who gives no time at all waits.
    let patient = CreatePartitionsRequest { timeout_ms: 0, ..request(vec![more("large", 2001)]) };
    assert_eq!(client.call(3, &patient).results[0].error_code, ErrorCode::None);
}

/// Killed before the record, between the record and the opening, and after it: whatever was
/// recorded is there after the start, with all its partitions.
#[test]
fn m15_a_kill_leaves_all_new_partitions_or_none() {
    let directory = Directory::new();
    let mut before = 1;
    let mut grown_count = 0;
    for round in 0..12_u64 {
        let broker = Broker::start(&directory.data(), &["--cores", "2"]);
        let mut client = broker.connect();
        client.auto_create("torn");
        assert_eq!(partitions_count(&mut client, "torn"), before, "round {round}");
        client.send(3, &request(vec![more("torn", before + 40)]));
        std::thread::sleep(Duration::from_micros(round * round * 400));
        broker.kill();
        let broker = Broker::start(&directory.data(), &["--cores", "2"]);
        let mut client = broker.connect();
        let now = partitions_count(&mut client, "torn");
        assert!(now == before || now == before + 40, "{now} after {before}");
        grown_count += usize::from(before < now);
        before = now;
        append(&mut client, "torn", now - 1);
        broker.kill();
    }
    assert!(0 < grown_count, "the later kills come after the record");
}
