//! A scenario, run: every cell for every broker, again and again in turns.
//!
//! Guarantees: a cell that fails is reported as failed and the others go on; a durable cell whose
//! device was never flushed does not count; each broker starts fresh in every repetition. Does not
//! know: how the numbers are laid out.

mod cell;
mod bare;
mod idle;
mod report;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loadgen::folder::FolderError;
use loadgen::hlog;
use loadgen::in_full;
use loadgen::run::RunError;
use serde::Serialize;
use tuning::Facts;

use crate::broker::{Broker, BrokerError, BrokerSpec, Places};
use crate::host::{self, HostError};
use crate::placement::Placement;
use crate::results::Moment;
use crate::sample::{Sampler, Watched};
use crate::scenario::Scenario;
use crate::units::{file_name, three_digits};

pub use bare::BareTurns;
pub use cell::{Cell, CellRun, FlushProof, Load, Measured};
pub use idle::IdleUse;

/// How long the disk's flush latency is measured for the host's facts.
const FLUSH_TIME: Duration = Duration::from_millis(1500);
/// How often brokers are looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub scenario: Scenario,
    pub places: Places,
    /// Where the report goes; made by the run.
    pub out: PathBuf,
    /// What is checked out.
    pub commit: String,
    /// How to do it again.
    pub command: String,
}

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("{what} did not come to an end")]
    Run { what: &'static str, source: Box<RunError> },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot write {path}")]
    Hlog { path: PathBuf, source: hlog::HlogError },
    #[error("cannot write the scenario: {0}")]
    Toml(#[from] toml::ser::Error),
    #[error("cannot write the numbers: {0}")]
    Json(#[from] serde_json::Error),
}

/// All results.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    pub scenario: Scenario,
    pub commit: String,
    pub command: String,
    pub began: String,
    pub placement: Placement,
    pub brokers: Vec<BrokerResults>,
    #[serde(skip)]
    pub facts: Facts,
}

/// The results of one broker.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BrokerResults {
    pub name: String,
    pub settings: Vec<(String, String)>,
    /// From the start of its process until it served, by repetition.
    pub started_in_s: Vec<f64>,
    /// Whether its process could be looked at.
    pub is_known: bool,
    pub cells: Vec<CellRun>,
    pub bare: Vec<BareTurns>,
    pub idle: Option<IdleUse>,
    /// What went wrong outside of any cell.
    pub errors: Vec<String>,
}

impl Results {
    /// Whether every broker kept its word in every cell, and every cell was run.
    pub fn is_sound(&self) -> bool {
        self.brokers
            .iter()
            .all(|broker| broker.errors.is_empty() && broker.cells.iter().all(|run| run.is_kept()))
    }
}

/// What running a cell needs to know.
struct Bench<'a> {
    facts: &'a Facts,
    placement: &'a Placement,
    places: &'a Places,
}

impl Bench<'_> {
    fn sampler(&self, broker: &Broker) -> Sampler {
        let disk = self.facts.storage.device.as_ref().map(|device| device.name.clone());
        let watched = Watched { pid: broker.pid, disk, metrics: broker.metrics };
        Sampler::start(watched, SAMPLE_EVERY, self.placement.client.clone())
    }
}

