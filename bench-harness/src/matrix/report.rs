//! The report of a scenario.

mod bare;
mod latency;
mod throughput;

use loadgen::ledger::Counts;

use super::{BrokerResults, CellRun, FlushProof, Load, Measured, Results, seconds_text};
use crate::plot::{Color, Dot};
use crate::report::common::capitalised;
use crate::report::{Cell, Document, Table, common};
use crate::units::{bytes_text, grouped, median_min_max, percent_text, three_digits};

const WIDTH: f64 = 600.0;

pub(super) fn document(results: &Results) -> Document {
    let mut document = Document::new(&format!("Scenario {}", results.scenario.name));
    put_verdict(&mut document, results);
    document.text(format!(
        "{}. Commit `{}`, {}. {}. {}; brokers take turns, each starts fresh in every repetition.",
        capitalised(&results.scenario.about),
        results.commit,
        results.began,
        capitalised(&results.placement.reason),
        match results.scenario.repetitions {
            1 => "One repetition".to_owned(),
            count => format!("{count} repetitions"),
        }
    ));
    document.code(results.command.clone());
    bare::put(&mut document, results);
    throughput::put(&mut document, results);
    latency::put(&mut document, results);
    put_idle(&mut document, results);
    put_books(&mut document, results);
    put_errors(&mut document, results);
    document.heading("Settings");
    document.text("The scenario; `results.json` has every setting of every run.");
    document.code(toml::to_string(&results.scenario).unwrap_or_default());
    for broker in &results.brokers {
        document.text(format!("Of {}:", broker.name));
        document.table(common::settings_table(&broker.settings));
    }
    common::put_host(&mut document, &results.facts);
    put_limits(&mut document);
    document
}

fn put_verdict(document: &mut Document, results: &Results) {
    let runs = || results.brokers.iter().flat_map(|broker| &broker.cells);
    let count = |is: fn(&CellRun) -> bool| runs().filter(|run| is(run)).count();
    let failed = count(|run| run.measured.is_err());
    let broken = count(|run| run.measured.is_ok() && !run.is_kept());
    let measured = |run: &CellRun, is: fn(&Measured) -> bool| run.measured.as_ref().is_ok_and(is);
    let unproven =
        runs().filter(|run| measured(run, |it| it.proof == FlushProof::DidNotMove)).count();
    let bound = runs()
        .filter(|run| measured(run, |it| !it.outcome.verdict().client_bound.is_empty()))
        .count();
    let all = runs().count();
    let acknowledged: u64 = runs()
        .filter_map(|run| run.measured.as_ref().ok())
        .map(|measured| measured.outcome.counts.acknowledged)
        .sum();
    if broken == 0 && failed == 0 {
        document.verdict(
            true,
            format!(
                "{} runs of cells; all {} acknowledged records were read back once, intact and in \
                 order.",
                all,
                grouped(acknowledged)
            ),
        );
    }
    let wrong = [
        (
            broken,
            "in which the broker did not keep what it had acknowledged, or acknowledged nothing",
        ),
        (failed, "that did not come to an end"),
        (unproven, "that claim to be durable while the device was never flushed: invalid"),
        (bound, "that are client-bound and say little about the broker"),
    ];
    for (count, what) in wrong {
        if count != 0 {
            document.verdict(false, format!("{count} of {all} runs {what}."));
        }
    }
}

/// The median of one number over the repetitions of a cell, with its spread.
fn spread(runs: &[&CellRun], number: impl Fn(&Measured) -> f64) -> Option<Dot> {
    let numbers: Vec<f64> =
        runs.iter().filter_map(|run| run.measured.as_ref().ok()).map(number).collect();
    let (median, min, max) = median_min_max(&numbers)?;
    Some(Dot { median, min, max })
}

/// A median and its spread in a cell of a table.
fn spread_text(dot: Option<Dot>, text: impl Fn(f64) -> String) -> String {
    match dot {
        None => "–".to_owned(),
        Some(Dot { median, min, max }) if min == max => text(median),
        Some(Dot { median, min, max }) => {
            format!("{}\n{}–{}", text(median), text(min), text(max))
        }
    }
}

/// Whether the runs of a cell count, in a word or two.
fn verdict_of(runs: &[&CellRun]) -> Cell {
    let measured: Vec<&Measured> =
        runs.iter().filter_map(|run| run.measured.as_ref().ok()).collect();
    let any = |is: fn(&Measured) -> bool| measured.iter().any(|it| is(it));
    if measured.len() < runs.len() {
        return Cell::bad("failed");
    }
    if any(|it| !it.outcome.verdict().is_kept) {
        return Cell::bad("broken");
    }
    if any(|it| it.outcome.verdict().is_hollow) {
        return Cell::bad("nothing came through");
    }
    if any(|it| it.proof == FlushProof::DidNotMove) {
        return Cell::invalid("invalid: no flush");
    }
    if any(|it| !it.outcome.verdict().client_bound.is_empty()) {
        return Cell::invalid("client-bound");
    }
    Cell::from("verified")
}

/// Whether every run of a cell says something about its broker.
fn is_valid(runs: &[&CellRun]) -> bool {
    runs.iter().all(|run| run.is_kept() && run.measured.as_ref().is_ok_and(Measured::is_valid))
}

/// The runs of each cell of this kind of load, by broker and in the order of the scenario.
fn rows(results: &Results, is_kind: fn(&Load) -> bool) -> Vec<(String, Vec<Vec<&CellRun>>)> {
    let mut rows: Vec<(String, Vec<Vec<&CellRun>>)> = Vec::new();
    for (index, broker) in results.brokers.iter().enumerate() {
        for (name, runs) in super::cell::by_cell(&broker.cells) {
            if !runs.first().is_some_and(|run| is_kind(&run.cell.load)) {
                continue;
            }
            let known = rows.iter().position(|(known, _)| *known == name);
            let row = known.unwrap_or_else(|| {
                rows.push((name, vec![Vec::new(); results.brokers.len()]));
                rows.len() - 1
            });
            rows[row].1[index] = runs;
        }
    }
    rows
}

