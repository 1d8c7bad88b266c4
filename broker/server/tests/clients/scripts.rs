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
}

impl Client {
    /// The client's program of what all clients do. None if the client is not on this machine.
    pub(crate) fn matrix(self, arguments: &[&str]) -> Option<Value> {
        let mut command = match self {
            Client::Librdkafka => python("matrix.py")?,
            Client::Java => java("Matrix")?,
        };
        Some(json(&format!("{self:?} {arguments:?}"), command.args(arguments)))
    }
}

/// One of the scripts in `python/`.
pub(crate) fn python(script: &str) -> Option<Command> {
    let mut command = Command::new(install::python()?);
    // Without what Python would leave beside its sources.
    command.arg("-B").arg(install::sources("python").join(script));
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
