//! Topics: metadata, creation, deletion, configs.

use model::{BrokerId, PartitionIndex, TopicId};
use wire::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use wire::delete_topics::DeleteTopicState;
use wire::describe_configs::{DescribeConfigsResource, DescribeConfigsResult};
use wire::metadata::MetadataRequestTopic;
use wire::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest, ErrorCode, MetadataRequest,
    Text,
};

use crate::support::{Broker, Client, Directory};

pub(crate) fn new_topic(name: &'static str) -> CreatableTopic {
    CreatableTopic {
        name: Text::from_static(name),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    }
}

pub(crate) fn with_config(
    topic: CreatableTopic,
    name: &'static str,
    value: &'static str,
) -> CreatableTopic {
    let value = Some(Text::from_static(value));
    let mut configs = topic.configs;
    configs.push(CreatableTopicConfig { name: Text::from_static(name), value });
    CreatableTopic { configs, ..topic }
}

pub(crate) fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, ..Default::default() }
}

pub(crate) fn create_and_delete_at(client: &mut Client, creating: i16, deleting: i16) {
    let topic = new_topic("passing");
    let created = client.call(creating, &create(vec![topic]));
    assert_eq!(created.topics[0].error_code, ErrorCode::None, "version {creating}");
    let name = Text::from_static("passing");
    let request = match deleting {
        6.. => DeleteTopicsRequest {
            topics: vec![DeleteTopicState { name: Some(name), ..Default::default() }],
            ..Default::default()
        },
        _ => DeleteTopicsRequest { topic_names: vec![name], ..Default::default() },
    };
    let deleted = client.call(deleting, &request);
    assert_eq!(deleted.responses[0].error_code, ErrorCode::None, "version {deleting}");
}

pub(crate) fn describe(
    client: &mut Client,
    version: i16,
    resource_type: i8,
    name: &'static str,
) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: Text::from_static(name),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: 3 <= version,
    };
    client.call(version, &request).results.remove(0)
}

fn named(names: &[&'static str]) -> MetadataRequest {
    let topics = names.iter().map(|name| MetadataRequestTopic {
        name: Some(Text::from_static(name)),
        ..Default::default()
    });
    MetadataRequest {
        topics: Some(topics.collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

#[test]
fn m1_null_asks_for_all_topics_and_an_empty_list_for_none() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("one");
    client.auto_create("two");
    let ask = |topics| MetadataRequest { topics, ..Default::default() };
    for version in 1..=12 {
        assert_eq!(client.call(version, &ask(None)).topics.len(), 2);
        let none = client.call(version, &ask(Some(vec![])));
        assert_eq!((none.topics.len(), none.brokers.len()), (0, 1));
    }
    assert_eq!(client.call(0, &ask(Some(vec![]))).topics.len(), 2);
}

#[test]
fn m2_topics_are_created_when_they_are_asked_for_unless_somebody_declines() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[topics]\npartitions = 4\n").unwrap();
    let config = config.to_str().unwrap();
    let broker = Broker::start(&directory.data(), &["--cores", "3", "--config", config]);
    let mut client = broker.connect();
    let declined = client.call(12, &named(&["wanted"]));
    assert_eq!(declined.topics[0].error_code, ErrorCode::UnknownTopicOrPartition);
    let response = client.auto_create("wanted");
    assert_eq!(response.topics[0].partitions.len(), 4);
    let again = client.call(12, &named(&["wanted"]));
    assert_eq!(again.topics[0].partitions.len(), 4);
    // A name that no topic can have is told from one that is not there.
    let request = MetadataRequest { allow_auto_topic_creation: true, ..named(&["not a name"]) };
    let wrong = client.call(12, &request);
    assert_eq!(wrong.topics[0].error_code, ErrorCode::InvalidTopicException);
    drop(broker);
    std::fs::write(config, "[topics]\nauto-create = false\n").unwrap();
    let broker = Broker::start(&directory.data(), &["--config", config]);
    let request = MetadataRequest { allow_auto_topic_creation: true, ..named(&["another"]) };
    let refused = broker.connect().call(12, &request);
    assert_eq!(refused.topics[0].error_code, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn m3_the_leader_epoch_rises_with_every_start_and_the_id_stays() {
    let directory = Directory::new();
    let mut before = None;
    for _ in 0..3 {
        let broker = Broker::start(&directory.data(), &["--cores", "2"]);
        let response = broker.connect().auto_create("steady");
        let topic = &response.topics[0];
        let now = (topic.topic_id, topic.partitions[0].leader_epoch);
        if let Some((id, epoch)) = before {
            assert_eq!(now.0, id);
            assert!(epoch < now.1);
        }
        before = Some(now);
    }
}

#[test]
fn m4_a_topic_has_an_id_and_another_one_when_it_is_made_again() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    let mut client = broker.connect();
    let first = client.auto_create("again").topics[0].topic_id;
    assert_ne!(first, TopicId::ZERO);
    let topics = vec![DeleteTopicState { topic_id: first, ..Default::default() }];
    let deleted = client.call(6, &DeleteTopicsRequest { topics, ..Default::default() });
    assert_eq!(deleted.responses[0].error_code, ErrorCode::None);
    assert_eq!(deleted.responses[0].name.as_ref().unwrap(), "again");
    let second = client.auto_create("again").topics[0].topic_id;
    assert_ne!(first, second);
    // By id, each version that can.
    let ask = |topic_id| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { topic_id, name: None }]),
        ..Default::default()
    };
    let known = client.call(12, &ask(second));
    assert_eq!(known.topics[0].name.as_ref().unwrap(), "again");
    let unknown = client.call(12, &ask(first));
    assert_eq!(unknown.topics[0].error_code, ErrorCode::UnknownTopicId);
}

