//! Errors of the disk: a failed write or flush stops the journal for good, a full disk does not.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use model::Offset;
use model::record_batch::BatchHeader;
use runtime::sim::{Crash, Disk, Fate, Fault, OperationKind, Simulation};
use runtime::{Neighbours, sim};
use storage::{
    AppendError, Durability, FlushMethod, JournalStopped, Log, LogListener, Store, StoreOptions,
};

use crate::support::{
    ALONE, append, batch, flushed, open, open_whole, partition, read_values, small_options, value,
    vote,
};

fn options(boot: u8) -> StoreOptions {
    small_options(Path::new("/"), boot)
}

async fn start(boot: u8) -> Rc<Store> {
    open_whole(&options(boot), ALONE).await
}

/// What a scenario tells whoever watches it.
#[derive(Default)]
struct Told {
    /// By partition: batches that were reported flushed.
    flushed: RefCell<[u64; 2]>,
    /// The appends have begun.
    has_begun: Cell<bool>,
    stopped_count: Cell<u32>,
    has_stopped: Cell<bool>,
}

struct Listener {
    log: std::rc::Weak<Log>,
    told: Rc<Told>,
}

impl LogListener for Listener {
    fn progressed(&self) {
        assert!(!self.told.has_stopped.get(), "nothing is acknowledged after the error");
        let Some(log) = self.log.upgrade() else { return };
        let number = usize::try_from(log.partition().partition.0).unwrap();
        self.told.flushed.borrow_mut()[number] = log.ends().flushed_count;
    }

    fn stopped(&self) {
        self.told.stopped_count.set(self.told.stopped_count.get() + 1);
    }
}

/// Appends to both logs while checkpoints are made, until all is done or the journal stops.
async fn busy(told: Rc<Told>) -> Option<JournalStopped> {
    let store = start(1).await;
    let mut logs = Vec::new();
    for (number, durability) in [(0, Durability::Durable), (1, Durability::Relaxed)] {
        let log = store.create(partition(number), durability, vote(1), ALONE).await.unwrap();
        log.listen(Rc::new(Listener { log: Rc::downgrade(&log), told: told.clone() }));
        logs.push(log);
    }
    // The ring is written in the background, which is not what is looked at here.
    runtime::sleep(Duration::from_millis(500)).await;
    told.has_begun.set(true);
    {
        let (store, told) = (store.clone(), told.clone());
        runtime::spawn(async move {
            store.stopped().await;
            told.has_stopped.set(true);
        });
    }
    let mut stopped = None;
    'rounds: for round in 0..12u64 {
        for log in &logs {
            let batch = batch(&[&value(round, 4000)], 1);
            if let Err(error) = log.admitted(batch.len()).await {
                let AppendError::Stopped(error) = error else { panic!("{error}") };
                stopped = Some(error);
                break 'rounds;
            }
            let header = BatchHeader::read(&batch).unwrap();
            log.append_batch(model::LeaderEpoch(1), &header, &batch);
            runtime::sleep(Duration::from_micros(300)).await;
        }
        if round % 4 == 2 {
            let store = store.clone();
            runtime::spawn(async move {
                let _ = store.checkpoint().await;
            });
        }
    }
    let settled = async {
        for log in &logs {
            flushed(log, log.ends().end_count).await;
        }
    };
    if stopped.is_none() {
        let is_settled = runtime::timeout(Duration::from_secs(1), settled).await.is_ok();
        // What is written in the background may still fail.
        stopped = runtime::timeout(Duration::from_secs(1), store.stopped()).await.ok();
        assert!(is_settled || stopped.is_some(), "neither acknowledged nor stopped");
    }
    if stopped.is_some() {
        runtime::sleep(Duration::from_millis(500)).await;
        assert_eq!(told.stopped_count.get(), 2, "each log hears of it once");
        for log in &logs {
            let error = log.admitted(10).await.unwrap_err();
            assert!(matches!(error, AppendError::Stopped(_)), "{error}");
        }
        store.checkpoint().await.unwrap_err();
        store.close().await.unwrap_err();
        let other = store.create(partition(5), Durability::Durable, vote(0), ALONE).await;
        assert!(matches!(other.unwrap_err(), AppendError::Stopped(_)));
    }
    stopped
}

