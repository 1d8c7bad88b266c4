use proptest::prelude::*;

use super::*;
use crate::topic_config::BrokerConfigs;

const LIMITS: TopicLimits = TopicLimits {
    broker: BrokerId(1),
    partitions_default: 2,
    partitions_max: 100,
    message_bytes_max: 2 << 20,
};

fn named(name: &str) -> NewTopic {
    NewTopic { name: name.to_owned(), ..NewTopic::default() }
}

fn create(state: &mut ClusterState, new: &NewTopic, id: u128) -> Result<(), TopicRefused> {
    let record = state.decide_topic(new, &LIMITS, TopicId::from_random(id))?;
    state.replay(&record).unwrap();
    Ok(())
}

#[test]
fn a_topic_is_created_found_and_deleted() {
    let mut state = ClusterState::default();
    create(&mut state, &named("orders"), 1).unwrap();
    let id = TopicId::from_random(1);
    let topic = state.topic_named("orders").unwrap();
    assert_eq!((topic.id, topic.partitions_count, topic.replication_factor), (id, 2, 1));
    assert_eq!(state.topic(id), Some(topic));
    assert_eq!(
        create(&mut state, &named("orders"), 2),
        Err(TopicRefused::Exists { name: "orders".to_owned() })
    );
    let deletion = state.decide_deletion(id).unwrap();
    state.replay(&deletion).unwrap();
    assert_eq!(state.topics().count(), 0);
    assert_eq!(state.decide_deletion(id), None);
    assert!(state.replay(&deletion).is_err());
    create(&mut state, &named("orders"), 3).unwrap();
    assert_eq!(state.topic_named("orders").unwrap().id, TopicId::from_random(3));
}

#[test]
fn names_that_differ_in_dots_only_collide() {
    let mut state = ClusterState::default();
    create(&mut state, &named("a.b"), 1).unwrap();
    let refused = create(&mut state, &named("a_b"), 2).unwrap_err();
    assert!(matches!(&refused, TopicRefused::Collides { existing, .. } if existing == "a.b"));
    state.replay(&state.decide_deletion(TopicId::from_random(1)).unwrap()).unwrap();
    create(&mut state, &named("a_b"), 2).unwrap();
}

#[test]
fn counts_are_limited() {
    let mut state = ClusterState::default();
    let with = |count| NewTopic { partitions_count: Some(count), ..named("t") };
    for count in [0, -1, -7, 101, i32::MAX] {
        let count_and_limit = TopicRefused::Partitions { count: count.into(), limit: 100 };
        assert_eq!(create(&mut state, &with(count), 1), Err(count_and_limit));
    }
    create(&mut state, &with(60), 1).unwrap();
    let more = NewTopic { partitions_count: Some(41), ..named("u") };
    let refused = TopicRefused::Partitions { count: 41, limit: 40 };
    assert_eq!(create(&mut state, &more, 2), Err(refused));
    let two = NewTopic { replication_factor: Some(2), ..named("u") };
    assert_eq!(create(&mut state, &two, 2), Err(TopicRefused::ReplicationFactor { factor: 2 }));
    let large = NewTopic {
        configs: vec![("max.message.bytes".to_owned(), Some("2097153".to_owned()))],
        ..named("u")
    };
    let refused = create(&mut state, &large, 2).unwrap_err().to_string();
    assert_eq!(
        refused,
        "Invalid value 2097153 for configuration max.message.bytes: the journal takes batches of up \
         to 2097152 bytes"
    );
}

