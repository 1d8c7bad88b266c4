//! A disk that fills up, is freed by log starts and deletions, and fills up again.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use model::{LeaderEpoch, Offset};
use runtime::sim::{self, Crash, Disk, Fate, Fault, OperationKind, Simulation};
use runtime::{File, Neighbours, OpenOptions, Rng};
use storage::{AppendError, Durability, EntryKind, Log, LogOptions, Room, Store, StoreOptions};

use crate::crashes::thoroughness;
use crate::support::{
    ALONE, append, batch, flushed, open_whole, partition, read_values, small_options, value, vote,
};

/// So that batches fill segments and blocks without a rest: what is left is a matter of whole blocks.
const VALUE_BYTES: usize = 954;
const BATCH_BYTES: usize = 1024;
const OPTIONS: LogOptions = LogOptions { segment_bytes_max: 20 << 10, ..ALONE };
/// What the logs of both partitions have to share.
const ROOM_BYTES: u64 = 400_000;
/// Records that stay when space is freed.
const KEPT_COUNT: u64 = 3;

fn options(boot: u8) -> StoreOptions {
    small_options(Path::new("/"), boot)
}

async fn start(boot: u8) -> Rc<Store> {
    open_whole(&options(boot), OPTIONS).await
}

/// A disk with two empty logs and all files of the journal, and so much room beside them.
fn small_disk(room_bytes: u64) -> Disk {
    let (_, mut disk) = sim::run(1, Disk::new(), || async {
        let store = start(1).await;
        for number in [0, 1] {
            let created = store.create(partition(number), Durability::Durable, vote(1), ALONE);
            created.await.unwrap();
        }
        runtime::sleep(Duration::from_millis(500)).await;
        store.close().await.unwrap();
    });
    disk.set_capacity(disk.used_bytes() + room_bytes);
    disk
}

/// What was acknowledged of one log.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    appended_count: u64,
    log_start: u64,
    /// The start that was asked for: nothing below it needs to be there.
    log_start_asked: u64,
}

#[derive(Debug, Default)]
struct Told {
    promises: [Promise; 2],
    refused_count: u64,
    freed_count: u64,
}

/// Moves a log's start, and waits until that is flushed.
async fn delete_before(log: &Rc<Log>, before: u64) {
    log.admitted_other().await.expect("what frees space is taken by a full disk");
    let start = Offset(i64::try_from(before).unwrap());
    log.append_other(LeaderEpoch(1), EntryKind::LogStart(start), &[]);
    flushed(log, log.ends().end_count).await;
}

/// Checks that a log holds everything that was acknowledged, and nothing else below its end.
async fn check(log: &Rc<Log>, promise: &Promise) {
    let ends = log.ends();
    let (start, end) = (ends.log_start.0.unsigned_abs(), ends.end_offset.0.unsigned_abs());
    assert!(promise.appended_count <= end, "{promise:?}: {ends:?}");
    assert!(
        promise.log_start <= start && start <= promise.log_start_asked,
        "{promise:?}: {ends:?}"
    );
    let values = read_values(log, ends.log_start, 4000).await;
    assert_eq!(values.len() as u64, end - start);
    for (offset, bytes) in values {
        assert_eq!(bytes, value(offset.unsigned_abs(), VALUE_BYTES));
    }
}

