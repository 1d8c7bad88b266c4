//! Runs in plain text.

mod calibration;
mod groups;

use std::fmt::Write;

use model::record_batch::Compression;

use crate::condition;
use crate::ledger::Counts;
use crate::measure::{Clock, QUANTILES, Summary};
use crate::outcome::Outcome;
use crate::record::Headers;
use crate::settings::{Base, Load, RecordSettings, Settings};
use crate::units::{bytes_text, count_text, grouped, nanos, three_digits, time_text};

pub use calibration::calibration;
pub use groups::groups;

/// What a refused percentile shows.
pub const TOO_FEW: &str = "too few";

/// Rows of cells, the first of them the heading; the first column to the left, the rest to the
/// right.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A summary as cells: the number of samples, the percentiles, the maximum.
pub fn summary_cells(summary: &Summary) -> Vec<String> {
    let quantiles = summary.quantiles().map(|value| value.map_or(TOO_FEW.to_owned(), time_text));
    let mut cells = vec![grouped(summary.count)];
    cells.extend(quantiles);
    cells.push(if summary.count == 0 { "-".to_owned() } else { time_text(summary.max) });
    cells
}

/// The headings of [`summary_cells`].
pub fn summary_heading() -> Vec<String> {
    let quantiles = QUANTILES.map(|(name, _)| name.to_owned());
    let mut cells = vec!["samples".to_owned()];
    cells.extend(quantiles);
    cells.push("max".to_owned());
    cells
}

/// The run, its latencies, its books and its verdict.
pub fn outcome(outcome: &Outcome) -> String {
    let mut text = heading(outcome);
    text.push('\n');
    let mut rows = vec![row("latency", summary_heading())];
    let summaries = Clock::ALL.map(|clock| (clock, outcome.summary(clock)));
    let measured = || summaries.iter().filter(|(_, summary)| summary.count != 0);
    for (clock, summary) in measured() {
        rows.push(row(clock.name(), summary_cells(summary)));
    }
    text.push_str(&aligned(&rows));
    for (clock, _) in measured() {
        let _ = writeln!(text, "  {:<11} {}", clock.name(), clock.meaning());
    }
    if !outcome.is_open() {
        text.push_str("  a closed loop: these are no times that a user would see\n");
    }
    text.push('\n');
    text.push_str(&counts(&outcome.counts, outcome.settings.acks.is_answered()));
    text.push('\n');
    if !outcome.readers.is_empty() {
        text.push_str(&readers(outcome));
        text.push('\n');
    }
    for (note, count) in &outcome.notes {
        let _ = writeln!(text, "{count} × {note}");
    }
    text.push_str(&verdict(outcome));
    text
}

fn row(name: &str, cells: Vec<String>) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    row.extend(cells);
    row
}

/// What a run is, in one line.
pub fn title(settings: &Settings) -> String {
    let load = match &settings.load {
        Load::Open(open) => format!(
            "{} at {} for {}, linger {}",
            open.profile.name,
            base_text(open.base),
            open.duration,
            open.linger
        ),
        Load::Closed(closed) => {
            format!("closed loop, {} in flight for {}", closed.in_flight, closed.duration)
        }
    };
    let RecordSettings { size, codec, headers, .. } = &settings.records;
    let headers = match *headers {
        Headers::NONE => String::new(),
        headers => format!(" with headers {headers}"),
    };
    let codec = match codec.0 {
        Compression::None => String::new(),
        codec => format!(", {}", codec.name()),
    };
    format!("{load}, acks={}, records of {size}{headers}{codec}", settings.acks.name())
}

fn heading(outcome: &Outcome) -> String {
    let settings = &outcome.settings;
    format!(
        "{}\n{} records/s, {}/s {}; generator at {} % of its processor, {} % in its busiest second\n",
        title(settings),
        count_text(outcome.rate_per_s()),
        bytes_text(outcome.bytes_per_s()),
        if settings.acks.is_answered() { "acknowledged" } else { "written" },
        shares(outcome, |cpu| cpu.mean),
        shares(outcome, |cpu| cpu.busiest_second),
    )
}

