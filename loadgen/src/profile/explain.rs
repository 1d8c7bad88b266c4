//! A profile drawn in the terminal, before anything is sent.

use std::fmt::Write;
use std::time::Duration;

use super::{Phase, Profile, RateCurve, Shape, with_begins};
use crate::schedule::Arrivals;
use crate::units::{count_text, three_digits, whole};

const WIDTH: usize = 72;
const HEIGHT: usize = 12;
/// A cell filled by eighths, from below.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl Profile {
    /// The curve, its phases and its totals, for a run of this base rate and length.
    pub fn explain(&self, base_per_s: f64, duration: Duration) -> String {
        let curve = self.curve(duration);
        let mut text = format!("{}: {}\n\n", self.name, self.about);
        draw(&mut text, &curve, base_per_s, duration);
        if let Some(period) = self.period {
            let _ = writeln!(text, "every {period}, whatever the length of the run:");
        }
        let whole_s = self.period.map_or(duration, |period| period.0).as_secs_f64();
        list(&mut text, &self.phases, base_per_s, whole_s);
        let _ = write!(
            text,
            "\npeak {}/s, mean {}/s, {} records in all\n",
            count_text(base_per_s * curve.peak()),
            count_text(base_per_s * curve.mean()),
            count_text(base_per_s * duration.as_secs_f64() * curve.mean()),
        );
        if !self.readers.is_empty() {
            let readers: Vec<String> = self.readers.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "consumers beside those that verify: {}", readers.join(", "));
        }
        if let Some(share) = self.hot_key {
            let _ = writeln!(text, "hot key: {} % of the records", three_digits(share * 100.0));
        }
        match self.arrivals {
            Some(Arrivals::Poisson) => text.push_str("arrivals: a Poisson process\n"),
            Some(Arrivals::Even) => text.push_str("arrivals: even\n"),
            None => {}
        }
        let _ = writeln!(text, "source: {}", self.source);
        text
    }
}

fn draw(text: &mut String, curve: &RateCurve, base_per_s: f64, duration: Duration) {
    // What a column shows is the mean over its width, so that a cliff has its place. What is
    // narrower than a column is lower than its peak.
    let columns: Vec<f64> = (0..WIDTH)
        .map(|column| {
            let [begin, end] = [column, column + 1].map(|it| it as f64 / WIDTH as f64);
            (curve.integral_to(end) - curve.integral_to(begin)) * WIDTH as f64
        })
        .collect();
    let peak = columns.iter().copied().fold(0.0, f64::max);
    for row in (0..HEIGHT).rev() {
        let label = peak * (row + 1) as f64 / HEIGHT as f64 * base_per_s;
        let _ = write!(text, "{:>8}/s │", count_text(label));
        for multiple in &columns {
            let filled = multiple / peak * HEIGHT as f64 - row as f64;
            let eighths = usize::try_from(whole((filled.clamp(0.0, 1.0) * 8.0).round()));
            text.push(EIGHTHS[eighths.expect("at most 8")]);
        }
        text.push('\n');
    }
    let seconds = duration.as_secs_f64();
    let _ = writeln!(text, "{:>10} └{}", "", "─".repeat(WIDTH));
    let middle = three_digits(seconds / 2.0);
    let end = format!("{} s", three_digits(seconds));
    let _ = writeln!(
        text,
        "{:>11} 0{middle:>half$}{end:>rest$}\n",
        "",
        half = WIDTH / 2,
        rest = WIDTH / 2 - 1
    );
}

/// A line of the list.
struct Row {
    name: String,
    from_s: f64,
    to_s: f64,
    what: String,
}

/// All phases; under one that is repeated its parts, with the times of one turn.
fn list(text: &mut String, phases: &[Phase], base_per_s: f64, whole_s: f64) {
    let mut rows = Vec::new();
    put_rows(&mut rows, phases, 1, base_per_s, whole_s);
    let name_width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    for Row { name, from_s, to_s, what } in rows {
        let [from, to] = [from_s, to_s].map(three_digits);
        let _ = writeln!(text, "{name:name_width$}  {from:>7} s to {to:>7} s  {what}");
    }
}

fn put_rows(rows: &mut Vec<Row>, phases: &[Phase], depth: usize, base_per_s: f64, whole_s: f64) {
    let rate = |multiple: f64| format!("{}/s", count_text(multiple * base_per_s));
    for (begin, phase) in with_begins(phases) {
        let name = format!("{:depth$}{}", "", phase.name, depth = 2 * depth);
        let (from_s, to_s) = (begin * whole_s, phase.until * whole_s);
        let mut what = match &phase.shape {
            Shape::Piece(piece) => format!("{:>10} → {:>10}", rate(piece.from), rate(piece.to)),
            Shape::Repeated { turns, .. } => {
                let turn_s = (to_s - from_s) / f64::from(*turns);
                format!("x{turns}, {} s each:", three_digits(turn_s))
            }
            Shape::Points(points) => {
                let lowest = points.iter().map(|(_, multiple)| *multiple).fold(f64::MAX, f64::min);
                let count = points.len();
                format!("{count} points from {} to {}", rate(lowest), rate(phase.peak()))
            }
        };
        if phase.reconnect {
            what.push_str(", all connections anew");
        }
        rows.push(Row { name, from_s, to_s, what });
        if let Shape::Repeated { turns, parts } = &phase.shape {
            let turn_s = (to_s - from_s) / f64::from(*turns);
            put_rows(rows, parts, depth + 1, base_per_s, turn_s);
        }
    }
}
