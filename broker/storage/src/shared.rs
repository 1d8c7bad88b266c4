//! What the logs of one core share: the journal, the memory for tails, and the times at which
//! appends have to wait.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use runtime::Instant;
use runtime::sync::budget::Budget;
use runtime::sync::watch::Watch;

use crate::error::JournalStopped;
use crate::format::frame::room_bytes;
use crate::journal::Journal;
use crate::log::{Log, Ordinal};
use crate::metrics::Metrics;
use crate::options::StoreOptions;
use crate::room::Room;

/// Bytes of one core that may be read from segments at a time.
const COLD_READ_BYTES_MAX: usize = 16 << 20;

pub(crate) struct Shared {
    pub(crate) journal: Rc<Journal>,
    pub(crate) options: StoreOptions,
    pub(crate) metrics: Rc<Metrics>,
    /// Bytes of entries that are not committed, of logs that are not alone.
    uncommitted_bytes: Cell<usize>,
    /// What a carry would hold beyond the idle parts of all logs.
    late_bytes: Cell<usize>,
    /// No appends until the carry of a checkpoint has been gathered.
    is_gate_closed: Cell<bool>,
    room: Cell<Room>,
    /// Changes whenever something that an append waits for may have come.
    changed: Watch<()>,
    tail_bytes: Cell<usize>,
    /// Logs with chunks to forget, each once; they give one at a time, in turn.
    with_tails: RefCell<VecDeque<Weak<Log>>>,
    to_write: RefCell<VecDeque<Rc<Log>>>,
    wants_writing: Watch<()>,
    pub(crate) cold_reads: Budget,
    /// Whose turn it is to look for a time in a batch.
    pub(crate) walking: Budget,
    /// Whose turn it is to compact.
    pub(crate) compacting: Budget,
    /// Segments in the order in which they were opened, some of which are closed by now.
    opened: RefCell<VecDeque<(Weak<Log>, Ordinal)>>,
    open_count: Rc<Cell<usize>>,
}

/// Counts a segment that has files open.
pub(crate) struct OpenSegment(Rc<Cell<usize>>);

impl Drop for OpenSegment {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Shared {
    pub(crate) fn new(journal: Rc<Journal>, options: StoreOptions) -> Shared {
        Shared {
            metrics: journal.metrics.clone(),
            journal,
            options,
            uncommitted_bytes: Cell::new(0),
            late_bytes: Cell::new(0),
            is_gate_closed: Cell::new(false),
            room: Cell::default(),
            changed: Watch::new(()),
            tail_bytes: Cell::new(0),
            with_tails: RefCell::new(VecDeque::new()),
            to_write: RefCell::new(VecDeque::new()),
            wants_writing: Watch::new(()),
            cold_reads: Budget::new(COLD_READ_BYTES_MAX),
            walking: Budget::new(1),
            compacting: Budget::new(1),
            opened: RefCell::new(VecDeque::new()),
            open_count: Rc::new(Cell::new(0)),
        }
    }

    /// Something has changed that an append may wait for.
    pub(crate) fn announce(&self) {
        self.changed.set(());
    }

    /// Waits until `found` yields something; asks now and after every change.
    pub(crate) async fn wait_until<T>(
        &self,
        mut found: impl FnMut() -> Option<T>,
    ) -> Result<T, JournalStopped> {
        self.changed
            .wait_for(|()| match self.journal.check() {
                Ok(()) => found().map(Ok),
                Err(stopped) => Some(Err(stopped)),
            })
            .await
    }

    /// Whether an append of this size has to wait, whatever the log. What waits to be written is
    /// part of a carry that is gathered meanwhile, so it is bounded like the carry.
    pub(crate) fn is_congested(&self, batch_bytes: usize) -> bool {
        let waiting_bytes = self.journal.waiting_bytes();
        let is_full = 0 < waiting_bytes
            && self.options.waiting_bytes_max() < waiting_bytes + room_bytes(batch_bytes);
        self.is_gate_closed.get() || is_full
    }

    pub(crate) fn room(&self) -> Room {
        self.room.get()
    }

    pub(crate) fn set_room(&self, room: Room) {
        self.room.set(room);
        self.announce();
    }

    pub(crate) fn close_gate(&self) {
        self.is_gate_closed.set(true);
    }

    pub(crate) fn open_gate(&self) {
        self.is_gate_closed.set(false);
        self.announce();
    }

    pub(crate) fn note_late_bytes(&self, before: usize, now: usize) {
        self.late_bytes.set(self.late_bytes.get() + now - before);
    }

