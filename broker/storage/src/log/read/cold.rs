//! Reads from segments: of sealed ones from the page cache where they are there already, of
//! everything else around it, so that a consumer that catches up never blocks the core.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use model::record_batch::{self, BatchHeader, HEADER_SIZE_BYTES};
use model::{LeaderEpoch, Offset, Timestamp};
use runtime::{
    BLOCK_SIZE_BYTES, File, JoinHandle, OpenOptions, round_down_to_block, round_up_to_block,
};

use super::{FileSlice, Log, ReadRequest, Slice};
use crate::error::ReadError;
use crate::format::index::Index;
use crate::log::segment::{index_path, segment_path};
use crate::log::tail::{Ordinal, Place};

/// Read at a time, and how many such reads are in flight for one consumer: enough to keep a disk
/// busy without queueing.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_COUNT: usize = 4;
/// Where earlier reads ended, which is where the next ones of the same consumers begin.
const REMEMBERED_COUNT: usize = 32;

/// A read that has to wait for the disk.
#[derive(Debug)]
pub struct ColdRead {
    log: Rc<Log>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The batches from an offset on.
    FromSegment(ReadRequest),
    /// A range of a segment, followed by what is in memory.
    FirstPart { from: Place, to: u64, base_offset: Offset, memory: Vec<Slice> },
}

/// Where a read ended: an offset and its place.
pub(in crate::log) type Remembered = VecDeque<(Offset, Place)>;

/// Offsets whose leader epoch the entries have told: from, and up to.
pub(in crate::log) type ProvenEpochs = VecDeque<(LeaderEpoch, Offset, Offset)>;

impl ColdRead {
    pub(super) fn from_segment(log: Rc<Log>, request: ReadRequest) -> ColdRead {
        ColdRead { log, what: What::FromSegment(request) }
    }

    pub(super) fn first_part(
        log: Rc<Log>,
        (from, to, base_offset): (Place, u64, Offset),
        memory: Vec<Slice>,
    ) -> ColdRead {
        ColdRead { log, what: What::FirstPart { from, to, base_offset, memory } }
    }

    /// Reads from disk.
    pub async fn run(self) -> Result<Vec<Slice>, ReadError> {
        match self.what {
            What::FromSegment(request) => self.log.read_segment(&request).await,
            What::FirstPart { from, to, base_offset, memory } => {
                let size_bytes = usize::try_from(to - from.position).expect("part of a batch");
                let _share = self.log.shared.cold_reads.take(size_bytes).await;
                let mut reader = self.log.open_window(from.segment, from.position, to).await?;
                reader.fill_to(to).await?;
                let mut slices = reader.slices(from.position, to);
                slices.extend(memory);
                let header = reader.header_in(&slices, from.position)?;
                let header = reader.check_offset(from.position, base_offset, header)?;
                reader.check_epoch(from.position, &header).await?;
                Ok(slices)
            }
        }
    }
}

impl Log {
    /// The batch that was asked for is not there: it comes later, unless the log is damaged.
    fn nothing_at(&self, ordinal: Ordinal, position: u64) -> Result<Vec<Slice>, ReadError> {
        if !self.is_doubtful() {
            return Ok(Vec::new());
        }
        let what = "what follows cannot be told, as a journal or the log's entries are damaged";
        let (path, what) = (self.path_of(ordinal), what.to_owned());
        Err(ReadError::Damaged { path, position, what })
    }

