//! Tests of the books: each anomaly is planted and found, and what is next to it is not.

use super::*;

const RUN: u32 = 7;
const KEYS: u32 = 4;
const PARTITIONS: u32 = 2;

/// Ten records, all sent and acknowledged. Record n has the key n % 4.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(RUN, 0, KEYS, PARTITIONS);
    assert_eq!(ledger.plan(10), 0);
    ledger.note_sent(0, 10);
    ledger.note_acknowledged(0, 10);
    ledger
}

fn value(sequence: u64) -> Value {
    let key = u32::try_from(sequence).unwrap() % KEYS;
    Value { run: RUN, worker: 0, key, sequence, intended_ns: 0 }
}

fn read(ledger: &mut Ledger, sequence: u64) -> Sighting {
    let value = value(sequence);
    ledger.note_read(value.key % PARTITIONS, Ok(value))
}

const KEPT: Counts = Counts {
    planned: 10,
    sent: 10,
    acknowledged: 10,
    consumed: 10,
    unsent: 0,
    failed: 0,
    unknown: 0,
    missing: 0,
    duplicated: 0,
    out_of_order: 0,
    corrupt: 0,
    failed_but_consumed: 0,
    foreign: 0,
};

#[test]
fn partitions_may_be_read_in_any_turns() {
    let mut ledger = ledger();
    // All of one partition before the other, and keys of a partition in their own order.
    for sequence in [0, 4, 2, 8, 6, 1, 3, 5, 7, 9] {
        assert_eq!(read(&mut ledger, sequence), Sighting::Expected, "{sequence}");
    }
    assert_eq!(ledger.counts(true), KEPT);
    assert!(ledger.counts(true).is_kept(true));
}

#[test]
fn a_missing_record_is_missed() {
    let mut ledger = ledger();
    for sequence in (0..10).filter(|&sequence| sequence != 5) {
        assert_eq!(read(&mut ledger, sequence), Sighting::Expected);
    }
    let counts = ledger.counts(true);
    assert_eq!(counts, Counts { consumed: 9, missing: 1, ..KEPT });
    assert!(!counts.is_kept(true));
}

#[test]
fn a_record_that_was_never_acknowledged_is_not_missed() {
    let mut ledger = Ledger::new(RUN, 0, KEYS, PARTITIONS);
    ledger.plan(6);
    ledger.note_sent(0, 5);
    ledger.note_acknowledged(0, 2);
    ledger.note_failed(2, 2);
    // Record 4 was sent and not answered, record 5 not even sent.
    for sequence in 0..2 {
        read(&mut ledger, sequence);
    }
    let counts = ledger.counts(true);
    let expected = Counts {
        planned: 6,
        unsent: 1,
        sent: 5,
        acknowledged: 2,
        failed: 2,
        unknown: 1,
        consumed: 2,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
    assert!(counts.is_kept(true));
    // What was refused and is there all the same is told, and is no broken promise.
    read(&mut ledger, 3);
    let counts = ledger.counts(true);
    assert_eq!(counts, Counts { consumed: 3, failed_but_consumed: 1, ..expected });
    assert!(counts.is_kept(true));
}

#[test]
fn a_duplicate_is_found_once_for_every_time_too_many() {
    let mut ledger = ledger();
    for sequence in 0..10 {
        read(&mut ledger, sequence);
    }
    assert_eq!(read(&mut ledger, 3), Sighting::Duplicate);
    assert_eq!(read(&mut ledger, 3), Sighting::Duplicate);
    let counts = ledger.counts(true);
    assert_eq!(counts, Counts { duplicated: 2, ..KEPT });
    assert!(!counts.is_kept(true) && !counts.is_kept(false));
}

#[test]
fn a_record_overtaken_by_a_later_one_of_its_key_is_out_of_order() {
    let mut ledger = ledger();
    for sequence in [0, 8, 1, 2, 3] {
        assert_eq!(read(&mut ledger, sequence), Sighting::Expected);
    }
    assert_eq!(read(&mut ledger, 4), Sighting::OutOfOrder);
    // Of other keys, everything is as before.
    for sequence in [5, 6, 7, 9] {
        assert_eq!(read(&mut ledger, sequence), Sighting::Expected);
    }
    let counts = ledger.counts(true);
    assert_eq!(counts, Counts { out_of_order: 1, ..KEPT });
    assert!(!counts.is_kept(true));
}

#[test]
fn damaged_and_misplaced_records_are_corrupt() {
    let mut ledger = ledger();
    for damage in [Damage::TooShort, Damage::Checksum, Damage::Key] {
        assert_eq!(ledger.note_read(0, Err(damage)), Sighting::Corrupt);
    }
    // In the partition of another key, of a worker that does not send here, never sent at all.
    assert_eq!(ledger.note_read(1, Ok(value(0))), Sighting::Corrupt);
    assert_eq!(ledger.note_read(0, Ok(Value { worker: 1, ..value(0) })), Sighting::Corrupt);
    assert_eq!(ledger.note_read(0, Ok(value(20))), Sighting::Corrupt);
    let counts = ledger.counts(true);
    assert_eq!((counts.corrupt, counts.consumed), (6, 0));
    assert!(!Counts { missing: 0, ..counts }.is_kept(true));
}

#[test]
fn records_of_another_run_are_passed_over() {
    let mut ledger = ledger();
    let other = Value { run: RUN + 1, ..value(0) };
    assert_eq!(ledger.note_read(1, Ok(other)), Sighting::Foreign);
    for sequence in 0..10 {
        assert_eq!(read(&mut ledger, sequence), Sighting::Expected);
    }
    assert_eq!(ledger.counts(true), Counts { foreign: 1, ..KEPT });
}

#[test]
fn without_acks_what_is_missing_is_counted_but_was_not_promised() {
    let mut ledger = Ledger::new(RUN, 0, KEYS, PARTITIONS);
    ledger.plan(3);
    ledger.note_sent(0, 3);
    read(&mut ledger, 0);
    let counts = ledger.counts(false);
    assert_eq!((counts.sent, counts.consumed, counts.missing, counts.unknown), (3, 1, 2, 0));
    assert!(counts.is_kept(false));
    assert!(!counts.is_kept(true));
}

#[test]
fn books_that_grow_go_on_counting() {
    let mut ledger = Ledger::new(RUN, 0, KEYS, PARTITIONS);
    assert_eq!(ledger.plan(3), 0);
    assert_eq!(ledger.plan(2), 3);
    ledger.note_sent(3, 2);
    assert_eq!(read(&mut ledger, 4), Sighting::Expected);
    let sum = ledger.counts(true).plus(ledger.counts(true));
    assert_eq!((sum.planned, sum.sent, sum.consumed, sum.unsent), (10, 4, 2, 6));
}