#[test]
fn m5_minus_one_is_the_default_and_the_answer_tells_what_became_of_it() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    let topic = with_config(new_topic("defaults"), "flush.messages", "1000");
    let created = client.call(7, &create(vec![topic])).topics.remove(0);
    assert_eq!((created.num_partitions, created.replication_factor), (1, 1));
    assert_ne!(created.topic_id, TopicId::ZERO);
    let configs = created.configs.unwrap();
    let flush = configs.iter().find(|config| config.name == "flush.messages").unwrap();
    assert_eq!((flush.value.as_ref().unwrap().as_str(), flush.config_source), ("1000", 1));
    let segment = configs.iter().find(|config| config.name == "segment.bytes").unwrap();
    assert_eq!(segment.config_source, 5);
}

#[test]
fn m6_every_topic_of_a_request_is_judged_by_itself() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("existing");
    let assignment = |broker| CreatableReplicaAssignment {
        partition_index: PartitionIndex(0),
        broker_ids: vec![BrokerId(broker)],
    };
    let topics = vec![
        (new_topic("good"), ErrorCode::None),
        (new_topic("existing"), ErrorCode::TopicAlreadyExists),
        (new_topic("with space"), ErrorCode::InvalidTopicException),
        (new_topic("__cluster_metadata"), ErrorCode::InvalidTopicException),
        (CreatableTopic { num_partitions: 0, ..new_topic("a") }, ErrorCode::InvalidPartitions),
        (
            CreatableTopic { replication_factor: 3, ..new_topic("b") },
            ErrorCode::InvalidReplicationFactor,
        ),
        (with_config(new_topic("c"), "no.such", "1"), ErrorCode::InvalidConfig),
        (with_config(new_topic("d"), "segment.bytes", "1"), ErrorCode::InvalidConfig),
        (
            CreatableTopic { assignments: vec![assignment(7)], ..new_topic("e") },
            ErrorCode::InvalidReplicaAssignment,
        ),
        (CreatableTopic { assignments: vec![assignment(1)], ..new_topic("f") }, ErrorCode::None),
        (new_topic("twice"), ErrorCode::InvalidRequest),
        (new_topic("twice"), ErrorCode::InvalidRequest),
        (new_topic("good_too"), ErrorCode::None),
        (new_topic("good.too"), ErrorCode::InvalidTopicException),
    ];
    let request = |validate_only| CreateTopicsRequest {
        topics: topics.iter().map(|(topic, _)| topic.clone()).collect(),
        validate_only,
        ..Default::default()
    };
    for validate_only in [true, false] {
        let response = client.call(7, &request(validate_only));
        for ((topic, expected), result) in topics.iter().zip(&response.topics) {
            assert_eq!(result.name, topic.name);
            assert_eq!(result.error_code, *expected, "{}", topic.name);
            assert_eq!(result.error_message.is_some(), expected.is_error(), "{}", topic.name);
        }
        let all = client.call(12, &MetadataRequest { topics: None, ..Default::default() });
        assert_eq!(all.topics.len(), if validate_only { 1 } else { 4 });
    }
}

