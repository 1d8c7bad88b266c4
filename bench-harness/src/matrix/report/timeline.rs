//! What happens in the course of a run: everything on one time axis, brokers side by side.

use loadgen::measure::Tally;
use loadgen::outcome::Outcome;
use loadgen::settings::Load;

use super::Part;
use crate::matrix::Cell as MatrixCell;
use crate::matrix::run::{Numbers, Run, Trace};
use crate::plot::{
    Annotations, Axis, Band, Chart, Color, Dash, HeatColumn, HeatMap, Line, Marker, Panel, Picture,
    Strip, StripBand,
};
use crate::report::{Document, curves};

/// Work that goes on for this much of the schedule's length is shown to its end.
const OVERTIME_MIN: f64 = 1.05;
const PANEL_HEIGHT: f64 = 230.0;
const HEAT_HEIGHT: f64 = 330.0;
const SMALL_HEIGHT: f64 = 170.0;

/// One run that stands for all of its kind, with what was seen of it.
struct Shown<'a> {
    name: String,
    run: &'a Run,
    numbers: &'a Numbers,
    trace: Trace,
}

impl Shown<'_> {
    fn outcome(&self) -> &Outcome {
        &self.trace.outcome
    }

    fn is_answered(&self) -> bool {
        self.run.cell.acks.is_answered()
    }

    /// What is told by a line across the time axis.
    fn markers(&self) -> Vec<Marker> {
        let mut markers = Vec::new();
        for happened in &self.numbers.happened {
            markers.push(Marker::new(happened.at_s, happened.what.name()));
            if let Some(served_s) = happened.served_s {
                markers.push(Marker::new(served_s, "serves again"));
            }
        }
        if let Some(recovery) = &self.numbers.recovery
            && let Some(took_s) = recovery.took_s
        {
            markers.push(Marker::new(recovery.since_s + took_s, "recovered"));
        }
        for reader in &self.numbers.readers {
            if let loadgen::settings::Pace::CatchUp(after) = reader.settings.pace {
                markers.push(Marker::new(after.0.as_secs_f64(), "catch-up reader"));
            }
        }
        markers
    }

    /// What a time axis covers, on the host's monotonic clock.
    fn window(&self, time: &Axis) -> (u64, u64) {
        let (from_ns, _) = self.outcome().window_ns();
        (from_ns, from_ns + crate::units::whole(time.to * 1e9))
    }

    /// Records that were acknowledged for each flush of the device.
    fn records_per_flush(&self, time: &Axis) -> Vec<(f64, f64)> {
        let (from_ns, to_ns) = self.window(time);
        let done = curves::rate(self.outcome(), |it| {
            if self.is_answered() { it.acknowledged } else { it.written }
        });
        let flushes = self.trace.samples.flushes_curve(from_ns, to_ns).into_iter();
        let per_flush = flushes.filter_map(|(at, flushes)| {
            let (_, records) = done.iter().rfind(|(done_at, _)| *done_at <= at)?;
            Some((at, if 0.0 < flushes { records / flushes } else { f64::NAN }))
        });
        per_flush.collect()
    }

    fn bands(&self) -> Vec<Band> {
        let Load::Open(open) = &self.outcome().settings.load else { return Vec::new() };
        if open.profile.period.is_some() {
            return Vec::new();
        }
        let seconds = self.outcome().measured().as_secs_f64();
        let bands = open.profile.with_begins().map(|(begin, phase)| Band {
            from: begin * seconds,
            to: phase.until * seconds,
            name: phase.name.clone(),
        });
        bands.collect()
    }
}

pub(super) fn put(document: &mut Document, part: &Part<'_>) {
    // One broker: its cells side by side; several: for each cell the brokers.
    match part.brokers.as_slice() {
        [broker] => {
            let shown =
                part.cells.iter().filter_map(|cell| shown(part, cell, *broker, part.name(cell)));
            put_row(document, &shown.collect::<Vec<_>>(), "");
        }
        brokers => {
            for cell in &part.cells {
                let shown = brokers.iter().filter_map(|broker| {
                    shown(part, cell, *broker, part.broker(*broker).to_owned())
                });
                put_row(document, &shown.collect::<Vec<_>>(), &part.name(cell));
            }
        }
    }
}

