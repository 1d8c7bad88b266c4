//! Much of one thing: partitions in a request, topics, producers, lines of the log.

use std::io::Write;
use std::process::Stdio;

use model::record_batch::ProducerStamp;
use model::{PartitionIndex, ProducerEpoch, ProducerId};
use wire::create_topics::CreatableTopic;
use wire::describe_configs::DescribeConfigsResource;
use wire::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use wire::metadata::MetadataRequestTopic;
use wire::produce::{PartitionProduceData, TopicProduceData};
use wire::{
    CreateTopicsRequest, DescribeConfigsRequest, ErrorCode, InitProducerIdRequest,
    ListOffsetsRequest, MetadataRequest, ProduceRequest, Text,
};

use crate::machine::{Neighbour, Target, rss_bytes, say};
use crate::support::{Directory, batch, command, now_ms, produce};
use crate::tables::{NO_CLIENT_ID, frame, header};

const MANY: i32 = 100_000;

#[test]
fn h10_a_hundred_thousand_partitions_in_a_request_are_answered_one_by_one() {
    let target = Target::start();
    let mut client = target.broker.connect();
    client.auto_create("one");
    let neighbour = Neighbour::start(&target.broker, "busy");
    let partition = |index| ListOffsetsPartition {
        partition_index: PartitionIndex(index),
        timestamp: -1,
        ..Default::default()
    };
    for partitions in [(0..MANY).map(partition).collect(), vec![partition(0); 100_000]] {
        let topics = vec![ListOffsetsTopic { name: Text::from_static("one"), partitions }];
        let request = ListOffsetsRequest { topics, ..Default::default() };
        let response = client.call(7, &request);
        assert_eq!(response.topics[0].partitions.len(), 100_000);
    }
    // Names that cannot be, so that none is made; then one that is, again and again: it is
    // described once, however often it is named.
    let asked =
        |name: String| MetadataRequestTopic { name: Some(Text::from(name)), ..Default::default() };
    let names = (0..MANY).map(|number| asked(format!("no topic {number}"))).collect();
    let request = MetadataRequest { topics: Some(names), ..Default::default() };
    assert_eq!(client.call(12, &request).topics.len(), 100_000);
    let names = vec![asked("one".to_owned()); 100_000];
    let request = MetadataRequest { topics: Some(names), ..Default::default() };
    assert_eq!(client.call(12, &request).topics.len(), 1);
    let resource = DescribeConfigsResource {
        resource_type: 2,
        resource_name: Text::from_static("one"),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource; 100_000],
        include_documentation: true,
        ..Default::default()
    };
    assert_eq!(client.call(4, &request).results.len(), 1);
    let during = neighbour.stop();
    say(&format!("requests of 100000 partitions: {during}"));
    target.check("many partitions");
}

/// The same partition twice is two batches, one after the other.
#[test]
fn h10_a_partition_that_is_named_twice_is_answered_twice() {
    let target = Target::start();
    let mut client = target.broker.connect();
    client.auto_create("twice");
    let data = PartitionProduceData {
        index: PartitionIndex(0),
        records: Some(batch(&[b"v"], now_ms(), ProducerStamp::NONE)),
    };
    let topic = TopicProduceData {
        name: Text::from_static("twice"),
        partition_data: vec![data.clone(), data],
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: vec![topic.clone(), topic],
        ..Default::default()
    };
    let response = client.call(9, &request);
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let offsets: Vec<i64> = partitions.map(|partition| partition.base_offset.0).collect();
    assert_eq!(offsets, [0, 1, 2, 3]);
    target.check("a partition twice");
}

#[test]
fn h11_topics_are_made_up_to_the_limit_of_partitions_and_no_further() {
    // Of the configuration.
    const PARTITIONS_MAX: usize = 300;
    let target = Target::start();
    let mut client = target.broker.connect();
    let neighbour = Neighbour::start(&target.broker, "busy");
    let mut created = 0;
    for round in 0..8 {
        let topics = (0..100).map(|number| CreatableTopic {
            name: Text::from(format!("flood-{round}-{number}")),
            num_partitions: if number % 10 == 0 { i32::MAX } else { 1 },
            replication_factor: 1,
            ..Default::default()
        });
        let request = CreateTopicsRequest { topics: topics.collect(), ..Default::default() };
        let response = client.call(7, &request);
        for topic in &response.topics {
            match topic.error_code {
                ErrorCode::None => created += 1,
                ErrorCode::InvalidPartitions => {}
                other => panic!("{other:?}: {:?}", topic.error_message),
            }
        }
    }
    // One is the neighbour's.
    assert_eq!(created, PARTITIONS_MAX - 1);
    let names = (0..1000).map(|number| MetadataRequestTopic {
        name: Some(Text::from(format!("asked-{number}"))),
        ..Default::default()
    });
    let request = MetadataRequest { topics: Some(names.collect()), ..Default::default() };
    let response = client.call(12, &request);
    assert!(response.topics.iter().all(|topic| topic.error_code.is_error()));
    let during = neighbour.stop();
    say(&format!("{created} topics of {} asked for: {during}", 8 * 100 + 1000));
    let request = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(client.call(12, &request).topics.len(), PARTITIONS_MAX);
}