fn is_of_journal(path: &Path) -> bool {
    let is_new = path.extension().is_some_and(|extension| extension == "new");
    path.starts_with("/journal/0") && !is_new
}

/// Runs `busy` with one write or flush that fails. Returns whether there was one of this number,
/// and its path.
fn run_with_fault(number: u64, kind: ErrorKind) -> Option<(PathBuf, Option<JournalStopped>)> {
    let told = Rc::new(Told::default());
    let mut simulation = Simulation::new(21);
    let machine = simulation.add_machine(Disk::new());
    let main = {
        let told = told.clone();
        || busy(told)
    };
    let (process, mains) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    let failed: Rc<RefCell<Option<PathBuf>>> = Rc::default();
    let mut writes_count = 0;
    simulation.inject({
        let (failed, told) = (failed.clone(), told.clone());
        move |operation| {
            if !matches!(operation.kind, OperationKind::Write | OperationKind::Sync)
                || !told.has_begun.get()
            {
                return Fault::None;
            }
            assert!(
                !told.has_stopped.get() || !is_of_journal(operation.path),
                "W9: {operation:?} after the journal has stopped"
            );
            writes_count += 1;
            if writes_count != number {
                return Fault::None;
            }
            *failed.borrow_mut() = Some(operation.path.to_owned());
            Fault::Error(kind)
        }
    });
    simulation.run_until(|| mains[0].is_ready());
    let stopped = mains[0].take().unwrap();
    let path = failed.borrow().clone()?;
    // What was acknowledged survives, whatever the failed write has left.
    let promised = *told.flushed.borrow();
    for (crash, boot) in [(Crash::Kill, 1), (Crash::PowerLoss, 2)] {
        for mut fate in [Fate::nothing(), Fate::everything(), Fate::random(number)] {
            let disk = simulation.disk_after(process, crash, &mut fate);
            sim::run(1, disk, || async move {
                let store = start(boot).await;
                for (index, number) in [(0, 0), (1, 1)] {
                    let log = store.log(partition(number)).unwrap();
                    let values = read_values(&log, Offset(0), 4000).await;
                    let is_safe = number == 0 || crash == Crash::Kill;
                    assert!(!is_safe || promised[index] <= values.len() as u64);
                    for (n, (_, bytes)) in (0..).zip(&values) {
                        assert_eq!(*bytes, value(n, 4000));
                    }
                }
            });
        }
    }
    Some((path, stopped))
}

#[test]
fn w9_after_a_failed_write_or_flush_nothing_more_is_written_or_acknowledged() {
    let mut stopped_by: Vec<String> = Vec::new();
    for number in 1.. {
        let Some((path, stopped)) = run_with_fault(number, ErrorKind::Other) else { break };
        let name = path.to_str().unwrap().to_owned();
        if name.ends_with(".index") {
            assert!(stopped.is_none(), "a cache is not worth a journal");
            continue;
        }
        let stopped = stopped.unwrap_or_else(|| panic!("{} failed unnoticed", path.display()));
        assert_eq!(stopped.source.kind(), ErrorKind::Other);
        assert!(stopped.to_string().contains("has stopped after an error"), "{stopped}");
        stopped_by.push(name);
    }
    for name in ["durable-", "relaxed-", "superblock", "entries", ".log", "/topics"] {
        assert!(stopped_by.iter().any(|by| by.contains(name)), "{name}: {stopped_by:?}");
    }
}

