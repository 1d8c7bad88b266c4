//! How brokers answer at rates that do not wait for them.

use loadgen::measure::{Clock, Histogram, Summary, histogram};
use loadgen::profile::Profile;

use super::{Part, WIDTH, numbers_of, seconds_text, spread, spread_cell, timeline};
use crate::matrix::Cell as MatrixCell;
use crate::matrix::cell::CellLoad;
use crate::matrix::run::Numbers;
use crate::plot::{Annotations, Axis, Chart, Color, Dash, Line, Zone};
use crate::report::{Cell, Document, common, curves};
use crate::scenario::Open;
use crate::units::{count_text, grouped, percent_text, three_digits, time_text, whole};

const CURVES_HEIGHT: f64 = 320.0;

/// One percentile of many.
type Choose = fn(&Summary) -> Option<u64>;

pub(super) fn put(document: &mut Document, part: &Part<'_>, load: &Open) {
    document.text(format!(
        "An open loop: records are sent at times that were drawn before the run, linger {}. The \
         response runs from the intended time to the acknowledgement, end to end from the intended \
         time to the consumer; so nothing that a broker keeps waiting is left out. {}.",
        load.linger,
        common::capitalised(&part.conditions()),
    ));
    if part.cells.iter().any(MatrixCell::is_timed) {
        timeline::put(document, part);
    }
    if has_stick(part) {
        put_stick(document, part);
    }
    put_curves(document, part);
    put_table(document, part);
}

/// Whether the same is done at several rates.
fn has_stick(part: &Part<'_>) -> bool {
    matches!(&part.group.load, crate::scenario::GroupLoad::Open(open) if 2 < open.peaks.len())
}

/// The rate against percentiles: one picture for each kind of cell.
fn put_stick(document: &mut Document, part: &Part<'_>) {
    let without_peak = |cell: &MatrixCell| {
        let mut cell = cell.clone();
        if let CellLoad::Open { peak, .. } = &mut cell.load {
            *peak = crate::scenario::Peak::Rate(crate::units::Rate(1.0));
        }
        cell
    };
    let mut kinds: Vec<(MatrixCell, Vec<&MatrixCell>)> = Vec::new();
    for cell in &part.cells {
        let kind = without_peak(cell);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, cells)) => cells.push(cell),
            None => kinds.push((kind, vec![cell])),
        }
    }
    let quantiles: [(&str, Dash, Choose); 3] = [
        ("p50", Dash::Dotted, |it| it.p50),
        ("p99", Dash::Solid, |it| it.p99),
        ("p99.9", Dash::Dashed, |it| it.p99_9),
    ];
    let mut drawn: Vec<(String, Vec<Line>, Option<f64>)> = Vec::new();
    let others: Vec<&MatrixCell> = kinds.iter().map(|(kind, _)| kind).collect();
    for (kind, cells) in &kinds {
        let mut lines = Vec::new();
        let mut bound_from: Option<f64> = None;
        for &broker in &part.brokers {
            for (name, dash, choose) in quantiles {
                let points = cells.iter().filter_map(|cell| {
                    let runs = part.runs(cell, broker);
                    let numbers = numbers_of(&runs);
                    let rate = spread(&numbers, |it| it.peak_per_s)?.median;
                    let time = spread(&numbers, |it| Some(choose(&it.summary())? as f64 / 1e6))?;
                    Some((rate, time.median))
                });
                let color = part.results.color(broker);
                let name = format!("{} {name}", part.broker(broker));
                lines.push(Line::new(&name, color, points.collect()).dash(dash));
            }
            let bound = cells.iter().filter_map(|cell| {
                let runs = part.runs(cell, broker);
                let numbers = numbers_of(&runs);
                let bound = numbers.iter().filter(|it| it.is_client_bound()).count();
                let rate = spread(&numbers, |it| it.peak_per_s)?.median;
                (numbers.len() < 2 * bound).then_some(rate)
            });
            let bound = bound.fold(f64::INFINITY, f64::min);
            if bound.is_finite() {
                bound_from = Some(bound_from.map_or(bound, |it: f64| it.min(bound)));
            }
        }
        drawn.push((kind.short_name(&others), lines, bound_from));
    }
    let all = || drawn.iter().flat_map(|(_, lines, _)| lines).map(|line| &line.points);
    let y = curves::latency_axis(all());
    let pictures = drawn.iter().map(|(name, lines, bound_from)| {
        let (low, high) = lines
            .iter()
            .flat_map(|line| &line.points)
            .fold((f64::INFINITY, 1.0_f64), |(low, high), (x, _)| (low.min(*x), high.max(*x)));
        let x =
            Axis::log("offered, records/s, log scale", low.min(high), high, curves::count_short);
        let zones =
            bound_from.map(|from| Zone { from, to: high, label: "client-bound".to_owned() });
        let annotations =
            Annotations { zones: zones.into_iter().collect(), ..Annotations::default() };
        chart(&title("Response", name), x, y.clone(), lines.clone()).picture_with(&annotations)
    });
    document.figures(
        2,
        pictures.collect(),
        "What is offered against how long it takes; medians of the repetitions. Hatched is where \
         the generator was the limit of at least one broker.",
    );
}

