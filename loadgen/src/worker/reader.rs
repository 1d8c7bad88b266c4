//! A worker's part of a reader: its pace, and its books.
//!
//! Guarantees: a reader that was given something else than the records of the run, whole and in
//! order, says so. Does not know: connections, and what was sent.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use model::Offset;
use model::record_batch::BatchHeader;
use runtime::{Instant, now, sleep_until};

use super::Worker;
use super::look::look_at;
use crate::measure::Measurements;
use crate::outcome::ReaderCounts;
use crate::plan::Share;
use crate::record::Damage;
use crate::settings::Pace;

/// A slow reader asks for as much as it wants in this time.
const SLOW_TURN: Duration = Duration::from_millis(100);

/// What one reader reads of one worker's partitions, or one member of a group of its own.
pub(super) struct Reader {
    pace: Pace,
    /// Of a slow one, of this worker's share of its rate.
    rate_per_s: f64,
    began: Cell<Instant>,
    counts: RefCell<ReaderCounts>,
    measured: RefCell<Measurements>,
}

impl Reader {
    /// One of this pace, which takes so many records per second of all workers' partitions.
    pub(super) fn new(pace: Pace, rate_per_s: f64, share: Share, measured: Measurements) -> Reader {
        Reader {
            pace,
            rate_per_s: rate_per_s / f64::from(share.workers_count),
            began: Cell::new(Instant::FAR_FUTURE),
            counts: RefCell::default(),
            measured: RefCell::new(measured),
        }
    }

    /// What it has found.
    fn found(&self) -> (ReaderCounts, Measurements) {
        (*self.counts.borrow(), self.measured.borrow().clone())
    }

    /// What all parts of a reader have found, of which there is one at least.
    pub(super) fn found_by(parts: &[Rc<Reader>]) -> (ReaderCounts, Measurements) {
        let sum = |sum: (ReaderCounts, Measurements), part: (ReaderCounts, Measurements)| {
            let (counts, mut measured) = sum;
            measured.merge(&part.1);
            (counts.plus(part.0), measured)
        };
        parts.iter().map(|part| part.found()).reduce(sum).expect("a reader has a part")
    }

    pub(super) fn records_count(&self) -> u64 {
        self.counts.borrow().records
    }

    /// Waits until it is time to read.
    pub(super) async fn begin(&self, worker: &Worker) {
        let after = match self.pace {
            Pace::CatchUp(after) => worker.settings.load.times().0 + after.0,
            Pace::Tail | Pace::Slow(_) | Pace::SlowOfBase(_) | Pace::Group(_) => Duration::ZERO,
        };
        sleep_until(worker.start.get() + after).await;
        self.began.set(now());
    }

    /// Bytes to ask for at a time.
    pub(super) fn size_max(&self, worker: &Worker) -> usize {
        let size_max = worker.settings.fetch.size_max.0;
        match self.pace {
            Pace::Tail | Pace::CatchUp(_) | Pace::Group(_) => size_max,
            Pace::Slow(_) | Pace::SlowOfBase(_) => {
                let record_bytes = worker.settings.records.size.mean_bytes();
                let turn_bytes = self.rate_per_s * SLOW_TURN.as_secs_f64() * record_bytes;
                let turn_bytes = usize::try_from(crate::units::whole(turn_bytes));
                // A broker gives one batch in any case.
                turn_bytes.unwrap_or(size_max).clamp(1, size_max)
            }
        }
    }

    /// Waits until the time has passed in which a slow one reads as much as it has read.
    pub(super) async fn keep_pace(&self) {
        if self.rate_per_s.is_finite() {
            let seconds = self.records_count() as f64 / self.rate_per_s;
            sleep_until(self.began.get() + Duration::from_secs_f64(seconds)).await;
        }
    }

    pub(super) fn note_end(&self, at_ns: u64) {
        self.counts.borrow_mut().ended_ns = Some(at_ns);
    }

    /// Counts no more than so many records: others read again what came after them.
    pub(super) fn take_back(&self, records: u64) {
        self.counts.borrow_mut().records = records;
    }

    pub(super) fn note_corrupt(&self, count: u64) {
        self.counts.borrow_mut().corrupt += count;
    }

    /// Looks at every record of a batch from an offset on.
    pub(super) fn read_batch(
        &self,
        worker: &Worker,
        from: Offset,
        header: &BatchHeader,
        batch: &[u8],
        at_ns: u64,
    ) {
        let mut counts = self.counts.borrow_mut();
        let mut measured = self.measured.borrow_mut();
        if from < header.base_offset {
            counts.gaps += 1;
        }
        let mut consumed = 0;
        let looked = look_at(worker, header, batch, from, |read| match read {
            Ok(value) if value.run == worker.run => {
                consumed += 1;
                worker.note_age(&mut measured, &value, at_ns);
            }
            // Another run's.
            Ok(_) => {}
            Err(Damage::TooShort | Damage::Checksum | Damage::Key | Damage::Headers) => {
                counts.corrupt += 1
            }
        });
        if looked.is_err() {
            counts.corrupt += u64::from(header.records_count.unsigned_abs());
            return;
        }
        counts.records += consumed;
        measured.count(at_ns, |tally| tally.consumed += consumed);
    }
}
