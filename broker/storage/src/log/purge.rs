//! Giving back the space of records of `entries` that nobody asks for any more.
//!
//! What is told of an entry (its leader epoch, its producer) is of use as long as its batch is in a
//! segment. Then its record goes, in runs from the start of the file that become holes, so that every
//! other record stays in its place. (P1)

use std::io;
use std::rc::Rc;

use super::Log;
use super::records::Records;
use crate::format::entry::{Entry, RECORD_SIZE_BYTES};
use crate::format::frame::Base;

/// Holes are of whole blocks and of whole records.
pub(super) const PURGE_RECORDS_COUNT: u64 = 256;

impl Log {
    /// The first record of `entries` that a start may read which finds the base that is made now.
    pub(super) fn needed_entries(&self) -> u64 {
        let state = self.state.borrow();
        needed_entries(state.restart_point().count, state.has_stamps, state.applied_count)
    }

    /// Gives back what is not needed any more: neither by the base on the medium, nor because of a
    /// segment, unless it is compacted and the list on the medium speaks for it. For the cost of some
    /// reads, so only when a segment has gone.
    pub(super) async fn purge_entries(self: &Rc<Log>) -> io::Result<()> {
        let (first_offset, needed_from, told_count) = {
            let state = self.state.borrow();
            let told_count = state.compacted_epochs.entries_count;
            (state.segments[0].base_offset, state.needed_entries, told_count)
        };
        let mut records = self.records();
        let purged = self.purged_count(&mut records).await?;
        let from = purged.max(told_count).min(needed_from);
        let is_gone = |entry: &Entry| entry.next_offset <= first_offset;
        let gone_to = records.partition_point(from, needed_from, is_gone).await?;
        let purge_to = gone_to / PURGE_RECORDS_COUNT * PURGE_RECORDS_COUNT;
        if purge_to <= purged {
            return Ok(());
        }
        let bytes = |count: u64| count * RECORD_SIZE_BYTES as u64;
        let file = self.open_entries().await?;
        match file.punch(bytes(purged), bytes(purge_to - purged)).await {
            // Where holes cannot be made, the file grows.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
            punched => punched?,
        }
        self.state.borrow_mut().entries_purged = Some(purge_to);
        Ok(())
    }

    /// How many records are gone from the start of the file.
    pub(super) async fn purged_count(&self, records: &mut Records) -> io::Result<u64> {
        let (known, count) = {
            let state = self.state.borrow();
            (state.entries_purged, state.entries_flushed.count)
        };
        if let Some(purged) = known {
            return Ok(purged);
        }
        // The last record is always there.
        let (mut below, mut above) = (0, count.saturating_sub(1) / PURGE_RECORDS_COUNT);
        while below < above {
            let middle = below.midpoint(above);
            match records.is_purged(middle * PURGE_RECORDS_COUNT).await? {
                true => below = middle + 1,
                false => above = middle,
            }
        }
        let purged = below * PURGE_RECORDS_COUNT;
        self.state.borrow_mut().entries_purged.get_or_insert(purged);
        Ok(purged)
    }
}

pub(super) fn needed_entries_of(base: &Base) -> u64 {
    needed_entries(base.entries_count, base.has_stamps, base.applied_count)
}

/// The first record that a start may read of so many: the last one tells that the file is the right one.
fn needed_entries(count: u64, has_stamps: bool, applied_count: u64) -> u64 {
    let last = count.saturating_sub(1);
    if has_stamps { last.min(applied_count) } else { last }
}
