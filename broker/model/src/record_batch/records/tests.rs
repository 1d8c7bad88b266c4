//! Records read back as written, and every way a record can be malformed.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::stamp::{put, update_crc};
use super::super::testing::{any_records, batch_of, three_records};
use super::super::{POSITION_OF_LENGTH, POSITION_OF_RECORDS_COUNT, set_log_append_time};
use super::*;

/// A batch that declares `records_count` records and holds `bytes`.
fn batch_with(records_count: i32, bytes: &[u8]) -> Vec<u8> {
    let mut batch = batch_of(&three_records());
    batch.truncate(HEADER_SIZE_BYTES);
    batch.extend_from_slice(bytes);
    let length = i32::try_from(batch.len() - 12).unwrap();
    put(&mut batch, POSITION_OF_LENGTH, length.to_be_bytes());
    put(&mut batch, POSITION_OF_RECORDS_COUNT, records_count.to_be_bytes());
    update_crc(&mut batch);
    batch
}

/// Reads `bytes` as one record and shows what came out.
#[track_caller]
fn check(bytes: &[u8], expected: Expect) {
    let batch = batch_with(1, bytes);
    let found: Vec<String> = Records::read(&batch)
        .unwrap()
        .map(|record| match record {
            Ok(record) => {
                let headers: Vec<_> = record.headers.map(|h| (h.key, h.value)).collect();
                format!("{:?} {:?} {headers:?}", record.key, record.value)
            }
            Err(error) => error.to_string(),
        })
        .collect();
    expected.assert_eq(&found.join("; "));
}

#[test]
fn a_record_is_read_to_its_last_byte() {
    // length 6: attributes, timestamp delta, offset delta, null key, null value, no headers
    check(&[12, 0, 0, 0, 1, 1, 0], expect!["None None []"]);
    check(&[16, 0, 0, 0, 2, 7, 2, 8, 0], expect!["Some([7]) Some([8]) []"]);
    check(&[18, 0, 0, 0, 1, 1, 2, 2, 9, 1], expect!["None None [([9], None)]"]);
    check(&[12, 0, 0, 0, 0, 0, 0], expect!["Some([]) Some([]) []"]);
}

#[test]
fn every_negative_length_of_a_key_or_value_is_null_as_in_kafka() {
    check(&[12, 0, 0, 0, 3, 5, 0], expect!["None None []"]);
}

#[test]
fn a_record_may_not_reach_past_the_batch() {
    check(&[14, 0, 0, 0, 1, 1, 0], expect!["record 0: 7 bytes needed, 6 available"]);
    check(&[], expect!["record 0: 1 bytes needed, 0 available"]);
    check(&[1], expect!["record 0: negative length -1"]);
    check(
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0],
        expect!["record 0: variable-length integer of more than 32 bits"],
    );
}

#[test]
fn nothing_may_reach_past_its_record() {
    // One byte too many for each field in turn; the batch itself would have more.
    check(&[0, 1, 1, 1, 1], expect!["record 0: 1 bytes needed, 0 available"]);
    check(&[2, 0, 1, 1, 1], expect!["record 0: 1 bytes needed, 0 available"]);
    check(&[12, 0, 0, 0, 4, 9, 1, 0, 0], expect!["record 0: 1 bytes needed, 0 available"]);
    check(&[12, 0, 0, 0, 8, 9, 1, 0, 0], expect!["record 0: 4 bytes needed, 2 available"]);
    check(&[12, 0, 0, 0, 1, 8, 1, 0, 0], expect!["record 0: 4 bytes needed, 1 available"]);
}

#[test]
fn a_record_may_not_be_longer_than_its_fields() {
    check(&[16, 0, 0, 0, 1, 1, 0, 9, 9], expect!["record 0: 2 bytes after the last field"]);
}

#[test]
fn headers_must_fit_and_have_keys() {
    check(&[12, 0, 0, 0, 1, 1, 1], expect!["record 0: -1 headers in 0 bytes"]);
    check(&[14, 0, 0, 0, 1, 1, 4, 0], expect!["record 0: 2 headers in 1 bytes"]);
    check(&[16, 0, 0, 0, 1, 1, 2, 1, 1], expect!["record 0: negative length -1"]);
    check(&[16, 0, 0, 0, 1, 1, 2, 6, 9], expect!["record 0: 3 bytes needed, 1 available"]);
    check(&[16, 0, 0, 0, 1, 1, 2, 2, 9], expect!["record 0: 1 bytes needed, 0 available"]);
}

#[test]
fn the_declared_number_of_records_must_fill_the_batch() {
    let record = [12, 0, 0, 0, 1, 1, 0];
    let two = [record, record].concat();
    let found = |count, bytes: &[u8]| {
        let batch = batch_with(count, bytes);
        let found = Records::read(&batch).unwrap();
        found.map(|record| record.map(|_| ())).collect::<Vec<_>>()
    };
    assert_eq!(found(2, &two), [Ok(()), Ok(())]);
    let extra = BatchError::TrailingRecords { records_count: 1, extra_bytes: 7 };
    assert_eq!(found(1, &two), [Ok(()), Err(extra)]);
    let fault = RecordFault::Truncated { needed_bytes: 1, available_bytes: 0 };
    assert_eq!(found(2, &record), [Ok(()), Err(BatchError::Record { index: 1, fault })]);
    assert_eq!(found(0, &[]), []);
    let extra = BatchError::TrailingRecords { records_count: -1, extra_bytes: 7 };
    assert_eq!(found(-1, &record), [Err(extra)]);
}

#[test]
fn log_append_time_replaces_the_timestamp_of_every_record() {
    let mut batch = batch_of(&three_records());
    set_log_append_time(&mut batch, Timestamp(5_000));
    let timestamps: Vec<i64> =
        Records::read(&batch).unwrap().map(|record| record.unwrap().timestamp.0).collect();
    assert_eq!(timestamps, [5_000, 5_000, 5_000]);
}

#[test]
fn compressed_records_cannot_be_read() {
    let mut batch = batch_of(&three_records());
    put(&mut batch, super::super::POSITION_OF_ATTRIBUTES, 4_i16.to_be_bytes());
    assert_eq!(Records::read(&batch).unwrap_err(), BatchError::Compressed);
}

proptest! {
    #[test]
    fn records_read_back_as_written(records in any_records()) {
        let batch = batch_of(&records);
        let mut found = Records::read(&batch).unwrap();
        for (index, expected) in (0..).zip(&records) {
            let record = found.next().unwrap().unwrap();
            prop_assert_eq!(record.offset_delta, index);
            prop_assert_eq!(record.timestamp, expected.timestamp);
            prop_assert_eq!(record.key, expected.key.as_deref());
            prop_assert_eq!(record.value, expected.value.as_deref());
            let headers: Vec<_> = record
                .headers
                .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
                .collect();
            prop_assert_eq!(&headers, &expected.headers);
        }
        prop_assert!(found.next().is_none());
    }
}
