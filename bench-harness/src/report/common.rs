//! What every report has: percentiles in tables, the host, the settings.

use loadgen::measure::SAMPLES_BEYOND_MIN;
use tuning::Facts;

use super::{Cell, Document, Table};
use crate::sample::JournalUse;
use crate::units::{bytes_text, count_text, three_digits};

/// Below every table with percentiles.
pub fn percentile_note() -> String {
    format!(
        "A percentile is given only if at least {SAMPLES_BEYOND_MIN:.0} samples lie beyond it. \
         Percentiles are taken from histograms that were added up, never averaged."
    )
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
