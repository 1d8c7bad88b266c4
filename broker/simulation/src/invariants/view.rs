//! A partition as it was at the end, and facts about it in an order that invariants need.

use std::collections::BTreeMap;

use model::{Offset, TopicPartition};

use crate::history::{Era, FinalLog, History, Outcome, SeenBatch, SeenRecord, Send};
use wire::ErrorCode;

/// A partition at the end, by offset.
pub(super) struct FinalView {
    pub(super) records: BTreeMap<Offset, SeenRecord>,
    /// The broker has said that something is missing: it refuses appends or reads, or what it
    /// gives does not pass its checksum.
    pub(super) is_told: bool,
}

impl FinalView {
    pub(super) fn end(&self) -> Offset {
        self.records.last_key_value().map_or(Offset(0), |(last, _)| Offset(last.0 + 1))
    }

    /// Whether the record is where it was, or the broker has said that it cannot be.
    pub(super) fn has(&self, seen: SeenRecord) -> bool {
        match self.records.get(&seen.offset) {
            Some(found) => found.id == seen.id,
            None => self.is_told && self.end() <= seen.offset,
        }
    }
}

/// All partitions that were read at the end.
pub(super) fn finals(history: &History) -> BTreeMap<TopicPartition, FinalView> {
    history.finals.iter().map(|(partition, log)| (*partition, view(log))).collect()
}

fn view(log: &FinalLog) -> FinalView {
    let records = records_of(&log.batches).map(|record| (record.offset, record));
    let is_refusing = log.append.is_some_and(ErrorCode::is_error);
    let is_told = is_refusing || log.refused.is_some() || log.is_damaged;
    FinalView { records: records.collect(), is_told }
}

/// The records of batches.
pub(super) fn records_of(batches: &[SeenBatch]) -> impl Iterator<Item = SeenRecord> {
    batches.iter().flat_map(|batch| batch.records.iter().copied())
}

/// Where the records of an acknowledged batch are.
pub(super) fn acknowledged(send: &Send) -> impl Iterator<Item = SeenRecord> {
    let base = match send.outcome {
        Outcome::Acknowledged { base_offset } => Some(base_offset),
        Outcome::Refused(_) | Outcome::Unknown => None,
    };
    base.into_iter().flat_map(|base| {
        (base.0..).zip(&send.records).map(|(offset, record)| SeenRecord {
            offset: Offset(offset),
            id: Some(record.id),
            timestamp: record.timestamp,
        })
    })
}

/// What of a partition's life a fact belongs to: all of it, or for relaxed partitions one era.
pub(super) fn life(
    history: &History,
    partition: TopicPartition,
    era: Era,
) -> (TopicPartition, Era) {
    (partition, if history.is_durable(partition) { Era(0) } else { era })
}
