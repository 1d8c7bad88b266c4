//! What still works when not a byte is free.

use std::time::{Duration, Instant};

use model::record_batch::{Batches, ProducerStamp};
use model::{Offset, PartitionIndex};
use wire::fetch::{FetchPartition, FetchTopic};
use wire::{ErrorCode, FetchRequest, Text};

use crate::small_disk::SmallDisk;
use crate::support::{Client, batch, now_ms, produce};

fn append(
    client: &mut Client,
    topic: &'static str,
    value: &[u8],
) -> Result<i64, (ErrorCode, String)> {
    let batch = batch(&[value], now_ms(), ProducerStamp::NONE);
    let response = client.call(9, &produce(topic, 0, -1, batch));
    let answer = &response.responses[0].partition_responses[0];
    match answer.error_code {
        ErrorCode::None => Ok(answer.base_offset.0),
        code => Err((code, answer.error_message.as_ref().unwrap().to_string())),
    }
}

/// How many records can be read from an offset on.
fn count_from(client: &mut Client, topic: &'static str, from: i64) -> i64 {
    let mut next = from;
    loop {
        let partition = FetchPartition {
            partition: PartitionIndex(0),
            fetch_offset: Offset(next),
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let name = Text::from_static(topic);
        let topics =
            vec![FetchTopic { topic: name, partitions: vec![partition], ..Default::default() }];
        let request = FetchRequest { max_bytes: 1 << 20, topics, ..Default::default() };
        let data = client.call(12, &request).responses.remove(0).partitions.remove(0);
        assert_eq!(data.error_code, ErrorCode::None);
        let bytes = data.records.unwrap().contiguous().cloned().unwrap_or_default();
        let before = next;
        for found in Batches::new(&bytes) {
            next = found.unwrap().0.next_offset().0;
        }
        if next == before {
            return next - from;
        }
    }
}

/// The limits are off, so that only space that cannot be reserved stops anybody.
#[test]
fn without_a_free_byte_a_broker_starts_reads_deletes_and_then_goes_on() {
    let Some(disk) = SmallDisk::mount() else { return };
    let on_disk = disk.broker_with_limits(0, 0);
    on_disk.topic("create kept --config segment.bytes=1048576");
    on_disk.topic("create passing --config segment.bytes=1048576");
    let mut client = on_disk.broker.connect();
    let value = vec![5; 30_000];
    for _ in 0..100 {
        append(&mut client, "passing", &value).unwrap();
    }
    let mut count = 0;
    while let Ok(offset) = append(&mut client, "kept", &value) {
        assert_eq!(offset, count);
        count += 1;
    }
    disk.leave_nothing_free();
    // Small ones may fit into what was reserved before.
    let (code, text) = loop {
        match append(&mut client, "kept", &[5; 100]) {
            Ok(_) => count += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(code, ErrorCode::KafkaStorageError);
    assert!(text.starts_with("cannot reserve space on disk"), "{text}");
    // Checkpoints and whatever else is written in the background.
    std::thread::sleep(Duration::from_millis(5500));
    assert_eq!(count_from(&mut client, "kept", 0), count);
    on_disk.broker.kill();
    let on_disk = disk.broker_with_limits(0, 0);
    let mut client = on_disk.broker.connect();
    assert_eq!(count_from(&mut client, "kept", 0), count);
    on_disk.topic("config kept --set retention.ms=86400000");
    on_disk.topic(&format!("trim passing --before {}", 50));
    on_disk.topic("delete passing");
    let begun = Instant::now();
    while append(&mut client, "kept", &value).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", on_disk.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    println!(
        "{count} records, then not a byte: goes on {:?} after a topic was deleted",
        begun.elapsed()
    );
    assert_eq!(count_from(&mut client, "kept", 0), count + 1);
    assert!(on_disk.broker.stop().success());
}
