//! A scenario, run: every cell on every broker, again and again in turns.
//!
//! ```text
//!  Scenario ──► cells ──► turns ──► contenders (all up, one under load) ◄── loadgen
//!                                      │                                      │
//!                                      ▼ samples, events                      ▼ outcome
//!                                    Trace ──► Numbers ──► Store (a file for each run)
//!                                                            │
//!                                                            ▼
//!                                             Results ──► report, compare
//! ```
//!
//! Guarantees: a cell that fails is reported as failed and the others go on; what was run is kept at
//! once, so that a run that is stopped goes on where it was; what was not run is told; a durable run
//! whose device was never flushed does not count. Does not know: how the numbers are laid out.

mod cell;
mod run;
mod recovery;
mod events;
mod store;
mod contenders;
mod plan;
mod quiet;
mod saturation;
mod bare;
mod idle;
mod compaction;
mod consumer_groups;
mod results;
mod comparison;
mod report;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use loadgen::changelog::ChangelogError;
use loadgen::groups::GroupsError;
use loadgen::in_full;
use loadgen::live::Live;
use loadgen::profile::ProfileError;
use loadgen::run::RunError;
use loadgen::table;
use serde::{Deserialize, Serialize};
use tuning::Facts;

use crate::broker::{Broker, BrokerError, BrokerSpec, Places};
use crate::host::{self, HostError};
use crate::placement::Placement;
use crate::results::Moment;
use crate::sample::{Sampler, Watched};
use crate::scenario::{Layout, Scenario, ScenarioError};
use crate::units::{Rate, file_name};

pub use bare::BareNumbers;
pub use cell::{Cell, CellLoad};
pub use compaction::CompactionUse;
pub use comparison::{Comparison, Finding, Metric};
pub use consumer_groups::{ConsumerGroupsUse, Produced};
pub use contenders::BrokerFacts;
pub use events::Happened;
pub use idle::IdleUse;
pub use recovery::Recovery;
pub use report::terminal;
pub use results::{BrokerResults, PublishError, Results, ResultsError};
pub use run::{FlushProof, Numbers, ReaderNumbers, Run, Trace};
pub use store::{Store, StoreError};

use contenders::Contenders;
use plan::Turn;
use quiet::settle;

/// How long the disk's flush latency is measured for the host's facts.
const FLUSH_TIME: Duration = Duration::from_millis(1500);
/// How often brokers are looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub scenario: Scenario,
    pub places: Places,
    /// Where its files go; what is there already of the same scenario is not run again.
    pub out: PathBuf,
    /// What is checked out.
    pub commit: String,
    /// How to do it again.
    pub command: String,
    /// No run begins later than so long after the first.
    pub within: Option<Duration>,
}

/// What belongs to a whole matrix.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Origin {
    pub began: String,
    pub commit: String,
    pub command: String,
    pub facts: Facts,
}

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error("{what} did not come to an end")]
    Run { what: &'static str, source: Box<RunError> },
    #[error("{what} did not come to an end")]
    Changelog { what: &'static str, source: Box<ChangelogError> },
    #[error("consumer groups did not come to an end")]
    ConsumerGroups { source: Box<GroupsError> },
    #[error("{broker} took nothing, so that there is nothing of which a peak could be a share")]
    NothingTaken { broker: String },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write {path}")]
    Hlog { path: PathBuf, source: loadgen::hlog::HlogError },
    #[error("cannot write the scenario: {0}")]
    Toml(#[from] toml::ser::Error),
    #[error(
        "{folder} was begun on another host ({there}; this is {here}): its runs and new ones \
         cannot be compared; choose another folder with --out"
    )]
    OtherHost { folder: PathBuf, there: String, here: String },
}

/// What running something needs to know.
struct Bench<'a> {
    facts: &'a Facts,
    placement: &'a Placement,
    places: &'a Places,
    store: &'a Store,
}

