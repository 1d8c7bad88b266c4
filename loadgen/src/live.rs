//! What a run is doing while it runs, for whoever looks at it.
//!
//! Workers say after each interval what has happened in it; whoever watches takes a [`Glance`] when
//! it likes. What comes here is for the eye: the results are the workers' own.
//!
//! Guarantees: a worker waits for nobody but the copying of one glance. Does not know: terminals.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::measure::{Clock, Histogram, Interval, Tally, add, histogram};

/// Rows of a column of the heat map: six to each factor of ten, from 100 µs to 10 s.
pub const ROWS: usize = 30;
const ROW_MIN_NS: f64 = 1e5;
const ROWS_PER_DECADE: f64 = 6.0;
/// Older columns are forgotten.
const COLUMNS_MAX: usize = 600;
/// Answers are waited for so long before a record's time is shown.
const SETTLED: Duration = Duration::from_secs(1);

/// Where workers and watchers meet.
#[derive(Debug, Default)]
pub struct Live {
    state: Mutex<State>,
    /// Told when the run begins, and when it is over.
    turned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// When the measured time begins, on the host's monotonic clock.
    measured_from_ns: Option<u64>,
    interval: Duration,
    /// Sums over all workers, by interval of the measured time.
    tallies: Vec<Tally>,
    /// By second of the measured time: how long it took, of records that were meant to be sent then.
    seconds: VecDeque<Second>,
    seconds_forgotten: usize,
    is_over: bool,
}

#[derive(Debug)]
struct Second {
    response: Histogram,
}

/// The run at one moment.
#[derive(Clone, Debug)]
pub struct Glance {
    /// Of the measured time.
    pub elapsed: Duration,
    /// From the start of the measured time.
    pub total: Tally,
    /// Per second, over the last second.
    pub rates: Tally,
    /// Of the last second whose records have had a second's time for their answer: p50, p99, p99.9.
    pub response: Option<[u64; 3]>,
    /// What has happened in each second, also in the one that is not over.
    pub seconds: Vec<Tally>,
    /// How long it took: a column for each second, from low to high times.
    pub heat: Vec<[u64; ROWS]>,
    /// The second of the first column; those before are forgotten.
    pub heat_from: usize,
    /// Whether there will be no more.
    pub is_over: bool,
}

impl Glance {
    /// Meant to be sent and not taken by the kernel.
    pub fn unsent(&self) -> u64 {
        self.total.offered.saturating_sub(self.total.written)
    }

    /// Acknowledged and not consumed.
    pub fn backlog(&self) -> u64 {
        self.total.acknowledged.saturating_sub(self.total.consumed)
    }
}

impl Live {
    pub fn new() -> Live {
        Live::default()
    }

    /// What has happened, as it is now.
    pub fn glance(&self) -> Glance {
        let state = self.state.lock().expect("nobody panics with it");
        let total = state.tallies.iter().fold(Tally::default(), |sum, it| sum.plus(*it));
        let width = state.intervals_per_second().min(state.tallies.len());
        let last = &state.tallies[state.tallies.len() - width..];
        let seconds = state.interval.as_secs_f64() * width.max(1) as f64;
        let rates = last.iter().fold(Tally::default(), |sum, it| sum.plus(*it)).per(seconds);
        let elapsed = state.interval * u32::try_from(state.tallies.len()).unwrap_or(u32::MAX);
        let settled = elapsed.saturating_sub(SETTLED).as_secs();
        let settled = usize::try_from(settled).unwrap_or(usize::MAX);
        let last_settled = settled.checked_sub(state.seconds_forgotten + 1);
        let response = last_settled.and_then(|index| {
            let response = &state.seconds.get(index)?.response;
            let times = || [0.5, 0.99, 0.999].map(|quantile| response.value_at_quantile(quantile));
            (!response.is_empty()).then(times)
        });
        let heat = state.seconds.iter().map(|second| rows_of(&second.response)).collect();
        let seconds = state.tallies.chunks(state.intervals_per_second());
        let seconds = seconds.map(|it| it.iter().fold(Tally::default(), |sum, it| sum.plus(*it)));
        let seconds = seconds.collect();
        let (heat_from, is_over) = (state.seconds_forgotten, state.is_over);
        Glance { elapsed, total, rates, response, seconds, heat, heat_from, is_over }
    }

    /// A worker's interval of this number is over. `settled` are those that were meant to be sent a
    /// second before.
    pub(crate) fn note(
        &self,
        interval: Duration,
        number: usize,
        tally: Tally,
        settled: Option<(usize, &Interval)>,
    ) {
        let mut state = self.state.lock().expect("nobody panics with it");
        state.interval = interval;
        if state.tallies.len() <= number {
            state.tallies.resize(number + 1, Tally::default());
        }
        state.tallies[number] = state.tallies[number].plus(tally);
        let Some((number, settled)) = settled else { return };
        let Some(response) = settled.histogram(Clock::Response) else { return };
        let second = number / state.intervals_per_second();
        let Some(index) = second.checked_sub(state.seconds_forgotten) else { return };
        while state.seconds.len() <= index {
            state.seconds.push_back(Second { response: histogram() });
        }
        add(&mut state.seconds[index].response, response);
        while COLUMNS_MAX < state.seconds.len() {
            state.seconds.pop_front();
            state.seconds_forgotten += 1;
        }
    }

    pub(crate) fn note_start(&self, measured_from_ns: u64) {
        self.state.lock().expect("nobody panics with it").measured_from_ns = Some(measured_from_ns);
        self.turned.notify_all();
    }

    pub(crate) fn note_end(&self) {
        self.state.lock().expect("nobody panics with it").is_over = true;
        self.turned.notify_all();
    }

    /// Waits until it is known when the measured time begins, and says when: on the host's monotonic
    /// clock, in nanoseconds. None if the run was over, or had not begun after so long.
    pub fn wait_for_start(&self, wait_max: Duration) -> Option<u64> {
        let until = Instant::now() + wait_max;
        let mut state = self.state.lock().expect("nobody panics with it");
        loop {
            if state.measured_from_ns.is_some() || state.is_over {
                return state.measured_from_ns;
            }
            let left = until.checked_duration_since(Instant::now())?;
            let waited = self.turned.wait_timeout(state, left);
            state = waited.expect("nobody panics with it").0;
        }
    }

    /// How many intervals after its own an interval counts as settled.
    pub(crate) fn settles_after(interval: Duration) -> usize {
        per_second(interval)
    }
}

impl State {
    fn intervals_per_second(&self) -> usize {
        per_second(self.interval)
    }
}

fn per_second(interval: Duration) -> usize {
    let count = Duration::from_secs(1).as_nanos() / interval.as_nanos().max(1);
    usize::try_from(count).unwrap_or(usize::MAX).max(1)
}

fn rows_of(response: &Histogram) -> [u64; ROWS] {
    let mut rows = [0; ROWS];
    for bucket in response.iter_recorded() {
        let decades = (bucket.value_iterated_to() as f64 / ROW_MIN_NS).max(1.0).log10();
        let row = usize::try_from(crate::units::whole(decades * ROWS_PER_DECADE));
        rows[row.unwrap_or(ROWS).min(ROWS - 1)] += bucket.count_at_value();
    }
    rows
}

/// The lowest time of a row, in nanoseconds.
pub fn row_ns(row: usize) -> u64 {
    crate::units::whole(ROW_MIN_NS * 10f64.powf(row as f64 / ROWS_PER_DECADE))
}

#[cfg(test)]
mod tests;
