use model::record_batch::Compression;

use super::*;

fn configs(given: &[(&str, &str)]) -> Result<TopicConfigs, ConfigError> {
    TopicConfigs::new(given.iter().map(|(name, value)| (*name, Some(*value))))
}

fn resolved(given: &[(&str, &str)]) -> LogConfig {
    LogConfig::of(&configs(given).unwrap(), &BrokerConfigs::default())
}

#[test]
fn every_default_is_valid_and_the_names_are_in_order() {
    for config in CONFIGS {
        assert_eq!(configs(&[(config.name, config.default)]).map(|_| ()), Ok(()), "{config:?}");
        assert!(!config.documentation.is_empty(), "{config:?}");
    }
    assert!(CONFIGS.is_sorted_by_key(|config| config.name));
}

#[test]
fn names_of_brokers_are_unique_and_lead_back() {
    let named: Vec<_> = CONFIGS.iter().filter(|config| !config.broker_name.is_empty()).collect();
    for config in &named {
        let found = ConfigDefinition::of_broker(config.broker_name).unwrap();
        assert_eq!(found.name, config.name);
    }
    assert!(ConfigDefinition::of_broker("").is_none());
}

#[test]
fn defaults_are_kafkas() {
    let config = resolved(&[]);
    assert_eq!(config.segment_bytes, 1 << 30);
    assert_eq!(config.segment_ms, 7 * 24 * 3_600_000);
    assert_eq!(config.index_interval_bytes, 4096);
    assert_eq!(config.retention_ms, Some(7 * 24 * 3_600_000));
    assert_eq!(config.retention_bytes, None);
    assert_eq!(config.message_bytes_max, 1_048_588);
    assert_eq!(config.insync_replicas_min, 1);
    assert_eq!(config.timestamp_before_max_ms, i64::MAX);
    assert_eq!(config.timestamp_after_max_ms, 3_600_000);
    assert_eq!(config.timestamp_type, TimestampType::CreateTime);
    assert_eq!(config.compression, None);
    // But for this one.
    assert!(config.is_durable(5000));
}

