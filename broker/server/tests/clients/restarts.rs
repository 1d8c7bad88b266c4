//! Stops and starts, with other numbers of cores, and how soon the first record is acknowledged.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::broker::{Broker, DataDir};
use crate::install::say;
use crate::process::Running;
use crate::scripts::{PROGRAM_LIMIT, json as run_json, python};

const TOPICS: &str = "one,two,three";
const PARTITIONS: usize = 5;

/// A command of log.py. None if librdkafka is not on this machine.
fn log(arguments: &[&str]) -> Option<serde_json::Value> {
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
