//! Logs that move to another journal (C3), are deleted (C5), or were left behind.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use model::{Offset, TopicPartition};
use runtime::Neighbours;
use runtime::sim::{self, Crash, Disk, Fate, Simulation};
use storage::{Durability, RecoveredLog, Store, StoreOptions, set_orphans_aside};

use crate::support::{
    ALONE, DIRECTORY_ID, append, batch, flushed, partition, read_values, small_options, value, vote,
};

fn options(boot: u8) -> StoreOptions {
    small_options(Path::new("/"), boot)
}

async fn start(number: u32, boot: u8) -> Rc<Store> {
    let recovered = storage::read_journal(&options(boot), DIRECTORY_ID, number).await.unwrap();
    assert!(recovered.corruptions.is_empty(), "{:?}", recovered.corruptions);
    Store::start(recovered, options(boot), |_| ALONE).await.unwrap()
}

/// What a moving log has promised, by partition: values that are flushed.
type Promised = Rc<RefCell<BTreeMap<i32, u64>>>;

/// Appends one batch, waits until it is flushed, and notes the promise.
async fn append_flushed(log: &Rc<storage::Log>, promised: &Promised) {
    let number = log.partition().partition.0;
    let next = promised.borrow().get(&number).copied().unwrap_or(0);
    append(log, log.vote().leader_epoch.0, &batch(&[&value(next, 700)], 1)).await;
    flushed(log, log.ends().end_count).await;
    promised.borrow_mut().insert(number, next + 1);
}

/// Moves both partitions to journal 1 and one of them back, with appends at every stage and
/// checkpoints of both journals in between.
async fn move_about(promised: Promised) {
    let stores = [start(0, 1).await, start(1, 1).await];
    for (number, durability) in [(0, Durability::Durable), (1, Durability::Relaxed)] {
        let log = stores[0].create(partition(number), durability, vote(1), ALONE).await.unwrap();
        for _ in 0..5 {
            append_flushed(&log, &promised).await;
        }
    }
    for (number, from, to) in [(0, 0, 1), (1, 0, 1), (0, 1, 0)] {
        let log = stores[from].log(partition(number)).unwrap();
        let exported = stores[from].export(&log).await.unwrap();
        // Checkpoints go on in the old journal, which still has the log.
        let old = stores[from].clone();
        let checkpoint = runtime::spawn(async move {
            old.checkpoint().await.unwrap();
            old.checkpoint().await.unwrap();
        });
        let moved = stores[to].adopt(exported, ALONE).await.unwrap();
        stores[from].leave(&log).await.unwrap();
        for _ in 0..3 {
            append_flushed(&moved, &promised).await;
        }
        checkpoint.await;
        append_flushed(&moved, &promised).await;
        stores[to].checkpoint().await.unwrap();
        append_flushed(&moved, &promised).await;
    }
}

/// Starts both journals, as a broker with two cores does: each log lives where its base number is
/// highest, and leaves the other. Checks the promises.
async fn check_after_crash(boot: u8, promised: BTreeMap<i32, u64>) {
    let mut newest: BTreeMap<TopicPartition, (u32, u32)> = BTreeMap::new();
    for number in [0, 1] {
        let recovered = storage::read_journal(&options(boot), DIRECTORY_ID, number).await.unwrap();
        assert!(recovered.corruptions.is_empty(), "{:?}", recovered.corruptions);
        let of = |log: &RecoveredLog| (log.partition, log.base_number);
        for (partition, base_number) in recovered.logs.iter().map(of) {
            let place = newest.entry(partition).or_insert((base_number, number));
            if place.0 < base_number {
                *place = (base_number, number);
            }
        }
    }
    for number in [0, 1] {
        let store = start(number, boot).await;
        for log in store.logs() {
            if newest[&log.partition()].1 != number {
                continue;
            }
            let values = read_values(&log, Offset(0), 4000).await;
            let number = log.partition().partition.0;
            let found = values.len() as u64;
            let expected = promised.get(&number).copied().unwrap_or(0);
            assert!(expected <= found, "{number}: {found} of {expected}");
            for (n, (offset, bytes)) in (0i64..).zip(&values) {
                assert_eq!((*offset, bytes), (n, &value(n.cast_unsigned(), 700)));
            }
        }
    }
    for number in promised.keys() {
        assert!(newest.contains_key(&partition(*number)), "{number} is nowhere");
    }
}

/// Runs a scenario and crashes it at each operation; `check` looks at what is left.
fn sweep<Main, Check>(
    scenario: impl FnOnce(Promised) -> Main,
    check: impl Fn(u8, BTreeMap<i32, u64>) -> Check,
) where
    Main: Future<Output = ()> + 'static,
    Check: Future<Output = ()> + 'static,
{
    let promised = Promised::default();
    let mut simulation = Simulation::new(11);
    let machine = simulation.add_machine(Disk::new());
    let main = {
        let promised = promised.clone();
        || scenario(promised)
    };
    let (process, mains) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    let mut seen = 0;
    while !mains[0].is_ready() {
        assert!(simulation.step(), "the scenario is stuck");
        let operations = simulation.operations_count();
        if operations == seen || promised.borrow().is_empty() {
            continue;
        }
        seen = operations;
        for mut fate in [Fate::nothing(), Fate::everything(), Fate::random(operations)] {
            let disk = simulation.disk_after(process, Crash::Kill, &mut fate);
            let promised = promised.borrow().clone();
            sim::run(operations, disk, || check(1, promised));
        }
    }
    assert!(100 < seen, "{seen} operations");
}

