//! Topics, records and places in a log, through every client and between them.

use serde_json::{Value, json};

use crate::broker::{Broker, DataDir};
use crate::scripts::Client;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const FIRST_TIME_MS: i64 = 1_700_000_000_000;
const MIB: u32 = 1 << 20;
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i32 = 53;

/// What `read` shows of the topic that `write` has written.
fn expected_records(writer: Client) -> Vec<Value> {
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
        let name = hexed(codec.as_bytes());
        let mut headers =
            vec![json!(["first", "00ff"]), json!(["again", name]), json!(["again", ""])];
        if has_headers_without_value(writer) {
            headers.push(json!(["null", null]));
        }
        add(Some(codec.as_bytes()), Some(codec.repeat(100).as_bytes()), json!(headers));
        add(None, Some(b""), json!([]));
        add(Some(b""), None, json!([]));
        add(Some(b"large"), Some(&large), json!([]));
    }
    records
}

fn has_headers_without_value(writer: Client) -> bool {
    match writer {
        Client::Librdkafka | Client::Java | Client::FranzGo | Client::Aiokafka => true,
        Client::Kafkajs | Client::KafkaPython => false,
    }
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
        "grown": [0, 1, 2, 3, 4],
        "configs": {"max.message.bytes": ["1500000", false], "cleanup.policy": ["delete", true]},
        "broker_id": "1",
        "errors": {
            "create again": 36,
            "create with a bad name": 17,
            "create with a bad config": 40,
            "create with a bad value": 40,
            "create with two copies": 38,
            "grow to fewer": 37,
            "grow unknown": 3,
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

/// What one writes everybody reads, and one of them again after a restart.
fn check_records(writer: Client, reader_after_restart: Client) {
    let data = DataDir::new(&format!("records-{writer:?}"));
    let broker = Broker::start(&data);
    let Some(written) = writer.matrix(&["write", broker.address(), "records"]) else { return };
    let offsets: Vec<usize> = (0..expected_records(writer).len()).collect();
    assert_same(&written, &json!({ "offsets": offsets }));
    for reader in Client::READERS {
        check_read(writer, reader, &broker);
    }
    broker.stop();
    let broker = Broker::start(&data);
    check_read(writer, reader_after_restart, &broker);
    broker.stop();
}

/// Whatever it is written in, everybody reads what is stored in its topic's codec.
fn check_compressed_anew(kind: &str, writer: Client) {
    let data = DataDir::new(&format!("compressed-anew-{kind}"));
    let config = format!("[topic-configs]\n\"compression.type\" = \"{kind}\"\n");
    let broker = Broker::start_configured(&data, &config, &["--listen", "127.0.0.1:0"]);
    if writer.matrix(&["write", broker.address(), "records"]).is_none() {
        return;
    }
    for reader in Client::READERS {
        check_read(writer, reader, &broker);
    }
    broker.stop();
}

/// What a reader sees, from wherever it begins to read.
fn check_read(writer: Client, reader: Client, broker: &Broker) {
    let Some(mut result) = reader.matrix(&["read", broker.address(), "records"]) else { return };
    let expected = json!({
        "records": expected_records(writer),
        "seeks": {"beginning": 0, "end": null, "7": 7, "last": 19, "time": 2},
        "times": {
            "before all": 0,
            "exactly": 1,
            "between": 2,
            "compressed": 10,
            "after all": null,
        },
        "ends": [0, 20],
        "past_end": 1,
        "committed": 20,
        "next": [true, "next"],
    });
    // Only Java's program asks for the latest time.
    let admin = result.as_object_mut().expect("it is an object").remove("admin");
    if let Client::Java = reader {
        assert_eq!(admin, Some(json!([0, 20, 19, FIRST_TIME_MS + 19_000, 2])));
    }
    assert_same(&result, &expected);
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

/// Clients are told by who would coordinate them, and do not try again.
fn check_transactions_are_refused(client: Client) {
    let data = DataDir::new(&format!("transactions-{client:?}"));
    let broker = Broker::start(&data);
    let Some(result) = client.matrix(&["transact", broker.address()]) else { return };
    assert_same(&result, &json!({ "error": TRANSACTIONAL_ID_AUTHORIZATION_FAILED }));
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
fn franz_go_manages_topics() {
    check_topics(Client::FranzGo);
}

#[test]
fn kafkajs_manages_topics() {
    check_topics(Client::Kafkajs);
}

#[test]
fn kafka_python_manages_topics() {
    check_topics(Client::KafkaPython);
}

#[test]
fn aiokafka_manages_topics() {
    check_topics(Client::Aiokafka);
}

#[test]
fn what_librdkafka_writes_is_read_by_all() {
    check_records(Client::Librdkafka, Client::Java);
}

#[test]
fn what_java_writes_is_read_by_all() {
    check_records(Client::Java, Client::Librdkafka);
}

#[test]
fn what_franz_go_writes_is_read_by_all() {
    check_records(Client::FranzGo, Client::Aiokafka);
}

#[test]
fn what_kafkajs_writes_is_read_by_all() {
    check_records(Client::Kafkajs, Client::FranzGo);
}

#[test]
fn what_kafka_python_writes_is_read_by_all() {
    check_records(Client::KafkaPython, Client::FranzGo);
}

#[test]
fn what_aiokafka_writes_is_read_by_all() {
    check_records(Client::Aiokafka, Client::KafkaPython);
}

#[test]
fn what_is_stored_as_gzip_is_read_by_all() {
    check_compressed_anew("gzip", Client::Librdkafka);
}

#[test]
fn what_is_stored_as_snappy_is_read_by_all() {
    check_compressed_anew("snappy", Client::Java);
}

#[test]
fn what_is_stored_as_lz4_is_read_by_all() {
    check_compressed_anew("lz4", Client::FranzGo);
}

#[test]
fn what_is_stored_as_zstd_is_read_by_all() {
    check_compressed_anew("zstd", Client::Librdkafka);
}

#[test]
fn what_is_stored_uncompressed_is_read_by_all() {
    check_compressed_anew("uncompressed", Client::Java);
}

#[test]
fn librdkafka_is_refused_transactions() {
    check_transactions_are_refused(Client::Librdkafka);
}

#[test]
fn java_is_refused_transactions() {
    check_transactions_are_refused(Client::Java);
}
