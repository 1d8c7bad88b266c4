//! Topics that say how their batches are compressed, whatever their producers chose.

use bytes::Bytes;
use client::compression::{CODECS, compress, open};
use model::record_batch::{
    self, BatchBuilder, BatchHeader, Compression, HEADER_SIZE_BYTES, NewRecord, ProducerStamp,
    RecordHeader, TimestampType, check_crc,
};
use model::{Offset, ProducerEpoch, Timestamp};
use wire::produce::PartitionProduceResponse;
use wire::{ErrorCode, IncrementalAlterConfigsRequest, InitProducerIdRequest};

use crate::configs::incremental;
use crate::fetch::{fetch_from, records_from};
use crate::support::{Broker, Client, Directory, batch, now_ms, produce};
use crate::topics::{create, new_topic, with_config};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const UNSET: i8 = 1;

/// `compression.type`, and what it stands for.
const TYPES: [(&str, Compression); 5] = [
    ("uncompressed", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

fn send(client: &mut Client, topic: &'static str, batch: Bytes) -> PartitionProduceResponse {
    let mut response = client.call(11, &produce(topic, 0, -1, batch));
    response.responses.remove(0).partition_responses.remove(0)
}

/// Appends it, and returns what is then stored.
fn stored(client: &mut Client, topic: &'static str, batch: Bytes) -> Bytes {
    let response = send(client, topic, batch);
    assert_eq!(response.error_code, ErrorCode::None, "{topic}: {:?}", response.error_message);
    records_from(client, topic, response.base_offset.0)
}

fn change(client: &mut Client, request: &IncrementalAlterConfigsRequest) {
    let response = client.call(1, request).responses.remove(0);
    assert_eq!(response.error_code, ErrorCode::None, "{:?}", response.error_message);
}

/// Text that can be compressed, and noise that cannot.
fn value(size_bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut out = Vec::new();
    while out.len() < size_bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend(format!("order {} of customer {}; ", state >> 16, state >> 24).bytes());
        out.extend(state.to_be_bytes());
    }
    out.truncate(size_bytes);
    out
}

/// Three records of times that go back and forth, one of them with headers and so large a value.
fn records(now: i64, value_bytes: usize, stamp: ProducerStamp) -> Vec<u8> {
    let large = value(value_bytes);
    let headers = [
        RecordHeader { key: b"h", value: Some(b"v") },
        RecordHeader { key: b"again", value: None },
    ];
    let mut builder = BatchBuilder::new();
    for (time, key, value, headers) in [
        (now, Some(&b"key"[..]), Some(&b"value"[..]), &[][..]),
        (now + 7, None, Some(&large[..]), &headers[..]),
        (now - 7, Some(b""), None, &[]),
    ] {
        builder.push(&NewRecord { timestamp: Timestamp(time), key, value, headers });
    }
    builder.finish(stamp)
}

/// Everything but length, leader epoch, CRC and codec is as it was sent, but for the base offset.
#[track_caller]
fn assert_same_but_for_the_codec(sent: &[u8], stored: &[u8], codec: Compression) {
    check_crc(stored).unwrap();
    let header = BatchHeader::read(stored).unwrap();
    assert_eq!(header.size_bytes(), stored.len());
    assert_eq!(header.compression(), Ok(codec));
    assert_eq!(stored[21], sent[21]);
    assert_eq!(stored[22] & !7, sent[22] & !7);
    assert_eq!(stored[23..HEADER_SIZE_BYTES], sent[23..HEADER_SIZE_BYTES]);
    let (sent, stored) = (open(sent, 10_000_000).unwrap(), open(stored, 10_000_000).unwrap());
    assert!(stored[HEADER_SIZE_BYTES..] == sent[HEADER_SIZE_BYTES..]);
}

fn start() -> (Directory, Broker, Client) {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    let topic = |(name, _)| with_config(new_topic(name), "compression.type", name);
    let created = client.call(7, &create(TYPES.map(topic).to_vec()));
    assert!(created.topics.iter().all(|topic| !topic.error_code.is_error()), "{created:?}");
    (directory, broker, client)
}

#[test]
fn p15_a_batch_is_stored_in_its_topics_codec_and_is_the_same_otherwise() {
    let (directory, broker, mut client) = start();
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let producer_id = client.call(5, &request).producer_id;
    let mut all_stored = Vec::new();
    for (topic, codec) in TYPES {
        let mut base_sequence = 0;
        // What is done at once, and what takes turns.
        for value_bytes in [10, 700_000] {
            for sent_in in Compression::ALL {
                let stamp = ProducerStamp {
                    producer_id,
                    producer_epoch: ProducerEpoch(0),
                    base_sequence,
                    ..ProducerStamp::NONE
                };
                let sent = compress(&records(now_ms(), value_bytes, stamp), sent_in);
                let stored = stored(&mut client, topic, sent.clone());
                assert_same_but_for_the_codec(&sent, &stored, codec);
                if sent_in == codec {
                    assert_eq!(stored[16..], sent[16..], "{topic}: stored as it was sent");
                }
                // The same is known again, whatever it was sent in.
                let again = send(&mut client, topic, sent);
                assert_eq!(again.error_code, ErrorCode::None, "{:?}", again.error_message);
                assert_eq!(again.base_offset, Offset(i64::from(base_sequence)));
                base_sequence += 3;
                all_stored.push((topic, again.base_offset, stored));
            }
        }
    }
    broker.kill();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    assert_eq!(all_stored.len(), 50);
    for (topic, offset, stored) in all_stored {
        let found = records_from(&mut client, topic, offset.0);
        assert!(found[..stored.len()] == stored, "{topic} {offset:?}");
    }
}

#[test]
fn p15_times_are_made_right_in_the_topics_codec() {
    let (_directory, _broker, mut client) = start();
    let now = now_ms();
    let stamped = with_config(new_topic("stamped"), "message.timestamp.type", "LogAppendTime");
    client.call(7, &create(vec![with_config(stamped, "compression.type", "lz4")]));
    for sent_in in Compression::ALL {
        let right = compress(&records(now, 30_000, ProducerStamp::NONE), sent_in);
        let mut wrong = right.to_vec();
        record_batch::set_max_timestamp(&mut wrong, Timestamp(0));
        for (topic, codec) in TYPES {
            let stored = stored(&mut client, topic, Bytes::from(wrong.clone()));
            assert_same_but_for_the_codec(&right, &stored, codec);
        }
        let response = send(&mut client, "stamped", Bytes::from(wrong));
        assert_eq!(response.error_code, ErrorCode::None, "{:?}", response.error_message);
        assert!(now <= response.log_append_time_ms.0);
        let stored = records_from(&mut client, "stamped", response.base_offset.0);
        check_crc(&stored).unwrap();
        let header = BatchHeader::read(&stored).unwrap();
        assert_eq!(header.compression(), Ok(Compression::Lz4));
        assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(header.max_timestamp, response.log_append_time_ms);
        let (stored, right) = (open(&stored, 100_000).unwrap(), open(&right, 100_000).unwrap());
        assert_eq!(stored[HEADER_SIZE_BYTES..], right[HEADER_SIZE_BYTES..]);
    }
}

#[test]
fn p16_what_is_too_large_in_the_topics_codec_is_refused() {
    let (_directory, _broker, mut client) = start();
    let zeros = |size_bytes| batch(&[&vec![0; size_bytes]], now_ms(), ProducerStamp::NONE);
    let limit = |client: &mut Client, topic, bytes| {
        change(client, &incremental(TOPIC, topic, &[("max.message.bytes", SET, Some(bytes))]));
    };
    for topic in ["uncompressed", "gzip", "snappy"] {
        limit(&mut client, topic, "100000");
    }
    for sent_in in CODECS {
        let fits = compress(&zeros(90_000), sent_in);
        let response = send(&mut client, "uncompressed", fits);
        assert_eq!(response.error_code, ErrorCode::None, "{:?}", response.error_message);
        let response = send(&mut client, "uncompressed", compress(&zeros(100_000), sent_in));
        assert_eq!(response.error_code, ErrorCode::MessageTooLarge, "{sent_in:?}");
        let text = response.error_message.unwrap();
        assert!(text.contains("more than 100000 bytes"), "{text}");
    }
    // Sent at the limit, what cannot be compressed is beyond it with what a codec adds.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(99_900)
    .collect();
    let overhead = batch(&[&noise], now_ms(), ProducerStamp::NONE).len() - noise.len();
    let noise = [&noise[..], &[1; 200]].concat();
    let at_limit = batch(&[&noise[..100_000 - overhead]], now_ms(), ProducerStamp::NONE);
    assert_eq!(at_limit.len(), 100_000);
    for topic in ["gzip", "snappy"] {
        let response = send(&mut client, topic, at_limit.clone());
        assert_eq!(response.error_code, ErrorCode::MessageTooLarge, "{topic}");
    }
    // Nothing of it is kept, and others go on.
    let next = send(&mut client, "gzip", zeros(10));
    assert_eq!((next.error_code, next.base_offset), (ErrorCode::None, Offset(0)));
}

#[test]
fn p17_zstd_is_asked_of_producers_that_send_it_and_of_consumers_that_get_it() {
    let (_directory, _broker, mut client) = start();
    let plain = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
    for (topic, sent_in, code) in [
        ("zstd", Compression::Lz4, ErrorCode::None),
        ("zstd", Compression::Zstd, ErrorCode::UnsupportedCompressionType),
        ("gzip", Compression::Zstd, ErrorCode::UnsupportedCompressionType),
    ] {
        let response = client.call(6, &produce(topic, 0, -1, compress(&plain, sent_in)));
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, code, "{topic} {sent_in:?}");
    }
    for (version, code) in [(9, ErrorCode::UnsupportedCompressionType), (10, ErrorCode::None)] {
        let request = fetch_from(&mut client, version, "zstd", 0);
        let response = client.call(version, &request);
        assert_eq!(response.responses[0].partitions[0].error_code, code, "version {version}");
    }
}

