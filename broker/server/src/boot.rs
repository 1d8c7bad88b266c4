//! A start: what the journals hold, and where each log is to live.
//!
//! ```text
//!  every core: read its journals ─► Recovered ┐
//!                        core 0: plan ◄───────┘──► Plan
//!  every core: start its stores ──► Started ──► core 0: move logs, retire journals, open the
//!                                               metadata, open partitions, listen
//! ```
//!
//! A journal belongs to the core of its number. The journals of cores that are not there any more
//! are read by those that are; their logs move, and the journals are retired.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use model::TopicPartition;
use runtime::{CoreId, Reply};
use storage::{
    Corruption, DirectoryId, FoundJournals, RecoveredJournal, StartError, Store, StoreOptions,
};

use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::groups::Groups;
use crate::image::DEFAULT_LOG;
use crate::owner::Owner;

/// What a core has read.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoundLogs {
    /// Of each journal, the base numbers of its logs.
    pub(crate) journals: BTreeMap<u32, Vec<(TopicPartition, u32)>>,
    /// Partitions that have left a journal.
    pub(crate) left: BTreeSet<TopicPartition>,
    pub(crate) corruptions: Vec<Corruption>,
}

/// Where every log is, and where it is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BootPlan {
    /// The journal that has the newest of each log.
    pub(crate) homes: BTreeMap<TopicPartition, u32>,
    pub(crate) moves: Vec<Move>,
    /// Journals that are empty after the moves.
    pub(crate) retired: Vec<u32>,
    /// Partitions that have left a journal; none if not all of them can be told.
    pub(crate) left: Option<BTreeSet<TopicPartition>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) partition: TopicPartition,
    pub(crate) journal: u32,
    pub(crate) to: CoreId,
}

/// Which core reads a journal.
pub(crate) fn reader_of(journal: u32, cores_count: u16) -> CoreId {
    CoreId(u16::try_from(journal % u32::from(cores_count)).expect("a remainder is smaller"))
}

/// Decides where every log is to be. Few logs move: those of cores that are gone, and so many that
/// the cores have equally many, if their number has changed.
pub(crate) fn plan(
    found: &FoundLogs,
    cores_count: u16,
    cores_count_before: Option<u16>,
) -> Result<BootPlan, String> {
    let mut newest: BTreeMap<TopicPartition, (u32, u32)> = BTreeMap::new();
    for (journal, logs) in &found.journals {
        for (partition, base_number) in logs {
            let known = newest.entry(*partition).or_insert((*base_number, *journal));
            if known.0 < *base_number {
                *known = (*base_number, *journal);
            }
        }
    }
    let homes: BTreeMap<_, _> =
        newest.into_iter().map(|(partition, (_, journal))| (partition, journal)).collect();
    // The first log of all is the metadata's. Without it every other log would look like one that
    // belongs to a deleted topic.
    if !homes.is_empty() && !homes.contains_key(&TopicPartition::CLUSTER_METADATA) {
        return Err(format!(
            "there are logs of {} partitions, and none of the cluster's metadata: a part of the \
             data directory is missing; put back what was in its journal directory",
            homes.len()
        ));
    }
    let is_foreign = |journal: u32| u32::from(cores_count) <= journal;
    let retired: Vec<u32> =
        found.journals.keys().copied().filter(|journal| is_foreign(*journal)).collect();
    if !found.corruptions.is_empty() {
        if !retired.is_empty() {
            let damaged = &found.corruptions[0];
            return Err(format!(
                "journal {} is damaged ({}: {}), so no log can move from core to core; start with \
                 as many cores as before: --cores {}",
                damaged.journal,
                damaged.path.display(),
                damaged.what,
                cores_count_before.unwrap_or(cores_count)
            ));
        }
        return Ok(BootPlan { homes, ..BootPlan::default() });
    }
    let mut counts = vec![0_usize; usize::from(cores_count)];
    let mut target: BTreeMap<TopicPartition, CoreId> = BTreeMap::new();
    for (partition, journal) in &homes {
        let core = match *partition {
            TopicPartition::CLUSTER_METADATA => CoreId(0),
            _ if is_foreign(*journal) => continue,
            _ => CoreId(u16::try_from(*journal).expect("not foreign, so a core's")),
        };
        counts[core.index()] += 1;
        target.insert(*partition, core);
    }
    let emptiest = |counts: &[usize]| {
        (0..cores_count).min_by_key(|core| counts[usize::from(*core)]).expect("there is a core")
    };
    for partition in homes.keys() {
        if !target.contains_key(partition) {
            let core = emptiest(&counts);
            counts[usize::from(core)] += 1;
            target.insert(*partition, CoreId(core));
        }
    }
    if cores_count_before.is_some_and(|before| before != cores_count) {
        for (partition, core) in &mut target {
            let to = emptiest(&counts);
            if *partition != TopicPartition::CLUSTER_METADATA
                && counts[usize::from(to)] + 1 < counts[core.index()]
            {
                counts[core.index()] -= 1;
                counts[usize::from(to)] += 1;
                *core = CoreId(to);
            }
        }
    }
    let moves = homes.iter().filter_map(|(partition, journal)| {
        let to = target[partition];
        let is_there = u32::from(to.0) == *journal;
        (!is_there).then_some(Move { partition: *partition, journal: *journal, to })
    });
    let moves = moves.collect();
    Ok(BootPlan { homes, moves, retired, left: Some(found.left.clone()) })
}

