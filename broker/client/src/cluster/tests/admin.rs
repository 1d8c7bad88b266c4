//! Tests of what an administrator asks: topics listed and described, configs, logs.

use wire::create_topics::CreatableTopicResult;
use wire::delete_records::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use wire::delete_topics::DeletableTopicResult;
use wire::describe_configs::{DescribeConfigsResourceResult, DescribeConfigsResult};
use wire::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use wire::incremental_alter_configs::IncrementalAlterConfigsResourceResponse;
use wire::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use wire::{
    CreateTopicsResponse, DeleteRecordsResponse, DeleteTopicsResponse, DescribeConfigsResponse,
    DescribeLogDirsResponse, IncrementalAlterConfigsResponse, ListOffsetsResponse,
};

use super::*;
use crate::testing::{broker, versions};

#[test]
fn topics_are_listed_in_the_order_of_their_names() {
    run(async {
        let cluster = cluster_of_one(|header, request, brokers| {
            let Request::Metadata(request) = request else { unreachable!("{request:?}") };
            assert_eq!(request.topics, None);
            assert!(!request.allow_auto_topic_creation);
            let topics = [("payments", false), ("__offsets", true), ("orders", false)];
            let topics = topics.map(|(name, is_internal)| MetadataResponseTopic {
                name: Some(Text::from_static(name)),
                is_internal,
                partitions: vec![MetadataResponsePartition::default(); name.len()],
                ..Default::default()
            });
            let brokers = vec![node(brokers[0])];
            answer(
                header,
                MetadataResponse { brokers, topics: topics.into(), ..Default::default() },
            )
        })
        .await;
        let topics = cluster.list_topics().await.unwrap();
        let shown: Vec<(&str, bool, usize)> = topics
            .iter()
            .map(|it| (it.name.as_str(), it.is_internal, it.partitions.len()))
            .collect();
        assert_eq!(shown, [("__offsets", true, 9), ("orders", false, 6), ("payments", false, 8)]);
    });
}

#[test]
fn a_topic_is_described_as_it_is_and_a_leader_is_not_waited_for() {
    run(async {
        let (asked, count) = counter();
        let cluster = cluster_of_one(move |header, request, brokers| {
            assert!(matches!(request, Request::Metadata(_)), "{request:?}");
            count();
            let partition = |index, leader, replicas: &[i32]| MetadataResponsePartition {
                partition_index: PartitionIndex(index),
                leader_id: BrokerId(leader),
                leader_epoch: LeaderEpoch(7),
                replica_nodes: replicas.iter().copied().map(BrokerId).collect(),
                isr_nodes: vec![BrokerId(0)],
                ..Default::default()
            };
            let topic = MetadataResponseTopic {
                name: Some(Text::from_static(TOPIC)),
                topic_id: TopicId::from_bytes([1; 16]),
                partitions: vec![partition(1, -1, &[5]), partition(0, 0, &[0, 5])],
                ..Default::default()
            };
            let brokers = vec![node(brokers[0])];
            answer(header, MetadataResponse { brokers, topics: vec![topic], ..Default::default() })
        })
        .await;
        let topic = cluster.describe_topic(TOPIC).await.unwrap();
        let partition = |index, leader, replicas: &[i32]| PartitionDescription {
            partition: PartitionIndex(index),
            leader,
            leader_epoch: LeaderEpoch(7),
            replicas: replicas.iter().copied().map(BrokerId).collect(),
            in_sync: vec![BrokerId(0)],
        };
        let described = TopicDescription {
            name: TOPIC.to_owned(),
            id: TopicId::from_bytes([1; 16]),
            is_internal: false,
            partitions: vec![partition(0, Some(BrokerId(0)), &[0, 5]), partition(1, None, &[5])],
        };
        assert_eq!(topic, described);
        assert_eq!(asked.get(), 1);
    });
}