    async fn read_segment(self: &Rc<Log>, request: &ReadRequest) -> Result<Vec<Slice>, ReadError> {
        let _share = self.shared.cold_reads.take(request.bytes_max.max(PIECE_BYTES)).await;
        let Some(ordinal) = self.segment_of(request.offset) else {
            if !self.is_readable(request) {
                return Ok(Vec::new());
            }
            let what = format!("no segment holds offset {}", request.offset);
            return Err(ReadError::Damaged { path: self.directory.clone(), position: 0, what });
        };
        let is_indexed = match self.load_index(ordinal).await {
            Ok(()) => true,
            // What comes before the damage can be read; it takes a walk from the segment's start.
            Err(ReadError::Damaged { .. }) => false,
            Err(error) => return Err(error),
        };
        if let Some(slice) = self.read_from_page_cache(ordinal, request).await? {
            return Ok(vec![Slice::File(slice)]);
        }
        let begin = match self.remembered(request.offset) {
            Some(place) if place.segment == ordinal => (request.offset, place.position),
            _ => self.known_place_before(ordinal, request.offset, is_indexed),
        };
        let limit = self.limit_on_disk(ordinal);
        let mut window = self.open_window(ordinal, begin.1, limit).await?;
        // Find the batch that holds the offset, then the end of the last one that fits.
        let (mut expected, mut from) = begin;
        let mut next = loop {
            match window.batch_at(from, expected).await? {
                None => break None,
                Some(header) if request.offset < header.next_offset() => break Some(header),
                Some(header) => {
                    from += header.size_bytes() as u64;
                    expected = header.next_offset();
                }
            }
        };
        let mut to = from;
        let mut next_offset = request.offset;
        while let Some(header) = next {
            let end = to + header.size_bytes() as u64;
            let is_first_wanted = to == from && request.at_least_one_batch;
            let fits = end - from <= request.bytes_max as u64;
            if request.up_to < header.next_offset() || limit < end || !(fits || is_first_wanted) {
                break;
            }
            window.check_epoch(to, &header).await?;
            to = end;
            next_offset = header.next_offset();
            next = window.batch_at(to, next_offset).await?;
        }
        if to == from && request.at_least_one_batch {
            if self.is_readable(request) && self.segment_of(request.offset) == Some(ordinal) {
                return Err(window.damaged(from, format!("offset {} is not there", request.offset)));
            }
            return self.nothing_at(ordinal, from);
        }
        window.fill_to(to).await?;
        self.remember(next_offset, Place { segment: ordinal, position: to });
        self.shared.metrics.read_bytes.add(to - from);
        Ok(window.slices(from, to))
    }

    /// Whether there is something to read. The log may have begun later since the question, and its
    /// first segments may be gone.
    fn is_readable(&self, request: &ReadRequest) -> bool {
        let state = self.state.borrow();
        state.log_start <= request.offset && request.offset < request.up_to.min(state.end.offset)
    }

    /// A batch at or before an offset whose place is known, or the segment's first.
    fn known_place_before(
        &self,
        ordinal: Ordinal,
        offset: Offset,
        is_indexed: bool,
    ) -> (Offset, u64) {
        let state = self.state.borrow();
        let Some(segment) = state.segment(ordinal) else { return (offset, 0) };
        let point = if is_indexed { segment.index.point_before(offset) } else { None };
        point.map_or((segment.base_offset, 0), |point| (point.offset, point.position))
    }

    /// Whether a batch is of the leader epoch that it names. That lies outside of its checksum, but
    /// the entries have it as well.
    pub(super) async fn has_its_epoch(self: &Rc<Log>, header: &BatchHeader) -> bool {
        let epoch = header.leader_epoch;
        let is_proven = |(of, from, to): &(LeaderEpoch, Offset, Offset)| {
            *of == epoch && *from <= header.last_offset() && header.next_offset() <= *to
        };
        if self.proven_epochs.borrow().iter().any(is_proven) {
            return true;
        }
        let before = LeaderEpoch(epoch.0.saturating_sub(1));
        let mut records = self.records();
        let before = self.epoch_end_from(&mut records, before).await;
        let up_to = self.epoch_end_from(&mut records, epoch).await;
        let (Ok(before), Ok(up_to)) = (before, up_to) else {
            // The damage is in the entries, which is told to whoever needs them.
            return true;
        };
        let proven = (epoch, before.end_offset, up_to.end_offset);
        if !is_proven(&proven) {
            return false;
        }
        let mut proven_epochs = self.proven_epochs.borrow_mut();
        if REMEMBERED_COUNT <= proven_epochs.len() {
            proven_epochs.pop_front();
        }
        proven_epochs.push_back(proven);
        true
    }

