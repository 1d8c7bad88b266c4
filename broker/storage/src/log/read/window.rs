//! A walk over a segment's file, in order, around the page cache.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use model::Offset;
use model::record_batch::{self, BatchHeader, HEADER_SIZE_BYTES};
use runtime::{
    BLOCK_SIZE_BYTES, File, JoinHandle, OpenOptions, round_down_to_block, round_up_to_block,
};

use super::{Log, Slice};
use crate::error::ReadError;
use crate::log::tail::Ordinal;

/// Of a checksum of a block, and what the last block is filled up with.
const SUM_BYTES: usize = 4;
const ZEROS: [u8; BLOCK_SIZE_BYTES] = [0; BLOCK_SIZE_BYTES];

/// Read at a time.
pub(super) const PIECE_BYTES: usize = 256 << 10;
/// How many such reads are in flight for one consumer: enough to keep a disk busy without queueing.
const PIECES_COUNT: usize = 4;

/// Bytes of a segment, read ahead in order.
pub(in crate::log) struct Window {
    log: Rc<Log>,
    ordinal: Ordinal,
    /// Where its batches end, if compaction may have taken any of them.
    gap_end: Option<Offset>,
    file: Arc<File>,
    /// Where `pieces` begin, in whole blocks.
    start: u64,
    pieces: VecDeque<Bytes>,
    /// Where they end.
    end: u64,
    /// Nothing beyond is read.
    limit: u64,
    /// Read at the same time.
    pieces_count: usize,
    /// Of a compacted segment, the checksums of its blocks.
    sums: Option<File>,
}

impl Window {
    /// Of a segment's file, from a position on and up to a limit.
    pub(super) fn new(
        log: Rc<Log>,
        ordinal: Ordinal,
        gap_end: Option<Offset>,
        file: Arc<File>,
        begin: u64,
        limit: u64,
    ) -> Window {
        let start = round_down_to_block(begin);
        Window {
            log,
            ordinal,
            gap_end,
            file,
            start,
            pieces: VecDeque::new(),
            end: start,
            limit,
            pieces_count: PIECES_COUNT,
            sums: None,
        }
    }

    /// The same for work that can wait: one read at a time.
    pub(in crate::log) fn unhurried(self) -> Window {
        Window { pieces_count: 1, ..self }
    }

    /// The header of the batch that begins at a position; none at the limit.
    pub(in crate::log) async fn header_at(
        &mut self,
        position: u64,
    ) -> Result<Option<BatchHeader>, ReadError> {
        let header_end = position + HEADER_SIZE_BYTES as u64;
        if self.limit < header_end {
            return Ok(None);
        }
        self.fill_to(header_end).await?;
        self.header_in(&self.slices(position, header_end), position).map(Some)
    }

    /// The header that these slices, of a batch at this position, begin with.
    pub(in crate::log) fn header_in(
        &self,
        slices: &[Slice],
        position: u64,
    ) -> Result<BatchHeader, ReadError> {
        let mut bytes = Vec::with_capacity(HEADER_SIZE_BYTES);
        for slice in slices {
            let Slice::Memory(piece) = slice else { unreachable!("a window is in memory") };
            let left = HEADER_SIZE_BYTES - bytes.len();
            bytes.extend_from_slice(&piece[..left.min(piece.len())]);
        }
        BatchHeader::read(&bytes).map_err(|error| self.damaged(position, error.to_string()))
    }

    /// The header of the batch with this base offset, which is where it should be: base offset,
    /// size and leader epoch lie outside of the batch's own checksum. Of a compacted segment, of the
    /// first batch that is left from there on.
    pub(in crate::log) async fn batch_at(
        &mut self,
        position: u64,
        base_offset: Offset,
    ) -> Result<Option<BatchHeader>, ReadError> {
        match self.header_at(position).await? {
            Some(header) => self.check_offset(position, base_offset, header).map(Some),
            None => Ok(None),
        }
    }

    pub(in crate::log) fn check_offset(
        &self,
        position: u64,
        base_offset: Offset,
        header: BatchHeader,
    ) -> Result<BatchHeader, ReadError> {
        let found = header.base_offset;
        let is_here = match self.gap_end {
            None => found == base_offset,
            Some(end) => base_offset <= found && header.next_offset() <= end,
        };
        if !is_here || header.last_offset_delta < 0 {
            return Err(self.damaged(position, format!("offset {found} instead of {base_offset}")));
        }
        Ok(header)
    }

    pub(in crate::log) async fn check_epoch(
        &self,
        position: u64,
        header: &BatchHeader,
    ) -> Result<(), ReadError> {
        if self.log.has_its_epoch(header).await {
            return Ok(());
        }
        let epoch = header.leader_epoch;
        Err(self.damaged(position, format!("leader epoch {epoch}, and the entries have another")))
    }

    /// The whole batch between two positions, with its checksum and its epoch checked.
    pub(in crate::log) async fn checked_batch(
        &mut self,
        from: u64,
        header: &BatchHeader,
    ) -> Result<Vec<u8>, ReadError> {
        let bytes = self.batch_with_its_crc(from, header).await?;
        self.check_epoch(from, header).await?;
        Ok(bytes)
    }

