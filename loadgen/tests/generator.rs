//! The generator against a sink that does wrong on purpose: what it reports is what was done.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Connection, ConnectionOptions};
use loadgen::measure::Clock;
use loadgen::outcome::Outcome;
use loadgen::profile::Profile;
use loadgen::settings::{Acks, Base, ClosedLoop, Load, OpenLoop, RecordSettings, Settings};
use loadgen::sink::{Faults, RecordFault, Sink, SinkOptions, Stall};
use loadgen::units::{Rate, Size, Span};
use wire::metadata::MetadataRequestTopic;
use wire::{ApiKey, ErrorCode, MetadataRequest, Text};

fn sink(faults: Faults) -> Sink {
    let listen = "127.0.0.1:0".parse().unwrap();
    let options =
        SinkOptions { listen, processor: None, keeps_records: true, partitions: 3, faults };
    Sink::start(options).unwrap()
}

fn settings(sink: &Sink, rate_per_s: f64, seconds: u64) -> Settings {
    let load = Load::Open(OpenLoop {
        base: Base::Rate(Rate(rate_per_s)),
        duration: Span(Duration::from_secs(seconds)),
        ..OpenLoop::usual(Profile::find("steady").unwrap())
    });
    Settings {
        acks: Acks::Leader,
        records: RecordSettings { size: Size(100).into(), keys: 50, ..RecordSettings::default() },
        ..Settings::usual(sink.address().to_string(), load)
    }
}

fn ms(outcome: &Outcome, clock: Clock, quantile: f64) -> f64 {
    outcome.measurements.total(clock).value_at_quantile(quantile) as f64 / 1e6
}

/// A fifth of all records is meant to be sent while the broker does nothing, and waits for up to
/// 200 ms; one of a hundred for more than 190. A generator that waited for answers would send few of
/// them, and show a broker that is nearly always quick.
#[test]
fn a_broker_that_stalls_is_seen_as_its_users_would_see_it() {
    let stall = Stall { every: Duration::from_secs(1), length: Duration::from_millis(200) };
    let sink = sink(Faults { stall: Some(stall), ..Faults::default() });
    let outcome = loadgen::run::run(&settings(&sink, 2000.0, 10)).unwrap();
    let [p50, p99] = [0.5, 0.99].map(|quantile| ms(&outcome, Clock::Response, quantile));
    assert!((180.0..=200.0).contains(&p99), "p99 {p99} ms");
    assert!(p50 < 5.0, "p50 {p50} ms");
    // It is the broker that is slow, not the generator.
    let late = ms(&outcome, Clock::Lateness, 0.99);
    assert!(late < 20.0, "sent up to {late} ms late");
    assert!(outcome.verdict().is_good());
}

/// One record of 100,000 is dropped, repeated, overtaken or changed.
#[test]
fn exactly_what_a_broker_does_wrong_is_reported() {
    use RecordFault::{Corrupt, Drop, Duplicate, Reorder};
    let kinds = [Drop, Duplicate, Reorder, Corrupt];
    let records = kinds.to_vec();
    let sink = sink(Faults { records, one_in: 100_000, ..Faults::default() });
    let outcome = loadgen::run::run(&settings(&sink, 85_000.0, 9)).unwrap();
    let planted = kinds.map(|kind| sink.planted().count(kind));
    assert_eq!(planted, [2; 4], "of {} records", outcome.counts.sent);
    let [dropped, duplicated, reordered, corrupted] = planted;
    let counts = outcome.counts;
    // A record that came back changed did not come back.
    assert_eq!(counts.missing, dropped + corrupted);
    assert_eq!(counts.duplicated, duplicated);
    assert_eq!(counts.out_of_order, reordered);
    assert_eq!(counts.corrupt, corrupted);
    assert_eq!(counts.acknowledged, counts.sent);
    assert!(!outcome.verdict().is_kept);
}

#[test]
fn a_broker_that_does_nothing_wrong_is_found_good() {
    let sink = sink(Faults::default());
    let mut settings = settings(&sink, 1000.0, 1);
    settings.idempotent = true;
    settings.acks = Acks::All;
    let outcome = loadgen::run::run(&settings).unwrap();
    assert!(outcome.verdict().is_good(), "{:?}", outcome.counts);
    assert_eq!(outcome.counts.consumed, 2000);
    assert_eq!(outcome.notes, BTreeMap::new());
}

