//! Text in columns, and numbers for people.
//!
//! Guarantees: columns are as wide as what is in them, wherever it is shown; what brokers and users
//! have written cannot steer a terminal. Does not know: what is in the cells.

use std::fmt::Write;

/// To which side the cells of a column are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    /// Numbers, so that their digits stand below each other.
    Right,
}

/// Rows of cells under a heading.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Align>,
    /// The first is the heading.
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[(&str, Align)]) -> Table {
        let heading = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Table { columns: columns.iter().map(|(_, align)| *align).collect(), rows: vec![heading] }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "every column has its cell");
        self.rows.push(cells.iter().map(|cell| visible(cell)).collect());
    }

    /// Each row in a line that begins with so many blanks.
    pub(super) fn text(&self, indent: usize) -> String {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), width) in row.iter().zip(&self.columns).zip(&widths) {
                line.push_str(if line.is_empty() { "" } else { "  " });
                let _ = match align {
                    Align::Left => write!(line, "{cell:<width$}"),
                    Align::Right => write!(line, "{cell:>width$}"),
                };
            }
            let _ = writeln!(text, "{:indent$}{}", "", line.trim_end());
        }
        text
    }
}

/// The text with its control characters escaped.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Bytes for people, in powers of ten, with three digits: `512 B`, `1.05 MB`.
pub(super) fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut number = bytes as f64 / 1000.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // What would be rounded to 1000 belongs to the next unit.
    while 999.5 <= number
        && let Some(next) = units.next()
    {
        number /= 1000.0;
        unit = Some(next);
    }
    let digits_after = match number {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{number:.digits_after$} {}", unit.expect("there is one to begin with"))
}
