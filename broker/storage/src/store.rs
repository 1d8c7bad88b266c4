//! One core's store: its journal and the logs in it.

mod checkpoint;
mod orphans;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use model::TopicPartition;
use runtime::sync::budget::Budget;
use runtime::{AlignedBuf, JoinHandle};

use crate::Durability;
use crate::error::{AppendError, JournalStopped, ReadError, StartError, is_disk_full};
use crate::format::frame::Vote;
use crate::journal::Journal;
use crate::journal::recovery::{RETIRED, RecoveredJournal, remove_dir_and_files};
use crate::journal::ring::create_file;
use crate::log::{Log, LogOptions, OpenLog, RecoveredLog};
use crate::metrics::Metrics;
use crate::options::StoreOptions;
use crate::room::Room;
use crate::shared::{Pace, Shared};

pub use orphans::set_orphans_aside;

/// Tasks that write full chunks to segments.
const WRITERS_COUNT: usize = 2;

/// Why a ring has not grown.
enum GrowError {
    Stopped(JournalStopped),
    DiskFull(io::Error),
}

/// A journal and its logs, on the core that owns them.
pub struct Store {
    shared: Rc<Shared>,
    logs: RefCell<BTreeMap<TopicPartition, Rc<Log>>>,
    checkpointing: Budget,
    growing: Budget,
    switching: Budget,
    /// Logs that are about to live here.
    adopting_count: Cell<usize>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
    /// The last checkpoint has left files below a log start to the next one.
    leaves_files: Cell<bool>,
    /// The journal is damaged: nothing is written to it.
    is_read_only: Cell<bool>,
}

impl Store {
    /// Goes on where recovery has ended: writes the start record, opens every log, and begins to
    /// write. A damaged journal is opened for reading only.
    pub async fn start(
        recovered: RecoveredJournal,
        options: StoreOptions,
        log_options: impl Fn(TopicPartition) -> LogOptions,
    ) -> Result<Rc<Store>, StartError> {
        let metrics = Rc::new(Metrics::default());
        let is_read_only = !recovered.corruptions.is_empty();
        let stopped = |stopped: JournalStopped| StartError::Io {
            action: "write",
            path: stopped.path.clone(),
            source: io::Error::new(stopped.source.kind(), stopped.source.to_string()),
        };
        let (journal, logs) = if is_read_only {
            recovered.read_only(options.clone(), metrics)
        } else {
            recovered.start(options.clone(), metrics).await.map_err(stopped)?
        };
        let shared = Rc::new(Shared::new(journal, options));
        let store = Rc::new(Store {
            shared,
            logs: RefCell::new(BTreeMap::new()),
            checkpointing: Budget::new(1),
            growing: Budget::new(1),
            switching: Budget::new(1),
            adopting_count: Cell::new(0),
            tasks: RefCell::new(Vec::new()),
            leaves_files: Cell::new(false),
            is_read_only: Cell::new(is_read_only),
        });
        for recovered in logs {
            let partition = recovered.partition;
            let log = store.open(recovered, log_options(partition)).await.map_err(|source| {
                let path = store.directory_of(partition);
                StartError::Io { action: "open the log in", path, source }
            })?;
            store.logs.borrow_mut().insert(partition, log);
        }
        if !is_read_only {
            let count = || store.logs.borrow().len();
            store.grow(count).await.map_err(|failed| match failed {
                GrowError::Stopped(error) => stopped(error),
                GrowError::DiskFull(source) => {
                    let path = store.shared.journal.directory().to_owned();
                    StartError::Io { action: "write a journal file in", path, source }
                }
            })?;
            store.run();
        }
        Ok(store)
    }

    /// The logs, in order of their partitions.
    pub fn logs(&self) -> Vec<Rc<Log>> {
        self.logs.borrow().values().cloned().collect()
    }

    /// The log of a partition, if it lives here.
    pub fn log(&self, partition: TopicPartition) -> Option<Rc<Log>> {
        self.logs.borrow().get(&partition).cloned()
    }

