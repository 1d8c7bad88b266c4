//! What idempotent producers have sent: Kafka's rules for sequence numbers (KIP-98).
//!
//! A producer numbers its records for each partition. Of each producer the last five batches are
//! remembered, which is how many a client may have in flight, so that one that is sent again is
//! known and answered with its old offsets. The rules are those of Kafka's `ProducerAppendInfo`
//! and `ProducerStateEntry`.
//!
//! The state is in two parts: what is *applied* covers committed entries; what is *staged* has been
//! appended and may still be cut away. A check looks at both.

mod snapshot;

use std::collections::{BTreeMap, VecDeque};

use model::{LogIndex, Offset, ProducerEpoch, ProducerId, Timestamp};
use runtime::sim::{PlantedBug, has_bug};
use storage::BatchStamp;

pub use snapshot::SnapshotError;

/// Batches remembered of a producer (`max.in.flight.requests.per.connection` may be no more).
const BATCHES_COUNT: usize = 5;

/// The batch was appended before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Where it stands.
    pub base_offset: Offset,
    /// After its last record.
    pub next_offset: Offset,
    /// Its highest timestamp.
    pub max_timestamp: Timestamp,
}

/// Why a batch does not follow on what its producer sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// A later session of the producer has written here.
    #[error("producer epoch {} is older than {}", theirs.0, ours.0)]
    OldEpoch {
        /// Of the batch.
        theirs: ProducerEpoch,
        /// Of the last batch.
        ours: ProducerEpoch,
    },
    /// The first batch of a new session must begin with 0.
    #[error("the first sequence number of producer epoch {} is {sequence}, 0 expected", epoch.0)]
    NewEpoch {
        /// Of the batch.
        epoch: ProducerEpoch,
        /// Of its first record.
        sequence: i32,
    },
    /// A batch is missing before it, or it is a duplicate that is too old to be known.
    #[error("sequence number {sequence} does not follow on {last}")]
    OutOfOrder {
        /// Of the batch's first record.
        sequence: i32,
        /// Of the last record before it.
        last: i32,
    },
    /// The producer is not known here, and a batch before this one was turned away.
    #[error("sequence number {sequence} comes before {awaited}, which could not be taken")]
    Early {
        /// Of the batch's first record.
        sequence: i32,
        /// Of the batch that has to be sent again first.
        awaited: i32,
    },
}

/// So many producers may have been turned away with their first batch at a time.
const AWAITED_MAX: usize = 1024;

/// One batch, as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remembered {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: Offset,
    next_offset: Offset,
    max_timestamp: Timestamp,
}

impl Remembered {
    fn of(stamp: &BatchStamp) -> Remembered {
        Remembered {
            base_sequence: stamp.base_sequence,
            last_sequence: sequence_after(stamp.base_sequence, stamp.offsets_count - 1),
            base_offset: stamp.base_offset,
            next_offset: stamp.next_offset(),
            max_timestamp: stamp.max_timestamp,
        }
    }
}

/// One producer, as far as entries are committed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Producer {
    epoch: ProducerEpoch,
    /// Of this epoch, oldest first; never empty.
    batches: VecDeque<Remembered>,
    /// When it last wrote, for its expiry.
    used_at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Staged {
    index: LogIndex,
    producer_id: ProducerId,
    epoch: ProducerEpoch,
    batch: Remembered,
}

/// The producers of one partition.
#[derive(Clone, Debug, Default)]
pub struct ProducerStates {
    applied: BTreeMap<ProducerId, Producer>,
    /// Appended and not committed, in the order of the log.
    staged: VecDeque<Staged>,
    /// How many of them each producer has.
    staged_counts: BTreeMap<ProducerId, usize>,
    /// Of producers that are not known: the first number that was turned away, for example for want
    /// of room. Otherwise a smaller batch behind it could become the first, as a producer that is
    /// not known may begin with any number.
    awaited: BTreeMap<ProducerId, (ProducerEpoch, i32)>,
}

impl ProducerStates {
    /// Whether a batch may be appended: it is new, or a duplicate, or refused. What is not from an
    /// idempotent producer is always new.
    pub fn check(&self, stamp: &BatchStamp) -> Result<Option<Duplicate>, SequenceError> {
        if stamp.producer_id <= ProducerId::NONE {
            return Ok(None);
        }
        let Some((epoch, batches)) = self.recent(stamp.producer_id) else {
            return match self.awaited.get(&stamp.producer_id) {
                Some((epoch, awaited))
                    if *epoch == stamp.producer_epoch && *awaited < stamp.base_sequence =>
                {
                    let (sequence, awaited) = (stamp.base_sequence, *awaited);
                    Err(SequenceError::Early { sequence, awaited })
                }
                // The state may have expired, so any number may come.
                _ => Ok(None),
            };
        };
        let (theirs, batch) = (stamp.producer_epoch, Remembered::of(stamp));
        if theirs == epoch
            && let Some(known) = batches.iter().flatten().find(|known| {
                (known.base_sequence, known.last_sequence)
                    == (batch.base_sequence, batch.last_sequence)
            })
        {
            if has_bug(PlantedBug::AppendDuplicates) {
                return Ok(None);
            }
            let Remembered { base_offset, next_offset, max_timestamp, .. } = *known;
            return Ok(Some(Duplicate { base_offset, next_offset, max_timestamp }));
        }
        if theirs < epoch {
            return Err(SequenceError::OldEpoch { theirs, ours: epoch });
        }
        if epoch < theirs {
            return match batch.base_sequence {
                0 => Ok(None),
                sequence => Err(SequenceError::NewEpoch { epoch: theirs, sequence }),
            };
        }
        let last = batches.iter().flatten().next_back().expect("a producer has a batch");
        if batch.base_sequence == sequence_after(last.last_sequence, 1) {
            return Ok(None);
        }
        let (sequence, last) = (batch.base_sequence, last.last_sequence);
        Err(SequenceError::OutOfOrder { sequence, last })
    }

