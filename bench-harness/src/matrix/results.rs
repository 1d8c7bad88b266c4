//! What there is of a matrix in its folder: all of it, or as much as has been run.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use loadgen::hlog::{self, HlogError};
use loadgen::measure::{Clock, Histogram};
use loadgen::outcome::Outcome;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tuning::Facts;

use super::bare::BareNumbers;
use super::cell::Cell;
use super::compaction::CompactionUse;
use super::consumer_groups::ConsumerGroupsUse;
use super::contenders::BrokerFacts;
use super::idle::IdleUse;
use super::plan::turns;
use super::run::{Run, Trace};
use super::store::{Store, StoreError};
use super::{Origin, broker_file, compaction_file, consumer_groups_file, placement_file};
use crate::placement::Placement;
use crate::scenario::{ConsumerGroups, Layout, Scenario, ScenarioError};
use crate::units::file_name;

/// Every number of every run, in the folder.
const PUBLISHED: &str = "results.json";

/// All results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    pub scenario: Scenario,
    pub commit: String,
    pub command: String,
    pub began: String,
    /// By layout.
    pub placements: Vec<(Layout, Placement)>,
    pub brokers: Vec<BrokerResults>,
    /// In the order of the scenario.
    pub runs: Vec<Run>,
    /// Runs that are not there, by their cells' names: cell, broker, how many.
    pub not_run: Vec<(String, String, u32)>,
    /// Of the host.
    pub facts: Facts,
    #[serde(skip)]
    folder: PathBuf,
}

/// What there is of one broker besides cells.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BrokerResults {
    pub name: String,
    /// By layout.
    pub facts: Vec<(Layout, BrokerFacts)>,
    pub bare: Vec<BareNumbers>,
    pub idle: Option<IdleUse>,
    #[serde(default)]
    pub compactions: Vec<CompactionUse>,
    /// In the order of their loads and repetitions.
    #[serde(default)]
    pub consumer_groups: Vec<ConsumerGroupsUse>,
    /// What went wrong outside of any cell.
    pub errors: Vec<String>,
}

/// Why results cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error("{folder} has no results in it: nothing was begun there")]
    NotBegun { folder: PathBuf },
}

impl Results {
    /// Reads a folder: its runs, or where those were not kept, what was published of them. Pictures
    /// of what happened in the course of a run need the runs.
    pub fn read(folder: &Path) -> Result<Results, ResultsError> {
        let (store, text) = Store::read(folder)?;
        if !store.has_runs()
            && let Some(published) = store.get::<Results>(PUBLISHED)?
        {
            return Ok(Results { folder: folder.to_owned(), ..published });
        }
        let scenario = Scenario::parse(&folder.join("scenario.toml"), &text)?;
        let origin: Option<Origin> = store.get("matrix.json")?;
        let not_begun = || ResultsError::NotBegun { folder: folder.to_owned() };
        let origin = origin.ok_or_else(not_begun)?;
        let mut placements = Vec::new();
        for layout in [Layout::Pinned, Layout::Shared] {
            let placement: Option<Placement> = store.get(&placement_file(layout))?;
            placements.extend(placement.map(|it| (layout, it)));
        }
        let brokers: Result<Vec<BrokerResults>, StoreError> =
            scenario.brokers.iter().map(|spec| broker(&store, &scenario, &spec.name)).collect();
        let (mut runs, mut not_run) = (Vec::new(), Vec::<(String, String, u32)>::new());
        for turn in turns(&scenario, &Cell::all(&scenario)) {
            if let Some(run) = store.get::<Run>(&turn.file(&scenario, "json"))? {
                runs.push(run);
                continue;
            }
            let (cell, broker) = (turn.cell.name(), scenario.brokers[turn.broker].name.clone());
            match not_run.iter_mut().find(|it| (&it.0, &it.1) == (&cell, &broker)) {
                Some((_, _, count)) => *count += 1,
                None => not_run.push((cell, broker, 1)),
            }
        }
        Ok(Results {
            commit: origin.commit,
            command: origin.command,
            began: origin.began,
            facts: origin.facts,
            placements,
            brokers: brokers?,
            runs,
            not_run,
            scenario,
            folder: folder.to_owned(),
        })
    }

