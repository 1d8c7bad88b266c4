//! Finding records by their time, also inside of compressed batches.
//!
//! A core walks one batch at a time, in pieces between which its other tasks run, so that the memory
//! for it is that of one walk.

use std::rc::Rc;

use model::record_batch::{
    BatchError, BatchHeader, Batches, RecordsWalk, Step, TimestampType, WalkedRecord, check_crc,
};
use model::{LeaderEpoch, Offset, Timestamp};

use super::{Log, ReadOutcome, ReadRequest, Slice};
use crate::error::ReadError;
use crate::log::tail::Ordinal;

/// Read at a time while searching.
const SEARCH_BYTES: usize = 1 << 20;
/// Walked before the core's other tasks get their turn.
const WALK_PIECE_BYTES: usize = 64 << 10;

/// A record that a search has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its offset.
    pub offset: Offset,
    /// Its time.
    pub timestamp: Timestamp,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
}

/// Where a search looks first.
#[derive(Clone, Copy)]
struct Piece {
    /// Of each read.
    up_to: Offset,
    bytes_max: usize,
    /// From here on it has found nothing, and goes on everywhere.
    until: Offset,
}

impl Log {
    /// The first record below `up_to` with this time or a later one. Times need not rise from
    /// record to record.
    pub async fn find_time(
        self: &Rc<Log>,
        timestamp: Timestamp,
        up_to: Offset,
    ) -> Result<Option<Found>, ReadError> {
        let log_start = self.ends().log_start;
        let mut next = self.state.borrow().segments.front().map(|segment| segment.ordinal);
        while let Some(ordinal) = next {
            self.load_index_if_there(ordinal).await?;
            next = self.state.borrow().segment_after(ordinal).map(|segment| segment.ordinal);
            let begin = self.with_index(ordinal, |index| {
                let (latest, _) = index.max_timestamp?;
                (timestamp <= latest).then(|| index.around_time(timestamp))
            });
            let Some((begin, point)) = begin else { continue };
            // It is before the next point of the index, unless it is below the log's start.
            let piece = point.filter(|point| *point < up_to).map(|point| Piece {
                up_to: point,
                bytes_max: SEARCH_BYTES,
                until: point,
            });
            let found = self.search(begin, piece, log_start, up_to, timestamp).await?;
            // Where the latest time was truncated away, or lies at or beyond `up_to`, the search
            // goes on through the following segments by itself and ends the same way.
            return Ok(found);
        }
        Ok(None)
    }

    /// The first record with the latest time of the log below `up_to`.
    pub async fn find_latest_time(
        self: &Rc<Log>,
        up_to: Offset,
    ) -> Result<Option<Found>, ReadError> {
        let log_start = self.ends().log_start;
        let mut latest: Option<(Timestamp, Offset)> = None;
        let mut next = self.state.borrow().segments.front().map(|segment| segment.ordinal);
        while let Some(ordinal) = next {
            self.load_index_if_there(ordinal).await?;
            next = self.state.borrow().segment_after(ordinal).map(|segment| segment.ordinal);
            let of_segment = self.with_index(ordinal, |index| index.max_timestamp);
            if let Some((timestamp, offset)) = of_segment
                && offset < up_to
                && latest.is_none_or(|(most, _)| most < timestamp)
            {
                latest = Some((timestamp, offset));
            }
        }
        let Some((timestamp, offset)) = latest else { return Ok(None) };
        // It is in the first batch.
        let piece = Some(Piece { up_to, bytes_max: 1, until: offset + 1 });
        self.search(offset, piece, log_start, up_to, timestamp).await
    }

    /// Makes the index of a segment whole, unless the segment goes meanwhile: what compaction puts in
    /// its place comes after it.
    async fn load_index_if_there(self: &Rc<Log>, ordinal: Ordinal) -> Result<(), ReadError> {
        let loaded = self.load_index(ordinal).await;
        match self.state.borrow().segment(ordinal) {
            Some(_) => loaded,
            None => Ok(()),
        }
    }