#[test]
fn p18_codec_and_level_change_while_the_topic_is_in_use() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut clients: Vec<Client> = (0..4).map(|_| broker.connect()).collect();
    clients[0].auto_create("t");
    let sent = compress(&records(now_ms(), 100_000, ProducerStamp::NONE), Compression::Lz4);
    let mut sizes = Vec::new();
    let mut check = |clients: &mut [Client], codec: Compression| {
        for client in clients {
            let stored = stored(client, "t", sent.clone());
            assert_same_but_for_the_codec(&sent, &stored, codec);
            sizes.push(stored.len());
        }
        *sizes.last().unwrap()
    };
    check(&mut clients, Compression::Lz4);
    for (name, codec) in TYPES {
        let request = incremental(TOPIC, "t", &[("compression.type", SET, Some(name))]);
        change(&mut clients[0], &request);
        check(&mut clients, codec);
    }
    let level = |clients: &mut [Client], name, level| {
        change(&mut clients[0], &incremental(TOPIC, "t", &[(name, SET, Some(level))]));
    };
    for (codec_name, codec, name, low, high) in [
        ("gzip", Compression::Gzip, "compression.gzip.level", "1", "9"),
        ("zstd", Compression::Zstd, "compression.zstd.level", "-5", "19"),
    ] {
        let request = incremental(TOPIC, "t", &[("compression.type", SET, Some(codec_name))]);
        change(&mut clients[0], &request);
        level(&mut clients, name, low);
        let large = check(&mut clients, codec);
        level(&mut clients, name, high);
        let small = check(&mut clients, codec);
        assert!(small < large, "{codec_name}: {small} and {large} bytes");
    }
    // What says nothing has what its broker says.
    let unset = incremental(TOPIC, "t", &[("compression.type", UNSET, None)]);
    change(&mut clients[0], &unset);
    check(&mut clients, Compression::Lz4);
    let of_all = incremental(BROKER, "", &[("compression.type", SET, Some("snappy"))]);
    change(&mut clients[0], &of_all);
    check(&mut clients, Compression::Snappy);
}