    /// Of all repetitions of a cell the one whose p99 is in the middle.
    pub fn shown_run(&self, cell: &Cell, broker: &str) -> Option<&Run> {
        let mut runs = self.runs_of(cell, broker);
        runs.retain(|run| run.numbers.is_ok());
        runs.sort_by_key(|run| run.numbers.as_ref().ok().and_then(|it| it.summary().p99));
        runs.get(runs.len() / 2).copied()
    }

    /// Everything that was seen of a run; none if it failed.
    pub fn trace(&self, run: &Run) -> Option<Trace> {
        let store = Store::read(&self.folder).ok()?.0;
        let broker = self.scenario.brokers.iter().position(|it| it.name == run.broker)?;
        let turn = super::Turn { cell: &run.cell, broker, repetition: run.repetition };
        store.get(&turn.file(&self.scenario, "trace")).ok()?
    }

    /// Whether every broker kept its word in every run, and everything was run.
    pub fn is_sound(&self) -> bool {
        self.not_run.is_empty()
            && self.brokers.iter().all(|broker| broker.errors.is_empty())
            && self.runs.iter().all(Run::is_kept)
    }

    /// The cells of a group, in order.
    pub fn cells(&self, group: &str) -> Vec<Cell> {
        let cells = Cell::all(&self.scenario);
        cells.into_iter().filter(|cell| cell.group == group).collect()
    }

    /// All runs of a cell on one broker, in the order of their repetitions.
    pub fn runs_of<'a>(&'a self, cell: &Cell, broker: &str) -> Vec<&'a Run> {
        let of = |run: &&Run| run.cell == *cell && run.broker == broker;
        let mut runs: Vec<&Run> = self.runs.iter().filter(of).collect();
        runs.sort_by_key(|run| run.repetition);
        runs
    }
}

impl BrokerResults {
    /// All runs of one load.
    pub fn uses_of(&self, load: &ConsumerGroups) -> Vec<&ConsumerGroupsUse> {
        self.consumer_groups.iter().filter(|it| it.name == load.name).collect()
    }

    /// What was measured; none, with an error, if that failed or was not made.
    fn kept<T: DeserializeOwned>(
        &mut self,
        store: &Store,
        file: &str,
        what: &str,
        repetition: Option<u32>,
    ) -> Result<Option<T>, StoreError> {
        let error = match (store.get::<Result<T, String>>(file)?, repetition) {
            (Some(Ok(measured)), _) => return Ok(Some(measured)),
            (Some(Err(error)), _) => format!("{what}: {error}"),
            (None, Some(repetition)) => format!("{what} {}: not run", repetition + 1),
            (None, None) => format!("{what}: not run"),
        };
        self.errors.push(error);
        Ok(None)
    }
}

fn broker(store: &Store, scenario: &Scenario, name: &str) -> Result<BrokerResults, StoreError> {
    let mut results = BrokerResults { name: name.to_owned(), ..BrokerResults::default() };
    for layout in [Layout::Pinned, Layout::Shared] {
        let facts: Option<BrokerFacts> = store.get(&broker_file(name, layout))?;
        let ended = facts.iter().flat_map(|it| &it.ended);
        results.errors.extend(ended.map(|words| format!("it ended by itself: {words}")));
        results.facts.extend(facts.map(|it| (layout, it)));
    }
    for repetition in 0..scenario.bare.map_or(0, |_| scenario.repetitions) {
        let file = format!("bare-{}-{}.json", file_name(name), repetition + 1);
        let numbers: Option<BareNumbers> =
            results.kept(store, &file, "bare append", Some(repetition))?;
        results.bare.extend(numbers);
    }
    for repetition in 0..scenario.compaction.map_or(0, |_| scenario.repetitions) {
        let file = compaction_file(name, repetition);
        let used: Option<CompactionUse> =
            results.kept(store, &file, "compaction", Some(repetition))?;
        results.compactions.extend(used);
    }
    for load in &scenario.consumer_groups {
        let what = format!("consumer groups {}", load.name);
        for repetition in 0..scenario.repetitions {
            let file = consumer_groups_file(name, &load.name, repetition);
            let used: Option<ConsumerGroupsUse> =
                results.kept(store, &file, &what, Some(repetition))?;
            let fault = used.as_ref().and_then(ConsumerGroupsUse::fault);
            results.errors.extend(fault.map(|fault| format!("{what}: {fault}")));
            results.consumer_groups.extend(used);
        }
    }
    if scenario.idle.is_some() {
        let file = format!("idle-{}.json", file_name(name));
        results.idle = results.kept(store, &file, "idle", None)?;
    }
    Ok(results)
}