/// Fills the disk, frees most of it and begins anew, until it is crashed.
async fn fill_and_free(boot: u8, told: Rc<RefCell<Told>>) {
    let store = start(boot).await;
    // The records of `entries`, which stay, would take most of it otherwise.
    store.set_room(Room::Scarce);
    let logs = [0, 1].map(|number| store.log(partition(number)).unwrap());
    for (number, log) in logs.iter().enumerate() {
        let promise = told.borrow().promises[number];
        check(log, &promise).await;
        let ends = log.ends();
        told.borrow_mut().promises[number].appended_count = ends.end_offset.0.unsigned_abs();
    }
    let mut is_freed = false;
    loop {
        let mut appended_count = 0;
        for (number, log) in logs.iter().enumerate() {
            loop {
                let next = log.ends().end_offset.0.unsigned_abs();
                let batch = batch(&[&value(next, VALUE_BYTES)], 1);
                assert_eq!(batch.len(), BATCH_BYTES);
                match log.admitted(batch.len()).await {
                    Ok(()) => {}
                    Err(AppendError::NoSpace { .. }) => break,
                    Err(error) => panic!("{error}"),
                }
                append(log, 1, &batch).await;
                appended_count += 1;
                if appended_count % 4 == 0 {
                    flushed(log, log.ends().end_count).await;
                    told.borrow_mut().promises[number].appended_count = next + 1;
                }
            }
            told.borrow_mut().refused_count += 1;
        }
        // Records of `entries` stay for ever, and leave less and less.
        let entries_bytes: u64 = logs.iter().map(|log| log.ends().end_count * 80).sum();
        let is_used = !is_freed || ROOM_BYTES / 2 < entries_bytes || 20 < appended_count;
        assert!(is_used, "what was freed is used: {appended_count}");
        for (number, log) in logs.iter().enumerate() {
            flushed(log, log.ends().end_count).await;
            let end = log.ends().end_offset.0.unsigned_abs();
            told.borrow_mut().promises[number].appended_count = end;
            let before = end.saturating_sub(KEPT_COUNT);
            if before <= log.ends().log_start.0.unsigned_abs() {
                continue;
            }
            told.borrow_mut().promises[number].log_start_asked = before;
            delete_before(log, before).await;
            told.borrow_mut().promises[number].log_start = before;
        }
        store.checkpoint_if_written().await.unwrap();
        // File systems do not give the space of a removed file away before the removal is on the
        // medium; the simulated one does.
        for number in 0..2 {
            let topic = partition(number).topic.to_hex();
            runtime::sync_dir(format!("/topics/{topic}/{number}")).await.unwrap();
        }
        told.borrow_mut().freed_count += 1;
        is_freed = true;
    }
}

/// The disk is full again and again, and the broker dies at any moment of it.
#[test]
fn a_disk_that_fills_up_and_is_freed_loses_nothing_through_crashes() {
    const LIVES_COUNT: u64 = 8;
    const CUT_BYTES: u64 = 32 << 10;
    let disk = small_disk(ROOM_BYTES);
    let (mut refused_count, mut freed_count) = (0, 0);
    let seeds_count = 8 * thoroughness();
    for seed in 0..seeds_count {
        let mut rng = Rng::from_seed(seed);
        let mut simulation = Simulation::new(seed);
        let machine = simulation.add_machine(disk.clone());
        let told: Rc<RefCell<Told>> = Rc::default();
        let mut boot = 1;
        for _ in 0..LIVES_COUNT {
            let main = {
                let told = told.clone();
                move || fill_and_free(boot, told)
            };
            let (process, _mains) = simulation.start(machine, &Neighbours::new(1), vec![main]);
            let mut steps_count = 0;
            let until = simulation.operations_count() + 20 + rng.below(1500);
            while simulation.operations_count() < until {
                assert!(simulation.step(), "seed {seed}: stuck on a full disk");
                steps_count += 1;
                assert!(steps_count < 1_000_000, "seed {seed}: it waits for ever");
            }
            let mut fate = Fate::random(rng.next_u64());
            if rng.below(2) == 0 {
                simulation.crash(process, Crash::Kill, &mut fate);
            } else {
                simulation.crash(process, Crash::PowerLoss, &mut fate);
                // File systems do not give away what a cut has freed before the cut is on the medium;
                // the simulated one does, and here the cut may be undone.
                simulation.change_disk(machine, |disk| {
                    disk.set_capacity(disk.capacity_bytes() + CUT_BYTES);
                });
                boot += 1;
            }
        }
        refused_count += told.borrow().refused_count;
        freed_count += told.borrow().freed_count;
    }
    let lives_count = seeds_count * LIVES_COUNT;
    println!("{lives_count} lives: refused {refused_count} times, freed {freed_count} times");
    assert!(seeds_count < freed_count && freed_count < refused_count);
}

