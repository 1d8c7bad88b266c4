//! Configs are changed while topics are in use.

use std::time::{Duration, Instant};

use model::Timestamp;
use model::record_batch::{BatchBuilder, NewRecord, ProducerStamp};
use wire::alter_configs::{AlterConfigsResource, AlterableConfig};
use wire::incremental_alter_configs::{
    IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};
use wire::{AlterConfigsRequest, ErrorCode, IncrementalAlterConfigsRequest, Text};

use crate::support::{Broker, Client, Directory, batch, get, metric, now_ms, produce};
use crate::topics::{create, describe, new_topic, with_config};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const UNSET: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) fn incremental(
    resource_type: i8,
    name: &'static str,
    configs: &[(&'static str, i8, Option<&'static str>)],
) -> IncrementalAlterConfigsRequest {
    let config = |(name, operation, value): &(&'static str, i8, Option<&'static str>)| {
        IncrementalAlterableConfig {
            name: Text::from_static(name),
            config_operation: *operation,
            value: value.map(Text::from_static),
        }
    };
    let resource = IncrementalAlterConfigsResource {
        resource_type,
        resource_name: Text::from_static(name),
        configs: configs.iter().map(config).collect(),
    };
    IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false }
}

pub(crate) fn whole(
    name: &'static str,
    configs: &[(&'static str, Option<&'static str>)],
) -> AlterConfigsRequest {
    let config = |(name, value): &(&'static str, Option<&'static str>)| AlterableConfig {
        name: Text::from_static(name),
        value: value.map(Text::from_static),
    };
    let resource = AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: Text::from_static(name),
        configs: configs.iter().map(config).collect(),
    };
    AlterConfigsRequest { resources: vec![resource], validate_only: false }
}

/// The error and message of the only resource.
fn alter(client: &mut Client, request: &IncrementalAlterConfigsRequest) -> (ErrorCode, String) {
    let response = client.call(1, request).responses.remove(0);
    (response.error_code, response.error_message.map(|text| text.to_string()).unwrap_or_default())
}

fn set(
    client: &mut Client,
    resource_type: i8,
    topic: &'static str,
    name: &'static str,
    value: &'static str,
) {
    let request = incremental(resource_type, topic, &[(name, SET, Some(value))]);
    assert_eq!(alter(client, &request), (ErrorCode::None, String::new()), "{name}={value}");
}

/// A config's value and source.
fn value_of(client: &mut Client, resource_type: i8, of: &'static str, name: &str) -> (String, i8) {
    let described = describe(client, 4, resource_type, of);
    let found = described.configs.iter().find(|config| config.name == name).unwrap();
    (found.value.as_ref().unwrap().to_string(), found.config_source)
}

fn append(client: &mut Client, topic: &'static str, value: &[u8]) -> ErrorCode {
    let batch = batch(&[value], now_ms(), ProducerStamp::NONE);
    let response = client.call(9, &produce(topic, 0, -1, batch));
    response.responses[0].partition_responses[0].error_code
}

fn offset_at(client: &mut Client, topic: &'static str, timestamp: i64) -> i64 {
    let query = crate::list_offsets::query(topic, timestamp);
    client.call(7, &query).topics.remove(0).partitions.remove(0).offset.0
}

#[test]
fn m16_a_changed_config_holds_at_once_and_after_a_restart() {
    let directory = Directory::new();
    let arguments = ["--cores", "2"];
    let broker = Broker::start(&directory.data(), &arguments);
    // Connections are spread over the cores by the kernel.
    let mut clients: Vec<Client> = (0..6).map(|_| broker.connect()).collect();
    clients[0].auto_create("t");
    assert_eq!(value_of(&mut clients[0], TOPIC, "t", "max.message.bytes"), ("1048588".into(), 5));
    assert_eq!(append(&mut clients[0], "t", &[1; 2000]), ErrorCode::None);
    set(&mut clients[0], TOPIC, "t", "max.message.bytes", "1000");
    for client in &mut clients {
        assert_eq!(append(client, "t", &[1; 2000]), ErrorCode::MessageTooLarge);
        assert_eq!(value_of(client, TOPIC, "t", "max.message.bytes"), ("1000".into(), 1));
    }
    broker.kill();
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    assert_eq!(append(&mut client, "t", &[1; 2000]), ErrorCode::MessageTooLarge);
    let unset = incremental(TOPIC, "t", &[("max.message.bytes", UNSET, None)]);
    assert_eq!(alter(&mut client, &unset).0, ErrorCode::None);
    assert_eq!(append(&mut client, "t", &[1; 2000]), ErrorCode::None);
    assert_eq!(value_of(&mut client, TOPIC, "t", "max.message.bytes"), ("1048588".into(), 5));
}