#[test]
fn what_is_given_holds() {
    let given = [
        ("flush.messages", "100"),
        ("segment.bytes", " 65536 "),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", "0"),
        ("retention.ms", "-1"),
        ("retention.bytes", "1000"),
    ];
    let config = resolved(&given);
    assert!(!config.is_durable(5000));
    assert_eq!(config.segment_bytes, 65_536);
    assert_eq!(config.timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(config.message_bytes_max, 0);
    assert_eq!(config.retention_ms, None);
    assert_eq!(config.retention_bytes, Some(1000));
    assert_eq!(configs(&given).unwrap().given()["segment.bytes"], "65536");
}

#[test]
fn a_topic_has_a_codec_with_its_own_level() {
    let levels = [("compression.gzip.level", "7"), ("compression.zstd.level", "-5")];
    for (kind, codec, default, given) in [
        ("uncompressed", Compression::None, None, None),
        ("gzip", Compression::Gzip, Some(-1), Some(7)),
        ("snappy", Compression::Snappy, None, None),
        ("lz4", Compression::Lz4, None, None),
        ("zstd", Compression::Zstd, Some(3), Some(-5)),
    ] {
        let kind = ("compression.type", kind);
        let expected = |level| Some(LogCompression { codec, level });
        assert_eq!(resolved(&[kind]).compression, expected(default));
        assert_eq!(resolved(&[kind, levels[0], levels[1]]).compression, expected(given));
    }
    assert_eq!(resolved(&[("compression.type", "producer"), levels[0]]).compression, None);
    for (name, valid, refused) in [
        ("compression.gzip.level", ["-1", "1", "9"], ["-2", "0", "10"]),
        ("compression.lz4.level", ["1", "9", "17"], ["-1", "0", "18"]),
        ("compression.zstd.level", ["-131072", "0", "22"], ["-131073", "23", "fast"]),
        ("compression.type", ["producer", "uncompressed", "zstd"], ["none", "GZIP", ""]),
    ] {
        assert!(valid.iter().all(|value| configs(&[(name, value)]).is_ok()), "{name}");
        assert!(refused.iter().all(|value| configs(&[(name, value)]).is_err()), "{name}");
    }
}

#[test]
fn records_that_must_be_flushed_before_the_next_checkpoint_are_durable() {
    let durable =
        |flush_ms| resolved(&[("flush.messages", "100"), ("flush.ms", flush_ms)]).is_durable(5000);
    assert!(durable("0"));
    assert!(durable("4999"));
    assert!(!durable("5000"));
}

#[test]
fn a_topic_goes_before_its_broker_and_that_before_the_default() {
    let file = BrokerConfigs::from_file([("retention.ms", "1"), ("segment.ms", "2")]).unwrap();
    let values = |of: &[(&str, &str)]| -> ConfigValues {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let all_brokers = values(&[("log.retention.ms", "3"), ("log.segment.bytes", "100000")]);
    let broker = values(&[("log.retention.ms", "4")]);
    let definition = ConfigDefinition::of("retention.ms").unwrap();
    let configs_of = |configs: BrokerConfigs| {
        let none = configs_none();
        let (source, value) = value_of(&none, &configs, definition);
        (source, value.to_owned())
    };
    assert_eq!(configs_of(BrokerConfigs::default()), (ConfigSource::Default, "604800000".into()));
    assert_eq!(configs_of(file.clone()), (ConfigSource::File, "1".into()));
    let under_all = file.under(None, Some(&all_brokers));
    assert_eq!(configs_of(under_all), (ConfigSource::AllBrokers, "3".into()));
    let under_both = file.under(Some(&broker), Some(&all_brokers));
    assert_eq!(configs_of(under_both.clone()), (ConfigSource::Broker, "4".into()));
    let of_topic = configs(&[("retention.ms", "5")]).unwrap();
    assert_eq!(value_of(&of_topic, &under_both, definition), (ConfigSource::Topic, "5"));

    let config = LogConfig::of(&of_topic, &under_both);
    assert_eq!(
        (config.retention_ms, config.segment_ms, config.segment_bytes),
        (Some(5), 2, 100_000)
    );
    let sources: Vec<_> = under_both.values_of(definition).collect();
    assert_eq!(
        sources,
        [(ConfigSource::Broker, "4"), (ConfigSource::AllBrokers, "3"), (ConfigSource::File, "1")]
    );
}

fn configs_none() -> TopicConfigs {
    TopicConfigs::default()
}

#[test]
fn refusals_are_kafkas_and_name_the_value_and_what_is_allowed() {
    let text = |given: &[(&str, &str)]| configs(given).unwrap_err().to_string();
    assert_eq!(text(&[("retention.hours", "7")]), "Unknown topic config name: retention.hours");
    assert_eq!(
        text(&[("segment.bytes", "10")]),
        "Invalid value 10 for configuration segment.bytes: Value must be at least 65536"
    );
    assert_eq!(
        text(&[("compression.lz4.level", "18")]),
        "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17"
    );
    assert_eq!(
        text(&[("compression.gzip.level", "0")]),
        "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or \
         equal to -1"
    );
    assert_eq!(
        text(&[("compression.gzip.level", "high")]),
        "Invalid value high for configuration compression.gzip.level: Not a number of type INT"
    );
    assert_eq!(
        text(&[("flush.messages", "often")]),
        "Invalid value often for configuration flush.messages: Not a number of type LONG"
    );
    assert_eq!(
        text(&[("segment.bytes", "4294967296")]),
        "Invalid value 4294967296 for configuration segment.bytes: Not a number of type INT"
    );
    assert_eq!(
        text(&[("message.timestamp.type", "createtime")]),
        "Invalid value createtime for configuration message.timestamp.type: String must be one of: \
         CreateTime, LogAppendTime"
    );
    assert_eq!(
        text(&[("min.cleanable.dirty.ratio", "2")]),
        "Invalid value 2 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"
    );
    assert_eq!(
        text(&[("preallocate", "perhaps")]),
        "Invalid value perhaps for configuration preallocate: Expected value to be either true or \
         false"
    );
    assert_eq!(
        text(&[("cleanup.policy", "compact,remove")]),
        "Invalid value compact,remove for configuration cleanup.policy: String must be one of: \
         compact, delete"
    );
    assert_eq!(
        text(&[("min.compaction.lag.ms", "2"), ("max.compaction.lag.ms", "1")]),
        "conflict topic config setting min.compaction.lag.ms (2) > max.compaction.lag.ms (1)"
    );
    let twice = [("segment.bytes", "65536"), ("segment.bytes", "65536")];
    assert_eq!(text(&twice), "topic config segment.bytes is given twice");
    let null = TopicConfigs::new([("segment.bytes", None)]).unwrap_err();
    assert_eq!(null.to_string(), "Null value not supported for topic configs: segment.bytes");
    let of_brokers = BrokerConfigs::from_file([("remote.storage.enable", "false")]).unwrap_err();
    assert_eq!(of_brokers.to_string(), "remote.storage.enable cannot be said for all topics");
}
