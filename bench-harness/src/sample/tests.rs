//! Tests of sampling.

use super::journal::Scraper;
use super::*;

const SECOND: u64 = 1_000_000_000;

fn sample(second: u64, cpu_ms: u64, flushes: u64) -> Sample {
    Sample {
        at_ns: second * SECOND,
        cpu_ns: cpu_ms * 1_000_000,
        resident_bytes: 1000 + second,
        disk: DiskCounters {
            flushes,
            flush_ms: 3 * flushes,
            writes: 2 * flushes,
            written_bytes: 4096 * flushes,
            busy_ms: second * 700,
            ..DiskCounters::default()
        },
        host: HostCpu { total: second * 200, idle: second * 100, steal: second * 2 },
        ..Sample::default()
    }
}

#[test]
fn usage_is_the_difference_of_the_readings_around() {
    let samples = (0..10).map(|n| sample(n, n * 250, n * 100)).collect();
    let samples = Samples { samples };
    let usage = samples.between(2 * SECOND + 10, 6 * SECOND - 10);
    assert_eq!(usage.seconds, 4.0);
    assert_eq!(usage.cpu_share(), 0.25);
    assert_eq!((usage.disk_flushes, usage.disk_writes), (400, 800));
    assert_eq!(usage.disk_written_bytes, 400 * 4096);
    assert_eq!(usage.resident_bytes_max, 1006);
    assert_eq!((usage.host_busy_share, usage.host_steal_share), (0.49, 0.01));
    assert_eq!((usage.disk_flush_ms_mean, usage.disk_busy_share), (Some(3.0), 0.7));
    assert_eq!((usage.disk_reads, usage.group_bytes_max), (0, None));
    let curve = samples.cpu_curve(2 * SECOND, 5 * SECOND);
    assert_eq!(curve, [(-0.5, 0.25), (0.5, 0.25), (1.5, 0.25), (2.5, 0.25)]);
    assert_eq!(Samples::default().between(0, SECOND), Usage::default());
}

#[test]
fn a_rate_without_anything_to_divide_by_is_a_gap() {
    let mut samples: Vec<Sample> = (0..4).map(|n| sample(n, 0, n * 10)).collect();
    samples[2].disk = samples[1].disk;
    samples[3].disk.flush_ms += 20;
    let samples = Samples { samples };
    let latencies = samples.flush_latency_curve(SECOND, 3 * SECOND);
    let times: Vec<f64> = latencies.iter().map(|(second, _)| *second).collect();
    assert_eq!(times, [-0.5, 0.5, 1.5]);
    assert_eq!((latencies[0].1, latencies[1].1.is_nan(), latencies[2].1), (3.0, true, 4.0));
    assert_eq!(samples.flushes_curve(2 * SECOND, 3 * SECOND), [(-0.5, 0.0), (0.5, 20.0)]);
    let levels = samples.resident_curve(SECOND, 2 * SECOND);
    assert_eq!(levels, [(0.0, 1001.0), (1.0, 1002.0)]);
    assert_eq!(samples.group_curve(0, 3 * SECOND), []);
}

#[test]
fn a_latency_stands_on_time_enough_for_the_kernels_milliseconds() {
    let reading = |n: u64| Sample {
        at_ns: n * 50_000_000,
        // Forty flushes a second of a twentieth of a millisecond each.
        disk: DiskCounters { flushes: 2 * n, flush_ms: n / 10, ..DiskCounters::default() },
        ..Sample::default()
    };
    let samples = Samples { samples: (0..=40).map(reading).collect() };
    let latencies = samples.flush_latency_curve(0, 2 * SECOND);
    assert_eq!(latencies, [(0.25, 0.05), (0.75, 0.05), (1.25, 0.05), (1.75, 0.05)]);
}

#[test]
fn what_is_read_seldom_is_compared_with_its_last_reading() {
    let mut samples: Vec<Sample> = (0..=8).map(|n| sample(n, 0, 0)).collect();
    for (at, voluntary) in [(0, 100), (4, 500), (8, 580)] {
        samples[at].switches = Some(SwitchCounters { voluntary, involuntary: voluntary / 10 });
    }
    let samples = Samples { samples };
    let curve = samples.switches_curve(SECOND, 8 * SECOND);
    assert_eq!(curve, [(1.0, 110.0), (5.0, 22.0)]);
    let switches = samples.between(SECOND, 8 * SECOND).switches.unwrap();
    assert_eq!((switches.seconds, switches.per_s()), (8.0, 66.0));
}

