//! The report of a demonstration.

mod panels;
mod summary;

use loadgen::measure::Clock;
use loadgen::outcome::Outcome;
use loadgen::settings::{Load, OpenLoop};

use super::{DemoRun, Demonstration};
use crate::report::common::capitalised;
use crate::report::{Cell, Document, Table, common};
use crate::units::{bytes_text, count_text, grouped, percent_text, three_digits, time_text};

pub(super) use summary::summary;

pub(super) fn document(demonstration: &Demonstration) -> Document {
    let mut document = Document::new(&format!("Black Friday on {}", demonstration.broker_name));
    put_verdict(&mut document, demonstration);
    put_conditions(&mut document, demonstration);
    document.code(demonstration.command.clone());
    put_latencies(&mut document, demonstration);
    panels::put_time_panels(&mut document, demonstration);
    panels::put_percentile_curves(&mut document, demonstration);
    document.heading("What became of every record");
    let runs: Vec<(String, &Outcome)> =
        demonstration.runs.iter().map(|run| (name_of(run), &run.outcome)).collect();
    document.table(common::books_table(&runs));
    put_notes(&mut document, demonstration);
    put_usage(&mut document, demonstration);
    document.heading("Settings");
    document.text("In full, also those of the load, in `settings.toml`. Of the broker:");
    document.table(common::settings_table(&demonstration.broker_settings));
    common::put_host(&mut document, &demonstration.facts);
    put_limits(&mut document);
    document
}

fn name_of(run: &DemoRun) -> String {
    format!("acks={}", run.acks().name())
}

fn open_loop(outcome: &Outcome) -> &OpenLoop {
    match &outcome.settings.load {
        Load::Open(open) => open,
        Load::Closed(_) => unreachable!("a demonstration follows a schedule"),
    }
}

fn put_verdict(document: &mut Document, demonstration: &Demonstration) {
    let acknowledged: u64 =
        demonstration.runs.iter().map(|run| run.outcome.counts.acknowledged).sum();
    if demonstration.is_kept() {
        let text = if 0 < acknowledged {
            format!(
                "All {} acknowledged records were read back: once, intact and in order.",
                grouped(acknowledged)
            )
        } else {
            "What was read back was intact, in order and there once; nothing was promised."
                .to_owned()
        };
        document.verdict(true, text);
    } else {
        document.verdict(
            false,
            "The broker did not keep what it had acknowledged: see the books below.",
        );
    }
    for run in demonstration.runs.iter().filter(|run| run.outcome.verdict().is_hollow) {
        document.verdict(false, format!("{}: nothing came through.", name_of(run)));
    }
    if let Some(run) = demonstration.runs.last() {
        let clock = run.outcome.headline();
        let summary = run.outcome.summary(clock);
        let time = |value: Option<u64>| value.map_or("of too few".to_owned(), time_text);
        document.text(format!(
            "{}, {} ({}): p50 {}, p99 {}, p99.9 {}, at most {}, of {} records through a spike to \
             ten times the base rate.",
            capitalised(clock.name()),
            name_of(run),
            clock.meaning(),
            time(summary.p50),
            time(summary.p99),
            time(summary.p99_9),
            time_text(summary.max),
            grouped(summary.count)
        ));
    }
    for run in &demonstration.runs {
        for reason in run.outcome.verdict().client_bound {
            let name = name_of(run);
            let text =
                format!("{name} is client-bound and says little about the broker: {reason}.");
            document.verdict(false, text);
        }
    }
}

fn put_conditions(document: &mut Document, demonstration: &Demonstration) {
    let Some(first) = demonstration.runs.first() else { return };
    let settings = &first.outcome.settings;
    let open = open_loop(&first.outcome);
    let promise = if demonstration.is_durable {
        "`flush.messages=1`: with acks=1 and acks=all, acknowledged means on the device"
    } else {
        "not flushed: acknowledged records survive the death of the broker's process, not of the \
         machine"
    };
    document.text(format!(
        "Profile `{}`: base {}/s, peak {}/s, {} long for each level of acks; records of {}, {} \
         keys, {} partitions, linger {}, arrivals as a Poisson process. Topics are {promise}. {}. \
         {}.",
        open.profile.name,
        count_text(open.base_per_s()),
        count_text(open.base_per_s() * open.profile.peak()),
        open.duration,
        settings.records.size.text(),
        grouped(settings.records.keys.into()),
        settings.topics.partitions,
        open.linger,
        capitalised(&demonstration.placement.reason),
        demonstration.began.text(),
    ));
    document.text(format!("Where the shape comes from: {}", open.profile.source));
}