#[test]
fn m16_a_topic_changes_between_durable_and_relaxed_under_load() {
    let directory = Directory::new();
    let metrics = crate::support::free_address();
    let arguments = ["--cores", "1", "--metrics", &metrics];
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    client.auto_create("t");
    let address = broker.address;
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let load = std::thread::spawn(move || {
        let mut client = Client::connect(address);
        let mut count = 0;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            assert_eq!(append(&mut client, "t", b"under load"), ErrorCode::None);
            count += 1;
        }
        count
    });
    let level = |level: &str| {
        let text = get(&metrics, "/metrics");
        metric(&text, "highwater_topic_durability", &format!("level=\"{level}\""))
    };
    for _ in 0..10 {
        set(&mut client, TOPIC, "t", "flush.messages", "1000");
        assert_eq!((level("durable"), level("relaxed")), (0.0, 1.0));
        // Sooner than the next checkpoint is as good as with every record.
        set(&mut client, TOPIC, "t", "flush.ms", "100");
        assert_eq!((level("durable"), level("relaxed")), (1.0, 0.0));
        let unset = [("flush.ms", UNSET, None), ("flush.messages", SET, Some("1"))];
        assert_eq!(alter(&mut client, &incremental(TOPIC, "t", &unset)).0, ErrorCode::None);
        assert_eq!((level("durable"), level("relaxed")), (1.0, 0.0));
    }
    stop.send(()).unwrap();
    let count = load.join().unwrap();
    assert_eq!(offset_at(&mut client, "t", -1), count);
    broker.kill();
    let broker = Broker::start(&directory.data(), &arguments);
    assert_eq!(offset_at(&mut broker.connect(), "t", -1), count);
}

#[test]
fn m17_a_change_is_refused_whole_with_kafkas_error_and_a_sentence() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("t");
    let topic =
        |configs: &[(&'static str, i8, Option<&'static str>)]| incremental(TOPIC, "t", configs);
    let refused = [
        (
            topic(&[("segment.bytes", SET, Some("70000")), ("no.such", SET, Some("1"))]),
            (ErrorCode::InvalidConfig, "Unknown topic config name: no.such"),
        ),
        (
            topic(&[("retention.ms", SET, Some("soon"))]),
            (
                ErrorCode::InvalidConfig,
                "Invalid value soon for configuration retention.ms: Not a number of type LONG",
            ),
        ),
        (
            topic(&[("retention.ms", SET, None)]),
            (ErrorCode::InvalidRequest, "Null value not supported for : retention.ms"),
        ),
        (
            topic(&[("retention.ms", 7, Some("1"))]),
            (ErrorCode::InvalidRequest, "Unknown operations type 7"),
        ),
        (
            topic(&[("retention.ms", APPEND, Some("1"))]),
            (
                ErrorCode::InvalidConfig,
                "Can't APPEND to key retention.ms because its type is not LIST.",
            ),
        ),
        (
            topic(&[("max.message.bytes", SET, Some("2147483647"))]),
            (
                ErrorCode::InvalidConfig,
                "Invalid value 2147483647 for configuration max.message.bytes: the journal takes \
                 batches of up to 1568768 bytes",
            ),
        ),
        (
            incremental(TOPIC, "u", &[("retention.ms", SET, Some("1"))]),
            (ErrorCode::UnknownTopicOrPartition, "The topic 'u' does not exist."),
        ),
        (
            incremental(BROKER, "1", &[("num.io.threads", SET, Some("1"))]),
            (
                ErrorCode::InvalidRequest,
                "Cannot update these configs dynamically: [num.io.threads]",
            ),
        ),
        (
            incremental(BROKER, "2", &[]),
            (
                ErrorCode::InvalidRequest,
                "Unexpected broker id, expected 1 or empty string, but received 2",
            ),
        ),
        (
            incremental(BROKER, "one", &[]),
            (ErrorCode::InvalidRequest, "Node id must be an integer, but it is: one"),
        ),
        (incremental(8, "x", &[]), (ErrorCode::InvalidRequest, "Unknown resource type 8")),
    ];
    for (request, (code, message)) in refused {
        assert_eq!(alter(&mut client, &request), (code, message.to_owned()));
    }
    let mut twice = topic(&[("segment.bytes", SET, Some("70000"))]);
    twice.resources.push(twice.resources[0].clone());
    for response in client.call(1, &twice).responses {
        assert_eq!(response.error_code, ErrorCode::InvalidRequest);
        assert_eq!(response.error_message.unwrap(), "Each resource must appear at most once.");
    }
    let valid = topic(&[("segment.bytes", SET, Some("70000"))]);
    let only_checked = IncrementalAlterConfigsRequest { validate_only: true, ..valid };
    assert_eq!(alter(&mut client, &only_checked).0, ErrorCode::None);
    let described = describe(&mut client, 4, TOPIC, "t");
    assert!(described.configs.iter().all(|config| config.config_source == 5), "{described:?}");
}

