//! Produce: what is refused, how, and what duplicates are answered with.

use bytes::Bytes;
use client::compression::{CODECS, compress, with_records};
use model::record_batch::{self, BatchHeader, Compression, HEADER_SIZE_BYTES, ProducerStamp};
use model::{Offset, ProducerEpoch, ProducerId, Timestamp};
use wire::produce::PartitionProduceResponse;
use wire::{ErrorCode, InitProducerIdRequest, Text};

use crate::fetch::records_from;
use crate::support::{Broker, Client, Directory, batch, now_ms, produce};
use crate::topics::{create, new_topic, with_config};

fn send(client: &mut Client, topic: &'static str, batch: Bytes) -> PartitionProduceResponse {
    let mut response = client.call(11, &produce(topic, 0, -1, batch));
    response.responses.remove(0).partition_responses.remove(0)
}

fn plain(values: &[&[u8]]) -> Bytes {
    batch(values, now_ms(), ProducerStamp::NONE)
}

/// With a byte changed and the checksum made right again.
fn changed(batch: &Bytes, position: usize, value: u8) -> Bytes {
    let mut copy = batch.to_vec();
    copy[position] = value;
    let time = BatchHeader::read(&copy).unwrap().max_timestamp;
    record_batch::set_max_timestamp(&mut copy, time);
    Bytes::from(copy)
}

fn with_topic(topic: &'static str) -> (Directory, Broker, Client) {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create(topic);
    (directory, broker, client)
}

#[test]
fn p1_p2_a_partition_gets_exactly_one_whole_valid_batch() {
    let (_directory, _broker, mut client) = with_topic("valid");
    let good = plain(&[b"a", b"b"]);
    let damaged = {
        let mut bytes = good.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        Bytes::from(bytes)
    };
    // Attributes are the bytes 21 and 22, the last offset delta 23 to 26.
    for (name, bytes, code) in [
        ("two batches", Bytes::from([&good[..], &good[..]].concat()), ErrorCode::InvalidRecord),
        ("nothing", Bytes::new(), ErrorCode::InvalidRecord),
        ("cut", good.slice(..good.len() - 1), ErrorCode::InvalidRecord),
        ("damaged", damaged, ErrorCode::CorruptMessage),
        ("control", changed(&good, 22, 0b10_0000), ErrorCode::InvalidRecord),
        ("count", changed(&good, 26, 5), ErrorCode::InvalidRecord),
        ("append time", changed(&good, 22, 0b1000), ErrorCode::InvalidTimestamp),
        ("transactional", changed(&good, 22, 0b1_0000), ErrorCode::InvalidTxnState),
        ("codec", changed(&good, 22, 6), ErrorCode::UnsupportedCompressionType),
    ] {
        let response = send(&mut client, "valid", bytes);
        assert_eq!(response.error_code, code, "{name}: {:?}", response.error_message);
        assert_eq!(response.base_offset, Offset::NONE);
        assert!(response.error_message.is_some());
    }
    let mut old = good.to_vec();
    old[16] = 1;
    let response = send(&mut client, "valid", Bytes::from(old));
    assert_eq!(response.error_code, ErrorCode::InvalidRecord);
    assert_eq!(send(&mut client, "valid", good).base_offset, Offset(0));
}

#[test]
fn p4_the_highest_timestamp_is_made_right() {
    let (_directory, _broker, mut client) = with_topic("time");
    let now = now_ms();
    let mut wrong = batch(&[b"v"], now, ProducerStamp::NONE).to_vec();
    record_batch::set_max_timestamp(&mut wrong, Timestamp(0));
    assert_eq!(send(&mut client, "time", Bytes::from(wrong)).error_code, ErrorCode::None);
    let stored = records_from(&mut client, "time", 0);
    record_batch::check_crc(&stored).unwrap();
    assert_eq!(BatchHeader::read(&stored).unwrap().max_timestamp, Timestamp(now));
    for (offset, codec) in (1..).zip(CODECS) {
        let right = compress(&batch(&[b"v"], now, ProducerStamp::NONE), codec);
        let mut wrong = right.to_vec();
        record_batch::set_max_timestamp(&mut wrong, Timestamp(0));
        assert_eq!(send(&mut client, "time", Bytes::from(wrong)).error_code, ErrorCode::None);
        // From the checksum on, which follows the magic.
        assert_eq!(records_from(&mut client, "time", offset)[17..], right[17..], "{codec:?}");
    }
}

