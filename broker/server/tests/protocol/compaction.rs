//! Topics of which the last record of each key stays.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::Timestamp;
use model::record_batch::{BatchBuilder, Batches, NewRecord, ProducerStamp, Records};
use wire::ErrorCode;

use crate::configs::incremental;
use crate::deletions::request as deletion;
use crate::fetch::records_from;
use crate::support::{Broker, Client, Directory, get, metric, now_ms, produce};
use crate::topics::{create, new_topic, with_config};

const TOPIC: i8 = 2;
const SET: i8 = 0;

fn keyed(records: &[(Option<&str>, Option<&str>)]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (key, value) in records {
        builder.push(&NewRecord {
            timestamp: Timestamp(now_ms()),
            key: key.map(str::as_bytes),
            value: value.map(str::as_bytes),
            headers: &[],
        });
    }
    Bytes::from(builder.finish(ProducerStamp::NONE))
}

fn append(client: &mut Client, topic: &'static str, key: &str, value: Option<&str>) {
    let batch = keyed(&[(Some(key), value)]);
    let response = client.call(9, &produce(topic, 0, -1, batch));
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
}

/// A value that fills a good part of a segment of 65536 bytes.
fn large(number: usize) -> String {
    format!("{number}-{}", "x".repeat(9000))
}

/// Everything that a consumer reads from the start: offset, key and whether there is a value.
fn read(
    client: &mut Client,
    topic: &'static str,
    up_to: i64,
) -> Vec<(i64, String, Option<String>)> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < up_to {
        let bytes = records_from(client, topic, offset);
        assert!(!bytes.is_empty(), "there is something from {offset} on");
        for batch in Batches::new(&bytes) {
            let (header, batch) = batch.unwrap();
            for record in Records::read(batch).unwrap() {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let at = header.base_offset.0 + i64::from(record.offset_delta);
                if offset <= at {
                    found.push((at, text(record.key.unwrap()), record.value.map(text)));
                }
            }
            offset = header.next_offset().0;
        }
    }
    found
}

fn start(directory: &Directory, metrics: &str) -> Broker {
    let config = directory.0.join("broker.toml");
    let text = "[journal]\ncheckpoint-interval-ms = 100\n[compaction]\ncheck-interval-ms = 100\n";
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let arguments = ["--cores", "2", "--config", config, "--metrics", metrics];
    Broker::start(&directory.data(), &arguments)
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn compacted(name: &'static str, policy: &'static str) -> wire::create_topics::CreatableTopic {
    let topic = with_config(new_topic(name), "cleanup.policy", policy);
    let topic = with_config(topic, "segment.bytes", "65536");
    with_config(topic, "min.cleanable.dirty.ratio", "0.01")
}

#[test]
fn l1_a_record_without_a_key_is_refused_by_its_number() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.call(7, &create(vec![compacted("t", "compact"), new_topic("plain")]));
    let batch = keyed(&[(Some("a"), Some("1")), (None, Some("2")), (Some("b"), None)]);
    let response = client.call(9, &produce("t", 0, -1, batch.clone()));
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, ErrorCode::InvalidRecord);
    assert_eq!(partition.record_errors[0].batch_index, 1);
    let message = partition.error_message.as_deref().unwrap();
    assert!(message.contains("key"), "{message}");
    let response = client.call(9, &produce("plain", 0, -1, batch));
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
}

