//! DeleteRecords and DescribeLogDirs: logs start later, and what they take on the disk.

use model::record_batch::ProducerStamp;
use model::{Offset, PartitionIndex};
use wire::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsTopic,
};
use wire::describe_log_dirs::DescribableLogDirTopic;
use wire::{DeleteRecordsRequest, DescribeLogDirsRequest, ErrorCode, Text};

use crate::support::{Broker, Client, Directory, batch, now_ms, produce};

pub(crate) fn request(topic: &'static str, offsets: &[(i32, i64)]) -> DeleteRecordsRequest {
    let partition = |(index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index: PartitionIndex(*index),
        offset: Offset(*offset),
    };
    let partitions = offsets.iter().map(partition).collect();
    let topics = vec![DeleteRecordsTopic { name: Text::from_static(topic), partitions }];
    DeleteRecordsRequest { topics, timeout_ms: 10_000 }
}

fn append(client: &mut Client, topic: &'static str, partition: i32, count: usize) {
    let values = vec![&b"v"[..]; count];
    let batch = batch(&values, now_ms(), ProducerStamp::NONE);
    let response = client.call(9, &produce(topic, partition, -1, batch));
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
}

fn delete(client: &mut Client, version: i16, partition: i32, offset: i64) -> (ErrorCode, i64) {
    let response = client.call(version, &request("t", &[(partition, offset)]));
    let DeleteRecordsPartitionResult { error_code, low_watermark, .. } =
        response.topics[0].partitions[0];
    (error_code, low_watermark.0)
}

#[test]
fn r4_deleted_records_are_not_read_again() {
    let directory = Directory::new();
    let arguments = ["--cores", "2"];
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    client.auto_create("t");
    append(&mut client, "t", 0, 10);
    append(&mut client, "t", 0, 10);
    for version in 0..=2 {
        let offset = i64::from(version) + 3;
        assert_eq!(delete(&mut client, version, 0, offset), (ErrorCode::None, offset));
    }
    // Never back, and that is no error.
    assert_eq!(delete(&mut client, 2, 0, 2), (ErrorCode::None, 5));
    assert_eq!(delete(&mut client, 2, 0, 21), (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete(&mut client, 2, 0, -2), (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete(&mut client, 2, 7, 1), (ErrorCode::UnknownTopicOrPartition, -1));
    let unknown = client.call(2, &request("u", &[(0, 1)]));
    let code = unknown.topics[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::UnknownTopicOrPartition);

    let start = |client: &mut Client| {
        let query = crate::list_offsets::query("t", -2);
        client.call(7, &query).topics.remove(0).partitions.remove(0).offset.0
    };
    assert_eq!(start(&mut client), 5);
    broker.kill();
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    assert_eq!(start(&mut client), 5);
    assert_eq!(delete(&mut client, 2, 0, -1), (ErrorCode::None, 20), "everything");
    assert_eq!(start(&mut client), 20);
    append(&mut client, "t", 0, 1);
    assert_eq!(start(&mut client), 20);
}

#[test]
fn r5_what_partitions_take_on_the_disk_is_told() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("a");
    client.auto_create("t");
    append(&mut client, "t", 0, 100);
    let all = DescribeLogDirsRequest { topics: None };
    let sent_bytes = batch(&vec![&b"v"[..]; 100], 1, ProducerStamp::NONE).len() as i64;
    for version in 1..=4 {
        let mut response = client.call(version, &all);
        let result = response.results.remove(0);
        assert_eq!((response.error_code, result.error_code), (ErrorCode::None, ErrorCode::None));
        assert_eq!(result.log_dir, *directory.data().to_str().unwrap());
        let found: Vec<_> = result
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|it| (&*topic.name, it)))
            .map(|(topic, it)| (topic, it.partition_index.0, it.partition_size, it.offset_lag))
            .collect();
        // The time of a record may take a byte more.
        let size = found[1].2;
        assert!((sent_bytes - 100..sent_bytes + 400).contains(&size), "{size}");
        assert_eq!(found, [("a", 0, 0, 0), ("t", 0, size, 0)]);
        if version == 4 {
            assert!(0 < result.usable_bytes && result.usable_bytes < result.total_bytes);
        }
    }
    let topic = |name, indexes: &[i32]| DescribableLogDirTopic {
        topic: Text::from_static(name),
        partitions: indexes.iter().copied().map(PartitionIndex).collect(),
    };
    let some = vec![topic("t", &[0, 0, 9]), topic("u", &[0]), topic("t", &[0])];
    let result = client.call(4, &DescribeLogDirsRequest { topics: Some(some) }).results.remove(0);
    assert_eq!(result.topics.len(), 1, "what is not there is left out");
    assert_eq!(result.topics[0].partitions.len(), 1);
    let none = client.call(4, &DescribeLogDirsRequest { topics: Some(Vec::new()) });
    assert_eq!(none.results[0].topics.len(), 0);
}
