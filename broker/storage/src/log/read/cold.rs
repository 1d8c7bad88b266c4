//! Reads from segments: of sealed ones from the page cache where they are there already, of
//! everything else around it, so that a consumer that catches up never blocks the core.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use model::record_batch::BatchHeader;
use model::{LeaderEpoch, Offset, Timestamp};
use runtime::{BLOCK_SIZE_BYTES, File, OpenOptions};

use super::window::{PIECE_BYTES, Window};
use super::{FileSlice, Log, ReadOutcome, ReadRequest, Slice};
use crate::error::ReadError;
use crate::format::index::Index;
use crate::log::segment::{Segment, SegmentName};
use crate::log::tail::{Ordinal, Place};
use crate::log::whole_file;
use crate::shared::OpenSegment;

/// Where earlier reads ended, which is where the next ones of the same consumers begin.
const REMEMBERED_COUNT: usize = 32;

/// A read that has to wait for the disk.
#[derive(Debug)]
pub struct ColdRead {
    log: Rc<Log>,
    request: ReadRequest,
    /// What was found in memory already.
    first_part: Option<FirstPart>,
}

/// A range of a segment that begins a batch, followed by what is in memory.
#[derive(Debug)]
pub(super) struct FirstPart {
    pub(super) from: Place,
    pub(super) to: u64,
    pub(super) base_offset: Offset,
    pub(super) memory: Vec<Slice>,
}

/// What has come of a look into one segment.
enum Looked {
    Found(Vec<Slice>),
    /// Compaction has left nothing there up to this offset; or it has put another segment in the
    /// place of this one meanwhile.
    GoOnAt(Offset),
}

/// Where a read ended: an offset and its place.
pub(in crate::log) type Remembered = VecDeque<(Offset, Place)>;

/// Offsets whose leader epoch the entries have told: from, and up to.
pub(in crate::log) type ProvenEpochs = VecDeque<(LeaderEpoch, Offset, Offset)>;

impl ColdRead {
    pub(super) fn new(
        log: Rc<Log>,
        request: ReadRequest,
        first_part: Option<FirstPart>,
    ) -> ColdRead {
        ColdRead { log, request, first_part }
    }

    /// Reads from disk.
    pub async fn run(self) -> Result<Vec<Slice>, ReadError> {
        let ColdRead { log, mut request, mut first_part } = self;
        loop {
            let looked = match first_part.take() {
                None => log.read_segment(&request).await?,
                Some(part) => {
                    let segment = part.from.segment;
                    log.unless_replaced(segment, &request, log.read_first_part(part).await)?
                }
            };
            match looked {
                Looked::Found(slices) => return Ok(slices),
                Looked::GoOnAt(offset) if request.up_to <= offset => return Ok(Vec::new()),
                Looked::GoOnAt(offset) => request.offset = offset,
            }
            match log.read(&request)? {
                ReadOutcome::Ready(slices) => return Ok(slices),
                ReadOutcome::Cold(cold) => first_part = cold.first_part,
            }
        }
    }
}

impl Log {
    /// The batch that was asked for is not there: it comes later, unless the log is damaged.
    fn nothing_at(&self, ordinal: Ordinal, position: u64) -> Result<Looked, ReadError> {
        if !self.is_doubtful() {
            return Ok(Looked::Found(Vec::new()));
        }
        let what = "what follows cannot be told, as a journal or the log's entries are damaged";
        let (path, what) = (self.path_of(ordinal), what.to_owned());
        Err(ReadError::Damaged { path, position, what })
    }

    async fn read_first_part(self: &Rc<Log>, part: FirstPart) -> Result<Looked, ReadError> {
        let FirstPart { from, to, base_offset, memory } = part;
        let size_bytes = usize::try_from(to - from.position).expect("part of a batch");
        let _share = self.shared.cold_reads.take(size_bytes).await;
        let mut window = self.open_window(from.segment, from.position, to).await?;
        window.fill_to(to).await?;
        let mut slices = window.slices(from.position, to);
        slices.extend(memory);
        let header = window.header_in(&slices, from.position)?;
        let header = window.check_offset(from.position, base_offset, header)?;
        window.check_epoch(from.position, &header).await?;
        Ok(Looked::Found(slices))
    }

    /// What came of a look into a segment, unless compaction has taken its file meanwhile.
    fn unless_replaced(
        &self,
        ordinal: Ordinal,
        request: &ReadRequest,
        looked: Result<Looked, ReadError>,
    ) -> Result<Looked, ReadError> {
        if self.state.borrow().segment(ordinal).is_some() {
            return looked;
        }
        match looked {
            Ok(Looked::Found(slices)) if !slices.is_empty() => Ok(Looked::Found(slices)),
            _ if self.is_readable(request) => Ok(Looked::GoOnAt(request.offset)),
            _ => Ok(Looked::Found(Vec::new())),
        }
    }

