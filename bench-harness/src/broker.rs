//! A broker under test: one of ours, Apache Kafka, or one that somebody else runs.
//!
//! Guarantees: what was started here is stopped and its data removed when the value is dropped; its
//! settings are known in full for the report. Does not know: what is measured.

mod highwater;
mod kafka;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::process::{Process, ProcessError, Start, last_words};
use crate::units::{Size, Span};

pub use highwater::{BuildError, build};
pub use kafka::{InstallError, install};

/// How long a broker may take until it serves.
const READY_MAX: Duration = Duration::from_secs(60);

/// A broker to be tested, as a scenario writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerSpec {
    /// What reports call it.
    pub name: String,
    pub kind: Kind,
    /// The processors that it may use; by default those that the harness chooses.
    pub processors: Option<Vec<usize>>,
    /// Load before anything is measured, after every start.
    #[serde(default = "no_time")]
    pub warm_up: Span,
    /// Ours: its program, instead of the one that is built.
    pub program: Option<PathBuf>,
    /// Ours: how many cores it runs; by default as many as processors.
    pub cores: Option<u32>,
    /// Ours: further arguments of `highwater serve`.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Ours: lines of its configuration file.
    #[serde(default)]
    pub config: String,
    /// Apache Kafka: the heap of its virtual machine.
    pub heap: Option<Size>,
    /// Apache Kafka: further options of its virtual machine.
    #[serde(default)]
    pub jvm_options: Vec<String>,
    /// Apache Kafka: further lines of its server.properties.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Somebody else's: HOST:PORT.
    pub address: Option<String>,
    /// Somebody else's: its process on this host, so that what it uses can be measured.
    pub pid: Option<u32>,
}

fn no_time() -> Span {
    Span(Duration::ZERO)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Highwater,
    Kafka,
    External,
}

impl BrokerSpec {
    /// One of this kind with nothing set.
    pub fn new(name: &str, kind: Kind) -> BrokerSpec {
        BrokerSpec {
            name: name.to_owned(),
            kind,
            processors: None,
            warm_up: no_time(),
            program: None,
            cores: None,
            arguments: Vec::new(),
            config: String::new(),
            heap: None,
            jvm_options: Vec::new(),
            properties: BTreeMap::new(),
            address: None,
            pid: None,
        }
    }
}

/// Where things are that starting a broker needs.
#[derive(Clone, Debug)]
pub struct Places {
    /// This program; see [`crate::child`].
    pub launcher: PathBuf,
    /// Our broker's program, once it is built.
    pub highwater: PathBuf,
    /// Kafka's jars, once they are there.
    pub kafka: PathBuf,
    /// Data directories are made in it. The disk under it is what is measured.
    pub data: PathBuf,
}

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("cannot prepare {path}")]
    Prepare { path: PathBuf, source: io::Error },
    #[error("no free port on this host")]
    Port { source: io::Error },
    #[error(
        "{name} was asked to end and did so with {status} instead of 0; its log ends:\n{last_words}"
    )]
    Unclean { name: String, status: ExitStatus, last_words: String },
    #[error("broker {name} is somebody else's: give its `address` as HOST:PORT")]
    NoAddress { name: String },
    #[error("broker {name} is somebody else's, so it cannot be killed: leave the event out")]
    NotOurs { name: String },
}

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    pub name: String,
    pub kind: Kind,
    pub address: String,
    /// All settings, in words.
    pub settings: Vec<(String, String)>,
    /// From the start of its process until it said that it serves.
    pub started_in: Option<Duration>,
    /// Its process, if it is on this host and known.
    pub pid: Option<u32>,
    /// Where it tells its metrics, if it does.
    pub metrics: Option<SocketAddr>,
    process: Option<Process>,
    /// How its process was started, if it was from here.
    start: Option<(Start, Ready)>,
    /// Removed at the end.
    directory: Option<PathBuf>,
}

/// How a broker is known to serve.
#[derive(Clone, Copy, Debug)]
enum Ready {
    /// It prints `ready HOST:PORT`.
    Line,
    /// Somebody listens there.
    Port(SocketAddr),
}

