//! Record batches that lie, and those of which too much would come.

use bytes::Bytes;
use client::compression::{CODECS, compress, with_records};
use model::record_batch::{
    self, BatchBuilder, BatchHeader, Compression, HEADER_SIZE_BYTES, NewRecord, ProducerStamp,
};
use model::{Offset, ProducerEpoch, ProducerId, Timestamp};
use wire::ErrorCode::{
    self, CorruptMessage, InvalidRecord, InvalidTimestamp, MessageTooLarge,
    UnsupportedCompressionType,
};
use wire::incremental_alter_configs::{
    IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};
use wire::{IncrementalAlterConfigsRequest, Text};

use crate::machine::{BUDGET_BYTES, Neighbour, Target, rss_bytes, say};
use crate::support::{batch, now_ms, produce};

struct Case {
    name: String,
    batch: Bytes,
    expected: ErrorCode,
}

fn case(name: impl Into<String>, batch: impl Into<Bytes>, expected: ErrorCode) -> Case {
    Case { name: name.into(), batch: batch.into(), expected }
}

/// Three records.
fn good() -> Vec<u8> {
    batch(&[b"one", b"two", b"three"], now_ms(), ProducerStamp::NONE).to_vec()
}

/// With these bytes at this place, and the checksum made right.
fn with(position: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = good();
    batch[position..position + bytes.len()].copy_from_slice(bytes);
    let time = BatchHeader::read(&batch).unwrap().max_timestamp;
    record_batch::set_max_timestamp(&mut batch, time);
    batch
}

/// With these bytes at this place, whatever that makes of the checksum.
fn damaged(position: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = good();
    batch[position..position + bytes.len()].copy_from_slice(bytes);
    batch
}

/// Fields of the header, by their places.
fn headers() -> Vec<Case> {
    let good = good();
    let length = i32::try_from(good.len() - 12).unwrap();
    let mut cases = vec![
        case("nothing", Vec::new(), InvalidRecord),
        case("one byte", vec![0], InvalidRecord),
        case("a header cut", good[..60].to_vec(), InvalidRecord),
        case("one byte too few", good[..good.len() - 1].to_vec(), InvalidRecord),
        case("one byte too many", [&good[..], &[0]].concat(), InvalidRecord),
        case("two batches", [&good[..], &good[..]].concat(), InvalidRecord),
        case("twenty batches", good.repeat(20), InvalidRecord),
        case("zeros", vec![0; 200], InvalidRecord),
        case("bytes of one kind", vec![0xff; 200], CorruptMessage),
        case("a header and no records", with_records(&good, Compression::None, &[]), InvalidRecord),
    ];
    for (magic, expected) in
        [(0, InvalidRecord), (1, InvalidRecord), (3, CorruptMessage), (-1, CorruptMessage)]
    {
        let byte = i8::to_be_bytes(magic);
        cases.push(case(format!("magic {magic}"), damaged(16, &byte), expected));
    }
    for (delta, expected) in [(-1, InvalidRecord), (1, InvalidRecord)] {
        let bytes = (length + delta).to_be_bytes();
        cases.push(case(format!("a length {delta} wrong"), damaged(8, &bytes), expected));
    }
    for length in [i32::MIN, -1, 0, 48] {
        let bytes = damaged(8, &length.to_be_bytes());
        cases.push(case(format!("a length of {length}"), bytes, CorruptMessage));
    }
    cases.push(case("a length of 2^31 - 1", damaged(8, &i32::MAX.to_be_bytes()), InvalidRecord));
    for position in [17, 20, 21, 30, 57, 61, good.len() - 1] {
        let byte = [good[position] ^ 0x40];
        let name = format!("a bit at {position} has changed");
        cases.push(case(name, damaged(position, &byte), CorruptMessage));
    }
    for count in [i32::MIN, -1, 0, 2, 4, i32::MAX] {
        let bytes = with(57, &count.to_be_bytes());
        cases.push(case(format!("{count} records of three"), bytes, InvalidRecord));
    }
    for delta in [i32::MIN, -1, 0, 1, 3, i32::MAX] {
        let bytes = with(23, &delta.to_be_bytes());
        cases.push(case(format!("a last offset delta of {delta}"), bytes, InvalidRecord));
    }
    for (name, delta, count) in
        [("2^31 - 1 records in all", i32::MAX - 1, i32::MAX), ("100 records in all", 99, 100)]
    {
        let both = [&delta.to_be_bytes()[..]].concat();
        let mut bytes = with(23, &both);
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        record_batch::set_max_timestamp(&mut bytes, Timestamp(now_ms()));
        cases.push(case(name, bytes, InvalidRecord));
    }
    for offset in [i64::MIN, -1, 1, i64::MAX] {
        let bytes = with(0, &offset.to_be_bytes());
        cases.push(case(format!("a base offset of {offset}"), bytes, InvalidRecord));
    }
    for codec in [5_u8, 6, 7] {
        cases.push(case(format!("codec {codec}"), with(22, &[codec]), UnsupportedCompressionType));
    }
    for codec in 1..=4_u8 {
        let name = format!("codec {codec}, and the records are not compressed");
        cases.push(case(name, with(22, &[codec]), InvalidRecord));
    }
    cases.extend([
        case("the control flag", with(22, &[1 << 5]), InvalidRecord),
        case("control and transactional", with(22, &[0b11_0000]), InvalidRecord),
        case("a transaction without one", with(22, &[1 << 4]), ErrorCode::InvalidTxnState),
        case("the broker's time", with(22, &[1 << 3]), InvalidTimestamp),
    ]);
    cases
}

