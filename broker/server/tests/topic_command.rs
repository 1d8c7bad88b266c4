//! `highwater topic`, as a user runs it, against a running broker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use model::record_batch::ProducerStamp;
use serde_json::{Value, json};
use support::tool::{self, Told};
use support::{Broker, Directory, batch, free_address, now_ms, produce};

fn run(bootstrap: &str, arguments: &str) -> Told {
    tool::run(bootstrap, &format!("topic {arguments}"))
}

fn topic(broker: &Broker, arguments: &str) -> Told {
    run(&broker.address.to_string(), arguments)
}

/// Runs the commands one after the other and compares everything that they say.
#[track_caller]
fn check(broker: &Broker, commands: &[&str], expected: Expect) {
    let mut shown = String::new();
    for arguments in commands {
        shown += &format!("$ {arguments}\n{}", topic(broker, arguments).shown());
    }
    expected.assert_eq(&shown);
}

/// Appends records of 100 bytes, each in a batch of its own.
fn append(broker: &Broker, name: &'static str, partition: i32, count: usize) {
    let mut client = broker.connect();
    for _ in 0..count {
        let batch = batch(&[&[7; 100]], now_ms(), ProducerStamp::NONE);
        let response = client.call(9, &produce(name, partition, -1, batch));
        let answer = &response.responses[0].partition_responses[0];
        assert!(!answer.error_code.is_error(), "{:?}", answer.error_message);
    }
}

fn start(directory: &Directory) -> Broker {
    Broker::start(&directory.data(), &["--cores", "2"])
}

