//! What became of every record: the books of a run.
//!
//! One byte for each record, and for each key the last sequence number read. Nothing is ever sent
//! twice, so whatever is read twice was stored twice by the broker.
//!
//! Guarantees: an acknowledged record that is missing, repeated, changed or overtaken within its
//! key is counted; nothing else is. Does not know: time, brokers, batches.

use serde::{Deserialize, Serialize};

use crate::record::{Damage, Value};

const SENT: u8 = 1;
const ACKNOWLEDGED: u8 = 1 << 1;
const FAILED: u8 = 1 << 2;
const CONSUMED: u8 = 1 << 3;
const DUPLICATED: u8 = 1 << 4;

/// What became of the records of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In the plan, or as many as were made in a closed loop.
    pub planned: u64,
    /// Never handed to a connection, because the run was over.
    pub unsent: u64,
    pub sent: u64,
    /// The broker said that it has them. Without acks it never says so.
    pub acknowledged: u64,
    /// The broker said that it does not have them.
    pub failed: u64,
    /// Sent, and no answer came.
    pub unknown: u64,
    /// Read back, each counted once.
    pub consumed: u64,
    /// Acknowledged and not read back up to the end of the log; without acks: sent and not read.
    pub missing: u64,
    /// Read more than once, counted once for every time too many.
    pub duplicated: u64,
    /// Read after a later record of the same key.
    pub out_of_order: u64,
    /// Read with a wrong checksum or key or headers, or in a partition of another key.
    pub corrupt: u64,
    /// Read although the broker had said that it does not have them.
    pub failed_but_consumed: u64,
    /// Of other runs in the same topic.
    pub foreign: u64,
}

impl Counts {
    /// Whether the broker kept its word. Without acks it has given none for what is missing.
    pub fn is_kept(&self, is_acknowledging: bool) -> bool {
        let missing = if is_acknowledging { self.missing } else { 0 };
        missing == 0 && self.duplicated == 0 && self.out_of_order == 0 && self.corrupt == 0
    }

    /// The sum over several workers.
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            planned: self.planned + other.planned,
            unsent: self.unsent + other.unsent,
            sent: self.sent + other.sent,
            acknowledged: self.acknowledged + other.acknowledged,
            failed: self.failed + other.failed,
            unknown: self.unknown + other.unknown,
            consumed: self.consumed + other.consumed,
            missing: self.missing + other.missing,
            duplicated: self.duplicated + other.duplicated,
            out_of_order: self.out_of_order + other.out_of_order,
            corrupt: self.corrupt + other.corrupt,
            failed_but_consumed: self.failed_but_consumed + other.failed_but_consumed,
            foreign: self.foreign + other.foreign,
        }
    }
}

/// What a record that was read turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// Seen for the first time, in its place.
    Expected,
    OutOfOrder,
    Duplicate,
    Corrupt,
    Foreign,
}

/// The books of one worker.
#[derive(Debug)]
pub struct Ledger {
    run: u32,
    worker: u32,
    partitions_count: u32,
    /// By sequence number.
    states: Vec<u8>,
    /// By key: one more than the highest sequence number read.
    next: Vec<u64>,
    duplicated: u64,
    out_of_order: u64,
    corrupt: u64,
    foreign: u64,
}

impl Ledger {
    pub fn new(run: u32, worker: u32, keys_count: u32, partitions_count: u32) -> Ledger {
        Ledger {
            run,
            worker,
            partitions_count,
            states: Vec::new(),
            next: vec![0; keys_count as usize],
            duplicated: 0,
            out_of_order: 0,
            corrupt: 0,
            foreign: 0,
        }
    }

    /// Room for so many more records; returns the sequence number of the first.
    pub fn plan(&mut self, count: usize) -> u64 {
        let first = self.states.len() as u64;
        self.states.resize(self.states.len() + count, 0);
        first
    }

    /// The records have been handed to a connection.
    pub fn note_sent(&mut self, first: u64, count: u32) {
        self.mark(first, count, SENT);
    }

    /// The broker says that it has them.
    pub fn note_acknowledged(&mut self, first: u64, count: u32) {
        self.mark(first, count, ACKNOWLEDGED);
    }

    /// The broker says that it does not have them.
    pub fn note_failed(&mut self, first: u64, count: u32) {
        self.mark(first, count, FAILED);
    }

    /// A record has been read from a partition.
    pub fn note_read(&mut self, partition: u32, read: Result<Value, Damage>) -> Sighting {
        let value = match read {
            Ok(value) if value.run != self.run => {
                self.foreign += 1;
                return Sighting::Foreign;
            }
            Ok(value) if self.is_ours(partition, &value) => value,
            Ok(_) | Err(Damage::TooShort | Damage::Checksum | Damage::Key | Damage::Headers) => {
                self.corrupt += 1;
                return Sighting::Corrupt;
            }
        };
        let index = usize::try_from(value.sequence).expect("checked to be in the books");
        let state = &mut self.states[index];
        if *state & CONSUMED != 0 {
            *state |= DUPLICATED;
            self.duplicated += 1;
            return Sighting::Duplicate;
        }
        *state |= CONSUMED;
        let next = &mut self.next[value.key as usize];
        if value.sequence < *next {
            self.out_of_order += 1;
            return Sighting::OutOfOrder;
        }
        *next = value.sequence + 1;
        Sighting::Expected
    }

    /// The sums. `is_acknowledging` is whether the broker was asked to acknowledge.
    pub fn counts(&self, is_acknowledging: bool) -> Counts {
        let mut counts = Counts {
            planned: self.states.len() as u64,
            duplicated: self.duplicated,
            out_of_order: self.out_of_order,
            corrupt: self.corrupt,
            foreign: self.foreign,
            ..Counts::default()
        };
        let is = |state: u8, flag: u8| u64::from(state & flag != 0);
        for &state in &self.states {
            counts.unsent += 1 - is(state, SENT);
            counts.sent += is(state, SENT);
            counts.acknowledged += is(state, ACKNOWLEDGED);
            counts.failed += is(state, FAILED);
            counts.consumed += is(state, CONSUMED);
            counts.failed_but_consumed += is(state, FAILED) & is(state, CONSUMED);
            let promised = if is_acknowledging { ACKNOWLEDGED } else { SENT };
            counts.missing += is(state, promised) & (1 - is(state, CONSUMED));
        }
        if is_acknowledging {
            counts.unknown = counts.sent - counts.acknowledged - counts.failed;
        }
        counts
    }

    fn mark(&mut self, first: u64, count: u32, flag: u8) {
        let first = usize::try_from(first).expect("an index of the books");
        for state in &mut self.states[first..][..count as usize] {
            *state |= flag;
        }
    }

    /// Whether it is a record that this worker has sent to this partition.
    fn is_ours(&self, partition: u32, value: &Value) -> bool {
        value.worker == self.worker
            && value.sequence < self.states.len() as u64
            && (value.key as usize) < self.next.len()
            && value.key % self.partitions_count == partition
    }
}

#[cfg(test)]
mod tests;
