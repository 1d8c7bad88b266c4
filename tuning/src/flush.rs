//! How long the device takes to make one block durable: the floor under every durable append.
//!
//! A file is written full first, so that nothing but its data changes; then its blocks are
//! overwritten one after the other, around the page cache, each write with `RWF_DSYNC`.
//!
//! Guarantees: takes as long as it is given and little more; leaves no file behind. Does not know:
//! whether the device tells the truth.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use runtime::{
    AlignedBuf, BLOCK_SIZE_BYTES, File, Neighbours, OpenOptions, RingError, Threads, WriteMode, now,
};
use serde::{Deserialize, Serialize};

const FILE_SIZE_BLOCKS: usize = 1024;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Flush {
    pub directory: PathBuf,
    pub duration: Duration,
    /// The processor to write from.
    pub processor: Option<usize>,
}

/// How long durable writes took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlushLatency {
    pub method: String,
    pub count: u64,
    pub seconds: f64,
    pub p50_ns: u64,
    /// None for percentiles that fewer than ten samples are beyond.
    pub p99_ns: Option<u64>,
    pub p99_9_ns: Option<u64>,
    pub max_ns: u64,
    /// All of them.
    #[serde(skip, default = "empty")]
    pub histogram: Histogram<u64>,
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("cannot use {path}")]
    File { path: PathBuf, source: io::Error },
}

impl Flush {
    /// Measures; blocks the calling thread until it is done.
    pub fn measure(self) -> Result<FlushLatency, FlushError> {
        let name = format!("flush-latency-{}", std::process::id());
        let path = self.directory.join(name);
        let duration = self.duration;
        let threads = Threads {
            neighbours: Neighbours::new(1),
            processors: self.processor.into_iter().collect(),
            lock: None,
        };
        let measured = {
            let path = path.clone();
            threads.run(vec![move || async move { overwrite(&path, duration).await }])
        };
        // Also after an error; if it is not there, all the better.
        let _ = std::fs::remove_file(&path);
        let mut results = measured?;
        let result = results.pop().expect("one core, one result");
        result.map_err(|source| FlushError::File { path, source })
    }
}

async fn overwrite(path: &Path, duration: Duration) -> io::Result<FlushLatency> {
    let (file, is_direct) = match File::open(path, OpenOptions::CREATE_NEW.direct(true)).await {
        Ok(file) => (file, true),
        // Some file systems refuse O_DIRECT, and may have made the file all the same.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            (File::open(path, OpenOptions::CREATE).await?, false)
        }
        Err(error) => return Err(error),
    };
    let whole = AlignedBuf::zeroed(BLOCK_SIZE_BYTES * FILE_SIZE_BLOCKS).freeze();
    file.write_all_at(whole, 0, WriteMode::Cached).await?;
    file.sync_all().await?;
    let block: Bytes = AlignedBuf::zeroed(BLOCK_SIZE_BYTES).freeze();
    let mut histogram = empty();
    let began = now();
    let mut number = 0;
    loop {
        let before = now();
        if duration <= before.since(began) {
            break;
        }
        let position = (number % FILE_SIZE_BLOCKS * BLOCK_SIZE_BYTES) as u64;
        file.write_all_at(block.clone(), position, WriteMode::Durable).await?;
        let nanos = u64::try_from(now().since(before).as_nanos()).unwrap_or(u64::MAX);
        histogram.saturating_record(nanos);
        number += 1;
    }
    let seconds = now().since(began).as_secs_f64();
    let how = if is_direct { "O_DIRECT " } else { "buffered (O_DIRECT is refused) " };
    Ok(FlushLatency {
        method: format!("4 KiB {how}overwrites of a written file with RWF_DSYNC, one at a time"),
        count: histogram.len(),
        seconds,
        p50_ns: histogram.value_at_quantile(0.5),
        p99_ns: quantile(&histogram, 0.99),
        p99_9_ns: quantile(&histogram, 0.999),
        max_ns: histogram.max(),
        histogram,
    })
}

/// A quantile, if at least ten samples are beyond it.
fn quantile(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    let needed = (10.0 / (1.0 - quantile)).round();
    (needed <= histogram.len() as f64).then(|| histogram.value_at_quantile(quantile))
}

/// Half a microsecond to a minute, to three digits.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("bounds and digits are in range")
}

impl fmt::Display for FlushLatency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |nanos: u64| format!("{:.0} µs", nanos as f64 / 1e3);
        let or_refused = |nanos: Option<u64>| nanos.map_or("too few samples".to_owned(), micros);
        write!(
            f,
            "p50 {}, p99 {}, p99.9 {}, max {} ({} writes in {:.1} s)",
            micros(self.p50_ns),
            or_refused(self.p99_ns),
            or_refused(self.p99_9_ns),
            micros(self.max_ns),
            self.count,
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests;
