//! A core's journal: two streams of commits and the superblock.
//!
//! Guarantees: what a commit holds survives a crash once the commit is completed — on the medium
//! for the durable stream, in the kernel's memory for the relaxed one; commits of a stream are
//! complete in order, so a bad one can only be the last. After an error of any write or flush
//! nothing more is written.
//! Does not know: what a log is; it reports completion to whoever is noted with a frame.

pub(crate) mod recovery;
pub(crate) mod ring;
mod stream;
pub(crate) mod walk;

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use runtime::sim::{PlantedBug, has_bug};
use runtime::sync::{oneshot, watch::Watch};
use runtime::{AlignedBuf, BLOCK_SIZE_BYTES, File, WriteMode};

use crate::Durability;
use crate::error::JournalStopped;
use crate::format::frame::Frame;
use crate::format::superblock::{Position, StreamRecord, Superblock};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::options::{FlushMethod, StoreOptions};
use stream::Stream;

/// Who hears of a commit's completion.
pub(crate) enum Note {
    /// Entries of a log up to this many are in the commit or in earlier ones.
    Entries { log: Rc<Log>, end: u64, truncations_count: u32 },
    /// A vote of this log is in the commit.
    Vote { log: Rc<Log>, leader_epoch: model::LeaderEpoch },
    /// A base of this number is in the commit.
    Base { log: Rc<Log>, base_number: u32 },
    /// Somebody waits for exactly this commit.
    Waiter(oneshot::Sender<()>),
}

pub(crate) struct Journal {
    pub(crate) number: u32,
    directory: PathBuf,
    options: StoreOptions,
    durable: Stream,
    relaxed: Stream,
    superblock_file: File,
    superblock: Cell<Superblock>,
    is_writing_superblock: Cell<bool>,
    /// The journal is about to be closed: no seal follows the last commit.
    is_draining: Cell<bool>,
    failure: RefCell<Option<JournalStopped>>,
    /// Told once, when the journal stops.
    stopped: Watch<bool>,
    /// Changes when a commit is pushed, a file becomes free, or the journal stops.
    changed: [Watch<()>; 2],
    /// Told when a checkpoint would be good.
    pressure: Watch<bool>,
    pub(crate) metrics: Rc<Metrics>,
    #[cfg(test)]
    pub(crate) trace: RefCell<Vec<Traced>>,
}

/// What a test sees of a journal's writes, in order.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(crate) enum Traced {
    /// A commit is given to the machine.
    Submitted(Durability, bytes::Bytes),
    /// A commit survives what its stream promises that it survives.
    Completed(Durability),
    /// So many entries of a log were reported flushed.
    Acknowledged(model::TopicPartition, u64),
}