    /// A run of whole batches of a sealed segment, if all of it is in the page cache and its start
    /// is known from the read before it.
    async fn read_from_page_cache(
        self: &Rc<Log>,
        ordinal: Ordinal,
        request: &ReadRequest,
    ) -> Result<Option<FileSlice>, ReadError> {
        let Some(from) = self.remembered(request.offset).filter(|from| from.segment == ordinal)
        else {
            return Ok(None);
        };
        let Some((to, next_offset)) = self.boundary_before(ordinal, from.position, request) else {
            return Ok(None);
        };
        let file = self.open_sender(ordinal).await?;
        let size_bytes = usize::try_from(to - from.position).expect("at most `bytes_max`");
        let cached_bytes = file
            .cached_bytes(from.position, size_bytes)
            .await
            .map_err(|source| self.failed(ordinal, source))?;
        if cached_bytes < size_bytes {
            return Ok(None);
        }
        self.remember(next_offset, Place { segment: ordinal, position: to });
        self.shared.metrics.read_bytes.add(size_bytes as u64);
        Ok(Some(FileSlice { file, position: from.position, size_bytes }))
    }

    /// The last place within the request between two batches that is known without reading: a
    /// point of the index, or the segment's end.
    fn boundary_before(
        &self,
        ordinal: Ordinal,
        from: u64,
        request: &ReadRequest,
    ) -> Option<(u64, Offset)> {
        let state = self.state.borrow();
        let segment = state.segment(ordinal).filter(|segment| segment.is_sealed)?;
        let next = state.segment(ordinal + 1)?;
        let to_max = from + request.bytes_max as u64;
        // A segment that has lost its end says so to whoever walks it.
        let is_there = from < segment.end();
        if is_there && segment.end() <= to_max && next.base_offset <= request.up_to {
            return Some((segment.end(), next.base_offset));
        }
        let points = &segment.index.points;
        let after = points
            .partition_point(|point| point.position <= to_max && point.offset <= request.up_to);
        let point = points[..after].last().filter(|point| from < point.position)?;
        Some((point.position, point.offset))
    }

    /// The segment that holds an offset.
    fn segment_of(&self, offset: Offset) -> Option<Ordinal> {
        let state = self.state.borrow();
        let after = state.segments.partition_point(|segment| segment.base_offset <= offset);
        Some(state.segments[after.checked_sub(1)?].ordinal)
    }

    /// Up to where batches of a segment are whole on disk.
    fn limit_on_disk(&self, ordinal: Ordinal) -> u64 {
        let state = self.state.borrow();
        let Some(segment) = state.segment(ordinal) else { return 0 };
        let first_in_memory = state.tail.batches().front().map(|batch| batch.place);
        match first_in_memory {
            Some(place) if place.segment == ordinal => segment.readable_bytes().min(place.position),
            _ => segment.readable_bytes(),
        }
    }

    pub(in crate::log) fn with_index<T>(
        &self,
        ordinal: Ordinal,
        body: impl FnOnce(&Index) -> T,
    ) -> T
    where
        T: Default,
    {
        self.state.borrow().segment(ordinal).map_or_else(T::default, |segment| body(&segment.index))
    }

