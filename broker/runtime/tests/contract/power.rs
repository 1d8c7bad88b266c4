//! What only the simulated machine can show: crashes, lost power and injected faults.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use runtime::sim::{self, Crash, Disk, Fate, Fault, OperationKind, Simulation};
use runtime::{File, Neighbours, OpenOptions, WriteMode, sleep};

const PATH: &str = "/file";

fn sectors(byte: u8, count: usize) -> Bytes {
    Bytes::from(vec![byte; 512 * count])
}

/// A file of four sectors of `a`, durable with its name.
fn prepared() -> Disk {
    let (_, mut disk) = sim::run(0, Disk::new(), || async {
        let file = File::open(PATH, OpenOptions::CREATE).await.unwrap();
        file.write_all_at(sectors(b'a', 4), 0, WriteMode::Cached).await.unwrap();
    });
    disk.flush_everything();
    disk
}

/// Runs the task until it has said so itself, then crashes the machine in each of the ways, and
/// returns the four sectors that each leaves, as a word.
fn words_after<Main: Future<Output = ()> + 'static>(
    crash: Crash,
    main: impl Fn(Rc<RefCell<bool>>) -> Main,
) -> BTreeSet<String> {
    let reached = Rc::new(RefCell::new(false));
    let mut simulation = Simulation::new(1);
    let machine = simulation.add_machine(prepared());
    let flag = reached.clone();
    let (process, _handles) = simulation.start(machine, &Neighbours::new(1), vec![|| main(flag)]);
    simulation.run_until(|| *reached.borrow());
    (0..1 << 8)
        .map(|bits| {
            let disk = simulation.disk_after(process, crash, &mut Fate::subset(bits));
            let bytes = disk.file_bytes(PATH).unwrap();
            bytes.chunks(512).map(|sector| char::from(sector[0])).collect()
        })
        .collect()
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

async fn open() -> File {
    File::open(PATH, OpenOptions::WRITE).await.unwrap()
}

#[test]
fn a_kill_keeps_what_was_completed_and_any_sectors_of_what_was_in_flight() {
    let found = words_after(Crash::Kill, |reached| async move {
        let file = open().await;
        file.write_all_at(sectors(b'b', 2), 0, WriteMode::Cached).await.unwrap();
        let write = file.write_all_at(sectors(b'c', 2), 512, WriteMode::Cached);
        *reached.borrow_mut() = true;
        write.await.unwrap();
        sleep(Duration::from_secs(1)).await;
    });
    // The write is submitted in the same poll in which the flag is set.
    assert_eq!(found, words("bbaa bcaa bbca bcca"));
}

#[test]
fn lost_power_keeps_flushed_sectors_and_any_of_the_others() {
    let found = words_after(Crash::PowerLoss, |reached| async move {
        let file = open().await;
        file.write_all_at(sectors(b'b', 4), 0, WriteMode::Cached).await.unwrap();
        file.sync_data().await.unwrap();
        file.write_all_at(sectors(b'c', 1), 0, WriteMode::Cached).await.unwrap();
        file.write_all_at(sectors(b'd', 1), 0, WriteMode::Cached).await.unwrap();
        *reached.borrow_mut() = true;
        sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(found, words("bbbb cbbb dbbb"), "older versions of a sector may survive, too");
}

#[test]
fn a_durable_write_flushes_its_own_sectors_only() {
    let found = words_after(Crash::PowerLoss, |reached| async move {
        let file = open().await;
        file.write_all_at(sectors(b'b', 1), 0, WriteMode::Cached).await.unwrap();
        file.write_all_at(sectors(b'c', 1), 512, WriteMode::Durable).await.unwrap();
        *reached.borrow_mut() = true;
        sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(found, words("acaa bcaa"));
}

#[test]
fn a_failed_flush_is_not_made_good_by_a_second_one() {
    let reached = Rc::new(RefCell::new(false));
    let flag = reached.clone();
    let mut simulation = Simulation::new(1);
    let machine = simulation.add_machine(prepared());
    let mut failed = false;
    simulation.inject(move |operation| {
        if operation.kind == OperationKind::Sync && !std::mem::replace(&mut failed, true) {
            return Fault::Error(ErrorKind::Other);
        }
        Fault::None
    });
    let main = || async move {
        let file = open().await;
        file.write_all_at(sectors(b'b', 4), 0, WriteMode::Cached).await.unwrap();
        assert!(file.sync_data().await.is_err());
        file.sync_data().await.unwrap();
        assert_eq!(file.read_exact_at(0, 1).await.unwrap()[0], b'b', "readers see it all the same");
        *flag.borrow_mut() = true;
    };
    let (process, _handles) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    simulation.run_until(|| *reached.borrow());
    let disk = simulation.disk_after(process, Crash::PowerLoss, &mut Fate::everything());
    assert_eq!(disk.file_bytes(PATH).unwrap()[0], b'a');
}

#[test]
fn a_name_is_durable_when_its_directory_is_flushed() {
    for (flush, expected) in [(false, [false, true]), (true, [true, true])] {
        let reached = Rc::new(RefCell::new(false));
        let flag = reached.clone();
        let mut simulation = Simulation::new(1);
        let machine = simulation.add_machine(Disk::new());
        let main = || async move {
            let file = File::open("/new", OpenOptions::CREATE).await.unwrap();
            file.write_all_at(sectors(b'n', 1), 0, WriteMode::Cached).await.unwrap();
            file.sync_all().await.unwrap();
            if flush {
                runtime::sync_dir("/").await.unwrap();
            }
            *flag.borrow_mut() = true;
        };
        let (process, _handles) = simulation.start(machine, &Neighbours::new(1), vec![main]);
        simulation.run_until(|| *reached.borrow());
        let found = [Fate::nothing(), Fate::everything()].map(|mut fate| {
            let disk = simulation.disk_after(process, Crash::PowerLoss, &mut fate);
            disk.paths() == [PathBuf::from("/new")]
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn short_transfers_are_completed_by_the_file() {
    let mut simulation = Simulation::new(3);
    let machine = simulation.add_machine(Disk::new());
    let mut count = 0;
    simulation.inject(move |_| {
        count += 1;
        if count % 3 == 0 { Fault::None } else { Fault::Short }
    });
    let main = || async {
        let file = File::open(PATH, OpenOptions::CREATE.direct(true)).await.unwrap();
        let mut data = runtime::AlignedBuf::with_capacity(64 * 4096);
        (0..64u8).for_each(|n| data.extend_from_slice(&[n; 4096]));
        let data = data.freeze();
        file.write_all_at(data.clone(), 4096, WriteMode::Durable).await.unwrap();
        assert_eq!(&file.read_exact_at(4096, 64 * 4096).await.unwrap()[..], &data[..]);
    };
    let (_, handles) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    simulation.run_until(|| handles[0].is_ready());
}

#[test]
fn a_full_disk_refuses_and_takes_again_what_was_freed() {
    sim::run(1, Disk::with_capacity(10_000), || async {
        let file = File::open(PATH, OpenOptions::CREATE).await.unwrap();
        file.allocate(0, 8_000).await.unwrap();
        let other = File::open("/other", OpenOptions::CREATE).await.unwrap();
        let full = other.write_all_at(sectors(1, 8), 0, WriteMode::Cached).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        runtime::remove_file(PATH).await.unwrap();
        other.write_all_at(sectors(1, 8), 0, WriteMode::Cached).await.unwrap();
    });
}

/// Whoever made it before may have been cut off between making and flushing.
#[test]
fn a_directory_that_is_there_already_is_durable_afterwards() {
    let mut simulation = Simulation::new(1);
    let machine = simulation.add_machine(Disk::new());
    let one = || Neighbours::new(1);
    let make = || async { runtime::create_dir("/a").await.unwrap() };
    let (process, mains) = simulation.start(machine, &one(), vec![make]);
    simulation.run_until(|| mains[0].is_ready());
    simulation.crash(process, Crash::Kill, &mut Fate::nothing());
    let again =
        || async { runtime::create_dir_durably(std::path::Path::new("/a/b")).await.unwrap() };
    let (process, mains) = simulation.start(machine, &one(), vec![again]);
    simulation.run_until(|| mains[0].is_ready());
    simulation.crash(process, Crash::PowerLoss, &mut Fate::nothing());
    let look = || async { runtime::read_dir("/a/b").await.map(drop) };
    let (_, mains) = simulation.start(machine, &one(), vec![look]);
    simulation.run_until(|| mains[0].is_ready());
    mains[0].take().unwrap().unwrap();
}