impl Journal {
    /// The journal as recovery has found it. Nothing is written before [`Journal::run`].
    pub(crate) fn new(
        directory: PathBuf,
        options: StoreOptions,
        superblock_file: File,
        superblock: Superblock,
        streams: [ring::RecoveredStream; 2],
        metrics: Rc<Metrics>,
    ) -> Journal {
        let [durable, relaxed] = streams;
        Journal {
            number: superblock.journal,
            directory,
            durable: Stream::new(Durability::Durable, &options, durable),
            relaxed: Stream::new(Durability::Relaxed, &options, relaxed),
            options,
            superblock_file,
            superblock: Cell::new(superblock),
            is_writing_superblock: Cell::new(false),
            is_draining: Cell::new(false),
            failure: RefCell::new(None),
            stopped: Watch::new(false),
            changed: [Watch::new(()), Watch::new(())],
            pressure: Watch::new(false),
            metrics,
            #[cfg(test)]
            trace: RefCell::default(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Adds a frame to the commit that is being gathered. After an error it goes nowhere, and
    /// nobody hears of it (W9).
    pub(crate) fn push(
        &self,
        stream: Durability,
        frame: &Frame,
        payload: &[&[u8]],
        note: Option<Note>,
    ) {
        if self.has_stopped() {
            return;
        }
        self.stream(stream).push(frame, payload, note);
        self.changed[index(stream)].set(());
    }

    /// Waits until everything that has been pushed to the stream so far is complete.
    pub(crate) async fn completed(&self, stream: Durability) -> Result<(), JournalStopped> {
        self.check()?;
        let (sender, receiver) = oneshot::channel();
        if !self.stream(stream).wait_for_last(sender) {
            return Ok(());
        }
        // The sender is dropped without sending when the journal stops.
        match receiver.await {
            Ok(()) => Ok(()),
            Err(oneshot::Closed) => Err(self.failure()),
        }
    }

    /// Waits until the commits that are being written are complete. Those that wait for room are
    /// not waited for: they may need the checkpoint that is under way.
    pub(crate) async fn settled(&self) -> Result<(), JournalStopped> {
        self.check()?;
        for stream in [&self.durable, &self.relaxed] {
            let (sender, receiver) = oneshot::channel();
            if stream.wait_for_in_flight(sender) && receiver.await.is_err() {
                return Err(self.failure());
            }
        }
        self.check()
    }

    /// Replaces what waits in the durable stream by a carry, whose last commit is marked (rule 4.4
    /// of `FORMAT.md`). What waited is part of the bases in it, and whoever was noted hears of the
    /// carry's completion instead. `build` writes the frames. Returns the completion.
    pub(crate) fn push_carry(
        &self,
        build: impl FnOnce(&mut dyn FnMut(&Frame, &[&[u8]], Option<Note>)),
    ) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        if self.has_stopped() {
            return receiver;
        }
        let mark = Frame::mark(&self.relaxed.position());
        self.durable.push_carry(build, &mark, Note::Waiter(sender));
        self.relaxed.note_carry();
        self.changed[0].set(());
        receiver
    }

    /// Where the last complete carry begins, as far as this process has written one.
    pub(crate) fn carry_start(&self) -> Option<(Position, Position)> {
        self.durable.carry_start()
    }

    /// Makes the carry that was completed last the start of the next recovery, and frees the files
    /// before it (rules 4.6 and 4.7).
    pub(crate) async fn advance_replay(&self) -> Result<(), JournalStopped> {
        let (durable, relaxed) = self.carry_start().expect("a carry has been completed");
        let streams = [
            StreamRecord { replay_from: durable, known_tail: self.durable.known_tail() },
            StreamRecord { replay_from: relaxed, known_tail: self.relaxed.known_tail() },
        ];
        self.write_superblock(Superblock { streams, ..self.superblock.get() }).await?;
        self.durable.free_before(&durable);
        self.relaxed.free_before(&relaxed);
        self.changed[0].set(());
        self.changed[1].set(());
        Ok(())
    }

    /// Completes everything that was pushed and takes no more seals.
    pub(crate) async fn drain(&self) -> Result<(), JournalStopped> {
        self.is_draining.set(true);
        self.completed(Durability::Durable).await?;
        self.completed(Durability::Relaxed).await
    }

    /// Leaves the journal flushed and marked clean (rule 7). Both streams must be
    /// complete, and nothing may be pushed any more.
    pub(crate) async fn close(&self) -> Result<(), JournalStopped> {
        assert!(self.durable.is_idle() && self.relaxed.is_idle(), "a clean stop completes first");
        for (path, file) in self.relaxed.files() {
            file.sync_data().await.map_err(|source| self.stop("flush", &path, source))?;
        }
        let mut superblock = self.superblock.get();
        superblock.streams[0].known_tail = self.durable.known_tail();
        superblock.streams[1].known_tail = self.relaxed.known_tail();
        self.write_superblock(Superblock { is_clean: true, ..superblock }).await
    }

    /// Writes the next superblock into the other slot and waits until it is on the medium.
    pub(crate) async fn write_superblock(&self, next: Superblock) -> Result<(), JournalStopped> {
        self.check()?;
        assert!(!self.is_writing_superblock.replace(true), "one superblock at a time");
        let last = self.superblock.get();
        let next = Superblock { number: last.number + 1, ..next };
        assert_ne!(next.slot_position(), last.slot_position(), "never over the newest slot");
        let mut slot = AlignedBuf::zeroed(BLOCK_SIZE_BYTES);
        next.encode(&mut slot);
        let written = self
            .write_durably(&self.superblock_file, slot.freeze(), next.slot_position())
            .await
            .map_err(|source| self.stop("write", &self.directory.join("superblock"), source));
        self.is_writing_superblock.set(false);
        written?;
        self.superblock.set(next);
        Ok(())
    }

    /// Writes and flushes, by the device's best method.
    async fn write_durably(
        &self,
        file: &File,
        data: bytes::Bytes,
        position: u64,
    ) -> io::Result<()> {
        self.metrics.durable_flushes.add(1);
        write_durably(self.options.flush_method, file, data, position).await
    }

    /// Notes the first error and tells everybody who waits (rule W9).
    pub(crate) fn stop(
        &self,
        action: &'static str,
        path: &Path,
        source: io::Error,
    ) -> JournalStopped {
        let stopped = self
            .failure
            .borrow_mut()
            .get_or_insert_with(|| {
                let path = path.to_owned();
                tracing::error!(journal = self.number, action, path = %path.display(), %source,
                "the journal has stopped: start the broker again after looking at the disk");
                JournalStopped { journal: self.number, action, path, source: Rc::new(source) }
            })
            .clone();
        self.durable.abandon();
        self.relaxed.abandon();
        self.changed[0].set(());
        self.changed[1].set(());
        self.pressure.set(true);
        self.stopped.set(true);
        stopped
    }

    /// The journal was found damaged: it answers every write with an error, from the start.
    pub(crate) fn refuse_writes(&self) {
        const WHAT: &str = "it was found damaged at the start, and is only read";
        let refused = JournalStopped {
            journal: self.number,
            action: "write to",
            path: self.directory.clone(),
            source: Rc::new(io::Error::new(io::ErrorKind::InvalidData, WHAT)),
        };
        *self.failure.borrow_mut() = Some(refused);
    }

    /// Whether the journal still takes writes.
    pub(crate) fn check(&self) -> Result<(), JournalStopped> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// Waits until the journal has stopped.
    pub(crate) async fn wait_stopped(&self) -> JournalStopped {
        self.stopped.wait_for(|stopped| stopped.then_some(())).await;
        self.failure()
    }

    fn has_stopped(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Why commits were dropped.
    pub(crate) fn failure(&self) -> JournalStopped {
        self.failure.borrow().clone().expect("the journal drops commits only when it stops")
    }

    /// Sets the room that ordinary commits leave free in the durable stream (rule S2).
    pub(crate) fn set_reserve(&self, reserve_blocks: u32) {
        self.durable.set_reserve(reserve_blocks);
    }

    /// How many files the durable stream's ring needs for this reserve.
    pub(crate) fn files_needed(&self, reserve_blocks: u32) -> u32 {
        let file_blocks = self.options.file_blocks();
        let usable = stream::usable_blocks(file_blocks, self.options.commit_blocks_max());
        // Room for the last carry, the next one, and as much again for ordinary commits.
        reserve_blocks.saturating_mul(4).div_ceil(usable).max(2)
    }

    pub(crate) fn files_count(&self, stream: Durability) -> u32 {
        self.stream(stream).files_count()
    }

    /// Adds a file to a stream's ring. It was written whole and flushed, and so was its name.
    pub(crate) fn add_file(&self, stream: Durability, file: ring::JournalFile) {
        self.stream(stream).add_file(file);
        self.changed[index(stream)].set(());
    }

    /// Waits until the journal wants a checkpoint, or has stopped.
    pub(crate) async fn wants_checkpoint(&self) {
        self.pressure.wait_for(|wanted| wanted.then_some(())).await;
        self.pressure.set(false);
    }

    /// Bytes of commits that wait to be written, over both streams.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.durable.waiting_bytes() + self.relaxed.waiting_bytes()
    }

    /// Whether anything but seals was committed since recovery would begin.
    pub(crate) fn has_commits_to_replay(&self) -> bool {
        self.durable.is_dirty() || self.relaxed.is_dirty()
    }

    /// Bytes that a recovery would read from both streams.
    pub(crate) fn replay_bytes(&self) -> u64 {
        self.durable.replay_bytes() + self.relaxed.replay_bytes()
    }

    fn stream(&self, stream: Durability) -> &Stream {
        match stream {
            Durability::Durable => &self.durable,
            Durability::Relaxed => &self.relaxed,
        }
    }
}

pub(crate) const fn index(stream: Durability) -> usize {
    match stream {
        Durability::Durable => 0,
        Durability::Relaxed => 1,
    }
}

/// Writes and flushes.
async fn write_durably(
    method: FlushMethod,
    file: &File,
    data: bytes::Bytes,
    position: u64,
) -> io::Result<()> {
    if has_bug(PlantedBug::SkipFlush) {
        return file.write_all_at(data, position, WriteMode::Cached).await;
    }
    match method {
        FlushMethod::WriteDurably => file.write_all_at(data, position, WriteMode::Durable).await,
        FlushMethod::WriteThenFlush => {
            file.write_all_at(data, position, WriteMode::Cached).await?;
            file.sync_data().await
        }
    }
}
