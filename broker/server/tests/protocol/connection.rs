//! Connections and framing.

use std::io::Write;
use std::time::{Duration, Instant};

use client::compression::compress;
use model::PartitionIndex;
use model::record_batch::{Compression, ProducerStamp};
use wire::create_topics::CreatableTopic;
use wire::produce::PartitionProduceData;
use wire::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest,
    DescribeLogDirsRequest, DescribeTopicPartitionsRequest, ErrorCode, FetchRequest,
    InitProducerIdRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest, Text,
    decode_response,
};

use crate::support::{Broker, Client, Directory, batch, now_ms, produce};

/// A request's first bytes: its size, key, version, correlation id and no client id.
fn raw(api_key: i16, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&i32::try_from(10 + body.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&api_key.to_be_bytes());
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&correlation_id.to_be_bytes());
    bytes.extend_from_slice(&(-1_i16).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn c1_api_versions_of_a_later_version_is_answered_with_version_0_and_the_range() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    let mut client = broker.connect();
    client.send_bytes(&raw(18, 99, 7, b"whatever comes later"));
    let (correlation_id, response): (i32, ApiVersionsResponse) =
        decode_response(0, &client.receive_frame()).unwrap();
    assert_eq!(correlation_id, 7);
    assert_eq!(response.error_code, ErrorCode::UnsupportedVersion);
    let own = response.api_keys.iter().find(|api| api.api_key == 18).unwrap();
    assert_eq!((own.min_version, own.max_version), (0, 4));
    // The connection goes on.
    let again = client.call(own.max_version, &software("test", "1.0"));
    assert_eq!(again.error_code, ErrorCode::None);
}

fn software(name: &'static str, version: &'static str) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: Text::from_static(name),
        client_software_version: Text::from_static(version),
    }
}

