//! One cell: a load of one kind against one broker.

use std::collections::BTreeMap;
use std::time::Duration;

use loadgen::folder::Numbers;
use loadgen::in_full;
use loadgen::measure::{Clock, Summary};
use loadgen::outcome::Outcome;
use loadgen::profile::Profile;
use loadgen::run::RunError;
use loadgen::schedule::Arrivals;
use loadgen::settings::{
    Acks, Base, ClosedLoop, Consume, FetchSettings, Load as GeneratorLoad, OpenLoop,
    RecordSettings, Settings, TopicSettings,
};
use serde::{Serialize, Serializer};
use tuning::Facts;

use super::{Bench, MatrixError};
use crate::broker::Broker;
use crate::placement::Placement;
use crate::sample::Usage;
use crate::scenario::{BatchShape, Durability, Scenario};
use crate::units::{Rate, Size, Span, bytes_text, three_digits, time_text};

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// As much as the broker takes, in batches of this shape.
    Saturating(BatchShape),
    /// So many records per second, whatever happens.
    Rate(Rate),
}

/// A cell of the matrix.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    pub load: Load,
    pub acks: Acks,
    pub durability: Durability,
    pub record_size: Size,
    #[serde(skip)]
    pub(super) times: (Span, Span),
    #[serde(skip)]
    pub(super) in_flight: Size,
    #[serde(skip)]
    pub(super) requests_in_flight_max: u32,
    #[serde(skip)]
    pub(super) linger: Span,
    #[serde(skip)]
    pub(super) connections: u32,
    #[serde(skip)]
    pub(super) partitions: u32,
}

/// Whether the device's flush counter bears out what a cell claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlushProof {
    /// Nothing is claimed.
    NotClaimed,
    /// It moved.
    Moved,
    /// It did not move although it had to: the cell is not what it says.
    DidNotMove,
    /// The device needs no flush requests, or it is not known.
    NotObservable,
}

impl FlushProof {
    /// What the counter says about a durable cell on this host's device;
    /// and, if the broker counts its flushes itself, what it says.
    pub fn of(durability: Durability, usage: &Usage, facts: &Facts) -> FlushProof {
        let own_flushes = usage.journal.and_then(|journal| journal.counters.flushes);
        let device = facts.storage.device.as_ref();
        let needs_flushes = device.is_some_and(|device| {
            device.write_cache.as_deref() == Some("write back") && device.has_fua == Some(false)
        });
        match (durability, usage.disk_flushes) {
            (Durability::Relaxed, _) => FlushProof::NotClaimed,
            (Durability::Durable, _) if own_flushes == Some(0) => FlushProof::DidNotMove,
            (Durability::Durable, 1..) => FlushProof::Moved,
            (Durability::Durable, 0) if needs_flushes => FlushProof::DidNotMove,
            (Durability::Durable, 0) => FlushProof::NotObservable,
        }
    }
}

/// What a cell measured, once.
#[derive(Clone, Debug)]
pub struct Measured {
    pub outcome: Outcome,
    pub usage: Usage,
    pub proof: FlushProof,
}

impl Serialize for Measured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct CellNumbers<'a> {
            run: Numbers<'a>,
            usage: Usage,
            proof: FlushProof,
            cpu_s_per_gb: f64,
            flushes_per_s: f64,
            records_per_flush: Option<f64>,
        }
        CellNumbers {
            run: Numbers::of(&self.outcome),
            usage: self.usage,
            proof: self.proof,
            cpu_s_per_gb: self.cpu_s_per_gb(),
            flushes_per_s: self.flushes_per_s(),
            records_per_flush: self.records_per_flush(),
        }
        .serialize(serializer)
    }
}

impl Measured {
    pub fn cpu_s_per_gb(&self) -> f64 {
        let gigabytes = self.outcome.bytes_per_s() * self.usage.seconds / 1e9;
        self.usage.cpu_ns as f64 / 1e9 / gigabytes
    }

    pub fn flushes_per_s(&self) -> f64 {
        self.usage.disk_flushes as f64 / self.usage.seconds.max(1e-9)
    }

