//! Reports: one document, written as Markdown for a pull request, with its pictures in files beside
//! it, and as one HTML file that needs nothing beside it and no network.
//!
//! Guarantees: both say and show the same. Does not know: what was measured.

mod html;
mod markdown;
pub mod curves;
pub mod common;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::plot::Picture;
use crate::units::file_name;

/// The folder of the pictures, beside `report.md`.
const PICTURES: &str = "pictures";

/// A document, from top to bottom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    pub title: String,
    pub blocks: Vec<Block>,
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    Heading(String),
    Text(String),
    /// Something that the reader must not miss; good or bad.
    Verdict {
        is_good: bool,
        text: String,
    },
    Table(Table),
    /// Commands, as they are typed.
    Code(String),
    /// Pictures side by side, with what is to be seen in them.
    Figures {
        columns: usize,
        pictures: Vec<Picture>,
        caption: String,
    },
}

/// Rows under a heading. Words stand left, numbers right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// Below it.
    pub note: Option<String>,
}

impl Table {
    /// Whether a column has numbers in it, besides cells that say why there is none.
    fn is_of_numbers(&self, column: usize) -> bool {
        let is_number = |cell: &Cell| {
            let text = cell.text.trim_start_matches(['-', '−', '+']);
            text.is_empty() || text == "–" || text.starts_with(|c: char| c.is_ascii_digit())
        };
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let mut cells = cells.filter(|cell| cell.mark != Mark::Invalid);
        0 < column && 2 < self.head.len() && cells.all(is_number)
    }
}

/// A cell of a table. A second line of its text is less important than the first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    pub text: String,
    pub mark: Mark,
    /// A file beside the document that it leads to.
    pub link: Option<String>,
}

/// What a cell is, besides what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    #[default]
    Plain,
    /// It should not be so, or it is worse than what it is compared with.
    Bad,
    /// It does not count, and the text says why.
    Invalid,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), ..Cell::default() }
    }
}

impl Cell {
    pub fn bad(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), mark: Mark::Bad, link: None }
    }

    pub fn invalid(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), mark: Mark::Invalid, link: None }
    }

    pub fn link(text: impl Into<String>, to: impl Into<String>) -> Cell {
        Cell { text: text.into(), mark: Mark::Plain, link: Some(to.into()) }
    }

    fn first_line(&self) -> &str {
        self.text.split('\n').next().unwrap_or_default()
    }

    fn second_line(&self) -> Option<&str> {
        self.text.split_once('\n').map(|(_, second)| second)
    }

    /// Bad if it is so.
    pub fn bad_if(is_bad: bool, text: impl Into<String>) -> Cell {
        if is_bad { Cell::bad(text) } else { Cell::from(text) }
    }
}

impl Document {
    pub fn new(title: &str) -> Document {
        Document { title: title.to_owned(), blocks: Vec::new() }
    }

    pub fn heading(&mut self, text: &str) {
        self.blocks.push(Block::Heading(text.to_owned()));
    }

    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    pub fn verdict(&mut self, is_good: bool, text: impl Into<String>) {
        self.blocks.push(Block::Verdict { is_good, text: text.into() });
    }

    /// What must not be missed, in order.
    pub fn verdicts(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Verdict { text, .. } => Some(text.as_str()),
            Block::Heading(_)
            | Block::Text(_)
            | Block::Table(_)
            | Block::Code(_)
            | Block::Figures { .. } => None,
        })
    }

    pub fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    pub fn code(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Code(text.into()));
    }

    pub fn figures(&mut self, columns: usize, pictures: Vec<Picture>, caption: &str) {
        let caption = caption.to_owned();
        self.blocks.push(Block::Figures { columns, pictures, caption });
    }

    /// Writes `report.md`, its pictures and `report.html` into a folder that exists; the error names
    /// the file.
    pub fn write(&self, folder: &Path) -> Result<(), (PathBuf, io::Error)> {
        let pictures = folder.join(PICTURES);
        fs::create_dir_all(&pictures).map_err(|error| (pictures, error))?;
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| (path, error))
        };
        for (name, picture) in self.pictures() {
            put(&name, picture.file())?;
        }
        put("report.md", self.markdown())?;
        put("report.html", self.html())
    }

    /// All pictures in order, and where they lie beside `report.md`.
    fn pictures(&self) -> impl Iterator<Item = (String, &Picture)> {
        let all = self.blocks.iter().flat_map(|block| match block {
            Block::Figures { pictures, .. } => pictures.as_slice(),
            Block::Heading(_)
            | Block::Text(_)
            | Block::Verdict { .. }
            | Block::Table(_)
            | Block::Code(_) => &[],
        });
        (1..).zip(all).map(|(number, picture): (u32, _)| {
            (format!("{PICTURES}/{number:02}-{}.svg", file_name(&picture.title)), picture)
        })
    }

    pub fn html(&self) -> String {
        html::page(self)
    }

    pub fn markdown(&self) -> String {
        markdown::text(self)
    }
}

#[cfg(test)]
mod tests;