    pub(crate) fn note_uncommitted_bytes(&self, before: usize, now: usize) {
        self.uncommitted_bytes.set(self.uncommitted_bytes.get() + now - before);
    }

    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.uncommitted_bytes.get()
    }

    pub(crate) fn late_bytes(&self) -> usize {
        self.late_bytes.get()
    }

    pub(crate) fn note_tail_bytes(&self, before: usize, now: usize) {
        self.tail_bytes.set(self.tail_bytes.get() + now - before);
    }

    /// Memory of all tails.
    pub(crate) fn tail_bytes(&self) -> usize {
        self.tail_bytes.get()
    }

    /// A segment has files open from now on. Those that were opened first are closed if there are too
    /// many. Not while the state of any log is borrowed.
    pub(crate) fn note_open(&self, log: &Rc<Log>, ordinal: Ordinal) -> OpenSegment {
        let open_max = self.options.open_segments_max.max(1);
        self.open_count.set(self.open_count.get() + 1);
        let open = OpenSegment(self.open_count.clone());
        while open_max < self.open_count.get() {
            let first = self.opened.borrow_mut().pop_front();
            let Some((log, ordinal)) = first else { break };
            if let Some(log) = log.upgrade() {
                log.close_segment(ordinal);
            }
        }
        let mut opened = self.opened.borrow_mut();
        if 2 * open_max < opened.len() {
            opened.retain(|(log, ordinal)| log.upgrade().is_some_and(|log| log.has_open(*ordinal)));
        }
        opened.push_back((Rc::downgrade(log), ordinal));
        open
    }

    /// Segments that have files open.
    pub(crate) fn open_segments_count(&self) -> usize {
        self.open_count.get()
    }

    /// A log has full chunks that are committed.
    pub(crate) fn queue_for_writing(&self, log: Rc<Log>) {
        self.to_write.borrow_mut().push_back(log);
        self.wants_writing.set(());
    }

    /// A log has chunks that memory may forget once they are on disk.
    pub(crate) fn queue_for_eviction(&self, log: &Rc<Log>) {
        self.with_tails.borrow_mut().push_back(Rc::downgrade(log));
    }

    pub(crate) async fn next_to_write(&self) -> Rc<Log> {
        self.wants_writing.wait_for(|()| self.to_write.borrow_mut().pop_front()).await
    }

    /// Forgets the oldest chunks that are on disk until the tails are within their budget, or no log
    /// has one to give.
    pub(crate) fn evict_tails(&self) {
        let mut without_count = 0;
        while self.options.tail_bytes_max < self.tail_bytes.get()
            && without_count < self.with_tails.borrow().len()
        {
            let oldest = self.with_tails.borrow_mut().pop_front();
            let Some(log) = oldest.and_then(|log| log.upgrade()) else { continue };
            let before_bytes = self.tail_bytes.get();
            if log.evict_oldest_chunk() {
                self.with_tails.borrow_mut().push_back(Rc::downgrade(&log));
            }
            without_count = match self.tail_bytes.get() < before_bytes {
                true => 0,
                false => without_count + 1,
            };
        }
    }
}

/// Work that can wait, in small steps: it takes what others leave of the core, and a quarter of the
/// time where they leave nothing.
pub(crate) struct Pace {
    bytes_per_second: Option<u64>,
    begun: Instant,
    bytes: u64,
    turn_begun: Instant,
    turn_bytes: usize,
}

impl Pace {
    /// A turn ends after so much, or so long.
    const TURN_BYTES: usize = 64 << 10;
    const TURN: Duration = Duration::from_micros(100);

    pub(crate) fn new(bytes_per_second: Option<u64>) -> Pace {
        let now = runtime::now();
        Pace { bytes_per_second, begun: now, bytes: 0, turn_begun: now, turn_bytes: 0 }
    }

    /// So much has been done.
    pub(crate) async fn step(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.turn_bytes += bytes;
        let turn = runtime::now().since(self.turn_begun);
        if self.turn_bytes < Self::TURN_BYTES && turn < Self::TURN {
            return;
        }
        let yielded = runtime::now();
        runtime::yield_now().await;
        if turn / 4 < runtime::now().since(yielded) {
            runtime::sleep(turn * 3).await;
        }
        if let Some(bytes_per_second) = self.bytes_per_second {
            #[expect(clippy::cast_precision_loss, reason = "a pace need not be exact")]
            let due = Duration::from_secs_f64(self.bytes as f64 / bytes_per_second.max(1) as f64);
            let since = runtime::now().since(self.begun);
            if since < due {
                runtime::sleep(due - since).await;
            }
        }
        (self.turn_begun, self.turn_bytes) = (runtime::now(), 0);
    }
}
