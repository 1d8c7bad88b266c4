//! What every report has: percentiles in tables, the host, the settings.

use loadgen::measure::{QUANTILES, SAMPLES_BEYOND_MIN, Summary};
use loadgen::outcome::Outcome;
use tuning::Facts;

use super::{Cell, Document, Table};
use crate::sample::JournalUse;
use crate::units::{bytes_text, count_text, grouped, three_digits, time_text};

/// The headings of [`summary_cells`].
pub fn summary_head() -> Vec<String> {
    let mut head = vec!["samples".to_owned()];
    head.extend(QUANTILES.map(|(name, _)| name.to_owned()));
    head.push("max".to_owned());
    head
}

/// Samples, percentiles and the maximum.
pub fn summary_cells(summary: &Summary) -> Vec<Cell> {
    let mut cells = vec![Cell::from(grouped(summary.count))];
    cells.extend(summary.quantiles().map(|value| match value {
        Some(value) => Cell::from(time_text(value)),
        None => Cell::invalid("too few"),
    }));
    cells.push(match summary.count {
        0 => Cell::from("–"),
        _ => Cell::from(time_text(summary.max)),
    });
    cells
}

/// Below every table with percentiles.
pub fn percentile_note() -> String {
    format!(
        "A percentile is given only if at least {SAMPLES_BEYOND_MIN:.0} samples lie beyond it. \
         Percentiles are taken from histograms that were added up, never averaged."
    )
}

/// Whether the numbers of a run count, in a word or two.
pub fn verdict_cell(outcome: &Outcome) -> Cell {
    let verdict = outcome.verdict();
    if !verdict.is_kept {
        return Cell::bad("broken");
    }
    if verdict.is_hollow {
        return Cell::bad("nothing came through");
    }
    if !verdict.client_bound.is_empty() {
        return Cell::invalid("client-bound");
    }
    Cell::from("verified")
}

/// Everything that the books of a run say.
pub fn books_table(runs: &[(String, &Outcome)]) -> Table {
    let head = [
        "run",
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
    let rows = runs.iter().map(|(name, outcome)| {
        let counts = &outcome.counts;
        let asked = outcome.settings.acks.is_answered();
        let answered = |count: u64| if asked { grouped(count) } else { "–".to_owned() };
        let wrong = |count: u64, is_bad: bool| Cell::bad_if(is_bad && count != 0, grouped(count));
        vec![
            Cell::from(name.as_str()),
            Cell::from(grouped(counts.sent)),
            Cell::from(answered(counts.acknowledged)),
            Cell::from(answered(counts.failed)),
            Cell::from(answered(counts.unknown)),
            Cell::from(grouped(counts.consumed)),
            wrong(counts.missing, asked),
            wrong(counts.duplicated, true),
            wrong(counts.out_of_order, true),
            wrong(counts.corrupt, true),
            Cell::from(grouped(counts.unsent)),
        ]
    });
    Table {
        head: head.map(str::to_owned).to_vec(),
        rows: rows.collect(),
        note: Some(
            "Every record carries its producer, key, sequence number, intended time and a \
             checksum; all of them are read back to the end of the log. Nothing is ever sent \
             twice, so a duplicate is the broker's. Missing are acknowledged records that were \
             not read back, or with acks=0, for which nothing is promised, sent ones. Warm-up \
             included."
                .to_owned(),
        ),
    }
}

/// What a broker tells of its journal; nothing where none does.
pub fn put_journal(document: &mut Document, runs: &[(String, Option<JournalUse>)]) {
    let told = runs.iter().filter_map(|(name, journal)| Some((name, (*journal)?)));
    let or_dash = |value: Option<f64>, text: fn(f64) -> String| value.map_or("–".to_owned(), text);
    let rows = told.map(|(name, journal)| {
        let flushes = journal.counters.flushes.map(|it| it as f64 / journal.seconds);
        let cells = [
            name.clone(),
            or_dash(journal.commits_per_s(), count_text),
            or_dash(journal.records_per_commit(), three_digits),
            or_dash(journal.bytes_per_commit(), bytes_text),
            or_dash(flushes, count_text),
        ];
        cells.into_iter().map(Cell::from).collect()
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let head = ["run", "commits/s", "records/commit", "bytes/commit", "own flushes/s"];
    let note = "As the broker counts it, over all of its cores and both streams of its journal, \
                from readings four times a second.";
    document.table(Table {
        head: head.map(str::to_owned).to_vec(),
        rows,
        note: Some(note.to_owned()),
    });
}

/// The facts of the host.
pub fn put_host(document: &mut Document, facts: &Facts) {
    document.heading("The host");
    let rows = facts.rows().into_iter();
    let rows = rows.map(|(name, value)| vec![Cell::from(name), Cell::from(value)]);
    document.table(Table {
        head: vec!["what".to_owned(), "is".to_owned()],
        rows: rows.collect(),
        note: None,
    });
}

/// As at the beginning of a sentence.
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().collect::<String>());
    first.unwrap_or_default() + chars.as_str()
}

/// Names and values.
pub fn settings_table(settings: &[(String, String)]) -> Table {
    let rows = settings
        .iter()
        .map(|(name, value)| vec![Cell::from(name.as_str()), Cell::from(value.as_str())]);
    Table { head: vec!["setting".to_owned(), "value".to_owned()], rows: rows.collect(), note: None }
}
