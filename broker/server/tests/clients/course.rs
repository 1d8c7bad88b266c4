//! What a course about Kafka teaches, as small programs that somebody could learn from, run against the
//! broker: partitions and keys, groups, what a crash costs, windows, joins, and Kafka Streams.
//!
//! Each program is given the broker's address, creates its own topics, and prints what came of it as
//! JSON on its last line. The tests here say what has to come of it.

mod partitions;
mod consumers;
mod windows;
mod joins;
mod patterns;
mod streams;

use std::process::Command;

use serde_json::Value;

use crate::broker::{Broker, DataDir};
use crate::scripts::{json, node_in, python_in};

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// The first members of a group need not wait for others.
const CONFIG: &str = "[groups]\ninitial-rebalance-delay-ms = 0\n";

/// What a program prints, on a broker of its own. None if its client is not on this machine.
fn result_of(name: &str, command: Option<Command>) -> Option<Value> {
    let mut command = command?;
    let data = DataDir::new(&format!("course-{name}"));
    let broker = Broker::start_configured(&data, CONFIG, &ANY_PORT);
    let value = json(name, command.arg(broker.address()));
    broker.stop();
    Some(value)
}

fn python(name: &str) -> Option<Value> {
    result_of(name, python_in("course/python", &format!("{name}.py")))
}

fn node(name: &str) -> Option<Value> {
    result_of(name, node_in("course/node", &format!("{name}.js")))
}
