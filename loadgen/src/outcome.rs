//! What came of a run, and what to make of it.
//!
//! Guarantees: a generator that could not keep up says so itself. Does not know: how it is shown.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::ledger::Counts;
use crate::measure::{Clock, Measurements, Summary, Tally};
use crate::settings::{Load, ReaderSettings, Settings};
use crate::units::{nanos, three_digits, time_text};

/// A generator that is late by more than this share of what it measures, measures itself.
pub const LATENESS_SHARE_MAX: f64 = 0.10;
/// A generator that uses more of its processor than this may have been what was slow.
const CPU_SHARE_MAX: f64 = 0.80;

/// What came of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub settings: Settings,
    /// Number of the run, which all its records carry.
    pub run: u32,
    pub topics: Vec<String>,
    pub began_at: SystemTime,
    /// When the warm-up began and when everything was over, on the host's monotonic clock.
    pub start_ns: u64,
    pub finished_ns: u64,
    pub counts: Counts,
    pub measurements: Measurements,
    /// Errors in words, and how often.
    pub notes: BTreeMap<String, u64>,
    /// Time and records of reading back what was left when producing had ended.
    pub read_back: (Duration, u64),
    /// Consumers beside those that verify, in the order of the settings.
    pub readers: Vec<ReaderOutcome>,
    /// By worker.
    pub cpu: Vec<WorkerCpu>,
}

/// What a consumer has read that does nothing but read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReaderOutcome {
    pub settings: ReaderSettings,
    pub counts: ReaderCounts,
    /// Its end-to-end times, and what it consumed when.
    pub measurements: Measurements,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderCounts {
    /// Of this run.
    pub records: u64,
    /// Changed, or not to be read.
    pub corrupt: u64,
    /// Where offsets were left out.
    pub gaps: u64,
    /// When it had read everything, since the start of the warm-up; none if it never had.
    pub ended_ns: Option<u64>,
}

impl ReaderCounts {
    /// The sum over several workers.
    pub fn plus(self, other: ReaderCounts) -> ReaderCounts {
        ReaderCounts {
            records: self.records + other.records,
            corrupt: self.corrupt + other.corrupt,
            gaps: self.gaps + other.gaps,
            ended_ns: self.ended_ns.zip(other.ended_ns).map(|(one, other)| one.max(other)),
        }
    }
}

/// What share of its processor a worker used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerCpu {
    /// Over the measured time.
    pub mean: f64,
    /// In its busiest second.
    pub busiest_second: f64,
}

impl WorkerCpu {
    pub(crate) fn of(measurements: &Measurements, settings: &Settings) -> WorkerCpu {
        let (_, duration) = settings.load.times();
        let interval = measurements.interval();
        let per_second = (Duration::from_secs(1).as_nanos() / interval.as_nanos()).max(1);
        let per_second = usize::try_from(per_second).expect("a second has a billion nanoseconds");
        let measured = nanos(duration).div_ceil(nanos(interval));
        let measured = usize::try_from(measured).expect("a list in memory is that long");
        let used = |tallies: &[u64]| tallies.iter().sum::<u64>() as f64;
        let cpu_ns: Vec<u64> =
            measurements.intervals().iter().take(measured).map(|it| it.tally.cpu_ns).collect();
        let width = per_second.min(cpu_ns.len().max(1));
        let window_ns = nanos(interval) as f64 * width as f64;
        let busiest = cpu_ns.windows(width).map(used).fold(0.0, f64::max);
        WorkerCpu {
            mean: used(&cpu_ns) / nanos(duration) as f64,
            busiest_second: busiest / window_ns,
        }
    }
}

/// Whether the numbers say something about the broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The broker kept its word about every record.
    pub is_kept: bool,
    /// Nothing was acknowledged, or without acks nothing read back: there was no word to keep.
    pub is_hollow: bool,
    /// Why the generator, and not the broker, may have been the limit. Empty is good.
    pub client_bound: Vec<String>,
}

