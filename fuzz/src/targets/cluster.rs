//! The cluster's metadata: its records, and the configs of topics.

use coordinator::{
    AlterConfigs, BrokerConfigs, CONFIGS, ClusterRecord, ClusterState, ConfigChange,
    ConfigResource, LogConfig, NewTopic, TopicConfigs, TopicLimits, check_topic_name, value_of,
};
use model::{BrokerId, TopicId};

/// Records, one on each line, as they follow each other in the log.
pub(crate) fn records(input: &[u8]) {
    let mut state = ClusterState::default();
    for line in input.split(|byte| *byte == b'\n') {
        let Ok(record) = ClusterRecord::decode(line) else { continue };
        let again = ClusterRecord::decode(&record.encode()).expect("it was just written");
        assert_eq!(again, record);
        let before = state.topics().count();
        if state.replay(&record).is_err() {
            assert_eq!(state.topics().count(), before, "what cannot follow changes nothing");
        }
    }
}

/// `name=value`, or a name without a value, on each line; the first line names the topic.
pub(crate) fn topic_configs(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (name, configs) = text.split_once('\n').unwrap_or((text, ""));
    let lines = configs.lines().filter(|line| !line.is_empty());
    let given = lines.map(|line| match line.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (line, None),
    });
    let checked = TopicConfigs::new(given.clone());
    if let Ok(configs) = &checked {
        for definition in CONFIGS {
            let broker = BrokerConfigs::default();
            let (_, value) = value_of(configs, &broker, definition);
            let alone = TopicConfigs::new([(definition.name, Some(value))]);
            assert!(alone.is_ok(), "{} may be {value}", definition.name);
        }
        let _ = LogConfig::of(configs, &BrokerConfigs::default());
    }
    let new = NewTopic {
        name: name.to_owned(),
        configs: given.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).collect(),
        ..NewTopic::default()
    };
    let limits = TopicLimits {
        broker: BrokerId(1),
        partitions_default: 1,
        partitions_max: 10,
        message_bytes_max: 64 << 20,
    };
    let mut state = ClusterState::default();
    let decided = state.decide_topic(&new, &limits, TopicId::from_random(1));
    if let Ok(record) = decided {
        assert!(check_topic_name(name).is_ok() && checked.is_ok());
        state.replay(&record).expect("what was decided can be replayed");
        let again = state.decide_topic(&new, &limits, TopicId::from_random(2));
        assert!(again.is_err(), "there is one of this name");
        let changes = new.configs.iter().map(|(name, value)| {
            let change = value.clone().map_or(ConfigChange::Unset, ConfigChange::Set);
            (name.clone(), change)
        });
        let resource = ConfigResource::Topic(name.to_owned());
        let alter = AlterConfigs { resource, changes: changes.collect(), replaces_all: true };
        let altered = state.decide_configs(&alter, &limits);
        assert_eq!(altered, Ok(None), "the topic has them already");
    }
}