/// Who has sent it, and when.
fn stamps() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, id, epoch, sequence) in [
        ("a producer without an epoch", 5_i64, -1_i16, 0_i32),
        ("a producer without a sequence", 5, 0, -1),
        ("a producer with the lowest sequence", 5, 0, i32::MIN),
        ("a producer with the lowest epoch", 5, i16::MIN, 0),
    ] {
        let stamp = ProducerStamp {
            producer_id: ProducerId(id),
            producer_epoch: ProducerEpoch(epoch),
            base_sequence: sequence,
            ..ProducerStamp::NONE
        };
        cases.push(case(name, batch(&[b"v"], now_ms(), stamp), InvalidRecord));
    }
    for (name, time) in [
        ("a time of 2^63 - 1", i64::MAX),
        ("a time in two hours", now_ms() + 7_200_000),
        ("a time in a thousand years", now_ms() + 31_556_952_000_000),
    ] {
        let bytes = batch(&[b"v"], time, ProducerStamp::NONE);
        cases.push(case(name, bytes, InvalidTimestamp));
    }
    // From the highest base, any delta goes around: the sum is what counts.
    let mut builder = BatchBuilder::new();
    for timestamp in [i64::MAX, i64::MIN, 0] {
        let record =
            NewRecord { timestamp: Timestamp(timestamp), key: None, value: None, headers: &[] };
        builder.push(&record);
    }
    let bytes = builder.finish(ProducerStamp::NONE);
    cases.push(case("times that overflow", bytes, InvalidTimestamp));
    cases
}

/// One record, and what stands for it.
fn one(records: &[u8], compression: Compression) -> Bytes {
    let one = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
    compress(&with_records(&one, Compression::None, records), compression)
}

/// Bytes of a record: its length, attributes, deltas, key, value and headers. Zig-zag.
const RECORDS: [(&str, &[u8]); 22] = [
    ("a length of -1", &[0x01, 0, 0, 0, 1, 1, 0]),
    ("a length of 0", &[0x00]),
    ("a length beyond the end", &[0x7e, 0, 0, 0, 1, 1, 0]),
    ("a length too short", &[0x08, 0, 0, 0, 1, 1, 0]),
    ("a length too long", &[0x0e, 0, 0, 0, 1, 1, 0, 0]),
    ("a length of 2^31 - 1", &[0xfe, 0xff, 0xff, 0xff, 0x0f, 0]),
    ("a length of 6 bytes", &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0]),
    ("nothing but a length", &[0x0c]),
    (
        "a time of 11 bytes",
        &[0x22, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 1, 1, 0, 0],
    ),
    ("an offset delta of 1", &[0x0c, 0, 0, 2, 1, 1, 0]),
    ("an offset delta of -1", &[0x0c, 0, 0, 1, 1, 1, 0]),
    ("an offset delta of 6 bytes", &[0x16, 0, 0, 255, 255, 255, 255, 255, 1, 1, 1, 0]),
    ("a key beyond the record", &[0x0c, 0, 0, 0, 0x7e, 1, 0]),
    ("a key of 2^31 - 1", &[0x14, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 0]),
    ("a value beyond the record", &[0x0c, 0, 0, 0, 1, 0x7e, 0]),
    ("a value of 6 bytes of length", &[0x16, 0, 0, 0, 1, 255, 255, 255, 255, 255, 1, 0]),
    ("-1 headers", &[0x0c, 0, 0, 0, 1, 1, 1]),
    ("one header that is not there", &[0x0c, 0, 0, 0, 1, 1, 2]),
    ("2^31 - 1 headers", &[0x14, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f]),
    ("a header without a key", &[0x10, 0, 0, 0, 1, 1, 2, 1, 1]),
    ("a header's value beyond the record", &[0x10, 0, 0, 0, 1, 1, 2, 0, 0x7e]),
    ("a second record", &[0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 2, 1, 1, 0]),
];