    /// The whole batch at a position, with its checksum checked.
    pub(in crate::log) async fn batch_with_its_crc(
        &mut self,
        from: u64,
        header: &BatchHeader,
    ) -> Result<Vec<u8>, ReadError> {
        let to = from + header.size_bytes() as u64;
        self.fill_to(to).await?;
        let mut bytes = Vec::with_capacity(header.size_bytes());
        for slice in self.slices(from, to) {
            let Slice::Memory(piece) = slice else { unreachable!("a window is in memory") };
            bytes.extend_from_slice(&piece);
        }
        record_batch::check_crc(&bytes).map_err(|error| self.damaged(from, error.to_string()))?;
        Ok(bytes)
    }

    pub(in crate::log) fn damaged(&self, position: u64, what: String) -> ReadError {
        ReadError::Damaged { path: self.log.path_of(self.ordinal), position, what }
    }

    /// Whether a walk over a whole sealed segment has ended where the file does, and where the log
    /// goes on.
    pub(in crate::log) fn check_end(
        &self,
        (offset, position): (Offset, u64),
        end: Offset,
    ) -> Result<(), ReadError> {
        let is_end = offset == end || self.gap_end.is_some() && offset < end;
        if position == self.limit && is_end {
            return Ok(());
        }
        let size_bytes = self.limit;
        let what = format!("offset {offset} instead of {end} at the end of {size_bytes} bytes");
        Err(self.damaged(position, what))
    }

    /// Reads on until `to` is here.
    pub(in crate::log) async fn fill_to(&mut self, to: u64) -> Result<(), ReadError> {
        while self.end < to {
            let limit = round_up_to_block(self.limit);
            let mut reads: VecDeque<(u64, JoinHandle<io::Result<runtime::AlignedBuf>>)> =
                VecDeque::new();
            let mut position = self.end;
            while position < limit && reads.len() < self.pieces_count {
                let left = usize::try_from(limit - position).unwrap_or(usize::MAX);
                let size_bytes = PIECE_BYTES.min(left);
                let file = self.file.clone();
                let read =
                    runtime::spawn(async move { file.read_up_to(position, size_bytes).await });
                reads.push_back((position, read));
                position += size_bytes as u64;
            }
            let before = self.end;
            for (position, read) in reads {
                let piece = read.await.map_err(|source| self.log.failed(self.ordinal, source))?;
                // A short piece ends the file; what was read beyond a gap is of no use.
                if position == self.end {
                    self.check_sums(position, &piece).await?;
                    self.end += piece.len() as u64;
                    self.pieces.push_back(piece.freeze());
                }
            }
            if self.end == before {
                return Err(self.damaged(self.end, format!("the file ends before byte {to}")));
            }
        }
        Ok(())
    }

    /// Checks blocks of a compacted segment, where nothing else tells a base offset that has rotted
    /// from one after a gap.
    async fn check_sums(&mut self, position: u64, piece: &[u8]) -> Result<(), ReadError> {
        let path = self.log.sums_path_of(self.ordinal).filter(|_| self.gap_end.is_some());
        let Some(path) = path else { return Ok(()) };
        let failed = |source| ReadError::Io { path: path.clone(), source };
        if self.sums.is_none() {
            self.sums = Some(File::open(&path, OpenOptions::READ).await.map_err(failed)?);
        }
        let sums = self.sums.as_ref().expect("just opened");
        let first = position / BLOCK_SIZE_BYTES as u64;
        let sums_bytes = piece.len().div_ceil(BLOCK_SIZE_BYTES) * SUM_BYTES;
        let sums = sums.read_up_to(first * SUM_BYTES as u64, sums_bytes).await.map_err(failed)?;
        let mut sums = sums.chunks_exact(SUM_BYTES);
        for (block, at) in
            piece.chunks(BLOCK_SIZE_BYTES).zip((position..).step_by(BLOCK_SIZE_BYTES))
        {
            let mut sum = crc32fast::Hasher::new();
            sum.update(block);
            sum.update(&ZEROS[block.len()..]);
            if sums.next() != Some(&sum.finalize().to_le_bytes()[..]) {
                return Err(self.damaged(at, "a block without its checksum".to_owned()));
            }
        }
        Ok(())
    }

    pub(in crate::log) fn slices(&self, from: u64, to: u64) -> Vec<Slice> {
        let mut slices = Vec::new();
        let mut piece_start = self.start;
        for piece in &self.pieces {
            let piece_end = piece_start + piece.len() as u64;
            let (start, end) = (from.max(piece_start), to.min(piece_end));
            if start < end {
                let index = |position: u64| {
                    usize::try_from(position - piece_start).expect("within the piece")
                };
                slices.push(Slice::Memory(piece.slice(index(start)..index(end))));
            }
            piece_start = piece_end;
        }
        slices
    }

    /// Gives back the memory of what lies before a position.
    pub(in crate::log) fn forget_before(&mut self, position: u64) {
        while let Some(first) = self.pieces.front()
            && self.start + first.len() as u64 + (BLOCK_SIZE_BYTES as u64) <= position
        {
            self.start += first.len() as u64;
            self.pieces.pop_front();
        }
    }
}