/// What is compressed is read back, compared, and spoilt like anything else.
#[test]
fn compressed_records_are_verified() {
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let sink = sink(Faults::default());
        let mut settings = settings(&sink, 2000.0, 1);
        settings.records.codec = codec.parse().unwrap();
        settings.readers = vec!["tail".parse().unwrap()];
        let outcome = loadgen::run::run(&settings).unwrap();
        assert!(outcome.verdict().is_good(), "{codec}: {:?}", outcome.counts);
        assert_eq!((outcome.counts.consumed, outcome.readers[0].counts.records), (4000, 4000));
        assert!(outcome.notes.is_empty(), "{codec}: {:?}", outcome.notes);
    }
    let records = vec![RecordFault::Corrupt, RecordFault::Drop];
    let sink = sink(Faults { records, one_in: 1000, ..Faults::default() });
    let mut settings = settings(&sink, 2000.0, 1);
    settings.records.codec = "zstd".parse().unwrap();
    let outcome = loadgen::run::run(&settings).unwrap();
    let counts = outcome.counts;
    assert_eq!((counts.corrupt, counts.missing, counts.consumed), (2, 4, 3996));
}

/// Two lanes, the consumer that verifies and another: each has one connection to the only broker.
#[test]
fn all_connections_are_opened_anew_where_a_phase_says_so() {
    let text = "name = 'x'\nabout = ''\nsource = ''\nphase = [\
                { name = 'before', until = 0.4, from = 1.0 },\
                { name = 'herd', until = 0.6, from = 2.0, reconnect = true },\
                { name = 'again', until = 1.0, from = 1.0, reconnect = true }]";
    for (acks, idempotent) in [(Acks::All, true), (Acks::Leader, false), (Acks::None, false)] {
        let sink = sink(Faults::default());
        let mut settings = settings(&sink, 2000.0, 1);
        let Load::Open(open) = &mut settings.load else { unreachable!("it is made so") };
        open.profile = Profile::parse("x", text).unwrap();
        settings.acks = acks;
        settings.idempotent = idempotent;
        settings.connections = 2;
        settings.readers = vec!["tail".parse().unwrap()];
        let outcome = loadgen::run::run(&settings).unwrap();
        assert!(outcome.verdict().is_good(), "{:?}", outcome.counts);
        assert_eq!((outcome.counts.consumed, outcome.readers[0].counts.records), (4400, 4400));
        assert_eq!(outcome.notes, BTreeMap::new());
        let connects = outcome.measurements.total(Clock::Connect);
        assert_eq!(connects.len(), 2 * 4, "{} ms at most", connects.max() / 1_000_000);
    }
}

/// Clients of others make topics by naming them, and trust what a broker says that it serves.
#[test]
fn a_sink_makes_the_topics_that_are_named_and_says_what_it_serves() {
    let sink = sink(Faults::default());
    let address = sink.address();
    let asked = runtime::block_on(async move {
        let options = ConnectionOptions::new(Text::from_static("test"));
        let connection = Connection::connect(address, options).await.unwrap();
        let mut request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(Text::from_static("named")),
                ..Default::default()
            }]),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let mut topics = Vec::new();
        for may_make in [false, true, false] {
            request.allow_auto_topic_creation = may_make;
            let response = connection.call(&request).await.unwrap();
            topics.push((response.topics[0].error_code, response.topics[0].partitions.len()));
        }
        let configs = connection.version(ApiKey::DescribeConfigs).is_ok();
        (topics, configs, connection.version(ApiKey::InitProducerId).is_ok())
    });
    let unknown = (ErrorCode::UnknownTopicOrPartition, 0);
    let made = (ErrorCode::None, 3);
    assert_eq!(asked.unwrap(), (vec![unknown, made, made], false, true));
}

