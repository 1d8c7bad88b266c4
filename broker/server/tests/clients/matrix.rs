//! Topics, records and places in a log, through every client and between them.

use serde_json::{Value, json};

use crate::broker::{Broker, DataDir};
use crate::scripts::Client;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const FIRST_TIME_MS: i64 = 1_700_000_000_000;
const MIB: u32 = 1 << 20;

/// What `read` shows of the topic that `write` has written, whoever the two are.
fn expected_records() -> Vec<Value> {
    let large: Vec<u8> = (0..MIB).map(|i| ((i * 31 + i / 251) & 255) as u8).collect();
    let mut records = Vec::new();
    let mut add = |key: Option<&[u8]>, value: Option<&[u8]>, headers: Value| {
        let offset = i64::try_from(records.len()).expect("there are few");
        records.push(json!({
            "offset": offset,
            "time": FIRST_TIME_MS + offset * 1000,
            "is_create_time": true,
            "key": key.map(hexed),
            "size": value.map(<[u8]>::len),
            "crc": value.map(crc32fast::hash),
            "headers": headers,
        }));
    };
    for codec in CODECS {
        let headers = json!([
            ["first", "00ff"],
            ["again", hexed(codec.as_bytes())],
            ["again", ""],
            ["null", null]
        ]);
        add(Some(codec.as_bytes()), Some(codec.repeat(100).as_bytes()), headers);
        add(None, Some(b""), json!([]));
        add(Some(b""), None, json!([]));
        add(Some(b"large"), Some(&large), json!([]));
    }
    records
}

fn hexed(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_topics(client: Client) {
    let data = DataDir::new(&format!("topics-{client:?}"));
    let broker = Broker::start(&data);
    let Some(result) = client.matrix(&["topics", broker.address(), "a"]) else { return };
    let expected = json!({
        "brokers": [1],
        "controller": 1,
        "has_cluster_id": true,
        "partitions": [0, 1, 2],
        "configs": {"max.message.bytes": ["1500000", false], "cleanup.policy": ["delete", true]},
        "broker_id": "1",
        "errors": {
            "create again": 36,
            "create with a bad name": 17,
            "create with a bad config": 40,
            "create with a bad value": 40,
            "create with two copies": 38,
            "delete unknown": 3,
            "describe unknown": 3,
            "send too much": 10,
        },
        "made_by_sending": 0,
        "left": ["a-made-by-sending"],
    });
    assert_same(&result, &expected);
    broker.stop();
}

/// What one writes each of them reads, before and after a restart.
///
/// The broker does not look into compressed batches: of those that hold the record of a time, it
/// gives the first offset. Whoever reads on from there misses nothing.
fn check_records(writer: Client) {
    let data = DataDir::new(&format!("records-{writer:?}"));
    let mut broker = Broker::start(&data);
    let Some(written) = writer.matrix(&["write", broker.address(), "records"]) else { return };
    let records = expected_records();
    let offsets: Vec<usize> = (0..records.len()).collect();
    assert_same(&written, &json!({ "offsets": offsets }));
    for is_restarted in [false, true] {
        if is_restarted {
            broker.stop();
            broker = Broker::start(&data);
        }
        for reader in [Client::Librdkafka, Client::Java] {
            let Some(mut result) = reader.matrix(&["read", broker.address(), "records"]) else {
                continue;
            };
            let expected = json!({
                "records": records,
                "seeks": {"beginning": 0, "end": null, "7": 7, "last": 19, "time": 2},
                "times": {
                    "before all": 0,
                    "exactly": 1,
                    "between": 2,
                    "compressed": 8,
                    "after all": null,
                },
                "ends": [0, 20],
                "past_end": 1,
                "committed": 20,
                "next": [true, "next"],
            });
            // Only the Java client can ask for the latest time.
            let admin = result.as_object_mut().expect("it is an object").remove("admin");
            if let Client::Java = reader {
                assert_eq!(admin, Some(json!([0, 20, 19, FIRST_TIME_MS + 19_000, 2])));
            }
            assert_same(&result, &expected);
        }
    }
    broker.stop();
}

/// Fails with what differs instead of with everything.
#[track_caller]
fn assert_same(actual: &Value, expected: &Value) {
    let mut differences = Vec::new();
    collect_differences("", actual, expected, &mut differences);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn collect_differences(at: &str, actual: &Value, expected: &Value, found: &mut Vec<String>) {
    match (actual, expected) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
                let at = format!("{at}/{key}");
                collect_differences(&at, &actual[key], &expected[key], found);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                collect_differences(&format!("{at}/{index}"), ours, theirs, found);
            }
        }
        _ if actual == expected => {}
        _ => found.push(format!("{at}: {actual} instead of {expected}")),
    }
}

/// Clients see by themselves that there is nobody to coordinate them, and say so at once.
fn check_transactions_are_refused(client: Client) {
    let error = match client {
        // Required feature not supported by broker.
        Client::Librdkafka => -165,
        // UNSUPPORTED_VERSION.
        Client::Java => 35,
    };
    let data = DataDir::new(&format!("transactions-{client:?}"));
    let broker = Broker::start(&data);
    let Some(result) = client.matrix(&["transact", broker.address()]) else { return };
    assert_same(&result, &json!({ "error": error }));
    broker.stop();
}

#[test]
fn librdkafka_manages_topics() {
    check_topics(Client::Librdkafka);
}

#[test]
fn java_manages_topics() {
    check_topics(Client::Java);
}

#[test]
fn what_librdkafka_writes_is_read_by_all() {
    check_records(Client::Librdkafka);
}

#[test]
fn what_java_writes_is_read_by_all() {
    check_records(Client::Java);
}

#[test]
fn librdkafka_is_refused_transactions() {
    check_transactions_are_refused(Client::Librdkafka);
}

#[test]
fn java_is_refused_transactions() {
    check_transactions_are_refused(Client::Java);
}