#[test]
fn m18_lists_grow_and_shrink_and_the_old_request_replaces_everything() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    let mut client = broker.connect();
    client.auto_create("t");
    let policy =
        |operation| incremental(TOPIC, "t", &[("cleanup.policy", operation, Some("delete"))]);
    assert_eq!(alter(&mut client, &policy(APPEND)).0, ErrorCode::None);
    assert_eq!(value_of(&mut client, TOPIC, "t", "cleanup.policy"), ("delete".into(), 1));
    let (code, message) = alter(&mut client, &policy(SUBTRACT));
    assert_eq!(code, ErrorCode::InvalidConfig, "{message}");
    for version in 0..=2 {
        let request = whole("t", &[("retention.ms", Some("5000000000"))]);
        let response = client.call(version, &request).responses.remove(0);
        assert_eq!((response.error_code, response.error_message), (ErrorCode::None, None));
        assert_eq!(value_of(&mut client, TOPIC, "t", "cleanup.policy").1, 5);
        assert_eq!(value_of(&mut client, TOPIC, "t", "retention.ms"), ("5000000000".into(), 1));
        let request = whole("t", &[("segment.bytes", Some("70000"))]);
        assert_eq!(client.call(version, &request).responses[0].error_code, ErrorCode::None);
        assert_eq!(value_of(&mut client, TOPIC, "t", "retention.ms"), ("604800000".into(), 5));
    }
    let null = client.call(2, &whole("t", &[("retention.ms", None)])).responses.remove(0);
    assert_eq!(null.error_code, ErrorCode::InvalidRequest);
}

#[test]
fn m19_topics_have_what_their_broker_says_if_they_say_nothing() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    let text = "[topic-configs]\n\"segment.bytes\" = 80000\n\"message.timestamp.type\" = \
                \"LogAppendTime\"\n";
    std::fs::write(&config, text).unwrap();
    let arguments = ["--cores", "2", "--config", config.to_str().unwrap()];
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    let own = with_config(new_topic("own"), "segment.bytes", "90000");
    client.call(7, &create(vec![own, new_topic("plain")]));
    assert_eq!(value_of(&mut client, TOPIC, "own", "segment.bytes"), ("90000".into(), 1));
    assert_eq!(value_of(&mut client, TOPIC, "plain", "segment.bytes"), ("80000".into(), 4));
    set(&mut client, BROKER, "", "log.segment.bytes", "81000");
    set(&mut client, BROKER, "1", "log.segment.bytes", "82000");
    set(&mut client, BROKER, "", "message.max.bytes", "500");
    assert_eq!(append(&mut client, "plain", &[1; 1000]), ErrorCode::MessageTooLarge);

    let found = |client: &mut Client, resource_type, of, name: &str| {
        let described = describe(client, 4, resource_type, of);
        let found = described.configs.iter().find(|config| config.name == name).cloned();
        found.map(|found| {
            let synonyms = found.synonyms.iter().map(|synonym| {
                let (name, value) = (&synonym.name, synonym.value.as_ref().unwrap());
                format!("{}:{name}={value}", synonym.source)
            });
            synonyms.collect::<Vec<_>>().join(", ")
        })
    };
    let of_brokers = "2:log.segment.bytes=82000, 3:log.segment.bytes=81000, \
                      4:log.segment.bytes=80000, 5:log.segment.bytes=1073741824";
    for _ in 0..2 {
        let of_own = format!("1:segment.bytes=90000, {of_brokers}");
        assert_eq!(found(&mut client, TOPIC, "own", "segment.bytes"), Some(of_own));
        let of_plain = found(&mut client, TOPIC, "plain", "segment.bytes");
        assert_eq!(of_plain.as_deref(), Some(of_brokers));
        let of_broker = found(&mut client, BROKER, "1", "log.segment.bytes");
        assert_eq!(of_broker.as_deref(), Some(of_brokers));
        let of_all = found(&mut client, BROKER, "", "log.segment.bytes");
        assert_eq!(of_all.as_deref(), Some("3:log.segment.bytes=81000"));
        assert_eq!(found(&mut client, BROKER, "", "log.retention.ms"), None);
        set(&mut client, BROKER, "", "message.max.bytes", "600");
    }
    let unset = [("log.segment.bytes", UNSET, None)];
    assert_eq!(alter(&mut client, &incremental(BROKER, "1", &unset)).0, ErrorCode::None);
    assert_eq!(value_of(&mut client, TOPIC, "plain", "segment.bytes"), ("81000".into(), 3));
    broker.kill();
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    assert_eq!(value_of(&mut client, TOPIC, "plain", "segment.bytes"), ("81000".into(), 3));
    assert_eq!(value_of(&mut client, TOPIC, "plain", "max.message.bytes"), ("600".into(), 3));
}

