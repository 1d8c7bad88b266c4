//! What a report says first, and what the terminal is told.

use std::collections::BTreeMap;
use std::fmt::Write;

use loadgen::table::aligned;

use super::super::comparison::{Comparison, Finding, Metric};
use super::super::consumer_groups::ConsumerGroupsUse;
use super::super::results::Results;
use super::super::run::{FlushProof, Numbers, Run};
use super::{capitalised, verdict_of};
use crate::report::Document;
use crate::units::{count_text, grouped, percent_text, time_text};

pub(super) fn put(document: &mut Document, results: &Results, comparisons: &[Comparison]) {
    put_kept(document, results);
    put_kept_by_groups(document, results);
    for broker in results.scenario.brokers.iter().skip(1) {
        let against: Vec<&Comparison> =
            comparisons.iter().filter(|it| it.theirs == broker.name).collect();
        if let Some(text) = against_text(&broker.name, &against) {
            let has_lost = against.iter().any(|it| matches!(it.finding, Finding::Worse { .. }));
            document.verdict(!has_lost, text);
        }
    }
    if results.scenario.brokers.len() == 1 {
        put_latencies(document, results);
    }
    let placements: Vec<String> =
        results.placements.iter().map(|(_, it)| capitalised(&it.reason)).collect();
    let turns = match results.scenario.brokers.len() {
        1 => "",
        _ => " Brokers take turns, run by run: A B, B A, A B; those that wait are up and idle.",
    };
    document.text(format!(
        "Commit `{}`, {}. {}.{turns} To do the same:",
        results.commit,
        results.began,
        placements.join(". ")
    ));
    document.code(results.command.clone());
}

fn put_kept(document: &mut Document, results: &Results) {
    let numbers = || results.runs.iter().filter_map(|run| run.numbers.as_ref().ok());
    let failed = results.runs.iter().filter(|run| run.numbers.is_err()).count();
    let broken = numbers().filter(|it| !it.verdict.is_good()).count();
    let unproven = numbers().filter(|it| it.flush_proof == FlushProof::DidNotMove).count();
    let bound = numbers().filter(|it| it.is_client_bound()).count();
    let acknowledged: u64 = numbers().map(|it| it.counts.acknowledged).sum();
    let not_run: u32 = results.not_run.iter().map(|(_, _, count)| count).sum();
    let all = results.runs.len();
    if broken == 0 && failed == 0 && 0 < all {
        let text = match acknowledged {
            0 => format!(
                "{all} runs: what was read back was intact, in order and there once; nothing was \
                 promised."
            ),
            _ => format!(
                "{all} runs: all {} acknowledged records were read back: once, intact and in \
                 order.",
                grouped(acknowledged)
            ),
        };
        document.verdict(true, text);
    }
    let not_run = usize::try_from(not_run).unwrap_or(usize::MAX);
    for (count, what) in [
        (
            broken,
            "in which the broker did not keep what it had acknowledged, or acknowledged nothing",
        ),
        (failed, "that did not come to an end"),
        (unproven, "that claim to be durable while the device was never flushed: invalid"),
        (bound, "that are client-bound: they say little about the broker, or only a lower bound"),
        (not_run, "that were not run"),
    ] {
        if count != 0 {
            let all = if what == "that were not run" { all + count } else { all };
            document.verdict(false, format!("{count} of {all} runs {what}."));
        }
    }
}

/// What was kept of what consumer groups were promised.
fn put_kept_by_groups(document: &mut Document, results: &Results) {
    let uses = || results.brokers.iter().flat_map(|broker| &broker.consumer_groups);
    let all = uses().count();
    if all == 0 {
        return;
    }
    let sum = |read: fn(&ConsumerGroupsUse) -> u64| grouped(uses().map(read).sum());
    let looked_at = sum(|it| it.outcome.looked_at);
    if uses().all(|it| it.outcome.wrong.is_empty()) {
        document.verdict(
            true,
            format!(
                "{all} runs with consumer groups: {} commits were acknowledged, and all {looked_at} \
                 offsets that are committed in the end are the acknowledged ones.",
                sum(|it| it.outcome.commits.acknowledged)
            ),
        );
    } else {
        let wrong = sum(|it| it.outcome.wrong.len() as u64);
        let text =
            format!("{wrong} of {looked_at} committed offsets are not the acknowledged ones.");
        document.verdict(false, text);
    }
    for broker in &results.brokers {
        let mut faults: BTreeMap<&str, usize> = BTreeMap::new();
        for fault in broker.consumer_groups.iter().filter_map(ConsumerGroupsUse::fault) {
            *faults.entry(fault).or_default() += 1;
        }
        for (fault, count) in faults {
            let runs = broker.consumer_groups.len();
            let text = format!("{}: {fault} in {count} of {runs} runs with groups.", broker.name);
            document.verdict(false, text);
        }
    }
}

