//! What a report has about consumer groups.

use loadgen::measure::Summary;

use super::super::consumer_groups::{ConsumerGroupsUse, Produced};
use super::super::results::{BrokerResults, Results};
use super::rest::{ratio_text, table};
use super::seconds_text;
use crate::report::common::capitalised;
use crate::report::{Cell, Document};
use crate::scenario::ConsumerGroups;
use crate::units::{bytes_text, grouped, median_min_max, percent_text, time_text, whole};

pub(super) fn put(document: &mut Document, results: &Results) {
    for load in &results.scenario.consumer_groups {
        put_load(document, results, load);
    }
}

fn put_load(document: &mut Document, results: &Results, load: &ConsumerGroups) {
    let brokers: Vec<(&BrokerResults, Vec<&ConsumerGroupsUse>)> = results
        .brokers
        .iter()
        .map(|broker| (broker, broker.uses_of(load)))
        .filter(|(_, uses)| !uses.is_empty())
        .collect();
    if brokers.is_empty() {
        return;
    }
    document.heading(&format!("Consumer groups: {}", load.name));
    document.text(text_of(load));
    let head = [
        "broker",
        "times",
        "commit p50",
        "commit p99",
        "commit p99.9",
        "commits acknowledged",
        "refused, withheld, unsent",
        "divided after a leave",
        "and after its return",
        "produce p50",
        "produce p99",
        "processor",
        "memory for them",
    ];
    let rows = brokers.iter().map(|(broker, uses)| row(broker, uses)).collect();
    let note = "Medians over the repetitions, with the least and the most. A commit counts from when \
                it was due until it is acknowledged, a record likewise; those that fell due while \
                their member was joining are withheld, and those that could not be sent before the \
                end count with the time they had waited. Divided: from a member's wish to leave, or \
                to come again, until everybody has partitions of one new generation and every \
                partition is somebody's; the longest of a repetition below its median, which stands \
                on few samples where few members came and went. The processor's share is the \
                broker's in the measured time, memory is what is resident at most beyond what was \
                before the groups. In the end the committed offset of every partition was compared \
                with what was acknowledged.";
    document.table(table(&head, rows, note));
    put_ratios(document, &brokers);
    put_wrong(document, &brokers);
}

fn text_of(load: &ConsumerGroups) -> String {
    let mut text = capitalised(&load.about);
    if !text.is_empty() {
        text.push_str(". ");
    }
    let groups = match load.groups {
        1 => "One group".to_owned(),
        count => format!("{} groups", grouped(count.into())),
    };
    text.push_str(&format!(
        "{groups} of {} members of the classic protocol, each member with a connection of its own \
         and a heartbeat every {}; {} commits of one partition over all of them, measured for {} \
         after {}",
        load.members, load.heartbeat, load.commits, load.duration, load.warm_up
    ));
    if 0.0 < load.churn.0 {
        text.push_str(&format!("; members that leave and come again: {}", load.churn));
    }
    if 0.0 < load.produce.0 {
        text.push_str(&format!(
            "; beside them {} records of 1 KiB with acks=all, {}",
            load.produce,
            load.durability.name()
        ));
    }
    text.push('.');
    text
}