impl Bench<'_> {
    /// Keeps what was measured, or why it was not.
    fn keep<T: Serialize>(&self, file: &str, measured: Result<T, MatrixError>) {
        let kept = measured.map_err(|error| in_full(&error));
        // Without it the report says that it is missing.
        let _ = self.store.put(file, &kept);
    }

    fn sampler(&self, broker: &Broker) -> Sampler {
        self.sampler_asking(broker, broker.metrics)
    }

    /// From outside only: a broker that is asked is not idle.
    fn silent_sampler(&self, broker: &Broker) -> Sampler {
        self.sampler_asking(broker, None)
    }

    fn sampler_asking(&self, broker: &Broker, metrics: Option<SocketAddr>) -> Sampler {
        let disk = self.facts.storage.device.as_ref().map(|device| device.name.clone());
        let watched = Watched { pid: broker.pid, disk, metrics };
        Sampler::start(watched, SAMPLE_EVERY, self.placement.client.clone())
    }
}

impl Matrix {
    /// Runs what is not there yet. `say` is told what is going on.
    pub fn run(&self, say: &mut dyn FnMut(&str)) -> Result<Store, MatrixError> {
        let deadline = self.within.map(|within| Instant::now() + within);
        create(&self.places.data)?;
        let store = Store::open(&self.out, &toml::to_string(&self.scenario)?)?;
        let facts = self.origin(&store)?.facts;
        let cells = Cell::all(&self.scenario);
        let turns = plan::turns(&self.scenario, &cells);
        for layout in [Layout::Pinned, Layout::Shared] {
            let turns: Vec<Turn<'_>> =
                turns.iter().filter(|turn| turn.cell.layout == layout).copied().collect();
            let is_first = layout == Layout::Pinned;
            if turns.is_empty() && !is_first {
                continue;
            }
            let placement = self.placement(layout, &facts);
            say(&placement.reason);
            store.put(&placement_file(layout), &placement)?;
            let bench =
                Bench { facts: &facts, placement: &placement, places: &self.places, store: &store };
            self.run_layout(&bench, layout, &turns, deadline, say)?;
            if is_first {
                self.measure_idle(&bench, say);
                self.measure_compaction(&bench, deadline, say);
                self.measure_consumer_groups(&bench, deadline, say);
            }
        }
        Ok(store)
    }

    /// Of this folder, if it was begun here; or of now.
    fn origin(&self, store: &Store) -> Result<Origin, MatrixError> {
        if let Some(origin) = store.get::<Origin>("matrix.json")? {
            let here = host::fingerprint(&Facts::read(&self.places.data).map_err(HostError::from)?);
            let there = host::fingerprint(&origin.facts);
            if there != here {
                let folder = self.out.clone();
                return Err(MatrixError::OtherHost { folder, there, here });
            }
            return Ok(origin);
        }
        let origin = Origin {
            began: Moment::now().text(),
            commit: self.commit.clone(),
            command: self.command.clone(),
            facts: host::facts(&self.places.data, FLUSH_TIME)?,
        };
        store.put("matrix.json", &origin)?;
        Ok(origin)
    }

    fn placement(&self, layout: Layout, facts: &Facts) -> Placement {
        match (&self.scenario.processors, layout) {
            (Some(it), Layout::Pinned) => Placement::fixed(it.broker.clone(), it.client.clone()),
            _ => {
                let interrupts = facts.storage.interrupt_processor;
                Placement::of(layout, &facts.processor.allowed, interrupts)
            }
        }
    }