#[test]
fn a_topic_that_is_not_there_is_told_at_once() {
    run(async {
        let (asked, count) = counter();
        let cluster = cluster_of_one(move |header, request, brokers| {
            count();
            let error_code = ErrorCode::UnknownTopicOrPartition;
            let error_message = Some(Text::from_static("no such topic"));
            match request {
                Request::Metadata(_) => {
                    let name = Some(Text::from_static(TOPIC));
                    let topic = MetadataResponseTopic { error_code, name, ..Default::default() };
                    let brokers = vec![node(brokers[0])];
                    let topics = vec![topic];
                    answer(header, MetadataResponse { brokers, topics, ..Default::default() })
                }
                Request::DescribeConfigs(_) => {
                    let result =
                        DescribeConfigsResult { error_code, error_message, ..Default::default() };
                    let results = vec![result];
                    answer(header, DescribeConfigsResponse { results, ..Default::default() })
                }
                Request::IncrementalAlterConfigs(_) => {
                    let response = IncrementalAlterConfigsResourceResponse {
                        error_code,
                        error_message,
                        ..Default::default()
                    };
                    let responses = vec![response];
                    answer(
                        header,
                        IncrementalAlterConfigsResponse { responses, ..Default::default() },
                    )
                }
                Request::DeleteTopics(_) => {
                    let response =
                        DeletableTopicResult { error_code, error_message, ..Default::default() };
                    let responses = vec![response];
                    answer(header, DeleteTopicsResponse { responses, ..Default::default() })
                }
                other => unreachable!("not asked for: {other:?}"),
            }
        })
        .await;
        let change = ConfigChange::Unset { name: "flush.messages".to_owned() };
        let errors = [
            cluster.describe_topic(TOPIC).await.unwrap_err(),
            cluster.describe_configs(TOPIC).await.unwrap_err(),
            cluster.alter_configs(TOPIC, &[change], false).await.unwrap_err(),
            cluster.delete_topic(TOPIC).await.unwrap_err(),
        ];
        let refused = "orders is refused: UNKNOWN_TOPIC_OR_PARTITION (3)";
        assert_eq!(
            errors.map(|error| error.to_string()),
            [
                format!("Metadata of {refused}"),
                format!("DescribeConfigs of {refused} (no such topic)"),
                format!("IncrementalAlterConfigs of {refused} (no such topic)"),
                format!("DeleteTopics of {refused} (no such topic)"),
            ]
        );
        assert_eq!(asked.get(), 4);
    });
}

#[test]
fn that_a_topic_could_be_created_is_asked_without_creating_it() {
    run(async {
        let cluster = cluster_of_one(|header, request, _| {
            let Request::CreateTopics(request) = request else { unreachable!("{request:?}") };
            assert!(request.validate_only);
            let topic = &request.topics[0];
            assert_eq!((topic.num_partitions, topic.replication_factor), (-1, -1));
            let result = CreatableTopicResult {
                name: topic.name.clone(),
                num_partitions: 12,
                replication_factor: 3,
                ..Default::default()
            };
            answer(header, CreateTopicsResponse { topics: vec![result], ..Default::default() })
        })
        .await;
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions_count: -1,
            replication_factor: -1,
            configs: vec![],
        };
        let shape = cluster.check_topic(&topic).await.unwrap();
        let expected = NewTopicShape { partitions_count: Some(12), replication_factor: Some(3) };
        assert_eq!(shape, expected);
    });
}

#[test]
fn configs_are_told_in_the_order_of_their_names_with_where_they_are_from() {
    run(async {
        let cluster = cluster_of_one(|header, request, _| {
            let Request::DescribeConfigs(request) = request else { unreachable!("{request:?}") };
            let resource = &request.resources[0];
            assert_eq!((resource.resource_type, resource.resource_name.as_str()), (2, TOPIC));
            let configs = [("retention.ms", 1), ("flush.ms", 5), ("a.secret", 4), ("b", 77)];
            let configs = configs.map(|(name, config_source)| DescribeConfigsResourceResult {
                name: Text::from_static(name),
                value: (name != "a.secret").then(|| Text::from_static("9")),
                is_sensitive: name == "a.secret",
                config_source,
                ..Default::default()
            });
            let result = DescribeConfigsResult { configs: configs.into(), ..Default::default() };
            answer(header, DescribeConfigsResponse { results: vec![result], ..Default::default() })
        })
        .await;
        let entries = cluster.describe_configs(TOPIC).await.unwrap();
        let shown: Vec<(&str, Option<&str>, &str)> = entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.value.as_deref(), entry.source.name()))
            .collect();
        let nine = Some("9");
        assert_eq!(
            shown,
            [
                ("a.secret", None, "static-broker"),
                ("b", nine, "other"),
                ("flush.ms", nine, "default"),
                ("retention.ms", nine, "topic"),
            ]
        );
        assert!(entries[0].is_sensitive);
    });
}

