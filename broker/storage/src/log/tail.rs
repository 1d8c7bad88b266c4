//! The newest bytes of a partition, in memory as they are, or will be, in its segments.
//!
//! Bytes stay here at least until they have been flushed to their segment, and longer as far as the
//! core's budget goes. Chunks begin at whole blocks of their segment, so a full chunk is written to
//! disk, and sent to consumers, as it stands.

use std::collections::VecDeque;

use bytes::Bytes;
use model::Offset;
use runtime::{AlignedBuf, BLOCK_SIZE_BYTES, round_down_to_block};

/// A full chunk: one piece of a segment.
pub(crate) const CHUNK_BYTES: usize = 128 << 10;

/// The number of a segment within its log, for the life of the process: rises with the offset, and
/// none is used twice. The upper half counts segments as they are appended; a segment that compaction
/// puts in the place of others has the last one's number and 1.
pub(crate) type Ordinal = u64;

/// The number of the segment that is begun after one.
pub(crate) fn next_ordinal(ordinal: Ordinal) -> Ordinal {
    ((ordinal >> 32) + 1) << 32
}

/// A place in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) segment: Ordinal,
    pub(crate) position: u64,
}

/// Where a batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchPlace {
    pub(crate) base_offset: Offset,
    pub(crate) place: Place,
}

struct Chunk {
    /// In whole blocks.
    start: Place,
    bytes: ChunkBytes,
}

enum ChunkBytes {
    /// The newest chunk, which grows.
    Open(AlignedBuf),
    Full(Bytes),
}

impl Chunk {
    fn as_slice(&self) -> &[u8] {
        match &self.bytes {
            ChunkBytes::Open(buf) => buf,
            ChunkBytes::Full(bytes) => bytes,
        }
    }

    fn end(&self) -> Place {
        let end = self.start.position + self.as_slice().len() as u64;
        Place { position: end, ..self.start }
    }

    fn memory_bytes(&self) -> usize {
        match &self.bytes {
            ChunkBytes::Open(buf) => buf.capacity_bytes(),
            ChunkBytes::Full(bytes) => bytes.len(),
        }
    }

    fn fill(&mut self) {
        if let ChunkBytes::Open(buf) = &mut self.bytes {
            let buf = std::mem::replace(buf, AlignedBuf::with_capacity(0));
            self.bytes = ChunkBytes::Full(buf.freeze());
        }
    }
}

/// Invariants: chunks are in order, and within a segment without gaps; only the last is open; the
/// batches in `batches` begin in order, the first at or before the first chunk's bytes.
#[derive(Default)]
pub(crate) struct Tail {
    chunks: VecDeque<Chunk>,
    batches: VecDeque<BatchPlace>,
}

impl Tail {
    /// Begins anew at this place, which need not be a whole block: then `bytes` begin at the block
    /// before it.
    pub(crate) fn restart(&mut self, block: Place, bytes: &[u8]) {
        assert!(block.position.is_multiple_of(BLOCK_SIZE_BYTES as u64), "chunks are whole blocks");
        self.chunks.clear();
        self.batches.clear();
        self.append(block, &[bytes]);
    }

    /// Notes a batch whose bytes are here already, before all that are noted.
    pub(crate) fn note_earlier_batch(&mut self, batch: BatchPlace) {
        assert!(
            self.batches.front().is_none_or(|first| batch.base_offset < first.base_offset),
            "batches are noted from the last to the first"
        );
        self.batches.push_front(batch);
    }

    /// Appends a batch at the end of what is here, or at the start of a new segment.
    pub(crate) fn append_batch(&mut self, base_offset: Offset, place: Place, pieces: &[&[u8]]) {
        self.batches.push_back(BatchPlace { base_offset, place });
        self.append(place, pieces);
    }

    fn append(&mut self, mut place: Place, pieces: &[&[u8]]) {
        for piece in pieces {
            let mut piece = *piece;
            while !piece.is_empty() {
                let open = self.open_chunk(place);
                let room = CHUNK_BYTES - open.len();
                let (now, later) = piece.split_at(room.min(piece.len()));
                open.extend_from_slice(now);
                place.position += now.len() as u64;
                piece = later;
            }
        }
    }

