//! Leader epochs: where their records end, and who has read something else.

use std::time::{Duration, Instant};

use model::record_batch::ProducerStamp;
use model::{LeaderEpoch, Offset, PartitionIndex};
use wire::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use wire::{ErrorCode, OffsetForLeaderEpochRequest, Text};

use crate::fetch::fetch_from;
use crate::support::{Broker, Client, Directory, batch, now_ms, produce};

pub(crate) fn request(topic: &'static str, leader_epochs: &[i32]) -> OffsetForLeaderEpochRequest {
    let partitions = leader_epochs.iter().map(|epoch| OffsetForLeaderPartition {
        partition: PartitionIndex(0),
        leader_epoch: LeaderEpoch(*epoch),
        ..Default::default()
    });
    OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: Text::from_static(topic),
            partitions: partitions.collect(),
        }],
        ..Default::default()
    }
}

fn answers(
    client: &mut Client,
    version: i16,
    request: &OffsetForLeaderEpochRequest,
) -> Vec<EpochEndOffset> {
    let response = client.call(version, request);
    assert_eq!(response.topics[0].topic, request.topics[0].topic);
    assert_eq!(response.topics[0].partitions.len(), request.topics[0].partitions.len());
    response.topics[0].partitions.clone()
}

fn append(client: &mut Client, topic: &'static str, count: usize) {
    for _ in 0..count {
        let batch = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
        let response = client.call(9, &produce(topic, 0, -1, batch));
        assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
    }
}

/// A broker in its fourth life. Epoch 0 has two records, 1 none, 2 three, and 3, the current one,
/// none.
fn with_epochs(topic: &'static str) -> (Directory, Broker, Client) {
    let directory = Directory::new();
    for count in [2, 0, 3] {
        let broker = Broker::start(&directory.data(), &["--cores", "2"]);
        let mut client = broker.connect();
        client.auto_create(topic);
        append(&mut client, topic, count);
        broker.kill();
    }
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    let topic = client.auto_create(topic).topics.remove(0);
    assert_eq!(topic.partitions[0].leader_epoch, LeaderEpoch(3));
    (directory, broker, client)
}

#[test]
fn e1_the_end_of_an_epoch_is_where_the_next_one_with_records_begins() {
    let (_directory, _broker, mut client) = with_epochs("ends");
    let epochs = [-1, 0, 1, 2, 3, 4, i32::MAX];
    let ends = |client: &mut Client, version| {
        let answers = answers(client, version, &request("ends", &epochs));
        assert!(answers.iter().all(|answer| answer.error_code == ErrorCode::None));
        let end = |answer: &EpochEndOffset| (answer.leader_epoch.0, answer.end_offset.0);
        answers.iter().map(end).collect::<Vec<_>>()
    };
    for version in 2..=4 {
        assert_eq!(
            ends(&mut client, version),
            [(-1, -1), (0, 2), (0, 2), (2, 5), (3, 5), (-1, -1), (-1, -1)],
            "version {version}"
        );
    }
    append(&mut client, "ends", 1);
    assert_eq!(
        ends(&mut client, 4),
        [(-1, -1), (0, 2), (0, 2), (2, 5), (3, 6), (-1, -1), (-1, -1)]
    );
}

#[test]
fn e2_who_believes_in_another_leader_or_partition_is_told() {
    let (_directory, _broker, mut client) = with_epochs("fenced");
    for (believed, partition, code) in [
        (-1, 0, ErrorCode::None),
        (3, 0, ErrorCode::None),
        (2, 0, ErrorCode::FencedLeaderEpoch),
        (4, 0, ErrorCode::UnknownLeaderEpoch),
        (-1, 1, ErrorCode::UnknownTopicOrPartition),
    ] {
        let mut request = request("fenced", &[0]);
        request.topics[0].partitions[0].current_leader_epoch = LeaderEpoch(believed);
        request.topics[0].partitions[0].partition = PartitionIndex(partition);
        let answer = answers(&mut client, 3, &request).remove(0);
        assert_eq!((answer.error_code, answer.partition.0), (code, partition));
        assert_eq!(answer.end_offset.0, if code.is_error() { -1 } else { 2 });
    }
    let answer = answers(&mut client, 3, &request("missing", &[0])).remove(0);
    assert_eq!(answer.error_code, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn f15_who_has_read_other_records_is_told_where_they_part() {
    let (_directory, _broker, mut client) = with_epochs("apart");
    for (offset, last_epoch, expected) in [
        (2, -1, Ok(None)),
        (2, 0, Ok(None)),
        (4, 2, Ok(None)),
        (3, 0, Ok(Some((0, 2)))),
        (2, 1, Ok(Some((0, 2)))),
        (1, 1, Ok(Some((0, 2)))),
        (4, 4, Err(ErrorCode::OffsetOutOfRange)),
    ] {
        let mut request = fetch_from(&mut client, 12, "apart", offset);
        request.min_bytes = 1 << 20;
        request.max_wait_ms = if expected == Ok(None) { 10 } else { 15_000 };
        request.topics[0].partitions[0].last_fetched_epoch = LeaderEpoch(last_epoch);
        let since = Instant::now();
        let data = client.call(12, &request).responses.remove(0).partitions.remove(0);
        assert!(since.elapsed() < Duration::from_secs(10), "it is told at once");
        let is_empty = data.records.as_ref().unwrap().is_empty();
        let end = &data.diverging_epoch;
        let found = match data.error_code {
            ErrorCode::None if end.end_offset == Offset::NONE => Ok(None),
            ErrorCode::None => Ok(Some((end.epoch.0, end.end_offset.0))),
            code => Err(code),
        };
        assert_eq!(found, expected, "{offset} after epoch {last_epoch}");
        assert_eq!(is_empty, found != Ok(None), "{offset} after epoch {last_epoch}");
        if !data.error_code.is_error() {
            assert_eq!(data.high_watermark, Offset(5));
        }
    }
}
