//! Each stamp changes its fields and nothing else, and leaves a right CRC.

use super::super::testing::{batch_of, three_records};
use super::super::{TimestampType, check_crc};
use super::*;

/// Positions where the two differ.
fn changed(before: &[u8], after: &[u8]) -> Vec<usize> {
    (0..before.len()).filter(|&position| before[position] != after[position]).collect()
}

#[test]
fn a_place_in_the_log_is_outside_the_crc() {
    let before = batch_of(&three_records());
    let mut after = before.clone();
    assign(&mut after, Offset(0x0101_0101_0101_0101), LeaderEpoch(0x0101_0101));
    assert_eq!(changed(&before, &after), (0..8).chain(12..16).collect::<Vec<_>>());
    let header = BatchHeader::read(&after).unwrap();
    assert_eq!(header.base_offset, Offset(0x0101_0101_0101_0101));
    assert_eq!(header.leader_epoch, LeaderEpoch(0x0101_0101));
    assert_eq!(check_crc(&after), Ok(()));
}

#[test]
fn a_corrected_max_timestamp_comes_with_its_crc() {
    let before = batch_of(&three_records());
    let mut after = before.clone();
    set_max_timestamp(&mut after, Timestamp(i64::MAX));
    assert!(
        changed(&before, &after).iter().all(|at| (17..21).contains(at) || (35..43).contains(at))
    );
    let header = BatchHeader::read(&after).unwrap();
    assert_eq!(header.max_timestamp, Timestamp(i64::MAX));
    assert_eq!(header.timestamp_type(), TimestampType::CreateTime);
    assert_eq!(check_crc(&after), Ok(()));
}

#[test]
fn log_append_time_sets_its_attribute_and_the_max_timestamp() {
    let before = batch_of(&three_records());
    let mut after = before.clone();
    set_log_append_time(&mut after, Timestamp(i64::MAX));
    let allowed = |at: &usize| (17..23).contains(at) || (35..43).contains(at);
    assert!(changed(&before, &after).iter().all(allowed));
    let header = BatchHeader::read(&after).unwrap();
    assert_eq!(header.max_timestamp, Timestamp(i64::MAX));
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(check_crc(&after), Ok(()));
}

#[test]
fn other_records_come_with_their_length_codec_and_crc() {
    let mut before = batch_of(&three_records());
    set_log_append_time(&mut before, Timestamp(5));
    let records = before[HEADER_SIZE_BYTES..].to_vec();
    let after = with_records(&before, Compression::Zstd, b"other");
    assert!(
        changed(&before[..61], &after[..61])
            .iter()
            .all(|at| { (8..12).contains(at) || (17..21).contains(at) || *at == 22 })
    );
    let header = BatchHeader::read(&after).unwrap();
    assert_eq!(header.size_bytes(), HEADER_SIZE_BYTES + 5);
    assert_eq!(header.compression(), Ok(Compression::Zstd));
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(&after[HEADER_SIZE_BYTES..], b"other");
    assert_eq!(check_crc(&after), Ok(()));
    assert_eq!(with_records(&after, Compression::None, &records), before);
}
