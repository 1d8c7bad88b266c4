//! Child processes that cannot hang a test and do not outlive it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A child process. It is killed when this is dropped.
pub(crate) struct Running {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Arc<Mutex<String>>,
    errors_reader: Option<JoinHandle<()>>,
}

/// What a line was waited for brought.
pub(crate) enum Heard {
    Line(String),
    /// Nothing more will come.
    End,
    /// Nothing came in time.
    Silence,
}

impl Running {
    pub(crate) fn start(name: &str, command: &mut Command) -> anyhow::Result<Running> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let output = child.stdout.take().expect("it is piped");
        let mut errors_output = child.stderr.take().expect("it is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { return };
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        let errors = Arc::new(Mutex::new(String::new()));
        let kept = errors.clone();
        let errors_reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = errors_output.read(&mut part) {
                let text = String::from_utf8_lossy(&part[..length]);
                kept.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(Running {
            name: name.to_owned(),
            input: child.stdin.take(),
            child,
            lines,
            errors,
            errors_reader: Some(errors_reader),
        })
    }

    /// Writes a line to its standard input.
    pub(crate) fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{line}").with_context(|| format!("{} does not listen", self.name))
    }

    /// Waits for the next line of its standard output.
    pub(crate) fn hear(&self, limit: Duration) -> Heard {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Heard::Line(line),
            Err(RecvTimeoutError::Disconnected) => Heard::End,
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
        }
    }

    /// Like `hear`, where only a line will do.
    pub(crate) fn expect_line(&self, limit: Duration) -> anyhow::Result<String> {
        match self.hear(limit) {
            Heard::Line(line) => Ok(line),
            Heard::End => bail!("{} has ended: {}", self.name, self.errors()),
            Heard::Silence => {
                bail!("{} has said nothing for {limit:?}: {}", self.name, self.errors())
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("Linux numbers processes so");
        // It is not reaped yet, so the number is still its own.
        kill(Pid::from_raw(pid), signal).expect("a child can be signalled");
    }

    /// Takes what it still writes, until it has ended by itself.
    pub(crate) fn finish(
        mut self,
        limit: Duration,
    ) -> anyhow::Result<(ExitStatus, Vec<String>, String)> {
        drop(self.input.take());
        let deadline = Instant::now() + limit;
        let mut lines = Vec::new();
        loop {
            match self.hear(deadline.saturating_duration_since(Instant::now())) {
                Heard::Line(line) => lines.push(line),
                Heard::End => break,
                Heard::Silence => {
                    bail!(
                        "{} has not ended within {limit:?}:\n{}\n{}",
                        self.name,
                        lines.join("\n"),
                        self.errors()
                    );
                }
            }
        }
        let status = self.child.wait()?;
        if let Some(reader) = self.errors_reader.take() {
            reader.join().expect("a reader does not panic");
        }
        Ok((status, lines, self.errors()))
    }

    /// What it has written to its standard error.
    pub(crate) fn errors(&self) -> String {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("standard error of {}:\n{}", self.name, self.errors());
        }
    }
}

/// Runs a program to its end and gives the lines that it has written. Any other end than success
/// is an error.
pub(crate) fn run(
    name: &str,
    command: &mut Command,
    input: &str,
    limit: Duration,
) -> anyhow::Result<Vec<String>> {
    let mut running = Running::start(name, command)?;
    let mut pipe = running.input.take().expect("it is piped");
    let text = input.to_owned();
    // A program that ends before it has read everything is judged by its status.
    std::thread::spawn(move || pipe.write_all(text.as_bytes()));
    let (status, lines, errors) = running.finish(limit)?;
    if !status.success() {
        bail!("{name}: {status}\n{}\n{errors}", lines.join("\n"));
    }
    Ok(lines)
}