#[test]
fn assignments_name_each_partition_and_the_only_broker() {
    let mut state = ClusterState::default();
    let us = vec![BrokerId(1)];
    let with = |assignments| NewTopic { assignments, ..named("t") };
    for (wrong, reason) in [
        (vec![(1, us.clone())], "partitions must be assigned from 0 on, each once"),
        (
            vec![(0, us.clone()), (0, us.clone())],
            "partitions must be assigned from 0 on, each once",
        ),
        (vec![(0, vec![BrokerId(2)])], "partition 0 is assigned to [2]: the only broker is 1"),
        (vec![(0, vec![])], "partition 0 is assigned to []: the only broker is 1"),
    ] {
        let refused = create(&mut state, &with(wrong), 1).unwrap_err();
        assert_eq!(refused.to_string(), reason);
    }
    let counted = NewTopic { partitions_count: Some(1), ..with(vec![(0, us.clone())]) };
    assert!(matches!(create(&mut state, &counted, 1), Err(TopicRefused::Assignment(_))));
    create(&mut state, &with(vec![(1, us.clone()), (0, us)]), 1).unwrap();
    assert_eq!(state.topic_named("t").unwrap().partitions_count, 2);
}

#[test]
fn partitions_become_more_and_never_fewer() {
    let mut state = ClusterState::default();
    create(&mut state, &named("t"), 1).unwrap();
    create(&mut state, &named("other"), 2).unwrap();
    let to = |topic: &str, partitions_count| MorePartitions {
        topic: topic.to_owned(),
        partitions_count,
        assignments: None,
    };
    let decide =
        |state: &ClusterState, more: &MorePartitions| state.decide_partitions(more, &LIMITS);
    for count in [i32::MIN, -1, 0, 1, 2] {
        let refused = PartitionsRefused::NotMore { topic: "t".to_owned(), count, existing: 2 };
        assert_eq!(decide(&state, &to("t", count)), Err(refused));
    }
    let unknown = PartitionsRefused::UnknownTopic { topic: "u".to_owned() };
    assert_eq!(decide(&state, &to("u", 5)), Err(unknown));
    // The other topic has 2 of 100.
    for (count, additional) in [(99, 97), (i32::MAX, i64::from(i32::MAX) - 2)] {
        let refused = PartitionsRefused::TooMany { additional, limit: 96 };
        assert_eq!(decide(&state, &to("t", count)), Err(refused));
    }
    let record = decide(&state, &to("t", 98)).unwrap();
    assert_eq!(state.topic_named("t").unwrap().partitions_count, 2);
    state.replay(&record).unwrap();
    assert_eq!(state.topic_named("t").unwrap().partitions_count, 98);
    assert_eq!(state.topic_named("other").unwrap().partitions_count, 2);
    // Neither again, nor back, nor for what is not there.
    assert!(state.replay(&record).is_err());
    let id = TopicId::from_random(1);
    assert!(state.replay(&ClusterRecord::TopicPartitions { id, partitions_count: 3 }).is_err());
    let id = TopicId::from_random(3);
    assert!(state.replay(&ClusterRecord::TopicPartitions { id, partitions_count: 3 }).is_err());
}

#[test]
fn new_partitions_are_assigned_each_to_the_only_broker() {
    let mut state = ClusterState::default();
    create(&mut state, &named("t"), 1).unwrap();
    let us = vec![BrokerId(1)];
    let to_four = |assignments| MorePartitions {
        topic: "t".to_owned(),
        partitions_count: 4,
        assignments: Some(assignments),
    };
    for (wrong, reason) in [
        (vec![], "2 partitions would be added, and 0 are assigned"),
        (vec![us.clone(); 4], "2 partitions would be added, and 4 are assigned"),
        (vec![us.clone(), vec![]], "a partition is assigned to []: the only broker is 1"),
        (
            vec![us.clone(), vec![BrokerId(1), BrokerId(2)]],
            "a partition is assigned to [1, 2]: the only broker is 1",
        ),
    ] {
        let refused = state.decide_partitions(&to_four(wrong), &LIMITS).unwrap_err();
        assert_eq!(refused.to_string(), reason);
    }
    let record = state.decide_partitions(&to_four(vec![us.clone(), us]), &LIMITS).unwrap();
    state.replay(&record).unwrap();
    assert_eq!(state.topic_named("t").unwrap().partitions_count, 4);
}

#[test]
fn no_producer_id_is_given_out_twice() {
    let mut state = ClusterState::default();
    let mut given = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let (record, mut block) = state.decide_producer_ids();
        // A block that was decided and never recorded is decided again.
        assert_eq!(state.decide_producer_ids(), (record.clone(), block));
        state.replay(&record).unwrap();
        while let Some(id) = block.take() {
            assert!(given.insert(id));
        }
    }
    assert_eq!(given.len(), 3000);
    assert!(state.replay(&ClusterRecord::ProducerIds { next: 2999 }).is_err());
}

