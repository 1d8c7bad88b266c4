//! Known encodings, limits of the types, and agreement with itself.

use proptest::prelude::*;

use super::*;

/// Encodes `value`, checks that it reads back whole, and returns the bytes.
fn written(value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, value);
    assert_eq!(bytes.len(), size_bytes(value), "size of {value}");
    let mut rest = bytes.as_slice();
    assert_eq!(read_i64(&mut rest), Ok(value));
    assert!(rest.is_empty());
    bytes
}

#[test]
fn numbers_near_zero_take_one_byte() {
    assert_eq!(written(0), [0]);
    assert_eq!(written(-1), [1]);
    assert_eq!(written(1), [2]);
    assert_eq!(written(-64), [0x7f]);
    assert_eq!(written(64), [0x80, 0x01]);
    assert_eq!(written(i64::from(i32::MAX)), [0xfe, 0xff, 0xff, 0xff, 0x0f]);
    assert_eq!(written(i64::MIN), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
}

#[test]
fn more_bytes_than_needed_are_read_as_kafka_reads_them() {
    let mut bytes = &[0x82, 0x80, 0x80, 0x80, 0x00, 0xaa][..];
    assert_eq!(read_i32(&mut bytes), Ok(1));
    assert_eq!(bytes, [0xaa]);
}

#[test]
fn what_does_not_fit_the_type_is_refused() {
    for mut bytes in [&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..], &[0x80, 0x80, 0x80, 0x80, 0x10]] {
        assert_eq!(read_i32(&mut bytes), Err(RecordFault::Varint { bits: 32 }));
    }
    for mut bytes in
        [&[0x80; 11][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2, 0]]
    {
        assert_eq!(read_i64(&mut bytes), Err(RecordFault::Varint { bits: 64 }));
    }
}

#[test]
fn a_number_that_is_cut_off_is_refused() {
    for mut bytes in [&[][..], &[0x80], &[0xff, 0xff]] {
        let error = RecordFault::Truncated { needed_bytes: 1, available_bytes: 0 };
        assert_eq!(read_i32(&mut bytes), Err(error));
    }
}

proptest! {
    #[test]
    fn every_number_reads_back(value: i64, narrow: i32) {
        written(value);
        let bytes = written(i64::from(narrow));
        prop_assert_eq!(read_i32(&mut bytes.as_slice()), Ok(narrow));
    }
}
