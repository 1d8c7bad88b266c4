//! Scripts: what a process does with its store, noted in the ghost as it is done.

use std::rc::Rc;
use std::time::Duration;

use model::{LeaderEpoch, LogIndex};
use storage::{
    AppendError, CompactionError, Durability, EntryKind, LogOptions, Store, StoreOptions,
};

use crate::ghost::{Ghost, PartitionGhost, SharedGhost, Tag, key_of, listen};
use crate::support::{ALONE, COMPACT_ALL, append, keyed_batch, partition, value, vote};

/// The partition that is a member of a group; the others are alone.
pub(crate) const GROUPED: i32 = 2;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Makes partitions 0 (durable), 1 (relaxed) and [`GROUPED`] (durable).
    Create,
    /// Appends a batch of about this size.
    Append(i32, usize),
    /// Waits until everything that was appended is flushed.
    Flushed(i32),
    /// Votes for the next epoch, and waits for it.
    Vote(i32),
    /// Votes without waiting.
    AskVote(i32),
    /// Commits what is flushed. Of the grouped partition only.
    Commit,
    /// Cuts so many entries, as far as they are not committed. Of the grouped partition only.
    Truncate(u64),
    /// Moves the log's start to what is committed.
    LogStart(i32),
    /// Ends the segment that takes the appends.
    Roll(i32),
    Switch(i32),
    /// Compacts what can be compacted.
    Compact(i32),
    /// Begins to and goes on.
    BeginCompact(i32),
    Checkpoint,
    /// Begins a checkpoint and goes on.
    BeginCheckpoint,
    SleepMicros(u64),
    Close,
}

pub(crate) fn log_options(number: i32) -> LogOptions {
    LogOptions { is_alone: number != GROUPED, ..ALONE }
}

/// Recovers, checks what was found, and runs the script.
pub(crate) async fn run(
    options: StoreOptions,
    ghost: SharedGhost,
    steps: Rc<Vec<Step>>,
) -> Result<(), String> {
    let store = recover(&options, &ghost).await?;
    for step in steps.iter() {
        perform(&store, &ghost, *step).await;
    }
    Ok(())
}

pub(crate) async fn recover(
    options: &StoreOptions,
    ghost: &SharedGhost,
) -> Result<Rc<Store>, String> {
    let recovered = storage::read_journal(options, crate::support::DIRECTORY_ID, 0)
        .await
        .map_err(|error| error.to_string())?;
    if let Some(corruption) = recovered.corruptions.first() {
        return Err(format!("a healthy journal is called damaged: {corruption:?}"));
    }
    let store =
        Store::start(recovered, options.clone(), |partition| log_options(partition.partition.0))
            .await
            .map_err(|error| error.to_string())?;
    let mut checked: Ghost = ghost.borrow().clone();
    checked.check(&store).await?;
    for number in checked.partitions.keys() {
        let log = store.log(partition(*number)).unwrap();
        listen(ghost, *number, &log);
    }
    *ghost.borrow_mut() = checked;
    let numbers: Vec<i32> = ghost.borrow().partitions.keys().copied().collect();
    for number in numbers {
        // Whatever is alone begins a new epoch (W7).
        if number != GROUPED {
            perform_vote(&store, ghost, number, true).await;
        }
    }
    Ok(store)
}

