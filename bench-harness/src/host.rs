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

/// What has to be the same for numbers to be compared: the kernel, the processors, the memory and
/// the disk.
pub fn fingerprint(facts: &Facts) -> String {
    let storage = &facts.storage;
    let device = storage.device.as_ref();
    let device = device.map_or("no device".to_owned(), |device| {
        let size = device.size_bytes.map_or("unknown size".to_owned(), |it| format!("{it} bytes"));
        format!("{} of {size}", device.name)
    });
    format!(
        "Linux {} on {} × {}, {} MiB, {} on {device}",
        facts.kernel.release,
        facts.processor.allowed.len(),
        facts.processor.model,
        facts.memory.total_bytes >> 20,
        storage.file_system,
    )
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
