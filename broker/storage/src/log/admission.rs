//! Whether an append may happen now.

use std::io;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;

use runtime::{File, OpenOptions, round_up_to_block};

use super::segment::SegmentName;
use super::tail::Ordinal;
use super::{Log, State, Switching, whole_file};
use crate::error::{AppendError, is_disk_full};
use crate::format::entry::RECORD_SIZE_BYTES;
use crate::format::frame::room_bytes;
use crate::room::Room;

/// A segment's first extent; each further one doubles what there is, up to [`EXTENT_BYTES_MAX`].
const EXTENT_BYTES_MIN: u64 = 64 << 10;
const EXTENT_BYTES_MAX: u64 = 64 << 20;
/// The same for `entries`.
const ENTRIES_EXTENT_BYTES_MIN: u64 = 4 << 10;
const ENTRIES_EXTENT_BYTES_MAX: u64 = 1 << 20;

/// What a log that uses the last room has reserved ahead, of its segment and of `entries`.
const LAST_ROOM_BYTES: u64 = 64 << 10;
const LAST_ENTRIES_BYTES: u64 = 128 * RECORD_SIZE_BYTES as u64;

/// Records of `entries` for which batches leave space, so that a later log start, which frees some,
/// can be appended when the disk is full.
const SPARE_RECORDS_COUNT: u64 = 8;

/// The answer to whoever wants to append.
#[derive(Clone, Debug)]
pub enum Admission {
    /// The append may be made in this step.
    Now,
    /// The log or its core is busy with something that ends soon; [`Log::admitted`] waits for it.
    Later,
    /// The append is not possible.
    Refused(AppendError),
}

impl Log {
    /// Whether a batch of this size may be appended now. An append is admitted only against space
    /// that is reserved on disk, so that the journal never acknowledges what segments cannot hold.
    pub fn admit(self: &Rc<Log>, batch_bytes: usize) -> Admission {
        let admission = self.admit_entry(Some(batch_bytes));
        if let Admission::Refused(AppendError::DiskFull { .. } | AppendError::NoSpace { .. }) =
            &admission
        {
            self.shared.metrics.refused_disk_full.add(1);
        }
        admission
    }

    /// Of a batch of this size, or of an entry that is none.
    fn admit_entry(self: &Rc<Log>, batch_bytes: Option<usize>) -> Admission {
        let mut state = self.state.borrow_mut();
        if let Err(refused) = self.check(&state) {
            return Admission::Refused(refused);
        }
        if let Room::Full { free_bytes, limit_bytes } = self.shared.room()
            && batch_bytes.is_some()
            && !self.uses_last_room.get()
        {
            let partition = self.partition;
            let refused = AppendError::DiskFull { partition, free_bytes, limit_bytes };
            return Admission::Refused(refused);
        }
        let spare_records_count = batch_bytes.map_or(0, |_| SPARE_RECORDS_COUNT);
        let batch_bytes = batch_bytes.unwrap_or(0);
        let is_voted = state.vote.leader_epoch <= state.voted_epoch;
        let is_congested = self.shared.is_congested(batch_bytes);
        if !is_voted || state.switching != Switching::No || is_congested {
            return Admission::Later;
        }
        // W8: a group without a majority would make the carry larger than the journal.
        let uncommitted_bytes = self.shared.uncommitted_bytes();
        let limit_bytes = self.shared.options.uncommitted_bytes_max();
        if !self.options.get().is_alone
            && 0 < uncommitted_bytes
            && limit_bytes < uncommitted_bytes + room_bytes(batch_bytes)
        {
            return Admission::Refused(AppendError::Uncommitted { uncommitted_bytes, limit_bytes });
        }
        let batch_bytes = batch_bytes as u64;
        self.roll_if_full(&mut state, batch_bytes);
        let needed_bytes = state.end.place.position + batch_bytes;
        let ordinal = state.end.place.segment;
        let segment = state.segments.back().expect("a log has a segment");
        let allocated_bytes = segment.allocated_bytes;
        let entries_bytes = state.entries_allocated_bytes;
        let needed_entries_bytes =
            (state.end.count + 1 + spare_records_count) * RECORD_SIZE_BYTES as u64;
        if needed_bytes <= allocated_bytes && needed_entries_bytes <= entries_bytes {
            // The next extent is reserved before it is needed.
            let (ahead_bytes, entries_ahead_bytes) =
                self.ahead_bytes(allocated_bytes, entries_bytes);
            let is_short = allocated_bytes - needed_bytes < ahead_bytes;
            if is_short && needed_bytes < self.options.get().segment_bytes_max {
                self.start_allocating(&mut state, ordinal, allocated_bytes + 1, 0, false);
            } else if entries_bytes - needed_entries_bytes < entries_ahead_bytes {
                self.start_allocating(&mut state, ordinal, 0, entries_bytes + 1, false);
            }
            return Admission::Now;
        }
        if let Some(source) = state.no_space.take() {
            return Admission::Refused(AppendError::NoSpace { partition: self.partition, source });
        }
        self.start_allocating(&mut state, ordinal, needed_bytes, needed_entries_bytes, true);
        Admission::Later
    }

