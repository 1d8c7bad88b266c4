//! The demonstration: a broker, a Black Friday of some seconds for each level of acks, a report.
//!
//! Guarantees: takes about three times the duration and some seconds; leaves no process and no data
//! behind; says so if an acknowledged record is missing, repeated, out of order or damaged.

mod report;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loadgen::folder::{self, FolderError, Numbers};
use loadgen::outcome::Outcome;
use loadgen::profile::{Profile, ProfileError};
use loadgen::run::RunError;
use loadgen::schedule::Arrivals;
use loadgen::settings::{Acks, Base, Load, OpenLoop, RecordSettings, Settings, TopicSettings};
use serde::Serialize;
use tuning::Facts;

use crate::broker::{Broker, BrokerError, BrokerSpec, Places};
use crate::host::{self, HostError};
use crate::placement::Placement;
use crate::results::Moment;
use crate::sample::{Sampler, Samples, Usage, Watched};
use crate::units::{Rate, Size, Span, three_digits};

/// How often the broker is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How long the disk's flush latency is measured.
const FLUSH_TIME_MAX: Duration = Duration::from_millis(1500);
/// Pause between runs, so that one does not work on in the next.
const PAUSE: Duration = Duration::from_millis(200);

/// What to demonstrate.
#[derive(Clone, Debug)]
pub struct Demo {
    pub broker: BrokerSpec,
    pub places: Places,
    pub acks: Vec<Acks>,
    pub base: Rate,
    pub duration: Span,
    pub record_size: Size,
    /// Whether acknowledged means on the device: the topic's `flush.messages` is 1.
    pub is_durable: bool,
    /// By default chosen after the host.
    pub placement: Option<Placement>,
    /// Where the report goes; made by the demonstration.
    pub out: PathBuf,
    /// How to do it again.
    pub command: String,
}

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error("the run with acks={acks} did not come to an end")]
    Run { acks: &'static str, source: Box<RunError> },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot write the settings: {0}")]
    Toml(#[from] toml::ser::Error),
    #[error("cannot write the numbers: {0}")]
    Json(#[from] serde_json::Error),
}

/// What was demonstrated.
#[derive(Clone, Debug)]
pub struct Demonstration {
    pub began: Moment,
    pub broker_name: String,
    pub broker_settings: Vec<(String, String)>,
    pub broker_started_in: Option<Duration>,
    /// Whether the broker's process could be looked at.
    pub is_broker_known: bool,
    pub is_durable: bool,
    pub placement: Placement,
    pub facts: Facts,
    pub runs: Vec<DemoRun>,
    pub command: String,
}

/// One run of it.
#[derive(Clone, Debug)]
pub struct DemoRun {
    pub outcome: Outcome,
    pub samples: Samples,
}

impl DemoRun {
    pub fn acks(&self) -> Acks {
        self.outcome.settings.acks
    }

    /// What the broker used in the measured time.
    pub fn usage(&self) -> Usage {
        let (from_ns, to_ns) = self.outcome.window_ns();
        self.samples.between(from_ns, to_ns)
    }

    /// Processor time of the broker for each gigabyte of values that it took, in seconds.
    pub fn cpu_s_per_gb(&self) -> f64 {
        let usage = self.usage();
        let gigabytes = self.outcome.bytes_per_s() * usage.seconds / 1e9;
        usage.cpu_ns as f64 / 1e9 / gigabytes
    }
}

impl Demonstration {
    /// Whether the broker kept its word in every run.
    pub fn is_kept(&self) -> bool {
        self.runs.iter().all(|run| run.outcome.verdict().is_kept)
    }

    /// Whether it also gave its word in every run.
    pub fn is_good(&self) -> bool {
        self.runs.iter().all(|run| run.outcome.verdict().is_good())
    }

    /// Plain text for the terminal.
    pub fn summary(&self) -> String {
        report::summary(self)
    }
}

impl Demo {
    /// Runs it and writes the report. `say` is told what is going on.
    pub fn run(self, say: &mut dyn FnMut(&str)) -> Result<Demonstration, DemoError> {
        let began = Moment::now();
        create(&self.places.data)?;
        create(&self.out)?;
        let flush_time = FLUSH_TIME_MAX.min(self.duration.0);
        let facts = host::facts(&self.places.data, flush_time)?;
        let interrupt_processor = facts.storage.interrupt_processor;
        let usable = &facts.processor.allowed;
        let placement = self.placement.clone();
        let placement = placement.unwrap_or_else(|| Placement::choose(usable, interrupt_processor));
        say(&placement.reason);
        let broker = Broker::start(&self.broker, &placement.broker, &self.places)?;
        if let Some(started_in) = broker.started_in {
            let seconds = three_digits(started_in.as_secs_f64());
            say(&format!("{} serves after {seconds} s", broker.name));
        }
        let mut runs = Vec::new();
        for &acks in &self.acks {
            let settings = self.settings(&broker.address, acks, &placement)?;
            say(&format!("acks={}: {} for {}", acks.name(), "black-friday", self.duration));
            runs.push(observe(&broker, &facts, &placement, &settings)?);
            std::thread::sleep(PAUSE);
        }
        let demonstration = Demonstration {
            began,
            broker_name: broker.name.clone(),
            broker_settings: broker.settings.clone(),
            broker_started_in: broker.started_in,
            is_broker_known: broker.pid.is_some(),
            is_durable: self.is_durable,
            placement,
            facts,
            runs,
            command: self.command.clone(),
        };
        // Its data goes with it, so the report is written whether it stops well or not.
        let stopped = broker.stop();
        write(&self.out, &demonstration)?;
        stopped?;
        Ok(demonstration)
    }

    fn settings(
        &self,
        address: &str,
        acks: Acks,
        placement: &Placement,
    ) -> Result<Settings, DemoError> {
        // Kafka's default is never to flush; a demonstration says which it is.
        let flush_messages = if self.is_durable { "1" } else { "9223372036854775807" };
        let configs = [("flush.messages".to_owned(), flush_messages.to_owned())];
        let load = Load::Open(OpenLoop {
            base: Base::Rate(self.base),
            duration: self.duration,
            warm_up: Span(self.duration.0.min(Duration::from_secs(1))),
            arrivals: Arrivals::Poisson,
            ..OpenLoop::usual(Profile::find("black-friday")?)
        });
        let configs = BTreeMap::from(configs);
        Ok(Settings {
            acks,
            connections: 2,
            processors: placement.client.clone(),
            topics: TopicSettings { configs, ..TopicSettings::default() },
            records: RecordSettings { size: self.record_size, ..RecordSettings::default() },
            ..Settings::usual(address, load)
        })
    }
}

/// Runs one load, and looks at the broker meanwhile.
fn observe(
    broker: &Broker,
    facts: &Facts,
    placement: &Placement,
    settings: &Settings,
) -> Result<DemoRun, DemoError> {
    let disk = facts.storage.device.as_ref().map(|device| device.name.clone());
    let watched = Watched { pid: broker.pid, disk, metrics: broker.metrics };
    let sampler = Sampler::start(watched, SAMPLE_EVERY, placement.client.clone());
    let outcome = loadgen::run::run(settings);
    let samples = sampler.stop();
    let outcome = outcome.map_err(|source| DemoError::Run {
        acks: settings.acks.name(),
        source: Box::new(source),
    })?;
    Ok(DemoRun { outcome, samples })
}

/// The settings of a demonstration, for its folder.
#[derive(Serialize)]
struct DemoSettings<'a> {
    command: &'a str,
    broker: BTreeMap<&'a str, &'a str>,
    placement: &'a Placement,
    run: Vec<&'a Settings>,
}

#[derive(Serialize)]
struct RunNumbers<'a> {
    #[serde(flatten)]
    run: Numbers<'a>,
    broker: Usage,
    broker_cpu_s_per_gb: f64,
}