/// `Against X: throughput better in 20 of 27 cells, worse in 4, …`
fn against_text(theirs: &str, comparisons: &[&Comparison]) -> Option<String> {
    let ours = &comparisons.first()?.ours;
    let metrics = [
        Metric::Throughput,
        Metric::CpuPerGb,
        Metric::P50,
        Metric::P99,
        Metric::P99_9,
        Metric::FirstAck,
    ];
    let parts = metrics.into_iter().filter_map(|metric| {
        let of: Vec<&Comparison> =
            comparisons.iter().filter(|it| it.metric == metric).copied().collect();
        let count = |is: fn(&Finding) -> bool| of.iter().filter(|it| is(&it.finding)).count();
        let better = count(Finding::is_better);
        let worse = count(|it| matches!(it, Finding::Worse { .. }));
        let undecided = count(|it| match it {
            Finding::Undecided { .. } => true,
            Finding::AtLeast { .. } => !it.is_better(),
            Finding::Better { .. } | Finding::Worse { .. } | Finding::NotCounted { .. } => false,
        });
        let not_counted = count(|it| matches!(it, Finding::NotCounted { .. }));
        let least =
            of.iter().filter_map(ratio_of).min_by(|(one, _), (other, _)| one.total_cmp(other));
        let most =
            of.iter().filter_map(ratio_of).max_by(|(one, _), (other, _)| one.total_cmp(other));
        if of.is_empty() {
            return None;
        }
        let mut text = format!("{} better in {better} of {} cells", metric.name(), of.len());
        for (count, what) in
            [(worse, "worse"), (undecided, "undecided"), (not_counted, "not counted")]
        {
            if count != 0 {
                let _ = write!(text, ", {what} in {count}");
            }
        }
        if let (Some((_, least)), Some((_, most))) = (least, most) {
            let _ = write!(text, ", from {} to {}", least.finding.text(), most.finding.text());
        }
        Some(text)
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| format!("{ours} against {theirs}: {}.", parts.join("; ")))
}

fn ratio_of<'a>(comparison: &&'a Comparison) -> Option<(f64, &'a Comparison)> {
    Some((comparison.finding.ratio()?.value, comparison))
}

/// Of one broker alone, what its schedules found.
fn put_latencies(document: &mut Document, results: &Results) {
    for run in results.runs.iter().filter(|run| run.cell.is_open()) {
        let Ok(numbers) = &run.numbers else { continue };
        let summary = numbers.summary();
        let time = |value: Option<u64>| value.map_or("of too few".to_owned(), time_text);
        let clock = numbers.headline;
        let mut text = format!(
            "acks={}, {} ({}): p50 {}, p99 {}, p99.9 {}, at most {}, of {} records; highest rate \
             {}/s",
            run.cell.acks.name(),
            clock.name(),
            clock.meaning(),
            time(summary.p50),
            time(summary.p99),
            time(summary.p99_9),
            time_text(summary.max),
            grouped(summary.count),
            count_text(numbers.peak_per_s.unwrap_or_default()),
        );
        if let Some(recovery) = &numbers.recovery {
            let _ = write!(text, "; {}", recovery.text());
        }
        document.text(format!("{text}."));
        for reason in &numbers.verdict.client_bound {
            let acks = run.cell.acks.name();
            let text =
                format!("acks={acks} is client-bound and says little about the broker: {reason}.");
            document.verdict(false, text);
        }
    }
}

/// A few lines for the terminal: each run, and whether the broker kept its word.
pub fn terminal(results: &Results) -> String {
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
    rows.extend(results.runs.iter().map(row));
    let mut text = aligned(&rows);
    for run in &results.runs {
        let Ok(numbers) = &run.numbers else { continue };
        let counts = &numbers.counts;
        if 0 < counts.failed + counts.unknown {
            let _ = writeln!(
                text,
                "{}: {} records refused, {} without an answer: the report says why",
                name(run),
                grouped(counts.failed),
                grouped(counts.unknown)
            );
        }
        for reason in &numbers.verdict.client_bound {
            let _ = writeln!(text, "{} is client-bound: {reason}", name(run));
        }
    }
    let numbers = || results.runs.iter().filter_map(|run| run.numbers.as_ref().ok());
    let is_kept = numbers().all(|it| it.verdict.is_kept);
    let acknowledged: u64 = numbers().map(|it| it.counts.acknowledged).sum();
    text.push_str(&match (is_kept, results.is_sound()) {
        (false, _) => "BROKEN: an acknowledged record is missing, repeated, out of order or \
                       damaged\n"
            .to_owned(),
        (true, false) => {
            "NOT ALL WAS VERIFIED: a run failed, or nothing came through it\n".to_owned()
        }
        (true, true) => format!(
            "{} acknowledged records: none missing, repeated or out of order\n",
            grouped(acknowledged)
        ),
    });
    for broker in &results.brokers {
        let started = broker.facts.iter().flat_map(|(_, facts)| &facts.started_in_s);
        for seconds in started {
            let _ = writeln!(
                text,
                "{} served {} after its start",
                broker.name,
                super::seconds_text(*seconds)
            );
        }
    }
    text
}

fn name(run: &Run) -> String {
    match &run.numbers {
        Ok(numbers) => format!("acks={}, {}", run.cell.acks.name(), numbers.headline.name()),
        Err(_) => format!("acks={}", run.cell.acks.name()),
    }
}

fn row(run: &Run) -> Vec<String> {
    let numbers: &Numbers = match &run.numbers {
        Ok(numbers) => numbers,
        Err(error) => return vec![name(run), format!("failed: {error}")],
    };
    let summary = numbers.summary();
    let time = |value: Option<u64>| value.map_or("too few".to_owned(), time_text);
    let counts = &numbers.counts;
    let is_known = numbers.cpu_s_per_gb.is_some();
    let is_answered = run.cell.acks.is_answered();
    let or_dash = |is: bool, text: String| if is { text } else { "–".to_owned() };
    vec![
        name(run),
        count_text(numbers.records_per_s),
        time(summary.p50),
        time(summary.p99),
        time(summary.p99_9),
        time_text(summary.max),
        or_dash(is_known, percent_text(numbers.usage.cpu_share())),
        grouped(counts.sent),
        or_dash(is_answered, grouped(counts.acknowledged)),
        grouped(counts.consumed),
        grouped(counts.missing),
        verdict_of(&[run]).text,
    ]
}