#[test]
fn c3_a_log_that_moves_is_whole_in_one_journal_whenever_it_crashes() {
    sweep(move_about, check_after_crash);
}

#[test]
fn c3_a_moved_log_has_a_higher_base_number_where_it_lives_now() {
    sim::run(3, Disk::new(), || async {
        let stores = [start(0, 1).await, start(1, 1).await];
        let created = stores[0].create(partition(0), Durability::Durable, vote(1), ALONE);
        let log = created.await.unwrap();
        let exported = stores[0].export(&log).await.unwrap();
        let moved = stores[1].adopt(exported, ALONE).await.unwrap();
        for _ in 0..5 {
            stores[0].checkpoint().await.unwrap();
        }
        let base_number = |number: u32| async move {
            let read = storage::read_journal(&options(1), DIRECTORY_ID, number).await.unwrap();
            read.logs[0].base_number
        };
        assert!(base_number(0).await < base_number(1).await);
        stores[0].leave(&log).await.unwrap();
        assert_eq!(moved.ends().end_count, 0);
        let read = storage::read_journal(&options(1), DIRECTORY_ID, 0).await.unwrap();
        assert!(read.logs.is_empty() && read.left.contains(&partition(0)));
    });
}

#[test]
fn a_journal_whose_logs_have_all_moved_is_retired() {
    let (_, disk) = sim::run(4, Disk::new(), || async {
        let stores = [start(0, 1).await, start(1, 1).await];
        let created = stores[1].create(partition(0), Durability::Durable, vote(1), ALONE);
        let log = created.await.unwrap();
        let exported = stores[1].export(&log).await.unwrap();
        stores[0].adopt(exported, ALONE).await.unwrap();
        stores[1].leave(&log).await.unwrap();
        stores[1].retire().await.unwrap();
        let found = storage::find_journals(Path::new("/")).await.unwrap();
        assert_eq!((found.numbers, found.cores_count), (vec![0], Some(1)));
    });
    let left: Vec<PathBuf> = disk.paths();
    assert!(left.iter().all(|path| !path.starts_with("/journal/1")), "{left:?}");
}

/// Deletes one of two partitions.
async fn delete(promised: Promised) {
    let store = start(0, 1).await;
    for number in [0, 1] {
        let created = store.create(partition(number), Durability::Durable, vote(1), ALONE);
        let log = created.await.unwrap();
        for _ in 0..40 {
            append_flushed(&log, &promised).await;
        }
    }
    store.checkpoint().await.unwrap();
    let log = store.log(partition(1)).unwrap();
    append_flushed(&log, &promised).await;
    // From here on it may be there or not.
    promised.borrow_mut().insert(1, 0);
    store.remove(&log).await.unwrap();
    promised.borrow_mut().remove(&1);
    append_flushed(&store.log(partition(0)).unwrap(), &promised).await;
    store.checkpoint().await.unwrap();
}

async fn check_after_delete(boot: u8, promised: BTreeMap<i32, u64>) {
    // What was deleted and what was not: see `delete`.
    let must_live = |number: i32| promised.get(&number).is_some_and(|count| 0 < *count);
    let recovered = storage::read_journal(&options(boot), DIRECTORY_ID, 0).await.unwrap();
    let left = recovered.left.clone();
    let store = Store::start(recovered, options(boot), |_| ALONE).await.unwrap();
    let logs = store.logs();
    let live: BTreeSet<TopicPartition> = logs.iter().map(|log| log.partition()).collect();
    for number in [0, 1] {
        if must_live(number) {
            let log = store.log(partition(number)).unwrap();
            let values = read_values(&log, Offset(0), 4000).await;
            assert!(promised[&number] <= values.len() as u64);
        }
    }
    let aside = set_orphans_aside(Path::new("/"), &live, &left).await.unwrap();
    assert!(aside.is_empty(), "a deleted partition is removed, not kept: {aside:?}");
    let topics = runtime::read_dir("/topics").await.unwrap();
    for number in [0, 1] {
        let partition = partition(number);
        let topic = partition.topic.to_hex();
        let has_directory = topics.iter().any(|entry| entry.name == topic);
        assert!(live.contains(&partition) || !has_directory, "{number} was deleted");
    }
}

#[test]
fn c5_a_deletion_is_done_or_not_and_leaves_nothing_behind() {
    sweep(delete, check_after_delete);
}

#[test]
fn c5_a_directory_that_no_journal_knows_is_put_aside() {
    let (_, disk) = sim::run(5, Disk::new(), || async {
        let store = start(0, 1).await;
        let promised = Promised::default();
        for number in [0, 1] {
            let created = store.create(partition(number), Durability::Durable, vote(1), ALONE);
            append_flushed(&created.await.unwrap(), &promised).await;
        }
        let live = BTreeSet::from([partition(0)]);
        let aside = set_orphans_aside(Path::new("/"), &live, &BTreeSet::new()).await.unwrap();
        assert_eq!(aside.len(), 1);
        // Done once, there is nothing more to do.
        let aside = set_orphans_aside(Path::new("/"), &live, &BTreeSet::new()).await.unwrap();
        assert!(aside.is_empty());
    });
    let topic = |number: i32| PathBuf::from("/topics").join(partition(number).topic.to_hex());
    let segments: Vec<PathBuf> =
        disk.paths().into_iter().filter(|path| path.ends_with("entries")).collect();
    let mut expected = vec![topic(0).join("0/entries"), topic(1).join("1.orphan/entries")];
    expected.sort();
    assert_eq!(segments, expected);
}