#[test]
fn configs_are_changed_one_by_one() {
    run(async {
        let cluster = cluster_of_one(|header, request, _| {
            let Request::IncrementalAlterConfigs(request) = request else {
                unreachable!("{request:?}")
            };
            assert!(request.validate_only);
            let resource = &request.resources[0];
            assert_eq!((resource.resource_type, resource.resource_name.as_str()), (2, TOPIC));
            let configs: Vec<(&str, i8, Option<&str>)> = resource
                .configs
                .iter()
                .map(|it| (it.name.as_str(), it.config_operation, it.value.as_deref()))
                .collect();
            assert_eq!(configs, [("flush.messages", 0, Some("9")), ("flush.ms", 1, None)]);
            let response = IncrementalAlterConfigsResourceResponse::default();
            let responses = vec![response];
            answer(header, IncrementalAlterConfigsResponse { responses, ..Default::default() })
        })
        .await;
        let changes = [
            ConfigChange::Set { name: "flush.messages".to_owned(), value: "9".to_owned() },
            ConfigChange::Unset { name: "flush.ms".to_owned() },
        ];
        cluster.alter_configs(TOPIC, &changes, true).await.unwrap();
    });
}

#[test]
fn a_change_that_may_have_been_made_is_not_sent_again() {
    run(async {
        let (asked, count) = counter();
        let cluster = cluster_of_one(move |_, request, _| {
            assert!(matches!(request, Request::IncrementalAlterConfigs(_)), "{request:?}");
            count();
            vec![Act::Close]
        })
        .await;
        let change = ConfigChange::Unset { name: "flush.messages".to_owned() };
        let error = cluster.alter_configs(TOPIC, &[change], false).await.unwrap_err();
        assert_eq!(error.to_string(), "the broker closed the connection");
        assert_eq!(asked.get(), 1);
    });
}

#[test]
fn a_broker_that_cannot_change_single_configs_is_told() {
    run(async {
        let own: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
        let brokers = own.clone();
        let address = broker(move |header, request| match request {
            Request::ApiVersions(_) => {
                let served = [ApiKey::ApiVersions, ApiKey::Metadata, ApiKey::AlterConfigs];
                let served = served.map(|api_key| (api_key, api_key.versions()));
                answer(header, versions(&served))
            }
            Request::Metadata(_) => metadata(header, &brokers.borrow(), 0),
            other => unreachable!("not asked for: {other:?}"),
        })
        .await;
        own.borrow_mut().push(address);
        let change = ConfigChange::Unset { name: "flush.messages".to_owned() };
        let changed = cluster(address).await.alter_configs(TOPIC, &[change], false).await;
        assert_eq!(
            changed.unwrap_err().to_string(),
            "the broker does not speak IncrementalAlterConfigs, of which versions 0-1 are known here"
        );
    });
}

#[test]
fn records_are_deleted_by_the_leader_up_to_an_offset_or_to_the_end() {
    run(async {
        let (asked, count) = counter();
        let answers = asked.clone();
        let cluster = cluster_of_one(move |header, request, brokers| match request {
            Request::DeleteRecords(request) => {
                count();
                let partition = &request.topics[0].partitions[0];
                assert_eq!(partition.partition_index, PartitionIndex(0));
                let result = match answers.get() {
                    1 => DeleteRecordsPartitionResult {
                        error_code: ErrorCode::NotLeaderOrFollower,
                        low_watermark: Offset(-1),
                        ..Default::default()
                    },
                    _ => DeleteRecordsPartitionResult {
                        // 42 is where it ends.
                        low_watermark: Offset(if partition.offset.0 == -1 { 42 } else { 7 }),
                        ..Default::default()
                    },
                };
                let name = Text::from_static(TOPIC);
                let topic = DeleteRecordsTopicResult { name, partitions: vec![result] };
                answer(header, DeleteRecordsResponse { topics: vec![topic], ..Default::default() })
            }
            _ => metadata(header, brokers, 0),
        })
        .await;
        let partition = PartitionIndex(0);
        let before = DeleteBefore::Offset(Offset(7));
        assert_eq!(cluster.delete_records(TOPIC, partition, before).await.unwrap(), Offset(7));
        assert_eq!(asked.get(), 2);
        let before = DeleteBefore::End;
        assert_eq!(cluster.delete_records(TOPIC, partition, before).await.unwrap(), Offset(42));
    });
}

