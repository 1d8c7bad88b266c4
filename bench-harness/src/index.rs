//! The list of what has been published: `README.md` and `index.html` in the folder of results.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::report::{Cell, Document, Table};

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the list of results: {path}")]
pub struct IndexError {
    path: PathBuf,
    source: io::Error,
}

/// Lists every folder in `results` that has a report, the newest first.
pub fn write(results: &Path) -> Result<(), IndexError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| IndexError { path, source }
    };
    let mut folders: Vec<String> = Vec::new();
    for entry in fs::read_dir(results).map_err(failed(results))? {
        let entry = entry.map_err(failed(results))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Demonstrations are for whoever ran them.
        if entry.path().join("report.md").is_file() && !name.starts_with("demo-") {
            folders.push(name);
        }
    }
    folders.sort();
    folders.reverse();
    let document = document(results, &folders);
    for (name, text) in [("README.md", document.markdown()), ("index.html", document.html())] {
        let path = results.join(name);
        fs::write(&path, text).map_err(failed(&path))?;
    }
    Ok(())
}

fn document(results: &Path, folders: &[String]) -> Document {
    let mut document = Document::new("Published results");
    document.text(
        "Every folder has a report with the command that runs it again, `results.json` with every \
         number of every run and the facts of the host, and the histograms of its cells in \
         HdrHistogram's own log format. Numbers of different hosts cannot be compared.",
    );
    let rows = folders.iter().map(|folder| {
        let report = fs::read_to_string(results.join(folder).join("report.md")).unwrap_or_default();
        let (title, verdict) = title_and_verdict(&report);
        vec![
            Cell::link(folder.clone(), format!("{folder}/report.md")),
            Cell::from(title),
            Cell::from(verdict),
        ]
    });
    let head = ["folder", "what", "found"].map(str::to_owned).to_vec();
    document.table(Table { head, rows: rows.collect(), note: None });
    document
}

/// The title of a report, and what it says first.
fn title_and_verdict(report: &str) -> (String, String) {
    let line = |prefix: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(prefix));
        line.unwrap_or_default().to_owned()
    };
    (line("# "), line("> ").replace("**Attention:** ", ""))
}

#[cfg(test)]
mod tests;