fn write(out: &Path, demonstration: &Demonstration) -> Result<(), DemoError> {
    let put = |name: &str, text: String| {
        let path = out.join(name);
        fs::write(&path, text).map_err(|source| DemoError::Write { path, source })
    };
    let document = report::document(demonstration);
    document.write(out).map_err(|(path, source)| DemoError::Write { path, source })?;
    put("host.json", serde_json::to_string_pretty(&demonstration.facts)?)?;
    let broker = demonstration.broker_settings.iter();
    put(
        "settings.toml",
        toml::to_string(&DemoSettings {
            command: &demonstration.command,
            broker: broker.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            placement: &demonstration.placement,
            run: demonstration.runs.iter().map(|run| &run.outcome.settings).collect(),
        })?,
    )?;
    let numbers: Vec<RunNumbers<'_>> = demonstration
        .runs
        .iter()
        .map(|run| RunNumbers {
            run: Numbers::of(&run.outcome),
            broker: run.usage(),
            broker_cpu_s_per_gb: run.cpu_s_per_gb(),
        })
        .collect();
    put("runs.json", serde_json::to_string_pretty(&numbers)?)?;
    for run in &demonstration.runs {
        folder::write_hlogs(out, &format!("acks-{}-", run.acks().name()), &run.outcome)?;
    }
    Ok(())
}

fn create(path: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(path).map_err(|source| DemoError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