/// Row c2: the response header of ApiVersions never has tagged fields. Row c3: client ids are
/// strings of the old kind in every header. Both are checked by the codec of this test, which is
/// itself checked against another implementation.
#[test]
fn c2_c3_every_version_of_every_api_is_answered() {
    let directory = Directory::new();
    let broker = crate::groups::start(&directory, 0);
    let mut client = broker.connect();
    client.auto_create("every");
    let advertised = client.call(3, &software("test", "1")).api_keys;
    crate::groups::find_coordinator(&mut client);
    for api in ApiKey::ALL {
        let versions = api.versions();
        let own = advertised.iter().find(|of| of.api_key == api.code()).unwrap();
        assert_eq!((own.min_version, own.max_version), {
            let versions = api.advertised_versions();
            (versions.min, versions.max)
        });
        for version in versions.min..=versions.max {
            match api {
                ApiKey::Produce => {
                    let batch = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
                    let response = client.call(version, &produce("every", 0, 1, batch));
                    let partition = &response.responses[0].partition_responses[0];
                    assert_eq!(partition.error_code, ErrorCode::None, "version {version}");
                }
                ApiKey::Fetch => {
                    let request = crate::fetch::fetch_from(&mut client, version, "every", 0);
                    let response = client.call(version, &request);
                    let partition = &response.responses[0].partitions[0];
                    assert_eq!(partition.error_code, ErrorCode::None, "version {version}");
                    assert!(!partition.records.as_ref().unwrap().is_empty());
                }
                ApiKey::ListOffsets => {
                    for timestamp in [-1, -2, 0] {
                        let request = crate::list_offsets::query("every", timestamp);
                        let response = client.call(version, &request);
                        let partition = &response.topics[0].partitions[0];
                        assert_eq!(partition.error_code, ErrorCode::None, "version {version}");
                    }
                }
                ApiKey::Metadata => {
                    let topics = if version == 0 { Some(vec![]) } else { None };
                    let request = MetadataRequest { topics, ..Default::default() };
                    assert_eq!(client.call(version, &request).topics.len(), 2);
                }
                ApiKey::ApiVersions => {
                    let response = client.call(version, &software("test", "1"));
                    assert_eq!(response.api_keys.len(), ApiKey::ALL.len());
                }
                ApiKey::CreateTopics => {
                    crate::topics::create_and_delete_at(&mut client, version, 6)
                }
                ApiKey::CreatePartitions => {
                    let count = 2 + i32::from(version);
                    let more = crate::partitions::more("every", count);
                    let response = client.call(version, &crate::partitions::request(vec![more]));
                    assert_eq!(response.results[0].error_code, ErrorCode::None);
                }
                ApiKey::DeleteTopics => {
                    crate::topics::create_and_delete_at(&mut client, 7, version)
                }
                ApiKey::InitProducerId => {
                    let request =
                        InitProducerIdRequest { transactional_id: None, ..Default::default() };
                    let response = client.call(version, &request);
                    assert_eq!(response.error_code, ErrorCode::None);
                    assert!(0 <= response.producer_id.0);
                }
                ApiKey::OffsetForLeaderEpoch => {
                    let response = client.call(version, &crate::epochs::request("every", &[0]));
                    let answer = &response.topics[0].partitions[0];
                    assert_eq!(answer.error_code, ErrorCode::None);
                    assert!(0 < answer.end_offset.0);
                }
                ApiKey::DescribeConfigs => {
                    let configs = crate::topics::describe(&mut client, version, 2, "every");
                    assert!(configs.configs.iter().any(|config| config.name == "flush.messages"));
                }
                ApiKey::AlterConfigs
                | ApiKey::IncrementalAlterConfigs
                | ApiKey::DeleteRecords
                | ApiKey::DescribeLogDirs => check_upkeep(&mut client, *api, version),
                ApiKey::DescribeCluster => {
                    let response = client.call(version, &DescribeClusterRequest::default());
                    assert_eq!(response.cluster_id.len(), 22);
                    assert_eq!(response.brokers[0].port, i32::from(broker.address.port()));
                }
                ApiKey::DescribeTopicPartitions => {
                    let response = client.call(version, &DescribeTopicPartitionsRequest::default());
                    let has_name = |name: &Option<Text>| name.as_deref() == Some("every");
                    assert!(response.topics.iter().any(|topic| has_name(&topic.name)));
                }
                other => crate::elections::check_at(&mut client, *other, version),
            }
        }
    }
}

/// What administrators of topics ask for.
fn check_upkeep(client: &mut Client, api: ApiKey, version: i16) {
    match api {
        ApiKey::AlterConfigs => {
            let request = crate::configs::whole("every", &[("retention.ms", Some("-1"))]);
            let response = client.call(version, &request);
            assert_eq!(response.responses[0].error_code, ErrorCode::None);
        }
        ApiKey::IncrementalAlterConfigs => {
            let set = [("retention.ms", 0, Some("-1"))];
            let request = crate::configs::incremental(2, "every", &set);
            let response = client.call(version, &request);
            assert_eq!(response.responses[0].error_code, ErrorCode::None);
        }
        ApiKey::DeleteRecords => {
            let request = crate::deletions::request("every", &[(0, 0)]);
            let response = client.call(version, &request);
            let answer = &response.topics[0].partitions[0];
            assert_eq!(answer.error_code, ErrorCode::None);
        }
        ApiKey::DescribeLogDirs => {
            let request = DescribeLogDirsRequest { topics: None };
            let response = client.call(version, &request);
            let topics = &response.results[0].topics;
            assert!(topics.iter().any(|topic| topic.name == "every"));
        }
        other => unreachable!("{other} is checked elsewhere"),
    }
}

#[test]
fn c5_names_of_client_software_are_checked() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    let mut client = broker.connect();
    for (name, version) in [("", "1"), ("a b", "1"), ("a", "")] {
        let response = client.call(3, &software(name, version));
        assert_eq!(response.error_code, ErrorCode::InvalidRequest, "{name:?} {version:?}");
    }
    assert_eq!(client.call(3, &software("a", "1")).error_code, ErrorCode::None);
}