    /// With less than this left of what is reserved for a segment and for `entries`, more is reserved.
    fn ahead_bytes(&self, allocated_bytes: u64, entries_bytes: u64) -> (u64, u64) {
        if self.uses_last_room.get() {
            return (LAST_ROOM_BYTES, LAST_ENTRIES_BYTES);
        }
        match self.shared.room() {
            Room::Ample => (allocated_bytes / 8, entries_bytes / 8),
            Room::Scarce | Room::Full { .. } => {
                (EXTENT_BYTES_MIN / 8, ENTRIES_EXTENT_BYTES_MIN / 8)
            }
        }
    }

    /// Waits until a batch of this size may be appended in the same step.
    pub async fn admitted(self: &Rc<Log>, batch_bytes: usize) -> Result<(), AppendError> {
        self.wait_admitted(|| self.admit(batch_bytes)).await
    }

    /// Waits until an entry that is no batch may be appended in the same step. There is space for
    /// some of them when there is none for batches.
    pub async fn admitted_other(self: &Rc<Log>) -> Result<(), AppendError> {
        self.wait_admitted(|| self.admit_entry(None)).await
    }

    async fn wait_admitted(&self, admit: impl Fn() -> Admission) -> Result<(), AppendError> {
        let admitted = self.shared.wait_until(|| match admit() {
            Admission::Now => Some(Ok(())),
            Admission::Later => None,
            Admission::Refused(refused) => Some(Err(refused)),
        });
        admitted.await?
    }

    /// Begins to reserve space for a segment and for `entries`, at least up to these sizes. Somebody
    /// waits for it if it is needed; otherwise it may come later.
    fn start_allocating(
        self: &Rc<Log>,
        state: &mut State,
        ordinal: Ordinal,
        segment_bytes: u64,
        entries_bytes: u64,
        is_needed: bool,
    ) {
        if state.allocating.is_some() {
            return;
        }
        state.allocating = Some(ordinal);
        let log = self.clone();
        runtime::spawn(async move {
            let allocated: io::Result<()> = async {
                log.load_first_timestamp(ordinal).await;
                log.allocate_segment(ordinal, segment_bytes, true).await?;
                log.allocate_entries(entries_bytes, true).await
            }
            .await;
            let mut state = log.state.borrow_mut();
            state.allocating = None;
            state.no_space = allocated.err().map(Rc::new).filter(|_| is_needed);
            drop(state);
            log.shared.announce();
        });
    }

    /// Reserves again what a crash has taken from entries that were acknowledged: segments beyond the
    /// base's have been removed, and a loss of power forgets what was reserved since the last flush.
    /// Otherwise somebody else's appends could take the space that these need at the next checkpoint.
    /// There may be thousands of logs without such entries, so that no file is kept open for those.
    pub(super) async fn reserve_recovered(
        self: &Rc<Log>,
        has_later_entries: bool,
    ) -> io::Result<()> {
        let (segments, entries_bytes) = {
            let state = self.state.borrow();
            let unsealed = state.segments.iter().filter(|segment| !segment.is_sealed);
            let segments: Vec<_> = unsealed
                .filter(|segment| segment.flushed_bytes < segment.end())
                .map(|segment| (segment.ordinal, segment.name(), segment.end()))
                .collect();
            (segments, state.end.count * RECORD_SIZE_BYTES as u64)
        };
        for (ordinal, name, needed_bytes) in segments {
            if self.size_of_segment(name).await? < needed_bytes {
                self.allocate_segment(ordinal, needed_bytes, false).await?;
            }
        }
        if has_later_entries {
            self.allocate_entries(entries_bytes, false).await?;
            // Log starts may have used what was spare: a start does not need it.
            let spare_bytes = SPARE_RECORDS_COUNT * RECORD_SIZE_BYTES as u64;
            let _ = self.allocate_entries(entries_bytes + spare_bytes, false).await;
        }
        Ok(())
    }

    async fn size_of_segment(&self, name: SegmentName) -> io::Result<u64> {
        match whole_file::size_bytes(&name.log_path(&self.directory)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            size_bytes => size_bytes,
        }
    }

