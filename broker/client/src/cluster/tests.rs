//! Tests of the cluster, against brokers that play a script.

mod admin;
mod groups;

use core::net::SocketAddr;
use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use model::Offset;
use wire::create_topics::CreatableTopicResult;
use wire::fetch::{FetchableTopicResponse, PartitionData};
use wire::metadata::{MetadataResponsePartition, MetadataResponseTopic};
use wire::produce::{PartitionProduceResponse, TopicProduceResponse};
use wire::{CreateTopicsResponse, FetchResponse, ProduceResponse, Records, Request, RequestHeader};

use super::*;
use crate::testing::{
    Act, TOPIC, answer, cluster, cluster_of_one, counter, metadata, modern_broker, node, run,
};

const FETCH: Fetch =
    Fetch { wait_max: Duration::from_millis(10), size_bytes_min: 1, size_bytes_max: 1 << 20 };

fn fetched(header: RequestHeader, error_code: ErrorCode, records: &'static [u8]) -> Vec<Act> {
    let response = FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: if header.api_version <= 12 { TOPIC.into() } else { Text::default() },
            partitions: vec![PartitionData {
                error_code,
                high_watermark: Offset(9),
                records: Some(Records::from(Bytes::from_static(records))),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    vec![Act::Answer(header, response.into())]
}

#[test]
fn a_fetch_follows_the_leader() {
    run(async {
        let leader = Rc::new(Cell::new(0));
        let brokers: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
        let script = |own: usize| {
            let (leader, brokers) = (leader.clone(), brokers.clone());
            move |header: RequestHeader, request| match request {
                Request::Metadata(_) => metadata(header, &brokers.borrow(), leader.get()),
                Request::Fetch(fetch) => {
                    // A topic without an id can only be named.
                    assert_eq!(header.api_version, 12);
                    assert_eq!(fetch.topics[0].topic, TOPIC);
                    if own == leader.get() {
                        return fetched(header, ErrorCode::None, b"records");
                    }
                    fetched(header, ErrorCode::NotLeaderOrFollower, b"")
                }
                other => unreachable!("not asked for: {other:?}"),
            }
        };
        let first = modern_broker(script(0)).await;
        let second = modern_broker(script(1)).await;
        *brokers.borrow_mut() = vec![first, second];
        let cluster = cluster(first).await;
        assert_eq!(cluster.brokers(), [BrokerId(0), BrokerId(1)]);
        let partition = PartitionIndex(0);
        let before = cluster.fetch(TOPIC, partition, Offset(0), FETCH).await.unwrap();
        leader.set(1);
        let after = cluster.fetch(TOPIC, partition, Offset(0), FETCH).await.unwrap();
        assert_eq!(before, after);
        assert_eq!(&after.records[..], b"records");
        assert_eq!(after.high_watermark, Offset(9));
    });
}

#[test]
fn many_partitions_are_read_at_once_and_refused_one_by_one() {
    run(async {
        let cluster = cluster_of_one(|header, request, brokers| match request {
            Request::Metadata(_) => {
                let partition = |index| MetadataResponsePartition {
                    partition_index: PartitionIndex(index),
                    ..Default::default()
                };
                let topic = |name| MetadataResponseTopic {
                    name: Some(Text::from_static(name)),
                    partitions: vec![partition(0), partition(1)],
                    ..Default::default()
                };
                let (brokers, topics) = (vec![node(brokers[0])], vec![topic(TOPIC)]);
                answer(header, MetadataResponse { brokers, topics, ..Default::default() })
            }
            Request::Fetch(fetch) => {
                let partitions =
                    fetch.topics[0].partitions.iter().rev().map(|asked| PartitionData {
                        partition_index: asked.partition,
                        error_code: match asked.fetch_offset {
                            Offset(7) => ErrorCode::None,
                            _ => ErrorCode::OffsetOutOfRange,
                        },
                        high_watermark: Offset(9),
                        ..Default::default()
                    });
                let topic = FetchableTopicResponse {
                    topic: TOPIC.into(),
                    partitions: partitions.collect(),
                    ..Default::default()
                };
                answer(header, FetchResponse { responses: vec![topic], ..Default::default() })
            }
            other => unreachable!("not asked for: {other:?}"),
        })
        .await;
        let from = |partition, offset| FetchFrom {
            topic: TOPIC.to_owned(),
            partition: PartitionIndex(partition),
            offset: Offset(offset),
        };
        // The script for no topic tells of one with a single partition.
        cluster.forget_topic(TOPIC);
        let read = cluster.fetch_many(&[from(1, 100), from(0, 7)], FETCH).await.unwrap();
        assert_eq!(read[0], Err(ErrorCode::OffsetOutOfRange));
        assert_eq!(read[1].as_ref().unwrap().high_watermark, Offset(9));
        let error = cluster.fetch_many(&[from(2, 7)], FETCH).await.unwrap_err();
        assert_eq!(error.to_string(), "topic orders has no partition 2: it has 2");
    });
}

#[test]
fn what_nobody_acknowledges_is_written() {
    run(async {
        let (asked, count) = counter();
        let cluster = cluster_of_one(move |header, request, brokers| match request {
            Request::Produce(request) => {
                assert_eq!(request.acks, 0);
                count();
                vec![]
            }
            _ => metadata(header, brokers, 0),
        })
        .await;
        let batch = Bytes::from_static(b"batch");
        cluster.produce_unacknowledged(TOPIC, PartitionIndex(0), batch).await.unwrap();
        while asked.get() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_created_topic_is_waited_for_until_it_is_led() {
    run(async {
        let asked = Rc::new(Cell::new(0));
        let count = asked.clone();
        let own: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
        let brokers = own.clone();
        let address = modern_broker(move |header, request| match request {
            Request::Metadata(request) if request.topics == Some(vec![]) => {
                metadata(header, &brokers.borrow(), 0)
            }
            Request::Metadata(_) => {
                count.set(count.get() + 1);
                // No broker has this number: nobody leads yet.
                metadata(header, &brokers.borrow(), if count.get() < 3 { 8 } else { 0 })
            }
            Request::CreateTopics(request) => {
                let topic = &request.topics[0];
                assert_eq!((topic.num_partitions, topic.replication_factor), (1, 1));
                assert_eq!(topic.configs[0].name, "flush.messages");
                let result =
                    CreatableTopicResult { name: topic.name.clone(), ..Default::default() };
                let response = CreateTopicsResponse { topics: vec![result], ..Default::default() };
                vec![Act::Answer(header, response.into())]
            }
            other => unreachable!("not asked for: {other:?}"),
        })
        .await;
        own.borrow_mut().push(address);
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions_count: 1,
            replication_factor: 1,
            configs: vec![("flush.messages".to_owned(), "1".to_owned())],
        };
        let created = cluster(address).await.create_topic(&topic).await.unwrap();
        assert_eq!(created.partitions[0].broker, Some(BrokerId(0)));
        assert_eq!(asked.get(), 3);
    });
}

#[test]
fn a_refusal_keeps_the_brokers_own_words() {
    run(async {
        let own: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
        let brokers = own.clone();
        let address = modern_broker(move |header, request| match request {
            Request::CreateTopics(_) => {
                let result = CreatableTopicResult {
                    error_code: ErrorCode::TopicAlreadyExists,
                    error_message: Some(Text::from_static("it is there")),
                    ..Default::default()
                };
                let response = CreateTopicsResponse { topics: vec![result], ..Default::default() };
                vec![Act::Answer(header, response.into())]
            }
            _ => metadata(header, &brokers.borrow(), 0),
        })
        .await;
        own.borrow_mut().push(address);
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions_count: 1,
            replication_factor: 1,
            configs: vec![],
        };
        let error = cluster(address).await.create_topic(&topic).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "CreateTopics of orders is refused: TOPIC_ALREADY_EXISTS (36) (it is there)"
        );
    });
}

/// Produces against a leader that gives these answers one after the other. Returns the result and
/// how often it was asked.
async fn produce(answers: &'static [ErrorCode]) -> (Result<Produced, ClusterError>, usize) {
    let asked = Rc::new(Cell::new(0));
    let count = asked.clone();
    let own: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
    let brokers = own.clone();
    let address = modern_broker(move |header, request| match request {
        Request::Produce(_) => {
            let error_code = answers[count.replace(count.get() + 1)];
            let response = ProduceResponse {
                responses: vec![TopicProduceResponse {
                    name: TOPIC.into(),
                    partition_responses: vec![PartitionProduceResponse {
                        error_code,
                        base_offset: Offset(42),
                        ..Default::default()
                    }],
                }],
                ..Default::default()
            };
            vec![Act::Answer(header, response.into())]
        }
        _ => metadata(header, &brokers.borrow(), 0),
    })
    .await;
    own.borrow_mut().push(address);
    let cluster = cluster(address).await;
    let result = cluster.produce(TOPIC, PartitionIndex(0), Bytes::from_static(b"batch"), -1).await;
    (result, asked.get())
}

#[test]
fn what_was_certainly_not_appended_is_sent_again() {
    run(async {
        let (result, asked) = produce(&[ErrorCode::NotLeaderOrFollower, ErrorCode::None]).await;
        assert_eq!(result.unwrap(), Produced { base_offset: Offset(42) });
        assert_eq!(asked, 2);
    });
}

#[test]
fn what_may_have_been_appended_is_not_sent_again() {
    run(async {
        let (result, asked) = produce(&[ErrorCode::RequestTimedOut, ErrorCode::None]).await;
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with("Produce of orders did not succeed within"), "{error}");
        assert!(error.ends_with("the last answer was REQUEST_TIMED_OUT (7)"), "{error}");
        assert_eq!(asked, 1);
    });
}

#[test]
fn a_partition_that_is_not_there_is_named() {
    run(async {
        let own: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
        let brokers = own.clone();
        let address = modern_broker(move |header, _| metadata(header, &brokers.borrow(), 0)).await;
        own.borrow_mut().push(address);
        let error = cluster(address)
            .await
            .offset(TOPIC, PartitionIndex(7), OffsetAt::End)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "topic orders has no partition 7: it has 1");
    });
}
