//! A document as Markdown, as it is read in a pull request.

use std::fmt::Write;

use super::{Block, Document, Mark, Table};

pub(super) fn text(document: &Document) -> String {
    let mut text = format!("# {}\n", document.title);
    let mut files = document.pictures().map(|(file, _)| file);
    for block in &document.blocks {
        text.push('\n');
        match block {
            Block::Heading(heading) => {
                let _ = writeln!(text, "## {heading}");
            }
            Block::Text(paragraph) => {
                let _ = writeln!(text, "{paragraph}");
            }
            Block::Verdict { is_good, text: verdict } => {
                let word = if *is_good { "" } else { "**Attention:** " };
                let _ = writeln!(text, "> {word}{verdict}");
            }
            Block::Table(table) => put_table(&mut text, table),
            Block::Code(code) => {
                let _ = writeln!(text, "```\n{code}\n```");
            }
            Block::Figures { pictures, caption, .. } => {
                for (picture, file) in pictures.iter().zip(&mut files) {
                    let _ = writeln!(text, "![{}]({file})", picture.title);
                }
                let _ = writeln!(text, "\n*{caption}*");
            }
        }
    }
    text
}

fn put_table(text: &mut String, table: &Table) {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(table.head.iter().map(|cell| escape(cell)).collect()));
    let rule = |column| if table.is_of_numbers(column) { "---:" } else { "---" };
    text.push_str(&line((0..table.head.len()).map(|index| rule(index).to_owned()).collect()));
    for row in &table.rows {
        let cells = row.iter().map(|cell| {
            let second = cell.second_line().map(|it| format!(" ({it})")).unwrap_or_default();
            let text = escape(&format!("{}{second}", cell.first_line()));
            let text = match &cell.link {
                Some(to) => format!("[{text}]({to})"),
                None => text,
            };
            match cell.mark {
                Mark::Plain => text,
                Mark::Bad => format!("**{text}**"),
                Mark::Invalid => format!("*{text}*"),
            }
        });
        text.push_str(&line(cells.collect()));
    }
    if let Some(note) = &table.note {
        let _ = writeln!(text, "\n{note}");
    }
}

fn escape(cell: &str) -> String {
    cell.replace('|', "\\|")
}