impl BootPlan {
    /// Whether everything is known that the journals held. Otherwise nothing may be removed, and
    /// nothing begun anew, because it is not found.
    pub(crate) fn is_complete(&self) -> bool {
        self.left.is_some()
    }

    /// The core of every log, after the moves.
    pub(crate) fn owners(&self) -> BTreeMap<TopicPartition, CoreId> {
        let mut owners: BTreeMap<_, _> = self
            .homes
            .iter()
            .filter_map(|(partition, journal)| {
                Some((*partition, CoreId(u16::try_from(*journal).ok()?)))
            })
            .collect();
        owners.extend(self.moves.iter().map(|of| (of.partition, of.to)));
        owners
    }
}

/// Reads the journals that are this core's to read.
pub(crate) async fn read_journals(
    core: CoreId,
    cores_count: u16,
    options: &StoreOptions,
    directory_id: DirectoryId,
    found: &FoundJournals,
) -> Result<Vec<RecoveredJournal>, StartError> {
    let own = u32::from(core.0);
    let foreign = found.numbers.iter().copied().filter(|number| {
        u32::from(cores_count) <= *number && reader_of(*number, cores_count) == core
    });
    let mut recovered = Vec::new();
    for number in std::iter::once(own).chain(foreign) {
        recovered.push(storage::read_journal(options, directory_id, number).await?);
    }
    Ok(recovered)
}

/// What core 0 is told about them.
pub(crate) fn found_logs(journals: &[RecoveredJournal]) -> FoundLogs {
    let mut found = FoundLogs::default();
    for journal in journals {
        let logs = journal.logs.iter().map(|log| (log.partition, log.base_number)).collect();
        found.journals.insert(journal.number, logs);
        found.left.extend(journal.left.iter().copied());
        found.corruptions.extend(journal.corruptions.iter().cloned());
    }
    found
}

/// Starts the stores of a core, each with the logs that are at home there.
pub(crate) async fn start_stores(
    core: &Core,
    journals: Vec<RecoveredJournal>,
    options: &StoreOptions,
    plan: &BootPlan,
) -> Result<(), StartError> {
    let mut own = None;
    let mut foreign = BTreeMap::new();
    for mut journal in journals {
        let number = journal.number;
        journal.logs.retain(|log| plan.homes.get(&log.partition) == Some(&number));
        let store = Store::start(journal, options.clone(), |_| DEFAULT_LOG).await?;
        if number == u32::from(core.id.0) {
            own = Some(store);
        } else {
            foreign.insert(number, store);
        }
    }
    let own = own.expect("every core reads its own journal");
    let config = &core.config;
    let batch_bytes_max = options.batch_bytes_max();
    let groups = Groups::new(config.groups.of_all, core.mesh().clone(), core.image());
    let owner = Owner::new(config.broker_id, own, batch_bytes_max, config.upkeep, groups);
    if !plan.is_complete() {
        owner.note_missing_logs();
    }
    core.set_stores(owner, foreign);
    Ok(())
}

