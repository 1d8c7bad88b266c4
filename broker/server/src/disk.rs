//! How full the disk is, and what follows from it.
//!
//! ```text
//!  free bytes │ ok          │ slow: producers' connections rest        │ full: batches are refused
//!             └─────────────┴──────────────────────────────────────────┴──────────────────────────► 0
//!                     slow-below-bytes                          refuse-below-bytes
//! ```
//!
//! Core 0 looks at the disk and tells every core; an append asks nobody. A connection that has produced
//! rests before its next request is read, the longer the more it has produced and the less room there
//! is. That slows whoever produces, also without acknowledgements or with many requests under way, and
//! holds no memory meanwhile, as requests that wait to be appended would: consumers need it.
//!
//! Guarantees: a rest is at most a third of the request's timeout; levels do not flicker, and one line of
//! the log tells each change; reads, log starts, deletions and the cluster's metadata go on at every level.
//! Does not know: whether a batch fits. Space is reserved before it is acknowledged (`storage`).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use runtime::sync::watch::Watch;
use runtime::{CoreId, Space};
use storage::Room;

use crate::call::CoreRequest;
use crate::config::DiskConfig;
use crate::core::Core;

/// How long a connection rests for each MiB that it has produced, where batches are about to be refused.
const REST_PER_MIB_MAX: Duration = Duration::from_secs(1);
/// The longest rest: clients give up after 30 s if nobody has told them otherwise.
const REST_MAX: Duration = Duration::from_secs(5);
/// And the shortest timeout that counts. Without acknowledgements it may be anything.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// Between two looks at the disk, by how far away the next level is at the speed of a fast one.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(20);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);
const LOOK_EVERY_WHEN_LOW: Duration = Duration::from_millis(200);
const FILLED_BYTES_PER_SECOND: u64 = 2 << 30;

/// Between two looks for records that may go, while there is little room.
const RETENTION_EVERY: Duration = Duration::from_secs(10);
/// Between two checkpoints, with which files go, while the disk is full and anything was written.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);

/// Where levels begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// With less free than this, producers are slowed.
    pub(crate) slow_below_bytes: u64,
    /// And with less than this, refused. Not above the other.
    pub(crate) refuse_below_bytes: u64,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    #[default]
    Ok,
    Slow,
    Full,
}

/// The disk when it was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiskReport {
    pub(crate) level: Level,
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
    limits: Limits,
}

/// What a core knows of the disk.
pub(crate) struct Disk {
    report: Watch<DiskReport>,
    rested: Cell<Duration>,
    is_freeing: Cell<bool>,
}

/// How long a connection is to rest before its next request is read.
#[derive(Debug, Default)]
pub(crate) struct Rest(Cell<Duration>);

impl Limits {
    /// What was configured; else a twentieth and a hundredth of the disk, and of a large one no more
    /// than is gone within seconds.
    pub(crate) fn of(config: DiskConfig, total_bytes: u64) -> Limits {
        const SLOW_BELOW_BYTES_MAX: u64 = 8 << 30;
        const REFUSE_BELOW_BYTES_MAX: u64 = 2 << 30;
        let DiskConfig { slow_below_bytes, refuse_below_bytes } = config;
        let refuse_default = (total_bytes / 100).min(REFUSE_BELOW_BYTES_MAX);
        let refuse = refuse_below_bytes
            .unwrap_or_else(|| refuse_default.min(slow_below_bytes.unwrap_or(u64::MAX)));
        let slow_default = (total_bytes / 20).min(SLOW_BELOW_BYTES_MAX);
        let slow = slow_below_bytes.unwrap_or_else(|| slow_default.max(refuse));
        Limits { slow_below_bytes: slow, refuse_below_bytes: refuse }
    }

    /// The level after another one. There has to be some more room to come back than to leave.
    fn level(self, before: Level, free_bytes: u64) -> Level {
        let Limits { slow_below_bytes: slow, refuse_below_bytes: refuse } = self;
        let (refused_until, slowed_until) = match before {
            Level::Ok => (refuse, slow),
            Level::Slow => (refuse, slow.saturating_add(slow / 16)),
            Level::Full => {
                let more = ((slow - refuse) / 4).max(refuse / 16);
                (refuse.saturating_add(more), slow.saturating_add(slow / 16))
            }
        };
        match free_bytes {
            free if free < refused_until => Level::Full,
            free if free < slowed_until => Level::Slow,
            _ => Level::Ok,
        }
    }
}

impl DiskReport {
    fn after(before: DiskReport, config: DiskConfig, space: Space) -> DiskReport {
        let Space { free_bytes, total_bytes } = space;
        let limits = Limits::of(config, total_bytes);
        let level = limits.level(before.level, free_bytes);
        DiskReport { level, free_bytes, total_bytes, limits }
    }

    /// How long whoever has produced so many bytes rests.
    fn rest(&self, bytes: usize) -> Duration {
        let Limits { slow_below_bytes: slow, refuse_below_bytes: refuse } = self.limits;
        let slope = match self.level {
            Level::Ok => return Duration::ZERO,
            Level::Slow => {
                slow.saturating_sub(self.free_bytes) as f64 / (slow - refuse).max(1) as f64
            }
            Level::Full => 1.0,
        };
        REST_PER_MIB_MAX.mul_f64(slope.min(1.0) * bytes as f64 / f64::from(1 << 20))
    }

