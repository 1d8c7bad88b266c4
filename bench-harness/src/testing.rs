//! Outcomes and hosts made by hand, for tests of reports.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use loadgen::ledger::Counts;
use loadgen::measure::{Clock, Measurements};
use loadgen::outcome::{Outcome, WorkerCpu};
use loadgen::profile::Profile;
use loadgen::schedule::Arrivals;
use loadgen::settings::{Acks, Base, Load, OpenLoop, RecordSettings, Settings};
use tuning::Facts;

use crate::sample::{
    DiskCounters, HostCpu, JournalCounters, PageCache, ProcessTimes, ProcessorTimes, Sample,
    Samples, SwitchCounters,
};
use crate::units::{Rate, Span};

const MS: u64 = 1_000_000;
const RECORDS: u64 = 20_000;

/// A host with a virtual disk that needs flushes.
pub(crate) fn facts() -> Facts {
    let json = r#"{
        "kernel": {"release": "6.18.1", "architecture": "x86_64", "clock_source": "tsc"},
        "processor": {"model": "Example 9000", "online_count": 2, "allowed": [0, 1],
                      "governor": null, "is_virtual": true},
        "memory": {"total_bytes": 8589934592, "swap_bytes": 0},
        "storage": {"file_system": "ext4", "is_root_file_system": true, "mount_options": ["rw"],
                    "device": {"name": "vda", "model": null, "size_bytes": 1000000000,
                               "is_rotational": false, "write_cache": "write back",
                               "has_fua": false, "scheduler": "none",
                               "logical_block_bytes": 512, "physical_block_bytes": 4096,
                               "hardware_queues_count": 1, "requests_max": 256,
                               "read_ahead_kib": 128, "write_back_throttle_us": 0},
                    "interrupts": [0, 10], "interrupt_processor": 1},
        "limits": {"open_files": 1024, "locked_memory_bytes": null},
        "settings": {"vm.swappiness": "60"},
        "flush": null
    }"#;
    serde_json::from_str(json).unwrap()
}

/// Twenty thousand records in two seconds, answered after one to three milliseconds; the first
/// `missing` of them were not read back.
pub(crate) fn outcome(acks: Acks, missing: u64) -> Outcome {
    let mut measurements = Measurements::new(0, 2_000 * MS, Duration::from_millis(100));
    for n in 0..RECORDS {
        let intended_ns = n * 2_000 * MS / RECORDS;
        let time_ns = MS + n % 2_000 * 1_000;
        measurements.record(Clock::SendLag, intended_ns, time_ns / 4);
        measurements.record(Clock::Lateness, intended_ns, 20_000);
        measurements.record(Clock::EndToEnd, intended_ns, time_ns + MS / 2);
        if acks.is_answered() {
            measurements.record(Clock::Response, intended_ns, time_ns);
            measurements.record(Clock::Service, intended_ns, time_ns / 2);
        }
        measurements.count(intended_ns, |tally| {
            tally.offered += 1;
            tally.written += 1;
            tally.acknowledged += u64::from(acks.is_answered());
            tally.consumed += 1;
            tally.cpu_ns += 2_000;
        });
    }
    Outcome {
        settings: settings(acks),
        run: 1,
        topics: vec!["t".to_owned()],
        began_at: SystemTime::UNIX_EPOCH,
        start_ns: 10_000 * MS,
        finished_ns: 12_100 * MS,
        counts: Counts {
            planned: RECORDS,
            sent: RECORDS,
            acknowledged: if acks.is_answered() { RECORDS } else { 0 },
            consumed: RECORDS - missing,
            missing,
            ..Counts::default()
        },
        measurements,
        notes: BTreeMap::new(),
        read_back: (Duration::ZERO, 0),
        readers: Vec::new(),
        cpu: vec![WorkerCpu { mean: 0.02, busiest_second: 0.02 }],
    }
}

fn settings(acks: Acks) -> Settings {
    let load = Load::Open(OpenLoop {
        base: Base::Rate(Rate(3_000.0)),
        duration: Span(Duration::from_secs(2)),
        warm_up: Span(Duration::ZERO),
        arrivals: Arrivals::Poisson,
        ..OpenLoop::usual(Profile::find("black-friday").unwrap())
    });
    let settings = Settings::usual("127.0.0.1:9092", load);
    let records = RecordSettings { keys: 100, ..settings.records };
    Settings { acks, processors: vec![0], records, ..settings }
}

/// A broker that uses a quarter of a processor, a fifth of that in the kernel, and flushes the disk
/// a thousand times a second, for half a millisecond each, over the time of [`outcome`].
pub(crate) fn samples() -> Samples {
    let processor = |processor, n| ProcessorTimes {
        processor,
        total: 10 * n,
        user: 3 * n,
        kernel: 2 * n,
        steal: 0,
    };
    let sample = |n: u64| Sample {
        at_ns: 10_000 * MS + n * 100 * MS,
        cpu_ns: n * 25 * MS,
        times: ProcessTimes { user_ns: n * 20 * MS, kernel_ns: n * 5 * MS },
        resident_bytes: 50_000_000,
        anonymous_bytes: 40_000_000,
        file_bytes: 10_000_000,
        group_bytes: None,
        switches: Some(SwitchCounters { voluntary: 300 * n, involuntary: 20 * n }),
        page_cache: PageCache {
            cached_bytes: 900_000_000,
            dirty_bytes: 3_000_000,
            writeback_bytes: 0,
        },
        disk: DiskCounters {
            writes: 200 * n,
            written_bytes: 409_600 * n,
            write_ms: 20 * n,
            flushes: 100 * n,
            flush_ms: 50 * n,
            busy_ms: 60 * n,
            ..DiskCounters::default()
        },
        host: HostCpu { total: 20 * n, idle: 10 * n, steal: 0 },
        processors: vec![processor(0, n), processor(1, n)],
        journal: Some(journal(n)),
    };
    Samples { samples: (0..=20).map(sample).collect() }
}

/// Five hundred commits a second, of twenty records each; it does not tell its flushes.
fn journal(n: u64) -> JournalCounters {
    JournalCounters {
        commits: Some(50 * n),
        commit_bytes: Some(1_100_000 * n),
        commit_records: Some(1_000 * n),
        flushes: None,
    }
}

/// A folder of a test's own, removed with it.
pub(crate) struct Folder(std::path::PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let name = format!("bench-harness-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
