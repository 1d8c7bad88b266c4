//! Finding where the records of a leader epoch end. The log's entries are the only place that
//! tells: those in memory, and the records of `entries`.

use std::io;
use std::rc::Rc;

use model::{LeaderEpoch, Offset};

use super::Log;
use crate::error::ReadError;
use crate::format::entry::Entry;
use crate::log::records::Records;

/// Records of `entries` that are read at a time.
const RECORDS_COUNT: u64 = 64;

/// The end of the records up to a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch among them; none if the log has no such record, or not any more.
    pub leader_epoch: Option<LeaderEpoch>,
    /// After the last of them; not below the log's start.
    pub end_offset: Offset,
}

impl Log {
    /// Where the records end that were appended in this leader epoch or before.
    pub async fn epoch_end(
        self: &Rc<Log>,
        leader_epoch: LeaderEpoch,
    ) -> Result<EpochEnd, ReadError> {
        self.epoch_end_from(&mut self.records(), leader_epoch).await
    }

    /// The same, with the file for what is not in memory.
    pub(super) async fn epoch_end_from(
        self: &Rc<Log>,
        records: &mut Records,
        leader_epoch: LeaderEpoch,
    ) -> Result<EpochEnd, ReadError> {
        let log_start = self.ends().log_start;
        let end = self.count_up_to(records, leader_epoch).await;
        let mut end = end.map_err(|error| self.unread(error))?;
        let mut found = EpochEnd { leader_epoch: None, end_offset: log_start };
        let mut is_last = true;
        let purged = self.purged_count(records).await.map_err(|error| self.unread(error))?;
        while purged < end && found.leader_epoch.is_none() {
            let from = end.saturating_sub(RECORDS_COUNT).max(purged);
            let entries = self.entries_from(records, from, end).await;
            let entries = entries.map_err(|error| self.unread(error))?;
            for entry in entries.iter().rev() {
                if std::mem::take(&mut is_last) {
                    found.end_offset = log_start.max(entry.next_offset);
                }
                if entry.next_offset <= log_start {
                    return Ok(found);
                }
                if entry.batch().is_some() {
                    found.leader_epoch = Some(entry.leader_epoch);
                    break;
                }
            }
            end = from;
        }
        if found.leader_epoch.is_none() {
            let told = self.state.borrow().compacted_epochs.last_up_to(leader_epoch);
            if let Some((epoch, end_offset)) = told.filter(|(_, end)| log_start < *end) {
                return Ok(EpochEnd { leader_epoch: Some(epoch), end_offset });
            }
        }
        Ok(found)
    }

    /// How many entries, from the first on, are of this epoch or an earlier one. Epochs never fall
    /// within a log, so bisection finds it.
    async fn count_up_to(
        self: &Rc<Log>,
        records: &mut Records,
        leader_epoch: LeaderEpoch,
    ) -> io::Result<u64> {
        let (in_memory, recent_from) = {
            let state = self.state.borrow();
            let in_memory = state.recent.partition_point(|of| of.leader_epoch <= leader_epoch);
            (in_memory as u64, state.recent_from)
        };
        if 0 < in_memory {
            return Ok(recent_from + in_memory);
        }
        let purged = self.purged_count(records).await?;
        let is_up_to = |entry: &Entry| entry.leader_epoch <= leader_epoch;
        records.partition_point(purged, recent_from, is_up_to).await
    }

    fn unread(&self, source: io::Error) -> ReadError {
        ReadError::Io { path: self.directory.join("entries"), source }
    }
}