#[test]
fn topics_are_created_listed_and_deleted() {
    let directory = Directory::new();
    let broker = start(&directory);
    let commands = [
        "list",
        "create orders --partitions 3 --config flush.messages=9",
        "create payments",
        "list",
        "list --all",
        "delete orders payments",
        "list",
    ];
    check(
        &broker,
        &commands,
        expect![[r#"
        $ list
        topic  partitions
        exit 0
        $ create orders --partitions 3 --config flush.messages=9
        created orders: 3 partitions, replication factor 1
        exit 0
        $ create payments
        created payments: 1 partition, replication factor 1
        exit 0
        $ list
        topic     partitions
        orders             3
        payments           1
        exit 0
        $ list --all
        topic     partitions  internal
        orders             3  no
        payments           1  no
        exit 0
        $ delete orders payments
        deleted orders
        deleted payments
        exit 0
        $ list
        topic  partitions
        exit 0
    "#]],
    );
}

#[test]
fn programs_get_documents() {
    let directory = Directory::new();
    let broker = start(&directory);
    let created =
        topic(&broker, "create orders --partitions 2 --config flush.messages=9 --json").json();
    let id = created["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 22);
    let expected = json!({
        "name": "orders", "outcome": "created", "id": id, "partitions": 2, "replication_factor": 1,
    });
    assert_eq!(created, expected);
    let odd = topic(&broker, "create odd --config flush.messages=never --json");
    assert_eq!((odd.code, odd.out.as_str()), (1, ""));
    let expected = "error: cannot create topic odd: INVALID_CONFIG (40): ";
    assert!(odd.err.starts_with(expected) && odd.err.contains("flush.messages"), "{}", odd.err);
    let listed = json!({
        "topics": [{ "name": "orders", "id": id, "partitions": 2, "internal": false }],
    });
    assert_eq!(topic(&broker, "list --json").json(), listed);
    append(&broker, "orders", 1, 5);
    let mut described = topic(&broker, "describe orders --json").json();
    let partitions = described["topics"][0]["partitions"].as_array_mut().unwrap();
    let mut epochs = Vec::new();
    for partition in partitions {
        let epoch = partition.as_object_mut().unwrap().remove("leader_epoch").unwrap();
        epochs.push(epoch.as_i64().unwrap());
        partition.as_object_mut().unwrap().remove("size_bytes").unwrap();
    }
    assert!(epochs.iter().all(|epoch| 0 <= *epoch), "{epochs:?}");
    let partition = |partition, end| {
        json!({
            "partition": partition, "leader": 1, "replicas": [1], "isr": [1],
            "start_offset": 0, "end_offset": end,
        })
    };
    let expected = json!({
        "topics": [{
            "name": "orders", "id": id, "internal": false,
            "partitions": [partition(0, 0), partition(1, 5)],
            "configs": [{
                "name": "flush.messages", "value": "9", "source": "topic", "read_only": false,
                "sensitive": false,
            }],
            "notes": [],
        }],
    });
    assert_eq!(described, expected);
    let deleted = json!({ "topics": [{ "name": "orders", "outcome": "deleted" }] });
    assert_eq!(topic(&broker, "delete orders --json").json(), deleted);
}

#[test]
fn a_refusal_names_the_topic_the_error_and_the_brokers_words() {
    let directory = Directory::new();
    let broker = start(&directory);
    let commands = [
        "create orders --partitions 2",
        "create orders",
        "create orders --if-not-exists",
        "create orders --if-not-exists --dry-run",
        "create a/b",
        "create copied --replication-factor 3",
        "describe nowhere",
        "delete nowhere orders",
        "delete nowhere orders --if-exists",
        "list",
    ];
    check(
        &broker,
        &commands,
        expect![[r#"
            $ create orders --partitions 2
            created orders: 2 partitions, replication factor 1
            exit 0
            $ create orders
            error: cannot create topic orders: TOPIC_ALREADY_EXISTS (36): Topic 'orders' already exists.
            exit 1
            $ create orders --if-not-exists
            orders exists already: 2 partitions, replication factor 1
            exit 0
            $ create orders --if-not-exists --dry-run
            orders exists already: 2 partitions, replication factor 1
            exit 0
            $ create a/b
            error: cannot create topic a/b: INVALID_TOPIC_EXCEPTION (17): topic name "a/b" contains '/'; only ASCII letters and digits, '.', '_' and '-' are allowed
            exit 1
            $ create copied --replication-factor 3
            error: cannot create topic copied: INVALID_REPLICATION_FACTOR (38): replication factor 3: there is one broker, so choose 1, or -1 for the default
            exit 1
            $ describe nowhere
            error: cannot describe topic nowhere: UNKNOWN_TOPIC_OR_PARTITION (3): there is no such topic
            exit 1
            $ delete nowhere orders
            deleted orders
            error: cannot delete topic nowhere: UNKNOWN_TOPIC_OR_PARTITION (3): This server does not host this topic-partition.
            exit 1
            $ delete nowhere orders --if-exists
            nowhere is not there
            orders is not there
            exit 0
            $ list
            topic  partitions
            exit 0
        "#]],
    );
}

#[test]
fn what_can_be_described_is_described() {
    let directory = Directory::new();
    let broker = start(&directory);
    topic(&broker, "create orders --json").json();
    let told = topic(&broker, "describe nowhere orders --json");
    assert_eq!(told.code, 1);
    let described: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(described["topics"].as_array().unwrap().len(), 1);
    expect![[r#"
        error: cannot describe topic nowhere: UNKNOWN_TOPIC_OR_PARTITION (3): there is no such topic
    "#]]
    .assert_eq(&told.err);
    let text = topic(&broker, "describe orders").out;
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(lines[0], "orders");
    assert!(lines[1].starts_with("id  "), "{text}");
    assert_eq!(lines[2], "partitions  1");
}

#[test]
fn a_dry_run_creates_nothing() {
    let directory = Directory::new();
    let broker = start(&directory);
    let commands = [
        "create orders --partitions 7 --dry-run",
        "create orders --replication-factor 3 --dry-run",
        "list",
    ];
    check(
        &broker,
        &commands,
        expect![[r#"
        $ create orders --partitions 7 --dry-run
        orders could be created: 7 partitions, replication factor 1
        exit 0
        $ create orders --replication-factor 3 --dry-run
        error: cannot create topic orders: INVALID_REPLICATION_FACTOR (38): replication factor 3: there is one broker, so choose 1, or -1 for the default
        exit 1
        $ list
        topic  partitions
        exit 0
    "#]],
    );
}

#[test]
fn who_writes_what_is_not_understood_is_told_before_a_broker_is_asked() {
    let nobody = free_address();
    for arguments in ["", "list --bootstrap", "create", "config a --dry-run", "trim a --before x"] {
        let told = run(&nobody, arguments);
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{arguments}: {}", told.err);
        assert!(told.err.starts_with("error: ") || arguments.is_empty(), "{}", told.err);
    }
}

#[test]
fn a_broker_that_is_not_there_is_told_at_once() {
    let nobody = free_address();
    let begun = Instant::now();
    let told = run(&nobody, "list");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let expected = format!(
        "error: no broker can be reached, the last tried is {nobody}: cannot connect to {nobody}: \
         Connection refused (os error 111)\nexit 1\n"
    );
    assert_eq!(told.shown(), expected);
}

#[test]
fn a_broker_that_does_not_answer_is_not_waited_for_longer_than_allowed() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let begun = Instant::now();
    let told = run(&address, "list --timeout 400ms");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let expected = format!(
        "error: no broker can be reached, the last tried is {address}: {address} does not say which \
         versions it speaks: no answer to ApiVersions within "
    );
    assert!(told.code == 1 && told.err.starts_with(&expected), "{}", told.shown());
}

#[test]
fn configs_are_shown_set_and_taken_back() {
    let directory = Directory::new();
    let broker = start(&directory);
    let commands = [
        "create orders",
        "config orders",
        "config orders --set flush.messages=9 --set max.message.bytes=2000 --dry-run",
        "config orders",
        "config orders --set flush.messages=9 --set max.message.bytes=2000",
        "config orders",
        "config orders --unset flush.messages --set max.message.bytes=3000",
        "config orders",
    ];
    check(
        &broker,
        &commands,
        expect![[r#"
        $ create orders
        created orders: 1 partition, replication factor 1
        exit 0
        $ config orders
        orders: every config has its default, --all shows them
        exit 0
        $ config orders --set flush.messages=9 --set max.message.bytes=2000 --dry-run
        orders: could be changed so, and is as before
          config             value    source
          flush.messages     1        default
          max.message.bytes  1048588  default
        exit 0
        $ config orders
        orders: every config has its default, --all shows them
        exit 0
        $ config orders --set flush.messages=9 --set max.message.bytes=2000
        orders: changed
          config             value  source
          flush.messages     9      topic
          max.message.bytes  2000   topic
        exit 0
        $ config orders
        orders
          config             value  source
          flush.messages     9      topic
          max.message.bytes  2000   topic
        exit 0
        $ config orders --unset flush.messages --set max.message.bytes=3000
        orders: changed
          config             value  source
          flush.messages     1      default
          max.message.bytes  3000   topic
        exit 0
        $ config orders
        orders
          config             value  source
          max.message.bytes  3000   topic
        exit 0
    "#]],
    );
    let all = topic(&broker, "config orders --all --json").json();
    assert_eq!(all["outcome"], "unchanged");
    let configs = all["configs"].as_array().unwrap();
    assert!(10 < configs.len());
    let of = |name: &str| configs.iter().find(|config| config["name"] == name).unwrap();
    assert_eq!(of("max.message.bytes")["source"], "topic");
    assert_eq!(of("flush.messages")["source"], "default");
    let changed = topic(&broker, "config orders --set flush.messages=7 --json").json();
    let config = json!({
        "name": "flush.messages", "value": "7", "source": "topic", "read_only": false,
        "sensitive": false,
    });
    assert_eq!(changed, json!({ "name": "orders", "outcome": "changed", "configs": [config] }));
    // And it is still so after a restart.
    broker.kill();
    let broker = start(&directory);
    check(
        &broker,
        &["config orders"],
        expect![[r#"
        $ config orders
        orders
          config             value  source
          flush.messages     7      topic
          max.message.bytes  3000   topic
        exit 0
    "#]],
    );
}

#[test]
fn a_change_that_is_refused_changes_nothing() {
    let directory = Directory::new();
    let broker = start(&directory);
    topic(&broker, "create orders --config max.message.bytes=3000 --json").json();
    let commands = [
        "config orders --set flush.messages=8 --set no.such=1",
        "config orders --set flush.messages=never",
        "config orders",
        "config nowhere",
        "config nowhere --unset flush.messages",
    ];
    check(
        &broker,
        &commands,
        expect![[r#"
        $ config orders --set flush.messages=8 --set no.such=1
        error: cannot change configs of topic orders: INVALID_CONFIG (40): Unknown topic config name: no.such
        exit 1
        $ config orders --set flush.messages=never
        error: cannot change configs of topic orders: INVALID_CONFIG (40): Invalid value never for configuration flush.messages: Not a number of type LONG
        exit 1
        $ config orders
        orders
          config             value  source
          max.message.bytes  3000   topic
        exit 0
        $ config nowhere
        error: cannot show the configs of topic nowhere: UNKNOWN_TOPIC_OR_PARTITION (3): This server does not host this topic-partition.
        exit 1
        $ config nowhere --unset flush.messages
        error: cannot change configs of topic nowhere: UNKNOWN_TOPIC_OR_PARTITION (3): The topic 'nowhere' does not exist.
        exit 1
        "#]],
    );
}

#[test]
fn a_log_begins_where_it_was_trimmed() {
    let directory = Directory::new();
    let broker = start(&directory);
    topic(&broker, "create orders --partitions 2 --json").json();
    append(&broker, "orders", 0, 20);
    append(&broker, "orders", 1, 10);
    let commands = [
        "trim orders --before 4",
        "trim orders --before 12 --partition 0",
        "trim orders --before 3",
        "trim orders --before 15",
        "trim orders --before 1 --partition 2",
        "trim orders --before end --partition 1 --json",
        "trim nowhere --before end",
    ];
    check(
        &broker,
        &commands,
        expect![[r#"
        $ trim orders --before 4
        orders
          partition  start
                  0      4
                  1      4
        exit 0
        $ trim orders --before 12 --partition 0
        orders
          partition  start
                  0     12
        exit 0
        $ trim orders --before 3
        orders
          partition  start
                  0     12
                  1      4
        exit 0
        $ trim orders --before 15
        orders
          partition  start
                  0     15
        error: cannot trim topic orders, partition 1: OFFSET_OUT_OF_RANGE (1)
        exit 1
        $ trim orders --before 1 --partition 2
        error: cannot trim topic orders, partition 2: topic orders has no partition 2: it has 2
        exit 1
        $ trim orders --before end --partition 1 --json
        {
          "name": "orders",
          "partitions": [
            {
              "partition": 1,
              "start_offset": 10
            }
          ]
        }
        exit 0
        $ trim nowhere --before end
        error: cannot trim topic nowhere: UNKNOWN_TOPIC_OR_PARTITION (3): there is no such topic
        exit 1
    "#]],
    );
    let starts = |broker: &Broker| {
        let described = topic(broker, "describe orders --json").json();
        let partitions = described["topics"][0]["partitions"].as_array().unwrap().clone();
        let offsets =
            partitions.iter().map(|it| (it["start_offset"].clone(), it["end_offset"].clone()));
        offsets.collect::<Vec<_>>()
    };
    let expected = vec![(json!(15), json!(20)), (json!(10), json!(10))];
    assert_eq!(starts(&broker), expected);
    broker.kill();
    assert_eq!(starts(&start(&directory)), expected);
}

#[test]
fn a_description_tells_how_large_a_log_is() {
    let directory = Directory::new();
    let broker = start(&directory);
    topic(&broker, "create orders --partitions 2 --json").json();
    append(&broker, "orders", 0, 20);
    let described = topic(&broker, "describe orders --json").json();
    let size = |partition: usize| {
        described["topics"][0]["partitions"][partition]["size_bytes"].as_u64().unwrap()
    };
    // Batches are a header of 61 bytes and the record.
    assert!((20 * 161..20 * 200).contains(&size(0)), "{}", size(0));
    assert_eq!(size(1), 0);
    assert_eq!(described["topics"][0]["notes"], json!([]));
}