    /// Looks into one batch after another, from the one that holds `begin` on.
    async fn search(
        self: &Rc<Log>,
        begin: Offset,
        mut piece: Option<Piece>,
        log_start: Offset,
        up_to: Offset,
        timestamp: Timestamp,
    ) -> Result<Option<Found>, ReadError> {
        let mut offset = begin.max(log_start);
        loop {
            piece = piece.filter(|piece| offset < piece.until);
            let Piece { up_to, bytes_max, .. } =
                piece.unwrap_or(Piece { up_to, bytes_max: SEARCH_BYTES, until: up_to });
            let request = ReadRequest { offset, bytes_max, up_to, at_least_one_batch: true };
            let slices = match self.read(&request)? {
                ReadOutcome::Ready(slices) => slices,
                ReadOutcome::Cold(cold) => cold.run().await?,
            };
            let bytes = self.gather(&slices).await?;
            let before = offset;
            for batch in Batches::new(&bytes) {
                // What has rotted would lead astray whoever asks.
                let (header, batch) = batch
                    .and_then(|(header, batch)| check_crc(batch).map(|()| (header, batch)))
                    .map_err(|error| self.damaged_at(offset, &error.to_string()))?;
                let is_gap = self.is_gap(offset, header.base_offset);
                if offset < header.base_offset && !is_gap || header.next_offset() <= offset {
                    return Err(self.damaged_at(offset, "it is not there"));
                }
                if !self.has_its_epoch(&header).await {
                    return Err(self.damaged_at(offset, "the entries have another leader epoch"));
                }
                if timestamp <= header.max_timestamp
                    && let Some(found) = self.look_into(&header, batch, log_start, timestamp).await
                {
                    return Ok(Some(found));
                }
                offset = header.next_offset();
            }
            if offset == before {
                if bytes.is_empty() {
                    match piece.take() {
                        Some(_) => continue,
                        None => return Ok(None),
                    }
                }
                // A batch whose size has rotted looks like one that a slice has cut.
                return Err(self.damaged_at(offset, "it is not whole"));
            }
        }
    }

    fn damaged_at(&self, offset: Offset, what: &str) -> ReadError {
        let what = format!("the batch at offset {offset}: {what}");
        ReadError::Damaged { path: self.directory.clone(), position: 0, what }
    }

    /// The bytes of slices in one piece.
    async fn gather(&self, slices: &[Slice]) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::with_capacity(slices.iter().map(Slice::size_bytes).sum());
        for slice in slices {
            match slice {
                Slice::Memory(piece) => bytes.extend_from_slice(piece),
                Slice::File(slice) => {
                    let read = slice.file.read_exact_at(slice.position, slice.size_bytes).await;
                    let read = read
                        .map_err(|source| ReadError::Io { path: self.directory.clone(), source })?;
                    bytes.extend_from_slice(&read);
                }
            }
        }
        Ok(bytes)
    }

    /// The first record of a batch with this time or a later one, not below the log's start.
    async fn look_into(
        &self,
        header: &BatchHeader,
        batch: &[u8],
        log_start: Offset,
        timestamp: Timestamp,
    ) -> Option<Found> {
        let found = |offset, timestamp| {
            Some(Found { offset, timestamp, leader_epoch: header.leader_epoch })
        };
        let batch_start = header.base_offset.max(log_start);
        match header.timestamp_type() {
            TimestampType::LogAppendTime => return found(batch_start, header.max_timestamp),
            TimestampType::CreateTime => {}
        }
        let _turn = self.shared.walking.take(1).await;
        let first = first_in(batch, |record| {
            let offset = header.base_offset + i64::from(record.offset_delta);
            timestamp <= record.timestamp && log_start <= offset
        });
        match first.await {
            Ok(Some(record)) => {
                found(header.base_offset + i64::from(record.offset_delta), record.timestamp)
            }
            Ok(None) => None,
            // Batches are opened before they are appended. Whoever reads on from the beginning of
            // one that cannot be opened any more misses nothing.
            Err(_) => found(batch_start, header.max_timestamp),
        }
    }
}

/// The first record that is wanted.
async fn first_in(
    batch: &[u8],
    is_wanted: impl Fn(WalkedRecord) -> bool,
) -> Result<Option<WalkedRecord>, BatchError> {
    // What may come out of it was judged when it was appended.
    let mut walk = RecordsWalk::new(batch, u64::MAX)?;
    let mut budget_bytes = WALK_PIECE_BYTES;
    loop {
        match walk.step(&mut budget_bytes)? {
            Step::Record(record) if is_wanted(record) => return Ok(Some(record)),
            Step::Record(_) => {}
            Step::Paused => {
                runtime::yield_now().await;
                budget_bytes = WALK_PIECE_BYTES;
            }
            Step::End => return Ok(None),
        }
    }
}