impl Ready {
    /// Waits until it does.
    fn wait(self, process: &mut Process) -> Result<(), ProcessError> {
        match self {
            Ready::Line => {
                process.wait_for_line(READY_MAX, |line| highwater::ready_address(line).map(drop))
            }
            Ready::Port(address) => {
                process.wait_until(READY_MAX, || TcpStream::connect(address).is_ok())
            }
        }
    }
}

impl Broker {
    /// Starts a broker on these processors, with a fresh directory for its data.
    pub fn start(
        spec: &BrokerSpec,
        processors: &[usize],
        places: &Places,
    ) -> Result<Broker, BrokerError> {
        let processors = spec.processors.as_deref().unwrap_or(processors);
        let prepared = match spec.kind {
            Kind::External => return Broker::external(spec),
            Kind::Highwater => highwater::prepare(spec, processors, places),
            Kind::Kafka => kafka::prepare(spec, processors, places),
        }?;
        let Prepared { start, ready, directory, address, metrics, settings } = prepared;
        let began = Instant::now();
        let mut process = start.clone().start()?;
        ready.wait(&mut process)?;
        Ok(Broker {
            name: spec.name.clone(),
            kind: spec.kind,
            address,
            settings,
            started_in: Some(began.elapsed()),
            pid: Some(process.pid()),
            metrics,
            process: Some(process),
            start: Some((start, ready)),
            directory: Some(directory),
        })
    }

    fn external(spec: &BrokerSpec) -> Result<Broker, BrokerError> {
        let no_address = || BrokerError::NoAddress { name: spec.name.clone() };
        let address = spec.address.clone().ok_or_else(no_address)?;
        Ok(Broker {
            name: spec.name.clone(),
            kind: Kind::External,
            settings: vec![("address".to_owned(), address.clone())],
            address,
            started_in: None,
            pid: spec.pid,
            metrics: None,
            process: None,
            start: None,
            directory: None,
        })
    }

    /// The last words of a broker of ours that has ended by itself; none while it runs.
    pub fn ended(&mut self) -> Option<String> {
        let process = self.process.as_mut()?;
        (!process.is_running()).then(|| last_words(process.log()))
    }

    /// Kills its process, which is not asked, and starts it again on what it has left; returns when
    /// it serves again.
    pub fn kill_and_restart(&mut self) -> Result<(), BrokerError> {
        let Some((start, ready)) = self.start.clone() else {
            return Err(BrokerError::NotOurs { name: self.name.clone() });
        };
        // Dropping it kills it and waits for its end.
        drop(self.process.take());
        let process = self.process.insert(start.start()?);
        ready.wait(process)?;
        self.pid = Some(process.pid());
        Ok(())
    }

    /// Stops it and removes its data. One that has to be killed is an error, and so is one of ours
    /// that does not end well.
    pub fn stop(mut self) -> Result<(), BrokerError> {
        let Some(process) = self.process.take() else { return Ok(()) };
        let log = process.log().to_owned();
        let status = process.stop()?;
        // Java ends with another number when it is asked to.
        if self.kind == Kind::Highwater && !status.success() {
            let (name, last_words) = (self.name.clone(), last_words(&log));
            return Err(BrokerError::Unclean { name, status, last_words });
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Before its data is removed.
        drop(self.process.take());
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// What starting a broker takes, once everything else is prepared.
struct Prepared {
    start: Start,
    ready: Ready,
    directory: PathBuf,
    address: String,
    metrics: Option<SocketAddr>,
    settings: Vec<(String, String)>,
}

/// A new directory for one broker.
fn fresh_directory(places: &Places) -> Result<PathBuf, BrokerError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = places.data.join(format!("broker-{}-{number}", std::process::id()));
    fs::create_dir_all(&path).map_err(prepare_error(&path))?;
    Ok(path)
}

fn prepare_error(path: &Path) -> impl Fn(io::Error) -> BrokerError {
    let path = path.to_owned();
    move |source| BrokerError::Prepare { path: path.clone(), source }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, BrokerError> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    port.map(|address| address.port()).map_err(|source| BrokerError::Port { source })
}
