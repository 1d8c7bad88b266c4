use std::collections::BTreeMap;

use model::{LogIndex, Offset, ProducerEpoch, ProducerId, Timestamp};
use proptest::prelude::*;
use storage::BatchStamp;

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn stamp(epoch: i16, base_sequence: i32, records: u32, base_offset: i64) -> BatchStamp {
    BatchStamp {
        base_offset: Offset(base_offset),
        offsets_count: records,
        crc: 0,
        attributes: 0,
        base_timestamp: Timestamp(5),
        max_timestamp: Timestamp(6),
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
    }
}

/// Appends what is new, as a replica does.
#[derive(Default)]
struct Appender {
    states: ProducerStates,
    index: u64,
    offset: i64,
}

impl Appender {
    fn append(
        &mut self,
        epoch: i16,
        base_sequence: i32,
        records: u32,
    ) -> Result<Option<i64>, SequenceError> {
        let stamp = stamp(epoch, base_sequence, records, self.offset);
        if let Some(duplicate) = self.states.check(&stamp)? {
            assert_eq!(duplicate.next_offset - duplicate.base_offset, i64::from(records));
            return Ok(Some(duplicate.base_offset.0));
        }
        self.states.stage(LogIndex(self.index), &stamp);
        self.index += 1;
        self.offset += i64::from(records);
        Ok(None)
    }

    fn apply_all(&mut self) {
        self.states.apply(LogIndex(self.index), NOW);
    }
}

fn out_of_order(sequence: i32, last: i32) -> Result<Option<i64>, SequenceError> {
    Err(SequenceError::OutOfOrder { sequence, last })
}

/// kafka-compatibility 3.3, idempotence window: the last five batches are known, staged or applied.
#[test]
fn the_last_five_batches_are_answered_with_their_old_offsets() {
    for applied_after in 0..=7 {
        let mut producer = Appender::default();
        for n in 0..7 {
            assert_eq!(producer.append(0, n * 10, 10), Ok(None));
            if n + 1 == applied_after {
                producer.apply_all();
            }
        }
        for n in 2..7 {
            assert_eq!(producer.append(0, n * 10, 10), Ok(Some(i64::from(n) * 10)), "batch {n}");
        }
        // Older than the window: Kafka knows it no more and answers OUT_OF_ORDER_SEQUENCE.
        assert_eq!(producer.append(0, 10, 10), out_of_order(10, 69));
        // The same first number but another size is not the same batch.
        assert_eq!(producer.append(0, 60, 9), out_of_order(60, 69));
        assert_eq!(producer.append(0, 70, 1), Ok(None));
    }
}

#[test]
fn a_gap_is_refused_and_what_follows_is_accepted() {
    let mut producer = Appender::default();
    assert_eq!(producer.append(0, 0, 3), Ok(None));
    assert_eq!(producer.append(0, 4, 1), out_of_order(4, 2));
    assert_eq!(producer.append(0, 2, 1), out_of_order(2, 2));
    assert_eq!(producer.append(0, 3, 1), Ok(None));
}

/// kafka-compatibility 3.3: no state, so any sequence number is accepted.
#[test]
fn the_first_batch_of_an_unknown_producer_may_have_any_number() {
    let mut producer = Appender::default();
    assert_eq!(producer.append(3, 1234, 1), Ok(None));
    assert_eq!(producer.append(3, 1235, 1), Ok(None));
}

#[test]
fn what_follows_on_a_first_batch_that_was_turned_away_waits_for_it() {
    let mut appender = Appender::default();
    appender.states.turn_away(&stamp(0, 3, 2, 0));
    let early = SequenceError::Early { sequence: 5, awaited: 3 };
    assert_eq!(appender.append(0, 5, 1), Err(early));
    // A new session need not wait for the old one.
    let mut other = Appender { states: appender.states.clone(), ..Appender::default() };
    assert_eq!(other.append(1, 0, 1), Ok(None));
    assert_eq!(appender.append(0, 3, 2), Ok(None));
    assert_eq!(appender.append(0, 5, 1), Ok(None));
    // Of a known producer the numbers say enough.
    appender.states.turn_away(&stamp(0, 6, 1, 0));
    assert_eq!(appender.append(0, 6, 1), Ok(None));
}

#[test]
fn a_new_epoch_begins_with_zero_and_fences_the_old_one() {
    let mut producer = Appender::default();
    assert_eq!(producer.append(1, 0, 5), Ok(None));
    let epoch = ProducerEpoch(2);
    assert_eq!(producer.append(2, 5, 1), Err(SequenceError::NewEpoch { epoch, sequence: 5 }));
    assert_eq!(producer.append(2, 0, 1), Ok(None));
    let old = SequenceError::OldEpoch { theirs: ProducerEpoch(1), ours: epoch };
    // A duplicate of an old epoch is fenced as well.
    assert_eq!(producer.append(1, 0, 5), Err(old));
    assert_eq!(producer.append(1, 5, 1), Err(old));
    producer.apply_all();
    assert_eq!(producer.append(1, 0, 5), Err(old));
    assert_eq!(producer.append(2, 0, 1), Ok(Some(5)));
}

/// kafka-compatibility 3.3, sequence wrap: after the highest number comes 0.
#[test]
fn numbers_go_on_with_zero_after_the_highest() {
    let mut producer = Appender::default();
    assert_eq!(producer.append(0, i32::MAX - 1, 1), Ok(None));
    // Its records are MAX, 0 and 1.
    assert_eq!(producer.append(0, i32::MAX, 3), Ok(None));
    assert_eq!(producer.append(0, i32::MAX, 3), Ok(Some(1)));
    assert_eq!(producer.append(0, 0, 1), out_of_order(0, 1));
    assert_eq!(producer.append(0, 2, 1), Ok(None));
    assert_eq!(sequence_after(i32::MAX, 1), 0);
    assert_eq!(sequence_after(i32::MAX, u32::try_from(i32::MAX).unwrap()), i32::MAX - 1);
}