    /// Makes the index of a segment whole: from its file, or from the segment itself.
    pub(in crate::log) async fn load_index(
        self: &Rc<Log>,
        ordinal: Ordinal,
    ) -> Result<(), ReadError> {
        let (base_offset, indexed_from) = {
            let state = self.state.borrow();
            let Some(segment) = state.segment(ordinal) else { return Ok(()) };
            (segment.base_offset, segment.indexed_from)
        };
        if indexed_from == 0 {
            return Ok(());
        }
        let file = self.open_reader(ordinal).await?;
        let size_bytes = file.size_bytes().await.map_err(|source| self.failed(ordinal, source))?;
        // A sealed segment's file has its size; of the one being written only a part is missing.
        let end = indexed_from.min(size_bytes);
        let kept = self.read_index(base_offset, end).await;
        let is_kept = kept.is_some();
        let index = match kept {
            Some(index) => self.check_end(ordinal, &index, end).await.map(|()| index),
            None => self.scan(ordinal, end).await,
        };
        if let Ok(index) = &index
            && !is_kept
            && indexed_from == u64::MAX
        {
            let bytes = index.encode(base_offset, size_bytes);
            if let Err(error) = self.write_index(base_offset, bytes).await {
                tracing::warn!(partition = %self.partition, %base_offset, %error,
                    "an index was not written");
            }
        }
        let mut state = self.state.borrow_mut();
        if let Some(segment) = state.segment_mut(ordinal)
            && segment.indexed_from == indexed_from
        {
            segment.note_size(size_bytes);
            segment.index.prepend(index?);
            segment.indexed_from = 0;
        }
        Ok(())
    }

    pub(in crate::log) async fn read_index(
        &self,
        base_offset: Offset,
        segment_bytes: u64,
    ) -> Option<Index> {
        let path = index_path(&self.directory, base_offset);
        let file = File::open(path, OpenOptions::READ).await.ok()?;
        let size_bytes = usize::try_from(file.size_bytes().await.ok()?).ok()?;
        let bytes = file.read_exact_at(0, size_bytes).await.ok()?;
        Index::decode(&bytes, base_offset, segment_bytes)
    }

    /// The latest time of a segment's first batch, as its header on disk has it.
    pub(in crate::log) async fn first_timestamp(
        self: &Rc<Log>,
        ordinal: Ordinal,
    ) -> Result<Option<Timestamp>, ReadError> {
        let limit = self.limit_on_disk(ordinal);
        let mut window = self.open_window(ordinal, 0, limit.min(BLOCK_SIZE_BYTES as u64)).await?;
        let header = window.header_at(0).await?;
        Ok(header.map(|header| header.max_timestamp))
    }

    /// Builds an index from a segment's batches up to `end`. All of them are looked at, since an
    /// index is believed from then on.
    async fn scan(self: &Rc<Log>, ordinal: Ordinal, end: u64) -> Result<Index, ReadError> {
        let interval_bytes = self.options.get().index_interval_bytes;
        let mut index = Index::default();
        let mut window = self.open_window(ordinal, 0, end).await?;
        let Some(mut expected) = self.base_offset_of(ordinal) else { return Ok(index) };
        let mut position = 0;
        while position < end
            && let Some(header) = window.batch_at(position, expected).await?
        {
            let batch_end = position + header.size_bytes() as u64;
            if end < batch_end {
                break;
            }
            window.check_crc(position, batch_end).await?;
            index.note(header.base_offset, position, header.max_timestamp, interval_bytes);
            position = batch_end;
            expected = header.next_offset();
            window.forget_before(position);
        }
        self.check_next(&window, ordinal, (expected, position))?;
        Ok(index)
    }

    /// An index that was kept tells nothing of a segment that is missing after its own.
    async fn check_end(
        self: &Rc<Log>,
        ordinal: Ordinal,
        index: &Index,
        end: u64,
    ) -> Result<(), ReadError> {
        let Some(last) = index.points.last() else { return Ok(()) };
        let mut window = self.open_window(ordinal, last.position, end).await?;
        let mut at = (last.offset, last.position);
        while at.1 < end
            && let Some(header) = window.batch_at(at.1, at.0).await?
        {
            at = (header.next_offset(), at.1 + header.size_bytes() as u64);
        }
        self.check_next(&window, ordinal, at)
    }

