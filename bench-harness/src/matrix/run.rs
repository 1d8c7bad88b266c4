//! One run of a cell on one broker: its numbers, and everything that was seen of it.

use std::collections::BTreeMap;

use loadgen::ledger::Counts;
use loadgen::measure::{Clock, Summary};
use loadgen::outcome::{Outcome, ReaderCounts, Verdict, WorkerCpu};
use loadgen::settings::ReaderSettings;
use serde::{Deserialize, Serialize};
use tuning::Facts;

use super::cell::Cell;
use super::events::Happened;
use super::recovery::Recovery;
use crate::sample::{Samples, Usage};
use crate::scenario::Promise;
use crate::units::{bytes_text, three_digits, time_text};

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub cell: Cell,
    pub broker: String,
    pub promise: Promise,
    /// From 0.
    pub repetition: u32,
    pub began: String,
    /// Or why there is nothing.
    pub numbers: Result<Numbers, String>,
}

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Numbers {
    pub records_per_s: f64,
    /// Of values.
    pub bytes_per_s: f64,
    /// Offered at the highest, of an open loop.
    pub peak_per_s: Option<f64>,
    /// The times that the cell goes by.
    pub headline: Clock,
    pub latencies_ns: BTreeMap<Clock, Summary>,
    pub counts: Counts,
    pub usage: Usage,
    /// None where the broker's process is not known, or was another at the end.
    pub cpu_s_per_gb: Option<f64>,
    pub generator_cpu_s_per_gb: f64,
    pub generator_cpu: Vec<WorkerCpu>,
    pub flush_proof: FlushProof,
    pub verdict: Verdict,
    /// Errors in words, and how often.
    pub notes: BTreeMap<String, u64>,
    pub readers: Vec<ReaderNumbers>,
    pub happened: Vec<Happened>,
    pub recovery: Option<Recovery>,
}

/// What a consumer had that only reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReaderNumbers {
    pub settings: ReaderSettings,
    pub counts: ReaderCounts,
    pub is_whole: bool,
    /// Records per second from when it began to when it had everything, of one that catches up.
    pub records_per_s: Option<f64>,
}

/// Everything that was seen of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trace {
    pub outcome: Outcome,
    pub samples: Samples,
}

/// Whether the device's flush counter bears out what a run claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlushProof {
    /// Nothing is claimed.
    NotClaimed,
    /// It moved.
    Moved,
    /// It did not move although it had to: the run is not what it says.
    DidNotMove,
    /// The device needs no flush requests, or it is not known.
    NotObservable,
}

impl FlushProof {
    /// What the counter says about a durable run on this host's device; and, if the broker counts
    /// its flushes itself, what it says.
    pub fn of(promise: Promise, usage: &Usage, facts: &Facts) -> FlushProof {
        let own_flushes = usage.journal.and_then(|journal| journal.counters.flushes);
        let device = facts.storage.device.as_ref();
        let needs_flushes = device.is_some_and(|device| {
            device.write_cache.as_deref() == Some("write back") && device.has_fua == Some(false)
        });
        match (promise, usage.disk_flushes) {
            (Promise::Relaxed, _) => FlushProof::NotClaimed,
            (Promise::Durable, _) if own_flushes == Some(0) => FlushProof::DidNotMove,
            (Promise::Durable, 1..) => FlushProof::Moved,
            (Promise::Durable, 0) if needs_flushes => FlushProof::DidNotMove,
            (Promise::Durable, 0) => FlushProof::NotObservable,
        }
    }
}

impl Trace {
    /// What was used in the measured time.
    pub fn usage(&self) -> Usage {
        let (from_ns, to_ns) = self.outcome.window_ns();
        self.samples.between(from_ns, to_ns)
    }

