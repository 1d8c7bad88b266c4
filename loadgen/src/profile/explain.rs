//! A profile drawn in the terminal, before anything is sent.

use std::fmt::Write;
use std::time::Duration;

use super::Profile;
use crate::units::{count_text, three_digits, whole};

const WIDTH: usize = 72;
const HEIGHT: usize = 12;
/// A cell filled by eighths, from below.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl Profile {
    /// The curve, its phases and its totals, for a run of this base rate and length.
    pub fn explain(&self, base_per_s: f64, duration: Duration) -> String {
        let mut text = format!("{}: {}\n\n", self.name, self.about);
        self.draw(&mut text, base_per_s, duration);
        self.list(&mut text, base_per_s, duration);
        let records = base_per_s * duration.as_secs_f64() * self.mean();
        let _ = write!(
            text,
            "\npeak {}/s, mean {}/s, {} records in all\nsource: {}\n",
            count_text(base_per_s * self.peak()),
            count_text(base_per_s * self.mean()),
            count_text(records),
            self.source
        );
        text
    }

    fn draw(&self, text: &mut String, base_per_s: f64, duration: Duration) {
        let peak = self.peak();
        // What a column shows is the mean over its width, so that a cliff has its place.
        let columns: Vec<f64> = (0..WIDTH)
            .map(|column| {
                let (begin, end) = (column as f64, (column + 1) as f64);
                let area =
                    self.integral_to(end / WIDTH as f64) - self.integral_to(begin / WIDTH as f64);
                area * WIDTH as f64
            })
            .collect();
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

    fn list(&self, text: &mut String, base_per_s: f64, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let name_width = self.phases.iter().map(|phase| phase.name.len()).max().unwrap_or(0);
        for (begin, phase) in self.with_begins() {
            let _ = writeln!(
                text,
                "  {:name_width$}  {:>7} s to {:>7} s  {:>8}/s → {:>8}/s",
                phase.name,
                three_digits(begin * seconds),
                three_digits(phase.until * seconds),
                count_text(phase.from * base_per_s),
                count_text(phase.end() * base_per_s),
            );
        }
    }
}