/// A share with what it comes to.
fn base_text(base: Base) -> String {
    match base {
        Base::Rate(rate) => rate.to_string(),
        Base::Auto { .. } => base.to_string(),
        Base::Measured { share, saturation } => {
            format!("{}/s ({base})", count_text(share * saturation.0))
        }
    }
}

fn shares(outcome: &Outcome, share: impl Fn(&crate::outcome::WorkerCpu) -> f64) -> String {
    let shares = outcome.cpu.iter().map(|cpu| three_digits(share(cpu) * 100.0));
    shares.collect::<Vec<_>>().join(" / ")
}

/// The books, without what is zero and goes without saying.
pub fn counts(counts: &Counts, is_acknowledging: bool) -> String {
    let always = [
        ("sent", counts.sent),
        ("acknowledged", counts.acknowledged),
        ("failed", counts.failed),
        ("unknown", counts.unknown),
        ("consumed", counts.consumed),
        ("missing", counts.missing),
        ("duplicated", counts.duplicated),
        ("out of order", counts.out_of_order),
        ("corrupt", counts.corrupt),
    ];
    let sometimes = [
        ("unsent", counts.unsent),
        ("refused but stored", counts.failed_but_consumed),
        ("of other runs", counts.foreign),
    ];
    let is_meant =
        |name: &str| is_acknowledging || !matches!(name, "acknowledged" | "failed" | "unknown");
    let always = always.into_iter().filter(|(name, _)| is_meant(name));
    let shown = always.chain(sometimes.into_iter().filter(|(_, count)| *count != 0));
    let cells: Vec<(String, String)> =
        shown.map(|(name, count)| (name.to_owned(), grouped(count))).collect();
    let (names, numbers) = cells.into_iter().unzip();
    aligned(&[names, numbers])
}

/// What the readers had, and when they had all of it, counted from the end of the schedule.
fn readers(outcome: &Outcome) -> String {
    let heading = ["consumer", "records", "p50", "p99", "max", "had everything", "verdict"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let (warm_up, duration) = outcome.settings.load.times();
    let schedule_end_ns = nanos(warm_up + duration);
    for reader in &outcome.readers {
        let times = Summary::of(&reader.measurements.total(Clock::EndToEnd));
        let time = |time: Option<u64>| time.map_or(TOO_FEW.to_owned(), time_text);
        let ended = reader.counts.ended_ns.map(|ended_ns| ended_ns.saturating_sub(schedule_end_ns));
        rows.push(vec![
            reader.settings.to_string(),
            grouped(reader.counts.records),
            time(times.p50),
            time(times.p99),
            time_text(times.max),
            ended.map_or("never".to_owned(), |after| format!("{} after the end", time_text(after))),
            if outcome.is_whole(&reader.counts) { "whole" } else { "BROKEN" }.to_owned(),
        ]);
    }
    aligned(&rows)
}

fn verdict(outcome: &Outcome) -> String {
    let verdict = outcome.verdict();
    let mut text = String::new();
    let _ = match (verdict.is_kept, outcome.settings.acks.is_answered()) {
        (true, _) if verdict.is_hollow => {
            writeln!(text, "NOTHING CAME THROUGH: there is nothing that could be verified")
        }
        (true, true) => writeln!(
            text,
            "verified: every acknowledged record was read back once, intact and in order"
        ),
        (true, false) => writeln!(
            text,
            "verified: what was read back was intact, in order and there once; {} of {} sent \
             records are missing, and none was promised",
            grouped(outcome.counts.missing),
            grouped(outcome.counts.sent)
        ),
        (false, _) => writeln!(text, "BROKEN: the broker did not keep what it had acknowledged"),
    };
    for reason in &verdict.client_bound {
        let _ = writeln!(text, "client-bound: {reason}");
    }
    for failure in condition::failures(outcome) {
        let _ = writeln!(text, "FAILED {failure}");
    }
    text
}
