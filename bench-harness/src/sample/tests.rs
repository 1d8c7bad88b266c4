//! Tests of sampling.

use std::collections::BTreeMap;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn sample(second: u64, cpu_ms: u64, flushes: u64) -> Sample {
    Sample {
        at_ns: second * SECOND,
        cpu_ns: cpu_ms * 1_000_000,
        resident_bytes: 1000 + second,
        disk: DiskCounters { flushes, writes: 2 * flushes, written_bytes: 4096 * flushes },
        host: HostCpu { total: second * 200, idle: second * 100, steal: second * 2 },
        journal: None,
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
    let curve = samples.cpu_curve(2 * SECOND, 5 * SECOND);
    assert_eq!(curve, [(-0.5, 0.25), (0.5, 0.25), (1.5, 0.25), (2.5, 0.25)]);
    assert_eq!(Samples::default().between(0, SECOND), Usage::default());
}

#[test]
fn threads_that_come_and_go_keep_what_they_used() {
    let mut times = ThreadTimes::default();
    // What was used before the first reading is not counted.
    times.note(BTreeMap::from([(1, 100), (2, 50)]));
    assert_eq!(times.total_ns(), 0);
    times.note(BTreeMap::from([(1, 110), (3, 7)]));
    assert_eq!(times.total_ns(), 17);
    times.note(BTreeMap::from([(1, 115)]));
    assert_eq!(times.total_ns(), 22);
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
    assert!(0 < usage.resident_bytes_max);
}

#[test]
fn the_kernels_tables_are_read_by_their_columns() {
    let diskstats = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n \
        254       0 vda 393197 100562 90268274 564811 77702 58269 28070120 76208 0 76756 645119 \
        18150 54 16004736 3194 19804 905\n";
    let disk = DiskCounters::parse(diskstats, "vda").unwrap();
    assert_eq!(
        disk,
        DiskCounters { writes: 77_702, written_bytes: 28_070_120 * 512, flushes: 19_804 }
    );
    assert_eq!(DiskCounters::parse(diskstats, "vdb"), None);
    let stat = "cpu  10 1 20 1000 5 2 3 7 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
    assert_eq!(HostCpu::parse(stat), Some(HostCpu { total: 1048, idle: 1005, steal: 7 }));
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