    pub fn records_per_flush(&self) -> Option<f64> {
        let flushes = self.flushes_per_s();
        (0.0 < flushes).then(|| self.outcome.rate_per_s() / flushes)
    }

    /// Whether it says something about the broker.
    pub fn is_valid(&self) -> bool {
        self.proof != FlushProof::DidNotMove && self.outcome.verdict().client_bound.is_empty()
    }
}

/// One run of a cell.
#[derive(Clone, Debug, Serialize)]
pub struct CellRun {
    pub cell: Cell,
    /// From 0.
    pub repetition: u32,
    /// Or why there is nothing.
    pub measured: Result<Measured, String>,
}

impl CellRun {
    /// Whether it was run, and the broker gave its word and kept it.
    pub fn is_kept(&self) -> bool {
        self.measured.as_ref().is_ok_and(|measured| measured.outcome.verdict().is_good())
    }

    pub(super) fn summary(&self) -> String {
        let measured = match &self.measured {
            Ok(measured) => measured,
            Err(error) => return format!("failed: {error}"),
        };
        let outcome = &measured.outcome;
        let mut text = match self.cell.load {
            Load::Saturating(_) => format!("{}/s", bytes_text(outcome.bytes_per_s())),
            Load::Rate(_) => {
                let Summary { p50, p99, max, .. } = outcome.summary(Clock::Response);
                let time = |value: Option<u64>| value.map_or("too few".to_owned(), time_text);
                format!("p50 {}, p99 {}, max {}", time(p50), time(p99), time_text(max))
            }
        };
        text.push_str(&format!(", {} CPU s/GB", three_digits(measured.cpu_s_per_gb())));
        let verdict = outcome.verdict();
        if !verdict.is_kept {
            text.push_str(", BROKEN");
        }
        if verdict.is_hollow {
            text.push_str(", NOTHING CAME THROUGH");
        }
        if measured.proof == FlushProof::DidNotMove {
            text.push_str(", invalid: the device was not flushed");
        }
        if !verdict.client_bound.is_empty() {
            text.push_str(", client-bound");
        }
        text
    }
}

impl Cell {
    /// All cells of a scenario, in its order.
    pub fn all(scenario: &Scenario) -> Vec<Cell> {
        let mut cells = Vec::new();
        if let Some(it) = &scenario.throughput {
            for &durability in &it.durability {
                for &record_size in &it.record_sizes {
                    for &batch in &it.batches {
                        for &acks in &it.acks {
                            cells.push(Cell {
                                load: Load::Saturating(batch),
                                acks,
                                durability,
                                record_size,
                                times: (it.warm_up, it.duration),
                                in_flight: it.in_flight,
                                requests_in_flight_max: 100_000,
                                linger: Span(Duration::ZERO),
                                connections: it.connections,
                                partitions: it.partitions,
                            });
                        }
                    }
                }
            }
        }
        if let Some(it) = &scenario.latency {
            for &durability in &it.durability {
                for &record_size in &it.record_sizes {
                    for &rate in &it.rates {
                        for &acks in &it.acks {
                            cells.push(Cell {
                                load: Load::Rate(rate),
                                acks,
                                durability,
                                record_size,
                                times: (it.warm_up, it.duration),
                                in_flight: Size(0),
                                requests_in_flight_max: 0,
                                linger: it.linger,
                                connections: it.connections,
                                partitions: it.partitions,
                            });
                        }
                    }
                }
            }
        }
        cells
    }

    pub fn name(&self) -> String {
        let load = match self.load {
            Load::Saturating(BatchShape::Size(size)) => format!("batches of {}", size.text()),
            Load::Saturating(batch) => format!("batches of {batch}"),
            Load::Rate(rate) => format!("at {rate}"),
        };
        let (durability, acks) = (self.durability.name(), self.acks.name());
        format!("{durability}, records of {}, {load}, acks={acks}", self.record_size.text())
    }