#[test]
fn one_broker_tells_where_its_logs_are_and_how_large() {
    run(async {
        let (asked, count) = counter();
        let cluster = cluster_of_one(move |header, request, _| {
            count();
            match request {
                Request::ListOffsets(request) => {
                    let partitions = request.topics[0].partitions.iter().map(|asked| {
                        let is_led = asked.partition_index == PartitionIndex(0);
                        ListOffsetsPartitionResponse {
                            partition_index: asked.partition_index,
                            error_code: match is_led {
                                true => ErrorCode::None,
                                false => ErrorCode::NotLeaderOrFollower,
                            },
                            offset: Offset(if asked.timestamp == -2 { 3 } else { 9 }),
                            ..Default::default()
                        }
                    });
                    let name = Text::from_static(TOPIC);
                    let partitions = partitions.collect();
                    let topics = vec![ListOffsetsTopicResponse { name, partitions }];
                    answer(header, ListOffsetsResponse { topics, ..Default::default() })
                }
                Request::DescribeLogDirs(request) => {
                    let topics = request.topics.unwrap();
                    assert_eq!(topics[0].partitions, [PartitionIndex(0), PartitionIndex(1)]);
                    let partition = |partition_size, is_future_key| DescribeLogDirsPartition {
                        partition_size,
                        is_future_key,
                        ..Default::default()
                    };
                    let topic = DescribeLogDirsTopic {
                        name: Text::from_static(TOPIC),
                        partitions: vec![partition(1000, false), partition(10, true)],
                    };
                    let result = |log_dir, error_code| DescribeLogDirsResult {
                        log_dir: Text::from_static(log_dir),
                        error_code,
                        ..Default::default()
                    };
                    let good = DescribeLogDirsResult {
                        topics: vec![topic],
                        total_bytes: 1 << 40,
                        ..result("good", ErrorCode::None)
                    };
                    let results = vec![good, result("bad", ErrorCode::KafkaStorageError)];
                    answer(header, DescribeLogDirsResponse { results, ..Default::default() })
                }
                other => unreachable!("not asked for: {other:?}"),
            }
        })
        .await;
        let partitions = [PartitionIndex(0), PartitionIndex(1)];
        let mut offsets = Vec::new();
        for at in [OffsetAt::Start, OffsetAt::End] {
            let found = cluster.offsets_on(BrokerId(0), TOPIC, &partitions, at).await.unwrap();
            offsets.push(found[&PartitionIndex(0)].unwrap().0);
            let error = found[&PartitionIndex(1)].unwrap_err();
            assert_eq!(error, ErrorCode::NotLeaderOrFollower);
        }
        assert_eq!(offsets, [3, 9]);
        let dirs = cluster.describe_log_dirs(BrokerId(0), TOPIC, &partitions).await.unwrap();
        assert_eq!((dirs[0].path.as_str(), dirs[0].error), ("good", None));
        assert_eq!((dirs[0].total_bytes, dirs[0].usable_bytes), (Some(1 << 40), None));
        let sizes: Vec<(u64, bool)> = dirs[0]
            .replicas
            .iter()
            .map(|replica| (replica.size_bytes, replica.is_future))
            .collect();
        assert_eq!(sizes, [(1000, false), (10, true)]);
        assert_eq!(dirs[1].error, Some(ErrorCode::KafkaStorageError));
        // What can be retried is not: whoever asks wants to see it.
        assert_eq!(asked.get(), 3);
    });
}
