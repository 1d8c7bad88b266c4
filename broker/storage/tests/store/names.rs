//! Names that a killed process has made or changed, and that no fsync has made durable yet: what
//! later processes build on them has to outlive a loss of power.

use std::path::Path;
use std::rc::Rc;

use model::Offset;
use runtime::Neighbours;
use runtime::sim::{self, Crash, Disk, Fate, Simulation};
use storage::{Durability, Store, StoreOptions};

use crate::support::{
    ALONE, DIRECTORY_ID, append, batch, flushed, partition, read_values, small_options, value, vote,
};

fn options(boot: u8) -> StoreOptions {
    small_options(Path::new("/"), boot)
}

async fn start(number: u32, boot: u8) -> Rc<Store> {
    let recovered = storage::read_journal(&options(boot), DIRECTORY_ID, number).await.unwrap();
    assert_eq!(recovered.corruptions, []);
    Store::start(recovered, options(boot), |_| ALONE).await.unwrap()
}

/// The disks after a kill at each operation of a process.
fn disks_of_kills<Main: Future<Output = ()> + 'static>(
    disk: Disk,
    main: impl FnOnce() -> Main,
) -> Vec<Disk> {
    let mut simulation = Simulation::new(7);
    let machine = simulation.add_machine(disk);
    let (process, mains) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    let mut disks = Vec::new();
    let mut seen = 0;
    while !mains[0].is_ready() {
        assert!(simulation.step(), "the process is stuck");
        if seen < simulation.operations_count() {
            seen = simulation.operations_count();
            disks.push(simulation.disk_after(process, Crash::Kill, &mut Fate::everything()));
        }
    }
    disks
}

/// More than the first file of a ring can hold.
const APPENDS_COUNT: u64 = 60;

/// 6.2: a file that was renamed into a ring, by a process that was killed before the fsync of the
/// directory. The durable ring grows first, and what comes after it makes its names durable too.
#[test]
fn a_ring_keeps_the_files_that_were_found_in_it_when_the_power_is_lost() {
    let disks = disks_of_kills(Disk::new(), || async {
        let store = start(0, 1).await;
        for (number, durability) in [(0, Durability::Durable), (1, Durability::Relaxed)] {
            store.create(partition(number), durability, vote(1), ALONE).await.unwrap();
        }
        runtime::sleep(std::time::Duration::from_secs(1)).await;
    });
    let mut with_partitions_count = 0;
    for disk in disks {
        let mut simulation = Simulation::new(8);
        let machine = simulation.add_machine(disk);
        let busy = || async {
            let store = start(0, 1).await;
            let logs = [0, 1].map(|number| store.log(partition(number)));
            let [Some(durable), Some(relaxed)] = logs else { return false };
            for n in 0..APPENDS_COUNT {
                for log in [&durable, &relaxed] {
                    append(log, 1, &batch(&[&value(n, 3000)], 1)).await;
                    flushed(log, log.ends().end_count).await;
                }
                if n % 20 == 10 {
                    store.checkpoint().await.unwrap();
                }
            }
            true
        };
        let (process, mains) = simulation.start(machine, &Neighbours::new(1), vec![busy]);
        simulation.run_until(|| mains[0].is_ready());
        let has_partitions = mains[0].take().unwrap();
        let disk = simulation.disk_after(process, Crash::PowerLoss, &mut Fate::nothing());
        sim::run(9, disk, move || async move {
            let store = start(0, 2).await;
            if has_partitions {
                let log = store.log(partition(0)).unwrap();
                let values = read_values(&log, Offset(0), 1 << 20).await;
                assert_eq!(values.len() as u64, APPENDS_COUNT);
            }
        });
        with_partitions_count += u64::from(has_partitions);
    }
    assert!(0 < with_partitions_count, "the rings have grown before there was a partition");
}

/// A retired journal is renamed and then removed. Whoever finds it renamed goes on removing, and
/// the old name must not come back with what is left.
#[test]
fn a_retired_journal_never_comes_back_in_part() {
    let kills = disks_of_kills(Disk::new(), || async {
        let stores = [start(0, 1).await, start(1, 1).await];
        stores[1].retire().await.unwrap();
    });
    let mut half_removed_count = 0;
    for disk in kills {
        let mut simulation = Simulation::new(8);
        let machine = simulation.add_machine(disk);
        let find = || async {
            storage::find_journals(Path::new("/")).await.unwrap();
        };
        let (process, mains) = simulation.start(machine, &Neighbours::new(1), vec![find]);
        let mut seen = 0;
        while !mains[0].is_ready() {
            assert!(simulation.step(), "the second process is stuck");
            if simulation.operations_count() == seen {
                continue;
            }
            seen = simulation.operations_count();
            for seed in 0..8 {
                let mut fate = Fate::random(seed);
                let disk = simulation.disk_after(process, Crash::PowerLoss, &mut fate);
                half_removed_count += u64::from(
                    disk.paths().iter().any(|path| path.starts_with("/journal/1.retired")),
                );
                sim::run(seed, disk, || async {
                    let found = storage::find_journals(Path::new("/")).await.unwrap();
                    for number in found.numbers {
                        let read = storage::read_journal(&options(2), DIRECTORY_ID, number).await;
                        assert_eq!(read.unwrap().corruptions, [], "journal {number}");
                    }
                });
            }
        }
    }
    assert!(0 < half_removed_count, "no crash came while the journal was removed");
}
