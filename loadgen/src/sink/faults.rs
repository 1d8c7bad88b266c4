//! What a sink does wrong when it is told to.
//!
//! Guarantees: one record of so many gets a fault, of each kind in turn; what is counted has been
//! done. A fault that a batch has no room for comes with a later one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use client::compression::{compress, open};
use model::record_batch::{BatchBuilder, BatchHeader, NewRecord, ProducerStamp, Record, Records};
use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    pub stall: Option<Stall>,
    /// Of each kind in turn, to one record of so many.
    pub records: Vec<RecordFault>,
    pub one_in: u64,
}

/// A pause in which nothing is read or answered, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    pub every: Duration,
    pub length: Duration,
}

/// What is done to a record that has been acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RecordFault {
    Drop,
    Duplicate,
    /// It changes places with the next one of its key.
    Reorder,
    /// A byte of its value is another.
    Corrupt,
}

/// How many records have got which fault.
#[derive(Debug, Default)]
pub struct PlantedFaults {
    counts: [AtomicU64; 4],
}

impl PlantedFaults {
    pub fn count(&self, fault: RecordFault) -> u64 {
        self.counts[fault as usize].load(Ordering::Relaxed)
    }

    fn note(&self, fault: RecordFault) {
        self.counts[fault as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Plants faults into the batches that pass.
#[derive(Debug)]
pub(super) struct Planter {
    faults: Faults,
    records_count: u64,
    /// How many faults there have been.
    turns: usize,
    /// Those whose record has come, and that no batch has had room for.
    waiting: VecDeque<RecordFault>,
}

impl Planter {
    pub(super) fn new(faults: Faults) -> Planter {
        Planter { faults, records_count: 0, turns: 0, waiting: VecDeque::new() }
    }

    /// The batch as the log is to have it; none if nothing is left of it.
    pub(super) fn pass(
        &mut self,
        header: &BatchHeader,
        batch: Bytes,
        planted: &PlantedFaults,
    ) -> Option<Bytes> {
        if self.faults.records.is_empty() {
            return Some(batch);
        }
        let before = self.records_count;
        self.records_count += u64::from(header.records_count.unsigned_abs());
        let one_in = self.faults.one_in.max(1);
        for _ in before / one_in..self.records_count / one_in {
            let kinds = &self.faults.records;
            self.waiting.push_back(kinds[self.turns % kinds.len()]);
            self.turns += 1;
        }
        let Some(&fault) = self.waiting.front() else { return Some(batch) };
        match plant(fault, &batch) {
            None => Some(batch),
            Some(changed) => {
                self.waiting.pop_front();
                planted.note(fault);
                changed
            }
        }
    }
}

/// Batches of which more comes are left as they are.
const OPENED_BYTES_MAX: u64 = 1 << 30;

/// The batch with a fault, if it has a record that can have it; nothing may be left of it.
fn plant(fault: RecordFault, batch: &[u8]) -> Option<Option<Bytes>> {
    let compression = BatchHeader::read(batch).and_then(|header| header.compression()).ok()?;
    let plain = open(batch, OPENED_BYTES_MAX).ok()?;
    let records: Vec<Record<'_>> = Records::read(&plain).ok()?.collect::<Result<_, _>>().ok()?;
    let mut order: Vec<usize> = (0..records.len()).collect();
    let middle = records.len() / 2;
    let mut corrupt = None;
    match fault {
        RecordFault::Drop => drop(order.remove(middle)),
        RecordFault::Duplicate => order.insert(middle, middle),
        RecordFault::Reorder => {
            let (one, next) = neighbours(&records)?;
            order.swap(one, next);
        }
        RecordFault::Corrupt => corrupt = Some(middle),
    }
    if order.is_empty() {
        return Some(None);
    }
    let mut builder = BatchBuilder::new();
    for index in order {
        let Record { timestamp, key, value, headers, .. } = records[index];
        let mut value = value.map(<[u8]>::to_vec);
        if corrupt == Some(index) {
            *value.as_mut()?.last_mut()? ^= 1;
        }
        let headers: Vec<_> = headers.collect();
        builder.push(&NewRecord { timestamp, key, value: value.as_deref(), headers: &headers });
    }
    Some(Some(compress(&builder.finish(ProducerStamp::NONE), compression)))
}

/// Two records of one key with none of that key between them.
fn neighbours(records: &[Record<'_>]) -> Option<(usize, usize)> {
    let next_of = |one: usize| {
        let later = records[one + 1..].iter().position(|record| record.key == records[one].key);
        Some((one, one + 1 + later?))
    };
    (0..records.len()).find_map(next_of)
}
