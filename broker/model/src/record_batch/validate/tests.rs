//! One table row per rule of what a producer may send.

use proptest::prelude::*;

use super::super::stamp::{put, update_crc};
use super::super::testing::{any_records, batch_of, edited, three_records};
use super::super::{
    HEADER_SIZE_BYTES, POSITION_OF_ATTRIBUTES, POSITION_OF_BASE_OFFSET, POSITION_OF_BASE_SEQUENCE,
    POSITION_OF_LAST_OFFSET_DELTA, POSITION_OF_LENGTH, POSITION_OF_MAGIC,
    POSITION_OF_MAX_TIMESTAMP, POSITION_OF_PRODUCER_EPOCH, POSITION_OF_PRODUCER_ID,
    POSITION_OF_RECORDS_COUNT, set_max_timestamp,
};
use super::*;
use crate::ProducerId;

fn validate(bytes: &[u8]) -> Result<Validated, BatchError> {
    validate_from_client(bytes, AppendRules::NONE)
}

/// The error for a valid batch after `edit`, its CRC made right again.
fn error_after(edit: impl FnOnce(&mut Vec<u8>)) -> BatchError {
    validate(&edited(edit)).unwrap_err()
}

#[test]
fn a_batch_as_producers_send_it_is_accepted() {
    let batch = batch_of(&three_records());
    let validated = validate(&batch).unwrap();
    assert_eq!(validated.header, BatchHeader::read(&batch).unwrap());
    assert_eq!(validated.max_timestamp, Some(Timestamp(1_007)));
    assert_eq!(validated.max_timestamp_to_patch(), None);
}

#[test]
fn there_must_be_exactly_one_batch() {
    let batch = batch_of(&three_records());
    assert_eq!(validate(&[]), Err(BatchError::Empty));
    let twice = [batch.clone(), batch.clone()].concat();
    assert_eq!(validate(&twice), Err(BatchError::TrailingBytes { extra_bytes: batch.len() }));
    let extra = [batch.as_slice(), &[0]].concat();
    assert_eq!(validate(&extra), Err(BatchError::TrailingBytes { extra_bytes: 1 }));
}

#[test]
fn the_declared_length_must_be_the_length_received() {
    let batch = batch_of(&three_records());
    for available_bytes in HEADER_SIZE_BYTES..batch.len() {
        let error = BatchError::Truncated { needed_bytes: batch.len(), available_bytes };
        assert_eq!(validate(&batch[..available_bytes]), Err(error));
    }
    let error = error_after(|batch| put(batch, POSITION_OF_LENGTH, 48_i32.to_be_bytes()));
    assert_eq!(error, BatchError::LengthTooSmall { length: 48 });
}

#[test]
fn the_magic_must_be_2() {
    let error_with = |magic: i8| error_after(|batch| put(batch, POSITION_OF_MAGIC, [magic as u8]));
    assert_eq!(error_with(1), BatchError::OldMagic { magic: 1 });
    assert_eq!(error_with(3), BatchError::UnknownMagic { magic: 3 });
}

#[test]
fn the_crc_must_be_right() {
    let mut batch = batch_of(&three_records());
    *batch.last_mut().unwrap() ^= 1;
    assert!(matches!(validate(&batch), Err(BatchError::CrcMismatch { .. })));
}

#[test]
fn only_a_broker_gives_offsets() {
    let error = error_after(|batch| put(batch, POSITION_OF_BASE_OFFSET, 7_i64.to_be_bytes()));
    assert_eq!(error, BatchError::BaseOffset { base_offset: Offset(7) });
}

#[test]
fn the_count_must_be_positive_and_agree_with_the_offsets() {
    for (records_count, last_offset_delta) in
        [(0, -1), (-1, -2), (3, 1), (3, 3), (2, 2), (i32::MIN, i32::MAX), (0, 0)]
    {
        let error = error_after(|batch| {
            put(batch, POSITION_OF_RECORDS_COUNT, i32::to_be_bytes(records_count));
            put(batch, POSITION_OF_LAST_OFFSET_DELTA, i32::to_be_bytes(last_offset_delta));
        });
        assert_eq!(error, BatchError::RecordsCount { records_count, last_offset_delta });
    }
}

#[test]
fn only_a_broker_writes_control_batches() {
    let error = error_after(|batch| put(batch, POSITION_OF_ATTRIBUTES, 0x20_i16.to_be_bytes()));
    assert_eq!(error, BatchError::ControlBatch);
}

#[test]
fn a_producer_with_an_id_needs_an_epoch_and_a_sequence() {
    let stamped = |id: i64, epoch: i16, sequence: i32| {
        validate(&edited(|batch| {
            put(batch, POSITION_OF_PRODUCER_ID, id.to_be_bytes());
            put(batch, POSITION_OF_PRODUCER_EPOCH, epoch.to_be_bytes());
            put(batch, POSITION_OF_BASE_SEQUENCE, sequence.to_be_bytes());
        }))
        .map(|validated| validated.header.is_idempotent())
    };
    let refused = |id, epoch, base_sequence| {
        let (producer_id, producer_epoch) = (ProducerId(id), ProducerEpoch(epoch));
        Err(BatchError::ProducerStamp { producer_id, producer_epoch, base_sequence })
    };
    assert_eq!(stamped(0, 0, 0), Ok(true));
    assert_eq!(stamped(i64::MAX, i16::MAX, i32::MAX), Ok(true));
    assert_eq!(stamped(-1, -1, -1), Ok(false));
    assert_eq!(stamped(0, 0, -1), refused(0, 0, -1));
    assert_eq!(stamped(0, -1, 0), refused(0, -1, 0));
}

