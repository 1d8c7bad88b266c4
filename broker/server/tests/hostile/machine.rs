//! The broker's memory, another client's waiting times, and the descriptors of this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::record_batch::ProducerStamp;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use wire::ErrorCode;

use crate::support::{Broker, Directory, batch, now_ms, produce};

/// Small, so that what a hostile client could make the broker take stands out.
const CONFIG: &str = "\
[topics]
partitions-max = 300
[connections]
request-bytes-max = 4194304
[memory]
tail-bytes = 8388608
request-bytes = 16777216
fetch-bytes = 16777216
";
const CORES_COUNT: u64 = 2;
const MIB: u64 = 1 << 20;
/// On each core: tails, requests and one that goes beyond, answers to fetches; 8 MiB of batches that are
/// compressed anew, and as much that the allocator keeps of them. Besides: the program, rings, what a
/// zstd window and a decoded request take.
pub(crate) const BUDGET_BYTES: u64 = CORES_COUNT * (8 + 16 + 4 + 16 + 16) * MIB + 64 * MIB;

/// A broker with this configuration.
pub(crate) struct Target {
    pub(crate) broker: Broker,
    pub(crate) directory: Directory,
    rss_at_start_bytes: u64,
}

impl Target {
    pub(crate) fn start() -> Target {
        let directory = Directory::new();
        let config = directory.0.join("broker.toml");
        std::fs::write(&config, CONFIG).unwrap();
        let arguments = ["--cores", "2", "--config", config.to_str().unwrap()];
        let broker = Broker::start(&directory.data(), &arguments);
        let rss_at_start_bytes = rss_bytes(&broker);
        Target { broker, directory, rss_at_start_bytes }
    }

    /// The broker lives, answers others, and has not grown beyond what it was told.
    pub(crate) fn check(&self, what: &str) {
        let mut client = self.broker.connect();
        client.auto_create("after");
        let batch = batch(&[b"still"], now_ms(), ProducerStamp::NONE);
        let response = client.call(9, &produce("after", 0, -1, batch));
        let code = response.responses[0].partition_responses[0].error_code;
        assert_eq!(code, ErrorCode::None, "after {what}");
        let rss_bytes = rss_bytes(&self.broker);
        let before_mib = self.rss_at_start_bytes as f64 / MIB as f64;
        let after_mib = rss_bytes as f64 / MIB as f64;
        say(&format!("{what}: memory {before_mib:.1} MiB at the start, {after_mib:.1} MiB"));
        assert!(
            rss_bytes <= BUDGET_BYTES,
            "{what}: {after_mib:.1} MiB, {} are allowed",
            BUDGET_BYTES / MIB
        );
    }
}

pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// What the broker has in memory.
pub(crate) fn rss_bytes(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// A client that behaves, on a thread of its own: one record after the other.
pub(crate) struct Neighbour {
    is_over: Arc<AtomicBool>,
    running: JoinHandle<Vec<Duration>>,
}

const PAUSE: Duration = Duration::from_millis(5);

impl Neighbour {
    pub(crate) fn start(broker: &Broker, topic: &'static str) -> Neighbour {
        let mut client = broker.connect();
        client.auto_create(topic);
        let is_over = Arc::new(AtomicBool::new(false));
        let until = is_over.clone();
        let running = std::thread::spawn(move || {
            let mut times = Vec::new();
            while !until.load(Ordering::Relaxed) {
                let batch = batch(&[&[7; 500]], now_ms(), ProducerStamp::NONE);
                let begun = Instant::now();
                let response = client.call(9, &produce(topic, 0, -1, batch));
                times.push(begun.elapsed());
                let code = response.responses[0].partition_responses[0].error_code;
                assert_eq!(code, ErrorCode::None);
                std::thread::sleep(PAUSE);
            }
            times
        });
        Neighbour { is_over, running }
    }

    /// For so long, with nobody else.
    pub(crate) fn alone(broker: &Broker, topic: &'static str) -> String {
        let neighbour = Neighbour::start(broker, topic);
        std::thread::sleep(Duration::from_millis(700));
        neighbour.stop()
    }

    /// Its waiting times. They are not held to more than that a client is not starved, as others use
    /// the machine.
    pub(crate) fn stop(self) -> String {
        const STARVED: Duration = Duration::from_secs(10);
        self.is_over.store(true, Ordering::Relaxed);
        let mut times = self.running.join().unwrap();
        times.sort_unstable();
        assert!(!times.is_empty(), "it was answered");
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        assert!(*times.last().unwrap() < STARVED, "{:?}", times.last());
        format!("{} produced, p50 {p50:.2?}, p99 {p99:.2?}", times.len())
    }
}

/// Connections that this process may have, with some left for itself. Never more than wanted.
pub(crate) fn connections_count(wanted: usize) -> usize {
    const OWN: u64 = 500;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    // The broker keeps a tenth for files.
    let possible = hard - hard / 10 - OWN.min(hard / 2);
    wanted.min(usize::try_from(possible).unwrap())
}
