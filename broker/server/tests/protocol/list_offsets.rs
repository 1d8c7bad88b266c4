//! ListOffsets: ends and times.

use client::compression::{CODECS, compress};
use model::record_batch::{BatchBuilder, Compression, NewRecord, ProducerStamp};
use model::{PartitionIndex, Timestamp};
use wire::list_offsets::{ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopic};
use wire::{ErrorCode, ListOffsetsRequest, Text};

use crate::support::{Broker, Client, Directory, produce};

pub(crate) fn query(topic: &'static str, timestamp: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition {
        partition_index: PartitionIndex(0),
        timestamp,
        ..Default::default()
    };
    ListOffsetsRequest {
        replica_id: model::BrokerId(-1),
        topics: vec![ListOffsetsTopic {
            name: Text::from_static(topic),
            partitions: vec![partition],
        }],
        ..Default::default()
    }
}

fn ask(client: &mut Client, timestamp: i64) -> ListOffsetsPartitionResponse {
    client.call(9, &query("times", timestamp)).topics.remove(0).partitions.remove(0)
}

/// Records with these times, in one batch.
fn append(client: &mut Client, times: &[i64], codec: Compression) {
    let mut builder = BatchBuilder::new();
    for time in times {
        let record = NewRecord {
            timestamp: Timestamp(*time),
            key: None,
            value: Some(&[9; 2000]),
            headers: &[],
        };
        builder.push(&record);
    }
    let batch = compress(&builder.finish(ProducerStamp::NONE), codec);
    let response = client.call(9, &produce("times", 0, -1, batch));
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
}

#[test]
fn l1_a_time_finds_the_first_record_of_it_or_later_and_places_have_names() {
    let directory = Directory::new();
    let mut times = Vec::new();
    for life in 0..2 {
        let broker = Broker::start(&directory.data(), &["--cores", "2"]);
        let mut client = broker.connect();
        if life == 0 {
            let topic = crate::topics::with_config(
                crate::topics::new_topic("times"),
                "segment.bytes",
                "65536",
            );
            client.call(7, &crate::topics::create(vec![topic]));
            for (place, expected) in [(-1, 0), (-2, 0), (-3, -1), (5000, -1)] {
                let found = ask(&mut client, place);
                assert_eq!((found.error_code, found.offset.0), (ErrorCode::None, expected));
            }
            // Times that go up and down, over several segments.
            for n in 0..100_i64 {
                let of_batch = [1000 + n * 10, 1500 + (n * 7919) % 400, 1000 + n * 10 + 3];
                let codec = Compression::ALL[usize::try_from(n).unwrap() % Compression::ALL.len()];
                append(&mut client, &of_batch, codec);
                times.extend(of_batch);
            }
        }
        for wanted in (0..2100).step_by(7) {
            let expected = times.iter().position(|time| wanted <= *time);
            let found = ask(&mut client, wanted);
            assert_eq!(found.error_code, ErrorCode::None);
            match expected {
                Some(offset) => {
                    assert_eq!(found.offset.0, i64::try_from(offset).unwrap(), "time {wanted}");
                    assert_eq!(found.timestamp.0, times[offset]);
                    assert_eq!(found.leader_epoch.0, 0);
                }
                None => {
                    assert_eq!((found.offset.0, found.timestamp.0), (-1, -1), "time {wanted}");
                }
            }
        }
        let latest = times.iter().max().unwrap();
        let first = times.iter().position(|time| time == latest).unwrap();
        let found = ask(&mut client, -3);
        assert_eq!((found.offset.0, found.timestamp.0), (i64::try_from(first).unwrap(), *latest));
        for (place, expected) in [(-1, 300), (-2, 0), (-4, 0), (-5, -1)] {
            assert_eq!(ask(&mut client, place).offset.0, expected, "{place}");
        }
        assert_eq!(ask(&mut client, -77).error_code, ErrorCode::InvalidRequest);
        assert!(broker.stop().success());
    }
}

#[test]
fn l1_the_record_is_found_within_a_large_compressed_batch() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "1"]);
    let mut client = broker.connect();
    client.auto_create("times");
    // Each batch some 2 MB, so that it is walked in many pieces, and its latest record in the middle.
    let times_of = |batch: i64| (0..1000).map(move |n| batch * 10_000 + n + (n / 500 % 2 * -600));
    for (batch, codec) in (1..).zip(CODECS) {
        append(&mut client, &times_of(batch).collect::<Vec<_>>(), codec);
    }
    let times: Vec<i64> = (1..5).flat_map(times_of).collect();
    for batch in 1..5 {
        for wanted in [0, 1, 77, 400, 498, 499, 500].map(|time| batch * 10_000 + time) {
            let expected = times.iter().position(|time| wanted <= *time);
            let expected = expected.map_or(-1, |offset| i64::try_from(offset).unwrap());
            let found = ask(&mut client, wanted);
            assert_eq!((found.error_code, found.offset.0), (ErrorCode::None, expected), "{wanted}");
        }
    }
    let latest = ask(&mut client, -3);
    assert_eq!((latest.offset.0, latest.timestamp.0), (3499, 40_499));
}