#[test]
fn c6_answers_come_in_the_order_of_the_requests() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "3"]);
    let mut client = broker.connect();
    client.auto_create("order");
    let mut sent = Vec::new();
    for n in 0..100 {
        sent.push(match n % 3 {
            0 => {
                let batch = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
                (0, client.send(9, &produce("order", 0, -1, batch)))
            }
            1 => (1, client.send(12, &MetadataRequest::default())),
            _ => (2, client.send(7, &crate::list_offsets::query("order", -1))),
        });
    }
    let mut end = 0;
    for (kind, correlation_id) in sent {
        let received = match kind {
            0 => {
                let (received, response) = client.receive::<ProduceRequest>(9);
                let partition = &response.responses[0].partition_responses[0];
                assert_eq!(partition.base_offset.0, end);
                end += 1;
                received
            }
            1 => client.receive::<MetadataRequest>(12).0,
            _ => {
                let (received, response) = client.receive::<ListOffsetsRequest>(7);
                // What was answered before it is seen by it.
                assert!(end <= response.topics[0].partitions[0].offset.0);
                received
            }
        };
        assert_eq!(received, correlation_id);
    }
}

#[test]
fn c6_a_batch_that_takes_long_to_open_keeps_its_place_and_nobody_else_waits_for_it() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "1"]);
    let (mut client, mut other) = (broker.connect(), broker.connect());
    let topic = CreatableTopic { num_partitions: 10, ..crate::topics::new_topic("long") };
    client.call(7, &crate::topics::create(vec![topic]));
    // Some 10 ms for gzip, and for each partition anew.
    let mut value = vec![0; 60_000_000];
    for (n, byte) in (0_u32..).zip(value.iter_mut().step_by(150)) {
        *byte = n.wrapping_mul(2_654_435_761).to_be_bytes()[0];
    }
    let long = compress(&batch(&[&value], now_ms(), ProducerStamp::NONE), Compression::Gzip);
    let mut request = produce("long", 0, -1, long.clone());
    for index in (1..10).map(PartitionIndex) {
        let data = PartitionProduceData { index, records: Some(long.clone()) };
        request.topic_data[0].partition_data.push(data);
    }
    let short = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
    let begun = Instant::now();
    client.send(9, &request);
    client.send(9, &produce("long", 0, -1, compress(&short, Compression::Zstd)));
    client.send(9, &produce("long", 0, -1, short));
    let mut longest = Duration::ZERO;
    client.stream.set_nonblocking(true).unwrap();
    while client.stream.peek(&mut [0]).is_err() {
        let asked = Instant::now();
        other.call(12, &MetadataRequest::default());
        longest = longest.max(asked.elapsed());
    }
    let in_all = begun.elapsed();
    client.stream.set_nonblocking(false).unwrap();
    assert!(longest * 4 < in_all, "an answer took {longest:?} of {in_all:?}");
    for offset in 0..3 {
        let (_, response) = client.receive::<ProduceRequest>(9);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset.0), (ErrorCode::None, offset));
    }
}

#[test]
fn c7_a_response_names_everything_that_was_asked_for_in_its_order() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "3"]);
    let mut client = broker.connect();
    client.auto_create("one");
    client.auto_create("two");
    let names = ["two", "missing", "one", "two"];
    let mut request = crate::list_offsets::query("two", -1);
    request.topics = names
        .iter()
        .map(|name| {
            let mut topic = crate::list_offsets::query(name, -1).topics.remove(0);
            let mut beyond = topic.partitions[0].clone();
            beyond.partition_index = model::PartitionIndex(9);
            topic.partitions.insert(0, beyond);
            topic
        })
        .collect();
    let response = client.call(7, &request);
    let found: Vec<_> = response.topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(found, names);
    for topic in &response.topics {
        let indices: Vec<_> = topic.partitions.iter().map(|of| of.partition_index.0).collect();
        assert_eq!(indices, [9, 0]);
        assert_eq!(topic.partitions[0].error_code, ErrorCode::UnknownTopicOrPartition);
    }
}

