//! What a report has besides its cells.

use std::collections::BTreeMap;

use loadgen::ledger::Counts;

use super::super::bare::{BareNumbers, p50};
use super::super::compaction::CompactionUse;
use super::super::results::{BrokerResults, Results};
use super::{consumer_groups, seconds_text};
use crate::report::{Cell, Document, Table, common};
use crate::statistics::Ratio;
use crate::units::{
    bytes_text, grouped, median_min_max, percent_text, three_digits, time_text, whole,
};

pub(super) fn put(document: &mut Document, results: &Results) {
    put_bare(document, results);
    put_idle(document, results);
    put_compactions(document, results);
    consumer_groups::put(document, results);
    put_books(document, results);
    put_errors(document, results);
    put_settings(document, results);
    common::put_host(document, &results.facts);
    put_limits(document);
}

pub(super) fn table(head: &[&str], rows: Vec<Vec<Cell>>, note: &str) -> Table {
    let head = head.iter().map(|it| (*it).to_owned()).collect();
    Table { head, rows, note: (!note.is_empty()).then(|| note.to_owned()) }
}

fn put_bare(document: &mut Document, results: &Results) {
    let brokers: Vec<&BrokerResults> =
        results.brokers.iter().filter(|broker| !broker.bare.is_empty()).collect();
    if brokers.is_empty() {
        return;
    }
    document.heading("One durable append at a time");
    document.text(
        "In turns, in the same minutes and on the same disk: a 4 KiB write that is on the device \
         when it returns, without a broker; a durable append of one record through the broker; and \
         a question to it that needs no disk (ApiVersions). What the append takes beyond the other \
         two is the broker's own.",
    );
    let rows = brokers.iter().map(|broker| {
        let spread = |number: &dyn Fn(&BareNumbers) -> f64, text: &dyn Fn(f64) -> String| {
            let numbers: Vec<f64> = broker.bare.iter().map(number).collect();
            let cell = median_min_max(&numbers)
                .map(|(median, min, max)| format!("{}\n{}–{}", text(median), text(min), text(max)));
            Cell::from(cell.unwrap_or_default())
        };
        let time = |ns: f64| {
            let sign = if ns < 0.0 { "−" } else { "" };
            format!("{sign}{}", time_text(whole(ns.abs())))
        };
        vec![
            Cell::from(broker.name.as_str()),
            spread(&|it| p50(&it.append_ns), &time),
            spread(&|it| p50(&it.bare_write_ns), &time),
            spread(&|it| p50(&it.ping_ns), &time),
            spread(&BareNumbers::broker_ns, &time),
            spread(&|it| p50(&it.append_ns) / p50(&it.bare_write_ns), &|it| {
                format!("{}×", three_digits(it))
            }),
            spread(&|it| it.flushes_per_append, &three_digits),
            spread(&|it| it.device_bytes_per_append, &bytes_text),
        ]
    });
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
    let note = "Medians of each repetition: their median, below it the lowest and the highest. \
                Medians do not add up exactly; what is left over counts as the broker's own, with \
                the kernel's work for larger requests and for waking its threads. Flushes and \
                bytes are the whole device's.";
    document.table(table(&head, rows.collect(), note));
}