#[test]
fn codecs_that_do_not_exist_are_refused() {
    let error = error_after(|batch| put(batch, POSITION_OF_ATTRIBUTES, 5_i16.to_be_bytes()));
    assert_eq!(error, BatchError::UnknownCompression { codec: 5 });
}

#[test]
fn only_a_broker_sets_the_append_time() {
    let error = error_after(|batch| put(batch, POSITION_OF_ATTRIBUTES, 8_i16.to_be_bytes()));
    assert_eq!(error, BatchError::LogAppendTime);
}

#[test]
fn offset_deltas_count_from_zero() {
    // The first record: length, attributes, timestamp delta, then its offset delta.
    let error = error_after(|batch| batch[HEADER_SIZE_BYTES + 3] = 2);
    let fault = RecordFault::OffsetDelta { offset_delta: 1 };
    assert_eq!(error, BatchError::Record { index: 0, fault });
}

#[test]
fn a_malformed_record_is_named_by_its_index() {
    let first_size_bytes = 1 + 6 + 1 + 3;
    let error = error_after(|batch| batch[HEADER_SIZE_BYTES + first_size_bytes] = 1);
    let fault = RecordFault::NegativeLength { length: -1 };
    assert_eq!(error, BatchError::Record { index: 1, fault });
}

#[test]
fn records_must_fill_the_batch() {
    let mut batch = batch_of(&three_records());
    batch.push(0);
    let length = i32::try_from(batch.len() - 12).unwrap();
    put(&mut batch, POSITION_OF_LENGTH, length.to_be_bytes());
    update_crc(&mut batch);
    let error = BatchError::TrailingRecords { records_count: 3, extra_bytes: 1 };
    assert_eq!(validate(&batch), Err(error));
}

#[test]
fn a_wrong_max_timestamp_is_accepted_and_reported() {
    let mut batch = edited(|batch| put(batch, POSITION_OF_MAX_TIMESTAMP, 0_i64.to_be_bytes()));
    let validated = validate(&batch).unwrap();
    assert_eq!(validated.max_timestamp_to_patch(), Some(Timestamp(1_007)));
    set_max_timestamp(&mut batch, Timestamp(1_007));
    assert_eq!(batch, batch_of(&three_records()));
}

#[test]
fn a_compressed_batch_is_trusted() {
    for codec in 1..=4_i16 {
        let batch = edited(|batch| {
            put(batch, POSITION_OF_ATTRIBUTES, codec.to_be_bytes());
            batch[HEADER_SIZE_BYTES..].fill(0xff);
        });
        let validated = validate(&batch).unwrap();
        assert_eq!(validated.max_timestamp, None);
        assert_eq!(validated.max_timestamp_to_patch(), None);
    }
}

#[test]
fn a_compacted_topic_requires_keys() {
    let rules = AppendRules { keys_required: true, ..AppendRules::NONE };
    let mut records = three_records();
    assert!(validate_from_client(&batch_of(&records), rules).is_ok());
    records[1].key = None;
    let error = BatchError::Record { index: 1, fault: RecordFault::KeyMissing };
    assert_eq!(validate_from_client(&batch_of(&records), rules), Err(error));
    assert!(validate(&batch_of(&records)).is_ok());
}

#[test]
fn a_topic_may_bound_timestamps() {
    let rules = |min, max| AppendRules {
        timestamp_min: Timestamp(min),
        timestamp_max: Timestamp(max),
        ..AppendRules::NONE
    };
    let refused = |index, timestamp, min, max| BatchError::TimestampOutOfRange {
        index,
        timestamp: Timestamp(timestamp),
        timestamp_min: Timestamp(min),
        timestamp_max: Timestamp(max),
    };
    let mut records = three_records();
    records.push(records[0].clone());
    records[3].timestamp = Timestamp::NONE;
    let batch = batch_of(&records);
    let found = |min, max| validate_from_client(&batch, rules(min, max)).err();
    assert_eq!(found(993, 1_007), None);
    assert_eq!(found(994, 1_007), Some(refused(Some(2), 993, 994, 1_007)));
    assert_eq!(found(993, 1_006), Some(refused(Some(1), 1_007, 993, 1_006)));

    // Of a compressed batch only the header is known: its base is 1000, its maximum 1007.
    let compressed = edited(|batch| put(batch, POSITION_OF_ATTRIBUTES, 4_i16.to_be_bytes()));
    let found = |min, max| validate_from_client(&compressed, rules(min, max)).err();
    assert_eq!(found(1_000, 1_007), None);
    assert_eq!(found(1_001, 1_007), Some(refused(None, 1_000, 1_001, 1_007)));
    assert_eq!(found(0, 1_006), Some(refused(None, 1_007, 0, 1_006)));
}

proptest! {
    #[test]
    fn what_the_builder_writes_is_valid(records in any_records()) {
        let batch = batch_of(&records);
        let validated = validate(&batch).unwrap();
        let max_timestamp = records.iter().map(|record| record.timestamp).max().unwrap();
        prop_assert_eq!(validated.max_timestamp, Some(max_timestamp.max(Timestamp::NONE)));
        prop_assert_eq!(validated.max_timestamp_to_patch(), None);
        prop_assert_eq!(validated.header.size_bytes(), batch.len());
    }
}
