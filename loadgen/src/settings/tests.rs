//! Tests of settings.

use super::*;
use crate::units::Rate;

fn settings() -> Settings {
    let load = Load::Open(OpenLoop {
        warm_up: Span(Duration::ZERO),
        ..OpenLoop::usual(Profile::find("black-friday").unwrap())
    });
    let configs = BTreeMap::from([("flush.messages".to_owned(), "1".to_owned())]);
    Settings {
        fail_if: vec!["p99>5ms".parse().unwrap()],
        topics: TopicSettings { configs, ..TopicSettings::default() },
        records: RecordSettings { keys: 1000, ..RecordSettings::default() },
        ..Settings::usual("127.0.0.1:9092", load)
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
    let fitting = |settings: &Settings| settings.batch_limits().records_fitting(1024);
    assert_eq!(fitting(&settings()), 954);
    let mut few = settings();
    few.records.batch_records_max = 7;
    assert_eq!(fitting(&few), 7);
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
        refusal(|it| it.records.size = "31..100".parse().unwrap()),
        "--record-size is 31: it must be at least 32"
    );
    assert_eq!(
        refusal(|it| it.records.size = Size(1_000_000).into()),
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
    for text in
        ["tail", "3xtail", "slow:10000/s", "2xslow:500/s", "slow:1.5x", "catch-up:20s", "2xgroup:3"]
    {
        let read: ReaderSettings = text.parse().unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(read.each().count(), read.count as usize);
    }
    for text in [
        "",
        "tails",
        "slow",
        "slow:fast",
        "slow:x",
        "xtail:",
        "-1xtail",
        "catch-up:",
        "group:",
        "group:-1",
        "9999999999xtail",
    ] {
        assert!(text.parse::<ReaderSettings>().is_err(), "{text}");
    }
}

#[test]
fn codecs_are_called_as_kafka_calls_them() {
    for text in ["none", "gzip", "snappy", "lz4", "zstd"] {
        assert_eq!(text.parse::<Codec>().unwrap().to_string(), text);
    }
    assert_eq!(
        "brotli".parse::<Codec>().unwrap_err().to_string(),
        "`brotli` is not one of none, gzip, snappy, lz4, zstd"
    );
}

#[test]
fn a_base_rate_is_named_or_a_share_of_what_will_be_measured() {
    let base = |text: &str| text.parse::<Base>();
    assert_eq!(base("20k/s"), Ok(Base::Rate(Rate(20_000.0))));
    assert_eq!(base("auto:50%"), Ok(Base::Auto { share: 0.5 }));
    assert_eq!(base("auto:12.5%").unwrap().per_s(), None);
    let measured = base("auto:50% of 84210/s").unwrap();
    assert_eq!(measured, Base::Measured { share: 0.5, saturation: Rate(84_210.0) });
    assert_eq!(measured.per_s(), Some(42_105.0));
    for text in ["20000/s", "auto:1%", "auto:29%", "auto:33.3%", "auto:1000% of 0.5/s"] {
        let read = base(text).unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(base(&read.to_string()), Ok(read));
    }
    for text in ["auto", "auto:50", "auto:x%", "auto:0.9%", "auto:1001%", "auto:5% of x", "-1/s"] {
        assert_eq!(
            base(text).unwrap_err().to_string(),
            format!(
                "`{text}` is not a base rate: write a rate such as 2000/s or 20k/s, or a share of \
                 what the broker takes such as auto:50%, between 1% and 1000%"
            )
        );
    }
}

#[test]
fn what_nobody_names_is_the_profiles_or_the_usual() {
    let choose = |name: &str, base: Option<&str>, duration: Option<&str>| {
        let base = base.map(|base| base.parse().unwrap());
        Choice::new(name, base, duration.map(|duration| duration.parse().unwrap()))
    };
    let usual = choose("black-friday", None, None).unwrap();
    assert_eq!((usual.base.per_s(), usual.duration), (Some(2000.0), DURATION_USUAL));
    let cron = choose("cron", Some("auto:10%"), None).unwrap();
    assert_eq!((cron.base, cron.duration.to_string()), (Base::Auto { share: 0.1 }, "180s".into()));
    assert_eq!(choose("cron", None, Some("7s")).unwrap().duration.to_string(), "7s");
    let no_time = choose("cron", None, Some("0s")).unwrap_err().to_string();
    assert_eq!(no_time, "the duration is 0: give the run some time with --duration");
}

#[test]
fn a_trace_is_records_per_second_unless_a_base_is_named() {
    let path = std::env::temp_dir().join(format!("loadgen-choice-{}.csv", std::process::id()));
    std::fs::write(&path, "second,rate\n0,3000\n30,1000\n").unwrap();
    let choose = |base: Option<Base>, duration: Option<Span>| {
        Choice::new(path.to_str().unwrap(), base, duration)
    };
    let absolute = choose(None, None).unwrap();
    let short = choose(None, Some(Span(Duration::from_secs(3)))).unwrap();
    let refused = choose(Some(Base::Rate(Rate(2.0))), None).unwrap_err().to_string();
    std::fs::write(&path, "0,3\n30,1\n").unwrap();
    let multiples = choose(Some(Base::Rate(Rate(500.0))), None).unwrap();
    std::fs::remove_file(&path).unwrap();
    for (chosen, seconds, at_begin) in
        [(absolute, 30, 3000.0), (short, 3, 3000.0), (multiples, 30, 1500.0)]
    {
        assert_eq!(chosen.duration, Span(Duration::from_secs(seconds)));
        let curve = chosen.profile.curve(chosen.duration.0);
        let base_per_s = chosen.base.per_s().unwrap();
        let rates = [0.0, 1.0].map(|at| (curve.multiple_at(at) * base_per_s).round());
        assert_eq!(rates, [at_begin, at_begin / 3.0]);
    }
    assert!(
        refused.ends_with(
            "goes up to 3000: with --base its rates are multiples, at most 1000; leave --base out \
             to replay them as records per second"
        ),
        "{refused}"
    );
}
