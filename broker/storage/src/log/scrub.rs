//! Reading what nobody reads, to find out what has rotted while there are still other copies.
//!
//! Guarantees: of every sealed segment each block, batch and offset has been looked at on the device,
//! and of `entries` every record; what goes meanwhile is no finding. Changes nothing. Does not know:
//! what becomes of a finding.

use std::rc::Rc;

use model::LogIndex;
use runtime::{File, OpenOptions};

use super::Log;
use super::tail::Ordinal;
use crate::error::ReadError;
use crate::format::entry::{RECORD_SIZE_BYTES, decode_record};
use crate::shared::Pace;

/// Read at a time of `entries`.
const PIECE_BYTES: usize = 64 << 10;

impl Log {
    /// Looks at everything that is flushed for good, and tells what is not as it was written.
    pub(crate) async fn scrub(
        self: &Rc<Log>,
        pace: &mut Pace,
        found: &mut dyn FnMut(&Rc<Log>, ReadError),
    ) {
        let mut next = self.state.borrow().kept_segments().next().map(|segment| segment.ordinal);
        while let Some(ordinal) = next {
            let looked_at = self.scrub_segment(ordinal, pace).await;
            let state = self.state.borrow();
            next = state.segment_after(ordinal).map(|segment| segment.ordinal);
            let is_here = state.segment(ordinal).is_some() && !state.has_left && !state.has_moved;
            drop(state);
            if let Err(error) = looked_at
                && is_here
            {
                found(self, error);
            }
        }
        let looked_at = self.scrub_entries(pace).await;
        let is_here = !self.state.borrow().has_left && !self.state.borrow().has_moved;
        if let Err(error) = looked_at
            && is_here
        {
            found(self, error);
        }
    }

    async fn scrub_segment(
        self: &Rc<Log>,
        ordinal: Ordinal,
        pace: &mut Pace,
    ) -> Result<(), ReadError> {
        let sealed = {
            let state = self.state.borrow();
            let sealed = state.segment(ordinal).filter(|segment| segment.is_sealed);
            sealed.map(|segment| (segment.base_offset, state.end_of(segment)))
        };
        let Some((base_offset, end)) = sealed else { return Ok(()) };
        let mut window = self.open_unhurried_window(ordinal).await?;
        let mut at = (base_offset, 0);
        while let Some(header) = window.batch_at(at.1, at.0).await? {
            window.checked_batch(at.1, &header).await?;
            self.shared.metrics.scrubbed_bytes.add(header.size_bytes() as u64);
            pace.step(header.size_bytes()).await;
            at = (header.next_offset(), at.1 + header.size_bytes() as u64);
            window.forget_before(at.1);
        }
        window.check_end(at, end)
    }

    async fn scrub_entries(self: &Rc<Log>, pace: &mut Pace) -> Result<(), ReadError> {
        let count = self.state.borrow().entries_flushed.count;
        let path = self.directory.join("entries");
        if count == 0 {
            return Ok(());
        }
        let failed = |source| ReadError::Io { path: path.clone(), source };
        let options = OpenOptions::READ.direct(self.shared.options.is_direct).background();
        let file = File::open(&path, options).await.map_err(failed)?;
        let purged = self.purged_count(&mut self.records()).await.map_err(failed)?;
        let (mut index, mut bytes) = (purged, Vec::new());
        let mut position = purged * RECORD_SIZE_BYTES as u64;
        while index < count {
            let piece = file.read_up_to(position, PIECE_BYTES).await.map_err(failed)?;
            position += piece.len() as u64;
            bytes.extend_from_slice(&piece);
            let left = usize::try_from(count - index).unwrap_or(usize::MAX);
            let mut read = 0;
            for record in bytes.chunks_exact(RECORD_SIZE_BYTES).take(left) {
                let entry = record.try_into().ok().and_then(decode_record);
                if entry.is_none_or(|entry| entry.index != LogIndex(index)) {
                    let position = index * RECORD_SIZE_BYTES as u64;
                    let what = "not the record that was written here".to_owned();
                    return Err(ReadError::Damaged { path, position, what });
                }
                index += 1;
                read += RECORD_SIZE_BYTES;
            }
            bytes.drain(..read);
            if piece.is_empty() && index < count {
                let what = format!("{count} records were written, and it ends before that");
                return Err(ReadError::Damaged { path, position, what });
            }
            self.shared.metrics.scrubbed_bytes.add(piece.len() as u64);
            pace.step(piece.len()).await;
        }
        Ok(())
    }
}
