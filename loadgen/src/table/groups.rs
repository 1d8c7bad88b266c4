//! A run of consumer groups in plain text.

use std::fmt::Write;

use super::{aligned, row, summary_cells, summary_heading};
use crate::groups::{Fault, GroupsOutcome};
use crate::units::{grouped, three_digits};

/// Times, what became of the commits, and whether the broker kept its word.
pub fn groups(outcome: &GroupsOutcome) -> String {
    let settings = &outcome.settings;
    let mut text = format!(
        "{} groups of {} members, {} commits for {}, a heartbeat every {}",
        settings.groups, settings.members, settings.commits, settings.duration, settings.heartbeat
    );
    if 0.0 < settings.churn.0 {
        let _ = write!(text, ", members that leave and come again {}", settings.churn);
    }
    text.push_str("\n\n");
    let rebalances = &outcome.rebalances;
    let times = [
        ("commit", outcome.commit_times, "due → acknowledged"),
        ("formed", outcome.formed, "first member's start → everything divided"),
        ("left", rebalances.left, "a member's leave → the others have everything"),
        ("joined", rebalances.joined, "its return → all have theirs"),
    ];
    let times = times.into_iter().filter(|(_, summary, _)| summary.count != 0);
    let mut rows = vec![row("time", summary_heading())];
    let mut meanings = String::new();
    for (name, summary, meaning) in times {
        rows.push(row(name, summary_cells(&summary)));
        let _ = writeln!(meanings, "  {name:<8} {meaning}");
    }
    text.push_str(&aligned(&rows));
    text.push_str(&meanings);
    text.push('\n');
    let commits = &outcome.commits;
    let counts = [
        ("commits due", commits.due()),
        ("acknowledged", commits.acknowledged),
        ("refused", commits.refused),
        ("withheld", commits.withheld),
        ("failed", commits.failed),
        ("unsent", commits.unsent),
        ("heartbeats", outcome.heartbeats),
        ("leaves skipped", rebalances.skipped),
        ("unfinished", rebalances.unfinished),
    ];
    let (names, numbers) =
        counts.into_iter().map(|(name, count)| (name.to_owned(), grouped(count))).unzip();
    text.push_str(&aligned(&[names, numbers]));
    text.push('\n');
    for (note, count) in &outcome.notes {
        let _ = writeln!(text, "{count} × {note}");
    }
    let _ = writeln!(text, "generator: {} % of a processor", three_digits(outcome.cpu * 100.0));
    if 0 < commits.unsent {
        text.push_str(
            "OVERLOADED: commits that were not sent count with the time that they waited\n",
        );
    }
    for wrong in outcome.wrong_shown() {
        let _ = writeln!(text, "WRONG {wrong}");
    }
    let _ = match outcome.fault() {
        None => writeln!(
            text,
            "verified: of {} partitions the offset is committed that was acknowledged",
            grouped(outcome.looked_at)
        ),
        Some(Fault::WrongOffsets) => {
            writeln!(text, "BROKEN: the broker did not keep what it had acknowledged")
        }
        Some(Fault::Unfinished) => {
            writeln!(text, "STUCK: groups did not divide their partitions in time")
        }
        Some(Fault::NothingAcknowledged) => {
            writeln!(text, "NOTHING CAME THROUGH: no commit was acknowledged")
        }
    };
    text
}