/// Appends until it is refused. Returns how many were admitted.
/// 6.2: the kernel takes what a failed flush should have covered for clean, so another flush does
/// not help.
#[test]
fn a_commit_whose_flush_failed_is_written_again_before_it_is_shown() {
    let options = |boot| StoreOptions {
        flush_method: FlushMethod::WriteThenFlush,
        ..small_options(Path::new("/"), boot)
    };
    async fn append_and_flush(log: &Rc<Log>, number: u64) {
        append(log, 1, &batch(&[&value(number, 3000)], 1)).await;
        flushed(log, number + 1).await;
    }
    let open = move |boot| async move {
        let (store, corruptions) = open(&options(boot), ALONE).await;
        assert_eq!(corruptions, [], "nothing is lost");
        store
    };
    let mut simulation = Simulation::new(3);
    let machine = simulation.add_machine(Disk::new());
    let fails = Rc::new(Cell::new(false));
    let failing = fails.clone();
    simulation.inject(move |operation| {
        let is_flush = operation.kind == OperationKind::Sync && is_of_journal(operation.path);
        if is_flush && failing.replace(false) {
            return Fault::Error(ErrorKind::Other);
        }
        Fault::None
    });
    let first = move || async move {
        let store = open(1).await;
        let log = store.create(partition(0), Durability::Durable, vote(1), ALONE).await.unwrap();
        append_and_flush(&log, 0).await;
        fails.set(true);
        append(&log, 1, &batch(&[&value(1, 3000)], 1)).await;
        store.stopped().await;
    };
    let (process, mains) = simulation.start(machine, &Neighbours::new(1), vec![first]);
    simulation.run_until(|| mains[0].is_ready());
    simulation.crash(process, Crash::Kill, &mut Fate::everything());
    // The record was not acknowledged; but it is found, and may be shown.
    let second = move || async move {
        let store = open(1).await;
        let log = store.log(partition(0)).unwrap();
        assert_eq!(read_values(&log, Offset(0), 1 << 20).await.len(), 2);
        append_and_flush(&log, 2).await;
    };
    let (process, mains) = simulation.start(machine, &Neighbours::new(1), vec![second]);
    simulation.run_until(|| mains[0].is_ready());
    simulation.crash(process, Crash::PowerLoss, &mut Fate::everything());
    let third = move || async move {
        let store = open(2).await;
        let log = store.log(partition(0)).unwrap();
        assert_eq!(read_values(&log, Offset(0), 1 << 20).await.len(), 3);
    };
    let (_, mains) = simulation.start(machine, &Neighbours::new(1), vec![third]);
    simulation.run_until(|| mains[0].is_ready());
}

async fn append_until_full(log: &Rc<Log>, from: u64) -> u64 {
    for n in from.. {
        let batch = batch(&[&value(n, 1000)], 1);
        match log.admitted(batch.len()).await {
            Ok(()) => {}
            Err(AppendError::NoSpace { .. }) => {
                flushed(log, log.ends().end_count).await;
                return n;
            }
            Err(error) => panic!("{error}"),
        }
        append(log, 1, &batch).await;
    }
    unreachable!("no disk is endless")
}

#[test]
fn a_full_disk_refuses_appends_and_nothing_else_and_takes_them_again_when_there_is_room() {
    let (_, disk) = sim::run(1, Disk::new(), || async {
        let store = start(1).await;
        for number in [0, 1] {
            let created = store.create(partition(number), Durability::Durable, vote(1), ALONE);
            created.await.unwrap();
        }
        runtime::sleep(Duration::from_millis(500)).await;
        store.close().await.unwrap();
    });
    let used: usize = disk.paths().iter().map(|path| disk.file_bytes(path).unwrap().len()).sum();
    // Every rest of room, so that each kind of file is the one that does not fit.
    for spare_bytes in (0..400_000).step_by(37_111) {
        let mut full = disk.clone();
        full.set_capacity((used + spare_bytes) as u64);
        let (counts, mut disk) = sim::run(2, full, || async {
            let store = start(1).await;
            let logs = [0, 1].map(|number| store.log(partition(number)).unwrap());
            let mut counts = [0; 2];
            for _ in 0..2 {
                for (log, count) in logs.iter().zip(&mut counts) {
                    *count = append_until_full(log, *count).await;
                }
                // Nothing that was acknowledged needs more room than it has.
                store.checkpoint().await.unwrap();
            }
            store.close().await.unwrap();
            counts
        });
        disk.set_capacity(u64::MAX);
        sim::run(3, disk, || async move {
            let store = start(1).await;
            for (number, count) in (0..2).zip(counts) {
                let log = store.log(partition(number)).unwrap();
                append(&log, 1, &batch(&[&value(count, 1000)], 1)).await;
                let values = {
                    flushed(&log, count + 1).await;
                    read_values(&log, Offset(0), 4000).await
                };
                assert_eq!(values.len() as u64, count + 1);
            }
        });
    }
}