fn records() -> Vec<Case> {
    let mut cases = Vec::new();
    for compression in Compression::ALL {
        for (name, bytes) in RECORDS {
            let name = format!("{}: {name}", compression.name());
            cases.push(case(name, one(bytes, compression), InvalidRecord));
        }
        // Null and every other negative length are the same, as in Kafka.
        let name = format!("{}: a value of -2", compression.name());
        cases.push(case(name, one(&[0x0c, 0, 0, 0, 1, 3, 0], compression), ErrorCode::None));
    }
    for compression in CODECS {
        // A batch in place of the records, as formats before this one had it.
        let inner = compress(&good(), compression);
        let nested = compress(&with_records(&good(), Compression::None, &inner), compression);
        let name = format!("{}: a batch in a batch", compression.name());
        cases.push(case(name, nested, InvalidRecord));
        let good = compress(&good(), compression);
        for (name, records) in [
            ("cut", &good[HEADER_SIZE_BYTES..good.len() - 3]),
            ("without an end", &good[HEADER_SIZE_BYTES..HEADER_SIZE_BYTES + 4]),
            ("garbage", &[0xa5; 300][..]),
            ("nothing", &[]),
        ] {
            let name = format!("{}: {name}", compression.name());
            cases.push(case(name, with_records(&good, compression, records), InvalidRecord));
        }
    }
    cases
}

/// What little stands for much: a record of 80 MB. Refused before it all comes, with the error for
/// what is too large, or for what the codec cannot mean.
fn bombs() -> Vec<Case> {
    const SIZE_BYTES: usize = 80 << 20;
    let large = batch(&[&vec![0; SIZE_BYTES]], now_ms(), ProducerStamp::NONE);
    let mut cases = Vec::new();
    for compression in CODECS {
        let name = format!("{} of 80 MB", compression.name());
        cases.push(case(name, compress(&large, compression), MessageTooLarge));
    }
    let zstd = compress(&large, Compression::Zstd).slice(HEADER_SIZE_BYTES..);
    let mut huge_window = zstd.to_vec();
    // After the magic, flags for a window, and the largest one.
    huge_window[4] = 0;
    huge_window[5] = 0xff;
    let xerial = |block: &[u8]| [b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01", block].concat();
    let others: [(&str, Compression, Vec<u8>, ErrorCode); 11] = [
        ("zstd with a window of 2^41", Compression::Zstd, huge_window, InvalidRecord),
        (
            "snappy of 2^32 - 1",
            Compression::Snappy,
            vec![255, 255, 255, 255, 15, 0, 0],
            MessageTooLarge,
        ),
        ("snappy of 2^31", Compression::Snappy, vec![128, 128, 128, 128, 8, 0, 0], MessageTooLarge),
        ("snappy without an end of its size", Compression::Snappy, vec![255; 40], InvalidRecord),
        ("xerial of -1", Compression::Snappy, xerial(&[255; 4]), InvalidRecord),
        (
            "xerial of 2^31 - 1",
            Compression::Snappy,
            xerial(&[127, 255, 255, 255, 0]),
            InvalidRecord,
        ),
        ("xerial of -2^31", Compression::Snappy, xerial(&[128, 0, 0, 0, 0]), InvalidRecord),
        (
            "xerial of empty blocks",
            Compression::Snappy,
            xerial(&[0, 0, 0, 1, 0].repeat(50_000)),
            InvalidRecord,
        ),
        ("gzip of empty members", Compression::Gzip, EMPTY_MEMBER.repeat(40_000), InvalidRecord),
        ("zstd of empty frames", Compression::Zstd, EMPTY_FRAME.repeat(80_000), InvalidRecord),
        ("lz4 of empty blocks", Compression::Lz4, empty_blocks(), InvalidRecord),
    ];
    let one = batch(&[b"v"], now_ms(), ProducerStamp::NONE);
    cases.extend(
        others.map(|(name, codec, records, code)| {
            case(name, with_records(&one, codec, &records), code)
        }),
    );
    cases
}

/// Gzip of nothing.
const EMPTY_MEMBER: &[u8] = &[31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Zstandard of nothing.
const EMPTY_FRAME: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00];

/// The header of a frame of lz4, and then blocks that yield nothing: each one token.
fn empty_blocks() -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    std::io::Write::write_all(&mut encoder, b"x").unwrap();
    let frame = encoder.finish().unwrap();
    let header = &frame[..7];
    [header, &[1, 0, 0, 0, 0].repeat(100_000)].concat()
}

