//! What brokers can take, and what it costs them.

use super::{Part, WIDTH, numbers_of, spread, spread_cell};
use crate::matrix::run::{FlushProof, Numbers};
use crate::plot::{Axis, Dot, DotChart, DotRow, Picture};
use crate::report::{Cell, Document, common, curves};
use crate::scenario::Closed;
use crate::units::{bytes_text, count_text, percent_text, three_digits, time_text, whole};

pub(super) fn put(document: &mut Document, part: &Part<'_>, load: &Closed) {
    document.text(format!(
        "A closed loop: {} of records in flight, whatever the broker makes of it. It shows what a \
         broker can take; how long a user waits is asked at a rate. Records are read back after \
         producing has ended. {}.",
        load.in_flight.text(),
        crate::report::common::capitalised(&part.conditions()),
    ));
    let pictures = vec![
        chart(part, "Throughput", "MB/s of values, log scale: right is better", |it| {
            Some(it.bytes_per_s / 1e6)
        }),
        chart(part, "Broker CPU", "processor seconds per GB, log scale: left is better", |it| {
            it.cpu_s_per_gb
        }),
    ];
    document.figures(2, pictures, "Medians of the repetitions, with the lowest and the highest.");
    let head = [
        "values/s",
        "records/s",
        "CPU s/GB",
        "broker CPU",
        "memory",
        "flushes/s",
        "records/flush",
        "a flush took",
        "switches/s",
        "generator CPU",
        "its CPU s/GB",
    ];
    let note = "Medians of the repetitions, below them the lowest and the highest. Values are \
                record values without keys and framing. Flushes are flush requests that the \
                device completed, whoever caused them; switches are those of the broker's threads. Generator CPU is that of its busiest \
                second.";
    document.table(part.table(&head, note, row));
    put_journals(document, part);
}

fn row(runs: &[&Numbers]) -> Vec<Cell> {
    vec![
        spread_cell(runs, |it| Some(it.bytes_per_s), bytes_text),
        spread_cell(runs, |it| Some(it.records_per_s), count_text),
        spread_cell(runs, |it| it.cpu_s_per_gb, three_digits),
        spread_cell(runs, |it| it.cpu_s_per_gb.map(|_| it.usage.cpu_share()), percent_text),
        spread_cell(
            runs,
            |it| it.cpu_s_per_gb.map(|_| it.usage.resident_bytes_max as f64),
            bytes_text,
        ),
        spread_cell(runs, |it| Some(it.flushes_per_s()), count_text),
        spread_cell(runs, Numbers::records_per_flush, count_text),
        spread_cell(runs, Numbers::flush_ns, |ns| time_text(whole(ns))),
        spread_cell(runs, |it| Some(it.usage.switches?.per_s()), count_text),
        spread_cell(runs, |it| Some(it.generator_busiest()), percent_text),
        spread_cell(runs, |it| Some(it.generator_cpu_s_per_gb), three_digits),
    ]
}

fn chart(
    part: &Part<'_>,
    title: &str,
    label: &str,
    number: fn(&Numbers) -> Option<f64>,
) -> Picture {
    let dots = part.cells.iter().map(|cell| {
        let of_brokers = part.brokers.iter().map(|broker| -> Option<Dot> {
            let runs = part.runs(cell, *broker);
            let numbers = numbers_of(&runs);
            // What does not count is not drawn; the table has it.
            let is_unproven = |it: &&Numbers| it.flush_proof == FlushProof::DidNotMove;
            spread(&numbers, number).filter(|_| !numbers.iter().any(is_unproven))
        });
        DotRow { name: part.name(cell), dots: of_brokers.collect() }
    });
    let rows: Vec<DotRow> = dots.collect();
    let all = rows.iter().flat_map(|row| row.dots.iter().flatten());
    let (low, high) = all
        .fold((f64::INFINITY, 0.0_f64), |(low, high), dot| (low.min(dot.min), high.max(dot.max)));
    let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
    let series =
        part.brokers.iter().map(|it| (part.broker(*it).to_owned(), part.results.color(*it)));
    DotChart {
        title: title.to_owned(),
        x: Axis::log(label, low, high, curves::short),
        series: series.collect(),
        rows,
        width: WIDTH,
    }
    .picture()
}

/// Of the last repetition of each cell.
fn put_journals(document: &mut Document, part: &Part<'_>) {
    let mut told = Vec::new();
    for cell in &part.cells {
        for &broker in &part.brokers {
            let runs = part.runs(cell, broker);
            let journal = numbers_of(&runs).last().and_then(|numbers| numbers.usage.journal);
            told.push((format!("{}, {}", part.name(cell), part.broker(broker)), journal));
        }
    }
    common::put_journal(document, &told);
}