/// The brokers with their colours.
fn series(results: &Results) -> Vec<(String, Color)> {
    let names = results.brokers.iter().map(|broker| broker.name.clone());
    names.zip(Color::SERIES.into_iter().cycle()).collect()
}

fn put_idle(document: &mut Document, results: &Results) {
    let measured: Vec<(&BrokerResults, super::IdleUse)> =
        results.brokers.iter().filter_map(|broker| Some((broker, broker.idle?))).collect();
    if measured.is_empty() {
        return;
    }
    document.heading("At rest");
    let head = [
        "broker",
        "partitions",
        "CPU without topics",
        "CPU with them",
        "memory without",
        "with them",
        "bytes per partition",
        "making them took",
        "start to serving",
    ];
    let rows = measured.into_iter().map(|(broker, idle)| {
        let start =
            median_min_max(&broker.started_in_s).map(|(median, min, max)| Dot { median, min, max });
        let cells = [
            broker.name.clone(),
            idle.partitions.to_string(),
            percent_text(idle.empty.cpu_share()),
            percent_text(idle.idle.cpu_share()),
            bytes_text(idle.empty.resident_bytes_max as f64),
            bytes_text(idle.idle.resident_bytes_max as f64),
            bytes_text(idle.bytes_per_partition()),
            seconds_text(idle.creation_s),
            spread_text(start, seconds_text),
        ];
        cells.into_iter().map(Cell::from).collect()
    });
    let rows = rows.collect();
    let note = "Processor time is in shares of one processor, memory is what is resident. Nothing \
                is produced or consumed, and no client is connected.";
    document.table(Table {
        head: head.map(str::to_owned).to_vec(),
        rows,
        note: Some(note.to_owned()),
    });
}

fn put_books(document: &mut Document, results: &Results) {
    document.heading("What became of every record");
    let head = [
        "broker",
        "sent",
        "acknowledged",
        "failed",
        "unknown",
        "consumed",
        "missing",
        "duplicated",
        "out of order",
        "corrupt",
    ];
    let rows = results.brokers.iter().map(|broker| {
        // What was sent without asking for an answer is promised nothing.
        let sum = |is_answered: bool| {
            let measured = broker.cells.iter().filter_map(|run| run.measured.as_ref().ok());
            let of_kind = measured
                .filter(|it| it.outcome.settings.acks.is_answered() == is_answered)
                .map(|it| it.outcome.counts);
            of_kind.fold(Counts::default(), Counts::plus)
        };
        let (answered, all) = (sum(true), sum(true).plus(sum(false)));
        let wrong = |count: u64| Cell::bad_if(count != 0, grouped(count));
        vec![
            Cell::from(broker.name.as_str()),
            grouped(all.sent).into(),
            grouped(answered.acknowledged).into(),
            grouped(answered.failed).into(),
            grouped(answered.unknown).into(),
            grouped(all.consumed).into(),
            wrong(answered.missing),
            wrong(all.duplicated),
            wrong(all.out_of_order),
            wrong(all.corrupt),
        ]
    });
    let rows = rows.collect();
    let note = "Over all cells. Missing are acknowledged records that were not read back.";
    document.table(Table {
        head: head.map(str::to_owned).to_vec(),
        rows,
        note: Some(note.to_owned()),
    });
}

fn put_errors(document: &mut Document, results: &Results) {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut row = |broker: &str, place: String, what: String| {
        rows.push(vec![Cell::from(broker), place.into(), what.into()]);
    };
    for broker in &results.brokers {
        for error in &broker.errors {
            row(&broker.name, "–".to_owned(), error.clone());
        }
        for run in &broker.cells {
            let place = format!("{}, repetition {}", run.cell.name(), run.repetition + 1);
            match &run.measured {
                Err(error) => row(&broker.name, place, error.clone()),
                Ok(measured) => {
                    for (note, count) in &measured.outcome.notes {
                        row(&broker.name, place.clone(), format!("{count} × {note}"));
                    }
                    for reason in measured.outcome.verdict().client_bound {
                        row(&broker.name, place.clone(), format!("client-bound: {reason}"));
                    }
                }
            }
        }
    }
    if !rows.is_empty() {
        document.heading("What went wrong");
        let head = ["broker", "where", "what"].map(str::to_owned).to_vec();
        document.table(Table { head, rows, note: None });
    }
}

fn put_limits(document: &mut Document) {
    document.heading("What this does not say");
    document.text(
        "Brokers and load generator run on one host over loopback: no network, one replica. Runs \
         are short, so nothing here is about retention, compaction, full disks or warm caches of \
         days. Everything that is read back comes from memory. Compare brokers within this report \
         only: another host gives other numbers.",
    );
}

/// How the first broker compares with the second: a ratio, and whether it lost. `is_valid` is
/// whether both numbers say something about their brokers.
fn ratio_cell(
    ours: Option<Dot>,
    theirs: Option<Dot>,
    more_is_better: bool,
    is_valid: bool,
) -> Cell {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return Cell::from("–") };
    if theirs.median <= 0.0 {
        return Cell::from("–");
    }
    let ratio = ours.median / theirs.median;
    let text = format!("{}×", three_digits(ratio));
    if !is_valid {
        return Cell::invalid(text);
    }
    let has_lost = if more_is_better { ratio < 1.0 } else { 1.0 < ratio };
    Cell::bad_if(has_lost, text)
}
