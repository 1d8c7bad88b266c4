//! Tests of records and of batches made from a template.

use model::record_batch::{
    AppendRules, BatchHeader, Compression, HEADER_SIZE_BYTES, Records, validate_from_client,
};
use model::{ProducerEpoch, ProducerId, Timestamp};

use super::*;
use crate::plan::BatchLimits;

fn value(sequence: u32) -> Value {
    let sequence = u64::from(sequence);
    Value { run: 0xfeed, worker: 3, key: 0x2a, sequence, intended_ns: 1_000 + sequence }
}

#[test]
fn a_value_is_read_back() {
    let mut bytes = vec![7; 100];
    value(5).write(&mut bytes);
    assert_eq!(Value::read(Some(b"0000002a"), Some(&bytes)), Ok(value(5)));
}

#[test]
fn every_flipped_bit_is_found() {
    let mut bytes = vec![7; 40];
    value(5).write(&mut bytes);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Value::read(Some(b"0000002a"), Some(&damaged)), Err(Damage::Checksum));
    }
    assert_eq!(Value::read(Some(b"0000002b"), Some(&bytes)), Err(Damage::Key));
    assert_eq!(Value::read(None, Some(&bytes)), Err(Damage::Key));
    assert_eq!(Value::read(Some(b"0000002a"), Some(&bytes[..31])), Err(Damage::TooShort));
    assert_eq!(Value::read(Some(b"0000002a"), None), Err(Damage::TooShort));
}

const LIMITS: BatchLimits =
    BatchLimits { records_max: 200, records_bytes: 900_000, overhead_bytes: 8 + 16 + 3 * 40 };

fn template(sizes: &str, headers: &str, payload: Payload) -> Template {
    Template::new(&sizes.parse().unwrap(), headers.parse().unwrap(), LIMITS, payload, 1)
}

const STAMP: Stamp = Stamp {
    timestamp: Timestamp(1_700_000_000_123),
    producer_id: ProducerId(9),
    producer_epoch: ProducerEpoch(2),
    base_sequence: 77,
};

/// Batches of values of these sizes are what a broker accepts, and what was meant.
fn check(template: &Template, headers: &str, size_of: impl Fn(u32) -> u32) {
    let headers: Headers = headers.parse().unwrap();
    // Counts around the lengths at which offset deltas take another byte.
    for count in [1, 2, 63, 64, 65, 127, 128, 200] {
        let records: Vec<_> = (0..count).map(|it| (value(it), size_of(it))).collect();
        let batch = template.batch(STAMP, records.into_iter());
        assert!(batch.len() <= template.size_bytes_max());
        validate_from_client(&batch, AppendRules::NONE).unwrap();
        let header = BatchHeader::read(&batch).unwrap();
        assert_eq!(header.records_count.cast_unsigned(), count);
        assert_eq!(header.base_timestamp, STAMP.timestamp);
        assert_eq!(header.max_timestamp, STAMP.timestamp);
        assert_eq!(header.producer_id, STAMP.producer_id);
        assert_eq!(header.producer_epoch, STAMP.producer_epoch);
        assert_eq!(header.base_sequence, 77);
        let mut taken_bytes = 0;
        for (sequence, record) in (0..).zip(Records::read(&batch).unwrap()) {
            let record = record.unwrap();
            assert_eq!(Value::read(record.key, record.value), Ok(value(sequence)));
            assert_eq!(record.value.unwrap().len(), size_of(sequence) as usize);
            assert_eq!(record.timestamp, STAMP.timestamp);
            assert!(headers.are_of(&record));
            assert!(!Headers { count: headers.count + 1, ..headers }.are_of(&record));
            taken_bytes += record.value.unwrap().len() + LIMITS.overhead_bytes;
        }
        // What is planned for a record is enough.
        assert!(batch.len() - HEADER_SIZE_BYTES <= taken_bytes);
    }
}

#[test]
fn a_patched_batch_is_what_a_broker_accepts() {
    for (size, payload) in [(32, Payload::Zeros), (100, Payload::Random), (1024, Payload::Text)] {
        check(&template(&size.to_string(), "0x0", payload), "0x0", |_| size);
        check(&template(&size.to_string(), "3x20", payload), "3x20", |_| size);
    }
}

#[test]
fn values_of_several_sizes_are_put_into_batches_and_patched() {
    let sizes = [32, 100, 4000, 33, 127, 128];
    for headers in ["0x0", "3x20"] {
        let template = template("32..4000", headers, Payload::Random);
        check(&template, headers, |record| sizes[record as usize % sizes.len()]);
    }
}

#[test]
fn headers_that_are_others_are_found() {
    let batch = template("100", "2x5", Payload::Random).batch(STAMP, [(value(1), 100)].into_iter());
    let record = Records::read(&batch).unwrap().next().unwrap().unwrap();
    let are = |text: &str| text.parse::<Headers>().unwrap().are_of(&record);
    assert!(are("2x5"));
    assert!(!are("2x4") && !are("1x5") && !are("3x5") && !are("0x0"));
    for text in ["", "3", "x20", "3x", "-1x2", "3xtail"] {
        let error = text.parse::<Headers>().unwrap_err().to_string();
        assert!(error.ends_with("the size of their values such as 3x20"), "{error}");
    }
}

#[test]
fn a_batch_does_not_change_the_next() {
    for sizes in ["64", "64..100"] {
        let template = template(sizes, "0x0", Payload::Random);
        let first = template.batch(STAMP, [(value(1), 64)].into_iter());
        let _other = template.batch(STAMP, [(value(2), 64), (value(3), 64)].into_iter());
        assert_eq!(template.batch(STAMP, [(value(1), 64)].into_iter()), first, "{sizes}");
    }
}

/// To hundredths of its size.
#[test]
fn payloads_compress_as_what_they_stand_for() {
    for sizes in ["1024", "512..1536"] {
        let size_by_zstd = |payload| {
            let template = template(sizes, "0x0", payload);
            let batch = template.batch(STAMP, (0..200).map(|it| (value(it), 1024)));
            let compressed = client::compression::compress(&batch, Compression::Zstd);
            compressed.len() * 100 / batch.len()
        };
        let sizes = [Payload::Random, Payload::Text, Payload::Zeros].map(size_by_zstd);
        let [random, text, zeros] = sizes;
        assert!(94 < random && (28..38).contains(&text) && zeros < 4, "{sizes:?}");
    }
}

#[test]
fn keys_are_hexadecimal() {
    assert_eq!(&key_bytes(0), b"00000000");
    assert_eq!(&key_bytes(0xdead_beef), b"deadbeef");
}