/// Ids cost nothing; a producer is remembered where it has written.
#[test]
fn h12_producers_that_write_cost_some_hundred_bytes_each() {
    const IDS_COUNT: i64 = 20_000;
    /// With what the allocator rounds up, and the tail that the batches are in.
    const PRODUCER_BYTES_MAX: u64 = 1000;
    let target = Target::start();
    let mut client = target.broker.connect();
    client.auto_create("numbered");
    let neighbour = Neighbour::start(&target.broker, "busy");
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let before = rss_bytes(&target.broker);
    let mut sent = 0;
    while sent < 5000 {
        for _ in 0..100 {
            client.send(4, &request);
        }
        for _ in 0..100 {
            let (_, response) = client.receive::<InitProducerIdRequest>(4);
            assert_eq!(response.error_code, ErrorCode::None);
        }
        sent += 100;
    }
    let between = rss_bytes(&target.broker);
    for first in (0..IDS_COUNT).step_by(100) {
        for id in first..first + 100 {
            let stamp = ProducerStamp {
                producer_id: ProducerId(1_000_000 + id),
                producer_epoch: ProducerEpoch(0),
                base_sequence: 0,
                ..ProducerStamp::NONE
            };
            client.send(9, &produce("numbered", 0, 1, batch(&[b"v"], now_ms(), stamp)));
        }
        for _ in 0..100 {
            let (_, response) = client.receive::<ProduceRequest>(9);
            let code = response.responses[0].partition_responses[0].error_code;
            assert_eq!(code, ErrorCode::None);
        }
    }
    let after = rss_bytes(&target.broker);
    let during = neighbour.stop();
    let kib = |bytes: u64| bytes / 1024;
    say(&format!(
        "{sent} producer ids: {} KiB more; {IDS_COUNT} producers that write: {} KiB more; {during}",
        kib(between.saturating_sub(before)),
        kib(after.saturating_sub(between)),
    ));
    assert!(between.saturating_sub(before) < 1 << 20, "ids cost nothing");
    let bytes_max = PRODUCER_BYTES_MAX * IDS_COUNT.unsigned_abs() + (2 << 20);
    assert!(after.saturating_sub(between) < bytes_max, "{} KiB", kib(after - between));
    target.check("producers");
}

/// Thousands of refusals are a few lines, and what a client has written is never a line of its own.
#[test]
fn h13_lines_of_the_log_about_clients_are_few_and_their_own() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[broker]\nlog = \"info\"\n").unwrap();
    let log = directory.0.join("log");
    let stderr = std::fs::File::create(&log).unwrap();
    let arguments = ["--cores", "2", "--config", config.to_str().unwrap()];
    let broker = crate::support::Broker::start_with(
        command(&directory.data(), &arguments).stderr(Stdio::from(stderr)),
    );
    let unknown = frame(&[header(999, 0, &NO_CLIENT_ID), vec![0; 20]].concat());
    let begun = std::time::Instant::now();
    for _ in 0..1000 {
        let mut client = broker.connect();
        client.send_bytes(&unknown);
        assert!(client.is_closed());
        client = broker.connect();
        client.stream.write_all(&[0xff; 4]).unwrap();
    }
    let mut client = broker.connect();
    let forged = "\n2026-01-01T00:00:00Z ERROR server: forged\u{1b}[31m\r";
    for number in 0..300 {
        let id = Some(Text::from(format!("{forged}{number}")));
        let request = InitProducerIdRequest { transactional_id: id, ..Default::default() };
        assert!(client.call(4, &request).error_code.is_error());
        let name = Some(Text::from(format!("a-{number}{forged}")));
        let topic = MetadataRequestTopic { name, ..Default::default() };
        client.call(12, &MetadataRequest { topics: Some(vec![topic]), ..Default::default() });
    }
    let kinds_and_cores = 5 * 2;
    let lines_max = kinds_and_cores * (begun.elapsed().as_secs() + 2) + 10;
    drop(broker);
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().any(|line| line.contains("a connection is closed")), "{text}");
    assert!(lines.iter().any(|line| line.contains("asks for transactions")), "{text}");
    assert!(lines.iter().all(|line| !line.starts_with("2026-01-01")), "{text}");
    assert!(!text.contains("forged\u{1b}") && !text.contains('\r'), "{text}");
    say(&format!("{} lines for 2600 refusals in {:.1?}", lines.len(), begun.elapsed()));
    assert!(lines.len() as u64 <= lines_max, "{} lines, at most {lines_max}", lines.len());
}