/// Puts aside what belongs to no log, moves logs and retires journals, from core 0.
pub(crate) async fn carry_out(core: &Rc<Core>, plan: &BootPlan) -> Result<(), String> {
    if let Some(left) = &plan.left {
        let live = plan.homes.keys().copied().collect();
        let aside = storage::set_orphans_aside(&core.config.data_dir, &live, left).await;
        aside.map_err(|error| error.to_string())?;
    }
    for Move { partition, journal, to } in plan.moves.iter().copied() {
        let from = reader_of(journal, core.cores_count);
        let export = CoreRequest::Export { journal, partition };
        let log = match core.call(from, export).await {
            CoreAnswer::Exported(log) => log?,
            other => return other.done(),
        };
        core.call(to, CoreRequest::Adopt(log)).await.done()?;
        core.call(from, CoreRequest::Leave { journal, partition }).await.done()?;
    }
    for journal in plan.retired.iter().copied() {
        let from = reader_of(journal, core.cores_count);
        core.call(from, CoreRequest::Retire { journal }).await.done()?;
    }
    Ok(())
}

/// Where core 0 waits for all of them.
pub(crate) struct Gathering {
    cores_count: u16,
    /// How many cores there were when the broker ran last.
    before: Cell<Option<u16>>,
    found: RefCell<FoundLogs>,
    failed: RefCell<Option<String>>,
    waiting: RefCell<Vec<Reply<CoreAnswer>>>,
}

impl Gathering {
    pub(crate) fn new(cores_count: u16) -> Gathering {
        Gathering {
            cores_count,
            before: Cell::new(None),
            found: RefCell::default(),
            failed: RefCell::default(),
            waiting: RefCell::default(),
        }
    }

    pub(crate) fn set_before(&self, cores_count: Option<u16>) {
        self.before.set(cores_count);
    }

    pub(crate) fn recovered(&self, found: Result<FoundLogs, String>, reply: Reply<CoreAnswer>) {
        match found {
            Ok(found) => {
                let mut all = self.found.borrow_mut();
                all.journals.extend(found.journals);
                all.left.extend(found.left);
                all.corruptions.extend(found.corruptions);
            }
            Err(text) => self.note_failed(text),
        }
        let Some(waiting) = self.all_with(reply) else { return };
        let found = self.found.borrow();
        if self.failed.borrow().is_none() {
            match plan(&found, self.cores_count, self.before.get()) {
                Ok(plan) => {
                    let plan = Arc::new(plan);
                    for reply in waiting {
                        reply.send(CoreAnswer::Plan(plan.clone()));
                    }
                    return;
                }
                Err(text) => self.note_failed(text),
            }
        }
        self.fail(waiting);
    }

    pub(crate) fn started(&self, started: Result<(), String>, reply: Reply<CoreAnswer>) {
        if let Err(text) = started {
            self.note_failed(text);
        }
        let Some(waiting) = self.all_with(reply) else { return };
        if self.failed.borrow().is_some() {
            return self.fail(waiting);
        }
        for reply in waiting {
            reply.send(CoreAnswer::Done);
        }
    }

    fn all_with(&self, reply: Reply<CoreAnswer>) -> Option<Vec<Reply<CoreAnswer>>> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.push(reply);
        (waiting.len() == usize::from(self.cores_count)).then(|| std::mem::take(&mut *waiting))
    }

    fn note_failed(&self, text: String) {
        self.failed.borrow_mut().get_or_insert(text);
    }

    fn fail(&self, waiting: Vec<Reply<CoreAnswer>>) {
        let text = self.failed.borrow().clone().expect("somebody has failed");
        for reply in waiting {
            reply.send(CoreAnswer::Failed(text.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