/// One run of a cell on a broker that stands for all.
fn shown<'a>(part: &Part<'a>, cell: &MatrixCell, broker: usize, name: String) -> Option<Shown<'a>> {
    let run = part.results.shown_run(cell, part.broker(broker))?;
    let numbers = run.numbers.as_ref().ok()?;
    Some(Shown { name, run, numbers, trace: part.results.trace(run)? })
}

/// All panels of runs that are compared, over the same axes.
fn put_row(document: &mut Document, shown: &[Shown<'_>], cell: &str) {
    if shown.is_empty() {
        return;
    }
    if !cell.is_empty() {
        document.text(format!("**{}**", crate::report::common::capitalised(cell)));
    }
    let columns = shown.len().clamp(1, 3);
    let width = 1200.0 / columns as f64;
    let time = time_axis(shown);
    document.figures(
        columns,
        heat_maps(shown, &time, width),
        "How many records took how long, darker where there were more, by the time at which they \
         were meant to be sent; the line is the p99 in windows with samples enough. Above it what \
         was offered, and what was acknowledged (with acks=0: written). Of the repetitions the one \
         whose p99 is in the middle.",
    );
    document.figures(
        columns,
        charts(shown, &time, width),
        "What had been offered, acknowledged and consumed by then, and what of it was waiting.",
    );
    document.figures(
        columns,
        shown.iter().map(|it| strip(it, &time, width)).collect(),
        "Where the processors' time went: user, kernel, and stolen by other machines on the host; \
         below it the broker and the generator, in shares of one processor.",
    );
    put_panels(document, shown, &time, width);
}

/// A row of low charts for each thing that the samples tell.
fn put_panels(document: &mut Document, shown: &[Shown<'_>], time: &Axis, width: f64) {
    let columns = shown.len().clamp(1, 3);
    for panel in PANELS {
        let drawn: Vec<Vec<Line>> = shown.iter().map(|it| thin((panel.lines)(it, time))).collect();
        let (low, high) = curves::range(drawn.iter().flatten().map(|line| &line.points));
        if high < low {
            continue;
        }
        let y = match panel.is_log {
            true => Axis::log(panel.unit, low, high, curves::count_short),
            false => Axis::linear(panel.unit, 0.0, high, curves::count_short),
        };
        let pictures = shown.iter().zip(drawn).map(|(it, lines)| {
            let chart = Chart {
                title: format!("{}: {}", it.name, panel.title),
                x: time.clone(),
                y: y.clone(),
                lines: lines.into_iter().filter(|line| !line.points.is_empty()).collect(),
                bands: Vec::new(),
                width,
                height: SMALL_HEIGHT,
            };
            chart.picture_with(&Annotations { markers: it.markers(), ..Annotations::default() })
        });
        document.figures(columns, pictures.collect(), panel.caption);
    }
}

/// A thing that samples tell over time.
struct SmallPanel {
    title: &'static str,
    unit: &'static str,
    is_log: bool,
    caption: &'static str,
    lines: fn(&Shown<'_>, &Axis) -> Vec<Line>,
}

const PANELS: [SmallPanel; 4] = [
    SmallPanel {
        title: "flushes, records, switches",
        unit: "log scale",
        is_log: true,
        caption: "Flushes that the device completed, whoever caused them, records for each of \
                  them, and context switches of the broker's threads.",
        lines: |it, time| {
            let (from_ns, to_ns) = it.window(time);
            let samples = &it.trace.samples;
            vec![
                Line::new("flushes/s", Color::Blue, samples.flushes_curve(from_ns, to_ns)),
                Line::new("records/flush", Color::Vermilion, it.records_per_flush(time))
                    .dash(Dash::Dashed),
                Line::new("switches/s", Color::Green, samples.switches_curve(from_ns, to_ns))
                    .dash(Dash::Dotted),
            ]
        },
    },
    SmallPanel {
        title: "time of a flush",
        unit: "µs",
        is_log: true,
        caption: "How long a flush of the device took, on average over half a second.",
        lines: |it, time| {
            let (from_ns, to_ns) = it.window(time);
            let ms = it.trace.samples.flush_latency_curve(from_ns, to_ns).into_iter();
            let us = ms.map(|(at, ms)| (at, ms * 1e3)).collect();
            vec![Line::new("µs per flush", Color::Blue, us)]
        },
    },
    SmallPanel {
        title: "disk",
        unit: "MB/s",
        is_log: false,
        caption: "What the device wrote and read.",
        lines: |it, time| {
            let (from_ns, to_ns) = it.window(time);
            let samples = &it.trace.samples;
            vec![
                Line::new(
                    "written",
                    Color::Blue,
                    mega(samples.written_bytes_curve(from_ns, to_ns)),
                ),
                Line::new("read", Color::Vermilion, mega(samples.read_bytes_curve(from_ns, to_ns)))
                    .dash(Dash::Dashed),
            ]
        },
    },
    SmallPanel {
        title: "memory",
        unit: "MB",
        is_log: true,
        caption: "What is resident of the broker, what its control group is charged if it has one \
                  of its own, and what the host has still to write back.",
        lines: |it, time| {
            let (from_ns, to_ns) = it.window(time);
            let samples = &it.trace.samples;
            vec![
                Line::new("resident", Color::Blue, mega(samples.resident_curve(from_ns, to_ns))),
                Line::new("control group", Color::Green, mega(samples.group_curve(from_ns, to_ns)))
                    .dash(Dash::Dotted),
                Line::new(
                    "dirty, host",
                    Color::Vermilion,
                    mega(samples.dirty_curve(from_ns, to_ns)),
                )
                .dash(Dash::Dashed),
            ]
        },
    },
];

fn thin(lines: Vec<Line>) -> Vec<Line> {
    let thin = |line: Line| Line { points: curves::thinned(line.points), ..line };
    lines.into_iter().map(thin).collect()
}

fn mega(curve: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    curve.into_iter().map(|(at, value)| (at, value / 1e6)).collect()
}

/// As far as the schedule goes, or until the last record of all runs was dealt with, if that took
/// longer than a glance.
fn time_axis(shown: &[Shown<'_>]) -> Axis {
    let ends = shown.iter().map(|it| {
        let outcome = it.outcome();
        let interval_s = outcome.measurements.interval().as_secs_f64();
        let is_busy = |tally: &Tally| 0 < tally.written + tally.acknowledged + tally.consumed;
        let last = outcome.measurements.intervals().iter().rposition(|it| is_busy(&it.tally));
        let worked_s = last.map_or(0.0, |last| (last + 1) as f64 * interval_s);
        let measured_s = outcome.measured().as_secs_f64();
        if measured_s * OVERTIME_MIN < worked_s { worked_s } else { measured_s }
    });
    Axis::linear_to("time, s", ends.fold(0.0, f64::max), curves::short)
}

fn heat_maps(shown: &[Shown<'_>], time: &Axis, width: f64) -> Vec<Picture> {
    let columns: Vec<Vec<HeatColumn>> = shown.iter().map(heat_columns).collect();
    let seen = columns.iter().flatten().flat_map(|column| &column.counts);
    let (low, high) = seen.fold((f64::INFINITY, 0.0_f64), |(low, high), (time_ms, _)| {
        (low.min(*time_ms), high.max(*time_ms))
    });
    let (low, high) = if low <= high { (low, high) } else { (0.1, 10.0) };
    let y = Axis::log("latency, log scale", low.max(1e-3), high, curves::time_short);
    let rates: Vec<Vec<Line>> = shown.iter().map(|it| thin(rate_lines(it))).collect();
    let (_, highest) = curves::range(rates.iter().flatten().map(|line| &line.points));
    let panel_y = Axis::linear("records/s", 0.0, highest, curves::count_short);
    let maps = shown.iter().zip(columns).zip(rates).map(|((it, columns), lines)| {
        let clock = it.outcome().headline();
        let over_time = curves::over_time(it.outcome(), clock, window_width(it));
        HeatMap {
            title: format!("{}: {}, {}", it.name, clock.name(), clock.meaning()),
            x: time.clone(),
            y: y.clone(),
            counted: "records".to_owned(),
            columns,
            lines: vec![Line::new("p99", Color::Vermilion, over_time.p99)],
            panel: Some(Panel { y: panel_y.clone(), lines }),
            markers: it.markers(),
            width,
            height: HEAT_HEIGHT,
        }
        .picture()
    });
    maps.collect()
}

/// So wide that a p99 stands on samples enough also where the rate is lowest.
fn window_width(shown: &Shown<'_>) -> usize {
    let outcome = shown.outcome();
    let lowest = match &outcome.settings.load {
        Load::Open(open) => {
            let curve = open.profile.curve(open.duration.0);
            let steps = (0_u32..=100).map(|step| curve.multiple_at(f64::from(step) / 100.0));
            steps.filter(|it| 0.0 < *it).fold(f64::INFINITY, f64::min) * open.base_per_s()
        }
        Load::Closed(_) => 1.0,
    };
    curves::window_width(outcome, lowest)
}

fn heat_columns(shown: &Shown<'_>) -> Vec<HeatColumn> {
    let outcome = shown.outcome();
    let interval_s = outcome.measurements.interval().as_secs_f64();
    let clock = outcome.headline();
    let intervals = outcome.measurements.intervals().iter().enumerate();
    let columns = intervals.map(|(index, interval)| {
        let buckets = interval.histogram(clock).into_iter().flat_map(|it| it.iter_recorded());
        let counts =
            buckets.map(|it| (curves::ms(it.value_iterated_to()), u64::from(it.count_at_value())));
        HeatColumn {
            from: index as f64 * interval_s,
            to: (index + 1) as f64 * interval_s,
            counts: counts.collect(),
        }
    });
    columns.collect()
}

fn rate_lines(shown: &Shown<'_>) -> Vec<Line> {
    let outcome = shown.outcome();
    let offered = curves::rate(outcome, |it| it.offered);
    let done = match shown.is_answered() {
        true => ("acknowledged", curves::rate(outcome, |it| it.acknowledged)),
        false => ("written", curves::rate(outcome, |it| it.written)),
    };
    vec![
        Line::new("offered", Color::Gray, offered).filled(),
        Line::new(done.0, Color::Blue, done.1),
    ]
}

fn charts(shown: &[Shown<'_>], time: &Axis, width: f64) -> Vec<Picture> {
    let drawn: Vec<Vec<Line>> = shown.iter().map(|it| thin(sum_lines(it))).collect();
    let (_, highest) = curves::range(drawn.iter().flatten().map(|line| &line.points));
    let y = Axis::linear("records", 0.0, highest.max(10.0), curves::count_short);
    let charts = shown.iter().zip(drawn).map(|(it, lines)| {
        let chart = Chart {
            title: format!("{}: sums and backlog", it.name),
            x: time.clone(),
            y: y.clone(),
            lines,
            bands: it.bands(),
            width,
            height: PANEL_HEIGHT,
        };
        chart.picture_with(&Annotations { markers: it.markers(), ..Annotations::default() })
    });
    charts.collect()
}

fn sum_lines(shown: &Shown<'_>) -> Vec<Line> {
    let outcome = shown.outcome();
    let is_answered = shown.is_answered();
    let done = |it: &Tally| if is_answered { it.acknowledged } else { it.written };
    let sum = |count: &dyn Fn(&Tally) -> u64| curves::backlog(outcome, |it| (count(it), 0));
    let waiting = curves::backlog(outcome, |it| {
        (it.offered, if is_answered { it.acknowledged + it.failed } else { it.written })
    });
    let done_name = if is_answered { "acknowledged" } else { "written" };
    vec![
        Line::new("offered", Color::Gray, sum(&|it| it.offered)),
        Line::new(done_name, Color::Blue, sum(&done)),
        Line::new("consumed", Color::Vermilion, sum(&|it| it.consumed)).dash(Dash::Dashed),
        Line::new("waiting", Color::Orange, waiting).filled(),
    ]
}

fn strip(shown: &Shown<'_>, time: &Axis, width: f64) -> Picture {
    let outcome = shown.outcome();
    let samples = &shown.trace.samples;
    let (from_ns, to_ns) = shown.window(time);
    let processors = samples.processor_curves(from_ns, to_ns);
    let mut bands: Vec<StripBand> = processors
        .into_iter()
        .map(|of| StripBand {
            name: format!("processor {}", of.processor),
            areas: [of.user, of.kernel, of.steal].map(curves::thinned).into(),
        })
        .collect();
    let generator = curves::rate(outcome, |it| it.cpu_ns).into_iter();
    let generator = generator.map(|(at, ns_per_s)| (at, ns_per_s / 1e9));
    let broker = samples.cpu_curve(from_ns, to_ns);
    for (name, curve) in [("broker", broker), ("generator", generator.collect())] {
        if curve.iter().any(|(_, share)| 0.0 < *share) {
            let areas = vec![curves::thinned(curve)];
            bands.push(StripBand { name: name.to_owned(), areas });
        }
    }
    Strip {
        title: format!("{}: processors", shown.name),
        x: time.clone(),
        series: vec![
            ("user".to_owned(), Color::Blue),
            ("kernel".to_owned(), Color::Orange),
            ("steal".to_owned(), Color::Black),
        ],
        bands,
        width,
    }
    .picture()
}