#[test]
fn p5_a_topic_may_have_the_brokers_time() {
    let (_directory, _broker, mut client) = with_topic("other");
    let topic = with_config(new_topic("stamped"), "message.timestamp.type", "LogAppendTime");
    client.call(7, &create(vec![topic]));
    let before = now_ms();
    // A time that would be refused if it counted.
    let response = send(&mut client, "stamped", batch(&[b"v"], i64::MAX / 2, ProducerStamp::NONE));
    assert_eq!(response.error_code, ErrorCode::None, "{:?}", response.error_message);
    let time = response.log_append_time_ms.0;
    assert!(before <= time && time <= now_ms());
    let stored = records_from(&mut client, "stamped", 0);
    record_batch::check_crc(&stored).unwrap();
    assert_eq!(BatchHeader::read(&stored).unwrap().max_timestamp, Timestamp(time));
    for (offset, codec) in (1..).zip(CODECS) {
        let sent = compress(&batch(&[b"v"], i64::MAX / 2, ProducerStamp::NONE), codec);
        let response = send(&mut client, "stamped", sent.clone());
        assert_eq!(response.error_code, ErrorCode::None, "{:?}", response.error_message);
        let stored = records_from(&mut client, "stamped", offset);
        record_batch::check_crc(&stored).unwrap();
        let header = BatchHeader::read(&stored).unwrap();
        assert_eq!(header.timestamp_type(), record_batch::TimestampType::LogAppendTime);
        assert_eq!(header.max_timestamp, response.log_append_time_ms);
        assert_eq!(stored[HEADER_SIZE_BYTES..], sent[HEADER_SIZE_BYTES..], "{codec:?}");
    }
    // Without it there is none in the answer.
    let other = send(&mut client, "other", plain(&[b"v"]));
    assert_eq!(other.log_append_time_ms, Timestamp::NONE);
}

#[test]
fn p3_times_too_far_away_are_refused_with_the_record_at_fault() {
    let (_directory, _broker, mut client) = with_topic("times");
    let topic = with_config(new_topic("bounded"), "message.timestamp.before.max.ms", "60000");
    client.call(7, &create(vec![topic]));
    for (topic, time, code) in [
        ("times", now_ms() + 7_200_000, ErrorCode::InvalidTimestamp),
        ("times", 1, ErrorCode::None),
        ("times", -1, ErrorCode::None),
        ("bounded", now_ms() - 120_000, ErrorCode::InvalidTimestamp),
        ("bounded", now_ms() - 1000, ErrorCode::None),
    ] {
        for codec in Compression::ALL {
            let batch = compress(&batch(&[b"v"], time, ProducerStamp::NONE), codec);
            let response = send(&mut client, topic, batch);
            assert_eq!(response.error_code, code, "{topic} {time} {codec:?}");
            let at_fault: Vec<_> = response.record_errors.iter().map(|of| of.batch_index).collect();
            assert_eq!(at_fault, if code.is_error() { vec![0] } else { vec![] });
        }
    }
}

#[test]
fn p6_zstd_needs_version_7_and_compressed_batches_are_stored_as_sent() {
    let (_directory, _broker, mut client) = with_topic("codec");
    for (offset, codec) in (0..).zip(CODECS) {
        let sent = compress(&plain(&[b"block"]), codec);
        assert_eq!(send(&mut client, "codec", sent.clone()).error_code, ErrorCode::None);
        let stored = records_from(&mut client, "codec", offset);
        assert_eq!(stored[16..], sent[16..]);
    }
    let zstd = compress(&plain(&[b"block"]), Compression::Zstd);
    let response = client.call(6, &produce("codec", 0, 1, zstd));
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, ErrorCode::UnsupportedCompressionType);
}

#[test]
fn p13_compressed_records_are_opened_and_held_to_what_their_batch_says() {
    let (_directory, _broker, mut client) = with_topic("opened");
    let good = plain(&[b"a", b"b", b"c"]);
    // The last offset delta ends with byte 26, the count with byte 60; a record here has 8 bytes,
    // of which the fourth is its offset delta.
    let counted = |count: u8| changed(&changed(&good, 60, count), 26, count - 1);
    let of_second = HEADER_SIZE_BYTES + 8 + 3;
    let mut end = 0;
    for codec in CODECS {
        for (name, bytes, at_fault) in [
            ("fewer records", compress(&counted(4), codec), Some(3)),
            ("many fewer records", compress(&counted(200), codec), Some(3)),
            ("more records", compress(&counted(2), codec), None),
            ("offsets", compress(&changed(&good, of_second, 4), codec), Some(1)),
            ("length", compress(&changed(&good, HEADER_SIZE_BYTES, 100), codec), Some(0)),
            ("not compressed", with_records(&good, codec, &good[HEADER_SIZE_BYTES..]), None),
            ("nothing", with_records(&good, codec, &[]), None),
            (
                "cut",
                {
                    let whole = compress(&good, codec);
                    with_records(&good, codec, &whole[HEADER_SIZE_BYTES..whole.len() - 1])
                },
                None,
            ),
        ] {
            let response = send(&mut client, "opened", bytes);
            let message = response.error_message;
            assert_eq!(
                response.error_code,
                ErrorCode::InvalidRecord,
                "{codec:?} {name} {message:?}"
            );
            let found: Vec<_> = response.record_errors.iter().map(|of| of.batch_index).collect();
            assert_eq!(found, Vec::from_iter(at_fault), "{codec:?} {name}: {message:?}");
        }
        let response = send(&mut client, "opened", compress(&good, codec));
        assert_eq!((response.error_code, response.base_offset.0), (ErrorCode::None, end));
        end += 3;
    }
}

