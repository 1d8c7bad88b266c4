//! DescribeTopicPartitions: topics page by page.

use model::{PartitionIndex, TopicId};
use wire::describe_topic_partitions::{Cursor, TopicRequest};
use wire::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, ErrorCode, Text};

use crate::support::{Broker, Client, Directory};
use crate::topics::{create, new_topic};

const TOPICS: [(&str, i32); 4] = [("a", 3), ("b", 1), ("c", 5), ("d", 2)];

fn with_topics() -> (Directory, Broker, Client) {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    let topics = TOPICS.map(|(name, num_partitions)| wire::create_topics::CreatableTopic {
        num_partitions,
        ..new_topic(name)
    });
    client.call(7, &create(topics.to_vec()));
    (directory, broker, client)
}

fn ask(
    names: &[&'static str],
    limit: i32,
    cursor: Option<Cursor>,
) -> DescribeTopicPartitionsRequest {
    let topics = names.iter().map(|name| TopicRequest { name: Text::from_static(name) });
    DescribeTopicPartitionsRequest {
        topics: topics.collect(),
        response_partition_limit: limit,
        cursor,
    }
}

fn cursor(topic_name: &'static str, partition: i32) -> Option<Cursor> {
    let topic_name = Text::from_static(topic_name);
    Some(Cursor { topic_name, partition_index: PartitionIndex(partition) })
}

/// Names and partitions of an answer, each topic as `a 0 1 2`.
fn shown(response: &DescribeTopicPartitionsResponse) -> String {
    let topics = response.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|of| format!(" {}", of.partition_index.0));
        format!("{}{}", topic.name.as_ref().unwrap(), partitions.collect::<String>())
    });
    let next = response.next_cursor.as_ref();
    let next = next.map(|next| format!("next {} {}", next.topic_name, next.partition_index.0));
    topics.chain(next).collect::<Vec<_>>().join(", ")
}

#[test]
fn m11_topics_are_described_page_by_page() {
    let (_directory, _broker, mut client) = with_topics();
    for (names, limit, from, expected) in [
        (&[][..], 2000, None, "a 0 1 2, b 0, c 0 1 2 3 4, d 0 1"),
        (&[], 3, None, "a 0 1 2, next b 0"),
        (&[], 4, None, "a 0 1 2, b 0, next c 0"),
        (&[], 6, None, "a 0 1 2, b 0, c 0 1, next c 2"),
        (&[], 2, cursor("c", 2), "c 2 3, next c 4"),
        (&[], 1, cursor("c", 4), "c 4, next d 0"),
        (&[], 2, cursor("d", 0), "d 0 1"),
        // At least one, whatever is asked for.
        (&[], 0, None, "a 0, next a 1"),
        (&[], -5, None, "a 0, next a 1"),
        // Where the cursor's topic has been deleted, or has fewer partitions now.
        (&[], 2000, cursor("bb", 1), "c 0 1 2 3 4, d 0 1"),
        (&[], 2000, cursor("c", 7), "c, d 0 1"),
        // In the order of their names, each once.
        (&["d", "a", "d"], 2000, None, "a 0 1 2, d 0 1"),
        (&["d", "a"], 4, None, "a 0 1 2, d 0, next d 1"),
        (&["d", "a"], 4, cursor("d", 1), "d 1"),
    ] {
        let response = client.call(0, &ask(names, limit, from.clone()));
        assert_eq!(shown(&response), expected, "{names:?} {limit} {from:?}");
        assert!(response.topics.iter().all(|topic| topic.error_code == ErrorCode::None));
        assert!(response.topics.iter().all(|topic| topic.topic_id != TopicId::ZERO));
        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
            assert_eq!(partition.error_code, ErrorCode::None);
            assert_eq!((partition.leader_id.0, partition.replica_nodes.len()), (1, 1));
            assert_eq!(partition.eligible_leader_replicas, Some(vec![]));
        }
    }
}

#[test]
fn m11_a_topic_that_is_not_there_and_a_cursor_that_is_none_are_errors_of_their_topics() {
    let (_directory, _broker, mut client) = with_topics();
    let errors = |client: &mut Client, request: &DescribeTopicPartitionsRequest| {
        let topics = client.call(0, request).topics;
        let error =
            |topic: &wire::describe_topic_partitions::DescribeTopicPartitionsResponseTopic| {
                (topic.name.as_ref().unwrap().to_string(), topic.error_code)
            };
        topics.iter().map(error).collect::<Vec<_>>()
    };
    let named = |name: &str, code| (name.to_owned(), code);
    assert_eq!(
        errors(&mut client, &ask(&["zz", "a", "a b"], 2000, None)),
        [
            named("a", ErrorCode::None),
            named("a b", ErrorCode::InvalidTopicException),
            named("zz", ErrorCode::UnknownTopicOrPartition),
        ]
    );
    for from in [cursor("b", 0), cursor("a", -1)] {
        assert_eq!(
            errors(&mut client, &ask(&["a", "c"], 2000, from)),
            [named("a", ErrorCode::InvalidRequest), named("c", ErrorCode::InvalidRequest)]
        );
    }
}
