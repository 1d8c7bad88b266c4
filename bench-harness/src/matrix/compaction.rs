//! What a broker's compaction takes, and what it leaves.

use loadgen::changelog::{self, Changelog, ChangelogError, Filled};
use serde::{Deserialize, Serialize};

use super::{Bench, MatrixError};
use crate::broker::{Broker, BrokerSpec};
use crate::sample::{Usage, monotonic_ns};
use crate::scenario::Compaction;
use crate::units::nanos;

const TOPIC: &str = "changelog";

/// One compaction of one changelog.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompactionUse {
    pub updates: u64,
    pub keys: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// From the change of the topic's policy until the log was as small as it gets.
    pub took_s: f64,
    /// In that time.
    pub used: Usage,
    /// Resident memory when it began.
    pub resident_bytes_before: u64,
    /// That were read afterwards, the last of every key among them.
    pub records_left: u64,
}

impl CompactionUse {
    /// Processor time for each byte that was there before.
    pub fn cpu_s_per_gb(&self) -> f64 {
        self.used.cpu_ns as f64 / self.bytes_before.max(1) as f64
    }
}

pub(super) fn measure(
    bench: &Bench<'_>,
    spec: &BrokerSpec,
    compaction: &Compaction,
    repetition: u32,
) -> Result<CompactionUse, MatrixError> {
    let broker = Broker::start(spec, &bench.placement.broker, bench.places)?;
    let filled = fill(&broker, compaction, repetition).map_err(failed("filling a changelog"))?;
    std::thread::sleep(compaction.settle.0);
    let sampler = bench.sampler(&broker);
    let from_ns = monotonic_ns();
    let shrunk = changelog::compact(&broker.address, TOPIC, compaction.limit.0);
    let shrunk = shrunk.map_err(failed("compacting a changelog"))?;
    let samples = sampler.stop();
    let used = samples.between(from_ns, from_ns + nanos(shrunk.took));
    let left = changelog::verify(&broker.address, TOPIC, &filled);
    let left = left.map_err(failed("reading a compacted changelog"))?;
    broker.stop()?;
    Ok(CompactionUse {
        updates: compaction.updates,
        keys: left.keys,
        bytes_before: shrunk.bytes_before,
        bytes_after: shrunk.bytes_after,
        took_s: shrunk.took.as_secs_f64(),
        used,
        resident_bytes_before: samples.between(from_ns, from_ns).resident_bytes_max,
        records_left: left.records,
    })
}

fn fill(
    broker: &Broker,
    compaction: &Compaction,
    repetition: u32,
) -> Result<Filled, ChangelogError> {
    let Compaction { updates, keys, value_size, batch_size, segment_size, .. } = *compaction;
    let config = |name: &str, value: String| (name.to_owned(), value);
    changelog::fill(
        &broker.address,
        &Changelog {
            topic: TOPIC.to_owned(),
            configs: vec![
                config("segment.bytes", segment_size.0.to_string()),
                config("retention.ms", "-1".to_owned()),
                config("min.cleanable.dirty.ratio", "0.01".to_owned()),
            ],
            updates,
            keys,
            value_bytes: value_size.0,
            batch_bytes: batch_size.0,
            seed: repetition.into(),
        },
    )
}

fn failed(what: &'static str) -> impl FnOnce(ChangelogError) -> MatrixError {
    move |source| MatrixError::Changelog { what, source: Box::new(source) }
}
