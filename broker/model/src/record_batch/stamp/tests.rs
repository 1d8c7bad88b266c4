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