/// Nothing is left, not even for the names of files that are on their way out.
#[test]
fn a_partition_is_deleted_when_not_even_a_name_fits_on_the_disk() {
    let mut simulation = Simulation::new(4);
    let machine = simulation.add_machine(small_disk(ROOM_BYTES));
    let refuses_names = Rc::new(Cell::new(false));
    simulation.inject({
        let refuses_names = refuses_names.clone();
        move |operation| match operation.kind {
            OperationKind::Names if refuses_names.replace(false) => {
                Fault::Error(std::io::ErrorKind::StorageFull)
            }
            _ => Fault::None,
        }
    });
    let main = || async move {
        let store = start(1).await;
        let logs = [0, 1].map(|number| store.log(partition(number)).unwrap());
        let fill = async |log: &Rc<Log>| {
            while log.admitted(BATCH_BYTES).await.is_ok() {
                append(log, 1, &batch(&[&value(1, VALUE_BYTES)], 1)).await;
            }
            log.ends().end_count
        };
        assert!(100 < fill(&logs[0]).await);
        let before_count = fill(&logs[1]).await;
        refuses_names.set(true);
        store.remove(&logs[0]).await.unwrap();
        assert!(!refuses_names.get(), "the directory was to be renamed");
        assert!(before_count + 100 < fill(&logs[1]).await);
    };
    let (_, mains) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    simulation.run_until(|| mains[0].is_ready());
}

#[test]
fn a_store_that_is_told_of_a_full_disk_refuses_batches_and_nothing_else() {
    sim::run(1, Disk::new(), || async {
        let store = start(1).await;
        let create = |number| store.create(partition(number), Durability::Durable, vote(1), ALONE);
        let (log, own) = (create(0).await.unwrap(), create(1).await.unwrap());
        own.use_last_room();
        for log in [&log, &own] {
            for n in 0..10 {
                append(log, 1, &batch(&[&value(n, VALUE_BYTES)], 1)).await;
            }
        }
        store.set_room(Room::Full { free_bytes: 7, limit_bytes: 8 });
        let error = log.admitted(100).await.unwrap_err();
        assert!(matches!(error, AppendError::DiskFull { free_bytes: 7, limit_bytes: 8, .. }));
        assert!(error.to_string().starts_with("7 bytes of the disk are free"), "{error}");
        assert_eq!(store.metrics().refused_disk_full.get(), 1);
        delete_before(&log, 10).await;
        append(&own, 1, &batch(&[&value(10, VALUE_BYTES)], 1)).await;
        store.checkpoint_if_written().await.unwrap();
        assert_eq!(log.ends().log_start, Offset(10));
        assert_eq!(store.metrics().checkpoints.get(), 1);
        // Nothing was written since.
        runtime::sleep(Duration::from_secs(1)).await;
        store.checkpoint_if_written().await.unwrap();
        assert_eq!(store.metrics().checkpoints.get(), 1);
        // Whoever waited is told, and room that comes back is used.
        store.set_room(Room::Scarce);
        append(&log, 1, &batch(&[&value(10, VALUE_BYTES)], 1)).await;
        flushed(&log, log.ends().end_count).await;
        assert_eq!(read_values(&log, Offset(10), 4000).await.len(), 1);
    });
}

/// What is reserved and not used yet would be missing elsewhere.
#[test]
fn little_is_reserved_ahead_when_room_is_scarce() {
    let reserved_bytes = |room| {
        let (reserved_bytes, _) = sim::run(1, Disk::new(), move || async move {
            let store = start(1).await;
            store.set_room(room);
            let options = LogOptions { segment_bytes_max: 64 << 20, ..ALONE };
            let created = store.create(partition(0), Durability::Durable, vote(1), options);
            let log = created.await.unwrap();
            for n in 0..400 {
                append(&log, 1, &batch(&[&value(n, VALUE_BYTES)], 1)).await;
            }
            flushed(&log, 400).await;
            let directory = format!("/topics/{}/0", partition(0).topic.to_hex());
            let path = Path::new(&directory).join(format!("{:020}.log", 0));
            File::open(&path, OpenOptions::READ).await.unwrap().size_bytes().await.unwrap()
        });
        reserved_bytes
    };
    let content_bytes = 400 * BATCH_BYTES as u64;
    assert_eq!(reserved_bytes(Room::Ample), 512 << 10);
    let scarce_bytes = reserved_bytes(Room::Scarce);
    assert!(scarce_bytes < content_bytes + (80 << 10), "{scarce_bytes}");
}