    /// The open chunk with room at this place.
    fn open_chunk(&mut self, place: Place) -> &mut AlignedBuf {
        let continues = self.chunks.back().is_some_and(|last| {
            last.end() == place
                && last.as_slice().len() < CHUNK_BYTES
                && matches!(last.bytes, ChunkBytes::Open(_))
        });
        if !continues {
            if let Some(last) = self.chunks.back_mut() {
                assert!(last.start.segment < place.segment || last.end() == place, "no gaps");
                last.fill();
            }
            assert!(
                place.position.is_multiple_of(BLOCK_SIZE_BYTES as u64),
                "chunks begin at whole blocks"
            );
            let buf = AlignedBuf::with_capacity(BLOCK_SIZE_BYTES);
            self.chunks.push_back(Chunk { start: place, bytes: ChunkBytes::Open(buf) });
        }
        match &mut self.chunks.back_mut().expect("just made").bytes {
            ChunkBytes::Open(buf) => buf,
            ChunkBytes::Full(_) => unreachable!("the last chunk is open"),
        }
    }

    /// Where the bytes of a segment that are here begin; none if there are none.
    pub(crate) fn start_in(&self, segment: Ordinal) -> Option<u64> {
        let first = self.chunks.partition_point(|chunk| chunk.start.segment < segment);
        let chunk = self.chunks.get(first)?;
        (chunk.start.segment == segment).then_some(chunk.start.position)
    }