#[test]
fn records_of_several_sizes_with_headers_are_verified() {
    for size in ["100..4KiB", "32:80%,1KiB:15%,16KiB:5%"] {
        let sink = sink(Faults::default());
        let mut settings = settings(&sink, 2000.0, 1);
        settings.records.size = size.parse().unwrap();
        settings.records.headers = "3x20".parse().unwrap();
        settings.records.batch_size_max = Size(20_000);
        settings.records.codec = "lz4".parse().unwrap();
        let outcome = loadgen::run::run(&settings).unwrap();
        assert!(outcome.verdict().is_good(), "{size}: {:?}", outcome.counts);
        assert_eq!(outcome.counts.consumed, 4000);
        settings.load = Load::Closed(ClosedLoop {
            duration: Span(Duration::from_millis(300)),
            warm_up: Span(Duration::ZERO),
            in_flight: Size(100_000),
            requests_in_flight_max: 4,
            batches_per_request: 2,
        });
        let outcome = loadgen::run::run(&settings).unwrap();
        assert!(outcome.verdict().is_good(), "{size}: {:?}", outcome.counts);
        assert!(1000 < outcome.counts.consumed, "{size}: {:?}", outcome.counts);
    }
}

/// 12,000 records in three seconds; a consumer that reads 2,000 a second needs three more.
#[test]
fn consumers_of_every_pace_read_everything_and_slow_ones_take_their_time() {
    let sink = sink(Faults::default());
    let mut settings = settings(&sink, 4000.0, 2);
    let readers = ["2xtail", "slow:2k/s", "catch-up:1s"];
    settings.readers = readers.map(|text| text.parse().unwrap()).to_vec();
    let outcome = loadgen::run::run(&settings).unwrap();
    assert!(outcome.verdict().is_good());
    let shown = outcome.readers.iter().map(|reader| reader.settings.to_string());
    assert!(shown.eq(["tail", "tail", "slow:2000/s", "catch-up:1s"]));
    for reader in &outcome.readers {
        assert!(outcome.is_whole(&reader.counts), "{:?}", reader.counts);
        assert_eq!(reader.counts.records, 12_000);
    }
    let ended_s = |index: usize| outcome.readers[index].counts.ended_ns.unwrap() as f64 / 1e9;
    let (slow, others) = (ended_s(2), [ended_s(0), ended_s(1), ended_s(3)]);
    assert!((5.5..7.0).contains(&slow), "the slow one ended after {slow} s");
    assert!(others.iter().all(|ended| (2.9..4.5).contains(ended)), "{others:?}");
    // Whoever catches up sees how old the first records are; whoever tails does not.
    let max_ms =
        |index: usize| outcome.readers[index].measurements.total(Clock::EndToEnd).max() / 1_000_000;
    assert!(900 < max_ms(3) && max_ms(0) < 900, "{} and {}", max_ms(3), max_ms(0));
}

#[test]
fn a_consumer_that_is_given_changed_records_says_so() {
    let sink =
        sink(Faults { records: vec![RecordFault::Corrupt], one_in: 1000, ..Faults::default() });
    let mut settings = settings(&sink, 1000.0, 1);
    settings.readers = vec!["tail".parse().unwrap()];
    let outcome = loadgen::run::run(&settings).unwrap();
    let counts = outcome.readers[0].counts;
    assert_eq!((counts.records, counts.corrupt, counts.gaps), (1998, 2, 0));
    assert!(!outcome.is_whole(&counts) && !outcome.verdict().is_kept);
}

/// A hundredth of what the sink takes is found out first; the profile's consumers come with it.
#[test]
fn a_base_that_is_a_share_is_measured_before_the_run() {
    let sink = sink(Faults::default());
    let mut settings = settings(&sink, 1000.0, 1);
    let Load::Open(open) = &mut settings.load else { unreachable!("it is made so") };
    open.base = "auto:1%".parse().unwrap();
    settings.readers = vec!["slow:1x".parse().unwrap()];
    let outcome = loadgen::run::run(&settings).unwrap();
    assert!(outcome.verdict().is_good());
    let Load::Open(open) = &outcome.settings.load else { unreachable!("it was made so") };
    let Base::Measured { share, saturation } = open.base else { panic!("{}", open.base) };
    // A hundredth of it and 0.01 of it are not always the same floating-point number.
    assert_eq!((share, open.base_per_s()), (0.01, 0.01 * saturation.0));
    // A second of warm-up and one of the profile.
    let expected = 2.0 * open.base_per_s();
    let sent = outcome.counts.sent as f64;
    assert!((expected - 1.0..=expected + 1.0).contains(&sent), "{sent} of {expected}");
}
