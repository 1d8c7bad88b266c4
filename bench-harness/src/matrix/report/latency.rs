//! How brokers answer at a rate that does not wait for them.

use loadgen::measure::{Clock, Histogram, Summary, histogram};

use super::{
    Dot, Results, WIDTH, is_valid, ratio_cell, rows, series, spread, spread_text, verdict_of,
};
use crate::matrix::{CellRun, Load, Measured};
use crate::plot::{Axis, Chart, Line};
use crate::report::{Cell, Document, Table, common, curves};
use crate::units::{grouped, percent_text, time_text, whole};

pub(super) fn put(document: &mut Document, results: &Results) {
    let rows = rows(results, |load| matches!(load, Load::Rate(_)));
    let Some(settings) = results.scenario.latency.as_ref().filter(|_| !rows.is_empty()) else {
        return;
    };
    document.heading("Latency at a rate");
    document.text(format!(
        "An open loop: records are sent at the times of a Poisson process that was drawn before \
         the run, over {} connections and {} partitions, linger {}. Response runs from the \
         intended time to the acknowledgement, end to end from the intended time to the consumer.",
        settings.connections, settings.partitions, settings.linger
    ));
    put_curves(document, results, &rows);
    put_table(document, results, &rows);
}

/// All repetitions of a cell in one histogram.
fn total(runs: &[&CellRun], clock: Clock) -> Histogram {
    let mut sum = histogram();
    for measured in runs.iter().filter_map(|run| run.measured.as_ref().ok()) {
        sum.add(measured.outcome.measurements.total(clock)).expect("it grows with its values");
    }
    sum
}

fn put_curves(document: &mut Document, results: &Results, rows: &[(String, Vec<Vec<&CellRun>>)]) {
    let drawn: Vec<(&str, Vec<Line>)> = rows
        .iter()
        .map(|(name, by_broker)| {
            let lines = by_broker.iter().zip(series(results)).map(|(runs, (broker, color))| {
                let total = total(runs, Clock::Response);
                Line::new(&broker, color, curves::percentiles(&total))
            });
            (name.as_str(), lines.filter(|line| !line.points.is_empty()).collect())
        })
        .collect();
    let all = || drawn.iter().flat_map(|(_, lines)| lines).map(|line| &line.points);
    let y = curves::latency_axis(all());
    let furthest = all().filter_map(|points| points.last()).map(|(place, _)| *place);
    let x = Axis::nines("percentile of records", furthest.fold(1.0, f64::max));
    let pictures = drawn.into_iter().map(|(name, lines)| {
        Chart {
            title: format!("Response: {name}"),
            x: x.clone(),
            y: y.clone(),
            lines,
            bands: vec![],
            width: WIDTH,
            height: 300.0,
        }
        .picture()
    });
    document.figures(
        2,
        pictures.collect(),
        "All repetitions in one histogram. Each curve ends where ten samples are left.",
    );
}

fn put_table(document: &mut Document, results: &Results, rows: &[(String, Vec<Vec<&CellRun>>)]) {
    let mut head = vec!["cell".to_owned(), "broker".to_owned(), "clock".to_owned()];
    head.extend(
        ["samples", "p50", "p99", "p99.9", "max", "p99 ratio", "broker CPU", "verdict"]
            .map(str::to_owned),
    );
    let mut lines = Vec::new();
    for (name, by_broker) in rows {
        for clock in [Clock::Response, Clock::EndToEnd] {
            for (index, (broker, runs)) in results.brokers.iter().zip(by_broker).enumerate() {
                if runs.is_empty() {
                    continue;
                }
                let p99 = |runs: &[&CellRun]| quantile_spread(runs, clock, |it| it.p99);
                let ratio = match results.brokers.len() {
                    2.. if index == 0 => {
                        let is_valid = is_valid(runs) && is_valid(&by_broker[1]);
                        ratio_cell(p99(runs), p99(&by_broker[1]), false, is_valid)
                    }
                    _ => Cell::from("–"),
                };
                let of = |choose: fn(&Summary) -> Option<u64>| match quantile_spread(
                    runs, clock, choose,
                ) {
                    None => Cell::invalid("too few"),
                    dot => Cell::from(spread_text(dot, |ns| time_text(whole(ns)))),
                };
                let cpu = spread(runs, |it: &Measured| it.usage.cpu_share());
                lines.push(vec![
                    Cell::from(name.as_str()),
                    broker.name.as_str().into(),
                    clock.name().into(),
                    grouped(total(runs, clock).len()).into(),
                    of(|it| it.p50),
                    of(|it| it.p99),
                    of(|it| it.p99_9),
                    of(|it| Some(it.max)),
                    ratio,
                    if broker.is_known {
                        spread_text(cpu, percent_text).into()
                    } else {
                        "–".into()
                    },
                    verdict_of(runs),
                ]);
            }
        }
    }
    let note = format!(
        "Percentiles of each repetition: their median, below it the lowest and the highest. \
         Samples are those of all repetitions. {}",
        common::percentile_note()
    );
    document.table(Table { head, rows: lines, note: Some(note) });
}

/// One percentile of every repetition; none unless all of them have samples enough.
fn quantile_spread(
    runs: &[&CellRun],
    clock: Clock,
    choose: impl Fn(&Summary) -> Option<u64>,
) -> Option<Dot> {
    let measured = runs.iter().filter_map(|run| run.measured.as_ref().ok());
    let values: Option<Vec<f64>> =
        measured.map(|it| choose(&it.outcome.summary(clock)).map(|ns| ns as f64)).collect();
    let (median, min, max) = crate::units::median_min_max(&values?)?;
    Some(Dot { median, min, max })
}
