//! A disk that fills up, is freed by log starts and deletions, and fills up again.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use model::{LeaderEpoch, Offset};
use runtime::sim::{self, Disk, Fault, OperationKind, Simulation};
use runtime::{File, Neighbours, OpenOptions};
use storage::{AppendError, Durability, EntryKind, Log, LogOptions, Room, Store, StoreOptions};

use crate::support::{
    ALONE, DIRECTORY_ID, append, batch, flushed, partition, read_values, small_options, value, vote,
};

/// So that batches fill segments and blocks without a rest: what is left is a matter of whole blocks.
const VALUE_BYTES: usize = 954;
const BATCH_BYTES: usize = 1024;
const OPTIONS: LogOptions = LogOptions { segment_bytes_max: 20 << 10, ..ALONE };
/// What the logs of both partitions have to share.
const ROOM_BYTES: u64 = 400_000;

fn options(boot: u8) -> StoreOptions {
    small_options(Path::new("/"), boot)
}

async fn start(boot: u8) -> Rc<Store> {
    let recovered = storage::read_journal(&options(boot), DIRECTORY_ID, 0).await.unwrap();
    assert!(recovered.corruptions.is_empty(), "{:?}", recovered.corruptions);
    Store::start(recovered, options(boot), |_| OPTIONS).await.unwrap()
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

/// Moves a log's start, and waits until that is flushed.
async fn delete_before(log: &Rc<Log>, before: u64) {
    log.admitted_other().await.expect("what frees space is taken by a full disk");
    let start = Offset(i64::try_from(before).unwrap());
    log.append_other(LeaderEpoch(1), EntryKind::LogStart(start), &[]);
    flushed(log, log.ends().end_count).await;
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