#[test]
fn shares_of_processors_are_taken_over_times_long_enough_for_ticks() {
    let reading = |n: u64| Sample {
        at_ns: n * 50_000_000,
        processors: vec![
            ProcessorTimes { processor: 0, total: n * 5, user: n * 3, kernel: n, steal: n },
            // Was off for the first second.
            ProcessorTimes { processor: 3, total: n, ..ProcessorTimes::default() },
        ],
        ..Sample::default()
    };
    let samples = Samples { samples: (0..=20).map(reading).collect() };
    let curves = samples.processor_curves(0, SECOND);
    assert_eq!(curves.iter().map(|it| it.processor).collect::<Vec<_>>(), [0, 3]);
    let user = &curves[0].user;
    assert_eq!(user.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0.1, 0.3, 0.5, 0.7, 0.9]);
    assert!(user.iter().all(|(_, share)| *share == 0.6));
    assert_eq!((curves[0].kernel[0].1, curves[0].steal[0].1), (0.2, 0.2));
    assert_eq!(curves[1].user[0].1, 0.0);
}

/// Ends its threads when it is dropped.
struct Threads(Vec<(std::sync::mpsc::Sender<()>, JoinHandle<()>)>);

impl Threads {
    fn start(count: usize) -> Threads {
        let threads = (0..count).map(|_| {
            let (stop, stopped) = channel::<()>();
            let thread = std::thread::spawn(move || {
                let _ = stopped.recv();
            });
            (stop, thread)
        });
        Threads(threads.collect())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for (stop, thread) in self.0.drain(..) {
            drop(stop);
            let _ = thread.join();
        }
    }
}