#[test]
fn m7_m8_the_controller_is_a_live_broker_and_the_cluster_id_is_stable() {
    let directory = Directory::new();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let broker = Broker::start(&directory.data(), &[]);
        let response = broker.connect().call(12, &named(&[]));
        assert_eq!(response.controller_id, response.brokers[0].node_id);
        ids.push(response.cluster_id.unwrap());
    }
    assert_eq!(ids[0].len(), 22);
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn m9_configs_are_told_with_their_defaults() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    let mut client = broker.connect();
    client.auto_create("described");
    let topic = describe(&mut client, 4, 2, "described");
    let value_of = |name: &str| {
        let config = topic.configs.iter().find(|config| config.name == name).unwrap();
        config.value.as_ref().unwrap().to_string()
    };
    assert_eq!(value_of("max.message.bytes"), "1048588");
    assert_eq!(value_of("cleanup.policy"), "delete");
    // What no broker can say for all topics has no synonym.
    let without = topic.configs.iter().filter(|config| config.synonyms.is_empty()).count();
    assert_eq!(without, 9);
    assert!(topic.configs.iter().all(|config| config.documentation.is_some()));
    let missing = describe(&mut client, 4, 2, "missing");
    assert_eq!(missing.error_code, ErrorCode::UnknownTopicOrPartition);
    let broker = describe(&mut client, 4, 4, "1");
    assert!(broker.configs.iter().any(|config| config.name == "num.partitions"));
    // Of all brokers only what was said for all of them.
    assert_eq!(describe(&mut client, 4, 4, "").configs.len(), 0);
    assert_eq!(describe(&mut client, 4, 4, "2").error_code, ErrorCode::InvalidRequest);
    assert_eq!(describe(&mut client, 4, 3, "x").error_code, ErrorCode::InvalidRequest);
}

#[test]
fn m10_a_deleted_topic_is_gone_from_the_disk_too() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("gone");
    let batch = crate::support::batch(
        &[&[1; 100_000]],
        crate::support::now_ms(),
        model::record_batch::ProducerStamp::NONE,
    );
    client.call(9, &crate::support::produce("gone", 0, -1, batch));
    let name = Text::from_static("gone");
    let request = DeleteTopicsRequest { topic_names: vec![name], ..Default::default() };
    assert_eq!(client.call(5, &request).responses[0].error_code, ErrorCode::None);
    let again = client.call(5, &request);
    assert_eq!(again.responses[0].error_code, ErrorCode::UnknownTopicOrPartition);
    let topics = directory.data().join("topics");
    let left: Vec<_> = std::fs::read_dir(topics).unwrap().map(|it| it.unwrap().path()).collect();
    // Only the cluster's own metadata may be there.
    let own = TopicId::CLUSTER_METADATA.to_hex();
    assert!(left.iter().all(|path| path.ends_with(&own)), "{left:?}");
}
