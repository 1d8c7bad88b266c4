//! The report of a matrix, from what is in its folder.

mod summary;
mod closed;
mod open;
mod timeline;
mod rest;
mod consumer_groups;

use super::cell::Cell as MatrixCell;
use super::comparison::{Comparison, Finding, Metric};
use super::results::Results;
use super::run::{FlushProof, Numbers, Run};
use crate::plot::{
    Axis, Better, Color, Comparison as Compared, Dot, Estimate, ForestPlot, ForestRow,
};
use crate::report::common::capitalised;
use crate::report::{Cell, Document, Table, curves};
use crate::scenario::{Group, GroupLoad};
use crate::units::{median_min_max, three_digits};

pub use summary::terminal;

/// Of pictures that stand two in a row.
const WIDTH: f64 = 600.0;

impl Results {
    /// All of it as one document.
    pub fn document(&self) -> Document {
        let comparisons = self.comparisons();
        let mut document = Document::new(&capitalised(&self.scenario.about));
        summary::put(&mut document, self, &comparisons);
        for group in &self.scenario.groups {
            let part = Part::new(self, group, &comparisons);
            document.heading(&capitalised(&group.name.replace('-', " ")));
            if !group.about.is_empty() {
                document.text(capitalised(&group.about));
            }
            match &group.load {
                GroupLoad::Closed(load) => closed::put(&mut document, &part, load),
                GroupLoad::Open(load) => open::put(&mut document, &part, load),
            }
            part.put_comparisons(&mut document);
        }
        rest::put(&mut document, self);
        document
    }

    /// The brokers with their colours, by number.
    fn color(&self, broker: usize) -> Color {
        Color::SERIES[broker % Color::SERIES.len()]
    }
}

/// One group of cells.
struct Part<'a> {
    results: &'a Results,
    group: &'a Group,
    cells: Vec<MatrixCell>,
    /// The brokers that have a part in it, by number.
    brokers: Vec<usize>,
    comparisons: Vec<&'a Comparison>,
}

impl<'a> Part<'a> {
    fn new(results: &'a Results, group: &'a Group, comparisons: &'a [Comparison]) -> Part<'a> {
        Part {
            results,
            group,
            cells: results.cells(&group.name),
            brokers: results.scenario.brokers_of(&group.name),
            comparisons: comparisons.iter().filter(|it| it.cell.group == group.name).collect(),
        }
    }

    fn broker(&self, index: usize) -> &'a str {
        &self.results.scenario.brokers[index].name
    }

    fn runs(&self, cell: &MatrixCell, broker: usize) -> Vec<&'a Run> {
        self.results.runs_of(cell, self.broker(broker))
    }

    fn name(&self, cell: &MatrixCell) -> String {
        let all: Vec<&MatrixCell> = self.cells.iter().collect();
        match all.as_slice() {
            // What it is stands above it.
            [_] => self.group.name.replace('-', " "),
            _ => cell.short_name(&all),
        }
    }

    /// What all of its cells have in common, in words.
    fn conditions(&self) -> String {
        let list = |items: Vec<String>| items.join(", ");
        let group = self.group;
        let layouts = group.layouts.iter().map(|it| it.name().to_owned()).collect();
        format!(
            "{} partitions, {} connections, records of {}, acks {}; layout {}; {} measured after \
             {}, {} on each broker",
            list(group.partitions.iter().map(u32::to_string).collect()),
            list(group.connections.iter().map(u32::to_string).collect()),
            list(group.record_sizes.iter().map(|it| it.text()).collect()),
            list(group.acks.iter().map(|it| it.name().to_owned()).collect()),
            list(layouts),
            group.duration,
            group.warm_up,
            match self.results.scenario.repetitions_of(&group.name) {
                1 => "once".to_owned(),
                count => format!("{count} times"),
            }
        )
    }

    /// A row for each cell and broker that was run.
    fn table(&self, head: &[&str], note: &str, row: impl Fn(&[&Numbers]) -> Vec<Cell>) -> Table {
        let mut names = vec!["cell".to_owned(), "broker".to_owned(), "promise".to_owned()];
        names.extend(head.iter().map(|it| (*it).to_owned()));
        names.push("verdict".to_owned());
        let mut rows = Vec::new();
        for cell in &self.cells {
            for &broker in &self.brokers {
                let runs = self.runs(cell, broker);
                let numbers = numbers_of(&runs);
                let promise = cell.durability.of(broker).name();
                let mut line: Vec<Cell> =
                    vec![self.name(cell).into(), self.broker(broker).into(), promise.into()];
                if numbers.is_empty() {
                    line.extend(head.iter().map(|_| Cell::from("–")));
                } else {
                    line.extend(row(&numbers));
                }
                line.push(verdict_of(&runs));
                rows.push(line);
            }
        }
        Table { head: names, rows, note: Some(note.to_owned()) }
    }

    /// By how much the first broker is better, cell by cell.
    fn put_comparisons(&self, document: &mut Document) {
        let mut metrics: Vec<Metric> = Vec::new();
        for comparison in &self.comparisons {
            if !metrics.contains(&comparison.metric) {
                metrics.push(comparison.metric);
            }
        }
        if metrics.is_empty() {
            return;
        }
        self.put_forests(document, &metrics);
        let mut head = vec!["cell".to_owned(), "against".to_owned()];
        head.extend(metrics.iter().map(|metric| metric.name().to_owned()));
        let mut rows = Vec::new();
        for cell in &self.cells {
            for &theirs in self.brokers.iter().skip(1) {
                let theirs = self.broker(theirs);
                let mut row: Vec<Cell> = vec![self.name(cell).into(), theirs.into()];
                for metric in &metrics {
                    let of = |it: &&&Comparison| {
                        it.cell == *cell && it.theirs == theirs && it.metric == *metric
                    };
                    let found = self.comparisons.iter().find(of);
                    row.push(found.map_or(Cell::from("–"), |it| finding_cell(&it.finding)));
                }
                rows.push(row);
            }
        }
        let ours = self.brokers.first().map_or("", |broker| self.broker(*broker));
        let note = format!(
            "How many times better {ours} is: more throughput, less time, less processor time; \
             geometric means over runs that followed each other, in brackets the interval that \
             holds the middle with 95 % confidence (bootstrap over the pairs, widened for their \
             small number). Below 1 it loses, and the number stands out where that is sure. \
             In italics is what does not count, or counts only as at least."
        );
        document.table(Table { head, rows, note: Some(note) });
    }
}

