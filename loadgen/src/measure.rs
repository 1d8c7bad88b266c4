//! Latencies and counts of a run, interval by interval.
//!
//! Every record has its times counted in the interval in which it was *meant* to be sent, so that
//! an interval shows what became of the load that was offered in it; every event is counted in the
//! interval in which it happened.
//!
//! Guarantees: histograms are added, percentiles never averaged: there is no function that could.
//! A percentile without enough samples beyond it is refused. Does not know: where times come from.

mod stored;
mod summary;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use summary::{QUANTILES, SAMPLES_BEYOND_MIN, Summary, quantile, samples_min};

/// Nanoseconds, to three digits, and to half a microsecond at best.
pub type Histogram = hdrhistogram::Histogram<u64>;
/// The same for one interval, which has fewer samples.
pub type IntervalHistogram = hdrhistogram::Histogram<u32>;

/// Below it all values count as one. (HDR histograms round it down to a power of two, 512 ns.)
pub const RESOLUTION_NS: u64 = 1_000;
pub const DIGITS: u8 = 3;

/// An empty histogram, which grows with what is recorded.
pub fn histogram<T: hdrhistogram::Counter>() -> hdrhistogram::Histogram<T> {
    let mut histogram = hdrhistogram::Histogram::new_with_bounds(RESOLUTION_NS, 1 << 20, DIGITS)
        .expect("bounds and digits are in range");
    histogram.auto(true);
    histogram
}

/// Adds the counts of one histogram to another. Both have the same buckets.
pub fn add(sum: &mut Histogram, part: &IntervalHistogram) {
    for bucket in part.iter_recorded() {
        let count = u64::from(bucket.count_at_value());
        sum.record_n(bucket.value_iterated_to(), count).expect("it grows with its values");
    }
}

/// What is measured: of a record, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// From when it was meant to be sent to its acknowledgement: the headline.
    Response,
    /// From when the kernel had taken it to its acknowledgement.
    Service,
    /// From when it was meant to be sent to when the kernel had taken it. Lingering is part of it.
    SendLag,
    /// From when its request was due to when it was first offered to the kernel, without what the
    /// broker kept it waiting: what the generator itself is late, the measure of its own health.
    Lateness,
    /// From when it was meant to be sent to when a consumer had it.
    EndToEnd,
    /// Of a connection that is opened anew because a phase says so: from when it was begun to when
    /// requests could be sent.
    Connect,
}

impl Clock {
    pub const ALL: [Clock; 6] = [
        Clock::Response,
        Clock::Service,
        Clock::SendLag,
        Clock::Lateness,
        Clock::EndToEnd,
        Clock::Connect,
    ];

    /// As files and tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Clock::Response => "response",
            Clock::Service => "service",
            Clock::SendLag => "send-lag",
            Clock::Lateness => "lateness",
            Clock::EndToEnd => "end-to-end",
            Clock::Connect => "connect",
        }
    }

    /// From what to what.
    pub fn meaning(self) -> &'static str {
        match self {
            Clock::Response => "intended → acknowledged",
            Clock::Service => "written → acknowledged",
            Clock::SendLag => "intended → written",
            Clock::Lateness => "due → offered to the kernel",
            Clock::EndToEnd => "intended → consumed",
            Clock::Connect => "connecting → ready for requests",
        }
    }
}

/// What happened in one interval, in records unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Meant to be sent.
    pub offered: u64,
    pub written: u64,
    pub acknowledged: u64,
    pub failed: u64,
    pub consumed: u64,
    /// Requests that were acknowledged, or written if nothing acknowledges them.
    pub requests: u64,
    /// Processor time that the generator used.
    pub cpu_ns: u64,
}

impl Tally {
    pub fn plus(self, other: Tally) -> Tally {
        Tally {
            offered: self.offered + other.offered,
            written: self.written + other.written,
            acknowledged: self.acknowledged + other.acknowledged,
            failed: self.failed + other.failed,
            consumed: self.consumed + other.consumed,
            requests: self.requests + other.requests,
            cpu_ns: self.cpu_ns + other.cpu_ns,
        }
    }

    /// What has come since an earlier one.
    pub fn minus(self, earlier: Tally) -> Tally {
        Tally {
            offered: self.offered - earlier.offered,
            written: self.written - earlier.written,
            acknowledged: self.acknowledged - earlier.acknowledged,
            failed: self.failed - earlier.failed,
            consumed: self.consumed - earlier.consumed,
            requests: self.requests - earlier.requests,
            cpu_ns: self.cpu_ns - earlier.cpu_ns,
        }
    }

    /// Each number by so many seconds.
    pub fn per(self, seconds: f64) -> Tally {
        let per = |count: u64| crate::units::whole(count as f64 / seconds);
        Tally {
            offered: per(self.offered),
            written: per(self.written),
            acknowledged: per(self.acknowledged),
            failed: per(self.failed),
            consumed: per(self.consumed),
            requests: per(self.requests),
            cpu_ns: per(self.cpu_ns),
        }
    }
}

