//! How long a broker needs until it is as it was before: after a spike, or after it was killed.
//!
//! It has recovered when the p99 of windows of 100 ms stays, for half a second, at what it was
//! before: at most 1.2 times the p99 of all the time before, or the worst of the windows before, as
//! single windows stand on few records; and when no more records wait for their acknowledgement than
//! such a latency explains.

use std::time::Duration;

use loadgen::measure::quantile;
use loadgen::outcome::Outcome;
use loadgen::settings::{Load, OpenLoop};
use serde::{Deserialize, Serialize};

use super::events::Happened;
use crate::scenario::Happening;
use crate::units::{nanos, time_text, whole};

/// A rate that is at least this share of the highest is the peak.
const PEAK_SHARE: f64 = 0.5;
/// Before the spike the rate is at most this share of the highest.
const CALM_SHARE: f64 = 0.25;
/// The p99 may be so much worse than before.
const P99_FACTOR: f64 = 1.2;
/// And no better than this: on fewer microseconds it is noise.
const P99_MIN_NS: u64 = 200_000;
/// Latency is looked at in windows of this length.
const WINDOW: Duration = Duration::from_millis(100);
/// So many windows in a row have to be as before.
const CALM_WINDOWS: u32 = 5;

/// What a disturbance did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// In the time before.
    pub before_p99_ns: u64,
    /// The end of the disturbance, in seconds of the measured time.
    pub since_s: f64,
    /// From then until it was as before; none if it never was.
    pub took_s: Option<f64>,
    /// After a kill: until the first acknowledgement.
    pub first_ack_s: Option<f64>,
    /// Records that were offered and not acknowledged, at the most.
    pub backlog_max: u64,
}

impl Recovery {
    pub(super) fn of(outcome: &Outcome, happened: &[Happened]) -> Option<Recovery> {
        let Load::Open(open) = &outcome.settings.load else { return None };
        let kill = happened.iter().find(|it| it.what == Happening::Kill);
        let (calm_to_s, since_s) = match kill {
            Some(kill) => (kill.at_s, kill.at_s),
            None => spike(open)?,
        };
        let interval_s = outcome.measurements.interval().as_secs_f64();
        let width = (WINDOW.as_secs_f64() / interval_s).round().max(1.0);
        let width = usize::try_from(whole(width)).expect("a second has few windows");
        let window_s = interval_s * width as f64;
        let clock = outcome.headline();
        let (mut backlog, mut backlog_max) = (0_i64, 0);
        let (mut before, mut worst_before_ns) = (loadgen::measure::histogram(), P99_MIN_NS);
        let (mut calm_windows, mut calm_from_s, mut took_s) = (0, 0.0, None);
        for (index, window) in outcome.measurements.windows(width).enumerate() {
            let (from_s, to_s) = (index as f64 * window_s, (index + 1) as f64 * window_s);
            let tally = window.tally();
            let done = match outcome.settings.acks.is_answered() {
                true => tally.acknowledged + tally.failed,
                false => tally.written,
            };
            backlog += tally.offered.cast_signed() - done.cast_signed();
            backlog_max = backlog_max.max(backlog);
            let times = window.total(clock);
            let p99_ns = times.value_at_quantile(0.99);
            if to_s <= calm_to_s {
                before.add(&times).expect("it grows with its values");
                worst_before_ns = worst_before_ns.max(p99_ns);
                continue;
            }
            if from_s < since_s || took_s.is_some() {
                continue;
            }
            let before_ns = before.value_at_quantile(0.99) as f64;
            let limit_ns = (before_ns * P99_FACTOR).max(worst_before_ns as f64);
            // Of what was never answered nobody waits any more.
            let waiting = backlog - outcome.counts.unknown.cast_signed();
            let waiting_max = (tally.offered as f64 / window_s * limit_ns / 1e9).max(1.0);
            // A window in which nothing was meant to be sent says nothing about latency.
            let is_calm =
                !times.is_empty() && p99_ns as f64 <= limit_ns && waiting as f64 <= waiting_max;
            match is_calm {
                true if calm_windows == 0 => (calm_windows, calm_from_s) = (1, from_s),
                true => calm_windows += 1,
                false => calm_windows = 0,
            }
            if calm_windows == CALM_WINDOWS {
                took_s = Some(calm_from_s - since_s);
            }
        }
        let first_ack_s = kill.and_then(|kill| first_ack_s(outcome, kill.at_s));
        Some(Recovery {
            before_p99_ns: quantile(&before, 0.99)?,
            since_s,
            took_s,
            first_ack_s,
            backlog_max: backlog_max.max(0).cast_unsigned(),
        })
    }

    pub fn text(&self) -> String {
        let time = |seconds: f64| time_text(whole(seconds * 1e9));
        let mut text = match self.took_s {
            Some(took_s) if took_s < WINDOW.as_secs_f64() => {
                format!("recovered within {}", time(WINDOW.as_secs_f64()))
            }
            Some(took_s) => format!("recovered in {}", time(took_s)),
            None => "not recovered".to_owned(),
        };
        if let Some(first_ack_s) = self.first_ack_s {
            text.push_str(&format!(", first acknowledgement after {}", time(first_ack_s)));
        }
        text
    }
}

/// The highest rate that an open loop offers, in records per second.
pub(super) fn peak_per_s(outcome: &Outcome) -> Option<f64> {
    match &outcome.settings.load {
        Load::Open(open) => Some(open.base_per_s() * open.profile.peak()),
        Load::Closed(_) => None,
    }
}

/// When the calm before the spike ends and when the peak is over, in seconds; none if the rate does
/// not rise and fall.
fn spike(open: &OpenLoop) -> Option<(f64, f64)> {
    const STEPS: u32 = 10_000;
    let curve = open.profile.curve(open.duration.0);
    let peak = open.profile.peak();
    let seconds = open.duration.0.as_secs_f64();
    let share = |step: u32| curve.multiple_at(f64::from(step) / f64::from(STEPS)) / peak;
    let calm_to = (0..STEPS).find(|step| CALM_SHARE < share(*step))?;
    let over = (0..STEPS).rev().find(|step| PEAK_SHARE <= share(*step))? + 1;
    let at = |step: u32| f64::from(step) / f64::from(STEPS) * seconds;
    (0 < calm_to && over < STEPS).then(|| (at(calm_to), at(over)))
}

/// From then, when acknowledgements ceased, to the end of the first interval in which there was one
/// again. What was on its way is not counted.
fn first_ack_s(outcome: &Outcome, at_s: f64) -> Option<f64> {
    let interval_s = nanos(outcome.measurements.interval()) as f64 / 1e9;
    let intervals = outcome.measurements.intervals().iter().enumerate();
    let after = intervals.skip_while(|(index, _)| (index + 1) as f64 * interval_s <= at_s);
    let mut since_gap = after.skip_while(|(_, interval)| 0 < interval.tally.acknowledged);
    let (index, _) = since_gap.find(|(_, interval)| 0 < interval.tally.acknowledged)?;
    Some((index + 1) as f64 * interval_s - at_s)
}
