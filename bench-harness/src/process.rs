//! A program that this one has started and will stop.
//!
//! Guarantees: it ends with its owner: asked first, then killed; and if this process is killed
//! itself, the kernel kills it. Every wait has an end. Does not know: what the program does.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a program may take to end after it was asked to.
const STOP_MAX: Duration = Duration::from_secs(20);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// Lines of a program's last words that an error repeats.
const LAST_LINES: usize = 12;

/// What to start, and how.
#[derive(Clone, Debug)]
pub struct Start {
    /// This program, as it knows how to become another; see [`crate::child`].
    pub launcher: PathBuf,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub processors: Vec<usize>,
    pub environment: Vec<(String, String)>,
    pub working_directory: PathBuf,
    /// Where what it prints goes.
    pub log: PathBuf,
}

/// Why a program is not running as it should.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("cannot start {program}")]
    Start { program: PathBuf, source: io::Error },
    #[error("{program} has ended with {status} before it was ready; its last words:\n{last_words}")]
    Ended { program: PathBuf, status: ExitStatus, last_words: String },
    #[error("{program} was not ready within {waited_s} s; its last words:\n{last_words}")]
    NotReady { program: PathBuf, waited_s: u64, last_words: String },
    #[error("{program} could not be stopped")]
    Stop { program: PathBuf, source: io::Error },
    #[error("{program} did not end within {waited_s} s of SIGTERM and was killed")]
    Killed { program: PathBuf, waited_s: u64 },
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    program: PathBuf,
    log: PathBuf,
    lines: Receiver<String>,
}

impl Start {
    pub fn start(self) -> Result<Process, ProcessError> {
        let Start { program, log, .. } = &self;
        let failed = |source| ProcessError::Start { program: program.clone(), source };
        let log_file = File::create(log).map_err(failed)?;
        let processors: Vec<String> = self.processors.iter().map(usize::to_string).collect();
        let mut command = Command::new(&self.launcher);
        command.arg("exec-child").arg("--parent").arg(std::process::id().to_string());
        if !processors.is_empty() {
            command.arg("--processors").arg(processors.join(","));
        }
        command
            .arg("--")
            .arg(program)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .current_dir(&self.working_directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file);
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take().expect("it is piped");
        let lines = pass_on(stdout, log.clone());
        let (program, log) = (self.program, self.log);
        Ok(Process { child, program, log, lines })
    }
}

/// Copies what the program prints to its log, and hands out its lines.
fn pass_on(stdout: ChildStdout, log: PathBuf) -> Receiver<String> {
    let (sender, receiver) = channel();
    // Ends with the program, whose end of the pipe is then closed.
    std::thread::spawn(move || {
        let mut log = File::options().append(true).open(log).ok();
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { return };
            if let Some(log) = &mut log {
                let _ = io::Write::write_all(log, format!("{line}\n").as_bytes());
            }
            // Nobody may listen any more; the pipe has to be emptied all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Where what it prints goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits for a line of which `found` makes something.
    pub fn wait_for_line<T>(
        &mut self,
        wait_max: Duration,
        mut found: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, ProcessError> {
        let until = Instant::now() + wait_max;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left.min(POLL_EVERY)) {
                Ok(line) => {
                    if let Some(value) = found(&line) {
                        return Ok(value);
                    }
                }
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(self.not_ready(wait_max));
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    self.check_running()?;
                }
            }
        }
    }

    /// Waits until `is_ready` says so.
    pub fn wait_until(
        &mut self,
        wait_max: Duration,
        mut is_ready: impl FnMut() -> bool,
    ) -> Result<(), ProcessError> {
        let until = Instant::now() + wait_max;
        while !is_ready() {
            self.check_running()?;
            if until <= Instant::now() {
                return Err(self.not_ready(wait_max));
            }
            std::thread::sleep(POLL_EVERY);
        }
        Ok(())
    }

    /// Waits until it ends by itself, successfully.
    pub fn wait_for_end(&mut self, wait_max: Duration) -> Result<(), ProcessError> {
        match self.wait_until(wait_max, || false) {
            Err(ProcessError::Ended { status, .. }) if status.success() => Ok(()),
            other => other,
        }
    }

    /// Asks it to end, waits, and kills it if it does not.
    pub fn stop(mut self) -> Result<ExitStatus, ProcessError> {
        let program = self.program.clone();
        let failed = |source| ProcessError::Stop { program: program.clone(), source };
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("Linux's are small"));
        // Not ended and waited for yet, so the number is still this program's.
        if self.child.try_wait().map_err(failed)?.is_none() {
            kill(pid, Signal::SIGTERM).map_err(|error| failed(error.into()))?;
        }
        let until = Instant::now() + STOP_MAX;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().map_err(failed)? {
                return Ok(status);
            }
            std::thread::sleep(POLL_EVERY);
        }
        // Dropping `self` kills it.
        Err(ProcessError::Killed { program, waited_s: STOP_MAX.as_secs() })
    }

    fn check_running(&mut self) -> Result<(), ProcessError> {
        let program = self.program.clone();
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(ProcessError::Ended { program, status, last_words: last_words(&self.log) })
            }
            Err(source) => Err(ProcessError::Start { program, source }),
        }
    }

    fn not_ready(&self, wait_max: Duration) -> ProcessError {
        ProcessError::NotReady {
            program: self.program.clone(),
            waited_s: wait_max.as_secs(),
            last_words: last_words(&self.log),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Harmless if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The end of a program's log.
pub(crate) fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(LAST_LINES);
    lines[first..].join("\n")
}
