//! What brokers can take, and what it costs them.

use super::{
    Dot, Results, WIDTH, is_valid, ratio_cell, rows, series, spread, spread_text, verdict_of,
};
use crate::matrix::{CellRun, Load, Measured};
use crate::plot::{Axis, DotChart, DotRow};
use crate::report::{Cell, Document, Table, common, curves};
use crate::units::{bytes_text, count_text, percent_text, three_digits};

/// Bytes of values per second, in megabytes.
fn megabytes_per_s(measured: &Measured) -> f64 {
    measured.outcome.bytes_per_s() / 1e6
}

fn client_cpu(measured: &Measured) -> f64 {
    measured.outcome.cpu.iter().map(|cpu| cpu.busiest_second).fold(0.0, f64::max)
}

pub(super) fn put(document: &mut Document, results: &Results) {
    let rows = rows(results, |load| matches!(load, Load::Saturating(_)));
    let Some(settings) = results.scenario.throughput.as_ref().filter(|_| !rows.is_empty()) else {
        return;
    };
    document.heading("Throughput");
    document.text(format!(
        "A closed loop: {} of records in flight over {} connections and {} partitions, whatever \
         the broker makes of it. It shows what a broker can take; how long a user waits is asked \
         below, at a rate. Records are read back after producing has ended.",
        settings.in_flight.text(),
        settings.connections,
        settings.partitions
    ));
    put_charts(document, results, &rows);
    put_table(document, results, &rows);
    put_journals(document, results, &rows);
    if let [_, _, ..] = results.brokers.as_slice() {
        put_ratios(document, results, &rows);
    }
}

fn put_charts(document: &mut Document, results: &Results, rows: &[(String, Vec<Vec<&CellRun>>)]) {
    let chart = |title: &str, label: &str, number: fn(&Measured) -> f64| {
        let dots: Vec<DotRow> = rows
            .iter()
            .map(|(name, by_broker)| DotRow {
                name: short_name(name),
                dots: by_broker
                    .iter()
                    // What does not count is not drawn; the table has it.
                    .map(|runs| spread(runs, number).filter(|_| !is_unproven(runs)))
                    .collect(),
            })
            .collect();
        let all = dots.iter().flat_map(|row| row.dots.iter().flatten());
        let (low, high) = all.fold((f64::INFINITY, 0.0_f64), |(low, high), dot| {
            (low.min(dot.min), high.max(dot.max))
        });
        let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
        DotChart {
            title: title.to_owned(),
            x: Axis::log(label, low, high, curves::short),
            series: series(results),
            rows: dots,
            width: WIDTH,
        }
        .picture()
    };
    let pictures = vec![
        chart("Throughput", "MB/s of values, log scale: right is better", megabytes_per_s),
        chart("Broker CPU", "processor seconds per GB, log scale: left is better", |it| {
            it.cpu_s_per_gb()
        }),
    ];
    document.figures(2, pictures, "Medians of the repetitions, with the lowest and the highest.");
}

fn is_unproven(runs: &[&CellRun]) -> bool {
    let proof = |run: &&CellRun| run.measured.as_ref().ok().map(|measured| measured.proof);
    runs.iter().any(|run| proof(run) == Some(crate::matrix::FlushProof::DidNotMove))
}

/// Without what all rows say.
fn short_name(name: &str) -> String {
    name.replace("records of ", "").replace("batches of ", "in ")
}

fn put_table(document: &mut Document, results: &Results, rows: &[(String, Vec<Vec<&CellRun>>)]) {
    let head = [
        "cell",
        "broker",
        "values/s",
        "records/s",
        "CPU s/GB",
        "broker CPU",
        "memory",
        "flushes/s",
        "records/flush",
        "generator CPU",
        "verdict",
    ];
    let mut lines = Vec::new();
    for (name, by_broker) in rows {
        for (broker, runs) in results.brokers.iter().zip(by_broker) {
            if runs.is_empty() {
                continue;
            }
            let number = |number: fn(&Measured) -> f64, text: fn(f64) -> String| {
                Cell::from(spread_text(spread(runs, number), text))
            };
            let known = |cell: Cell| if broker.is_known { cell } else { Cell::from("–") };
            lines.push(vec![
                Cell::from(short_name(name)),
                broker.name.as_str().into(),
                number(|it| it.outcome.bytes_per_s(), bytes_text),
                number(|it| it.outcome.rate_per_s(), count_text),
                known(number(Measured::cpu_s_per_gb, three_digits)),
                known(number(|it| it.usage.cpu_share(), percent_text)),
                known(number(|it| it.usage.resident_bytes_max as f64, bytes_text)),
                number(Measured::flushes_per_s, count_text),
                number(|it| it.records_per_flush().unwrap_or(0.0), count_text),
                number(client_cpu, percent_text),
                verdict_of(runs),
            ]);
        }
    }
    let note = "Medians of the repetitions, below them the lowest and the highest. Values are \
                record values without keys and framing. Flushes are flush requests that the \
                device completed, whoever caused them; 0 records/flush means that there was none. \
                Generator CPU is that of its busiest second.";
    document.table(Table {
        head: head.map(str::to_owned).to_vec(),
        rows: lines,
        note: Some(note.to_owned()),
    });
}

/// Of the last repetition of each cell.
fn put_journals(document: &mut Document, results: &Results, rows: &[(String, Vec<Vec<&CellRun>>)]) {
    let mut told = Vec::new();
    for (name, by_broker) in rows {
        for (broker, runs) in results.brokers.iter().zip(by_broker) {
            let last = runs.last().and_then(|run| run.measured.as_ref().ok());
            let name = format!("{}, {}", short_name(name), broker.name);
            told.push((name, last.and_then(|measured| measured.usage.journal)));
        }
    }
    common::put_journal(document, &told);
}

fn put_ratios(document: &mut Document, results: &Results, rows: &[(String, Vec<Vec<&CellRun>>)]) {
    let (ours, theirs) = (&results.brokers[0].name, &results.brokers[1].name);
    let head = ["cell", "throughput", "CPU per GB", "memory"].map(str::to_owned).to_vec();
    let lines = rows.iter().map(|(name, by_broker)| {
        let ratio = |number: fn(&Measured) -> f64, more_is_better| {
            let of = |runs: &[&CellRun]| -> Option<Dot> { spread(runs, number) };
            let is_valid = is_valid(&by_broker[0]) && is_valid(&by_broker[1]);
            ratio_cell(of(&by_broker[0]), of(&by_broker[1]), more_is_better, is_valid)
        };
        vec![
            Cell::from(short_name(name)),
            ratio(megabytes_per_s, true),
            ratio(Measured::cpu_s_per_gb, false),
            ratio(|it| it.usage.resident_bytes_max as f64, false),
        ]
    });
    let rows = lines.collect();
    let note = format!(
        "{ours} divided by {theirs}, medians of the repetitions. Where {ours} is worse, the number \
         stands out; numbers in italics do not count, as one of the two is not valid."
    );
    document.table(Table { head, rows, note: Some(note) });
}