    pub(super) fn settings(&self, address: &str, placement: &Placement) -> Settings {
        let (batch_records_max, batch_size_max) = match self.load {
            Load::Saturating(BatchShape::Records(count)) => (count, Size(1_000_000)),
            Load::Saturating(BatchShape::Size(size)) => (1 << 20, size),
            Load::Rate(_) => (1 << 20, Size(1_000_000)),
        };
        let (warm_up, duration) = self.times;
        let (load, when) = match self.load {
            Load::Saturating(_) => {
                let closed = ClosedLoop {
                    duration,
                    warm_up,
                    in_flight: self.in_flight,
                    requests_in_flight_max: self.requests_in_flight_max,
                    batches_per_request: 1,
                };
                (GeneratorLoad::Closed(closed), Consume::After)
            }
            Load::Rate(base) => {
                let open = OpenLoop {
                    base: Base::Rate(base),
                    duration,
                    warm_up,
                    arrivals: Arrivals::Poisson,
                    linger: self.linger,
                    profile: Profile::find("steady").expect("it is built in"),
                };
                (GeneratorLoad::Open(open), Consume::During)
            }
        };
        Settings {
            acks: self.acks,
            connections: self.connections,
            processors: placement.client.clone(),
            drain_max: Span(Duration::from_secs(15)),
            topics: TopicSettings {
                partitions: self.partitions,
                configs: self.durability.configs(),
                ..TopicSettings::default()
            },
            records: RecordSettings {
                size: self.record_size,
                batch_records_max,
                batch_size_max,
                ..RecordSettings::default()
            },
            fetch: FetchSettings { when, ..FetchSettings::default() },
            ..Settings::usual(address, load)
        }
    }
}

/// Runs a cell once, and looks at the broker meanwhile.
pub(super) fn run(bench: &Bench<'_>, broker: &Broker, cell: &Cell, repetition: u32) -> CellRun {
    let settings = cell.settings(&broker.address, bench.placement);
    let measured = observe(bench, broker, &settings).map(|(outcome, usage)| {
        let proof = FlushProof::of(cell.durability, &usage, bench.facts);
        Measured { outcome, usage, proof }
    });
    CellRun { cell: cell.clone(), repetition, measured: measured.map_err(|it| in_full(&it)) }
}

/// Runs a load; the usage is that of the measured time.
pub(super) fn observe(
    bench: &Bench<'_>,
    broker: &Broker,
    settings: &Settings,
) -> Result<(Outcome, Usage), RunError> {
    let sampler = bench.sampler(broker);
    let outcome = loadgen::run::run(settings);
    let samples = sampler.stop();
    let outcome = outcome?;
    let (from_ns, to_ns) = outcome.window_ns();
    let usage = samples.between(from_ns, to_ns);
    Ok((outcome, usage))
}

/// Load that nobody looks at, in small and in large batches, so that a virtual machine has compiled
/// what it will be measured with.
pub(super) fn warm_up(
    bench: &Bench<'_>,
    broker: &Broker,
    duration: Span,
) -> Result<(), MatrixError> {
    if duration.0.is_zero() {
        return Ok(());
    }
    for batch in [BatchShape::Records(1), BatchShape::Size(Size(64 << 10))] {
        let cell = Cell {
            load: Load::Saturating(batch),
            acks: Acks::All,
            durability: Durability::Relaxed,
            record_size: Size(1 << 10),
            times: (Span(Duration::ZERO), Span(duration.0 / 2)),
            in_flight: Size(1 << 20),
            requests_in_flight_max: 100_000,
            linger: Span(Duration::ZERO),
            connections: 4,
            partitions: 4,
        };
        let settings = cell.settings(&broker.address, bench.placement);
        loadgen::run::run(&settings)
            .map_err(|source| MatrixError::Run { what: "the warm-up", source: Box::new(source) })?;
    }
    Ok(())
}

/// The runs of each cell together, in the order of their first.
pub(super) fn by_cell(runs: &[CellRun]) -> Vec<(String, Vec<&CellRun>)> {
    let mut order = Vec::new();
    let mut groups: BTreeMap<String, Vec<&CellRun>> = BTreeMap::new();
    for run in runs {
        let name = run.cell.name();
        if !groups.contains_key(&name) {
            order.push(name.clone());
        }
        groups.entry(name).or_default().push(run);
    }
    order.into_iter().filter_map(|name| groups.remove(&name).map(|runs| (name, runs))).collect()
}
