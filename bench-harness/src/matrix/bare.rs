//! One durable append at a time, with and without a broker.
//!
//! Three things are measured in turns, in the same minute and on the same disk: the write alone,
//! the append through the broker, and a question to the broker that needs no disk. What the append
//! takes beyond the other two is the broker's own.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::{Duration, SystemTime};

use loadgen::hlog;
use loadgen::measure::{Clock, Histogram, Summary, histogram};
use loadgen::outcome::Outcome;
use loadgen::settings::Acks;
use serde::{Serialize, Serializer};

use super::cell::{Cell, Load, observe};
use super::{Bench, MatrixError};
use crate::broker::Broker;
use crate::host;
use crate::sample::Usage;
use crate::scenario::{Bare, BatchShape, Durability};
use crate::units::{Size, Span, time_text};

/// For the question: the shortest of the three, and so the quickest to be known well.
const PING_TIME: Duration = Duration::from_millis(500);

/// All turns of one repetition, in nanoseconds.
#[derive(Clone, Debug)]
pub struct BareTurns {
    /// 4 KiB, O_DIRECT, RWF_DSYNC, from the broker's processor.
    pub bare: Histogram,
    /// One record in one request, written → acknowledged.
    pub append: Histogram,
    /// ApiVersions, asked → answered.
    pub ping: Histogram,
    pub outcomes: Vec<Outcome>,
    pub usage: Vec<Usage>,
}

impl BareTurns {
    /// What the append took beyond the bare write, at the median.
    pub fn overhead_ns(&self) -> i64 {
        self.difference(&self.bare)
    }

    /// And of that what is not the way to the broker and back.
    pub fn broker_ns(&self) -> i64 {
        let ping = self.ping.value_at_quantile(0.5);
        self.overhead_ns() - i64::try_from(ping).unwrap_or(i64::MAX)
    }

    fn difference(&self, less: &Histogram) -> i64 {
        let [append, less] = [&self.append, less].map(|it| it.value_at_quantile(0.5));
        append.cast_signed() - less.cast_signed()
    }

    /// Device flushes for each append.
    pub fn flushes_per_append(&self) -> f64 {
        let flushes: u64 = self.usage.iter().map(|it| it.disk_flushes).sum();
        let appends: u64 = self.outcomes.iter().map(|it| it.tally().acknowledged).sum();
        if appends == 0 { 0.0 } else { flushes as f64 / appends as f64 }
    }

    /// Bytes that the device wrote for each append.
    pub fn device_bytes_per_append(&self) -> f64 {
        let bytes: u64 = self.usage.iter().map(|it| it.disk_written_bytes).sum();
        let appends: u64 = self.outcomes.iter().map(|it| it.tally().acknowledged).sum();
        if appends == 0 { 0.0 } else { bytes as f64 / appends as f64 }
    }

    pub(super) fn summary(&self) -> String {
        let p50 = |histogram: &Histogram| time_text(histogram.value_at_quantile(0.5));
        format!(
            "bare: p50 of a durable write {}, of an append through the broker {}, of a question {}",
            p50(&self.bare),
            p50(&self.append),
            p50(&self.ping)
        )
    }

    pub(super) fn write_hlogs(&self, folder: &Path, prefix: &str) -> Result<(), MatrixError> {
        let parts = [
            ("write", "4 KiB RWF_DSYNC write", &self.bare),
            ("append", "durable append through the broker", &self.append),
            ("ping", "ApiVersions", &self.ping),
        ];
        for (name, meaning, histogram) in parts {
            let path = folder.join(format!("{prefix}{name}.hlog"));
            let failed = |source| MatrixError::Write { path: path.clone(), source };
            let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
            let began =
                self.outcomes.first().map_or(SystemTime::UNIX_EPOCH, |outcome| outcome.began_at);
            hlog::write_one(&mut file, name, meaning, began, Duration::from_secs(1), histogram)
                .map_err(|source| MatrixError::Hlog { path: path.clone(), source })?;
        }
        Ok(())
    }
}

impl Serialize for BareTurns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Numbers {
            bare_write_ns: Summary,
            append_ns: Summary,
            ping_ns: Summary,
            flushes_per_append: f64,
            device_bytes_per_append: f64,
        }
        Numbers {
            bare_write_ns: Summary::of(&self.bare),
            append_ns: Summary::of(&self.append),
            ping_ns: Summary::of(&self.ping),
            flushes_per_append: self.flushes_per_append(),
            device_bytes_per_append: self.device_bytes_per_append(),
        }
        .serialize(serializer)
    }
}

pub(super) fn measure(
    bench: &Bench<'_>,
    broker: &Broker,
    bare: Bare,
) -> Result<BareTurns, MatrixError> {
    let mut turns = BareTurns {
        bare: histogram(),
        append: histogram(),
        ping: histogram(),
        outcomes: Vec::new(),
        usage: Vec::new(),
    };
    let cell = Cell {
        load: Load::Saturating(BatchShape::Records(1)),
        acks: Acks::All,
        durability: Durability::Durable,
        record_size: bare.record_size,
        times: (Span(Duration::from_millis(100)), bare.duration),
        in_flight: Size(1 << 20),
        requests_in_flight_max: 1,
        linger: Span(Duration::ZERO),
        connections: 1,
        partitions: 1,
    };
    let settings = cell.settings(&broker.address, bench.placement);
    let failed = |what| move |source| MatrixError::Run { what, source: Box::new(source) };
    let broker_processor = bench.placement.broker.first().copied();
    let client_processor = bench.placement.client.first().copied();
    for _ in 0..bare.turns {
        let latency = host::flush(&bench.places.data, bare.duration.0, broker_processor)?;
        turns.bare.add(&latency.histogram).expect("it grows with its values");
        let (outcome, usage) = observe(bench, broker, &settings).map_err(failed("an append"))?;
        let service = outcome.measurements.total(Clock::Service);
        turns.append.add(&service).expect("it grows with its values");
        turns.outcomes.push(outcome);
        turns.usage.push(usage);
        let ping = loadgen::run::ping(&broker.address, PING_TIME, client_processor)
            .map_err(failed("a question"))?;
        turns.ping.add(&ping).expect("it grows with its values");
    }
    Ok(turns)
}
