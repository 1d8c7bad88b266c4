use super::*;

fn configs(given: &[(&str, &str)]) -> Result<TopicConfigs, ConfigError> {
    TopicConfigs::new(given.iter().map(|(name, value)| (*name, Some(*value))))
}

#[test]
fn every_default_is_valid_and_the_names_are_in_order() {
    for config in CONFIGS {
        assert_eq!(configs(&[(config.name, config.default)]).map(|_| ()), Ok(()), "{config:?}");
    }
    assert!(CONFIGS.is_sorted_by_key(|config| config.name));
}

#[test]
fn defaults_are_kafkas() {
    let configs = TopicConfigs::default();
    assert!(configs.is_durable());
    assert_eq!(configs.segment_bytes(), 1 << 30);
    assert_eq!(configs.index_interval_bytes(), 4096);
    assert_eq!(configs.message_bytes_max(), 1_048_588);
    assert_eq!(configs.insync_replicas_min(), 1);
    assert_eq!(configs.timestamp_before_max_ms(), i64::MAX);
    assert_eq!(configs.timestamp_after_max_ms(), 3_600_000);
    assert_eq!(configs.timestamp_type(), TimestampType::CreateTime);
}

#[test]
fn what_is_given_holds() {
    let configs = configs(&[
        ("flush.messages", "100"),
        ("segment.bytes", " 65536 "),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", "0"),
    ])
    .unwrap();
    assert!(!configs.is_durable());
    assert_eq!(configs.segment_bytes(), 65_536);
    assert_eq!(configs.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(configs.message_bytes_max(), 0);
    assert_eq!(configs.given()["segment.bytes"], "65536");
}

#[test]
fn refusals_name_the_value_and_what_is_allowed() {
    let text = |given: &[(&str, &str)]| configs(given).unwrap_err().to_string();
    assert_eq!(text(&[("retention.hours", "7")]), "unknown topic config \"retention.hours\"");
    assert_eq!(
        text(&[("segment.bytes", "10")]),
        "segment.bytes=10: choose a number between 65536 and 2147483647"
    );
    assert_eq!(
        text(&[("flush.messages", "often")]),
        "flush.messages=often: choose a number between 1 and 9223372036854775807"
    );
    assert_eq!(
        text(&[("message.timestamp.type", "createtime")]),
        "message.timestamp.type=createtime: choose one of CreateTime, LogAppendTime"
    );
    assert_eq!(
        text(&[("cleanup.policy", "compact")]),
        "cleanup.policy=compact: only delete is supported, as nothing is compacted yet"
    );
    let twice = [("segment.bytes", "65536"), ("segment.bytes", "65536")];
    assert_eq!(text(&twice), "topic config \"segment.bytes\" is given twice");
    let null = TopicConfigs::new([("segment.bytes", None)]).unwrap_err();
    assert_eq!(null.to_string(), "topic config \"segment.bytes\" has no value");
}
