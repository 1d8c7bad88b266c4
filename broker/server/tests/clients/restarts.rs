//! Stops and starts: under load, with other numbers of cores, and how soon the first record is
//! acknowledged.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::broker::{Broker, DataDir, free_address};
use crate::install::say;
use crate::process::Running;
use crate::proxy::Proxy;
use crate::scripts::{Client, PROGRAM_LIMIT, json as run_json, python};

const TOPICS: &str = "one,two,three";
const PARTITIONS: usize = 5;
const RESTARTS: usize = 4;

/// A command of log.py. None if librdkafka is not on this machine.
fn log(arguments: &[&str]) -> Option<Value> {
    let mut command = python("log.py")?;
    Some(run_json(&format!("log.py {arguments:?}"), command.args(arguments)))
}

#[test]
fn nothing_is_lost_when_the_number_of_cores_changes() {
    const COUNT: usize = 200;
    let data = DataDir::new("cores");
    let partitions = PARTITIONS.to_string();
    // The third broker is killed: what it leaves in the journals of three cores two take over.
    for (round, cores) in ["2", "1", "3", "2"].into_iter().enumerate() {
        let broker = Broker::start_with(&data, &["--listen", "127.0.0.1:0", "--cores", cores]);
        let address = broker.address();
        if round == 0 && log(&["create", address, TOPICS, &partitions]).is_none() {
            return;
        }
        let check = |rounds: usize| {
            let found = log(&["drain", address, TOPICS, &partitions]).unwrap();
            let found = found.as_object().expect("it is an object");
            assert_eq!(found.len(), 3 * PARTITIONS);
            for (partition, runs) in found {
                let expected = match rounds {
                    0 => json!([]),
                    rounds => json!([[0, rounds * COUNT - 1]]),
                };
                assert_eq!(*runs, expected, "{partition} with {cores} cores");
            }
        };
        check(round);
        let first = (round * COUNT).to_string();
        let count = COUNT.to_string();
        let filled =
            log(&["fill", address, TOPICS, &partitions, &first, &count, "100", "lz4"]).unwrap();
        assert_eq!(filled, json!({"acknowledged": 3 * PARTITIONS * COUNT, "left": 0}));
        check(round + 1);
        match round {
            2 => broker.kill(),
            _ => broker.stop(),
        }
    }
}

/// An idempotent producer sends numbers to each partition while the broker is stopped and killed, each
/// time with acknowledgements on their way that never arrive, so that the client sends again what is
/// there. Every number is acknowledged with itself as its offset, and these are the whole log:
/// nothing is missing, twice or out of order.
fn check_idempotence(client: Client) {
    const PARTITIONS: &str = "3";
    let data = DataDir::new(&format!("idempotence-{client:?}"));
    let listen = free_address();
    let proxy = Proxy::start(listen);
    let (listen, address) = (listen.to_string(), proxy.address().to_string());
    let start = || Broker::start_with(&data, &["--listen", &listen, "--advertise", &address]);
    let mut broker = start();
    if log(&["create", &address, "loaded", PARTITIONS]).is_none() {
        return;
    }
    let Some(mut load) = client.command(&["load", &address, "loaded", PARTITIONS]) else { return };
    let load = Running::start(&format!("{client:?} load"), &mut load).unwrap();
    let mut unanswered = 0;
    for restart in 0..RESTARTS {
        // The second is of what was sent after the restart.
        for _ in 0..2 {
            load.expect_line(PROGRAM_LIMIT).unwrap();
        }
        proxy.withhold(PROGRAM_LIMIT);
        if restart % 2 == 0 {
            broker.kill();
        } else {
            broker.stop();
        }
        unanswered += proxy.take_unanswered(PROGRAM_LIMIT);
        proxy.pass();
        broker = start();
    }
    load.expect_line(PROGRAM_LIMIT).unwrap();
    let (status, lines, errors) = load.finish(PROGRAM_LIMIT).unwrap();
    assert!(status.success(), "{status}: {errors}");
    let result: Value = serde_json::from_str(lines.last().expect("it prints a result")).unwrap();
    let sent = result["sent"].as_u64().expect("it is a number");
    say(&format!(
        "{client:?}: {RESTARTS} restarts under {sent} records, {unanswered} requests without an answer"
    ));
    assert_eq!(result, json!({"unsettled": 0, "misplaced": 0, "errors": [], "sent": sent}));
    let last = sent / 3 - 1;
    let whole = json!([[0, last]]);
    let found = log(&["drain", &address, "loaded", PARTITIONS]).expect("it has created the topic");
    assert_eq!(found, json!({"loaded/0": whole, "loaded/1": whole, "loaded/2": whole}));
    broker.stop();
}

#[test]
fn restarts_lose_and_repeat_nothing_of_librdkafka() {
    check_idempotence(Client::Librdkafka);
}

#[test]
fn restarts_lose_and_repeat_nothing_of_java() {
    check_idempotence(Client::Java);
}

#[test]
fn restarts_lose_and_repeat_nothing_of_franz_go() {
    check_idempotence(Client::FranzGo);
}

#[test]
fn restarts_lose_and_repeat_nothing_of_kafkajs() {
    check_idempotence(Client::Kafkajs);
}

#[test]
fn restarts_lose_and_repeat_nothing_of_kafka_python() {
    check_idempotence(Client::KafkaPython);
}

#[test]
fn restarts_lose_and_repeat_nothing_of_aiokafka() {
    check_idempotence(Client::Aiokafka);
}

/// 300 ms are wanted on a machine that has nothing else to do; a test cannot ask for so much.
#[test]
fn a_broker_with_100_partitions_starts_soon() {
    const LIMIT: Duration = Duration::from_secs(5);
    let data = DataDir::new("start");
    let broker = Broker::start(&data);
    let address = broker.address().to_owned();
    if log(&["create", &address, TOPICS, "34"]).is_none() {
        return;
    }
    log(&["fill", &address, TOPICS, "34", "0", "10", "100", "none"]).unwrap();
    broker.stop();

    let mut client = python("log.py").unwrap();
    client.args(["first", &address, "two"]);
    let mut client = Running::start("log.py first", &mut client).unwrap();
    assert_eq!(client.expect_line(PROGRAM_LIMIT).unwrap(), "waiting");
    let begin = Instant::now();
    let broker = Broker::start_with(&data, &["--listen", &address]);
    let ready = begin.elapsed();
    client.say("go").unwrap();
    let result = client.expect_line(PROGRAM_LIMIT).unwrap();
    let acknowledged = begin.elapsed();
    assert_eq!(result, r#"{"acknowledged": 1}"#);
    say(&format!(
        "102 partitions: ready {} ms after the start, first record acknowledged after {} ms",
        ready.as_millis(),
        acknowledged.as_millis()
    ));
    assert!(acknowledged < LIMIT, "{acknowledged:?}");
    broker.stop();
}