#[test]
fn p14_what_comes_out_of_a_batch_is_limited() {
    let directory = Directory::new();
    let config = directory.0.join("broker.toml");
    std::fs::write(&config, "[connections]\ndecompressed-bytes-max = 2000000\n").unwrap();
    let arguments = ["--cores", "1", "--config", config.to_str().unwrap()];
    let broker = Broker::start(&directory.data(), &arguments);
    let mut client = broker.connect();
    client.auto_create("bombs");
    let zeros = |size: usize| plain(&[&vec![0; size]]);
    for codec in CODECS {
        let fits = send(&mut client, "bombs", compress(&zeros(1_000_000), codec));
        assert_eq!(fits.error_code, ErrorCode::None, "{codec:?}: {:?}", fits.error_message);
        let bomb = send(&mut client, "bombs", compress(&zeros(10_000_000), codec));
        assert_eq!(bomb.error_code, ErrorCode::MessageTooLarge, "{codec:?}");
        assert!(bomb.error_message.unwrap().contains("after decompression"));
    }
    // Below the limit, and yet more than a thousand times what was sent.
    let bomb = send(&mut client, "bombs", compress(&zeros(1_900_000), Compression::Zstd));
    assert_eq!(bomb.error_code, ErrorCode::MessageTooLarge);
}

#[test]
fn p7_a_batch_is_limited_as_it_is_sent() {
    let (_directory, _broker, mut client) = with_topic("large");
    client.call(7, &create(vec![with_config(new_topic("small"), "max.message.bytes", "1000")]));
    let overhead = plain(&[b""]).len();
    let of_size = |size: usize| plain(&[&vec![7; size - overhead - 8]]);
    let fits = send(&mut client, "small", of_size(1000));
    assert_eq!(fits.error_code, ErrorCode::None);
    let refused = send(&mut client, "small", plain(&[&[7; 1000]]));
    assert_eq!(refused.error_code, ErrorCode::MessageTooLarge);
    let default = send(&mut client, "large", plain(&[&vec![7; 1_048_588]]));
    assert_eq!(default.error_code, ErrorCode::MessageTooLarge);
}

#[test]
fn p9_acks_are_0_1_or_all_and_all_needs_its_copies() {
    let (_directory, _broker, mut client) = with_topic("acks");
    client.call(7, &create(vec![with_config(new_topic("copies"), "min.insync.replicas", "2")]));
    for (topic, acks, code) in [
        ("acks", 2, ErrorCode::InvalidRequiredAcks),
        ("acks", -2, ErrorCode::InvalidRequiredAcks),
        ("acks", 1, ErrorCode::None),
        ("acks", -1, ErrorCode::None),
        ("copies", -1, ErrorCode::NotEnoughReplicas),
        ("copies", 1, ErrorCode::None),
    ] {
        let response = client.call(11, &produce(topic, 0, acks, plain(&[b"v"])));
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, code, "{topic} {acks}");
    }
}

fn numbered(id: ProducerId, epoch: i16, base_sequence: i32) -> Bytes {
    let stamp = ProducerStamp {
        producer_id: id,
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
        ..ProducerStamp::NONE
    };
    batch(&[b"a", b"b"], now_ms(), stamp)
}

#[test]
fn p10_p11_duplicates_are_answered_with_their_old_offsets_also_after_a_kill() {
    let directory = Directory::new();
    let mut broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("once");
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let id = client.call(5, &request).producer_id;
    // Pipelined, so that all of them are under way at once.
    for n in 0..5 {
        client.send(11, &produce("once", 0, -1, numbered(id, 0, n * 2)));
    }
    for n in 0..5 {
        let (_, response) = client.receive::<wire::ProduceRequest>(11);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset.0), (ErrorCode::None, n * 2));
    }
    for life in 0..3 {
        for n in 0..5 {
            let again = send(&mut client, "once", numbered(id, 0, n * 2));
            assert_eq!(again.error_code, ErrorCode::None, "life {life}");
            assert_eq!(again.base_offset.0, i64::from(n) * 2);
        }
        let gap = send(&mut client, "once", numbered(id, 0, 12));
        assert_eq!(gap.error_code, ErrorCode::OutOfOrderSequenceNumber);
        broker.kill();
        broker = Broker::start(&directory.data(), &["--cores", "2"]);
        client = broker.connect();
        let other = client.call(5, &request).producer_id;
        assert!(id < other, "no id is given out twice");
    }
    let newer = send(&mut client, "once", numbered(id, 1, 0));
    assert_eq!(newer.base_offset, Offset(10));
    let older = send(&mut client, "once", numbered(id, 0, 10));
    assert_eq!(older.error_code, ErrorCode::InvalidProducerEpoch);
}

#[test]
fn p12_a_transactional_id_is_refused() {
    let (_directory, _broker, mut client) = with_topic("t");
    let transactional_id = Some(Text::from_static("mine"));
    let request = InitProducerIdRequest { transactional_id, ..Default::default() };
    let response = client.call(5, &request);
    assert_eq!(response.error_code, ErrorCode::TransactionalIdAuthorizationFailed);
    assert_eq!(response.producer_id, ProducerId::NONE);
}