fn chart(title: &str, x: Axis, y: Axis, lines: Vec<Line>) -> Chart {
    let title = title.to_owned();
    Chart { title, x, y, lines, bands: Vec::new(), width: WIDTH, height: CURVES_HEIGHT }
}

fn title(what: &str, name: &str) -> String {
    if name.is_empty() { what.to_owned() } else { format!("{what}: {name}") }
}

/// All repetitions of a cell in one histogram.
fn total(part: &Part<'_>, cell: &MatrixCell, broker: usize, clock: Option<Clock>) -> Histogram {
    let mut sum = histogram();
    for run in part.runs(cell, broker) {
        let Some(trace) = part.results.trace(run) else { continue };
        let clock = clock.unwrap_or(trace.outcome.headline());
        sum.add(trace.outcome.measurements.total(clock)).expect("it grows with its values");
    }
    sum
}

fn put_curves(document: &mut Document, part: &Part<'_>) {
    let drawn: Vec<(String, Vec<Line>)> = match part.brokers.as_slice() {
        // One broker: its cells in one picture for each clock.
        [broker] => [Clock::Response, Clock::EndToEnd]
            .map(|clock| {
                let cells = part.cells.iter().zip(Color::SERIES.into_iter().cycle());
                let lines = cells.map(|(cell, color)| {
                    let total = total(part, cell, *broker, Some(clock));
                    Line::new(&part.name(cell), color, curves::percentiles(&total))
                });
                (
                    format!("{}: {}", common::capitalised(clock.name()), clock.meaning()),
                    lines.collect(),
                )
            })
            .into(),
        brokers => part
            .cells
            .iter()
            .map(|cell| {
                let lines = brokers.iter().map(|&broker| {
                    let total = total(part, cell, broker, None);
                    let color = part.results.color(broker);
                    Line::new(part.broker(broker), color, curves::percentiles(&total))
                });
                (title("Response", &part.name(cell)), lines.collect())
            })
            .collect(),
    };
    let all = || drawn.iter().flat_map(|(_, lines)| lines).map(|line| &line.points);
    let y = curves::latency_axis(all());
    let furthest = all().filter_map(|points| points.last()).map(|(place, _)| *place);
    let x = Axis::nines("percentile of records", furthest.fold(1.0, f64::max));
    let dashes = [Dash::Solid, Dash::Dashed, Dash::Dotted];
    let pictures = drawn.into_iter().map(|(title, lines)| {
        let lines = lines.into_iter().zip(dashes.into_iter().cycle());
        let lines = lines.filter(|(line, _)| !line.points.is_empty());
        let lines = lines.map(|(line, dash)| line.dash(dash)).collect();
        chart(&title, x.clone(), y.clone(), lines).picture()
    });
    document.figures(
        2,
        pictures.collect(),
        "All records of all repetitions in one histogram. Each curve ends where ten samples are \
         left.",
    );
}