impl Verdict {
    /// Whether the broker gave its word and kept it.
    pub fn is_good(&self) -> bool {
        self.is_kept && !self.is_hollow
    }
}

impl Outcome {
    pub fn summary(&self, clock: Clock) -> Summary {
        Summary::of(&self.measurements.total(clock))
    }

    /// The times of an open loop that its verdict and its tables go by: the response, or end to end
    /// where nothing is acknowledged.
    pub fn headline(&self) -> Clock {
        if self.settings.acks.is_answered() { Clock::Response } else { Clock::EndToEnd }
    }

    pub fn verdict(&self) -> Verdict {
        let is_answered = self.settings.acks.is_answered();
        let are_readers_served = self.readers.iter().all(|reader| self.is_whole(&reader.counts));
        let is_kept = self.counts.is_kept(is_answered) && are_readers_served;
        let through = if is_answered { self.counts.acknowledged } else { self.counts.consumed };
        Verdict { is_kept, is_hollow: through == 0, client_bound: self.client_bound() }
    }

    /// Whether a reader was given everything, as often as those that verify were.
    pub fn is_whole(&self, counts: &ReaderCounts) -> bool {
        let all = self.counts.consumed + self.counts.duplicated;
        counts.corrupt == 0 && counts.gaps == 0 && counts.records == all
    }

    fn client_bound(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.too_late().into_iter().collect();
        reasons.extend(self.overload());
        reasons
    }

    /// Whether requests left so late that the generator measures itself.
    fn too_late(&self) -> Option<String> {
        let late = self.measurements.total(Clock::Lateness);
        let waited = self.measurements.total(self.headline());
        // In a closed loop nothing can be late.
        if late.is_empty() || waited.is_empty() {
            return None;
        }
        let [late, waited] = [late, waited].map(|it| it.value_at_quantile(0.99));
        (waited as f64 * LATENESS_SHARE_MAX < late as f64).then(|| {
            format!(
                "requests left up to {} late (p99), more than a tenth of the {} {} (p99)",
                time_text(late),
                self.headline().name(),
                time_text(waited)
            )
        })
    }

    /// What the generator could not do, if anything.
    pub fn overload(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        for (worker, cpu) in self.cpu.iter().enumerate() {
            if CPU_SHARE_MAX < cpu.busiest_second {
                reasons.push(format!(
                    "worker {worker} used {} % of its processor in its busiest second",
                    three_digits(cpu.busiest_second * 100.0)
                ));
            }
        }
        if 0 < self.counts.unsent {
            reasons.push(format!("{} records were never sent", self.counts.unsent));
        }
        reasons
    }

    /// The measured time.
    pub fn measured(&self) -> Duration {
        self.settings.load.times().1
    }

    /// When the measured time began and ended, on the host's monotonic clock.
    pub fn window_ns(&self) -> (u64, u64) {
        let (warm_up, duration) = self.settings.load.times();
        let from = self.start_ns + nanos(warm_up);
        (from, from + nanos(duration))
    }

    /// What happened in the measured time, without what came after it.
    pub fn tally(&self) -> Tally {
        let intervals = nanos(self.measured()).div_ceil(nanos(self.measurements.interval()));
        let width = usize::try_from(intervals).expect("a list in memory is that long").max(1);
        self.measurements.windows(width).next().map(|it| it.tally()).unwrap_or_default()
    }

    /// Records per second that were acknowledged in the measured time; written, without acks.
    pub fn rate_per_s(&self) -> f64 {
        let tally = self.tally();
        let done =
            if self.settings.acks.is_answered() { tally.acknowledged } else { tally.written };
        done as f64 / self.measured().as_secs_f64()
    }

    /// Bytes of values per second, likewise; where sizes differ, by their mean.
    pub fn bytes_per_s(&self) -> f64 {
        self.rate_per_s() * self.settings.records.size.mean_bytes()
    }

    pub fn is_open(&self) -> bool {
        matches!(self.settings.load, Load::Open(_))
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