    fn room(&self) -> Room {
        match self.level {
            Level::Ok => Room::Ample,
            Level::Slow => Room::Scarce,
            Level::Full => Room::Full {
                free_bytes: self.free_bytes,
                limit_bytes: self.limits.refuse_below_bytes,
            },
        }
    }

    /// When to look again.
    fn look_after(&self) -> Duration {
        let Limits { slow_below_bytes: slow, refuse_below_bytes: refuse } = self.limits;
        let (limit, longest) = match self.level {
            Level::Ok => (slow, LOOK_EVERY_MAX),
            Level::Slow => (refuse, LOOK_EVERY_WHEN_LOW),
            Level::Full => return LOOK_EVERY_WHEN_LOW,
        };
        let distance = self.free_bytes.saturating_sub(limit) as f64;
        let seconds = distance / FILLED_BYTES_PER_SECOND as f64;
        Duration::from_secs_f64(seconds.min(longest.as_secs_f64())).max(LOOK_EVERY_MIN)
    }

    fn tell(&self) {
        let DiskReport { level, free_bytes, total_bytes, limits } = *self;
        let Limits { slow_below_bytes, refuse_below_bytes } = limits;
        let text = match level {
            Level::Ok => "the disk has room again: producers go on as they like",
            Level::Slow => "the disk is nearly full: producers are slowed",
            Level::Full => {
                "the disk is full: batches are refused until there is room; shorten retention.ms or \
                 retention.bytes, delete records or topics, or give it more space"
            }
        };
        tracing::warn!(free_bytes, total_bytes, slow_below_bytes, refuse_below_bytes, "{text}");
    }
}

impl Disk {
    pub(crate) fn new() -> Disk {
        let report = Watch::new(DiskReport::default());
        Disk { report, rested: Cell::default(), is_freeing: Cell::default() }
    }

    pub(crate) fn report(&self) -> DiskReport {
        *self.report.borrow()
    }

    /// How long connections of this core have rested, all of them together.
    pub(crate) fn rested(&self) -> Duration {
        self.rested.get()
    }
}

impl Rest {
    /// A produce of this size has come. Returns how long the connection rests after it.
    pub(crate) fn note(&self, core: &Core, produced_bytes: usize, timeout_ms: i32) -> Duration {
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        let rest_max = (timeout.max(TIMEOUT_MIN) / 3).min(REST_MAX);
        let rest = core.disk.report.borrow().rest(produced_bytes).min(rest_max);
        self.0.set(rest);
        rest
    }

    /// Rests, unless the disk has room again before that.
    pub(crate) async fn take(&self, core: &Core) {
        let rest = self.0.take();
        if rest.is_zero() {
            return;
        }
        let begun = runtime::now();
        let has_room =
            core.disk.report.wait_for(|report| (report.level == Level::Ok).then_some(()));
        let _ = runtime::timeout(rest, has_room).await;
        let rested = runtime::now().since(begun);
        core.disk.rested.set(core.disk.rested.get() + rested);
    }
}

/// Looks at the disk for the first time, on core 0, and goes on with it.
pub(crate) async fn begin(core: &Rc<Core>) {
    let wait = look(core).await;
    let core = core.clone();
    runtime::spawn(async move {
        let mut wait = wait;
        loop {
            runtime::sleep(wait).await;
            wait = look(&core).await;
        }
    });
}

/// Looks at the disk, tells everybody what has changed, and returns when to look again.
async fn look(core: &Rc<Core>) -> Duration {
    let before = core.disk.report();
    let space = match runtime::space(&core.config.data_dir).await {
        Ok(space) => space,
        Err(error) => {
            if let Some(left_out) = core.lines.disk_unknown.admit() {
                tracing::warn!(%error, left_out, "it is not known how full the disk is");
            }
            return LOOK_EVERY_MAX;
        }
    };
    let report = DiskReport::after(before, core.config.disk, space);
    if report.level != before.level {
        report.tell();
    }
    // While there is enough, nobody else needs to know how much.
    let is_told = report.level != before.level || report.level != Level::Ok;
    let told = if is_told { core.cores_count } else { 1 };
    for number in (0..told).filter(|_| report != before) {
        core.call(CoreId(number), CoreRequest::Disk(report)).await;
    }
    report.look_after()
}

/// Core 0 has looked at the disk.
pub(crate) fn note(core: &Rc<Core>, report: DiskReport) {
    core.disk.report.set(report);
    core.owner().store().set_room(report.room());
    if report.level != Level::Ok && !core.disk.is_freeing.replace(true) {
        runtime::spawn(free(core.clone()));
    }
}

/// Takes away what may go, rather than when it is its turn, while there is little room.
async fn free(core: Rc<Core>) {
    let mut retention_at = runtime::now();
    loop {
        if retention_at <= runtime::now() {
            core.owner().enforce_retention_of_all().await;
            retention_at = runtime::now() + RETENTION_EVERY;
        }
        // Who has stopped the journal has told why.
        if core.disk.report().level == Level::Full
            && core.owner().store().checkpoint_if_written().await.is_err()
        {
            return;
        }
        let level = core.disk.report().level;
        let changed = core.disk.report.wait_for(|report| (report.level != level).then_some(()));
        let _ = runtime::timeout(CHECKPOINT_EVERY, changed).await;
        if core.disk.report().level == Level::Ok {
            core.disk.is_freeing.set(false);
            return;
        }
    }
}

#[cfg(test)]
mod tests;