async fn perform(store: &Rc<Store>, ghost: &SharedGhost, step: Step) {
    let log_of = |number: i32| store.log(partition(number)).unwrap();
    if let Step::Append(number, _) | Step::Flushed(number) = step
        && !ghost.borrow().partitions.contains_key(&number)
    {
        // After a crash during its creation the partition may be there or not.
        return;
    }
    match step {
        Step::Create => {
            for (number, durability) in
                [(0, Durability::Durable), (1, Durability::Relaxed), (2, Durability::Durable)]
            {
                let log = store
                    .create(partition(number), durability, vote(0), log_options(number))
                    .await
                    .unwrap();
                let created = PartitionGhost::created(0, durability);
                ghost.borrow_mut().partitions.insert(number, created);
                listen(ghost, number, &log);
            }
        }
        Step::Append(number, size_bytes) => {
            let log = log_of(number);
            let (epoch, id) = {
                let mut ghost = ghost.borrow_mut();
                ghost.batches_count += 1;
                (log.vote().leader_epoch.0, ghost.batches_count)
            };
            let value = value(id, size_bytes);
            let batch = keyed_batch(&key_of(id), &value, id.cast_signed());
            if let Err(AppendError::Uncommitted { .. }) = log.admitted(batch.len()).await {
                return;
            }
            // Noted and appended in one step: nothing crashes in between.
            ghost.borrow_mut().partitions.get_mut(&number).unwrap().append(Tag::Batch(id));
            append(&log, epoch, &batch).await;
        }
        Step::Flushed(number) => {
            let log = log_of(number);
            crate::support::flushed(&log, log.ends().end_count).await;
        }
        Step::Vote(number) => perform_vote(store, ghost, number, true).await,
        Step::AskVote(number) => perform_vote(store, ghost, number, false).await,
        Step::Commit => {
            let log = log_of(GROUPED);
            log.commit(log.ends().flushed_count.max(log.ends().committed_count));
        }
        Step::Truncate(count) => {
            let log = log_of(GROUPED);
            let ends = log.ends();
            let to = ends.end_count.saturating_sub(count).max(ends.committed_count);
            if to < ends.end_count {
                let entries = usize::try_from(to).unwrap();
                ghost.borrow_mut().partitions.get_mut(&GROUPED).unwrap().truncate(entries);
                log.truncate(LogIndex(to));
            }
        }
        Step::LogStart(number) => {
            let log = log_of(number);
            log.admitted(0).await.unwrap();
            let offset = log.ends().committed_offset;
            ghost.borrow_mut().partitions.get_mut(&number).unwrap().append(Tag::Other);
            let epoch = log.vote().leader_epoch;
            log.append_other(epoch, EntryKind::LogStart(offset), &[]);
        }
        Step::Roll(number) => log_of(number).roll(),
        Step::Switch(number) => {
            let log = log_of(number);
            let next = match log.durability() {
                Durability::Durable => Durability::Relaxed,
                Durability::Relaxed => Durability::Durable,
            };
            ghost.borrow_mut().begin_switching(number);
            store.set_durability(&log, next).await.unwrap();
            ghost.borrow_mut().finish_switching(number, next == Durability::Relaxed);
        }
        Step::Compact(number) => compact(store, ghost, number).await,
        Step::BeginCompact(number) => {
            let (store, ghost) = (store.clone(), ghost.clone());
            runtime::spawn(async move { compact(&store, &ghost, number).await });
        }
        Step::Checkpoint => checkpoint(store, ghost).await,
        Step::BeginCheckpoint => {
            let (store, ghost) = (store.clone(), ghost.clone());
            runtime::spawn(async move { checkpoint(&store, &ghost).await });
        }
        Step::SleepMicros(micros) => runtime::sleep(Duration::from_micros(micros)).await,
        Step::Close => {
            store.close().await.unwrap();
            let before = ghost.borrow().before_checkpoint();
            ghost.borrow_mut().after_checkpoint(&before);
        }
    }
}

async fn compact(store: &Store, ghost: &SharedGhost, number: i32) {
    let Some(log) = store.log(partition(number)) else { return };
    ghost.borrow_mut().has_compacted = true;
    let Ok(Some(dirtiness)) = log.dirtiness(&COMPACT_ALL).await else { return };
    match log.compact(&COMPACT_ALL, &dirtiness).await {
        Ok(_) => ghost.borrow_mut().compactions_count += 1,
        // A log start has taken some of it meanwhile.
        Err(CompactionError::Gone { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

async fn checkpoint(store: &Rc<Store>, ghost: &SharedGhost) {
    let before = ghost.borrow().before_checkpoint();
    // In a simulated fault the journal stops; the crash that follows is what is looked at.
    if store.checkpoint().await.is_ok() {
        ghost.borrow_mut().after_checkpoint(&before);
    }
}

async fn perform_vote(store: &Rc<Store>, ghost: &SharedGhost, number: i32, waits: bool) {
    let log = store.log(partition(number)).unwrap();
    let last_epoch: LeaderEpoch = log.ends().last_epoch;
    let epoch = log.vote().leader_epoch.max(last_epoch).0 + 1;
    ghost.borrow_mut().partitions.get_mut(&number).unwrap().vote_asked = epoch;
    log.save_vote(vote(epoch));
    if waits {
        log.voted().await.unwrap();
        ghost.borrow_mut().vote_given(number, epoch);
    }
}
