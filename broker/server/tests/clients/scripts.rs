//! The clients' programs, and what they print.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::install;
use crate::process::run;

/// Each program does little, but two processors may have much to do.
pub(crate) const PROGRAM_LIMIT: Duration = Duration::from_secs(120);

/// Clients that do the same with the same arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    /// Through confluent-kafka.
    Librdkafka,
    /// Kafka's own.
    Java,
    FranzGo,
    Kafkajs,
    KafkaPython,
    Aiokafka,
}

impl Client {
    /// Those that can read without a group.
    pub(crate) const READERS: [Client; 5] =
        [Client::Librdkafka, Client::Java, Client::FranzGo, Client::KafkaPython, Client::Aiokafka];

    /// The client's program of what all clients do. None if the client is not on this machine.
    pub(crate) fn command(self, arguments: &[&str]) -> Option<Command> {
        let mut command = match self {
            Client::Librdkafka => python("librdkafka.py")?,
            Client::Java => java("Matrix")?,
            Client::FranzGo => Command::new(install::go()?),
            Client::Kafkajs => node("kafkajs.js")?,
            Client::KafkaPython => python("kafka_python.py")?,
            Client::Aiokafka => python("aio_kafka.py")?,
        };
        command.args(arguments);
        Some(command)
    }

    /// The client's program of a member of a group. None if the client is not on this machine.
    pub(crate) fn member(self) -> Option<Command> {
        match self {
            Client::Librdkafka => python("member.py"),
            Client::Java => java("Member"),
            Client::FranzGo => {
                let mut command = Command::new(install::go()?);
                command.arg("member");
                Some(command)
            }
            Client::Kafkajs => node("member.js"),
            Client::KafkaPython => python("kafka_python_member.py"),
            Client::Aiokafka => python("aio_member.py"),
        }
    }

    /// Runs that program and gives what it prints at last.
    pub(crate) fn matrix(self, arguments: &[&str]) -> Option<Value> {
        Some(json(&format!("{self:?} {arguments:?}"), &mut self.command(arguments)?))
    }
}

/// One of the scripts in `python/`.
pub(crate) fn python(script: &str) -> Option<Command> {
    python_in("python", script)
}

/// A script in a directory beside this file.
pub(crate) fn python_in(directory: &str, script: &str) -> Option<Command> {
    let mut command = Command::new(install::python()?);
    // Without what Python would leave beside its sources.
    command.arg("-B").arg(install::sources(directory).join(script));
    Some(command)
}

/// One of the programs in `node/`.
pub(crate) fn node(program: &str) -> Option<Command> {
    node_in("node", program)
}

/// A program for Node.js in a directory beside this file.
pub(crate) fn node_in(directory: &str, program: &str) -> Option<Command> {
    let mut command = Command::new("node");
    command.env("NODE_PATH", install::node_modules()?);
    command.arg(install::sources(directory).join(program));
    Some(command)
}

/// A class of ours, or one of Kafka's, in a virtual machine that starts quickly.
pub(crate) fn java(class: &str) -> Option<Command> {
    let class_path = install::java()?;
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", class_path]);
    command.arg(class);
    Some(command)
}

/// What a program prints on its last line.
pub(crate) fn json(name: &str, command: &mut Command) -> Value {
    let lines = run(name, command, "", PROGRAM_LIMIT).unwrap();
    let line = lines.last().expect("it prints a result");
    serde_json::from_str(line).expect("its result is JSON")
}
