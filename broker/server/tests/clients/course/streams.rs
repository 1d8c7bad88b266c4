//! Kafka Streams, with its state in changelog topics.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::broker::{Broker, DataDir};
use crate::process::Running;
use crate::scripts::{PROGRAM_LIMIT, java, json as run_json, python_in};

use super::{ANY_PORT, CONFIG};

/// In each of the two lives of the application.
const COUNT: u64 = 60;
const USERS: [&str; 3] = ["ada", "ben", "cem"];
const WORDS: [&str; 5] = ["log", "topic", "offset", "group", "key"];

/// None if librdkafka is not on this machine.
fn script(arguments: &[&str]) -> Option<Value> {
    let mut command = python_in("course/python", "words_and_totals.py")?;
    Some(run_json(&format!("words_and_totals.py {arguments:?}"), command.args(arguments)))
}

fn start(state: &Path, address: &str) -> Option<Running> {
    let mut command = java("WordsAndTotals")?;
    command.arg(state).arg(address);
    Some(Running::start("WordsAndTotals", &mut command).unwrap())
}

fn send(address: &str, first: u64) {
    script(&["send", address, &first.to_string(), &COUNT.to_string()]).unwrap();
}

/// Of each user, the totals after each payment, in order. Payments are numbers.
fn expected_totals() -> BTreeMap<&'static str, Vec<u64>> {
    let of_user = |(index, user)| {
        let payments = (index..2 * COUNT).step_by(USERS.len());
        let add = |total: &mut u64, payment| {
            *total += payment;
            Some(*total)
        };
        (user, payments.scan(0, add).collect())
    };
    (0..).zip(USERS).map(of_user).collect()
}

/// Every sentence has three of the five words, by turns.
fn expected_counts() -> BTreeMap<&'static str, Vec<u64>> {
    WORDS.into_iter().map(|word| (word, (1..=2 * COUNT * 3 / 5).collect())).collect()
}

fn last(values: BTreeMap<&str, Vec<u64>>) -> BTreeMap<&str, Option<u64>> {
    values.into_iter().map(|(key, values)| (key, values.last().copied())).collect()
}

/// The application is killed when it has committed everything, and its directory is lost: nothing is
/// processed again, and the state is exact only if all of it is restored.
#[test]
fn kafka_streams_restores_its_state_after_a_kill_and_goes_on() {
    let data = DataDir::new("course-streams");
    let broker = Broker::start_configured(&data, CONFIG, &ANY_PORT);
    let address = broker.address();
    if script(&["create", address]).is_none() {
        return;
    }
    let state = data.path().join("first-state");
    let Some(first) = start(&state, address) else { return };
    send(address, 0);
    first.signal(Signal::SIGKILL);
    let (status, ..) = first.finish(PROGRAM_LIMIT).unwrap();
    assert!(!status.success(), "it was killed");
    std::fs::remove_dir_all(&state).unwrap();

    let second = start(&data.path().join("second-state"), address).unwrap();
    send(address, COUNT);
    let (status, lines, errors) = second.finish(PROGRAM_LIMIT).unwrap();
    assert!(status.success(), "{status}: {errors}");
    let result: Value = serde_json::from_str(lines.last().expect("it prints a result")).unwrap();
    // Every change of the first life, as nothing holds changes back or has compacted them yet.
    let expected = json!({
        "restored": {"totals": COUNT, "word-counts": 3 * COUNT},
        "totals": last(expected_totals()),
        "word-counts": last(expected_counts()),
    });
    assert_eq!(result, expected);
    let expected = json!({"totals": expected_totals(), "word-counts": expected_counts()});
    assert_eq!(
        script(&["read", address]).unwrap(),
        expected,
        "nothing came out twice or was left out"
    );
    broker.stop();
}