#[test]
fn h3_batches_that_lie_are_refused_with_their_error_and_nothing_of_them_is_kept() {
    let target = Target::start();
    let mut client = target.broker.connect();
    client.auto_create("lied-to");
    let cases: Vec<Case> =
        [headers(), stamps(), records(), bombs()].into_iter().flatten().collect();
    assert!(200 < cases.len(), "{} cases", cases.len());
    let (mut wrong, mut kept) = (Vec::new(), 0);
    for Case { name, batch, expected } in &cases {
        let begun = std::time::Instant::now();
        let mut response = client.call(9, &produce("lied-to", 0, -1, batch.clone()));
        let partition = response.responses.remove(0).partition_responses.remove(0);
        if partition.error_code != *expected {
            let (code, text) = (partition.error_code, partition.error_message);
            wrong.push(format!("{name}: {expected:?} expected, {code:?}: {text:?}"));
        }
        if begun.elapsed() > std::time::Duration::from_millis(500) {
            say(&format!("{name}: {:.2?}", begun.elapsed()));
        }
        kept += i64::from(partition.error_code == ErrorCode::None);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    // What a producer may leave to the broker is no lie: whose leader epoch it is, and a flag that
    // says something of a time that no producer knows.
    for batch in [with(12, &i32::MAX.to_be_bytes()), with(22, &[1 << 6])] {
        let response = client.call(9, &produce("lied-to", 0, -1, Bytes::from(batch)));
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (ErrorCode::None, Offset(kept)));
        kept += 3;
    }
    target.check(&format!("{} batches", cases.len()));
}

#[test]
fn h15_little_that_is_stored_as_much_takes_a_bounded_amount() {
    const CLIENTS_COUNT: usize = 6;
    const BATCHES_COUNT: usize = 100;
    let target = Target::start();
    let mut client = target.broker.connect();
    client.auto_create("blown-up");
    let configs = [("compression.type", "uncompressed"), ("flush.messages", "1000000")];
    let config = |(name, value)| IncrementalAlterableConfig {
        name: Text::from_static(name),
        config_operation: 0,
        value: Some(Text::from_static(value)),
    };
    let resource = IncrementalAlterConfigsResource {
        resource_type: 2,
        resource_name: Text::from_static("blown-up"),
        configs: configs.map(config).to_vec(),
    };
    let alter = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    assert_eq!(client.call(1, &alter).responses[0].error_code, ErrorCode::None);
    let large = batch(&[&vec![0; 1_000_000]], now_ms(), ProducerStamp::NONE);
    let small = compress(&large, Compression::Gzip);
    assert!(small.len() < 2000, "{} bytes", small.len());
    let mut request = produce("blown-up", 0, -1, small);
    let partitions = &mut request.topic_data[0].partition_data;
    *partitions = vec![partitions[0].clone(); BATCHES_COUNT];
    let neighbour = Neighbour::start(&target.broker, "busy");
    let mut clients: Vec<_> = (0..CLIENTS_COUNT).map(|_| target.broker.connect()).collect();
    for client in &mut clients {
        client.send(9, &request);
    }
    let mut most_bytes = 0;
    for client in &mut clients {
        let frame = std::thread::scope(|scope| {
            let receiving = scope.spawn(|| client.receive::<wire::ProduceRequest>(9));
            while !receiving.is_finished() {
                most_bytes = most_bytes.max(rss_bytes(&target.broker));
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            receiving.join().unwrap()
        });
        for partition in &frame.1.responses[0].partition_responses {
            assert_eq!(partition.error_code, ErrorCode::None, "{:?}", partition.error_message);
        }
    }
    let most_mib = most_bytes as f64 / f64::from(1 << 20);
    say(&format!("at most {most_mib:.1} MiB; beside it {}", neighbour.stop()));
    assert!(most_bytes <= BUDGET_BYTES, "{most_mib:.1} MiB");
    target.check("600 MB from 600 KB");
}