fn put_latencies(document: &mut Document, demonstration: &Demonstration) {
    document.heading("Latency");
    let mut head = vec!["run".to_owned(), "from → to".to_owned()];
    head.extend(common::summary_head());
    head.push("verdict".to_owned());
    let mut rows = Vec::new();
    for clock in Clock::ALL {
        for run in &demonstration.runs {
            let summary = run.outcome.summary(clock);
            if summary.count == 0 {
                continue;
            }
            let mut row: Vec<Cell> =
                vec![format!("{}, {}", clock.name(), name_of(run)).into(), clock.meaning().into()];
            row.extend(common::summary_cells(&summary));
            row.push(common::verdict_cell(&run.outcome));
            rows.push(row);
        }
    }
    let note = format!(
        "Times run from when a record was meant to be sent, as the schedule had it before the run \
         (no coordinated omission); the linger is part of response, send-lag and end-to-end. \
         Lateness is what the generator itself was late. {}",
        common::percentile_note()
    );
    document.table(Table { head, rows, note: Some(note) });
}

fn put_notes(document: &mut Document, demonstration: &Demonstration) {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for run in &demonstration.runs {
        for (note, count) in &run.outcome.notes {
            let cells = [name_of(run), note.clone(), count.to_string()];
            rows.push(cells.into_iter().map(Cell::from).collect());
        }
    }
    if !rows.is_empty() {
        let head = ["run", "what happened", "times"].map(str::to_owned).to_vec();
        document.table(Table { head, rows, note: None });
    }
}

fn put_usage(document: &mut Document, demonstration: &Demonstration) {
    document.heading("What it took");
    let head = [
        "run",
        "records/s",
        "bytes/s",
        "broker CPU",
        "CPU s/GB",
        "memory",
        "flushes/s",
        "records/flush",
        "written",
        "generator CPU",
        "its busiest s",
        "host busy",
        "steal",
    ];
    let known = |text: String| if demonstration.is_broker_known { text } else { "–".to_owned() };
    let rows = demonstration.runs.iter().map(|run| {
        let (usage, outcome) = (run.usage(), &run.outcome);
        let records = outcome.rate_per_s() * usage.seconds;
        let flushes_per_s = usage.disk_flushes as f64 / usage.seconds.max(1e-9);
        let per_flush = match usage.disk_flushes {
            0 => "–".to_owned(),
            flushes => three_digits(records / flushes as f64),
        };
        let busiest = outcome.cpu.iter().map(|cpu| cpu.busiest_second).fold(0.0, f64::max);
        let mean = outcome.cpu.iter().map(|cpu| cpu.mean).fold(0.0, f64::max);
        let cells = [
            name_of(run),
            count_text(outcome.rate_per_s()),
            bytes_text(outcome.bytes_per_s()),
            known(percent_text(usage.cpu_share())),
            known(three_digits(run.cpu_s_per_gb())),
            known(bytes_text(usage.resident_bytes_max as f64)),
            three_digits(flushes_per_s),
            per_flush,
            bytes_text(usage.disk_written_bytes as f64),
            percent_text(mean),
            percent_text(busiest),
            percent_text(usage.host_busy_share),
            percent_text(usage.host_steal_share),
        ];
        cells.into_iter().map(Cell::from).collect()
    });
    let rows = rows.collect();
    let note = "In the measured time. Processor time is in shares of one processor; memory is what \
                was resident of the broker at most. Flushes and bytes written are those of the \
                whole device, whoever caused them. Bytes per second and GB are those of values.";
    document.table(Table {
        head: head.map(str::to_owned).to_vec(),
        rows,
        note: Some(note.to_owned()),
    });
    let runs = demonstration.runs.iter().map(|run| (name_of(run), run.usage().journal));
    common::put_journal(document, &runs.collect::<Vec<_>>());
}

fn put_limits(document: &mut Document) {
    document.heading("What this does not say");
    document.text(
        "Broker and load generator run on one host over loopback: there is no network in these \
         times, and one replica of everything. A short run meets a fresh, empty broker and a disk \
         that may answer from a cache. Other work on the host is part of the numbers; steal and \
         the generator's lateness show some of it.",
    );
}
