//! The pictures of a demonstration: everything over the same time, and percentiles over each other.

use loadgen::measure::{Clock, Tally};
use loadgen::outcome::Outcome;
use loadgen::settings::Acks;

use super::{DemoRun, Demonstration, name_of, open_loop};
use crate::plot::{Axis, Band, Chart, Color, Dash, Line, Picture};
use crate::report::common::capitalised;
use crate::report::{Document, curves};
use crate::units::three_digits;

const PANEL_WIDTH: f64 = 400.0;
const PANEL_HEIGHT: f64 = 250.0;
/// Work that goes on for this much of the schedule's length is shown to its end.
const OVERTIME_MIN: f64 = 1.05;

pub(super) fn put_time_panels(document: &mut Document, demonstration: &Demonstration) {
    document.heading("Over time");
    let runs = &demonstration.runs;
    let columns = runs.len().clamp(1, 3);
    document.figures(
        columns,
        rate_charts(runs),
        "Records per second in intervals of 100 ms. Shaded is every other phase of the profile; what \
         comes after its end is work that was left over.",
    );
    document.figures(
        columns,
        backlog_charts(runs),
        "What was offered and not yet acknowledged (with acks=0: not yet written), and what was \
         written and not yet consumed.",
    );
    let width = runs.first().map_or(1, |run| window_width(&run.outcome));
    let window_s =
        runs.first().map_or(0.0, |run| run.outcome.measurements.interval().as_secs_f64())
            * width as f64;
    document.figures(
        columns,
        latency_charts(runs, width),
        &format!(
            "Response; with acks=0 end to end, as nothing is acknowledged. Windows of {} s, by \
             intended time. Percentiles with fewer than ten samples beyond them are not drawn, \
             the maximum always is.",
            three_digits(window_s)
        ),
    );
    document.figures(
        columns,
        cpu_charts(demonstration),
        "Share of one processor, in intervals of 100 ms; more than 100 % where the broker may use \
         several.",
    );
}

/// Wide enough for the p99 of the base rate.
fn window_width(outcome: &Outcome) -> usize {
    curves::window_width(outcome, open_loop(outcome).base_per_s())
}

/// As far as the schedule goes, or until the last record of all runs was dealt with, if that took
/// longer than a glance.
fn time_axis(runs: &[DemoRun]) -> Axis {
    let ends = runs.iter().map(|run| {
        let outcome = &run.outcome;
        let interval_s = outcome.measurements.interval().as_secs_f64();
        let is_busy = |tally: &Tally| 0 < tally.written + tally.acknowledged + tally.consumed;
        let last = outcome.measurements.intervals().iter().rposition(|it| is_busy(&it.tally));
        let worked_s = last.map_or(0.0, |last| (last + 1) as f64 * interval_s);
        let measured_s = outcome.measured().as_secs_f64();
        if measured_s * OVERTIME_MIN < worked_s { worked_s } else { measured_s }
    });
    Axis::linear_to("time, s", ends.fold(0.0, f64::max), curves::short)
}

fn bands(outcome: &Outcome) -> Vec<Band> {
    let seconds = outcome.measured().as_secs_f64();
    let phases = open_loop(outcome).profile.with_begins();
    let bands = phases.map(|(begin, phase)| Band {
        from: begin * seconds,
        to: phase.until * seconds,
        name: phase.name.clone(),
    });
    bands.collect()
}

fn chart(run: &DemoRun, title: &str, time: &Axis, y: Axis, lines: Vec<Line>) -> Picture {
    Chart {
        title: format!("{title}, {}", name_of(run)),
        x: time.clone(),
        y,
        lines,
        bands: bands(&run.outcome),
        width: PANEL_WIDTH,
        height: PANEL_HEIGHT,
    }
    .picture()
}

/// One chart for each run, all with the same vertical axis, which goes as far as the highest line.
fn charts(
    runs: &[DemoRun],
    title: &str,
    axis: impl Fn(f64) -> Axis,
    lines: impl Fn(&DemoRun) -> Vec<Line>,
) -> Vec<Picture> {
    let drawn: Vec<Vec<Line>> = runs.iter().map(lines).collect();
    let all = drawn.iter().flatten().map(|line| &line.points);
    let (_, highest) = curves::range(all);
    let charts = runs.iter().zip(drawn);
    let time = time_axis(runs);
    charts.map(|(run, lines)| chart(run, title, &time, axis(highest), lines)).collect()
}

fn rate_charts(runs: &[DemoRun]) -> Vec<Picture> {
    let axis = |highest| Axis::linear("records/s", 0.0, highest, count_short);
    charts(runs, "Rates", axis, |run| {
        let outcome = &run.outcome;
        let offered = curves::rate(outcome, |it| it.offered);
        let done = match run.acks() {
            Acks::None => ("written", curves::rate(outcome, |it| it.written)),
            Acks::Leader | Acks::All => {
                ("acknowledged", curves::rate(outcome, |it| it.acknowledged))
            }
        };
        let consumed = curves::rate(outcome, |it| it.consumed);
        vec![
            Line::new("offered", Color::Gray, offered).filled(),
            Line::new(done.0, Color::Blue, done.1),
            Line::new("consumed", Color::Vermilion, consumed).dash(Dash::Dashed),
        ]
    })
}

