//! Groups of consumers that nobody here wrote: a member is killed, static members are restarted one
//! after the other, one joins a group whose members go on, members change their protocol, and the broker
//! is killed under all of them.
//! Kafka's tools print of them what they print of Apache Kafka's groups.
//!
//! Every client has a member program that tells what it is assigned, what is revoked and what it has
//! processed; these histories are judged (`history`).

mod history;
mod member;
mod kills;
mod restarts;
mod cooperation;
mod migration;
mod raw;
mod broker_kills;
mod tools;

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::broker::{Broker, DataDir};
use crate::process::Running;
use crate::scripts::{PROGRAM_LIMIT, json, python};

/// The first members of a group need not wait for others, and who is killed is missed soon, also where
/// that is not the client's to say.
const CONFIG: &str = "[groups]
initial-rebalance-delay-ms = 0
consumer-session-timeout-ms = 6000
consumer-heartbeat-interval-ms = 1000
";

const TOPIC: &str = "work";
const PARTITIONS: u32 = 6;
const PER_SECOND: u32 = 300;

/// What the members ask for; brokers allow no less.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// A broker with a topic to which records are sent all the time.
struct Work {
    broker: Broker,
    pace: Option<Running>,
    // It is removed after the broker has ended.
    data: DataDir,
}

impl Work {
    /// None if librdkafka is not on this machine.
    fn start(name: &str) -> Option<Work> {
        Work::start_at(name, "127.0.0.1:0")
    }

    fn start_at(name: &str, listen: &str) -> Option<Work> {
        let data = DataDir::new(&format!("groups-{name}"));
        let broker = Broker::start_configured(&data, CONFIG, &["--listen", listen]);
        let arguments = ["create", broker.address(), TOPIC, &PARTITIONS.to_string()];
        json("log.py create", python("log.py")?.args(arguments));
        Some(Work { broker, pace: None, data })
    }

    /// kill -9, and the next broker where the last one was.
    fn restart(self) -> Work {
        let Work { broker, pace, data } = self;
        let address = broker.address().to_owned();
        broker.kill();
        let broker = Broker::start_configured(&data, CONFIG, &["--listen", &address]);
        Work { broker, pace, data }
    }

    fn address(&self) -> &str {
        self.broker.address()
    }

    fn begin(&mut self) {
        self.begin_at(PER_SECOND);
    }

    fn begin_at(&mut self, per_second: u32) {
        let mut command: Command = python("pace.py").expect("the other script is there");
        command.args([self.address(), TOPIC, &PARTITIONS.to_string(), &per_second.to_string()]);
        self.pace = Some(Running::start("pace.py", &mut command).unwrap());
    }

    /// How many records each partition has been sent.
    fn end(&mut self) -> Vec<u64> {
        let pace = self.pace.take().expect("it was begun");
        let (status, lines, errors) = pace.finish(PROGRAM_LIMIT).unwrap();
        assert!(status.success(), "{status}: {errors}");
        let sent: Value = serde_json::from_str(lines.last().expect("it prints a result")).unwrap();
        let sent = sent.as_array().expect("it is told by partition").iter();
        sent.map(|count| count.as_u64().expect("it is a count")).collect()
    }
}
