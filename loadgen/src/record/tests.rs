//! Tests of records and of batches made from a template.

use model::record_batch::{AppendRules, BatchHeader, Records, validate_from_client};
use model::{ProducerEpoch, ProducerId, Timestamp};

use super::*;

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

#[test]
fn a_patched_batch_is_what_a_broker_accepts() {
    // Counts around the lengths at which offset deltas take another byte.
    for (value_size_bytes, payload) in
        [(32, Payload::Zeros), (100, Payload::Random), (1024, Payload::Text)]
    {
        let template = Template::new(value_size_bytes, 200, payload, 1);
        assert_eq!(template.records_max(), 200);
        for count in [1, 2, 63, 64, 65, 127, 128, 200] {
            let stamp = Stamp {
                timestamp: Timestamp(1_700_000_000_123),
                producer_id: ProducerId(9),
                producer_epoch: ProducerEpoch(2),
                base_sequence: 77,
            };
            let batch = template.batch(stamp, (0..count).map(value));
            assert_eq!(batch.len(), template.size_bytes(count as usize));
            validate_from_client(&batch, AppendRules::NONE).unwrap();
            let header = BatchHeader::read(&batch).unwrap();
            assert_eq!(header.records_count.cast_unsigned(), count);
            assert_eq!(header.base_timestamp, stamp.timestamp);
            assert_eq!(header.max_timestamp, stamp.timestamp);
            assert_eq!(header.producer_id, stamp.producer_id);
            assert_eq!(header.producer_epoch, stamp.producer_epoch);
            assert_eq!(header.base_sequence, 77);
            for (sequence, record) in (0..).zip(Records::read(&batch).unwrap()) {
                let record = record.unwrap();
                assert_eq!(Value::read(record.key, record.value), Ok(value(sequence)));
                assert_eq!(record.value.unwrap().len(), value_size_bytes);
                assert_eq!(record.timestamp, stamp.timestamp);
            }
        }
    }
}

#[test]
fn a_batch_does_not_change_the_next() {
    let template = Template::new(64, 8, Payload::Random, 1);
    let stamp = Stamp::plain(Timestamp(5));
    let first = template.batch(stamp, [value(1)].into_iter());
    let _other = template.batch(stamp, [value(2), value(3)].into_iter());
    assert_eq!(template.batch(stamp, [value(1)].into_iter()), first);
}

#[test]
fn keys_are_hexadecimal() {
    assert_eq!(&key_bytes(0), b"00000000");
    assert_eq!(&key_bytes(0xdead_beef), b"deadbeef");
}
