//! What the logs have been, told by whoever appended to them: the measure of every recovery.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use storage::{Durability, Log, LogListener, Store};

use crate::support::{partition, read_left_values, read_values};

/// One entry of a log, as far as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// A batch of one record with this number in it.
    Batch(u64),
    Other,
}

/// Everything that is known of one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionGhost {
    /// Every state the log has been in, in order.
    pub(crate) versions: Vec<Rc<Vec<Tag>>>,
    /// For the entries the log has now: the version in which each was appended.
    appended: Vec<usize>,
    /// The oldest state that a recovery may find after a kill.
    safe_after_kill: usize,
    /// The same after a loss of power.
    safe_after_power_loss: usize,
    pub(crate) vote_asked: i32,
    vote_given: i32,
    pub(crate) is_relaxed: bool,
    /// While a change of level is under way.
    is_switching: bool,
    /// Entries that were flushed before the log became durable; what is flushed after them has its
    /// base on the medium.
    relaxed_count: usize,
}

impl PartitionGhost {
    pub(crate) fn created(vote: i32, durability: Durability) -> PartitionGhost {
        PartitionGhost {
            versions: vec![Rc::default()],
            vote_asked: vote,
            vote_given: vote,
            is_relaxed: durability == Durability::Relaxed,
            ..PartitionGhost::default()
        }
    }

    fn now(&self) -> &Rc<Vec<Tag>> {
        self.versions.last().unwrap()
    }

    pub(crate) fn append(&mut self, tag: Tag) {
        let mut next = Vec::clone(self.now());
        next.push(tag);
        self.versions.push(Rc::new(next));
        self.appended.push(self.versions.len() - 1);
    }

    pub(crate) fn truncate(&mut self, to: usize) {
        let next = self.now()[..to].to_vec();
        self.versions.push(Rc::new(next));
        self.appended.truncate(to);
    }

    /// Whether these are the first batches of a state that the log has been in.
    pub(crate) fn has_begun_with(&self, ids: &[u64]) -> bool {
        self.versions.iter().any(|version| {
            let batches = version.iter().filter_map(|tag| match tag {
                Tag::Batch(id) => Some(*id),
                Tag::Other => None,
            });
            let batches: Vec<u64> = batches.collect();
            batches.starts_with(ids)
        })
    }

