//! A run's folder: its settings, its numbers, its histograms.
//!
//! ```text
//! settings.toml    all settings; `run.json` has them as well
//! run.json         what became of every record, summaries, the verdict
//! intervals.csv    rates and percentiles over time
//! response.hlog …  one histogram log for each clock, and of each reader its end-to-end times
//! summary.txt      the table that is printed
//! ```

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Serialize;

use crate::condition;
use crate::hlog::{self, HlogError};
use crate::ledger::Counts;
use crate::measure::{Clock, Measurements, Summary, quantile};
use crate::outcome::{Outcome, ReaderCounts, ReaderOutcome, Verdict, WorkerCpu};
use crate::settings::{ReaderSettings, Settings};
use crate::table;

/// Why a folder is not written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write {path}")]
    Hlog { path: PathBuf, source: HlogError },
    #[error("cannot write the settings: {0}")]
    Toml(#[from] toml::ser::Error),
    #[error("cannot write the numbers: {0}")]
    Json(#[from] serde_json::Error),
}

/// A run in numbers, as `run.json` has it.
#[derive(Clone, Debug, Serialize)]
pub struct Numbers<'a> {
    pub settings: &'a Settings,
    pub began_at_unix_ms: u128,
    pub records_per_s: f64,
    pub bytes_per_s: f64,
    pub counts: Counts,
    pub latencies_ns: Vec<(Clock, Summary)>,
    pub generator_cpu: &'a [WorkerCpu],
    /// Reading back what was left when producing had ended.
    pub read_back_s: f64,
    pub read_back_records: u64,
    pub readers: Vec<ReaderNumbers>,
    pub notes: Vec<(String, u64)>,
    pub verdict: Verdict,
    /// What was found by each condition by which the run failed.
    pub failures: Vec<String>,
}

/// What a reader had.
#[derive(Clone, Debug, Serialize)]
pub struct ReaderNumbers {
    pub settings: ReaderSettings,
    #[serde(flatten)]
    pub counts: ReaderCounts,
    pub is_whole: bool,
    pub end_to_end_ns: Summary,
}

impl<'a> Numbers<'a> {
    pub fn of(outcome: &'a Outcome) -> Numbers<'a> {
        let since_epoch = outcome.began_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Numbers {
            settings: &outcome.settings,
            began_at_unix_ms: since_epoch.as_millis(),
            records_per_s: outcome.rate_per_s(),
            bytes_per_s: outcome.bytes_per_s(),
            counts: outcome.counts,
            latencies_ns: Clock::ALL.map(|clock| (clock, outcome.summary(clock))).to_vec(),
            generator_cpu: &outcome.cpu,
            read_back_s: outcome.read_back.0.as_secs_f64(),
            read_back_records: outcome.read_back.1,
            readers: outcome.readers.iter().map(|it| ReaderNumbers::of(outcome, it)).collect(),
            notes: outcome.notes.clone().into_iter().collect(),
            verdict: outcome.verdict(),
            failures: condition::failures(outcome),
        }
    }
}

impl ReaderNumbers {
    fn of(outcome: &Outcome, reader: &ReaderOutcome) -> ReaderNumbers {
        ReaderNumbers {
            settings: reader.settings,
            counts: reader.counts,
            is_whole: outcome.is_whole(&reader.counts),
            end_to_end_ns: Summary::of(&reader.measurements.total(Clock::EndToEnd)),
        }
    }
}

/// Writes all of a run into a folder, which is made if need be.
pub fn write(folder: &Path, outcome: &Outcome) -> Result<(), FolderError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Write { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(failed(&path))
    };
    put("settings.toml", toml::to_string(&outcome.settings)?)?;
    put("run.json", serde_json::to_string_pretty(&Numbers::of(outcome))?)?;
    put("intervals.csv", intervals_csv(outcome))?;
    put("summary.txt", table::outcome(outcome))?;
    write_hlogs(folder, "", outcome)
}

/// Writes one histogram log for each clock that was measured, `prefix` before its name.
pub fn write_hlogs(folder: &Path, prefix: &str, outcome: &Outcome) -> Result<(), FolderError> {
    write_clocks(folder, prefix, outcome, &outcome.measurements)?;
    for (number, reader) in outcome.readers.iter().enumerate() {
        let prefix = format!("{prefix}reader-{number}-");
        write_clocks(folder, &prefix, outcome, &reader.measurements)?;
    }
    Ok(())
}

fn write_clocks(
    folder: &Path,
    prefix: &str,
    outcome: &Outcome,
    measurements: &Measurements,
) -> Result<(), FolderError> {
    for clock in Clock::ALL {
        if measurements.total(clock).is_empty() {
            continue;
        }
        let path = folder.join(format!("{prefix}{}.hlog", clock.name()));
        let failed = |source| FolderError::Write { path: path.clone(), source };
        let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
        hlog::write(&mut file, measurements, clock, outcome.began_at)
            .map_err(|source| FolderError::Hlog { path: path.clone(), source })?;
        file.flush().map_err(failed)?;
    }
    Ok(())
}

/// Rates and percentiles, one line for each interval. Percentiles without samples enough are empty.
fn intervals_csv(outcome: &Outcome) -> String {
    let mut text = String::from(
        "second,offered,written,acknowledged,failed,consumed,requests,generator_cpu_ns",
    );
    for clock in [Clock::Response, Clock::EndToEnd] {
        let name = clock.name();
        let _ = write!(text, ",{name}_samples,{name}_p50_ns,{name}_p99_ns,{name}_max_ns");
    }
    text.push('\n');
    let interval_s = outcome.measurements.interval().as_secs_f64();
    for (index, window) in outcome.measurements.windows(1).enumerate() {
        let it = window.tally();
        let _ = write!(
            text,
            "{:.3},{},{},{},{},{},{},{}",
            index as f64 * interval_s,
            it.offered,
            it.written,
            it.acknowledged,
            it.failed,
            it.consumed,
            it.requests,
            it.cpu_ns
        );
        for clock in [Clock::Response, Clock::EndToEnd] {
            let total = window.total(clock);
            let cell = |value: Option<u64>| value.map(|it| it.to_string()).unwrap_or_default();
            let max = (!total.is_empty()).then(|| total.max());
            let [p50, p99] = [0.5, 0.99].map(|value| cell(quantile(&total, value)));
            let _ = write!(text, ",{},{p50},{p99},{}", total.len(), cell(max));
        }
        text.push('\n');
    }
    text
}
