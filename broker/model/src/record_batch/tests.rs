//! Headers: every field in its place, every flag, every length; and no bytes that panic.

use expect_test::expect;
use proptest::prelude::*;

use super::stamp::{put, update_crc};
use super::testing::{any_records, batch_of, edited, three_records};
use super::*;

#[test]
fn a_header_has_its_fields_where_kafka_has_them() {
    let mut batch = edited(|batch| {
        put(batch, POSITION_OF_BASE_OFFSET, 0x0102_0304_0506_0708_i64.to_be_bytes());
        put(batch, POSITION_OF_LEADER_EPOCH, 0x1112_1314_i32.to_be_bytes());
        put(batch, POSITION_OF_ATTRIBUTES, 0x0073_i16.to_be_bytes());
        put(batch, POSITION_OF_PRODUCER_ID, 0x2122_2324_2526_2728_i64.to_be_bytes());
        put(batch, POSITION_OF_PRODUCER_EPOCH, 0x3132_i16.to_be_bytes());
        put(batch, POSITION_OF_BASE_SEQUENCE, 0x4142_4344_i32.to_be_bytes());
    });
    update_crc(&mut batch);
    let header = BatchHeader::read(&batch).unwrap();
    expect![[r#"
        BatchHeader {
            base_offset: Offset(
                72623859790382856,
            ),
            length: 86,
            leader_epoch: LeaderEpoch(
                286397204,
            ),
            crc: 795644100,
            attributes: 115,
            last_offset_delta: 2,
            base_timestamp: Timestamp(
                1000,
            ),
            max_timestamp: Timestamp(
                1007,
            ),
            producer_id: ProducerId(
                2387509390608836392,
            ),
            producer_epoch: ProducerEpoch(
                12594,
            ),
            base_sequence: 1094861636,
            records_count: 3,
        }
    "#]]
    .assert_debug_eq(&header);
    assert_eq!(header.size_bytes(), batch.len());
    assert_eq!(header.last_offset(), header.base_offset + 2);
    assert_eq!(header.next_offset(), header.base_offset + 3);
    assert_eq!(header.compression(), Ok(Compression::Lz4));
    assert_eq!(header.timestamp_type(), TimestampType::CreateTime);
    assert!(header.is_transactional());
    assert!(header.is_control());
    assert!(header.has_delete_horizon());
    assert!(header.is_idempotent());
    assert_eq!(check_crc(&batch), Ok(()));
}

#[test]
fn a_plain_batch_has_no_flag() {
    let header = BatchHeader::read(&batch_of(&three_records())).unwrap();
    assert_eq!(header.compression(), Ok(Compression::None));
    assert_eq!(header.timestamp_type(), TimestampType::CreateTime);
    assert!(!header.is_transactional());
    assert!(!header.is_control());
    assert!(!header.has_delete_horizon());
    assert!(!header.is_idempotent());
}

#[test]
fn codecs_five_to_seven_are_unknown() {
    for codec in 5..8_i16 {
        let batch = edited(|batch| put(batch, POSITION_OF_ATTRIBUTES, codec.to_be_bytes()));
        let header = BatchHeader::read(&batch).unwrap();
        assert_eq!(header.compression(), Err(BatchError::UnknownCompression { codec }));
    }
}

#[test]
fn a_header_needs_its_61_bytes_and_no_more() {
    let batch = batch_of(&three_records());
    assert_eq!(BatchHeader::read(&batch[..HEADER_SIZE_BYTES]), BatchHeader::read(&batch),);
    for available_bytes in 0..HEADER_SIZE_BYTES {
        assert_eq!(
            BatchHeader::read(&batch[..available_bytes]),
            Err(BatchError::Truncated { needed_bytes: HEADER_SIZE_BYTES, available_bytes }),
        );
    }
}

#[test]
fn other_formats_are_told_from_garbage() {
    let with_magic = |magic: i8| {
        BatchHeader::read(&edited(|batch| put(batch, POSITION_OF_MAGIC, magic.to_be_bytes())))
    };
    assert_eq!(with_magic(0), Err(BatchError::OldMagic { magic: 0 }));
    assert_eq!(with_magic(1), Err(BatchError::OldMagic { magic: 1 }));
    assert_eq!(with_magic(3), Err(BatchError::UnknownMagic { magic: 3 }));
    assert_eq!(with_magic(-1), Err(BatchError::UnknownMagic { magic: -1 }));
}

#[test]
fn a_length_below_49_is_no_batch() {
    for length in [i32::MIN, -1, 0, 48] {
        let batch = edited(|batch| put(batch, POSITION_OF_LENGTH, length.to_be_bytes()));
        assert_eq!(BatchHeader::read(&batch), Err(BatchError::LengthTooSmall { length }));
    }
    let batch = edited(|batch| put(batch, POSITION_OF_LENGTH, 49_i32.to_be_bytes()));
    assert_eq!(BatchHeader::read(&batch).unwrap().size_bytes(), HEADER_SIZE_BYTES);
}

#[test]
fn offsets_of_garbage_saturate() {
    let batch = edited(|batch| put(batch, POSITION_OF_BASE_OFFSET, i64::MAX.to_be_bytes()));
    let header = BatchHeader::read(&batch).unwrap();
    assert_eq!(header.last_offset(), Offset(i64::MAX));
    assert_eq!(header.next_offset(), Offset(i64::MAX));
}

proptest! {
    #[test]
    fn a_flip_of_any_byte_under_the_crc_is_detected(
        records in any_records(),
        position: proptest::sample::Index,
        flip in 1..=u8::MAX,
    ) {
        let mut batch = batch_of(&records);
        let position = position.index(batch.len() - POSITION_OF_CRC) + POSITION_OF_CRC;
        batch[position] ^= flip;
        let found = check_crc(&batch);
        let is_mismatch = matches!(found, Err(BatchError::CrcMismatch { .. }));
        prop_assert!(is_mismatch, "{:?}", found);
        prop_assert_eq!(validate_from_client(&batch, AppendRules::NONE).err(), found.err());
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_everything(&bytes);
    }

    /// Random bytes rarely get past the magic, so most of the damage is done to a valid batch.
    #[test]
    fn no_damage_panics(
        records in any_records(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        cut: proptest::sample::Index,
        crc_is_right: bool,
    ) {
        let mut batch = batch_of(&records);
        for (position, byte) in damage {
            let position = position.index(batch.len());
            batch[position] = byte;
        }
        if crc_is_right {
            update_crc(&mut batch);
        }
        read_everything(&batch);
        read_everything(&batch[..cut.index(batch.len())]);
    }
}

/// Calls every reader and asks for everything it hands out.
fn read_everything(bytes: &[u8]) {
    if let Ok(header) = BatchHeader::read(bytes) {
        let _ = (header.size_bytes(), header.next_offset(), header.compression());
        let _ = (header.timestamp_type(), header.is_idempotent());
    }
    let _ = check_crc(bytes);
    let _ = validate_from_client(bytes, AppendRules::NONE);
    for record in Records::read(bytes).into_iter().flatten().flatten() {
        assert_eq!(record.headers.count(), record.headers.len());
    }
    for batch in Batches::new(bytes).flatten() {
        for record in Records::read(batch.1).into_iter().flatten() {
            let _ = record;
        }
    }
}
