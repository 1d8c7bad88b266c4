//! A demonstration in a few lines for the terminal.

use loadgen::table::aligned;

use super::{Demonstration, name_of};
use crate::report::common;
use crate::units::{count_text, grouped, percent_text, time_text, whole};

pub(in crate::demo) fn summary(demonstration: &Demonstration) -> String {
    let head = [
        "",
        "records/s",
        "p50",
        "p99",
        "p99.9",
        "max",
        "broker CPU",
        "sent",
        "acknowledged",
        "consumed",
        "missing",
        "verdict",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for run in &demonstration.runs {
        let outcome = &run.outcome;
        let summary = outcome.summary(outcome.headline());
        let time = |value: Option<u64>| value.map_or("too few".to_owned(), time_text);
        let counts = &outcome.counts;
        let cpu = percent_text(run.usage().cpu_share());
        rows.push(vec![
            format!("{}, {}", name_of(run), outcome.headline().name()),
            count_text(outcome.rate_per_s()),
            time(summary.p50),
            time(summary.p99),
            time(summary.p99_9),
            time_text(summary.max),
            if demonstration.is_broker_known { cpu } else { "–".to_owned() },
            grouped(counts.sent),
            if run.acks().is_answered() { grouped(counts.acknowledged) } else { "–".to_owned() },
            grouped(counts.consumed),
            grouped(counts.missing),
            common::verdict_cell(outcome).text,
        ]);
    }
    let mut text = aligned(&rows);
    for run in &demonstration.runs {
        let counts = &run.outcome.counts;
        if 0 < counts.failed + counts.unknown {
            text.push_str(&format!(
                "{}: {} records refused, {} without an answer: the report says why\n",
                name_of(run),
                grouped(counts.failed),
                grouped(counts.unknown)
            ));
        }
        for reason in run.outcome.verdict().client_bound {
            text.push_str(&format!("{} is client-bound: {reason}\n", name_of(run)));
        }
    }
    let acknowledged: u64 =
        demonstration.runs.iter().map(|run| run.outcome.counts.acknowledged).sum();
    text.push_str(&if !demonstration.is_good() && demonstration.is_kept() {
        "NOTHING CAME THROUGH in at least one run: there is nothing that could be verified\n"
            .to_owned()
    } else if demonstration.is_kept() {
        format!(
            "{} acknowledged records: none missing, repeated or out of order\n",
            grouped(acknowledged)
        )
    } else {
        "BROKEN: an acknowledged record is missing, repeated, out of order or damaged\n".to_owned()
    });
    let seconds = demonstration.broker_started_in.map(|it| it.as_secs_f64()).unwrap_or_default();
    if 0.0 < seconds {
        text.push_str(&format!(
            "the broker served {} after its start\n",
            time_text(whole(seconds * 1e9))
        ));
    }
    text
}
