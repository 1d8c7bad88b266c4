//! A command of `highwater` that asks a broker, as a user runs it.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use expect_test::Expect;
use serde_json::Value;

use super::Broker;

/// What a command has said, and how it ended.
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Told {
    fn of(output: Output) -> Told {
        Told {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The document of a command that has succeeded.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        serde_json::from_str(&self.out).unwrap()
    }

    pub(crate) fn shown(&self) -> String {
        format!("{}{}exit {}\n", self.out, self.err, self.code)
    }
}

/// The words of a command, to be run against a broker.
pub(crate) fn command(bootstrap: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command.args(words).args(["--bootstrap", bootstrap]).stdin(Stdio::null());
    command
}

pub(crate) fn run_words(bootstrap: &str, words: &[&str]) -> Told {
    Told::of(command(bootstrap, words).output().unwrap())
}

/// As above, with words that have no blanks.
pub(crate) fn run(bootstrap: &str, arguments: &str) -> Told {
    run_words(bootstrap, &arguments.split_whitespace().collect::<Vec<_>>())
}

/// As above, with something to read.
pub(crate) fn run_with(bootstrap: &str, arguments: &str, input: &[u8]) -> Told {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let mut command = command(bootstrap, &words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Whoever fails early does not read all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    Told::of(child.wait_with_output().unwrap())
}

/// A command that runs until it is stopped, and what it says.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(bootstrap: &str, arguments: &str) -> Running {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let mut command = command(bootstrap, &words);
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Asks it to end, and returns what it has said.
    pub(crate) fn stop(self) -> Told {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        Told::of(self.0.wait_with_output().unwrap())
    }
}

/// Runs the commands one after the other and compares everything that they say.
#[track_caller]
pub(crate) fn check(broker: &Broker, commands: &[&str], expected: Expect) {
    let bootstrap = broker.address.to_string();
    let mut shown = String::new();
    for arguments in commands {
        shown += &format!("$ {arguments}\n{}", run(&bootstrap, arguments).shown());
    }
    expected.assert_eq(&shown);
}