/// One request names many partitions, and their batches belong to all codecs and to nobody.
#[test]
fn p15_the_batches_of_a_request_are_judged_and_stored_one_by_one() {
    let (_directory, _broker, mut client) = start();
    let now = now_ms();
    let mut request = produce("gzip", 0, -1, Bytes::new());
    request.topic_data.clear();
    let mut expected = Vec::new();
    for (topic, codec) in TYPES {
        let mut data = produce(topic, 0, -1, Bytes::new()).topic_data.remove(0);
        let one = data.partition_data.remove(0);
        for (sent_in, value_bytes) in
            Compression::ALL.into_iter().zip([10, 400_000, 20, 900_000, 100_000])
        {
            let sent = compress(&records(now, value_bytes, ProducerStamp::NONE), sent_in);
            data.partition_data.push(wire::produce::PartitionProduceData {
                records: Some(sent.clone()),
                ..one.clone()
            });
            expected.push((topic, codec, sent));
        }
        let damaged = wire::produce::PartitionProduceData {
            records: Some(Bytes::from_static(b"damaged")),
            ..one
        };
        data.partition_data.push(damaged);
        request.topic_data.push(data);
    }
    let response = client.call(11, &request);
    let mut offsets = Vec::new();
    for topic in &response.responses {
        let codes: Vec<_> = topic.partition_responses.iter().map(|of| of.error_code).collect();
        assert_eq!(codes[..5], [ErrorCode::None; 5]);
        assert_eq!(codes[5], ErrorCode::InvalidRecord);
        offsets.extend(topic.partition_responses[..5].iter().map(|of| of.base_offset.0));
    }
    assert_eq!(offsets, [0, 3, 6, 9, 12].repeat(5));
    for ((topic, codec, sent), offset) in expected.into_iter().zip(offsets) {
        let found = records_from(&mut client, topic, offset);
        let size_bytes = BatchHeader::read(&found).unwrap().size_bytes();
        assert_same_but_for_the_codec(&sent, &found[..size_bytes], codec);
    }
}