fn row(broker: &BrokerResults, uses: &[&ConsumerGroupsUse]) -> Vec<Cell> {
    let is_good = uses.iter().all(|it| it.fault().is_none());
    let client_bound = |it: &Produced| !it.client_bound.is_empty();
    let is_bound = uses.iter().any(|it| it.produced.as_ref().is_some_and(client_bound));
    let mut name = broker.name.clone();
    if is_bound {
        name.push_str("\nclient-bound");
    }
    if uses.iter().any(|it| 0 < it.outcome.commits.unsent) {
        name.push_str("\noverloaded: at least");
    }
    let spread = |read: &dyn Fn(&ConsumerGroupsUse) -> Option<f64>,
                  text: &dyn Fn(f64) -> String| {
        let numbers: Vec<f64> = uses.iter().filter_map(|it| read(it)).collect();
        let cell = median_min_max(&numbers)
            .map(|(median, min, max)| format!("{}\n{} – {}", text(median), text(min), text(max)));
        Cell::from(cell.unwrap_or("–".to_owned()))
    };
    let time = |read: fn(&ConsumerGroupsUse) -> Option<u64>| {
        spread(&|it| read(it).map(|ns| ns as f64), &|ns| time_text(whole(ns)))
    };
    let divided = |read: fn(&ConsumerGroupsUse) -> Summary| {
        let middles = uses.iter().filter_map(|it| read(it).p50).map(|ns| ns as f64);
        let longest = uses.iter().map(|it| read(it)).filter(|it| 0 < it.count);
        let longest = longest.map(|it| it.max).max();
        let middle = median_min_max(&middles.collect::<Vec<f64>>()).map(|(median, ..)| median);
        let count: u64 = uses.iter().map(|it| read(it).count).sum();
        Cell::from(match (middle, longest) {
            (_, None) => "–".to_owned(),
            (None, Some(max)) => format!("too few\nat most {} of {count}", time_text(max)),
            (Some(middle), Some(max)) => {
                format!("{}\nat most {} of {count}", time_text(whole(middle)), time_text(max))
            }
        })
    };
    vec![
        Cell::bad_if(!is_good, name),
        Cell::from(uses.len().to_string()),
        time(|it| it.outcome.commit_times.p50),
        time(|it| it.outcome.commit_times.p99),
        time(|it| it.outcome.commit_times.p99_9),
        Cell::from(grouped(uses.iter().map(|it| it.outcome.commits.acknowledged).sum())),
        Cell::from(format!(
            "{}, {}, {}",
            grouped(uses.iter().map(|it| it.outcome.commits.refused).sum()),
            grouped(uses.iter().map(|it| it.outcome.commits.withheld).sum()),
            grouped(uses.iter().map(|it| it.outcome.commits.unsent).sum())
        )),
        divided(|it| it.outcome.rebalances.left),
        divided(|it| it.outcome.rebalances.joined),
        time(|it| it.produced.as_ref()?.response.p50),
        time(|it| it.produced.as_ref()?.response.p99),
        spread(&|it| Some(it.used.cpu_share()), &percent_text),
        spread(
            &|it| {
                let more = it.used.resident_bytes_max.saturating_sub(it.resident_bytes_before);
                Some(more as f64)
            },
            &bytes_text,
        ),
    ]
}

/// Of the first broker to each of the others, by repetitions.
fn put_ratios(document: &mut Document, brokers: &[(&BrokerResults, Vec<&ConsumerGroupsUse>)]) {
    let Some(((first, ours), others)) = brokers.split_first() else { return };
    for (other, theirs) in others {
        let ratio = |read: fn(&ConsumerGroupsUse) -> Option<u64>| {
            let pairs = ours.iter().zip(theirs);
            let pairs: Option<Vec<(f64, f64)>> = pairs
                .map(|(ours, theirs)| Some((read(theirs)? as f64, read(ours)? as f64)))
                .collect();
            ratio_text(&pairs.unwrap_or_default())
        };
        document.text(format!(
            "{} over {}: commit p50 {}, p99 {}, p99.9 {}; produce p50 {}, p99 {}; processor time {}.",
            other.name,
            first.name,
            ratio(|it| it.outcome.commit_times.p50),
            ratio(|it| it.outcome.commit_times.p99),
            ratio(|it| it.outcome.commit_times.p99_9),
            ratio(|it| it.produced.as_ref()?.response.p50),
            ratio(|it| it.produced.as_ref()?.response.p99),
            ratio(|it| Some(it.used.cpu_ns)),
        ));
    }
}

/// What was wrong or late, of every repetition.
fn put_wrong(document: &mut Document, brokers: &[(&BrokerResults, Vec<&ConsumerGroupsUse>)]) {
    for (broker, uses) in brokers {
        for (number, it) in (1..).zip(uses) {
            let outcome = &it.outcome;
            let formed = match (outcome.formed.p50, outcome.formed.count) {
                (Some(middle), count) => {
                    let middle = seconds_text(middle as f64 / 1e9);
                    format!("{middle} (median of {})", grouped(count))
                }
                (None, _) => seconds_text(outcome.formed.max as f64 / 1e9),
            };
            let mut text = format!(
                "{} {number}: {} of {} committed offsets as acknowledged; formed in {formed}; \
                 {} heartbeats; generator at {} of its processor",
                broker.name,
                grouped(outcome.looked_at - outcome.wrong.len() as u64),
                grouped(outcome.looked_at),
                grouped(outcome.heartbeats),
                percent_text(outcome.cpu),
            );
            let rebalances = &outcome.rebalances;
            if 0 < rebalances.skipped + rebalances.unfinished {
                text.push_str(&format!(
                    "; {} leaves skipped as the group was still busy, {} without an end",
                    grouped(rebalances.skipped),
                    grouped(rebalances.unfinished)
                ));
            }
            if let Some(produced) = &it.produced
                && let Some(late) = produced.lateness.p99
            {
                text.push_str(&format!("; records sent up to {} late (p99)", time_text(late)));
            }
            for (note, count) in &outcome.notes {
                text.push_str(&format!("; {count} × {note}"));
            }
            for wrong in outcome.wrong_shown() {
                text.push_str(&format!("; WRONG {wrong}"));
            }
            text.push('.');
            document.text(text);
        }
    }
}
