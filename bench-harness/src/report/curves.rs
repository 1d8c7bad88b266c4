//! Curves out of histograms and tallies.

use loadgen::measure::{Clock, Histogram, Tally, quantile};
use loadgen::outcome::Outcome;

use crate::plot::Axis;
use crate::units::three_digits;

/// Nanoseconds as milliseconds.
pub fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// The latency at every percentile that stands on samples enough: points of nines and ms.
pub fn percentiles(histogram: &Histogram) -> Vec<(f64, f64)> {
    const STEP: f64 = 0.02;
    let mut points = Vec::new();
    let mut place: f64 = 0.0;
    loop {
        let value = 1.0 - 10_f64.powf(-place);
        let Some(time_ns) = quantile(histogram, value) else { return points };
        points.push((place, ms(time_ns)));
        place += STEP;
    }
}

/// How many nines the samples of a histogram carry.
pub fn nines_max(histogram: &Histogram) -> f64 {
    percentiles(histogram).last().map_or(0.0, |(place, _)| *place)
}

/// Percentiles over time, in windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OverTime {
    pub p50: Vec<(f64, f64)>,
    pub p99: Vec<(f64, f64)>,
    pub p99_9: Vec<(f64, f64)>,
    pub max: Vec<(f64, f64)>,
}

/// The latency of one clock in windows of `width` intervals: points of seconds, at the middle of
/// the window, and ms. Percentiles without samples enough are gaps.
pub fn over_time(outcome: &Outcome, clock: Clock, width: usize) -> OverTime {
    let window_s = outcome.measurements.interval().as_secs_f64() * width as f64;
    let mut curves = OverTime::default();
    let measured_s = outcome.measured().as_secs_f64();
    for (index, window) in outcome.measurements.windows(width).enumerate() {
        let at = (index as f64 + 0.5) * window_s;
        let total = window.total(clock);
        if measured_s <= index as f64 * window_s || total.is_empty() {
            continue;
        }
        let point = |value: Option<u64>| (at, value.map_or(f64::NAN, ms));
        curves.p50.push(point(quantile(&total, 0.5)));
        curves.p99.push(point(quantile(&total, 0.99)));
        curves.p99_9.push(point(quantile(&total, 0.999)));
        curves.max.push(point(Some(total.max())));
    }
    curves
}

/// How many intervals a window needs so that its p99 stands on samples enough at this rate; at most
/// a tenth of the run.
pub fn window_width(outcome: &Outcome, rate_per_s: f64) -> usize {
    let interval_s = outcome.measurements.interval().as_secs_f64();
    let needed = loadgen::measure::samples_min(0.99) / (rate_per_s * interval_s).max(1e-9);
    let most = outcome.measured().as_secs_f64() / interval_s / 10.0;
    let width = crate::units::whole(needed.min(most).ceil()).max(1);
    usize::try_from(width).expect("a part of a list in memory")
}

/// More points than this along a picture cannot be told apart.
const POINTS_MAX: usize = 240;

/// The same curve in no more points than a picture can show, each the mean of its neighbours; what
/// has none stays a gap.
pub fn thinned(curve: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let width = curve.len().div_ceil(POINTS_MAX).max(1);
    let mean = |points: &[(f64, f64)]| {
        let told = points.iter().filter(|(_, y)| y.is_finite());
        let (sum, count) = told.fold((0.0, 0.0), |(sum, count), (_, y)| (sum + y, count + 1.0));
        let middle = f64::midpoint(points[0].0, points[points.len() - 1].0);
        (middle, if count == 0.0 { f64::NAN } else { sum / count })
    };
    if width == 1 { curve } else { curve.chunks(width).map(mean).collect() }
}

/// Something counted over time, per second: points of seconds, at the middle of the interval.
pub fn rate(outcome: &Outcome, count: impl Fn(&Tally) -> u64) -> Vec<(f64, f64)> {
    let interval_s = outcome.measurements.interval().as_secs_f64();
    let tallies = outcome.measurements.intervals().iter().enumerate();
    let points = tallies.map(|(index, interval)| {
        ((index as f64 + 0.5) * interval_s, count(&interval.tally) as f64 / interval_s)
    });
    points.collect()
}

/// The sum of a difference over time: how much of one thing has not become the other yet.
pub fn backlog(outcome: &Outcome, gain_and_loss: impl Fn(&Tally) -> (u64, u64)) -> Vec<(f64, f64)> {
    let interval_s = outcome.measurements.interval().as_secs_f64();
    let mut sum = 0.0;
    let tallies = outcome.measurements.intervals().iter().enumerate();
    let points = tallies.map(|(index, interval)| {
        let (gain, loss) = gain_and_loss(&interval.tally);
        sum += gain as f64 - loss as f64;
        // What was left of the warm-up when the measurement began is not counted as gain.
        ((index + 1) as f64 * interval_s, f64::max(sum, 0.0))
    });
    points.collect()
}

/// The lowest and highest of all values above zero.
pub fn range<'a>(lines: impl IntoIterator<Item = &'a Vec<(f64, f64)>>) -> (f64, f64) {
    let values = lines.into_iter().flatten().map(|(_, y)| *y);
    let values = values.filter(|value| value.is_finite() && 0.0 < *value);
    values.fold((f64::INFINITY, 0.0), |(min, max), value| (min.min(value), max.max(value)))
}

/// An axis of latencies that holds all of these.
pub fn latency_axis<'a>(lines: impl IntoIterator<Item = &'a Vec<(f64, f64)>>) -> Axis {
    let (min, max) = range(lines);
    let (min, max) = if min <= max { (min, max) } else { (0.1, 10.0) };
    Axis::log("latency, log scale", min, max, time_short)
}

/// Milliseconds on an axis, in the unit that suits them.
pub fn time_short(ms: f64) -> String {
    match ms {
        ..0.9999 => format!("{} µs", short(ms * 1e3)),
        ..999.9 => format!("{} ms", short(ms)),
        _ => format!("{} s", short(ms / 1e3)),
    }
}

/// A count on an axis.
pub fn count_short(number: f64) -> String {
    match number {
        ..1e3 => short(number),
        ..1e6 => format!("{}k", short(number / 1e3)),
        _ => format!("{}M", short(number / 1e6)),
    }
}

/// A number on an axis.
pub fn short(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        ..0.01 => format!("{number:.3}"),
        ..0.1 => format!("{number:.2}"),
        ..1.0 => format!("{number:.1}"),
        _ => {
            let text = three_digits(number);
            let is_part = text.contains('.');
            let shorter = text.trim_end_matches('0').trim_end_matches('.');
            if is_part { shorter.to_owned() } else { text }
        }
    }
}
