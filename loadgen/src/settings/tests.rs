//! Tests of settings.

use super::*;

fn settings() -> Settings {
    Settings {
        bootstrap: vec!["127.0.0.1:9092".to_owned()],
        acks: Acks::All,
        idempotent: false,
        connections: 1,
        consumers: 1,
        readers: Vec::new(),
        processors: vec![],
        seed: 1,
        interval: Span(Duration::from_millis(100)),
        drain_max: Span(Duration::from_secs(10)),
        topics: TopicSettings {
            existing: None,
            count: 1,
            partitions: 4,
            replication_factor: 1,
            keep: false,
            configs: BTreeMap::from([("flush.messages".to_owned(), "1".to_owned())]),
        },
        records: RecordSettings {
            size: Size(1024),
            payload: Payload::Random,
            keys: 1000,
            hot_key: 0.0,
            batch_records_max: 10_000,
            batch_size_max: Size(1_000_000),
        },
        fetch: FetchSettings {
            when: Consume::During,
            wait_max: Span(Duration::from_millis(500)),
            size_min: Size(1),
            size_max: Size(1 << 20),
        },
        load: Load::Open(OpenLoop {
            base: Rate(2000.0),
            duration: Span(Duration::from_secs(20)),
            warm_up: Span(Duration::ZERO),
            arrivals: Arrivals::Even,
            linger: Span(Duration::from_millis(1)),
            profile: Profile::find("black-friday").unwrap(),
        }),
    }
}

#[test]
fn settings_are_read_back_from_the_file_beside_the_results() {
    let text = toml::to_string(&settings()).unwrap();
    assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings());
    assert!(text.contains("acks = \"all\""), "{text}");
    assert!(text.contains("size = \"1KiB\""), "{text}");
}

#[test]
fn a_batch_is_limited_by_number_and_by_size() {
    assert_eq!(settings().batch_records_max(), 954);
    let mut few = settings();
    few.records.batch_records_max = 7;
    assert_eq!(few.batch_records_max(), 7);
}

#[test]
fn a_refusal_names_the_value_the_limit_and_the_fix() {
    let refusal = |change: fn(&mut Settings)| {
        let mut settings = settings();
        change(&mut settings);
        settings.check().unwrap_err().to_string()
    };
    assert_eq!(settings().check(), Ok(()));
    assert_eq!(
        refusal(|it| it.records.size = Size(31)),
        "--record-size is 31: it must be at least 32"
    );
    assert_eq!(
        refusal(|it| it.records.size = Size(1_000_000)),
        "a record of 1000000 bytes does not fit into a batch of 1000000: raise --batch-size-max \
         or lower --record-size"
    );
    assert_eq!(
        refusal(|it| it.records.hot_key = 1.5),
        "--hot-key is 1.5: it is a share, from 0 to 1"
    );
    assert_eq!(
        refusal(|it| it.bootstrap.clear()),
        "no broker is named: give one with --bootstrap HOST:PORT"
    );
    assert_eq!(
        refusal(|it| it.bootstrap = vec!["broker".to_owned()]),
        "`broker` has no port: write HOST:PORT, for example 127.0.0.1:9092"
    );
    assert_eq!(
        refusal(|it| it.topics.partitions = 200_000),
        "--partitions is 200000: it must be at most 100000"
    );
}

#[test]
fn readers_are_written_as_they_are_read() {
    for text in ["tail", "3xtail", "slow:10000/s", "2xslow:500/s", "catch-up:20s"] {
        let read: ReaderSettings = text.parse().unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(read.each().count(), read.count as usize);
    }
    for text in
        ["", "tails", "slow", "slow:fast", "xtail:", "-1xtail", "catch-up:", "9999999999xtail"]
    {
        assert!(text.parse::<ReaderSettings>().is_err(), "{text}");
    }
}
