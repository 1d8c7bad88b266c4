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
use loadgen::settings::{Acks, Load};
use serde::{Deserialize, Serialize};

use super::cell::{Cell, CellLoad};
use super::quiet::settle;
use super::{Bench, MatrixError, create};
use crate::broker::Broker;
use crate::host;
use crate::scenario::{Bare, BatchShape, Durability, Layout, Promise};
use crate::units::{Rate, Size, Span, time_text};

/// For the question: the shortest of the three, and so the quickest to be known well.
const PING_TIME: Duration = Duration::from_millis(500);

/// All turns of one repetition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BareNumbers {
    /// 4 KiB, O_DIRECT, RWF_DSYNC, from the broker's processor.
    pub bare_write_ns: Summary,
    /// One record in one request, written → acknowledged.
    pub append_ns: Summary,
    /// ApiVersions, asked → answered.
    pub ping_ns: Summary,
    /// Of the device.
    pub flushes_per_append: f64,
    pub device_bytes_per_append: f64,
}

impl BareNumbers {
    /// What the append took beyond the bare write, at the median.
    pub fn overhead_ns(&self) -> f64 {
        p50(&self.append_ns) - p50(&self.bare_write_ns)
    }

    /// And of that what is not the way to the broker and back.
    pub fn broker_ns(&self) -> f64 {
        self.overhead_ns() - p50(&self.ping_ns)
    }

    pub(super) fn summary(&self) -> String {
        let time = |summary: &Summary| time_text(summary.p50.unwrap_or_default());
        format!(
            "p50 of a durable write {}, of an append through the broker {}, of a question {}",
            time(&self.bare_write_ns),
            time(&self.append_ns),
            time(&self.ping_ns)
        )
    }
}

/// Nanoseconds; nothing of too few.
pub(super) fn p50(summary: &Summary) -> f64 {
    summary.p50.map_or(f64::NAN, |it| it as f64)
}

/// `pids` are all brokers that are up.
pub(super) fn measure(
    bench: &Bench<'_>,
    broker: &Broker,
    pids: &[u32],
    bare: Bare,
    name: &str,
) -> Result<BareNumbers, MatrixError> {
    let (mut writes, mut appends, mut pings) = (histogram(), histogram(), histogram());
    let (mut flushes, mut bytes, mut acknowledged) = (0, 0, 0);
    let cell = Cell {
        group: "bare".to_owned(),
        layout: Layout::Pinned,
        load: CellLoad::Closed { batch: BatchShape::Records(1), in_flight: Size(1 << 20) },
        acks: Acks::All,
        durability: Durability::Durable,
        record_size: bare.record_size,
        partitions: 1,
        connections: 1,
        readers: Vec::new(),
        events: Vec::new(),
        warm_up: Span(Duration::from_millis(100)),
        duration: bare.duration,
        interval: Span(Duration::from_millis(100)),
    };
    let client = &bench.placement.client;
    let mut settings = cell.settings(&broker.address, client, Promise::Durable, Rate(0.0))?;
    if let Load::Closed(closed) = &mut settings.load {
        closed.requests_in_flight_max = 1;
    }
    let failed = |what| move |source| MatrixError::Run { what, source: Box::new(source) };
    let broker_processor = bench.placement.broker.first().copied();
    let client_processor = client.first().copied();
    for _ in 0..bare.turns {
        settle(pids);
        let latency = host::flush(&bench.places.data, bare.duration.0, broker_processor)?;
        writes.add(&latency.histogram).expect("it grows with its values");
        let sampler = bench.sampler(broker);
        let outcome = loadgen::run::run(&settings);
        let samples = sampler.stop();
        let outcome = outcome.map_err(failed("an append"))?;
        let (from_ns, to_ns) = outcome.window_ns();
        let usage = samples.between(from_ns, to_ns);
        flushes += usage.disk_flushes;
        bytes += usage.disk_written_bytes;
        acknowledged += outcome.tally().acknowledged;
        let service = outcome.measurements.total(Clock::Service);
        appends.add(&service).expect("it grows with its values");
        let ping = loadgen::run::ping(&broker.address, PING_TIME, client_processor)
            .map_err(failed("a question"))?;
        pings.add(&ping).expect("it grows with its values");
    }
    let folder = bench.store.folder().join("histograms");
    create(&folder)?;
    for (kind, meaning, histogram) in [
        ("write", "4 KiB RWF_DSYNC write", &writes),
        ("append", "durable append through the broker", &appends),
        ("ping", "ApiVersions", &pings),
    ] {
        write_hlog(&folder.join(format!("bare-{name}-{kind}.hlog")), kind, meaning, histogram)?;
    }
    let per_append = |count: u64| count as f64 / (acknowledged as f64).max(1.0);
    Ok(BareNumbers {
        bare_write_ns: Summary::of(&writes),
        append_ns: Summary::of(&appends),
        ping_ns: Summary::of(&pings),
        flushes_per_append: per_append(flushes),
        device_bytes_per_append: per_append(bytes),
    })
}

fn write_hlog(
    path: &Path,
    name: &str,
    meaning: &str,
    histogram: &Histogram,
) -> Result<(), MatrixError> {
    let file = File::create(path)
        .map_err(|source| MatrixError::Write { path: path.to_owned(), source })?;
    let (began, length) = (SystemTime::now(), Duration::from_secs(1));
    hlog::write_one(&mut BufWriter::new(file), name, meaning, began, length, histogram)
        .map_err(|source| MatrixError::Hlog { path: path.to_owned(), source })
}