#[test]
fn what_is_cut_away_may_be_sent_again() {
    let mut producer = Appender::default();
    for n in 0..4 {
        assert_eq!(producer.append(0, n, 1), Ok(None));
    }
    producer.states.apply(LogIndex(1), NOW);
    producer.states.truncate(LogIndex(2));
    producer.index = 2;
    assert_eq!(producer.append(0, 0, 1), Ok(Some(0)));
    assert_eq!(producer.append(0, 1, 1), Ok(Some(1)));
    assert_eq!(producer.append(0, 3, 1), out_of_order(3, 1));
    assert_eq!(producer.append(0, 2, 1), Ok(None));
}

#[test]
fn producers_without_an_id_are_not_remembered() {
    let mut states = ProducerStates::default();
    let plain = BatchStamp { producer_id: ProducerId::NONE, ..stamp(-1, -1, 1, 0) };
    for index in 0..3 {
        assert_eq!(states.check(&plain), Ok(None));
        states.stage(LogIndex(index), &plain);
    }
    states.apply(LogIndex(3), NOW);
    assert!(states.is_empty());
}

#[test]
fn a_producer_expires_after_its_last_batch_and_not_while_one_is_staged() {
    let mut producer = Appender::default();
    assert_eq!(producer.append(0, 0, 1), Ok(None));
    producer.apply_all();
    producer.states.expire(NOW);
    assert_eq!(producer.states.len(), 1);
    assert_eq!(producer.append(0, 1, 1), Ok(None));
    producer.states.expire(Timestamp(NOW.0 + 1));
    assert_eq!(producer.states.len(), 1);
    producer.apply_all();
    producer.states.expire(Timestamp(NOW.0 + 1));
    assert_eq!(producer.states.len(), 0);
}

#[test]
fn a_snapshot_reads_back_and_damage_is_told() {
    let mut producer = Appender::default();
    for n in 0..9 {
        assert_eq!(producer.append(0, n, 1), Ok(None));
    }
    producer.apply_all();
    let bytes = producer.states.encode();
    let states = ProducerStates::decode(&bytes).unwrap();
    assert_eq!(states.applied, producer.states.applied);
    for size in 0..bytes.len() {
        assert_eq!(ProducerStates::decode(&bytes[..size]).err(), Some(SnapshotError::Damaged));
    }
    let mut newer = bytes.to_vec();
    newer[0] = 9;
    let error = ProducerStates::decode(&newer).err();
    assert_eq!(error, Some(SnapshotError::Newer { version: 9 }));
}

/// Kafka's rules, written down once more without staging: every producer has one list.
#[derive(Default)]
struct Oracle(BTreeMap<ProducerId, (i16, Vec<Sent>)>);

/// First and last sequence number, and base offset.
type Sent = (i32, i32, i64);

proptest! {
    #[test]
    fn staging_changes_no_verdict(
        steps in prop::collection::vec((0_i64..3, 0_i16..3, 0_i32..8, 1_u32..3, 0_u8..6), 1..200),
    ) {
        let mut states = ProducerStates::default();
        let mut oracle = Oracle::default();
        let (mut index, mut offset) = (0, 0);
        for (id, epoch, sequence, records, apply) in steps {
            let mut stamp = stamp(epoch, sequence, records, offset);
            stamp.producer_id = ProducerId(id);
            let verdict = states.check(&stamp);
            let last_sequence = sequence + i32::try_from(records).unwrap() - 1;
            let expected = match oracle.0.get(&ProducerId(id)) {
                None => Ok(None),
                Some((ours, batches)) => {
                    let last_five = &batches[batches.len().saturating_sub(5)..];
                    let known = last_five.iter().rev()
                        .find(|known| (known.0, known.1) == (sequence, last_sequence));
                    match known.filter(|_| *ours == epoch) {
                        Some(known) => Ok(Some(known.2)),
                        None if epoch < *ours => Err(47),
                        None if *ours < epoch => if sequence == 0 { Ok(None) } else { Err(45) },
                        None if batches.last().unwrap().1 + 1 == sequence => Ok(None),
                        None => Err(45),
                    }
                }
            };
            let found = verdict.map(|known| known.map(|known| known.base_offset.0));
            let found = found.map_err(|error| match error {
                SequenceError::OldEpoch { .. } => 47,
                SequenceError::NewEpoch { .. }
                | SequenceError::OutOfOrder { .. }
                | SequenceError::Early { .. } => 45,
            });
            prop_assert_eq!(&found, &expected);
            if found == Ok(None) {
                states.stage(LogIndex(index), &stamp);
                let entry = oracle.0.entry(ProducerId(id)).or_insert((epoch, vec![]));
                if entry.0 != epoch {
                    *entry = (epoch, vec![]);
                }
                entry.1.push((sequence, last_sequence, offset));
                index += 1;
                offset += i64::from(records);
            }
            if apply == 0 {
                states.apply(LogIndex(index.saturating_sub(1)), NOW);
            }
            if apply == 1 {
                states.apply(LogIndex(index), NOW);
                let mut again = ProducerStates::decode(&states.encode()).unwrap();
                again.staged.clone_from(&states.staged);
                states = again;
            }
        }
    }
}