    /// Notes that a batch was new and could not be appended, so that those after it wait for it.
    pub fn turn_away(&mut self, stamp: &BatchStamp) {
        let id = stamp.producer_id;
        if id <= ProducerId::NONE || self.recent(id).is_some() {
            return;
        }
        if self.awaited.len() == AWAITED_MAX && !self.awaited.contains_key(&id) {
            self.awaited.pop_first();
        }
        self.awaited.insert(id, (stamp.producer_epoch, stamp.base_sequence));
    }

    /// Notes that a batch has been appended at this place of the log.
    pub fn stage(&mut self, index: LogIndex, stamp: &BatchStamp) {
        if stamp.producer_id <= ProducerId::NONE {
            return;
        }
        let last = self.staged.back();
        assert!(last.is_none_or(|last| last.index < index), "batches are staged in their order");
        self.awaited.remove(&stamp.producer_id);
        *self.staged_counts.entry(stamp.producer_id).or_default() += 1;
        self.staged.push_back(Staged {
            index,
            producer_id: stamp.producer_id,
            epoch: stamp.producer_epoch,
            batch: Remembered::of(stamp),
        });
    }

    /// The entries below `committed` are committed.
    pub fn apply(&mut self, committed: LogIndex, now: Timestamp) {
        while let Some(staged) = self.staged.pop_front_if(|staged| staged.index < committed) {
            self.forget_staged(staged.producer_id);
            self.apply_batch(staged.producer_id, staged.epoch, staged.batch, now);
        }
    }

    /// The entries from `end` on are gone.
    pub fn truncate(&mut self, end: LogIndex) {
        while let Some(staged) = self.staged.pop_back_if(|staged| end <= staged.index) {
            self.forget_staged(staged.producer_id);
        }
    }

    /// Applies a batch that is committed already, when the state is built anew.
    pub fn reapply(&mut self, stamp: &BatchStamp, now: Timestamp) {
        if ProducerId::NONE < stamp.producer_id {
            let batch = Remembered::of(stamp);
            self.apply_batch(stamp.producer_id, stamp.producer_epoch, batch, now);
        }
    }

    /// Forgets producers that have not written since `before`.
    pub fn expire(&mut self, before: Timestamp) {
        let staged_counts = &self.staged_counts;
        self.applied
            .retain(|id, producer| before <= producer.used_at || staged_counts.contains_key(id));
    }

    /// How many producers are known.
    pub fn len(&self) -> usize {
        self.applied.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.applied.is_empty()
    }

    fn apply_batch(
        &mut self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        batch: Remembered,
        now: Timestamp,
    ) {
        let producer = self.applied.entry(producer_id).or_insert_with(|| Producer {
            epoch,
            batches: VecDeque::with_capacity(BATCHES_COUNT),
            used_at: now,
        });
        if producer.epoch != epoch {
            producer.epoch = epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_COUNT {
            producer.batches.pop_front();
        }
        producer.batches.push_back(batch);
        producer.used_at = producer.used_at.max(now);
    }

    fn forget_staged(&mut self, producer_id: ProducerId) {
        let count = self.staged_counts.get_mut(&producer_id).expect("it was counted");
        *count -= 1;
        if *count == 0 {
            self.staged_counts.remove(&producer_id);
        }
    }

    /// The producer's latest epoch and its last batches under it, oldest first.
    fn recent(
        &self,
        producer_id: ProducerId,
    ) -> Option<(ProducerEpoch, [Option<Remembered>; BATCHES_COUNT])> {
        let mut found = [None; BATCHES_COUNT];
        let mut free = BATCHES_COUNT;
        let mut epoch = None;
        let mut note = |of: ProducerEpoch, batch: Remembered| {
            let is_current = *epoch.get_or_insert(of) == of;
            if is_current && 0 < free {
                free -= 1;
                found[free] = Some(batch);
            }
            is_current && 0 < free
        };
        let staged_count = match has_bug(PlantedBug::ForgetStagedProducers) {
            true => 0,
            false => self.staged_counts.get(&producer_id).copied().unwrap_or(0),
        };
        let staged = self.staged.iter().rev().filter(|staged| staged.producer_id == producer_id);
        let staged_last = staged.take(staged_count).all(|staged| note(staged.epoch, staged.batch));
        if staged_last && let Some(producer) = self.applied.get(&producer_id) {
            let _ = producer.batches.iter().rev().all(|batch| note(producer.epoch, *batch));
        }
        epoch.map(|epoch| (epoch, found))
    }
}

/// The sequence number so many records later. After the highest comes 0.
fn sequence_after(sequence: i32, count: u32) -> i32 {
    let sum = i64::from(sequence) + i64::from(count);
    i32::try_from(sum % (i64::from(i32::MAX) + 1)).expect("less than 2^31")
}

#[cfg(test)]
mod tests;