/// Why a report is not written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot write the numbers: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write {path}")]
    Hlog { path: PathBuf, source: HlogError },
}

impl Results {
    /// Writes the report, the numbers and the histograms beside the runs. What is under `runs` is
    /// for going on, and need not be kept.
    pub fn publish(&self) -> Result<(), PublishError> {
        let put = |name: &str, text: String| {
            let path = self.folder.join(name);
            fs::write(&path, text).map_err(|source| PublishError::Write { path, source })
        };
        let document = self.document();
        document
            .write(&self.folder)
            .map_err(|(path, source)| PublishError::Write { path, source })?;
        put(PUBLISHED, serde_json::to_string(self)?)?;
        put("comparisons.json", serde_json::to_string_pretty(&self.comparisons())?)?;
        self.write_histograms()?;
        Ok(())
    }

    /// One log for each open cell, broker and clock, with an interval for each repetition; and of
    /// what changes in the course of a run, one repetition interval by interval.
    fn write_histograms(&self) -> Result<(), PublishError> {
        let folder = self.folder.join("histograms");
        fs::create_dir_all(&folder)
            .map_err(|source| PublishError::Write { path: folder.clone(), source })?;
        for cell in Cell::all(&self.scenario).iter().filter(|cell| cell.is_open()) {
            for broker in self.scenario.brokers_of(&cell.group) {
                let broker = &self.scenario.brokers[broker].name;
                let runs = self.runs_of(cell, broker);
                let traces = runs.iter().filter_map(|run| self.trace(run));
                let outcomes: Vec<Outcome> = traces.map(|trace| trace.outcome).collect();
                let Some(first) = outcomes.first() else { continue };
                let name = file_name(&[cell.name(), broker.clone()].join(" "));
                for clock in [Clock::Response, Clock::Service, Clock::SendLag, Clock::EndToEnd] {
                    let totals: Vec<Histogram> =
                        outcomes.iter().map(|it| it.measurements.total(clock)).collect();
                    if totals.iter().all(|total| total.is_empty()) {
                        continue;
                    }
                    let path = folder.join(format!("{name}-{}.hlog", clock.name()));
                    let (meaning, length) = (clock.meaning(), first.measured());
                    write_log(&path, |out| {
                        let totals = totals.iter();
                        hlog::write_each(out, clock.name(), meaning, first.began_at, length, totals)
                    })?;
                }
                let Some(shown) = self.shown_run(cell, broker).filter(|_| cell.is_timed()) else {
                    continue;
                };
                let Some(trace) = self.trace(shown) else { continue };
                let (outcome, clock) = (&trace.outcome, trace.outcome.headline());
                let path = folder.join(format!("{name}-{}-by-interval.hlog", clock.name()));
                write_log(&path, |out| {
                    hlog::write(out, &outcome.measurements, clock, outcome.began_at)
                })?;
            }
        }
        Ok(())
    }
}

fn write_log(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), HlogError>,
) -> Result<(), PublishError> {
    let failed = |source| PublishError::Write { path: path.to_owned(), source };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    write(&mut file).map_err(|source| PublishError::Hlog { path: path.to_owned(), source })?;
    file.flush().map_err(failed)
}
