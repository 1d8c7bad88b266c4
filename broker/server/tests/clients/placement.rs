//! Who chooses a record's partition, and how: a function of the user, turns, or the key. Records are
//! where they were sent to, and those of one partition in the order in which they were sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::broker::{Broker, DataDir};
use crate::scripts::{Client, json as run_json, python};

const TOPICS: &str = "custom,round-robin,keyed";
const PARTITIONS: usize = 4;

const USERS: [&str; 7] = ["vip-1", "user-1", "vip-2", "user-2", "user-3", "user-10", "user-25"];
const OF_EACH_USER: usize = 5;
const ROUND_ROBIN_COUNT: usize = 40;
const KEYS: usize = 20;
const OF_EACH_KEY: usize = 10;

fn check_placement(client: Client) {
    let data = DataDir::new(&format!("placement-{client:?}"));
    let broker = Broker::start(&data);
    let partitions = PARTITIONS.to_string();
    let log = |command: &str| {
        let arguments = [command, broker.address(), TOPICS, &partitions];
        Some(run_json(&format!("log.py {arguments:?}"), python("log.py")?.args(arguments)))
    };
    if log("create").is_none() {
        return;
    }
    let Some(placed) = client.matrix(&["place", broker.address(), &partitions]) else { return };
    let count = USERS.len() * OF_EACH_USER + ROUND_ROBIN_COUNT + KEYS * OF_EACH_KEY;
    assert_eq!(placed, json!({ "acknowledged": count }));
    let found = log("list").expect("it has created the topics");
    check_custom(&found);
    check_round_robin(&found);
    check_keyed(&found);
    broker.stop();
}

/// The records of a partition, as key and value.
fn records(found: &Value, topic: &str, partition: usize) -> Vec<(Option<String>, usize)> {
    let records = found[format!("{topic}/{partition}")].as_array().expect("it was asked for");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let number = |value: &Value| text(value).and_then(|text| text.parse().ok());
    let record = |one: &Value| (text(&one[0]), number(&one[1]).expect("values are numbers"));
    records.iter().map(record).collect()
}

fn check_custom(found: &Value) {
    for partition in 0..PARTITIONS {
        let is_here = |user: &&str| {
            let sum: usize = user.bytes().map(usize::from).sum();
            let chosen = if user.starts_with("vip-") { 0 } else { 1 + sum % (PARTITIONS - 1) };
            chosen == partition
        };
        let here: Vec<&str> = USERS.into_iter().filter(is_here).collect();
        assert!(!here.is_empty(), "each partition has users");
        let expected: Vec<(Option<String>, usize)> = (0..OF_EACH_USER)
            .flat_map(|number| here.iter().map(move |user| (Some((*user).to_owned()), number)))
            .collect();
        assert_eq!(records(found, "custom", partition), expected, "custom/{partition}");
    }
}

/// Whoever is first.
fn check_round_robin(found: &Value) {
    let mut firsts = BTreeSet::new();
    for partition in 0..PARTITIONS {
        let records = records(found, "round-robin", partition);
        let first = records.first().expect("it has had its turns").1;
        assert!(first < PARTITIONS, "round-robin/{partition} begins with {first}");
        firsts.insert(first);
        let turns = (first..ROUND_ROBIN_COUNT).step_by(PARTITIONS);
        let expected: Vec<(Option<String>, usize)> = turns.map(|number| (None, number)).collect();
        assert_eq!(records, expected, "round-robin/{partition}");
    }
    assert_eq!(firsts.len(), PARTITIONS);
}

/// How keys are hashed is the client's choice; that one key has one partition is not.
fn check_keyed(found: &Value) {
    let mut places = BTreeMap::new();
    for partition in 0..PARTITIONS {
        for (key, number) in records(found, "keyed", partition) {
            let key = key.expect("all have keys");
            places.entry(key).or_insert_with(Vec::new).push((partition, number));
        }
    }
    assert_eq!(places.len(), KEYS);
    let used: BTreeSet<usize> =
        places.values().flatten().map(|(partition, _)| *partition).collect();
    assert!(1 < used.len(), "keys are spread: {used:?}");
    for (key, places) in places {
        let partition = places[0].0;
        let expected: Vec<(usize, usize)> =
            (0..OF_EACH_KEY).map(|number| (partition, number)).collect();
        assert_eq!(places, expected, "{key}");
    }
}

#[test]
fn librdkafka_chooses_partitions() {
    check_placement(Client::Librdkafka);
}

#[test]
fn java_chooses_partitions() {
    check_placement(Client::Java);
}

#[test]
fn franz_go_chooses_partitions() {
    check_placement(Client::FranzGo);
}

#[test]
fn kafkajs_chooses_partitions() {
    check_placement(Client::Kafkajs);
}

#[test]
fn kafka_python_chooses_partitions() {
    check_placement(Client::KafkaPython);
}

#[test]
fn aiokafka_chooses_partitions() {
    check_placement(Client::Aiokafka);
}