    /// Where a sealed segment ends, the next one begins; where only its first part is looked at, the
    /// batches that are in the index already.
    fn check_next(
        &self,
        window: &Window,
        ordinal: Ordinal,
        (end, position): (Offset, u64),
    ) -> Result<(), ReadError> {
        let state = self.state.borrow();
        let Some(segment) = state.segment(ordinal) else { return Ok(()) };
        let indexed = segment.index.points.first().map(|point| point.offset);
        let following = state.segment(ordinal + 1).filter(|_| segment.is_sealed);
        let next = indexed.or(following.map(|following| following.base_offset));
        match next {
            Some(next) if next != end => {
                let what = format!("it ends before offset {end}, and {next} comes next");
                drop(state);
                Err(window.damaged(position, what))
            }
            _ => Ok(()),
        }
    }

    fn base_offset_of(&self, ordinal: Ordinal) -> Option<Offset> {
        self.state.borrow().segment(ordinal).map(|segment| segment.base_offset)
    }

    async fn open_window(
        self: &Rc<Log>,
        ordinal: Ordinal,
        begin: u64,
        limit: u64,
    ) -> Result<Window, ReadError> {
        let file = self.open_reader(ordinal).await?;
        let start = round_down_to_block(begin);
        Ok(Window {
            log: self.clone(),
            ordinal,
            file,
            start,
            pieces: VecDeque::new(),
            end: start,
            limit,
        })
    }

    async fn open_reader(self: &Rc<Log>, ordinal: Ordinal) -> Result<Arc<File>, ReadError> {
        let known = self.state.borrow().segment(ordinal).and_then(|segment| segment.reader.clone());
        if let Some(file) = known {
            return Ok(file);
        }
        let options = OpenOptions::READ.direct(self.shared.options.is_direct);
        let file = self.open_segment(ordinal, options).await?;
        if let Some(segment) = self.state.borrow_mut().segment_mut(ordinal) {
            segment.reader = Some(file.clone());
        }
        Ok(file)
    }

    async fn open_sender(self: &Rc<Log>, ordinal: Ordinal) -> Result<Arc<File>, ReadError> {
        let known = self.state.borrow().segment(ordinal).and_then(|segment| segment.sender.clone());
        if let Some(file) = known {
            return Ok(file);
        }
        let file = self.open_segment(ordinal, OpenOptions::READ).await?;
        if let Some(segment) = self.state.borrow_mut().segment_mut(ordinal) {
            segment.sender = Some(file.clone());
        }
        Ok(file)
    }

    async fn open_segment(
        &self,
        ordinal: Ordinal,
        options: OpenOptions,
    ) -> Result<Arc<File>, ReadError> {
        let path = self.path_of(ordinal);
        let file = File::open(&path, options).await;
        file.map(Arc::new).map_err(|source| ReadError::Io { path, source })
    }

    fn path_of(&self, ordinal: Ordinal) -> std::path::PathBuf {
        let base_offset = self.base_offset_of(ordinal).unwrap_or(Offset::NONE);
        segment_path(&self.directory, base_offset)
    }

    fn failed(&self, ordinal: Ordinal, source: io::Error) -> ReadError {
        ReadError::Io { path: self.path_of(ordinal), source }
    }

    fn remembered(&self, offset: Offset) -> Option<Place> {
        let remembered = self.remembered.borrow();
        remembered.iter().rev().find(|(end, _)| *end == offset).map(|(_, place)| *place)
    }

    fn remember(&self, offset: Offset, place: Place) {
        let mut remembered = self.remembered.borrow_mut();
        if REMEMBERED_COUNT <= remembered.len() {
            remembered.pop_front();
        }
        remembered.push_back((offset, place));
    }
}