    /// Reserves space for a segment, at least up to `needed_bytes`, and some ahead if that is wanted.
    async fn allocate_segment(
        self: &Rc<Log>,
        ordinal: Ordinal,
        needed_bytes: u64,
        is_ahead: bool,
    ) -> io::Result<()> {
        let allocated_bytes =
            self.state.borrow().segment(ordinal).map(|segment| segment.allocated_bytes);
        if allocated_bytes.is_none_or(|allocated_bytes| needed_bytes <= allocated_bytes) {
            return Ok(());
        }
        let Some(file) = self.open_writer(ordinal).await? else { return Ok(()) };
        let mut reserved_bytes = file.size_bytes().await?;
        if reserved_bytes < needed_bytes {
            let extent_bytes = EXTENT_BYTES_MIN..=EXTENT_BYTES_MAX;
            let step = if is_ahead { self.step(reserved_bytes, extent_bytes) } else { 0 };
            let segment_bytes_max = round_up_to_block(self.options.get().segment_bytes_max);
            let wanted_bytes = (reserved_bytes + step).min(segment_bytes_max);
            reserved_bytes = reserve(&file, reserved_bytes, needed_bytes, wanted_bytes).await?;
        }
        if let Some(segment) = self.state.borrow_mut().segment_mut(ordinal) {
            segment.allocated_bytes = reserved_bytes;
        }
        Ok(())
    }

    /// Reserves space for records, at least up to `needed_bytes`: a checkpoint must never meet a
    /// full disk.
    async fn allocate_entries(self: &Rc<Log>, needed_bytes: u64, is_ahead: bool) -> io::Result<()> {
        if needed_bytes <= self.state.borrow().entries_allocated_bytes {
            return Ok(());
        }
        let file = self.open_entries().await?;
        let mut reserved_bytes = file.size_bytes().await?;
        if reserved_bytes < needed_bytes {
            let extent_bytes = ENTRIES_EXTENT_BYTES_MIN..=ENTRIES_EXTENT_BYTES_MAX;
            let step = if is_ahead { self.step(reserved_bytes, extent_bytes) } else { 0 };
            let wanted_bytes = reserved_bytes + step;
            reserved_bytes = reserve(&file, reserved_bytes, needed_bytes, wanted_bytes).await?;
        }
        self.state.borrow_mut().entries_allocated_bytes = reserved_bytes;
        Ok(())
    }

    /// How much more is reserved ahead of a file that has so much.
    fn step(&self, reserved_bytes: u64, extent_bytes: RangeInclusive<u64>) -> u64 {
        let (min, max) = extent_bytes.into_inner();
        match self.shared.room() {
            Room::Ample => reserved_bytes.clamp(min, max),
            Room::Scarce | Room::Full { .. } => min,
        }
    }

    /// The file of a segment that is not sealed, created if need be; none if the segment is gone.
    pub(super) async fn open_writer(
        self: &Rc<Log>,
        ordinal: Ordinal,
    ) -> io::Result<Option<Arc<File>>> {
        let name = {
            let state = self.state.borrow();
            let Some(segment) = state.segment(ordinal) else { return Ok(None) };
            if let Some(writer) = &segment.writer {
                return Ok(Some(writer.clone()));
            }
            segment.name()
        };
        self.create_directory().await?;
        let options = OpenOptions::CREATE.direct(self.shared.options.is_direct);
        let file = File::open(name.log_path(&self.directory), options).await?;
        let file = Arc::new(file);
        let open = self.note_open(ordinal);
        let mut state = self.state.borrow_mut();
        state.has_new_names = true;
        let Some(segment) = state.segment_mut(ordinal) else { return Ok(None) };
        segment.note_open(open);
        Ok(Some(segment.writer.get_or_insert(file).clone()))
    }

    /// Creates the partition's directory, if it is not there. Its name is flushed with the next
    /// checkpoint.
    pub(super) async fn create_directory(&self) -> io::Result<()> {
        /// Another core may remove the topic's directory with its last partition meanwhile.
        const ATTEMPTS_COUNT: usize = 8;
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.try_create_directory().await {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS_COUNT => {}
                result => return result,
            }
        }
    }

    async fn try_create_directory(&self) -> io::Result<()> {
        // The topics' directory, the topic's and the partition's.
        let mut directories: Vec<_> = self.directory.ancestors().take(3).collect();
        while let Some(directory) = directories.pop() {
            match runtime::create_dir(directory).await {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reserves space behind what a file has: as much as is wanted, or what is needed if the disk has no
/// more. Returns how much the file has then.
async fn reserve(
    file: &File,
    reserved_bytes: u64,
    needed_bytes: u64,
    wanted_bytes: u64,
) -> io::Result<u64> {
    let needed_bytes = round_up_to_block(needed_bytes);
    let wanted_bytes = round_up_to_block(wanted_bytes).max(needed_bytes);
    match file.allocate(reserved_bytes, wanted_bytes - reserved_bytes).await {
        Ok(()) => Ok(wanted_bytes),
        Err(error) if is_disk_full(&error) && needed_bytes < wanted_bytes => {
            file.allocate(reserved_bytes, needed_bytes - reserved_bytes).await?;
            Ok(needed_bytes)
        }
        Err(error) => Err(error),
    }
}