/// Waits until a topic begins at this offset.
fn wait_for_start(client: &mut Client, topic: &'static str, offset: i64) -> Duration {
    let begun = Instant::now();
    while offset_at(client, topic, -2) != offset {
        assert!(begun.elapsed() < Duration::from_secs(20), "{topic} does not begin at {offset}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

/// Base offsets of the segments on the disk, of the only topic that is not the broker's own.
fn segments(directory: &Directory) -> Vec<i64> {
    let topics = std::fs::read_dir(directory.data().join("topics")).unwrap();
    let own = model::TopicId::CLUSTER_METADATA.to_hex();
    let topic = topics.map(|it| it.unwrap().path()).find(|path| !path.ends_with(&own)).unwrap();
    let files = std::fs::read_dir(topic.join("0")).unwrap().map(|it| it.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|it| it == "log"));
    let mut found: Vec<i64> =
        logs.map(|path| path.file_stem().unwrap().to_str().unwrap().parse().unwrap()).collect();
    found.sort_unstable();
    found
}

#[test]
fn r1_a_shorter_retention_takes_old_segments_away_within_seconds() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[journal]\ncheckpoint-interval-ms = 200\n").unwrap();
    let arguments = ["--cores", "2", "--config", config.to_str().unwrap()];
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    let topic = with_config(new_topic("t"), "segment.bytes", "65536");
    client.call(7, &create(vec![topic]));
    let now = now_ms();
    for n in 0..40 {
        let mut builder = BatchBuilder::new();
        let (timestamp, value) = (Timestamp(now - 100_000 + n), [1; 10_000]);
        builder.push(&NewRecord { timestamp, key: None, value: Some(&value), headers: &[] });
        let batch = bytes::Bytes::from(builder.finish(ProducerStamp::NONE));
        let response = client.call(9, &produce("t", 0, -1, batch));
        assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
    }
    // Six batches fill a segment.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(segments(&directory), [0, 6, 12, 18, 24, 30, 36]);

    // By size: what is left is no less.
    set(&mut client, TOPIC, "t", "retention.bytes", "150000");
    wait_for_start(&mut client, "t", 24);
    // By age, also the segment that takes the appends; but not what is new.
    assert_eq!(append(&mut client, "t", b"new"), ErrorCode::None);
    set(&mut client, TOPIC, "t", "retention.ms", "50000");
    wait_for_start(&mut client, "t", 36);
    let begun = Instant::now();
    while segments(&directory) != [36] {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", segments(&directory));
        std::thread::sleep(Duration::from_millis(20));
    }
    set(&mut client, TOPIC, "t", "retention.ms", "1000");
    wait_for_start(&mut client, "t", 41);
    assert_eq!(append(&mut client, "t", b"goes on"), ErrorCode::None);
    broker.kill();
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    assert_eq!((offset_at(&mut client, "t", -2), offset_at(&mut client, "t", -1)), (41, 42));
}

#[test]
fn r2_what_is_too_old_goes_by_itself() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    let text = "[retention]\ncheck-interval-ms = 100\n[topic-configs]\n\"retention.ms\" = 1500\n";
    std::fs::write(&config, text).unwrap();
    let broker = Broker::start(&directory.data(), &["--config", config.to_str().unwrap()]);
    let mut client = broker.connect();
    let kept = with_config(new_topic("kept"), "retention.ms", "-1");
    client.call(7, &create(vec![new_topic("t"), kept]));
    for topic in ["t", "kept"] {
        assert_eq!(append(&mut client, topic, b"v"), ErrorCode::None);
    }
    let waited = wait_for_start(&mut client, "t", 1);
    assert!(Duration::from_millis(1000) < waited, "{waited:?}");
    assert_eq!(offset_at(&mut client, "kept", -2), 0);
}

#[test]
fn r3_segments_end_by_their_age() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[journal]\ncheckpoint-interval-ms = 200\n").unwrap();
    let broker = Broker::start(&directory.data(), &["--config", config.to_str().unwrap()]);
    let mut client = broker.connect();
    client.call(7, &create(vec![with_config(new_topic("t"), "segment.ms", "3600000")]));
    let now = now_ms();
    for hours in [10, 9, 8, 3] {
        let batch = batch(&[b"v"], now - hours * 3_600_000, ProducerStamp::NONE);
        let response = client.call(9, &produce("t", 0, -1, batch));
        assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
    }
    // An hour later is not more than an hour; two are.
    let begun = Instant::now();
    while segments(&directory) != [0, 2, 3] {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", segments(&directory));
        std::thread::sleep(Duration::from_millis(20));
    }
}
