//! The host that a report was made on: its facts, with the flush latency of the disk in question.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tuning::facts::{FactsError, Interrupts};
use tuning::{Facts, Flush, FlushError, FlushLatency};

/// Why the host is not known.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(transparent)]
    Facts(#[from] FactsError),
    #[error("cannot measure flush latency: {0}")]
    Flush(#[from] FlushError),
}

/// Reads the host's facts and measures flush latency in a directory, for about this long. The
/// histogram comes with the facts.
pub fn facts(directory: &Path, duration: Duration) -> Result<Facts, HostError> {
    let facts = Facts::read(directory)?;
    let interrupts = || {
        let device = facts.storage.device.as_ref();
        device.and_then(|device| Interrupts::read(device).ok()).unwrap_or_default()
    };
    let before = interrupts();
    let latency = flush(directory, duration, None)?;
    let taken = interrupts().since(&before);
    Ok(facts.with_flush(latency, taken))
}

/// Measures flush latency from one processor.
pub fn flush(
    directory: &Path,
    duration: Duration,
    processor: Option<usize>,
) -> Result<FlushLatency, HostError> {
    let directory = PathBuf::from(directory);
    Ok(Flush { directory, duration, processor }.measure()?)
}