#[test]
fn the_cluster_has_one_id() {
    let mut state = ClusterState::default();
    assert_eq!(state.cluster_id(), None);
    let record = ClusterRecord::Cluster { cluster_id: "x".to_owned() };
    state.replay(&record).unwrap();
    assert_eq!(state.cluster_id(), Some("x"));
    assert!(state.replay(&record).is_err());
}

proptest! {
    /// Whatever was decided can be replayed, also from its bytes, and leads to the same state.
    #[test]
    fn what_is_decided_can_be_replayed(steps in prop::collection::vec((0_u8..6, 0_u8..5), 0..60)) {
        let mut state = ClusterState::default();
        let mut records = Vec::new();
        for (n, (name, action)) in (0_u128..).zip(steps) {
            let name = ["a", "a.b", "a_b", "c", "", "é"][usize::from(name)];
            let record = match action {
                0 => state.decide_topic(&named(name), &LIMITS, TopicId::from_random(n)).ok(),
                1 => state.topic_named(name).map(|topic| topic.id)
                    .and_then(|id| state.decide_deletion(id)),
                2 => Some(state.decide_producer_ids().0),
                more => {
                    let existing = state.topic_named(name).map_or(0, |it| it.partitions_count);
                    let partitions_count = existing + i32::from(more) - 3;
                    let more =
                        MorePartitions { topic: name.to_owned(), partitions_count, assignments: None };
                    state.decide_partitions(&more, &LIMITS).ok()
                }
            };
            if let Some(record) = record {
                state.replay(&record).unwrap();
                records.push(record.encode());
            }
        }
        let mut again = ClusterState::default();
        for record in records {
            again.replay(&ClusterRecord::decode(&record).unwrap()).unwrap();
        }
        prop_assert_eq!(again, state);
    }
}

fn set(name: &str, value: &str) -> (String, ConfigChange) {
    (name.to_owned(), ConfigChange::Set(value.to_owned()))
}

fn alter(
    state: &mut ClusterState,
    resource: ConfigResource,
    changes: Vec<(String, ConfigChange)>,
    replaces_all: bool,
) -> Result<bool, ConfigsRefused> {
    let alter = AlterConfigs { resource, changes, replaces_all };
    let record = state.decide_configs(&alter, &LIMITS)?;
    if let Some(record) = &record {
        state.replay(record).unwrap();
    }
    Ok(record.is_some())
}

fn topic(name: &str) -> ConfigResource {
    ConfigResource::Topic(name.to_owned())
}