/// Bytes of a segment, read ahead in order.
struct Window {
    log: Rc<Log>,
    ordinal: Ordinal,
    file: Arc<File>,
    /// Where `pieces` begin, in whole blocks.
    start: u64,
    pieces: VecDeque<Bytes>,
    /// Where they end.
    end: u64,
    /// Nothing beyond is read.
    limit: u64,
}

impl Window {
    /// The header of the batch that begins at a position; none at the limit.
    async fn header_at(&mut self, position: u64) -> Result<Option<BatchHeader>, ReadError> {
        let header_end = position + HEADER_SIZE_BYTES as u64;
        if self.limit < header_end {
            return Ok(None);
        }
        self.fill_to(header_end).await?;
        self.header_in(&self.slices(position, header_end), position).map(Some)
    }

    /// The header that these slices, of a batch at this position, begin with.
    fn header_in(&self, slices: &[Slice], position: u64) -> Result<BatchHeader, ReadError> {
        let mut bytes = Vec::with_capacity(HEADER_SIZE_BYTES);
        for slice in slices {
            let Slice::Memory(piece) = slice else { unreachable!("a window is in memory") };
            let left = HEADER_SIZE_BYTES - bytes.len();
            bytes.extend_from_slice(&piece[..left.min(piece.len())]);
        }
        BatchHeader::read(&bytes).map_err(|error| self.damaged(position, error.to_string()))
    }

    /// The header of the batch with this base offset, which is where it should be: base offset,
    /// size and leader epoch lie outside of the batch's own checksum.
    async fn batch_at(
        &mut self,
        position: u64,
        base_offset: Offset,
    ) -> Result<Option<BatchHeader>, ReadError> {
        match self.header_at(position).await? {
            Some(header) => self.check_offset(position, base_offset, header).map(Some),
            None => Ok(None),
        }
    }

    fn check_offset(
        &self,
        position: u64,
        base_offset: Offset,
        header: BatchHeader,
    ) -> Result<BatchHeader, ReadError> {
        if header.base_offset != base_offset || header.last_offset_delta < 0 {
            let found = header.base_offset;
            return Err(self.damaged(position, format!("offset {found} instead of {base_offset}")));
        }
        Ok(header)
    }

    async fn check_epoch(&self, position: u64, header: &BatchHeader) -> Result<(), ReadError> {
        if self.log.has_its_epoch(header).await {
            return Ok(());
        }
        let epoch = header.leader_epoch;
        Err(self.damaged(position, format!("leader epoch {epoch}, and the entries have another")))
    }

    /// Checks the whole batch between two positions.
    async fn check_crc(&mut self, from: u64, to: u64) -> Result<(), ReadError> {
        self.fill_to(to).await?;
        let mut bytes = Vec::new();
        for slice in self.slices(from, to) {
            let Slice::Memory(piece) = slice else { unreachable!("a window is in memory") };
            bytes.extend_from_slice(&piece);
        }
        record_batch::check_crc(&bytes).map_err(|error| self.damaged(from, error.to_string()))
    }

    fn damaged(&self, position: u64, what: String) -> ReadError {
        ReadError::Damaged { path: self.log.path_of(self.ordinal), position, what }
    }

    /// Reads on until `to` is here.
    async fn fill_to(&mut self, to: u64) -> Result<(), ReadError> {
        while self.end < to {
            let limit = round_up_to_block(self.limit);
            let mut reads: VecDeque<(u64, JoinHandle<io::Result<runtime::AlignedBuf>>)> =
                VecDeque::new();
            let mut position = self.end;
            while position < limit && reads.len() < PIECES_COUNT {
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

    fn slices(&self, from: u64, to: u64) -> Vec<Slice> {
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
    fn forget_before(&mut self, position: u64) {
        while let Some(first) = self.pieces.front()
            && self.start + first.len() as u64 + (BLOCK_SIZE_BYTES as u64) <= position
        {
            self.start += first.len() as u64;
            self.pieces.pop_front();
        }
    }
}