    fn run_layout(
        &self,
        bench: &Bench<'_>,
        layout: Layout,
        turns: &[Turn<'_>],
        deadline: Option<Instant>,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), MatrixError> {
        let scenario = &self.scenario;
        let names = scenario.brokers.iter().map(|spec| broker_file(&spec.name, layout));
        let names: Vec<String> = names.collect();
        let known: Result<Vec<BrokerFacts>, StoreError> =
            names.iter().map(|name| Ok(bench.store.get(name)?.unwrap_or_default())).collect();
        let mut contenders =
            Contenders::new(&scenario.brokers, bench.places, bench.placement, known?);
        if layout == Layout::Pinned {
            self.measure_bare(bench, &mut contenders, say);
        }
        let mut cell_said = None;
        for (number, turn) in (1..).zip(turns) {
            let file = turn.file(scenario, "json");
            if bench.store.has(&file) {
                continue;
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                say("the time is up: the rest is not run");
                break;
            }
            if cell_said != Some(turn.cell) {
                say(&format!("{} ({number} of {})", turn.cell.name(), turns.len()));
                cell_said = Some(turn.cell);
            }
            let (run, trace) = self.run_turn(bench, &mut contenders, *turn, say);
            say(&format!("  {}: {}", run.broker, run.summary()));
            if let Some(trace) = trace {
                bench.store.put(&turn.file(scenario, "trace"), &trace)?;
            }
            bench.store.put(&file, &run)?;
            bench.store.put(&names[turn.broker], &contenders.facts[turn.broker])?;
        }
        contenders.end_all()
    }

    /// Runs a cell once; what goes wrong is in the run.
    fn run_turn(
        &self,
        bench: &Bench<'_>,
        contenders: &mut Contenders<'_>,
        turn: Turn<'_>,
        say: &mut dyn FnMut(&str),
    ) -> (Run, Option<Trace>) {
        let promise = turn.cell.durability.of(turn.broker);
        let began = Moment::now().text();
        let measured = self.measure(bench, contenders, turn, say);
        let (numbers, trace) = match measured {
            Ok((numbers, trace)) => (Ok(numbers), Some(trace)),
            Err(error) => {
                // It may be in any state now.
                let ended = contenders.end(turn.broker).err();
                let ended = ended.map(|it| format!("; {}", in_full(&it))).unwrap_or_default();
                (Err(format!("{}{ended}", in_full(&error))), None)
            }
        };
        let run = Run {
            cell: turn.cell.clone(),
            broker: self.scenario.brokers[turn.broker].name.clone(),
            promise,
            repetition: turn.repetition,
            began,
            numbers,
        };
        (run, trace)
    }

    fn measure(
        &self,
        bench: &Bench<'_>,
        contenders: &mut Contenders<'_>,
        turn: Turn<'_>,
        say: &mut dyn FnMut(&str),
    ) -> Result<(Numbers, Trace), MatrixError> {
        let Turn { cell, broker: index, .. } = turn;
        let peak = self.peak(bench, contenders, cell, say)?;
        let promise = cell.durability.of(index);
        contenders.ready(index, say)?;
        let was_quiet = settle(&contenders.pids());
        let broker = contenders.ready(index, say)?;
        let settings = cell.settings(&broker.address, &bench.placement.client, promise, peak)?;
        let is_known = broker.pid.is_some();
        let sampler = bench.sampler(broker);
        let live = std::sync::Arc::new(Live::new());
        let (outcome, happened) = std::thread::scope(|scope| {
            let running = scope.spawn(|| loadgen::run::run_watched(&settings, &live));
            // On this thread: a program is killed with the thread that started it (prctl(2),
            // PR_SET_PDEATHSIG), and a broker that is started again is to outlive the run.
            let happened = match cell.events.is_empty() {
                true => Vec::new(),
                false => events::play(&cell.events, &live, broker),
            };
            (running.join().expect("it does not panic"), happened)
        });
        let samples = sampler.stop();
        let outcome = outcome
            .map_err(|source| MatrixError::Run { what: "the run", source: Box::new(source) })?;
        let trace = Trace { outcome, samples };
        let mut numbers = trace.numbers(promise, bench.facts, is_known, happened);
        if !was_quiet {
            numbers.notes.insert("a broker was not idle yet when the run began".to_owned(), 1);
        }
        if cell.has_kill() {
            contenders.end(index)?;
        }
        Ok((numbers, trace))
    }

    /// What a cell's peak is in records per second.
    fn peak(
        &self,
        bench: &Bench<'_>,
        contenders: &mut Contenders<'_>,
        cell: &Cell,
        say: &mut dyn FnMut(&str),
    ) -> Result<Rate, MatrixError> {
        use crate::scenario::Peak;
        match &cell.load {
            CellLoad::Closed { .. } => Ok(Rate(0.0)),
            CellLoad::Open { peak: Peak::Rate(rate), .. } => Ok(*rate),
            CellLoad::Open { peak: Peak::Share { share, broker }, .. } => {
                let index = self.scenario.brokers.iter().position(|it| it.name == *broker);
                let index = index.expect("the scenario is checked");
                let taken = saturation::of(bench, contenders, cell, index, broker, say)?;
                Ok(Rate(taken.0 * share))
            }
        }
    }

    fn measure_bare(
        &self,
        bench: &Bench<'_>,
        contenders: &mut Contenders<'_>,
        say: &mut dyn FnMut(&str),
    ) {
        let Some(bare) = self.scenario.bare else { return };
        for repetition in 0..self.scenario.repetitions {
            for (index, spec) in self.scenario.brokers.iter().enumerate() {
                let name = format!("{}-{}", file_name(&spec.name), repetition + 1);
                let file = format!("bare-{name}.json");
                if bench.store.has(&file) {
                    continue;
                }
                let pids = contenders.pids();
                let measured = contenders
                    .ready(index, say)
                    .and_then(|broker| bare::measure(bench, broker, &pids, bare, &name));
                if let Ok(numbers) = &measured {
                    say(&format!("{}: {}", spec.name, numbers.summary()));
                }
                bench.keep(&file, measured);
            }
        }
    }

    fn measure_compaction(
        &self,
        bench: &Bench<'_>,
        deadline: Option<Instant>,
        say: &mut dyn FnMut(&str),
    ) {
        let Some(compaction) = &self.scenario.compaction else { return };
        for repetition in 0..self.scenario.repetitions {
            for spec in &self.scenario.brokers {
                let file = compaction_file(&spec.name, repetition);
                let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
                if bench.store.has(&file) || is_late {
                    continue;
                }
                let (updates, keys) = (compaction.updates, compaction.keys);
                say(&format!("{}, {updates} updates of {keys} keys, compacted", spec.name));
                let measured = compaction::measure(bench, spec, compaction, repetition);
                if let Ok(numbers) = &measured {
                    say(&format!(
                        "{}: {:.2} s, {:.2} s of processor time",
                        spec.name,
                        numbers.took_s,
                        numbers.used.cpu_ns as f64 / 1e9
                    ));
                }
                bench.keep(&file, measured);
            }
        }
    }

    /// The brokers take turns: A B, B A, A B.
    fn measure_consumer_groups(
        &self,
        bench: &Bench<'_>,
        deadline: Option<Instant>,
        say: &mut dyn FnMut(&str),
    ) {
        for load in &self.scenario.consumer_groups {
            for repetition in 0..self.scenario.repetitions {
                let mut specs: Vec<&BrokerSpec> = self.scenario.brokers.iter().collect();
                if !repetition.is_multiple_of(2) {
                    specs.reverse();
                }
                for spec in specs {
                    let file = consumer_groups_file(&spec.name, &load.name, repetition);
                    let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
                    if bench.store.has(&file) || is_late {
                        continue;
                    }
                    say(&format!("{}, consumer groups: {}", spec.name, load.name));
                    let measured = consumer_groups::measure(bench, spec, load);
                    match &measured {
                        Ok(it) => say(&table::groups(&it.outcome)),
                        Err(error) => say(&in_full(error)),
                    }
                    bench.keep(&file, measured);
                }
            }
        }
    }

    fn measure_idle(&self, bench: &Bench<'_>, say: &mut dyn FnMut(&str)) {
        let Some(idle) = self.scenario.idle else { return };
        for spec in &self.scenario.brokers {
            let file = format!("idle-{}.json", file_name(&spec.name));
            if bench.store.has(&file) {
                continue;
            }
            say(&format!("{}, idle with {} partitions", spec.name, idle.partitions));
            bench.keep(&file, idle::measure(bench, spec, idle));
        }
    }
}

/// The file of one compaction.
fn compaction_file(name: &str, repetition: u32) -> String {
    format!("compaction-{}-{}.json", file_name(name), repetition + 1)
}

/// The file of one run of one load.
fn consumer_groups_file(broker: &str, load: &str, repetition: u32) -> String {
    format!("groups-{}-{}-{}.json", file_name(load), file_name(broker), repetition + 1)
}

fn placement_file(layout: Layout) -> String {
    format!("placement-{}.json", layout.name())
}

fn broker_file(name: &str, layout: Layout) -> String {
    format!("broker-{}-{}.json", file_name(name), layout.name())
}

fn create(path: &std::path::Path) -> Result<(), MatrixError> {
    std::fs::create_dir_all(path)
        .map_err(|source| MatrixError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