fn put_table(document: &mut Document, part: &Part<'_>) {
    let is_shaped = part.cells.iter().any(MatrixCell::is_timed);
    let mut head = vec![
        "highest rate",
        "samples",
        "p50",
        "p99",
        "p99.9",
        "max",
        "end-to-end p99",
        "CPU s/GB",
        "broker CPU",
        "memory",
        "flushes/s",
        "a flush took",
        "generator CPU",
    ];
    if is_shaped {
        head.extend(["recovered", "backlog", "first ack after a kill", "read to the end at"]);
    }
    let note = format!(
        "Percentiles of each repetition: their median, below it the lowest and the highest. \
         Samples are those of all repetitions. {}",
        common::percentile_note()
    );
    let row = |runs: &[&Numbers]| {
        let time = |choose: Choose| match spread(runs, |it| Some(choose(&it.summary())? as f64)) {
            None => Cell::invalid("too few"),
            dot => Cell::from(super::spread_text(dot, |ns| time_text(whole(ns)))),
        };
        let samples: u64 = runs.iter().map(|it| it.summary().count).sum();
        let end_to_end = |it: &Numbers| {
            it.latencies_ns.get(&Clock::EndToEnd).and_then(|it| it.p99).map(|it| it as f64)
        };
        let known =
            |number: fn(&Numbers) -> f64| move |it: &Numbers| it.cpu_s_per_gb.map(|_| number(it));
        let mut cells = vec![
            spread_cell(runs, |it| it.peak_per_s, |rate| format!("{}/s", count_text(rate))),
            grouped(samples).into(),
            time(|it| it.p50),
            time(|it| it.p99),
            time(|it| it.p99_9),
            time(|it| Some(it.max)),
            spread_cell(runs, end_to_end, |ns| time_text(whole(ns))),
            spread_cell(runs, |it| it.cpu_s_per_gb, three_digits),
            spread_cell(runs, known(|it| it.usage.cpu_share()), percent_text),
            spread_cell(
                runs,
                known(|it| it.usage.resident_bytes_max as f64),
                crate::units::bytes_text,
            ),
            spread_cell(runs, |it| Some(it.flushes_per_s()), count_text),
            spread_cell(runs, Numbers::flush_ns, |ns| time_text(whole(ns))),
            spread_cell(runs, |it| Some(it.generator_busiest()), percent_text),
        ];
        if is_shaped {
            let recovery = |it: &Numbers| it.recovery;
            let never = runs.iter().filter_map(|it| recovery(it)).any(|it| it.took_s.is_none());
            cells.push(match never {
                true => Cell::bad("not always"),
                false => spread_cell(runs, |it| recovery(it)?.took_s, seconds_text),
            });
            cells.push(spread_cell(runs, |it| Some(recovery(it)?.backlog_max as f64), count_text));
            cells.push(spread_cell(runs, |it| recovery(it)?.first_ack_s, seconds_text));
            let ended = |it: &Numbers| {
                let ends = it.readers.iter().map(|reader| reader.counts.ended_ns);
                ends.max().flatten().map(|ns| ns as f64 / 1e9)
            };
            cells.push(spread_cell(runs, ended, seconds_text));
        }
        cells
    };
    document.table(part.table(&head, &note, row));
    if let Some(source) = shape_source(part) {
        document.text(source);
    }
}

/// Where the shapes of the profiles come from.
fn shape_source(part: &Part<'_>) -> Option<String> {
    let crate::scenario::GroupLoad::Open(open) = &part.group.load else { return None };
    let profiles = open.profiles.iter().filter(|name| *name != "steady");
    let sources: Vec<String> = profiles
        .filter_map(|name| Profile::find(name).ok())
        .map(|profile| {
            format!("Where the shape of `{}` comes from: {}", profile.name, profile.source)
        })
        .collect();
    (!sources.is_empty()).then(|| sources.join(" "))
}
