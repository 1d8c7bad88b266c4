//! Checkpoints: what segments hold by now need not be in the journal any more.
//!
//! The numbers in parentheses are the rules of `FORMAT.md`.

use std::collections::BTreeSet;
use std::rc::Rc;

use runtime::AlignedBuf;
use runtime::sync::budget::Share;

use super::Store;
use crate::error::JournalStopped;
use crate::format::frame::room_bytes;
use crate::log::Log;

/// Logs that are flushed at the same time.
const FLUSHES_COUNT: usize = 8;
/// Passes over all logs before appends are held back for the last one.
const OPEN_PASSES_COUNT: usize = 2;

impl Store {
    /// Makes a checkpoint when the journal wants one, and from time to time.
    pub(super) async fn run_checkpoints(self: Rc<Store>) {
        let interval = self.shared.options.checkpoint_interval;
        loop {
            let wanted = self.shared.journal.wants_checkpoint();
            let is_due = runtime::timeout(interval, wanted).await.is_err();
            if is_due && !self.needs_checkpoint() {
                continue;
            }
            if self.checkpoint().await.is_err() {
                return;
            }
        }
    }

    /// A checkpoint at once, if anything was written since the last one: what a moved log start leaves
    /// behind has gone from the disk once this returns.
    pub async fn checkpoint_if_written(&self) -> Result<(), JournalStopped> {
        // One that is under way may have the log start, and not have removed anything yet.
        let turn = self.checkpointing.take(1).await;
        match self.needs_checkpoint() {
            true => self.checkpoint_in_turn(turn).await,
            false => Ok(()),
        }
    }

    fn needs_checkpoint(&self) -> bool {
        let has_more = self.shared.journal.has_commits_to_replay() || self.leaves_files.get();
        has_more && !self.is_read_only()
    }

    /// Flushes what is committed to segments, writes the restart point of every log into the
    /// durable stream, and frees the journal before it.
    pub async fn checkpoint(&self) -> Result<(), JournalStopped> {
        let turn = self.checkpointing.take(1).await;
        self.checkpoint_in_turn(turn).await
    }

    async fn checkpoint_in_turn(&self, _turn: Share) -> Result<(), JournalStopped> {
        let since = runtime::now();
        let journal = &self.shared.journal;
        journal.check()?;
        let carry_late_bytes_max = self.shared.options.carry_late_bytes_max();
        let mut passes_count = 0;
        loop {
            self.flush_all().await?;
            passes_count += 1;
            // From here to the carry nothing else runs on this core.
            if self.shared.late_bytes() <= carry_late_bytes_max {
                break;
            }
            // With the gate closed only what waits and what is not committed is left.
            assert!(passes_count <= OPEN_PASSES_COUNT, "admission bounds what a carry holds");
            if OPEN_PASSES_COUNT == passes_count {
                // What comes in is as much as is flushed: hold it back for one pass.
                self.shared.close_gate();
                journal.settled().await?;
            }
        }
        let mut logs = Vec::new();
        let mut scratch = AlignedBuf::with_capacity(0);
        let mut carry_bytes = 0;
        // 4.4: from memory as it is now, in one synchronous step.
        let completed = journal.push_carry(|push| {
            for log in self.logs() {
                log.push_base(
                    &mut |frame, payload, note| {
                        carry_bytes += room_bytes(frame.size_bytes as usize) as u64;
                        push(frame, payload, note);
                    },
                    &mut scratch,
                );
                logs.push((log.told_by_base(), log));
            }
        });
        self.shared.open_gate();
        // 4.5.
        if completed.await.is_err() {
            return Err(journal.failure());
        }
        journal.advance_replay().await?;
        self.shared.announce();
        // 4.7: only now nothing on the medium needs what is removed here.
        self.leaves_files.set(false);
        for (told, log) in logs {
            // A start that was only appended when the carry was gathered, and is committed with it.
            if told.log_start < log.ends().log_start {
                self.leaves_files.set(true);
            }
            if let Err(error) = log.release(&told).await {
                tracing::warn!(partition = %log.partition(), %error, "a file was not removed");
            }
            log.rest();
        }
        self.shared.metrics.note_checkpoint(carry_bytes, runtime::now() - since);
        Ok(())
    }

    /// Rules 4.1 to 4.3 for every log that has something to flush, some at a time.
    async fn flush_all(&self) -> Result<(), JournalStopped> {
        let mut logs: Vec<Rc<Log>> =
            self.logs().into_iter().filter(|log| log.needs_flush()).collect();
        let mut directories = BTreeSet::new();
        while !logs.is_empty() {
            let rest = logs.split_off(logs.len().min(FLUSHES_COUNT));
            let flushes: Vec<_> = logs
                .into_iter()
                .map(|log| {
                    runtime::spawn(async move {
                        let mut directories = BTreeSet::new();
                        log.flush(&mut directories).await.map(|()| directories)
                    })
                })
                .collect();
            for flush in flushes {
                directories.extend(flush.await?);
            }
            logs = rest;
        }
        self.sync_dirs(directories).await
    }
}