#[test]
fn c8_a_long_poll_holds_back_what_comes_after_it_on_the_connection() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("poll");
    let mut fetch = crate::fetch::fetch_from(&mut client, 12, "poll", 0);
    fetch.max_wait_ms = 300;
    let since = Instant::now();
    let first = client.send(12, &fetch);
    let second = client.send(12, &MetadataRequest::default());
    assert_eq!(client.receive::<FetchRequest>(12).0, first);
    assert!(Duration::from_millis(300) <= since.elapsed());
    assert_eq!(client.receive::<MetadataRequest>(12).0, second);
}

#[test]
fn c11_without_acknowledgement_nothing_is_answered_and_an_error_ends_the_connection() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("quiet");
    let good = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
    client.send(9, &produce("quiet", 0, 0, good.clone()));
    // The next answer is the next request's.
    let response = client.call(7, &crate::list_offsets::query("quiet", -2));
    assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::None);
    client.send(9, &produce("missing", 0, 0, good));
    assert!(client.is_closed());
}

#[test]
fn c12_frames_that_are_too_large_negative_or_cut_end_the_connection_and_nothing_else() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    let mut healthy = broker.connect();
    for prefix in [-1_i32, i32::MIN, i32::MAX, 104_857_601] {
        let mut client = broker.connect();
        client.send_bytes(&prefix.to_be_bytes());
        assert!(client.is_closed(), "{prefix}");
    }
    // A frame that is announced, begun and never finished.
    let mut client = broker.connect();
    client.send_bytes(&100_000_000_i32.to_be_bytes());
    client.send_bytes(&[0; 1000]);
    drop(client);
    // An array of two billion topics in a few bytes.
    let mut client = broker.connect();
    client.send_bytes(&raw(3, 1, 1, &i32::MAX.to_be_bytes()));
    assert!(client.is_closed());
    healthy.auto_create("still-there");
}

#[test]
fn c13_an_unknown_api_or_version_ends_the_connection() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    for (api_key, version) in [(9999, 0), (-1, 0), (1, 3), (1, 18), (0, 2), (11, 10), (58, 0)] {
        let mut client = broker.connect();
        client.send_bytes(&raw(api_key, version, 1, &[0; 40]));
        assert!(client.is_closed(), "{api_key} {version}");
    }
}

#[test]
fn c14_a_client_that_ends_its_side_gets_its_last_answers() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    let mut client = broker.connect();
    client.auto_create("last");
    let batch = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
    let sent = client.send(9, &produce("last", 0, -1, batch));
    client.stream.flush().unwrap();
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let (received, response) = client.receive::<ProduceRequest>(9);
    assert_eq!(received, sent);
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
    assert!(client.is_closed());
}

#[test]
fn c15_memory_for_requests_is_bounded_and_every_request_is_served_in_the_end() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(
        &config,
        "[memory]\nrequest-bytes = 1048576\n[connections]\nunanswered-bytes-max = 65536\n",
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let broker = Broker::start(&directory.data(), &["--cores", "1", "--config", config]);
    broker.connect().auto_create("bounded");
    let value = vec![1; 700_000];
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                // Each request is larger than its connection's share, so they go one by one.
                let mut client = broker.connect();
                let mut answers = Client::of(client.stream.try_clone().unwrap());
                scope.spawn(move || {
                    for _ in 0..10 {
                        let (_, response) = answers.receive::<ProduceRequest>(9);
                        let partition = &response.responses[0].partition_responses[0];
                        assert_eq!(partition.error_code, ErrorCode::None);
                    }
                });
                for _ in 0..10 {
                    let batch = batch(&[&value], now_ms(), ProducerStamp::NONE);
                    client.send(9, &produce("bounded", 0, -1, batch));
                }
            });
        }
    });
    let end = broker.connect().call(7, &crate::list_offsets::query("bounded", -1));
    assert_eq!(end.topics[0].partitions[0].offset.0, 80);
}