/// One interval of a run.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    pub tally: Tally,
    histograms: BTreeMap<Clock, IntervalHistogram>,
}

impl Interval {
    pub fn histogram(&self, clock: Clock) -> Option<&IntervalHistogram> {
        self.histograms.get(&clock)
    }
}

/// The intervals of a run. Time is counted in nanoseconds since the start of its warm-up.
#[derive(Clone, Debug, Serialize)]
pub struct Measurements {
    measured_from_ns: u64,
    measured_to_ns: u64,
    interval_ns: u64,
    intervals: Vec<Interval>,
    /// Of all intervals together.
    #[serde(skip)]
    total: Tally,
}

/// More intervals than a run and its drain can have; what happens later is not counted in any.
const INTERVALS_MAX: usize = 100_000;

impl Measurements {
    /// Of a run that is measured from the end of its warm-up to the end of its schedule.
    pub fn new(measured_from_ns: u64, measured_to_ns: u64, interval: Duration) -> Measurements {
        let interval_ns = crate::units::nanos(interval).max(1_000_000);
        let count = (measured_to_ns - measured_from_ns).div_ceil(interval_ns);
        let count = usize::try_from(count).unwrap_or(INTERVALS_MAX).min(INTERVALS_MAX);
        let intervals = vec![Interval::default(); count];
        let total = Tally::default();
        Measurements { measured_from_ns, measured_to_ns, interval_ns, intervals, total }
    }

    pub fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval_ns)
    }

    /// The intervals in order. The first ones cover the schedule, the rest what came after it.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// Whether a record that was meant to be sent then is measured.
    pub fn is_measured(&self, intended_ns: u64) -> bool {
        (self.measured_from_ns..self.measured_to_ns).contains(&intended_ns)
    }

    /// Records one time of a record that was meant to be sent at `intended_ns`.
    pub fn record(&mut self, clock: Clock, intended_ns: u64, time_ns: u64) {
        if !self.is_measured(intended_ns) {
            return;
        }
        let Some(interval) = self.interval_at(intended_ns) else { return };
        let histogram = interval.histograms.entry(clock).or_insert_with(histogram);
        histogram.record(time_ns).expect("it grows with its values");
    }

    /// Counts what happens at a time. What happens before the measurement is not counted.
    pub fn count(&mut self, at_ns: u64, add: impl Fn(&mut Tally)) {
        if let Some(interval) = self.interval_at(at_ns) {
            add(&mut interval.tally);
            add(&mut self.total);
        }
    }

    /// What has happened so far, and what was meant to.
    pub fn tally(&self) -> Tally {
        self.total
    }

    /// All times of one clock together.
    pub fn total(&self, clock: Clock) -> Histogram {
        let mut total = histogram();
        for interval in &self.intervals {
            if let Some(part) = interval.histogram(clock) {
                add(&mut total, part);
            }
        }
        total
    }

    /// All times of one clock in windows of `width` intervals, with what was tallied in them.
    pub fn windows(&self, width: usize) -> impl Iterator<Item = Window<'_>> {
        self.intervals.chunks(width).map(|intervals| Window { intervals })
    }

    /// Puts what another worker measured in the same run beside it.
    pub fn merge(&mut self, other: &Measurements) {
        assert_eq!(self.interval_ns, other.interval_ns, "workers share their settings");
        if self.intervals.len() < other.intervals.len() {
            self.intervals.resize(other.intervals.len(), Interval::default());
        }
        self.total = self.total.plus(other.total);
        for (sum, part) in self.intervals.iter_mut().zip(&other.intervals) {
            sum.tally = sum.tally.plus(part.tally);
            for (clock, part) in &part.histograms {
                let sum = sum.histograms.entry(*clock).or_insert_with(histogram);
                sum.add(part).expect("it grows with its values");
            }
        }
    }

    fn interval_at(&mut self, at_ns: u64) -> Option<&mut Interval> {
        let since = at_ns.checked_sub(self.measured_from_ns)?;
        let index = usize::try_from(since / self.interval_ns).ok()?;
        if INTERVALS_MAX <= index {
            return None;
        }
        if self.intervals.len() <= index {
            self.intervals.resize(index + 1, Interval::default());
        }
        self.intervals.get_mut(index)
    }
}

/// Some intervals in a row.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    intervals: &'a [Interval],
}

impl Window<'_> {
    pub fn tally(&self) -> Tally {
        let tallies = self.intervals.iter().map(|interval| interval.tally);
        tallies.fold(Tally::default(), Tally::plus)
    }

    pub fn total(&self, clock: Clock) -> Histogram {
        let mut total = histogram();
        for part in self.intervals.iter().filter_map(|interval| interval.histogram(clock)) {
            add(&mut total, part);
        }
        total
    }
}

#[cfg(test)]
mod tests;