impl Matrix {
    /// Runs all of it and writes the report. `say` is told what is going on.
    pub fn run(self, say: &mut dyn FnMut(&str)) -> Result<Results, MatrixError> {
        let began = Moment::now();
        create(&self.places.data)?;
        create(&self.out)?;
        let facts = host::facts(&self.places.data, FLUSH_TIME)?;
        let placement = match &self.scenario.processors {
            Some(it) => Placement::fixed(it.broker.clone(), it.client.clone()),
            None => Placement::choose(&facts.processor.allowed, facts.storage.interrupt_processor),
        };
        say(&placement.reason);
        let named =
            |spec: &BrokerSpec| BrokerResults { name: spec.name.clone(), ..Default::default() };
        let mut results = Results {
            brokers: self.scenario.brokers.iter().map(named).collect(),
            scenario: self.scenario,
            commit: self.commit,
            command: self.command,
            began: began.text(),
            placement: placement.clone(),
            facts: facts.clone(),
        };
        let bench = Bench { facts: &facts, placement: &placement, places: &self.places };
        let scenario = results.scenario.clone();
        for repetition in 0..scenario.repetitions {
            // Every other time the other way round, so that neither is always first.
            let mut order: Vec<usize> = (0..scenario.brokers.len()).collect();
            if repetition % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let spec = &scenario.brokers[index];
                let of = scenario.repetitions;
                say(&format!("{}, repetition {} of {of}", spec.name, repetition + 1));
                let broker = &mut results.brokers[index];
                if let Err(error) = repeat(&bench, &scenario, spec, repetition, broker, say) {
                    let error = in_full(&error);
                    say(&format!("  {error}"));
                    broker.errors.push(format!("repetition {}: {error}", repetition + 1));
                }
            }
        }
        for (spec, broker) in scenario.brokers.iter().zip(&mut results.brokers) {
            let Some(idle) = scenario.idle else { continue };
            say(&format!("{}, idle with {} partitions", spec.name, idle.partitions));
            match idle::measure(&bench, spec, idle) {
                Ok(used) => broker.idle = Some(used),
                Err(error) => {
                    let error = in_full(&error);
                    say(&format!("  {error}"));
                    broker.errors.push(format!("idle: {error}"));
                }
            }
        }
        write(&self.out, &results)?;
        Ok(results)
    }
}

/// All cells of one broker, once.
fn repeat(
    bench: &Bench<'_>,
    scenario: &Scenario,
    spec: &BrokerSpec,
    repetition: u32,
    results: &mut BrokerResults,
    say: &mut dyn FnMut(&str),
) -> Result<(), MatrixError> {
    let broker = Broker::start(spec, &bench.placement.broker, bench.places)?;
    results.settings.clone_from(&broker.settings);
    results.is_known = broker.pid.is_some();
    results.started_in_s.extend(broker.started_in.map(|it| it.as_secs_f64()));
    cell::warm_up(bench, &broker, spec.warm_up)?;
    if let Some(bare) = scenario.bare {
        let turns = bare::measure(bench, &broker, bare)?;
        say(&format!("  {}", turns.summary()));
        results.bare.push(turns);
    }
    for cell in Cell::all(scenario) {
        let run = cell::run(bench, &broker, &cell, repetition);
        say(&format!("  {}: {}", cell.name(), run.summary()));
        results.cells.push(run);
    }
    Ok(broker.stop()?)
}

fn write(out: &Path, results: &Results) -> Result<(), MatrixError> {
    let put = |name: &str, text: String| {
        let path = out.join(name);
        fs::write(&path, text).map_err(|source| MatrixError::Write { path, source })
    };
    let document = report::document(results);
    document.write(out).map_err(|(path, source)| MatrixError::Write { path, source })?;
    put("host.json", serde_json::to_string_pretty(&results.facts)?)?;
    put("scenario.toml", toml::to_string(&results.scenario)?)?;
    put("results.json", serde_json::to_string_pretty(results)?)?;
    let folder = out.join("histograms");
    create(&folder)?;
    for broker in &results.brokers {
        let name = file_name(&broker.name);
        for run in &broker.cells {
            let Ok(measured) = &run.measured else { continue };
            let prefix = format!("{name}-{}-{}-", file_name(&run.cell.name()), run.repetition + 1);
            if matches!(run.cell.load, Load::Rate(_)) {
                loadgen::folder::write_hlogs(&folder, &prefix, &measured.outcome)?;
            }
        }
        for (number, turns) in (1..).zip(&broker.bare) {
            turns.write_hlogs(&folder, &format!("{name}-bare-{number}-"))?;
        }
    }
    Ok(())
}

fn create(path: &Path) -> Result<(), MatrixError> {
    fs::create_dir_all(path).map_err(|source| MatrixError::Write { path: path.to_owned(), source })
}

/// Seconds for people.
fn seconds_text(seconds: f64) -> String {
    format!("{} s", three_digits(seconds))
}

#[cfg(test)]
mod tests;