    fn flushed(&mut self, count: usize) {
        let Some(version) = count.checked_sub(1).map(|last| self.appended[last]) else { return };
        self.safe_after_kill = self.safe_after_kill.max(version);
        if !self.is_relaxed && !self.is_switching && self.relaxed_count < count {
            self.safe_after_power_loss = self.safe_after_power_loss.max(version);
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ghost {
    pub(crate) partitions: BTreeMap<i32, PartitionGhost>,
    pub(crate) batches_count: u64,
    /// Logs may have been compacted.
    pub(crate) has_compacted: bool,
    /// Compactions that have come to their end.
    pub(crate) compactions_count: u64,
}

/// The key of the batch with this number: few, so that most of them are used again.
pub(crate) fn key_of(number: u64) -> [u8; 8] {
    (number % 5).to_le_bytes()
}

/// Shared by a script, the listeners of its logs, and the one who crashes them.
pub(crate) type SharedGhost = Rc<RefCell<Ghost>>;

struct Listener {
    ghost: SharedGhost,
    number: i32,
    log: std::rc::Weak<Log>,
}

impl LogListener for Listener {
    fn progressed(&self) {
        let Some(log) = self.log.upgrade() else { return };
        let count = usize::try_from(log.ends().flushed_count).unwrap();
        let mut ghost = self.ghost.borrow_mut();
        ghost.partitions.get_mut(&self.number).unwrap().flushed(count);
    }

    fn stopped(&self) {}
}

pub(crate) fn listen(ghost: &SharedGhost, number: i32, log: &Rc<Log>) {
    let listener = Listener { ghost: ghost.clone(), number, log: Rc::downgrade(log) };
    log.listen(Rc::new(listener));
}

impl Ghost {
    pub(crate) fn vote_given(&mut self, number: i32, vote: i32) {
        let partition = self.partitions.get_mut(&number).unwrap();
        partition.vote_given = partition.vote_given.max(vote);
    }

    pub(crate) fn begin_switching(&mut self, number: i32) {
        self.partitions.get_mut(&number).unwrap().is_switching = true;
    }

    pub(crate) fn finish_switching(&mut self, number: i32, is_relaxed: bool) {
        let partition = self.partitions.get_mut(&number).unwrap();
        partition.is_switching = false;
        partition.is_relaxed = is_relaxed;
        partition.relaxed_count = partition.now().len();
    }

    /// What was safe after a kill when a checkpoint began is safe after a loss of power, too.
    pub(crate) fn before_checkpoint(&self) -> BTreeMap<i32, usize> {
        let safe = |partition: &PartitionGhost| partition.safe_after_kill;
        self.partitions.iter().map(|(number, partition)| (*number, safe(partition))).collect()
    }

    pub(crate) fn after_checkpoint(&mut self, before: &BTreeMap<i32, usize>) {
        for (number, safe) in before {
            let partition = self.partitions.get_mut(number).unwrap();
            partition.safe_after_power_loss = partition.safe_after_power_loss.max(*safe);
        }
    }

    /// The machine has lost its power: what only a kill would have left is not safe any more, also
    /// if the recovery is killed before its end.
    pub(crate) fn lose_power(&mut self) {
        for partition in self.partitions.values_mut() {
            partition.safe_after_kill = partition.safe_after_power_loss;
        }
    }

    /// Compares what a recovery has found with what the logs have been, and goes on from there. A
    /// recovery shows its state, so what it found is safe from now on.
    pub(crate) async fn check(&mut self, store: &Store) -> Result<(), String> {
        for (number, ghost) in &mut self.partitions {
            let log = store.log(partition(*number)).ok_or(format!("{number}: not there"))?;
            let found = found_tags(&log, self.has_compacted).await;
            let log_start = usize::try_from(log.ends().log_start.0).unwrap();
            let is_found = |version: &Rc<Vec<Tag>>| is_same(version, &found, log_start);
            let Some(version) = ghost.versions.iter().rposition(is_found) else {
                let last = ghost.now();
                return Err(format!("{number}: was never {found:?}, last {last:?}"));
            };
            let safe = ghost.safe_after_kill;
            if version < safe {
                let lost = ghost.versions[safe].len() - found.len().min(ghost.versions[safe].len());
                return Err(format!("{number}: version {version} < {safe}, {lost} entries lost"));
            }
            let vote = log.vote().leader_epoch.0;
            if vote < ghost.vote_given || ghost.vote_asked < vote {
                let (given, asked) = (ghost.vote_given, ghost.vote_asked);
                return Err(format!("{number}: vote {vote} not in {given}..={asked}"));
            }
            if log.ends().last_epoch.0 > vote {
                return Err(format!("{number}: an entry of a later epoch than the vote"));
            }
            let is_relaxed = log.durability() == Durability::Relaxed;
            ghost.versions.truncate(version + 1);
            ghost.appended = vec![version; found.len()];
            ghost.safe_after_kill = version;
            ghost.safe_after_power_loss = match is_relaxed {
                true => ghost.safe_after_power_loss.min(version),
                false => version,
            };
            ghost.vote_given = vote;
            ghost.vote_asked = vote;
            ghost.is_relaxed = is_relaxed;
            ghost.is_switching = false;
            ghost.relaxed_count = 0;
        }
        Ok(())
    }
}

/// Batches below the log's start cannot be read, and are taken for the ones that were there.
fn is_same(version: &[Tag], found: &[Option<Tag>], log_start: usize) -> bool {
    let mut offset = 0;
    // A record may be missing if a later one of its key is there.
    let is_superseded = |missing: &Tag| {
        let Tag::Batch(missing) = *missing else { return false };
        found.iter().flatten().any(
            |tag| matches!(tag, Tag::Batch(id) if missing < *id && key_of(*id) == key_of(missing)),
        )
    };
    version.len() == found.len()
        && version.iter().zip(found).all(|(expected, found)| {
            let is_batch = matches!(expected, Tag::Batch(_));
            let is_readable = log_start <= offset;
            offset += usize::from(is_batch);
            match found {
                Some(found) => found == expected || is_batch && !is_readable,
                None => is_batch && (!is_readable || is_superseded(expected)),
            }
        })
}

/// The log's entries: of those in memory the kind, of the batches the number in the record; none
/// where nothing can be told.
async fn found_tags(log: &Rc<Log>, may_have_gaps: bool) -> Vec<Option<Tag>> {
    let ends = log.ends();
    let values = match may_have_gaps {
        true => read_left_values(log, ends.log_start, 3000).await,
        false => read_values(log, ends.log_start, 3000).await,
    };
    let number_at: BTreeMap<i64, u64> = values
        .iter()
        .map(|(offset, value)| (*offset, u64::from_le_bytes(value[..8].try_into().unwrap())))
        .collect();
    // Every entry's kind: from `entries` or memory.
    let entries = log.entries(0, ends.end_count).await.unwrap();
    assert_eq!(entries.len() as u64, ends.end_count);
    entries
        .iter()
        .map(|entry| match entry.batch() {
            None => Some(Tag::Other),
            Some(stamp) => {
                let is_uncommitted = ends.committed_offset <= stamp.base_offset;
                match number_at.get(&stamp.base_offset.0) {
                    Some(number) => Some(Tag::Batch(*number)),
                    // Its number is in its time as well.
                    None if is_uncommitted => {
                        Some(Tag::Batch(stamp.base_timestamp.0.cast_unsigned()))
                    }
                    None => {
                        assert!(may_have_gaps || stamp.base_offset < ends.log_start);
                        None
                    }
                }
            }
        })
        .collect()
}