#[test]
fn room_that_comes_back_is_used_without_a_restart() {
    let mut simulation = Simulation::new(5);
    let machine = simulation.add_machine(Disk::new());
    let is_full = Rc::new(Cell::new(false));
    simulation.inject({
        let is_full = is_full.clone();
        move |operation| match operation.kind {
            OperationKind::Resize if is_full.get() => Fault::Error(ErrorKind::StorageFull),
            _ => Fault::None,
        }
    });
    let main = || async move {
        let store = start(1).await;
        let log = store.create(partition(0), Durability::Durable, vote(1), ALONE).await.unwrap();
        runtime::sleep(Duration::from_millis(500)).await;
        is_full.set(true);
        let count = append_until_full(&log, 0).await;
        let error = log.admitted(1000).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot reserve space on disk for"), "{error}");
        is_full.set(false);
        append(&log, 1, &batch(&[&value(count, 1000)], 1)).await;
        flushed(&log, count + 1).await;
    };
    let (_, mains) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    simulation.run_until(|| mains[0].is_ready());
}

#[test]
fn a_journal_that_cannot_grow_refuses_the_partition_and_goes_on() {
    let mut simulation = Simulation::new(6);
    let machine = simulation.add_machine(Disk::new());
    let is_full = Rc::new(Cell::new(false));
    simulation.inject({
        let is_full = is_full.clone();
        move |operation| match operation.kind {
            OperationKind::Resize if is_full.get() => Fault::Error(ErrorKind::StorageFull),
            _ => Fault::None,
        }
    });
    let main = || async move {
        let store = start(1).await;
        let log = store.create(partition(0), Durability::Durable, vote(1), ALONE).await.unwrap();
        append(&log, 1, &batch(&[&value(0, 100)], 1)).await;
        is_full.set(true);
        let mut refused = None;
        for number in 1..200 {
            let created = store.create(partition(number), Durability::Durable, vote(0), ALONE);
            if let Err(error) = created.await {
                refused = Some(error);
                break;
            }
        }
        assert!(matches!(refused, Some(AppendError::NoSpace { .. })), "{refused:?}");
        append(&log, 1, &batch(&[&value(1, 100)], 1)).await;
        flushed(&log, 2).await;
        store.checkpoint().await.unwrap();
    };
    let (_, mains) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    simulation.run_until(|| mains[0].is_ready());
}

#[test]
fn s2_a_checkpoint_that_takes_long_finds_room_for_its_carry() {
    let mut simulation = Simulation::new(8);
    let machine = simulation.add_machine(Disk::new());
    simulation.inject(|operation| match operation.kind {
        // The journal fills up while what it holds is being flushed.
        OperationKind::Sync if operation.path.starts_with("/topics") => {
            Fault::Slow(Duration::from_millis(500))
        }
        _ => Fault::None,
    });
    let main = || async move {
        let store = start(1).await;
        let log = store.create(partition(0), Durability::Durable, vote(1), ALONE).await.unwrap();
        runtime::sleep(Duration::from_millis(500)).await;
        for n in 0..400u64 {
            let batch = batch(&[&value(n, 7000)], 1);
            let admitted = runtime::timeout(Duration::from_secs(60), log.admitted(batch.len()));
            admitted.await.expect("the journal is not stuck").unwrap();
            append(&log, 1, &batch).await;
        }
        runtime::timeout(Duration::from_secs(60), flushed(&log, 400)).await.unwrap();
        assert!(1 < store.metrics().checkpoints.get());
    };
    let (_, mains) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    simulation.run_until(|| mains[0].is_ready());
}