    /// The run in numbers. `is_known` is whether the broker's process could be looked at.
    pub fn numbers(
        &self,
        promise: Promise,
        facts: &Facts,
        is_known: bool,
        happened: Vec<Happened>,
    ) -> Numbers {
        let outcome = &self.outcome;
        let usage = self.usage();
        let gigabytes = outcome.bytes_per_s() * usage.seconds / 1e9;
        let was_restarted = happened.iter().any(|it| it.served_s.is_some());
        let cpu_s_per_gb = usage.cpu_ns as f64 / 1e9 / gigabytes;
        let generator_ns = outcome.tally().cpu_ns as f64;
        Numbers {
            records_per_s: outcome.rate_per_s(),
            bytes_per_s: outcome.bytes_per_s(),
            peak_per_s: super::recovery::peak_per_s(outcome),
            headline: outcome.headline(),
            latencies_ns: Clock::ALL.map(|clock| (clock, outcome.summary(clock))).into(),
            counts: outcome.counts,
            usage,
            cpu_s_per_gb: Some(cpu_s_per_gb)
                .filter(|it| is_known && !was_restarted && it.is_finite()),
            generator_cpu_s_per_gb: generator_ns
                / outcome.bytes_per_s().max(1.0)
                / outcome.measured().as_secs_f64(),
            generator_cpu: outcome.cpu.clone(),
            flush_proof: FlushProof::of(promise, &usage, facts),
            verdict: outcome.verdict(),
            notes: outcome.notes.clone(),
            readers: outcome.readers.iter().map(|it| ReaderNumbers::of(outcome, it)).collect(),
            recovery: Recovery::of(outcome, &happened),
            happened,
        }
    }
}

impl ReaderNumbers {
    fn of(outcome: &Outcome, reader: &loadgen::outcome::ReaderOutcome) -> ReaderNumbers {
        use loadgen::settings::Pace;
        let (warm_up, _) = outcome.settings.load.times();
        let records_per_s = match (reader.settings.pace, reader.counts.ended_ns) {
            (Pace::CatchUp(after), Some(ended_ns)) => {
                let began_ns = crate::units::nanos(warm_up + after.0);
                let took_s = ended_ns.saturating_sub(began_ns) as f64 / 1e9;
                (0.0 < took_s).then(|| reader.counts.records as f64 / took_s)
            }
            _ => None,
        };
        ReaderNumbers {
            settings: reader.settings,
            counts: reader.counts,
            is_whole: outcome.is_whole(&reader.counts),
            records_per_s,
        }
    }
}

impl Numbers {
    pub fn flushes_per_s(&self) -> f64 {
        self.usage.disk_flushes as f64 / self.usage.seconds.max(1e-9)
    }

    /// On average; none without flushes.
    pub fn flush_ns(&self) -> Option<f64> {
        self.usage.disk_flush_ms_mean.map(|it| it * 1e6)
    }

    pub fn records_per_flush(&self) -> Option<f64> {
        let flushes = self.flushes_per_s();
        (0.0 < flushes).then(|| self.records_per_s / flushes)
    }

    /// Of the clock that the cell goes by.
    pub fn summary(&self) -> Summary {
        self.latencies_ns.get(&self.headline).copied().unwrap_or_default()
    }

    pub fn is_client_bound(&self) -> bool {
        !self.verdict.client_bound.is_empty()
    }

    /// Whether it says something about the broker, at least a limit.
    pub fn is_valid(&self) -> bool {
        self.flush_proof != FlushProof::DidNotMove && self.verdict.is_good()
    }

    /// The share of its processor that the busiest worker of the generator used in its busiest
    /// second.
    pub fn generator_busiest(&self) -> f64 {
        self.generator_cpu.iter().map(|cpu| cpu.busiest_second).fold(0.0, f64::max)
    }
}

impl Run {
    /// Whether it was run, and the broker gave its word and kept it.
    pub fn is_kept(&self) -> bool {
        self.numbers.as_ref().is_ok_and(|numbers| numbers.verdict.is_good())
    }

    /// For whoever waits.
    pub fn summary(&self) -> String {
        let numbers = match &self.numbers {
            Ok(numbers) => numbers,
            Err(error) => return format!("failed: {error}"),
        };
        let mut text = match self.cell.is_open() {
            false => format!("{}/s", bytes_text(numbers.bytes_per_s)),
            true => {
                let Summary { p50, p99, max, .. } = numbers.summary();
                let time = |value: Option<u64>| value.map_or("too few".to_owned(), time_text);
                format!("p50 {}, p99 {}, max {}", time(p50), time(p99), time_text(max))
            }
        };
        if let Some(cpu) = numbers.cpu_s_per_gb {
            text.push_str(&format!(", {} CPU s/GB", three_digits(cpu)));
        }
        if let Some(recovery) = &numbers.recovery {
            text.push_str(&format!(", {}", recovery.text()));
        }
        let wrong = [
            (!numbers.verdict.is_kept, "BROKEN"),
            (numbers.verdict.is_hollow, "NOTHING CAME THROUGH"),
            (numbers.flush_proof == FlushProof::DidNotMove, "invalid: the device was not flushed"),
            (numbers.is_client_bound(), "client-bound"),
        ];
        for (_, what) in wrong.into_iter().filter(|(is_so, _)| *is_so) {
            text.push_str(", ");
            text.push_str(what);
        }
        text
    }
}