#[test]
fn configs_of_a_topic_are_set_unset_and_replaced() {
    let mut state = ClusterState::default();
    create(&mut state, &named("t"), 1).unwrap();
    let given = |state: &ClusterState| {
        let configs = state.topic_named("t").unwrap().configs.given().clone();
        configs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    let two = vec![set("retention.ms", "1000"), set("segment.bytes", "65536")];
    assert_eq!(alter(&mut state, topic("t"), two.clone(), false), Ok(true));
    assert_eq!(given(&state), ["retention.ms=1000", "segment.bytes=65536"]);
    assert_eq!(alter(&mut state, topic("t"), two, false), Ok(false), "nothing has changed");

    let unset = vec![("retention.ms".to_owned(), ConfigChange::Unset)];
    assert_eq!(alter(&mut state, topic("t"), unset.clone(), false), Ok(true));
    assert_eq!(given(&state), ["segment.bytes=65536"]);
    assert_eq!(alter(&mut state, topic("t"), unset, false), Ok(false));
    // Of a name that nobody knows there is nothing to unset, as in Kafka.
    let unknown = vec![("no.such".to_owned(), ConfigChange::Unset)];
    assert_eq!(alter(&mut state, topic("t"), unknown, false), Ok(false));

    assert_eq!(alter(&mut state, topic("t"), vec![set("segment.ms", "9")], true), Ok(true));
    assert_eq!(given(&state), ["segment.ms=9"]);
    let policy = ConfigChange::Append("delete".to_owned());
    let appended = vec![("cleanup.policy".to_owned(), policy)];
    assert_eq!(alter(&mut state, topic("t"), appended, false), Ok(true));
    assert_eq!(given(&state), ["cleanup.policy=delete", "segment.ms=9"]);
    assert_eq!(alter(&mut state, topic("t"), Vec::new(), true), Ok(true));
    assert_eq!(given(&state), [""; 0]);
}

#[test]
fn a_change_of_configs_is_refused_whole() {
    let mut state = ClusterState::default();
    create(&mut state, &named("t"), 1).unwrap();
    let before = state.clone();
    let mut refused =
        |changes| alter(&mut state, topic("t"), changes, false).unwrap_err().to_string();
    assert_eq!(
        refused(vec![set("retention.ms", "5"), set("no.such", "1")]),
        "Unknown topic config name: no.such"
    );
    assert_eq!(
        refused(vec![set("retention.ms", "-2")]),
        "Invalid value -2 for configuration retention.ms: Value must be at least -1"
    );
    assert_eq!(
        refused(vec![set("max.message.bytes", "2097153")]),
        "Invalid value 2097153 for configuration max.message.bytes: the journal takes batches of up \
         to 2097152 bytes"
    );
    assert_eq!(
        refused(vec![set("retention.ms", "1"), set("retention.ms", "2")]),
        "Error due to duplicate config keys: retention.ms"
    );
    let append = ConfigChange::Append("1".to_owned());
    assert_eq!(
        refused(vec![("retention.ms".to_owned(), append)]),
        "Can't APPEND to key retention.ms because its type is not LIST."
    );
    let nowhere = alter(&mut state, topic("u"), Vec::new(), false).unwrap_err();
    assert_eq!(nowhere.to_string(), "The topic 'u' does not exist.");
    assert_eq!(state, before);
}

#[test]
fn configs_of_brokers_hold_for_topics_that_say_nothing() {
    let mut state = ClusterState::default();
    let file = BrokerConfigs::from_file([("segment.ms", "7")]).unwrap();
    let ours = ConfigResource::Broker(Some(LIMITS.broker));
    let all = ConfigResource::Broker(None);
    let shorter = vec![set("log.retention.ms", "50")];
    assert_eq!(alter(&mut state, all.clone(), shorter, false), Ok(true));
    let shortest = vec![set("log.retention.ms", "40"), set("log.segment.bytes", "70000")];
    assert_eq!(alter(&mut state, ours.clone(), shortest, false), Ok(true));
    let config = |state: &ClusterState| {
        let configs = state.broker_configs(LIMITS.broker, &file);
        let config = crate::LogConfig::of(&TopicConfigs::default(), &configs);
        (config.retention_ms, config.segment_bytes, config.segment_ms)
    };
    assert_eq!(config(&state), (Some(40), 70_000, 7));
    assert_eq!(alter(&mut state, ours.clone(), Vec::new(), true), Ok(true));
    assert_eq!(config(&state), (Some(50), 1 << 30, 7));

    let before = state.clone();
    let mut refused =
        |resource, changes| alter(&mut state, resource, changes, false).unwrap_err().to_string();
    assert_eq!(
        refused(all.clone(), vec![set("retention.ms", "5")]),
        "Cannot update these configs dynamically: [retention.ms]"
    );
    assert_eq!(
        refused(ours, vec![set("log.retention.ms", "soon")]),
        "Invalid value soon for configuration log.retention.ms: Not a number of type LONG"
    );
    assert_eq!(
        refused(ConfigResource::Broker(Some(BrokerId(7))), Vec::new()),
        "Unexpected broker id, expected 1 or empty string, but received 7"
    );
    assert_eq!(state, before);
    let unset = vec![("log.retention.ms".to_owned(), ConfigChange::Unset)];
    assert_eq!(alter(&mut state, all, unset, false), Ok(true));
    assert_eq!(state, ClusterState::default());
}
