//! A document as one HTML file.

use std::fmt::Write;

use super::{Block, Document, Mark, Table};
use crate::plot::escape;

const STYLE: &str = "\
:root{color-scheme:light}\
body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;color:#222;background:#fff;\
max-width:1240px;margin:0 auto;padding:24px}\
h1{font-size:26px;margin:0 0 8px}h2{font-size:19px;margin:34px 0 8px;\
border-bottom:1px solid #e4e6e8;padding-bottom:4px}\
p{margin:8px 0;max-width:86ch}\
.verdict{border-left:4px solid #009e73;background:#eef8f4;padding:8px 12px;margin:10px 0;\
max-width:none}\
.verdict.bad{border-color:#d55e00;background:#fdf1ea}\
table{border-collapse:collapse;margin:10px 0;font-size:13.5px;font-variant-numeric:tabular-nums}\
th,td{padding:4px 9px;text-align:right;border-bottom:1px solid #e4e6e8;white-space:nowrap}\
th{font-weight:600;border-bottom:1.5px solid #9aa0a6}\
th.words,td.words{text-align:left}td.long{white-space:normal;min-width:40ch}\
table.words td,table.words th{text-align:left;white-space:normal}\
td small{color:#555}td.bad{color:#b34700;font-weight:600}td.invalid{color:#6b7075;font-style:italic}\
.note{color:#555;font-size:13px;max-width:110ch}\
.scroll{overflow-x:auto}\
.figures{display:grid;gap:14px;margin:12px 0 4px}\
.figures svg{width:100%;height:auto}\
.c1{grid-template-columns:minmax(0,1fr)}.c2{grid-template-columns:repeat(2,minmax(0,1fr))}\
.c3{grid-template-columns:repeat(3,minmax(0,1fr))}\
pre{background:#f4f6f8;padding:10px 12px;overflow-x:auto;font-size:13px}\
code{background:#f4f6f8;padding:1px 4px;font-size:92%}\
@media(max-width:820px){.c2,.c3{grid-template-columns:minmax(0,1fr)}}";

/// Cells of so many characters may take several lines.
const LONG_CELL_CHARS: usize = 80;

pub(super) fn page(document: &Document) -> String {
    let title = escape(&document.title);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    );
    for block in &document.blocks {
        match block {
            Block::Heading(text) => {
                let _ = writeln!(html, "<h2>{}</h2>", inline(text));
            }
            Block::Text(text) => {
                let _ = writeln!(html, "<p>{}</p>", inline(text));
            }
            Block::Verdict { is_good, text } => {
                let class = if *is_good { "verdict" } else { "verdict bad" };
                let _ = writeln!(html, "<p class=\"{class}\">{}</p>", inline(text));
            }
            Block::Table(table) => put_table(&mut html, table),
            Block::Code(text) => {
                let _ = writeln!(html, "<pre>{}</pre>", escape(text));
            }
            Block::Figures { columns, pictures, caption } => {
                let _ = writeln!(html, "<div class=\"figures c{columns}\">");
                for picture in pictures {
                    let _ = writeln!(html, "<div>{}</div>", picture.svg);
                }
                let _ = writeln!(html, "</div><p class=\"note\">{}</p>", inline(caption));
            }
        }
    }
    html.push_str("</body></html>\n");
    html
}

fn put_table(html: &mut String, table: &Table) {
    // Two columns are names and what is said of them.
    let class = if table.head.len() == 2 { " class=\"words\"" } else { "" };
    let _ = write!(html, "<div class=\"scroll\"><table{class}><thead><tr>");
    let is_of_words: Vec<bool> =
        (0..table.head.len()).map(|column| !table.is_of_numbers(column)).collect();
    for (cell, is_words) in table.head.iter().zip(&is_of_words) {
        let class = if *is_words { " class=\"words\"" } else { "" };
        let _ = write!(html, "<th{class}>{}</th>", inline(cell));
    }
    html.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        html.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let mut classes = Vec::new();
            match cell.mark {
                Mark::Plain => {}
                Mark::Bad => classes.push("bad"),
                Mark::Invalid => classes.push("invalid"),
            }
            if is_of_words.get(column) == Some(&true) {
                classes.push("words");
            }
            if LONG_CELL_CHARS <= cell.text.chars().count() {
                classes.push("long");
            }
            let class = match classes.is_empty() {
                true => String::new(),
                false => format!(" class=\"{}\"", classes.join(" ")),
            };
            let text = inline(cell.first_line());
            let _ = match &cell.link {
                // A browser shows the page, a reader of the repository the text.
                Some(to) => {
                    let to = escape(&to.replace(".md", ".html"));
                    write!(html, "<td{class}><a href=\"{to}\">{text}</a>")
                }
                None => write!(html, "<td{class}>{text}"),
            };
            if let Some(second) = cell.second_line() {
                let _ = write!(html, "<br><small>{}</small>", inline(second));
            }
            html.push_str("</td>");
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>\n");
    if let Some(note) = &table.note {
        let _ = writeln!(html, "<p class=\"note\">{}</p>", inline(note));
    }
}

/// Text in which what stands between backticks is code, and all of it is strong between `**`.
fn inline(text: &str) -> String {
    if let Some(strong) = text.strip_prefix("**").and_then(|text| text.strip_suffix("**")) {
        return format!("<strong>{}</strong>", inline(strong));
    }
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        let part = escape(part);
        if index % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(&part);
        }
    }
    html
}