    /// A range of a segment, which must be here, as pieces. Full chunks are shared; of the open one
    /// this is a copy.
    pub(crate) fn share(&self, segment: Ordinal, from: u64, to: u64) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        self.for_range(segment, from, to, |chunk, start, end| {
            pieces.push(match &chunk.bytes {
                ChunkBytes::Open(buf) => Bytes::copy_from_slice(&buf[start..end]),
                ChunkBytes::Full(bytes) => bytes.slice(start..end),
            });
        });
        pieces
    }

    /// A range of a segment, which must be here, as slices.
    pub(crate) fn borrow(&self, segment: Ordinal, from: u64, to: u64) -> Vec<&[u8]> {
        let mut pieces = Vec::new();
        self.for_range(segment, from, to, |chunk, start, end| {
            pieces.push(&chunk.as_slice()[start..end]);
        });
        pieces
    }

    fn for_range<'a>(
        &'a self,
        segment: Ordinal,
        from: u64,
        to: u64,
        mut each: impl FnMut(&'a Chunk, usize, usize),
    ) {
        let place = Place { segment, position: from };
        let first = self.chunks.partition_point(|chunk| chunk.end() <= place);
        let mut at = from;
        for chunk in self.chunks.range(first..) {
            if to <= at {
                break;
            }
            assert!(chunk.start.segment == segment && chunk.start.position <= at, "it is here");
            let until = chunk.end().position.min(to);
            let index = |position: u64| {
                usize::try_from(position - chunk.start.position).expect("within a chunk")
            };
            each(chunk, index(at), index(until));
            at = until;
        }
        assert_eq!(at, to, "it is here");
    }

    /// The next piece of a segment to be written, from `written` to at most `limit`, both in whole
    /// blocks unless `limit` is the segment's end; its bytes are padded to whole blocks. Without
    /// `even_partial` only a full chunk's.
    pub(crate) fn piece(
        &self,
        segment: Ordinal,
        written: u64,
        limit: u64,
        even_partial: bool,
    ) -> Option<(Bytes, u64)> {
        let place = Place { segment, position: written };
        let chunk = &self.chunks[self.chunks.partition_point(|chunk| chunk.end() <= place)];
        assert_eq!(chunk.start.segment, segment, "unwritten bytes are here");
        let end = chunk.end().position.min(limit);
        let is_whole_chunk = end == chunk.end().position && chunk.as_slice().len() == CHUNK_BYTES;
        if end <= written || !(even_partial || is_whole_chunk) {
            return None;
        }
        let start = usize::try_from(written - chunk.start.position).expect("within a chunk");
        let stop = usize::try_from(end - chunk.start.position).expect("within a chunk");
        let bytes = match &chunk.bytes {
            ChunkBytes::Full(bytes) if stop.is_multiple_of(BLOCK_SIZE_BYTES) => {
                bytes.slice(start..stop)
            }
            _ => {
                let mut copy = AlignedBuf::with_capacity(stop - start);
                copy.extend_from_slice(&chunk.as_slice()[start..stop]);
                copy.pad_to_block();
                copy.freeze()
            }
        };
        Some((bytes, end))
    }

    /// The first batch that is noted at or before an offset, if the offset is not below all of them.
    pub(crate) fn find(&self, offset: Offset) -> Option<usize> {
        self.batches.partition_point(|batch| batch.base_offset <= offset).checked_sub(1)
    }

    pub(crate) fn batches(&self) -> &VecDeque<BatchPlace> {
        &self.batches
    }

    /// Forgets the oldest chunk, if all of it has been flushed and it is not the last.
    pub(crate) fn evict_oldest(&mut self, flushed: impl Fn(Ordinal) -> u64) -> usize {
        let Some(oldest) = self.chunks.front() else { return 0 };
        let end = oldest.end();
        if self.chunks.len() < 2 || flushed(end.segment) < end.position {
            return 0;
        }
        let freed = oldest.memory_bytes();
        self.chunks.pop_front();
        self.forget_batches();
        freed
    }

    /// Forgets the segments up to this one, all of which are on disk in another form.
    pub(crate) fn forget_up_to(&mut self, segment: Ordinal) {
        while self.chunks.front().is_some_and(|first| first.start.segment <= segment) {
            self.chunks.pop_front();
        }
        while self.batches.front().is_some_and(|first| first.place.segment <= segment) {
            self.batches.pop_front();
        }
    }

    /// Gives back the memory of the open chunk's blocks that have been flushed. For a partition
    /// that has become idle: it keeps less than two blocks. Returns the bytes given back.
    pub(crate) fn shrink(&mut self, flushed: impl Fn(Ordinal) -> u64) -> usize {
        let mut freed = 0;
        loop {
            match self.evict_oldest(&flushed) {
                0 => break,
                bytes => freed += bytes,
            }
        }
        let [last] = self.chunks.make_contiguous() else { return freed };
        let keep_from = round_down_to_block(flushed(last.start.segment).min(last.end().position));
        if keep_from <= last.start.position {
            return freed;
        }
        let start = usize::try_from(keep_from - last.start.position).expect("within a chunk");
        let before = last.memory_bytes();
        let mut buf = AlignedBuf::with_capacity(last.as_slice().len() - start);
        buf.extend_from_slice(&last.as_slice()[start..]);
        last.start.position = keep_from;
        last.bytes = ChunkBytes::Open(buf);
        freed += before.saturating_sub(last.memory_bytes());
        self.forget_batches();
        freed
    }

    /// Cuts everything from this place on: the log has been truncated.
    pub(crate) fn truncate(&mut self, end: Place, end_offset: Offset) {
        while self.batches.back().is_some_and(|last| end_offset <= last.base_offset) {
            self.batches.pop_back();
        }
        while self.chunks.back().is_some_and(|last| end <= last.start) {
            self.chunks.pop_back();
        }
        if let Some(last) = self.chunks.back_mut()
            && last.start.segment == end.segment
            && end.position < last.end().position
        {
            let keep = usize::try_from(end.position - last.start.position).expect("in the chunk");
            let mut buf = AlignedBuf::with_capacity(keep);
            buf.extend_from_slice(&last.as_slice()[..keep]);
            last.bytes = ChunkBytes::Open(buf);
        }
    }

    pub(crate) fn chunks_count(&self) -> usize {
        self.chunks.len()
    }

    /// Memory in use.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::memory_bytes).sum()
    }

    /// Batches that end before the first chunk are read from disk now.
    fn forget_batches(&mut self) {
        let Some(start) = self.chunks.front().map(|chunk| chunk.start) else {
            self.batches.clear();
            return;
        };
        while let Some(second) = self.batches.get(1)
            && second.place <= start
        {
            self.batches.pop_front();
        }
    }
}