impl Part<'_> {
    /// One picture for each thing that is compared.
    fn put_forests(&self, document: &mut Document, metrics: &[Metric]) {
        let Some((ours, others)) = self.brokers.split_first() else { return };
        let ours = self.broker(*ours);
        let pictures = metrics.iter().filter_map(|metric| {
            let mut rows = Vec::new();
            for &theirs in others {
                let theirs = self.broker(theirs);
                let of = |it: &&&Comparison| it.metric == *metric && it.theirs == theirs;
                let compared = self.comparisons.iter().filter(of).map(|it| {
                    let (name, estimate) = (self.name(&it.cell), estimate(&it.finding));
                    ForestRow::Comparison(Compared { name, estimate })
                });
                rows.push(ForestRow::Heading(format!("against {theirs}")));
                rows.extend(compared);
            }
            let ends = self.comparisons.iter().filter(|it| it.metric == *metric);
            let ends = ends.filter_map(|it| it.finding.ratio());
            let ends: Vec<f64> = ends
                .flat_map(|it| {
                    let (low, high) = it.interval.unwrap_or((it.value, it.value));
                    [low, high]
                })
                .collect();
            let low = ends.iter().copied().reduce(f64::min)?;
            let high = ends.iter().copied().reduce(f64::max)?;
            let plot = ForestPlot {
                title: capitalised(metric.name()),
                x: Axis::ratio("times better, log scale", low, high, curves::short),
                sides: ("worse".to_owned(), format!("{ours} better")),
                better: Better::Above,
                rows,
                width: WIDTH,
            };
            Some(plot.picture())
        });
        document.figures(
            2,
            pictures.collect(),
            "Ratios with their intervals of 95 % confidence. An interval that holds 1 decides \
             nothing.",
        );
    }
}

fn estimate(finding: &Finding) -> Estimate {
    match finding {
        Finding::AtLeast { ratio } => Estimate::AtLeast(ratio.value),
        Finding::NotCounted { reason } => Estimate::Invalid(reason.clone()),
        Finding::Better { ratio } | Finding::Worse { ratio } | Finding::Undecided { ratio } => {
            match ratio.interval {
                Some((low, high)) => Estimate::Interval { ratio: ratio.value, low, high },
                None => Estimate::Invalid(finding.text()),
            }
        }
    }
}

fn finding_cell(finding: &Finding) -> Cell {
    let text = finding.text();
    match finding {
        Finding::Worse { .. } => Cell::bad(text),
        Finding::Better { .. } | Finding::Undecided { .. } => Cell::from(text),
        Finding::AtLeast { .. } | Finding::NotCounted { .. } => Cell::invalid(text),
    }
}

fn numbers_of<'a>(runs: &[&'a Run]) -> Vec<&'a Numbers> {
    runs.iter().filter_map(|run| run.numbers.as_ref().ok()).collect()
}

/// The median of one number over the repetitions of a cell, with its spread.
fn spread(runs: &[&Numbers], number: impl Fn(&Numbers) -> Option<f64>) -> Option<Dot> {
    let numbers: Option<Vec<f64>> = runs.iter().map(|it| number(it)).collect();
    let (median, min, max) = median_min_max(&numbers?)?;
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

fn spread_cell(
    runs: &[&Numbers],
    number: impl Fn(&Numbers) -> Option<f64>,
    text: impl Fn(f64) -> String,
) -> Cell {
    Cell::from(spread_text(spread(runs, number), text))
}

/// Whether the runs of a cell count, in a word or two.
fn verdict_of(runs: &[&Run]) -> Cell {
    if runs.is_empty() {
        return Cell::invalid("not run");
    }
    let numbers = numbers_of(runs);
    let any = |is: fn(&Numbers) -> bool| numbers.iter().any(|it| is(it));
    if numbers.len() < runs.len() {
        return Cell::bad("failed");
    }
    if any(|it| !it.verdict.is_kept) {
        return Cell::bad("broken");
    }
    if any(|it| it.verdict.is_hollow) {
        return Cell::bad("nothing came through");
    }
    if any(|it| it.flush_proof == FlushProof::DidNotMove) {
        return Cell::invalid("invalid: no flush");
    }
    match numbers.iter().filter(|it| it.is_client_bound()).count() {
        0 => Cell::from("verified"),
        count if count == numbers.len() => Cell::invalid("client-bound"),
        count => Cell::invalid(format!("client-bound in {count} of {}", numbers.len())),
    }
}

/// Seconds for people.
fn seconds_text(seconds: f64) -> String {
    match seconds {
        ..0.9995 => format!("{} ms", three_digits(seconds * 1e3)),
        _ => format!("{} s", three_digits(seconds)),
    }
}
