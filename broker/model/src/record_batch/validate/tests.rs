//! One table row per rule of what a producer may send.

use proptest::prelude::*;

use super::super::stamp::{put, update_crc};
use super::super::testing::{any_records, batch_of, compressed, edited, three_records};
use super::super::{
    HEADER_SIZE_BYTES, POSITION_OF_ATTRIBUTES, POSITION_OF_BASE_OFFSET, POSITION_OF_BASE_SEQUENCE,
    POSITION_OF_LAST_OFFSET_DELTA, POSITION_OF_LENGTH, POSITION_OF_MAGIC,
    POSITION_OF_MAX_TIMESTAMP, POSITION_OF_PRODUCER_EPOCH, POSITION_OF_PRODUCER_ID,
    POSITION_OF_RECORDS_COUNT, set_max_timestamp,
};
use super::*;
use crate::ProducerId;
use crate::codec::CodecError;
use crate::codec::testing::{ENCODERS, Encoder};

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
    assert_eq!(validated.max_timestamp, Timestamp(1_007));
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

/// A walk of compressed records is held to the same rules, in steps as small as they can be.
fn validate_in_steps(bytes: &[u8], rules: AppendRules) -> Result<Validated, BatchError> {
    let mut validation = Validation::begin(bytes, rules)?;
    for _ in 0..bytes.len() {
        if let Some(validated) = validation.step(&mut 1)? {
            assert!(!validation.has_more());
            return Ok(validated);
        }
    }
    panic!("it does not end");
}

#[test]
fn compressed_records_are_opened() {
    for encoder in ENCODERS {
        let check = |batch: &[u8], expected: Result<i64, BatchError>| {
            let found = validate_in_steps(&compressed(batch, encoder), AppendRules::NONE);
            assert_eq!(found.map(|validated| validated.max_timestamp.0), expected, "{encoder:?}");
        };
        check(&batch_of(&three_records()), Ok(1_007));
        // The first record: length, attributes, timestamp delta, then its offset delta.
        let fault = RecordFault::OffsetDelta { offset_delta: 1 };
        let wrong = edited(|batch| batch[HEADER_SIZE_BYTES + 3] = 2);
        check(&wrong, Err(BatchError::Record { index: 0, fault }));
        let counted = |count: i32| {
            edited(|batch| {
                put(batch, POSITION_OF_RECORDS_COUNT, count.to_be_bytes());
                put(batch, POSITION_OF_LAST_OFFSET_DELTA, (count - 1).to_be_bytes());
            })
        };
        let fault = RecordFault::Truncated { needed_bytes: 1, available_bytes: 0 };
        check(&counted(4), Err(BatchError::Record { index: 3, fault }));
        check(&counted(i32::MAX), Err(BatchError::Record { index: 3, fault }));
        // Length, attributes, two deltas, a key of one byte, no value, no headers.
        let size_of_last = 1 + 1 + 2 + 2 + 1 + 1;
        let error = BatchError::TrailingRecords { records_count: 2, extra_bytes: size_of_last };
        check(&counted(2), Err(error));
        let wrong = edited(|batch| put(batch, POSITION_OF_MAX_TIMESTAMP, 0_i64.to_be_bytes()));
        let mut mended = compressed(&wrong, encoder);
        let validated = validate(&mended).unwrap();
        assert_eq!(validated.max_timestamp_to_patch(), Some(Timestamp(1_007)));
        set_max_timestamp(&mut mended, Timestamp(1_007));
        assert_eq!(mended, compressed(&batch_of(&three_records()), encoder));
    }
}

#[test]
fn what_cannot_be_decompressed_is_refused() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let batch = edited(|batch| {
            put(batch, POSITION_OF_ATTRIBUTES, (codec as i16).to_be_bytes());
            batch[HEADER_SIZE_BYTES..].fill(0xff);
        });
        let found = validate(&batch);
        assert!(matches!(found, Err(BatchError::Codec(_))), "{codec:?}: {found:?}");
    }
}

#[test]
fn little_may_not_stand_for_very_much() {
    let zeros = |size: usize| {
        let mut record = three_records().remove(0);
        record.value = Some(vec![0; size]);
        compressed(&batch_of(&[record]), Encoder::Zstd)
    };
    let limited = |batch: &[u8], decompressed_bytes_max| {
        validate_from_client(batch, AppendRules { decompressed_bytes_max, ..AppendRules::NONE })
    };
    let refused = |limit_bytes| Err(BatchError::Codec(CodecError::TooLarge { limit_bytes }));
    // Beyond a thousand to one, and yet no more than an uncompressed batch may be.
    let small = zeros(1_000_000);
    assert!(small.len() < 1000);
    assert!(validate(&small).is_ok());
    assert_eq!(limited(&small, 999_999), refused(999_999));
    let large = zeros(64_000_000);
    let by_ratio = large.len() as u64 * 1000;
    assert!((1 << 20) < by_ratio && by_ratio < 64_000_000, "{by_ratio}");
    assert_eq!(validate(&large), refused(by_ratio));
}

#[test]
fn a_compacted_topic_requires_keys() {
    let rules = AppendRules { keys_required: true, ..AppendRules::NONE };
    let mut records = three_records();
    assert!(validate_from_client(&batch_of(&records), rules).is_ok());
    records[1].key = None;
    let error = BatchError::Record { index: 1, fault: RecordFault::KeyMissing };
    for encoder in ENCODERS {
        let batch = compressed(&batch_of(&records), encoder);
        assert_eq!(validate_from_client(&batch, rules), Err(error));
        assert!(validate(&batch).is_ok());
    }
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
    for encoder in ENCODERS {
        let batch = compressed(&batch, encoder);
        let found = |min, max| validate_from_client(&batch, rules(min, max)).err();
        assert_eq!(found(993, 1_007), None);
        assert_eq!(found(994, 1_007), Some(refused(2, 993, 994, 1_007)));
        assert_eq!(found(993, 1_006), Some(refused(1, 1_007, 993, 1_006)));
    }
}

proptest! {
    #[test]
    fn what_the_builder_writes_is_valid(records in any_records()) {
        let batch = batch_of(&records);
        let validated = validate(&batch).unwrap();
        let max_timestamp = records.iter().map(|record| record.timestamp).max().unwrap();
        prop_assert_eq!(validated.max_timestamp, max_timestamp.max(Timestamp::NONE));
        prop_assert_eq!(validated.max_timestamp_to_patch(), None);
        prop_assert_eq!(validated.header.size_bytes(), batch.len());
    }
}