    async fn read_segment(self: &Rc<Log>, request: &ReadRequest) -> Result<Looked, ReadError> {
        let _share = self.shared.cold_reads.take(request.bytes_max.max(PIECE_BYTES)).await;
        let Some(ordinal) = self.segment_of(request.offset) else {
            if !self.is_readable(request) {
                return Ok(Looked::Found(Vec::new()));
            }
            let first = self.state.borrow().segments[0].base_offset;
            if self.is_gap(request.offset, first) {
                return Ok(Looked::GoOnAt(first));
            }
            let what = format!("no segment holds offset {}", request.offset);
            return Err(ReadError::Damaged { path: self.directory.clone(), position: 0, what });
        };
        let looked = self.look_into_segment(ordinal, request).await;
        self.unless_replaced(ordinal, request, looked)
    }

    /// Whether compaction may have taken everything between two offsets.
    pub(super) fn is_gap(&self, from: Offset, to: Offset) -> bool {
        from < to && to <= self.state.borrow().compacted.end
    }

    async fn look_into_segment(
        self: &Rc<Log>,
        ordinal: Ordinal,
        request: &ReadRequest,
    ) -> Result<Looked, ReadError> {
        let is_indexed = match self.load_index(ordinal).await {
            Ok(()) => true,
            // What comes before the damage can be read; it takes a walk from the segment's start.
            Err(ReadError::Damaged { .. }) => false,
            Err(error) => return Err(error),
        };
        if let Some(slice) = self.read_from_page_cache(ordinal, request).await? {
            return Ok(Looked::Found(vec![Slice::File(slice)]));
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
        if next.is_none()
            && to == from
            && let Some(offset) = self.after_gap(ordinal)
        {
            return Ok(Looked::GoOnAt(offset));
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
        Ok(Looked::Found(window.slices(from, to)))
    }

    /// Where the log goes on after a compacted segment.
    fn after_gap(&self, ordinal: Ordinal) -> Option<Offset> {
        let state = self.state.borrow();
        state.segment(ordinal).filter(|segment| segment.is_compacted())?;
        state.segment_after(ordinal).map(|next| next.base_offset)
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
        // There, the checksums of blocks tell.
        if header.next_offset() <= self.state.borrow().compacted.end {
            return true;
        }
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
            // Below the log's start nothing is told of epochs.
            return header.next_offset() <= self.ends().log_start;
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
        let next = state.segment_after(ordinal)?;
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
        let (name, indexed_from) = {
            let state = self.state.borrow();
            let Some(segment) = state.segment(ordinal) else { return Ok(()) };
            (segment.name(), segment.indexed_from)
        };
        if indexed_from == 0 {
            return Ok(());
        }
        let file = self.open_reader(ordinal).await?;
        let size_bytes = file.size_bytes().await.map_err(|source| self.failed(ordinal, source))?;
        self.check_size(ordinal, size_bytes)?;
        // A sealed segment's file has its size; of the one being written only a part is missing.
        let end = indexed_from.min(size_bytes);
        let kept = self.read_index(name, end).await;
        let is_kept = kept.is_some();
        let index = match kept {
            Some(index) => self.check_end(ordinal, &index, end).await.map(|()| index),
            None => self.scan(ordinal, end).await,
        };
        if let Ok(index) = &index
            && !is_kept
            && indexed_from == u64::MAX
        {
            self.keep_index(name, index.encode(name.base_offset, size_bytes)).await;
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
        name: SegmentName,
        segment_bytes: u64,
    ) -> Option<Index> {
        let bytes = whole_file::read(&name.index_path(&self.directory)).await.ok()?;
        Index::decode(&bytes, name.base_offset, segment_bytes)
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
            window.batch_with_its_crc(position, &header).await?;
            index.note(header.base_offset, position, header.max_timestamp, interval_bytes);
            position = batch_end;
            expected = header.next_offset();
            window.forget_before(position);
        }
        self.check_next(&window, ordinal, (expected, position))?;
        Ok(index)
    }

    /// Nothing else tells that a compacted segment has lost its last batches.
    fn check_size(&self, ordinal: Ordinal, found_bytes: u64) -> Result<(), ReadError> {
        let expected_bytes = {
            let state = self.state.borrow();
            let compacted = state.segment(ordinal).filter(|segment| segment.is_compacted());
            compacted.and_then(|segment| segment.end_bytes)
        };
        match expected_bytes {
            Some(expected_bytes) if expected_bytes != found_bytes => {
                let what = format!("{found_bytes} bytes instead of {expected_bytes}");
                let path = self.path_of(ordinal);
                Err(ReadError::Damaged { path, position: found_bytes, what })
            }
            _ => Ok(()),
        }
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

    /// Where a sealed segment ends, the next one begins, unless it is compacted; where only its first
    /// part is looked at, the batches that are in the index already.
    fn check_next(
        &self,
        window: &Window,
        ordinal: Ordinal,
        (end, position): (Offset, u64),
    ) -> Result<(), ReadError> {
        let state = self.state.borrow();
        let Some(segment) = state.segment(ordinal) else { return Ok(()) };
        let indexed = segment.index.points.first().map(|point| point.offset);
        let following = state.segment_after(ordinal).filter(|_| segment.is_sealed);
        let next = indexed.or(following.map(|following| following.base_offset));
        match next {
            Some(next) if next != end && !(segment.is_compacted() && end < next) => {
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
        Ok(self.window_over(ordinal, file, begin, limit))
    }

    /// A walk over a segment with a file of its own, for work that can wait.
    pub(in crate::log) async fn open_unhurried_window(
        self: &Rc<Log>,
        ordinal: Ordinal,
    ) -> Result<Window, ReadError> {
        let options = OpenOptions::READ.direct(self.shared.options.is_direct).background();
        let file = self.open_segment(ordinal, options).await?;
        let size_bytes = file.size_bytes().await.map_err(|source| self.failed(ordinal, source))?;
        self.check_size(ordinal, size_bytes)?;
        Ok(self.window_over(ordinal, file, 0, size_bytes).unhurried())
    }

    fn window_over(
        self: &Rc<Log>,
        ordinal: Ordinal,
        file: Arc<File>,
        begin: u64,
        limit: u64,
    ) -> Window {
        let gap_end = {
            let state = self.state.borrow();
            let compacted = state.segment(ordinal).filter(|segment| segment.is_compacted());
            compacted.map(|segment| state.end_of(segment))
        };
        Window::new(self.clone(), ordinal, gap_end, file, begin, limit)
    }

    async fn open_reader(self: &Rc<Log>, ordinal: Ordinal) -> Result<Arc<File>, ReadError> {
        let known = self.state.borrow().segment(ordinal).and_then(|segment| segment.reader.clone());
        if let Some(file) = known {
            return Ok(file);
        }
        let options = OpenOptions::READ.direct(self.shared.options.is_direct);
        let file = self.open_segment(ordinal, options).await?;
        let open = self.note_open(ordinal);
        if let Some(segment) = self.state.borrow_mut().segment_mut(ordinal) {
            segment.reader = Some(file.clone());
            segment.note_open(open);
        }
        Ok(file)
    }

    async fn open_sender(self: &Rc<Log>, ordinal: Ordinal) -> Result<Arc<File>, ReadError> {
        let known = self.state.borrow().segment(ordinal).and_then(|segment| segment.sender.clone());
        if let Some(file) = known {
            return Ok(file);
        }
        let file = self.open_segment(ordinal, OpenOptions::READ).await?;
        let open = self.note_open(ordinal);
        if let Some(segment) = self.state.borrow_mut().segment_mut(ordinal) {
            segment.sender = Some(file.clone());
            segment.note_open(open);
        }
        Ok(file)
    }

    /// Counts a segment whose first file has just been opened. In return others may be closed.
    pub(in crate::log) fn note_open(self: &Rc<Log>, ordinal: Ordinal) -> Option<OpenSegment> {
        (!self.has_open(ordinal)).then(|| self.shared.note_open(self, ordinal))
    }

    pub(crate) fn has_open(&self, ordinal: Ordinal) -> bool {
        self.state.borrow().segment(ordinal).is_some_and(|segment| segment.open.is_some())
    }

    /// Closes the files of a segment, for others that are needed more.
    pub(crate) fn close_segment(&self, ordinal: Ordinal) {
        if let Some(segment) = self.state.borrow_mut().segment_mut(ordinal) {
            segment.close();
        }
    }

    async fn open_segment(
        &self,
        ordinal: Ordinal,
        options: OpenOptions,
    ) -> Result<Arc<File>, ReadError> {
        let path = self.path_of(ordinal);
        if self.base_offset_of(ordinal).is_none() {
            return Err(ReadError::Io { path, source: io::ErrorKind::NotFound.into() });
        }
        let file = File::open(&path, options).await;
        file.map(Arc::new).map_err(|source| ReadError::Io { path, source })
    }

    pub(super) fn path_of(&self, ordinal: Ordinal) -> PathBuf {
        let name = self.state.borrow().segment(ordinal).map(Segment::name);
        // It is gone, and nobody asks for it any more.
        name.map_or_else(|| self.directory.clone(), |name| name.log_path(&self.directory))
    }

    /// Where the checksums of a compacted segment's blocks are.
    pub(super) fn sums_path_of(&self, ordinal: Ordinal) -> Option<PathBuf> {
        let state = self.state.borrow();
        let compacted = state.segment(ordinal).filter(|segment| segment.is_compacted())?;
        Some(compacted.name().sums_path(&self.directory))
    }

    pub(super) fn failed(&self, ordinal: Ordinal, source: io::Error) -> ReadError {
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
