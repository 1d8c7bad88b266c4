//! `highwater produce` and `highwater consume`, as a user runs them, against a running broker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use expect_test::expect;
use serde_json::{Value, json};
use support::tool::{Told, check, command, run, run_with, run_words};
use support::{Broker, Directory, free_address};

fn start(directory: &Directory) -> Broker {
    Broker::start(&directory.data(), &["--cores", "2"])
}

fn ask(broker: &Broker, arguments: &str) -> Told {
    run(&broker.address.to_string(), arguments)
}

fn produce(broker: &Broker, arguments: &str, input: &[u8]) -> Told {
    run_with(&broker.address.to_string(), &format!("produce {arguments}"), input)
}

#[test]
fn lines_become_records_with_keys_and_headers() {
    let directory = Directory::new();
    let broker = start(&directory);
    ask(&broker, "topic create orders --json").json();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let arguments =
            format!("orders --key-separator :: --header a=1 --header b= --compression {codec}");
        let told = produce(&broker, &arguments, b"k::v::w\nalone\n\n::x\nlast\xff");
        assert_eq!(told.shown(), "exit 0\n", "{codec}");
    }
    let format = "%o [%k](%K) [%s](%S) %h\\n";
    let read = run_words(
        &broker.address.to_string(),
        &["consume", "orders", "--from", "20", "--until", "24", "--format", format],
    );
    expect![[r#"
        20 [k](1) [v::w](4) a=1,b=
        21 [](-1) [alone](5) a=1,b=
        22 [](-1) [](0) a=1,b=
        23 [](0) [x](1) a=1,b=
        exit 0
    "#]]
    .assert_eq(&read.shown());
    let read = ask(&broker, "consume orders --from 19 --until 20 --json");
    let mut document: Value = serde_json::from_str(&read.out).unwrap();
    assert!(0 < document["timestamp"].take().as_i64().unwrap());
    let expected = json!({
        "topic": "orders", "partition": 0, "offset": 19, "timestamp": null,
        "timestamp_type": "create-time",
        "headers": [{ "name": "a", "value": "1" }, { "name": "b", "value": "" }],
        "key": null, "value": { "hex": "6c617374ff" },
    });
    assert_eq!((document, read.out.lines().count()), (expected, 1));
}

#[test]
fn records_of_a_key_are_in_one_partition_and_all_are_there() {
    let directory = Directory::new();
    let broker = start(&directory);
    ask(&broker, "topic create orders --partitions 3 --json").json();
    let lines: String = (0..50_000).map(|it| format!("key-{}:{it}\n", it % 10)).collect();
    assert_eq!(produce(&broker, "orders --key-separator :", lines.as_bytes()).shown(), "exit 0\n");
    let read = ask(&broker, "consume orders --until end --format %k:%p:%s\\n");
    assert_eq!((read.code, read.err.as_str()), (0, ""));
    let mut of_key = std::collections::BTreeMap::new();
    for line in read.out.lines() {
        let mut parts = line.split(':');
        let (key, partition) = (parts.next().unwrap(), parts.next().unwrap());
        let number: u32 = parts.next().unwrap().parse().unwrap();
        let (in_partition, numbers): &mut (&str, Vec<u32>) =
            of_key.entry(key).or_insert((partition, Vec::new()));
        assert_eq!(*in_partition, partition, "{key}");
        numbers.push(number);
    }
    assert_eq!(of_key.len(), 10);
    for (key, (_, numbers)) in of_key {
        assert_eq!(numbers.len(), 5000, "{key}");
        assert!(numbers.is_sorted(), "{key}");
    }
}

#[test]
fn what_is_not_acknowledged_is_told_with_its_lines() {
    let directory = Directory::new();
    let broker = start(&directory);
    ask(&broker, "topic create orders --config max.message.bytes=500 --json").json();
    let long = format!("short\n{}\nshort\n", "x".repeat(1000));
    let told = produce(&broker, "orders", long.as_bytes());
    assert_eq!((told.code, told.out.as_str()), (1, ""));
    expect![[r#"
        error: cannot produce to topic orders, partition 0, line 2: MESSAGE_TOO_LARGE (10): a batch of 1070 bytes: max.message.bytes is 500; it has 1024 bytes: raise the topic's max.message.bytes, or send less
    "#]].assert_eq(&told.err);
    // What stood before it is there, and nothing after it.
    assert_eq!(ask(&broker, "consume orders --until end").out, "short\n");
    // A batch that is too large by its records alone is sent in parts.
    let many: String = (0..500).map(|it| format!("{it}\n")).collect();
    assert_eq!(produce(&broker, "orders", many.as_bytes()).shown(), "exit 0\n");
    assert_eq!(ask(&broker, "consume orders --until end --from 1").out, many);
    let told = produce(&broker, "orders --partition 7", b"");
    assert_eq!(
        told.err,
        "error: cannot produce to topic orders: it has no partition 7: it has 1\n"
    );
    let told = produce(&broker, "nowhere", b"x");
    let expected = "error: cannot produce to topic nowhere: UNKNOWN_TOPIC_OR_PARTITION (3): \
                    there is no such topic\nexit 1\n";
    assert_eq!(told.shown(), expected);
    let told = run_with(&free_address(), "produce orders", b"x");
    assert_eq!(told.code, 1);
    assert!(told.err.starts_with("error: no broker can be reached, "), "{}", told.err);
}

#[test]
fn a_line_is_sent_when_it_comes_and_shown_when_it_is_there() {
    let directory = Directory::new();
    let broker = start(&directory);
    let address = broker.address.to_string();
    ask(&broker, "topic create orders --json").json();
    let mut consumer = command(&address, &["consume", "orders", "--count", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(consumer.stdout.take().unwrap());
    for acks in ["all", "0"] {
        let mut producer = command(&address, &["produce", "orders", "--acks", acks])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = producer.stdin.take().unwrap();
        input.write_all(b"hello\n").unwrap();
        // The input is still open.
        let mut line = String::new();
        shown.read_line(&mut line).unwrap();
        assert_eq!(line, "hello\n");
        drop(input);
        assert!(producer.wait().unwrap().success());
    }
    assert!(consumer.wait().unwrap().success());
}

#[test]
fn reading_begins_and_ends_where_it_should() {
    let directory = Directory::new();
    let broker = start(&directory);
    ask(&broker, "topic create orders --partitions 2 --json").json();
    produce(&broker, "orders --partition 0", b"a\nb\nc\n");
    produce(&broker, "orders --partition 1", b"d\n");
    ask(&broker, "topic trim orders --before 1 --partition 0 --json").json();
    let commands = [
        "consume orders --partition 0 --until end",
        "consume orders --partition 0 --from 2 --until end",
        "consume orders --partition 0 --from 0 --until end",
        "consume orders --partition 0 --from 4",
        "consume orders --partition 0 --until 2",
        "consume orders --partition 0 --count 1",
        "consume orders --from latest --until end",
        "consume orders --from @0 --until @1",
        "consume orders --from @2001-02-03T04:05:06Z --until end --partition 1",
        "consume orders --from @2101-02-03T04:05:06Z --until end",
        "consume orders --partition 2 --until end",
        "consume nowhere --until end",
    ];
    check(
        &broker,
        &commands,
        expect![[r#"
        $ consume orders --partition 0 --until end
        b
        c
        exit 0
        $ consume orders --partition 0 --from 2 --until end
        c
        exit 0
        $ consume orders --partition 0 --from 0 --until end
        b
        c
        error: cannot consume topic orders, partition 0: the records from 0 to 0 are gone; going on at 1
        exit 1
        $ consume orders --partition 0 --from 4
        error: cannot consume topic orders, partition 0: it has no offset 4: it ends at 3, use an offset up to that, or latest
        exit 1
        $ consume orders --partition 0 --until 2
        b
        exit 0
        $ consume orders --partition 0 --count 1
        b
        exit 0
        $ consume orders --from latest --until end
        exit 0
        $ consume orders --from @0 --until @1
        exit 0
        $ consume orders --from @2001-02-03T04:05:06Z --until end --partition 1
        d
        exit 0
        $ consume orders --from @2101-02-03T04:05:06Z --until end
        exit 0
        $ consume orders --partition 2 --until end
        error: cannot consume topic orders: it has no partition 2: it has 2
        exit 1
        $ consume nowhere --until end
        error: cannot consume topic nowhere: UNKNOWN_TOPIC_OR_PARTITION (3): there is no such topic
        exit 1
    "#]],
    );
}

#[test]
fn whoever_stops_reading_ends_it() {
    let directory = Directory::new();
    let broker = start(&directory);
    ask(&broker, "topic create orders --json").json();
    let line = format!("{}\n", "x".repeat(100));
    assert_eq!(produce(&broker, "orders", line.repeat(20_000).as_bytes()).shown(), "exit 0\n");
    let begun = Instant::now();
    let mut consumer = command(&broker.address.to_string(), &["consume", "orders"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(consumer.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, line);
    assert!(consumer.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(20));
}
