//! A walk tells what [`Records`] reads, whatever the codec and however often it pauses.

use proptest::prelude::*;

use super::super::stamp::put;
use super::super::testing::{any_records, batch_of, compressed, three_records};
use super::super::{
    POSITION_OF_ATTRIBUTES, POSITION_OF_LENGTH, POSITION_OF_RECORDS_COUNT, Records,
    set_log_append_time,
};
use super::*;
use crate::codec::testing::{ENCODERS, Encoder};

/// The records up to the end or an error, with a new budget after every pause.
fn walked(batch: &[u8], budget: usize) -> (Vec<WalkedRecord>, Option<BatchError>) {
    let mut walk = RecordsWalk::new(batch, u64::MAX).unwrap();
    let (mut records, mut budget_bytes) = (Vec::new(), budget);
    loop {
        match walk.step(&mut budget_bytes) {
            Ok(Step::Record(record)) => records.push(record),
            Ok(Step::Paused) => {
                assert_eq!(budget_bytes, 0, "it pauses when the budget is used up");
                budget_bytes = budget;
            }
            Ok(Step::End) => return (records, None),
            Err(error) => return (records, Some(error)),
        }
    }
}

/// The same, of an uncompressed batch by its plain reader.
fn read(batch: &[u8]) -> (Vec<WalkedRecord>, Option<BatchError>) {
    let mut records = Vec::new();
    for record in Records::read(batch).unwrap() {
        match record {
            Ok(record) => records.push(WalkedRecord {
                offset_delta: record.offset_delta,
                timestamp: record.timestamp,
                has_key: record.key.is_some(),
            }),
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}

#[test]
fn a_record_may_be_larger_than_the_window() {
    let mut records = three_records();
    records[0].key = Some(vec![1; 300_000]);
    records[1].value =
        Some((0..1_000_000_u32).map(|n| n.wrapping_mul(n).to_le_bytes()[1]).collect());
    records[2].headers = vec![(vec![2; 70_000], Some(vec![3; 70_000])), (vec![], None)];
    let batch = batch_of(&records);
    let expected = read(&batch);
    assert_eq!(expected.0.len(), 3);
    for encoder in ENCODERS {
        let batch = compressed(&batch, encoder);
        assert_eq!(walked(&batch, 64 << 10), expected, "{encoder:?}");
        assert_eq!(walked(&batch, usize::MAX), expected, "{encoder:?}");
    }
}

#[test]
fn a_walk_of_many_small_records_pauses_by_its_budget() {
    let records: Vec<_> = (0..50_000).map(|n| three_records().remove(n % 3)).collect();
    let batch = batch_of(&records);
    for encoder in ENCODERS {
        let batch = compressed(&batch, encoder);
        let mut walk = RecordsWalk::new(&batch, u64::MAX).unwrap();
        let (mut pauses_count, mut budget_bytes) = (0, 64 << 10);
        loop {
            match walk.step(&mut budget_bytes).unwrap() {
                Step::Record(_) => {}
                Step::Paused => {
                    pauses_count += 1;
                    budget_bytes = 64 << 10;
                }
                Step::End => break,
            }
        }
        assert!(5 < pauses_count && pauses_count < 40, "{encoder:?}: {pauses_count}");
    }
}

#[test]
fn the_append_time_replaces_the_time_of_every_record() {
    for encoder in ENCODERS {
        let mut batch = compressed(&batch_of(&three_records()), encoder);
        set_log_append_time(&mut batch, Timestamp(5_000));
        let (records, error) = walked(&batch, 1);
        assert_eq!(error, None);
        assert!(records.iter().all(|record| record.timestamp == Timestamp(5_000)));
        assert_eq!(records.len(), 3);
    }
}

#[test]
fn no_more_comes_out_than_is_allowed() {
    let mut records = three_records();
    records[1].value = Some(vec![0; 1_000_000]);
    let batch = batch_of(&records);
    for encoder in ENCODERS {
        let batch = compressed(&batch, encoder);
        let mut walk = RecordsWalk::new(&batch, 900_000).unwrap();
        let mut budget_bytes = usize::MAX;
        let error = loop {
            match walk.step(&mut budget_bytes) {
                Ok(Step::Record(_)) => {}
                Ok(step) => panic!("{encoder:?}: {step:?}"),
                Err(error) => break error,
            }
        };
        let too_large = CodecError::TooLarge { limit_bytes: 900_000 };
        assert_eq!(error, BatchError::Codec(too_large), "{encoder:?}");
    }
}

fn any_encoder() -> impl Strategy<Value = Encoder> {
    proptest::sample::select(&ENCODERS)
}

proptest! {
    #[test]
    fn a_walk_tells_what_is_written(
        records in any_records(),
        encoder in any_encoder(),
        budget in 1..5000_usize,
    ) {
        let batch = batch_of(&records);
        let (expected, error) = read(&batch);
        prop_assert_eq!(error, None);
        prop_assert_eq!(walked(&compressed(&batch, encoder), budget), (expected, None));
    }

    /// Faults may be told with other numbers, as a walk does not see what follows the window.
    #[test]
    fn a_walk_finds_the_faults_that_a_reader_finds(
        records in any_records(),
        encoder in any_encoder(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        count in proptest::option::of(-1..14_i32),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut batch = batch_of(&records);
        let records_bytes = batch.len() - HEADER_SIZE_BYTES;
        for (position, byte) in damage {
            batch[HEADER_SIZE_BYTES + position.index(records_bytes)] = byte;
        }
        if let Some(count) = count {
            put(&mut batch, POSITION_OF_RECORDS_COUNT, count.to_be_bytes());
        }
        if let Some(cut) = cut {
            batch.truncate(HEADER_SIZE_BYTES + cut.index(records_bytes));
            let length = i32::try_from(batch.len() - 12).unwrap();
            put(&mut batch, POSITION_OF_LENGTH, length.to_be_bytes());
        }
        let (expected, expected_error) = read(&batch);
        let (found, error) = walked(&compressed(&batch, encoder), 100);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(error.map(kind), expected_error.map(kind));
    }

    #[test]
    fn no_bytes_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        encoder in any_encoder(),
        count: i32,
        is_encoded: bool,
    ) {
        let mut batch = batch_of(&three_records());
        batch.truncate(HEADER_SIZE_BYTES);
        batch.extend(&bytes);
        put(&mut batch, POSITION_OF_RECORDS_COUNT, count.to_be_bytes());
        if is_encoded {
            batch = compressed(&batch, encoder);
        } else {
            put(&mut batch, POSITION_OF_LENGTH, i32::try_from(49 + bytes.len()).unwrap().to_be_bytes());
            put(&mut batch, POSITION_OF_ATTRIBUTES, (encoder.compression() as i16).to_be_bytes());
        }
        let _ = walked(&batch, 1000);
    }
}

/// Which record, if it is a record's fault.
fn kind(error: BatchError) -> Option<i32> {
    match error {
        BatchError::Record { index, .. } => Some(index),
        _ => None,
    }
}
