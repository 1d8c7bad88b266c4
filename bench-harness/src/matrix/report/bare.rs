//! One durable append at a time beside the bare write.

use loadgen::measure::{Histogram, Summary, histogram};

use super::{Dot, Results, WIDTH, series, spread_text};
use crate::matrix::{BareTurns, BrokerResults};
use crate::plot::{Axis, Chart, Color, Dash, Line};
use crate::report::{Cell, Document, Table, common, curves};
use crate::units::{bytes_text, median_min_max, three_digits, time_text, whole};

pub(super) fn put(document: &mut Document, results: &Results) {
    let Some(settings) = results.scenario.bare else { return };
    let measured: Vec<&BrokerResults> =
        results.brokers.iter().filter(|broker| !broker.bare.is_empty()).collect();
    if measured.is_empty() {
        return;
    }
    document.heading("One durable append at a time");
    document.text(format!(
        "One record of {} in one request, one request in flight, acks=all, `flush.messages=1`; \
         beside it the same amount written to the same disk without any broker (4 KiB, O_DIRECT, \
         RWF_DSYNC, over a file that was written before), and a question that needs no disk \
         (ApiVersions, one at a time): the way to the broker's thread and back. {} turns of each \
         in every repetition, one after the other.",
        settings.record_size.text(),
        settings.turns
    ));
    put_curves(document, results, &measured);
    put_latencies(document, &measured);
    put_explanation(document, &measured);
}

/// One of the things that were measured in turns.
type Part = fn(&BareTurns) -> &Histogram;

fn total(broker: &BrokerResults, of: Part) -> Histogram {
    let mut sum = histogram();
    for turns in &broker.bare {
        sum.add(of(turns)).expect("it grows with its values");
    }
    sum
}

fn put_curves(document: &mut Document, results: &Results, measured: &[&BrokerResults]) {
    let colors = series(results);
    let color_of = |name: &str| {
        colors.iter().find(|(of, _)| of == name).map_or(Color::Blue, |(_, color)| *color)
    };
    // The bare write is the same whoever's turn it was.
    let mut bare = histogram();
    for broker in measured {
        bare.add(total(broker, |it| &it.bare)).expect("it grows with its values");
    }
    let mut lines =
        vec![Line::new("bare write", Color::Black, curves::percentiles(&bare)).dash(Dash::Dotted)];
    for broker in measured {
        let color = color_of(&broker.name);
        let append = curves::percentiles(&total(broker, |it| &it.append));
        let ping = curves::percentiles(&total(broker, |it| &it.ping));
        lines.push(Line::new(&broker.name, color, append));
        lines
            .push(Line::new(&format!("{}, question", broker.name), color, ping).dash(Dash::Dashed));
    }
    let y = curves::latency_axis(lines.iter().map(|line| &line.points));
    let furthest = lines.iter().filter_map(|line| line.points.last()).map(|(place, _)| *place);
    let chart = Chart {
        title: "One durable append at a time".to_owned(),
        x: Axis::nines("percentile", furthest.fold(1.0, f64::max)),
        y,
        lines,
        bands: vec![],
        width: 2.0 * WIDTH,
        height: 360.0,
    };
    document.figures(1, vec![chart.picture()], "All turns of all repetitions.");
}

fn put_latencies(document: &mut Document, measured: &[&BrokerResults]) {
    let mut head = vec!["what".to_owned()];
    head.extend(common::summary_head());
    let mut rows = Vec::new();
    for broker in measured {
        let parts: [(&str, Part); 3] = [
            ("bare write, in its turns", |it| &it.bare),
            ("append", |it| &it.append),
            ("question", |it| &it.ping),
        ];
        for (what, of) in parts {
            let mut row = vec![Cell::from(format!("{}: {what}", broker.name))];
            row.extend(common::summary_cells(&Summary::of(&total(broker, of))));
            rows.push(row);
        }
    }
    document.table(Table { head, rows, note: Some(common::percentile_note()) });
}

fn put_explanation(document: &mut Document, measured: &[&BrokerResults]) {
    let head = [
        "broker",
        "append",
        "= bare write",
        "+ question",
        "+ the broker's own",
        "append : bare write",
        "flushes per append",
        "device bytes per append",
    ];
    let rows = measured.iter().map(|broker| {
        let spread = |number: &dyn Fn(&BareTurns) -> f64| {
            let numbers: Vec<f64> = broker.bare.iter().map(number).collect();
            median_min_max(&numbers).map(|(median, min, max)| Dot { median, min, max })
        };
        let p50 = |histogram: &Histogram| histogram.value_at_quantile(0.5) as f64;
        let time = |ns: f64| {
            let sign = if ns < 0.0 { "−" } else { "" };
            format!("{sign}{}", time_text(whole(ns.abs())))
        };
        let cells = [
            broker.name.clone(),
            spread_text(spread(&|it| p50(&it.append)), time),
            spread_text(spread(&|it| p50(&it.bare)), time),
            spread_text(spread(&|it| p50(&it.ping)), time),
            spread_text(spread(&|it| it.broker_ns() as f64), time),
            spread_text(spread(&|it| p50(&it.append) / p50(&it.bare)), |it| {
                format!("{}×", three_digits(it))
            }),
            spread_text(spread(&BareTurns::flushes_per_append), three_digits),
            spread_text(spread(&BareTurns::device_bytes_per_append), bytes_text),
        ];
        cells.into_iter().map(Cell::from).collect()
    });
    let rows = rows.collect();
    let note = "Medians of each repetition: their median, below it the lowest and the highest. \
                Medians do not add up exactly; what is left over counts as the broker's own, with \
                the kernel's work for larger requests and for waking its threads. Flushes and \
                bytes are the whole device's.";
    document.table(Table {
        head: head.map(str::to_owned).to_vec(),
        rows,
        note: Some(note.to_owned()),
    });
}
