//! Axes: where a value goes, and which values are named.

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// The same ratio over the same distance.
    Log,
}

/// One axis of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// With its unit.
    pub label: String,
    pub scale: Scale,
    pub from: f64,
    pub to: f64,
    /// The values that are named, and their names.
    pub ticks: Vec<(f64, String)>,
}

/// Roughly how many names fit along an axis.
const TICKS: f64 = 5.0;
/// Axes with fewer decades also name values between powers of ten.
const DECADES_WITH_PARTS: f64 = 2.2;

impl Axis {
    /// From zero, or a value below it, to a round value above the highest.
    pub fn linear(label: &str, from: f64, to: f64, name: impl Fn(f64) -> String) -> Axis {
        let to = if from < to { to } else { from + 1.0 };
        let step = round_step((to - from) / TICKS);
        let last = (to / step).ceil() * step;
        let mut ticks = Vec::new();
        let mut number = 0.0;
        let first = (from / step).ceil() * step;
        loop {
            let value = first + number * step;
            if last + step / 2.0 < value {
                break;
            }
            ticks.push((value, name(value)));
            number += 1.0;
        }
        Axis { label: label.to_owned(), scale: Scale::Linear, from, to: last, ticks }
    }

    /// Exactly this far, for axes whose end means something.
    pub fn linear_to(label: &str, to: f64, name: impl Fn(f64) -> String) -> Axis {
        let mut axis = Axis::linear(label, 0.0, to, name);
        axis.ticks.retain(|(value, _)| *value <= to * 1.000_001);
        Axis { to, ..axis }
    }

    /// From a round value below the lowest to one above the highest. Both are above zero.
    pub fn log(label: &str, from: f64, to: f64, name: impl Fn(f64) -> String) -> Axis {
        let from = if 0.0 < from { from } else { 1.0 };
        let to = to.max(from * 2.0);
        let has_parts = (to / from).log10() < DECADES_WITH_PARTS;
        let parts: &[f64] = if has_parts { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let (first, last) = (from.log10().floor() - 1.0, to.log10().ceil() + 1.0);
        let mut values = Vec::new();
        let mut decade = first;
        while decade <= last {
            values.extend(parts.iter().map(|part| part * 10_f64.powf(decade)));
            decade += 1.0;
        }
        let within = |value: &f64| *value <= from * 1.000_001;
        let lowest = values.iter().copied().rfind(within).unwrap_or(from);
        let highest = values.iter().copied().find(|value| to * 0.999_999 <= *value).unwrap_or(to);
        let ticks = values
            .into_iter()
            .filter(|value| lowest <= *value && *value <= highest)
            .map(|value| (value, name(value)))
            .collect();
        Axis { label: label.to_owned(), scale: Scale::Log, from: lowest, to: highest, ticks }
    }

    /// Ratios around 1, which is always within, with some room on both of its sides.
    pub fn ratio(label: &str, from: f64, to: f64, name: impl Fn(f64) -> String) -> Axis {
        const ROOM: f64 = 1.25;
        Axis::log(label, from.min(1.0 / ROOM), to.max(ROOM), name)
    }

    /// Percentiles, spread by their number of nines: as much room for 99 to 99.9 as for 90 to 99.
    /// A quantile q has its place at `nines(q)`.
    pub fn nines(label: &str, to: f64) -> Axis {
        let names = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"];
        let to = to.clamp(1.0, 6.0);
        let ticks = (0..).map(f64::from).zip(names).filter(|(value, _)| *value <= to);
        let mut ticks: Vec<(f64, String)> =
            ticks.map(|(value, name)| (value, name.to_owned())).collect();
        ticks.push((nines(0.5), "50 %".to_owned()));
        Axis { label: label.to_owned(), scale: Scale::Linear, from: 0.0, to, ticks }
    }

    /// Where a value goes, from 0 to 1. What is outside stays outside.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => {
                let value = value.max(self.from / 1e3);
                (value / self.from).ln() / (self.to / self.from).ln()
            }
        }
    }
}

/// The number of nines of a quantile: 1 of 0.9, 3 of 0.999.
pub fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// The next of 1, 2, 5, 10, ... above.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let part = step / power;
    let round = if part <= 1.0 {
        1.0
    } else if part <= 2.0 {
        2.0
    } else if part <= 5.0 {
        5.0
    } else {
        10.0
    };
    round * power
}