fn own_time_ns() -> u64 {
    proc::ns_of(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap()
}

#[test]
fn what_is_dear_to_read_is_read_seldom() {
    const READINGS: u64 = 100;
    let _threads = Threads::start(100);
    let disk = Some("vda".to_owned());
    let watched = Watched { pid: Some(std::process::id()), disk, metrics: None };
    let mut reader = Reader::new(watched);
    let first = reader.read(false);
    assert!(first.switches.is_some());
    let without = (0..READINGS).filter(|_| reader.read(false).switches.is_none()).count();
    assert!(90 < without, "{without}");
}

#[test]
fn time_of_threads_that_have_ended_is_kept() {
    let mut times = ThreadTimes::default();
    times.update(std::process::id());
    assert_eq!(times.total_ns(), 0);
    let thread = std::thread::spawn(|| {
        let began = own_time_ns();
        while own_time_ns() - began < 10_000_000 {}
    });
    thread.join().unwrap();
    times.update(std::process::id());
    let used = times.total_ns();
    assert!(10_000_000 <= used, "{used}");
    // More than Linux has processes.
    times.update(5_000_000);
    assert_eq!(times.total_ns(), used);
}

#[test]
fn this_process_uses_the_processor_and_memory() {
    let watched = Watched { pid: Some(std::process::id()), disk: None, metrics: None };
    let sampler = Sampler::start(watched, Duration::from_millis(1), vec![]);
    let began = monotonic_ns();
    let mut sum = 0_u64;
    while monotonic_ns() - began < 30_000_000 {
        sum = std::hint::black_box(sum.wrapping_add(1));
    }
    let samples = sampler.stop();
    assert!(2 < samples.samples.len());
    let usage = samples.between(0, u64::MAX);
    assert!(10_000_000 < usage.cpu_ns, "{usage:?}");
    assert!(0 < usage.anonymous_bytes_max, "{usage:?}");
    assert!(usage.anonymous_bytes_max + usage.file_bytes_max <= usage.resident_bytes_max * 2);
    assert!(!samples.processor_curves(samples.samples[0].at_ns, u64::MAX).is_empty());
    assert!(0 < usage.page_cache_bytes_max);
    assert!(usage.switches.is_some_and(|it| 0 < it.counters.voluntary), "{usage:?}");
}

#[test]
fn the_kernels_tables_are_read_by_their_columns() {
    let diskstats = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n \
        254       0 vda 393197 100562 90268274 564811 77702 58269 28070120 76208 0 76756 645119 \
        18150 54 16004736 3194 19804 905\n";
    let disk = DiskCounters::parse(diskstats, "vda").unwrap();
    assert_eq!(
        disk,
        DiskCounters {
            reads: 393_197,
            read_bytes: 90_268_274 * 512,
            read_ms: 564_811,
            writes: 77_702,
            written_bytes: 28_070_120 * 512,
            write_ms: 76_208,
            flushes: 19_804,
            flush_ms: 905,
            busy_ms: 76_756,
        }
    );
    assert_eq!(DiskCounters::parse(diskstats, "vdb"), None);
    let stat = "cpu  10 1 20 1000 5 2 3 7 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
    assert_eq!(HostCpu::parse(stat), Some(HostCpu { total: 1048, idle: 1005, steal: 7 }));
    let stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 10 1 20 1000 5 2 3 7 4 0\ncpu12 1 1 1 1 1 1 1 1 0 0\n\
        intr 5 6 7\n";
    let processors = ProcessorTimes::parse_all(stat);
    assert_eq!(
        processors[0],
        ProcessorTimes { processor: 0, total: 1048, user: 11, kernel: 25, steal: 7 }
    );
    assert_eq!((processors.len(), processors[1].processor), (2, 12));
}

#[test]
fn a_process_is_read_by_its_fields() {
    // The name of a program may hold brackets and blanks.
    let stat = "42 (a) b) S 1 42 42 0 -1 4194560 900 0 3 0 125 31 7 8 20 0 9 0 100 1 2\n";
    let times = ProcessTimes { user_ns: 1_250_000_000, kernel_ns: 310_000_000 };
    assert_eq!(ProcessTimes::parse(stat), Some(times));
    let status = "Name:\tb\nVmRSS:\t    3000 kB\nRssAnon:\t    2000 kB\nRssFile:\t    1000 kB\n\
        voluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t12\n";
    let memory = ProcessMemory {
        resident_bytes: 3000 << 10,
        anonymous_bytes: 2000 << 10,
        file_bytes: 1000 << 10,
    };
    assert_eq!(ProcessMemory::parse(status), Some(memory));
    let switches = SwitchCounters { voluntary: 150, involuntary: 12 };
    assert_eq!(SwitchCounters::parse(status), Some(switches));
    let meminfo = "MemFree: 1 kB\nCached: 30 kB\nSwapCached: 9 kB\nDirty: 4 kB\nWriteback: 2 kB\n\
        WritebackTmp: 7 kB\n";
    let cache =
        PageCache { cached_bytes: 30 << 10, dirty_bytes: 4 << 10, writeback_bytes: 2 << 10 };
    assert_eq!(PageCache::parse(meminfo), Some(cache));
}

#[test]
fn only_a_control_group_of_its_own_tells_of_a_process() {
    let mounts = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n";
    let of = |theirs, ours| ControlGroup::parse(mounts, theirs, ours);
    let group = of("0::/system.slice/b.service\n", "0::/user.slice\n").unwrap();
    let text = format!("{group:?}");
    assert!(text.contains("\"/sys/fs/cgroup/system.slice/b.service/memory.current\""), "{text}");
    assert_eq!(of("0::/user.slice\n", "0::/user.slice\n"), None);
    assert_eq!(of("4:memory:/b\n0::/\n", "0::/user.slice\n"), None);
    assert_eq!(ControlGroup::parse("proc /proc proc rw 0 0\n", "0::/b\n", "0::/\n"), None);
}

const METRICS: &str = "HTTP/1.0 200 OK\r\n\r\n\
    # TYPE highwater_journal_commits_total counter\n\
    highwater_journal_commits_total{core=\"0\",stream=\"durable\"} 10\n\
    highwater_journal_commits_total{core=\"1\",stream=\"relaxed\"} 5 1700000000000\n\
    highwater_journal_commit_bytes_total{core=\"0\",stream=\"}\"} 6e4\n\
    highwater_journal_commit_records_total 300\n\
    highwater_journal_commits_totally_else 7\n";

#[test]
fn a_brokers_metrics_are_summed_over_their_labels() {
    let counters = JournalCounters::parse(METRICS).unwrap();
    let expected = JournalCounters {
        commits: Some(15),
        commit_bytes: Some(60_000),
        commit_records: Some(300),
        flushes: None,
    };
    assert_eq!(counters, expected);
    assert_eq!(JournalCounters::parse("kafka_things_total 3\n"), None);
}

#[test]
fn a_journals_use_is_taken_from_the_readings_that_have_it() {
    let mut samples: Vec<Sample> = (0..10).map(|n| sample(n, 0, 0)).collect();
    let told = |commits| JournalCounters {
        commits: Some(commits),
        commit_records: Some(commits * 20),
        ..JournalCounters::default()
    };
    samples[1].journal = Some(told(100));
    samples[5].journal = Some(told(500));
    samples[9].journal = Some(told(1700));
    let journal = Samples { samples }.between(0, 9 * SECOND).journal.unwrap();
    assert_eq!(journal.seconds, 8.0);
    assert_eq!(journal.commits_per_s(), Some(200.0));
    assert_eq!(journal.records_per_commit(), Some(20.0));
    assert_eq!(journal.bytes_per_commit(), None);
}

#[test]
fn a_broker_that_tells_its_metrics_is_asked_and_one_that_does_not_is_no_error() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = Vec::new();
        while !question.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            question.extend(byte);
        }
        assert!(question.starts_with(b"GET /metrics HTTP/1.0\r\n"));
        stream.write_all(METRICS.as_bytes()).unwrap();
    });
    let mut scraper = Scraper::new(Some(address));
    assert_eq!(scraper.read().and_then(|it| it.commits), Some(15));
    server.join().unwrap();
    // Gone.
    assert_eq!(scraper.read(), None);
    assert_eq!(Scraper::new(None).read(), None);
}