#[test]
fn l2_the_last_record_of_each_key_stays_through_compactions_and_restarts() {
    let directory = Directory::new();
    let metrics = crate::support::free_address();
    let broker = start(&directory, &metrics);
    let mut client = broker.connect();
    let with_tombstones = with_config(compacted("t", "compact"), "delete.retention.ms", "0");
    client.call(7, &create(vec![with_tombstones, new_topic("plain")]));
    let mut last = BTreeMap::new();
    for number in 0..60 {
        let key = ["a", "b", "c", "d"][number % 4];
        let value = (number % 4 != 3 || number < 40).then(|| large(number));
        append(&mut client, "t", key, value.as_deref());
        last.insert(key, (i64::try_from(number).unwrap(), value));
        append(&mut client, "plain", key, Some(&large(number)));
    }
    // Something else, so that all of the above is in segments that have ended.
    let others: Vec<String> = (0..8).map(|number| format!("other-{number}")).collect();
    for key in &others {
        append(&mut client, "t", key, Some(&large(1000)));
    }
    let mut expected: Vec<(i64, String, Option<String>)> =
        last.into_iter().map(|(key, (at, value))| (at, key.to_owned(), value)).collect();
    expected.extend(others.iter().zip(60..).map(|(key, at)| (at, key.clone(), Some(large(1000)))));
    expected.sort();
    wait_until("only the last ones are left", || read(&mut client, "t", 68) == expected);
    assert!(expected.iter().any(|(_, key, value)| key == "d" && value.is_none()));
    // A tombstone is seen by whoever reads until the compaction after the one that found it last.
    for key in &others {
        append(&mut client, "t", key, Some(&large(1000)));
    }
    wait_until("the tombstone is gone", || {
        read(&mut client, "t", 76).iter().all(|(_, key, _)| key != "d")
    });
    let expected: Vec<_> = expected.into_iter().filter(|(at, ..)| *at < 59).collect();
    let is_left = |client: &mut Client| {
        let found = read(client, "t", 76);
        found.into_iter().take_while(|(at, ..)| *at < 60).eq(expected.iter().cloned())
    };
    assert!(is_left(&mut client));
    assert_eq!(read(&mut client, "plain", 60).len(), 60, "other topics keep everything");
    let text = get(&metrics, "/metrics");
    assert!(0.0 < metric(&text, "highwater_compactions_total", ""));
    broker.kill();
    let broker = start(&directory, &metrics);
    let mut client = broker.connect();
    assert!(is_left(&mut client));
    append(&mut client, "t", "a", Some("goes on"));
    assert_eq!(read(&mut client, "t", 77).last().unwrap().1, "a");
}

#[test]
fn l3_records_are_deleted_only_where_the_policy_says_so() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    let topics = vec![compacted("kept", "compact"), compacted("both", "compact, delete")];
    client.call(7, &create(topics));
    for topic in ["kept", "both"] {
        append(&mut client, topic, "a", Some("1"));
        append(&mut client, topic, "b", Some("2"));
    }
    let mut delete = |topic: &'static str| {
        let response = client.call(2, &deletion(topic, &[(0, 1)]));
        let partition = &response.topics[0].partitions[0];
        (partition.error_code, partition.low_watermark.0)
    };
    assert_eq!(delete("kept"), (ErrorCode::PolicyViolation, -1));
    assert_eq!(delete("both"), (ErrorCode::None, 1));
}

#[test]
fn l4_a_policy_changes_while_the_topic_is_used() {
    let directory = Directory::new();
    let metrics = crate::support::free_address();
    let broker = start(&directory, &metrics);
    let mut client = broker.connect();
    let topic = with_config(compacted("t", "delete"), "retention.ms", "-1");
    client.call(7, &create(vec![topic]));
    for number in 0..30 {
        append(&mut client, "t", "a", Some(&large(number)));
    }
    assert_eq!(read(&mut client, "t", 30).len(), 30);
    let change = incremental(TOPIC, "t", &[("cleanup.policy", SET, Some("compact,delete"))]);
    client.call(1, &change);
    wait_until("most are gone", || read(&mut client, "t", 30).len() < 14);
    // What is left goes with the retention.
    client.call(1, &incremental(TOPIC, "t", &[("retention.ms", SET, Some("100"))]));
    wait_until("the log starts later", || {
        let query = crate::list_offsets::query("t", -2);
        client.call(7, &query).topics.remove(0).partitions.remove(0).offset.0 == 30
    });
}

#[test]
fn l6_what_has_rotted_is_found_and_told() {
    let directory = Directory::new();
    let metrics = crate::support::free_address();
    let config = directory.0.join("broker.toml");
    let text = "[journal]\ncheckpoint-interval-ms = 100\n[scrub]\ninterval-ms = 200\n";
    std::fs::write(&config, text).unwrap();
    let arguments =
        ["--cores", "2", "--config", config.to_str().unwrap(), "--metrics", metrics.as_str()];
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    client.call(7, &create(vec![compacted("t", "delete")]));
    for number in 0..20 {
        append(&mut client, "t", "a", Some(&large(number)));
    }
    let count = |name: &str| {
        let text = get(&metrics, "/metrics");
        (0..2).map(|core| metric(&text, name, &format!("core=\"{core}\""))).sum::<f64>()
    };
    wait_until("enough was looked at", || 100_000.0 < count("highwater_scrub_read_bytes_total"));
    assert_eq!(count("highwater_scrub_findings_total"), 0.0);
    let topic = crate::fetch::id_of(&mut client, "t").to_hex();
    let segment = directory.data().join(format!("topics/{topic}/0/00000000000000000000.log"));
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"rot", 5000).unwrap();
    file.sync_all().unwrap();
    wait_until("it is found", || 0.0 < count("highwater_scrub_findings_total"));
}