fn put_idle(document: &mut Document, results: &Results) {
    let idle = results.brokers.iter().filter_map(|broker| Some((broker, broker.idle?)));
    let rows = idle.map(|(broker, idle)| {
        let seconds = |it: Option<f64>| it.map_or("–".to_owned(), seconds_text);
        let cells = [
            broker.name.clone(),
            seconds(idle.started_in_s),
            seconds(idle.first_topic_s),
            idle.partitions.to_string(),
            percent_text(idle.empty.cpu_share()),
            percent_text(idle.idle.cpu_share()),
            bytes_text(idle.empty.resident_bytes_max as f64),
            bytes_text(idle.idle.resident_bytes_max as f64),
            bytes_text(idle.bytes_per_partition()),
            seconds_text(idle.creation_s),
            seconds(idle.restarted_in_s),
        ];
        cells.into_iter().map(Cell::from).collect()
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if rows.is_empty() {
        return;
    }
    document.heading("Start and rest");
    let head = [
        "broker",
        "start to serving",
        "to the first topic",
        "partitions",
        "CPU without topics",
        "CPU with them",
        "memory without",
        "with them",
        "bytes per partition",
        "making them took",
        "back after kill -9",
    ];
    let note = "Started on an empty directory. Processor time is in shares of one processor, \
                memory is what is resident. Nothing is produced or consumed, no client is \
                connected, and nobody asks for metrics. It is back when another topic is led; \
                without a number it was not back within a minute.";
    document.table(table(&head, rows, note));
}

fn put_compactions(document: &mut Document, results: &Results) {
    let brokers = results.brokers.iter().filter(|broker| !broker.compactions.is_empty());
    let rows: Vec<Vec<Cell>> = brokers.map(compactions_row).collect();
    if rows.is_empty() {
        return;
    }
    document.heading("Compaction of a changelog");
    let compaction = results.scenario.compaction.as_ref();
    if let Some(compaction) = compaction {
        document.text(format!(
            "{} updates of {} keys, each update of one of them by chance, values of {} in batches of \
             {}, segments of {}. The topic is filled with cleanup.policy=delete; then it is changed \
             to compact, and it is over when the log has become smaller for the last time. \
             Afterwards everything is read: the last record of every key was there each time.",
            grouped(compaction.updates),
            grouped(compaction.keys.into()),
            compaction.value_size,
            compaction.batch_size,
            compaction.segment_size,
        ));
    }
    let head = [
        "broker",
        "times",
        "log before",
        "log after",
        "took",
        "processor time",
        "per GB before",
        "memory at most",
        "more than before",
        "disk read",
        "disk written",
        "records left",
    ];
    let note = "Medians, with the least and the most. Memory is what is resident. The segment that \
                takes the appends is not compacted by either. Disk bytes are the whole device's.";
    document.table(table(&head, rows, note));
    put_compaction_ratios(document, results);
}

fn compactions_row(broker: &BrokerResults) -> Vec<Cell> {
    let all = &broker.compactions;
    let of = |read: fn(&CompactionUse) -> f64, text: fn(f64) -> String| {
        let numbers: Vec<f64> = all.iter().map(read).collect();
        let (median, min, max) = median_min_max(&numbers).expect("there is one");
        format!("{} ({} – {})", text(median), text(min), text(max))
    };
    let cells = [
        broker.name.clone(),
        all.len().to_string(),
        of(|it| it.bytes_before as f64, bytes_text),
        of(|it| it.bytes_after as f64, bytes_text),
        of(|it| it.took_s, seconds_text),
        of(|it| it.used.cpu_ns as f64 / 1e9, seconds_text),
        of(CompactionUse::cpu_s_per_gb, seconds_text),
        of(|it| it.used.resident_bytes_max as f64, bytes_text),
        of(
            |it| it.used.resident_bytes_max.saturating_sub(it.resident_bytes_before) as f64,
            bytes_text,
        ),
        of(|it| it.used.disk_read_bytes as f64, bytes_text),
        of(|it| it.used.disk_written_bytes as f64, bytes_text),
        of(|it| it.records_left as f64, |it| grouped(whole(it))),
    ];
    cells.into_iter().map(Cell::from).collect()
}

/// Of the first broker to each of the others, by repetitions.
fn put_compaction_ratios(document: &mut Document, results: &Results) {
    let Some((first, others)) = results.brokers.split_first() else { return };
    for other in others {
        let ratio = |read: fn(&CompactionUse) -> f64| {
            let pairs: Vec<(f64, f64)> = first
                .compactions
                .iter()
                .zip(&other.compactions)
                .map(|(one, other)| (read(other), read(one)))
                .collect();
            ratio_text(&pairs)
        };
        document.text(format!(
            "{} over {}: time {}, processor time {}, memory at most {}.",
            other.name,
            first.name,
            ratio(|it| it.took_s),
            ratio(|it| it.used.cpu_ns as f64),
            ratio(|it| it.used.resident_bytes_max as f64),
        ));
    }
}

/// The ratio of pairs with its interval.
pub(super) fn ratio_text(pairs: &[(f64, f64)]) -> String {
    let ratio = Ratio::of_pairs(pairs);
    ratio.map_or("–".to_owned(), |ratio| match ratio.interval {
        Some((low, high)) => format!(
            "{} ({} – {})",
            three_digits(ratio.value),
            three_digits(low),
            three_digits(high)
        ),
        None => three_digits(ratio.value),
    })
}

fn put_books(document: &mut Document, results: &Results) {
    if results.runs.is_empty() {
        return;
    }
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
        "unsent",
    ];
    let rows = results.brokers.iter().map(|broker| {
        // What was sent without asking for an answer is promised nothing.
        let sum = |is_answered: bool| {
            let runs = results.runs.iter().filter(|run| run.broker == broker.name);
            let runs = runs.filter(|run| run.cell.acks.is_answered() == is_answered);
            let counts = runs.filter_map(|run| Some(run.numbers.as_ref().ok()?.counts));
            counts.fold(Counts::default(), Counts::plus)
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
            grouped(all.unsent).into(),
        ]
    });
    let note = "Over all runs, warm-up included. Every record carries its producer, key, sequence \
                number, intended time and a checksum, and all of them are read back to the end of \
                the log. Missing are acknowledged records that were not read back.";
    document.table(table(&head, rows.collect(), note));
}

fn put_errors(document: &mut Document, results: &Results) {
    // What, of which broker and cell, and in how many runs.
    let mut found: BTreeMap<(String, String, String), u32> = BTreeMap::new();
    let mut note = |broker: &str, place: String, what: String, times: u32| {
        *found.entry((broker.to_owned(), place, what)).or_default() += times;
    };
    for broker in &results.brokers {
        for error in &broker.errors {
            note(&broker.name, "–".to_owned(), error.clone(), 1);
        }
    }
    for run in &results.runs {
        let place = || run.cell.name();
        match &run.numbers {
            Err(error) => note(&run.broker, place(), error.clone(), 1),
            Ok(numbers) => {
                for (what, count) in &numbers.notes {
                    note(&run.broker, place(), format!("{count} × {what}"), 1);
                }
                for reason in &numbers.verdict.client_bound {
                    note(&run.broker, place(), format!("client-bound: {reason}"), 1);
                }
                for error in numbers.happened.iter().filter_map(|it| it.error.as_ref()) {
                    note(&run.broker, place(), error.clone(), 1);
                }
            }
        }
    }
    for (cell, broker, count) in &results.not_run {
        note(broker, cell.clone(), "not run".to_owned(), *count);
    }
    if found.is_empty() {
        return;
    }
    document.heading("What went wrong, and what was not run");
    let rows = found.into_iter().map(|((broker, place, what), times)| {
        [broker, place, what, times.to_string()].into_iter().map(Cell::from).collect()
    });
    document.table(table(&["broker", "where", "what", "runs"], rows.collect(), ""));
}

fn put_settings(document: &mut Document, results: &Results) {
    document.heading("Settings");
    document.text("The scenario; `results.json` has every number of every run.");
    document.code(toml::to_string(&results.scenario).unwrap_or_default());
    for broker in &results.brokers {
        for (layout, facts) in &broker.facts {
            let name = match broker.facts.len() {
                1 => format!("Of {}:", broker.name),
                _ => format!("Of {}, {}:", broker.name, layout.name()),
            };
            document.text(name);
            let mut settings = facts.settings.clone();
            let starts: Vec<String> =
                facts.started_in_s.iter().map(|it| seconds_text(*it)).collect();
            settings.push(("started in".to_owned(), starts.join(", ")));
            document.table(common::settings_table(&settings));
        }
    }
}

fn put_limits(document: &mut Document) {
    document.heading("What this does not say");
    document.text(
        "Brokers and load generator run on one host over loopback: no network, one replica. Runs \
         are short, so nothing here is about retention, compaction, full disks or warm caches of \
         days. What is read back comes from memory unless caches are dropped. Other work on the \
         host is part of the numbers; steal and the generator's lateness show some of it. Compare \
         brokers within this report only: another host gives other numbers.",
    );
}