    /// How much of the disk appends may take from now on.
    pub fn set_room(&self, room: Room) {
        self.shared.set_room(room);
    }

    /// What the store counts.
    pub fn metrics(&self) -> Rc<Metrics> {
        self.shared.metrics.clone()
    }

    /// Bytes of commits that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.shared.journal.waiting_bytes()
    }

    /// Bytes of the journal that a start would read now.
    pub fn replay_bytes(&self) -> u64 {
        self.shared.journal.replay_bytes()
    }

    /// Memory of all tails.
    pub fn tail_bytes(&self) -> usize {
        self.shared.tail_bytes()
    }

    /// Segments that have files open.
    pub fn open_segments_count(&self) -> usize {
        self.shared.open_segments_count()
    }

    /// Whether the journal was found damaged, so that nothing can be appended here.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only.get()
    }

    /// Waits until the journal has stopped because of an error, if it ever does.
    pub async fn stopped(&self) -> JournalStopped {
        self.shared.journal.wait_stopped().await
    }

    /// Creates the log of a partition. It exists, and the vote is given, once this returns.
    pub async fn create(
        &self,
        partition: TopicPartition,
        durability: Durability,
        vote: Vote,
        options: LogOptions,
    ) -> Result<Rc<Log>, AppendError> {
        self.adopt(RecoveredLog::empty(partition, durability, vote), options).await
    }

    /// Takes over a log from another journal: its restart point goes into this one (rule C3). The
    /// log lives here once this returns; then it may leave the other.
    pub async fn adopt(
        &self,
        recovered: RecoveredLog,
        options: LogOptions,
    ) -> Result<Rc<Log>, AppendError> {
        let partition = recovered.partition;
        self.check(partition)?;
        assert!(self.log(partition).is_none(), "a partition lives in one place");
        // Counted from here on: others may come at the same time, and all of them need room (S2).
        let adopting = Adopting::of(&self.adopting_count);
        let count = || self.logs.borrow().len() + self.adopting_count.get();
        self.grow(count).await.map_err(|failed| match failed {
            GrowError::Stopped(stopped) => AppendError::Stopped(stopped),
            GrowError::DiskFull(source) => {
                AppendError::NoSpace { partition, source: Rc::new(source) }
            }
        })?;
        let log = self.open(recovered, options).await.map_err(|source| {
            let path = self.directory_of(partition);
            self.shared.journal.stop("open the log in", &path, source)
        })?;
        // No carry may be gathered between the base and the log's place in the list. One that is
        // gathered later has both, so that many adoptions may share a commit.
        let turn = self.checkpointing.take(1).await;
        self.flush_alone(&log).await?;
        drop(adopting);
        self.logs.borrow_mut().insert(partition, log.clone());
        self.push_base(&log);
        drop(turn);
        self.shared.journal.completed(Durability::Durable).await?;
        Ok(log)
    }

    /// The log in the form in which it moves to another core. Nothing must be appended meanwhile.
    pub async fn export(&self, log: &Rc<Log>) -> Result<RecoveredLog, JournalStopped> {
        self.shared.journal.check()?;
        self.flush_alone(log).await?;
        Ok(log.export())
    }

    /// Notes durably that a partition has left this journal, and forgets it.
    pub async fn leave(&self, log: &Rc<Log>) -> Result<(), JournalStopped> {
        self.shared.journal.check()?;
        self.logs.borrow_mut().remove(&log.partition());
        log.push_left();
        self.shared.journal.completed(Durability::Durable).await
    }

    /// Deletes a partition's log for ever (rule C5).
    pub async fn remove(&self, log: &Rc<Log>) -> Result<(), JournalStopped> {
        self.leave(log).await?;
        // A checkpoint that has the log on its list needs its files until it is over.
        let _turn = self.checkpointing.take(1).await;
        let directory = self.directory_of(log.partition());
        if let Err(error) = log.remove_files().await {
            tracing::warn!(partition = %log.partition(), %error, path = %directory.display(),
                "files of a deleted partition were not removed; the next start does it");
        }
        Ok(())
    }

    /// Changes the level at which a log's appends are acknowledged (rules C1 and C2). Appends wait
    /// meanwhile.
    pub async fn set_durability(
        &self,
        log: &Rc<Log>,
        durability: Durability,
    ) -> Result<(), AppendError> {
        self.check(log.partition())?;
        let _switching = self.switching.take(1).await;
        if log.durability() == durability {
            return Ok(());
        }
        // Should this future be dropped, appends go on at the level that they have.
        let _draining = log.begin_switching();
        // C2: a relaxed entry must not survive a durable one before it that was never written.
        self.shared.journal.completed(log.durability()).await?;
        let _turn = self.checkpointing.take(1).await;
        self.flush_alone(log).await?;
        log.finish_switching(durability);
        // C1: without a base in the durable stream the entries after it would follow on entries
        // that are only in the relaxed one.
        self.push_base(log);
        Ok(())
    }

    /// Reads everything that is flushed for good, at most so much in a second, and tells what is not as
    /// it was written (a scrub). Whoever reads it is told as well.
    pub async fn scrub(
        &self,
        bytes_per_second: u64,
        mut found: impl FnMut(TopicPartition, &ReadError),
    ) {
        let metrics = self.shared.metrics.clone();
        let mut pace = Pace::new(Some(bytes_per_second));
        for log in self.logs() {
            let mut note = |log: &Rc<Log>, error: ReadError| {
                metrics.scrub_findings.add(1);
                found(log.partition(), &error);
            };
            log.scrub(&mut pace, &mut note).await;
        }
        metrics.scrubs.add(1);
    }

    /// Leaves everything flushed and marked so, for a quick start. Appends must have ended.
    pub async fn close(&self) -> Result<(), JournalStopped> {
        if self.is_read_only.get() {
            return Ok(());
        }
        let journal = &self.shared.journal;
        self.checkpoint().await?;
        let _turn = self.checkpointing.take(1).await;
        journal.drain().await?;
        // Nothing may be written after the mark: not a seal, not a chunk.
        for task in self.tasks.take() {
            task.abort();
        }
        journal.close().await
    }

    /// The journal is not needed any more: all its logs live elsewhere. Removes it.
    pub async fn retire(&self) -> Result<(), JournalStopped> {
        assert!(self.logs.borrow().is_empty(), "every partition has moved");
        let journal = &self.shared.journal;
        journal.check()?;
        let _turn = self.checkpointing.take(1).await;
        for task in self.tasks.take() {
            task.abort();
        }
        let directory = journal.directory().to_owned();
        let retired = directory.with_file_name(format!("{}{RETIRED}", journal.number));
        let removed: io::Result<()> = async {
            runtime::rename(&directory, &retired).await?;
            runtime::sync_dir(directory.parent().expect("below the data directory")).await?;
            remove_dir_and_files(&retired).await
        }
        .await;
        removed.map_err(|source| journal.stop("remove", &directory, source))
    }

    async fn open(&self, recovered: RecoveredLog, options: LogOptions) -> io::Result<Rc<Log>> {
        let directory = self.directory_of(recovered.partition);
        Log::open(OpenLog { shared: self.shared.clone(), options, directory }, recovered).await
    }

    fn run(self: &Rc<Store>) {
        let mut tasks = self.tasks.borrow_mut();
        for durability in [Durability::Durable, Durability::Relaxed] {
            tasks.push(runtime::spawn(self.shared.journal.clone().run(durability)));
        }
        for _ in 0..WRITERS_COUNT {
            let shared = self.shared.clone();
            tasks.push(runtime::spawn(async move {
                while shared.journal.check().is_ok() {
                    let log = shared.next_to_write().await;
                    // An error has stopped the journal, which tells everybody.
                    let _ = log.write_full_chunks().await;
                }
            }));
        }
        tasks.push(runtime::spawn(self.clone().run_checkpoints()));
        tasks.push(runtime::spawn(self.clone().fill_ring()));
        let store = self.clone();
        tasks.push(runtime::spawn(async move {
            store.shared.journal.wait_stopped().await;
            for log in store.logs() {
                log.note_stopped();
            }
            store.shared.announce();
        }));
    }

    /// Writes the files that the ring is to have, after a first start has made do with one each.
    async fn fill_ring(self: Rc<Store>) {
        let files_count = self.shared.options.journal_files_count;
        for durability in [Durability::Durable, Durability::Relaxed] {
            match self.add_files(durability, files_count).await {
                Ok(()) => {}
                Err(GrowError::DiskFull(error)) => {
                    tracing::warn!(journal = self.shared.journal.number, %error,
                        "the journal stays smaller than configured");
                }
                Err(GrowError::Stopped(_)) => return,
            }
        }
    }

    /// Makes room for the carry of so many partitions before the one that needs it exists.
    async fn grow(&self, partitions_count: impl Fn() -> usize) -> Result<(), GrowError> {
        let journal = &self.shared.journal;
        let needed = journal.files_needed(self.reserve_for(partitions_count()));
        self.add_files(Durability::Durable, needed).await?;
        // As many as there are now: others have come meanwhile, who make room for themselves.
        journal.set_reserve(self.reserve_for(partitions_count()));
        Ok(())
    }

    async fn add_files(&self, durability: Durability, files_count: u32) -> Result<(), GrowError> {
        let journal = &self.shared.journal;
        while journal.files_count(durability) < files_count {
            let _turn = self.growing.take(1).await;
            journal.check().map_err(GrowError::Stopped)?;
            let number = journal.files_count(durability);
            if files_count <= number {
                break;
            }
            let created =
                create_file(journal.directory(), durability, number, &self.shared.options).await;
            match created {
                Ok(file) => journal.add_file(durability, file),
                // The ring is as it was.
                Err(source) if is_disk_full(&source) => return Err(GrowError::DiskFull(source)),
                Err(source) => {
                    let stopped = journal.stop("write a file of", journal.directory(), source);
                    return Err(GrowError::Stopped(stopped));
                }
            }
        }
        Ok(())
    }

    fn reserve_for(&self, partitions_count: usize) -> u32 {
        self.shared.options.reserve_blocks(partitions_count)
    }

    fn push_base(&self, log: &Rc<Log>) {
        let mut scratch = AlignedBuf::with_capacity(0);
        let journal: &Journal = &self.shared.journal;
        log.push_base(
            &mut |frame, payload, note| journal.push(Durability::Durable, frame, payload, note),
            &mut scratch,
        );
    }

    /// Flushes one log, so that its base is small.
    async fn flush_alone(&self, log: &Rc<Log>) -> Result<(), JournalStopped> {
        let mut directories = BTreeSet::new();
        log.flush(&mut directories).await?;
        self.sync_dirs(directories).await
    }

    /// New names are flushed before a base relies on them (4.2).
    async fn sync_dirs(&self, directories: BTreeSet<PathBuf>) -> Result<(), JournalStopped> {
        for directory in directories {
            self.shared.metrics.checkpoint_flushes.add(1);
            runtime::sync_dir(&directory)
                .await
                .map_err(|source| self.shared.journal.stop("flush", &directory, source))?;
        }
        Ok(())
    }

    fn check(&self, partition: TopicPartition) -> Result<(), AppendError> {
        if self.is_read_only.get() {
            return Err(AppendError::Doubtful { partition });
        }
        Ok(self.shared.journal.check()?)
    }

    fn directory_of(&self, partition: TopicPartition) -> PathBuf {
        partition_path(&self.shared.options.data_dir, partition)
    }
}

/// Counts a log that is about to live here.
struct Adopting<'a>(&'a Cell<usize>);

impl Adopting<'_> {
    fn of(count: &Cell<usize>) -> Adopting<'_> {
        count.set(count.get() + 1);
        Adopting(count)
    }
}

impl Drop for Adopting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Where the files of a partition are.
pub(crate) fn partition_path(data_dir: &Path, partition: TopicPartition) -> PathBuf {
    data_dir.join("topics").join(partition.topic.to_hex()).join(partition.partition.to_string())
}

#[cfg(test)]
mod tests;