fn backlog_charts(runs: &[DemoRun]) -> Vec<Picture> {
    let axis = |highest: f64| Axis::linear("records", 0.0, highest.max(10.0), count_short);
    charts(runs, "Backlog", axis, |run| {
        let outcome = &run.outcome;
        let answered = run.acks().is_answered();
        let waiting = curves::backlog(outcome, |it| {
            (it.offered, if answered { it.acknowledged + it.failed } else { it.written })
        });
        let unread = curves::backlog(outcome, |it| (it.written, it.consumed));
        let name = if answered { "not acknowledged" } else { "not written" };
        vec![
            Line::new(name, Color::Blue, waiting),
            Line::new("not consumed", Color::Vermilion, unread).dash(Dash::Dashed),
        ]
    })
}

fn latency_charts(runs: &[DemoRun], width: usize) -> Vec<Picture> {
    let curves_of = |run: &DemoRun| curves::over_time(&run.outcome, run.outcome.headline(), width);
    let all: Vec<_> = runs.iter().map(curves_of).collect();
    let axis =
        curves::latency_axis(all.iter().flat_map(|it| [&it.p50, &it.p99, &it.p99_9, &it.max]));
    let lines = |it: &curves::OverTime| {
        vec![
            Line::new("p50", Color::Green, it.p50.clone()),
            Line::new("p99", Color::Blue, it.p99.clone()),
            Line::new("p99.9", Color::Vermilion, it.p99_9.clone()),
            Line::new("max", Color::Black, it.max.clone()).dash(Dash::Dotted),
        ]
    };
    let pairs = runs.iter().zip(&all);
    let title = |run: &DemoRun| capitalised(run.outcome.headline().name());
    let time = time_axis(runs);
    pairs.map(|(run, it)| chart(run, &title(run), &time, axis.clone(), lines(it))).collect()
}

fn cpu_charts(demonstration: &Demonstration) -> Vec<Picture> {
    let percent = |share: f64| format!("{} %", curves::short(share * 100.0));
    let axis = |highest: f64| Axis::linear("of one processor", 0.0, highest.max(1.0), percent);
    charts(&demonstration.runs, "Processor time", axis, |run| {
        let outcome = &run.outcome;
        let (from_ns, to_ns) = outcome.window_ns();
        let generator = curves::rate(outcome, |it| it.cpu_ns);
        let seconds = outcome.measured().as_secs_f64();
        let generator = generator.into_iter().filter(|(at, _)| *at < seconds);
        let generator = generator.map(|(at, ns_per_s)| (at, ns_per_s / 1e9)).collect();
        let mut lines = Vec::new();
        if demonstration.is_broker_known {
            lines.push(Line::new("broker", Color::Blue, run.samples.cpu_curve(from_ns, to_ns)));
        }
        lines.push(Line::new("generator", Color::Orange, generator).dash(Dash::Dashed));
        lines
    })
}

pub(super) fn put_percentile_curves(document: &mut Document, demonstration: &Demonstration) {
    document.heading("Percentiles");
    let colors =
        [(Acks::None, Color::Green), (Acks::Leader, Color::Blue), (Acks::All, Color::Vermilion)];
    let dashes =
        [(Acks::None, Dash::Dotted), (Acks::Leader, Dash::Dashed), (Acks::All, Dash::Solid)];
    let of = |acks| {
        let color = colors.iter().find(|(of, _)| *of == acks).expect("all three").1;
        let dash = dashes.iter().find(|(of, _)| *of == acks).expect("all three").1;
        (color, dash)
    };
    let lines = |clock: Clock| -> Vec<Line> {
        let runs = demonstration.runs.iter();
        let measured = runs.map(|run| (run, run.outcome.measurements.total(clock)));
        let measured = measured.filter(|(_, total)| !total.is_empty());
        let lines = measured.map(|(run, total)| {
            let (color, dash) = of(run.acks());
            Line::new(&name_of(run), color, curves::percentiles(&total)).dash(dash)
        });
        lines.collect()
    };
    let drawn = [Clock::Response, Clock::EndToEnd].map(|clock| (clock, lines(clock)));
    let all = || drawn.iter().flat_map(|(_, lines)| lines).map(|line| &line.points);
    let y = curves::latency_axis(all());
    let furthest = all().filter_map(|points| points.last()).map(|(place, _)| *place);
    let x = Axis::nines("percentile of records", furthest.fold(1.0, f64::max));
    let pictures = drawn.iter().filter(|(_, lines)| !lines.is_empty()).map(|(clock, lines)| {
        Chart {
            title: format!("{}: {}", capitalised(clock.name()), clock.meaning()),
            x: x.clone(),
            y: y.clone(),
            lines: lines.clone(),
            bands: vec![],
            width: 600.0,
            height: 330.0,
        }
        .picture()
    });
    let pictures: Vec<Picture> = pictures.collect();
    document.figures(
        pictures.len().clamp(1, 2),
        pictures,
        "All records of a run, the spike included. Each curve ends where ten samples are left.",
    );
}

fn count_short(number: f64) -> String {
    match number {
        ..1e3 => curves::short(number),
        ..1e6 => format!("{}k", curves::short(number / 1e3)),
        _ => format!("{}M", curves::short(number / 1e6)),
    }
}
