//! Groups when the disk is full for producers: consumers read on, and say how far they have come.

use std::time::Duration;

use bytes::Bytes;
use model::record_batch::ProducerStamp;
use model::{Offset, PartitionIndex};
use wire::join_group::JoinGroupRequestProtocol;
use wire::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::offset_fetch::OffsetFetchRequestTopic;
use wire::{
    ErrorCode, FindCoordinatorRequest, JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest,
    Text,
};

use crate::small_disk::{REFUSE_BELOW_BYTES, SmallDisk};
use crate::support::{Client, batch, now_ms, produce};

const TOPIC: Text = Text::from_static("read");
/// Of the metrics: producers are refused.
const FULL: u8 = 2;

fn commit(client: &mut Client, group: &'static str, offset: i64) -> ErrorCode {
    let partition = OffsetCommitRequestPartition {
        partition_index: PartitionIndex(0),
        committed_offset: Offset(offset),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic { name: TOPIC, partitions: vec![partition] };
    let group_id = Text::from_static(group);
    let request = OffsetCommitRequest { group_id, topics: vec![topic], ..Default::default() };
    client.call(8, &request).topics[0].partitions[0].error_code
}

fn committed(client: &mut Client, group: &'static str) -> i64 {
    let partition_indexes = vec![PartitionIndex(0)];
    let topics = Some(vec![OffsetFetchRequestTopic { name: TOPIC, partition_indexes }]);
    let group_id = Text::from_static(group);
    let request = OffsetFetchRequest { group_id, topics, ..Default::default() };
    loop {
        let response = client.call(7, &request);
        // Until its log is read.
        if response.error_code != ErrorCode::CoordinatorLoadInProgress {
            return response.topics[0].partitions[0].committed_offset.0;
        }
    }
}

#[test]
fn groups_join_and_commit_while_producers_are_refused() {
    let Some(disk) = SmallDisk::mount() else { return };
    let on_disk = disk.broker();
    on_disk.topic("create read --config segment.bytes=1048576");
    let mut client = on_disk.broker.connect();
    let request = FindCoordinatorRequest { key: TOPIC, ..Default::default() };
    assert_eq!(client.call(0, &request).error_code, ErrorCode::None);
    disk.leave_free(REFUSE_BELOW_BYTES / 2);
    on_disk.wait_for_state(FULL, Duration::from_secs(10));
    let refused =
        client.call(9, &produce("read", 0, -1, batch(&[b"v"], now_ms(), ProducerStamp::NONE)));
    let code = refused.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::KafkaStorageError);
    for offset in 1..=2000 {
        assert_eq!(commit(&mut client, "simple", offset), ErrorCode::None, "{offset}");
    }
    let joined = client.call(
        3,
        &JoinGroupRequest {
            group_id: Text::from_static("joined"),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            protocol_type: Text::from_static("consumer"),
            protocols: vec![JoinGroupRequestProtocol {
                name: Text::from_static("range"),
                metadata: Bytes::from_static(b"anything"),
            }],
            ..Default::default()
        },
    );
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 1));
    on_disk.broker.kill();
    let on_disk = disk.broker();
    let mut client = on_disk.broker.connect();
    assert_eq!(committed(&mut client, "simple"), 2000);
    assert!(on_disk.broker.stop().success());
}
