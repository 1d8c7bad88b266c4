//! Rot: a start tells damage from a torn write, changes nothing where it finds some, and never cuts
//! away what was acknowledged. The numbers are the rules and cases of `FORMAT.md`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use model::Offset;
use runtime::sim::{self, Crash, Disk, Fate, Fault, OperationKind};
use storage::{Admission, AppendError, Corruption, Durability, StartError, Store, StoreOptions};

use crate::bytes::{
    FoundCommit, SECTOR_BYTES, SUPERBLOCK, contents, live_commits, newest_slot, rotten, set_version,
};
use crate::crashes::{begin, epilogue, options};
use crate::ghost::Ghost;
use crate::script::{self, GROUPED, Step};
use crate::support::{
    ALONE, DIRECTORY_ID, append, batch, open_whole, partition, read, read_values, value, vote,
};
use Step::*;

/// Runs the steps on an empty disk and kills the process with nothing in flight.
fn lived(steps: Vec<Step>) -> (Disk, Ghost) {
    let mut life = begin(1, Disk::new(), options(1), &Ghost::default(), &Rc::new(steps));
    life.simulation.run_until(|| life.handle.is_ready());
    assert_eq!(life.handle.take().unwrap(), Ok(()));
    let disk = life.simulation.disk_after(life.process, Crash::Kill, &mut Fate::everything());
    let ghost = life.ghost.borrow().clone();
    (disk, ghost)
}

/// Some commits of every kind in both streams, of one block and of several, before and after a
/// checkpoint.
fn history() -> Vec<Step> {
    let mut steps = vec![Create];
    for round in 0..3usize {
        for number in [0, 1, GROUPED] {
            for size_bytes in [100, 5000 + 500 * round] {
                steps.extend([Append(number, size_bytes), Flushed(number)]);
            }
        }
        steps.extend([Vote(GROUPED), Commit]);
        if round == 1 {
            steps.push(Checkpoint);
        }
    }
    steps
}

/// What a start has found.
#[derive(Debug)]
enum Found {
    /// No damage, and this is how the logs compare with what they have been.
    Healthy(Result<(), String>),
    Damaged(Vec<Corruption>),
}

/// Starts on this disk. Where damage is found, checks that the store serves what is proven and
/// refuses everything else, and that nothing on the disk has changed.
fn start_on(disk: &Disk, options: &StoreOptions, ghost: &Ghost) -> Found {
    let before = contents(disk);
    let (options, ghost) = (options.clone(), ghost.clone());
    let (found, disk) = sim::run(7, disk.clone(), || async move {
        let read = || storage::read_journal(&options, DIRECTORY_ID, 0);
        let recovered = read().await.unwrap();
        // Recovered twice is recovered once.
        let again = read().await.unwrap();
        assert_eq!(format!("{:?}", recovered.logs), format!("{:?}", again.logs));
        if recovered.corruptions.is_empty() {
            let ghost = Rc::new(RefCell::new(ghost));
            return Found::Healthy(script::recover(&options, &ghost).await.map(drop));
        }
        let corruptions = recovered.corruptions.clone();
        let store = Store::start(recovered, options.clone(), |partition| {
            script::log_options(partition.partition.0)
        });
        check_read_only(&store.await.unwrap(), &ghost).await;
        Found::Damaged(corruptions)
    });
    if let Found::Damaged(_) = &found {
        assert!(before == contents(&disk), "nothing is changed where damage was found");
    }
    found
}

/// A damaged journal is readable as far as it is proven, and everything else is refused at once.
async fn check_read_only(store: &Rc<Store>, ghost: &Ghost) {
    assert!(store.is_read_only());
    for log in store.logs() {
        let ghost = &ghost.partitions[&log.partition().partition.0];
        let values = read_values(&log, log.ends().log_start, 4000).await;
        let ids =
            values.iter().map(|(_, value)| u64::from_le_bytes(value[..8].try_into().unwrap()));
        let ids: Vec<u64> = ids.collect();
        assert!(ghost.has_begun_with(&ids), "{:?} are not the first batches", ids);
        assert!(log.is_doubtful());
        let admission = log.admit(100);
        assert!(
            matches!(admission, Admission::Refused(AppendError::Doubtful { .. })),
            "{admission:?}"
        );
        log.save_vote(vote(log.vote().leader_epoch.0 + 1));
        log.voted().await.unwrap_err();
        store.export(&log).await.unwrap_err();
        store.remove(&log).await.unwrap_err();
        store.set_durability(&log, Durability::Relaxed).await.unwrap_err();
    }
    store.create(partition(9), Durability::Durable, vote(0), ALONE).await.unwrap_err();
    store.checkpoint().await.unwrap_err();
    store.close().await.unwrap();
}

/// Lets every sector of every live commit rot by itself.
fn rot_everywhere(
    disk: &Disk,
    options: &StoreOptions,
    ghost: &Ghost,
    check: impl Fn(&FoundCommit, Found),
) {
    let commits = live_commits(disk);
    assert!(commits.iter().any(|commit| commit.is_relaxed && !commit.is_last));
    assert!(commits.iter().any(|commit| !commit.is_relaxed && 8192 <= commit.size_bytes));
    for commit in &commits {
        for sector in (0..commit.size_bytes).step_by(SECTOR_BYTES) {
            let disk = rotten(disk, &commit.path, commit.position + sector);
            check(commit, start_on(&disk, options, ghost));
        }
    }
}

#[test]
fn case_17_rot_before_the_last_commit_is_damage_6_5() {
    let (disk, ghost) = lived(history());
    assert!(matches!(start_on(&disk, &options(1), &ghost), Found::Healthy(Ok(()))));
    rot_everywhere(&disk, &options(1), &ghost, |commit, found| match found {
        Found::Damaged(corruptions) => {
            assert!(corruptions[0].path.starts_with("/journal/0"), "{corruptions:?}");
        }
        // The last commit may have been torn, as far as anybody can tell.
        Found::Healthy(_) => assert!(commit.is_last, "{commit:?} is missing, and nobody says so"),
    });
}

#[test]
fn case_17_after_a_seal_rot_of_the_last_entries_is_damage_as_well_w10() {
    let mut steps = history();
    steps.push(SleepMicros(150_000));
    let (disk, ghost) = lived(steps);
    let is_seal = |commit: &FoundCommit| commit.flags & 2 != 0;
    assert!(live_commits(&disk).iter().any(|commit| is_seal(commit) && commit.is_last));
    rot_everywhere(&disk, &options(1), &ghost, |commit, found| match found {
        Found::Damaged(_) => {}
        Found::Healthy(result) if is_seal(commit) => assert_eq!(result, Ok(())),
        Found::Healthy(_) => assert!(commit.is_relaxed && commit.is_last, "{commit:?}"),
    });
}

#[test]
fn case_17_with_the_power_lost_the_relaxed_stream_may_end_at_the_rot_6_5_a() {
    let (disk, mut ghost) = lived(history());
    ghost.lose_power();
    rot_everywhere(&disk, &options(2), &ghost, |commit, found| match found {
        Found::Damaged(_) => assert!(!commit.is_relaxed, "{commit:?} may have been lost"),
        Found::Healthy(result) if commit.is_relaxed => assert_eq!(result, Ok(()), "{commit:?}"),
        Found::Healthy(_) => assert!(commit.is_last, "{commit:?}"),
    });
}

#[test]
fn after_a_clean_stop_any_rot_of_the_journal_is_damage_7() {
    let mut steps = history();
    steps.push(Close);
    let (disk, ghost) = lived(steps);
    for commit in live_commits(&disk) {
        for sector in (0..commit.size_bytes).step_by(SECTOR_BYTES) {
            let disk = rotten(&disk, &commit.path, commit.position + sector);
            for boot in [1, 2] {
                let found = start_on(&disk, &options(boot), &ghost);
                assert!(matches!(found, Found::Damaged(_)), "{commit:?}: {found:?}");
            }
        }
    }
}

#[test]
fn case_15_the_older_superblock_is_used_only_as_far_as_its_files_go_4_6() {
    let mut steps = vec![Create];
    for _ in 0..60 {
        for number in [0, 1, 1] {
            steps.extend([Append(number, 7000), Flushed(number)]);
        }
    }
    let mut life = begin(5, Disk::new(), options(1), &Ghost::default(), &Rc::new(steps));
    // The streams go far ahead while a superblock is on its way.
    life.simulation.inject(|operation| {
        let is_superblock = operation.path.ends_with("superblock");
        match operation.kind {
            OperationKind::Write if is_superblock => Fault::Slow(Duration::from_millis(2)),
            _ => Fault::None,
        }
    });
    let (mut healthy_count, mut damaged_count, mut seen) = (0, 0, 0);
    while !life.handle.is_ready() {
        assert!(life.simulation.step());
        let operations = life.simulation.operations_count();
        if operations / 5 == seen || life.ghost.borrow().partitions.is_empty() {
            continue;
        }
        seen = operations / 5;
        let disk = life.simulation.disk_after(life.process, Crash::Kill, &mut Fate::nothing());
        let ghost = life.ghost.borrow().clone();
        // S1: no file is used again before the superblock on the medium has let go of it.
        let found = start_on(&disk, &options(1), &ghost);
        assert!(matches!(found, Found::Healthy(Ok(()))), "operation {operations}: {found:?}");
        let slot = newest_slot(&disk).unwrap();
        let disk = rotten(&disk, Path::new(SUPERBLOCK), slot);
        match start_on(&disk, &options(1), &ghost) {
            Found::Healthy(result) => {
                assert_eq!(result, Ok(()), "operation {operations}");
                healthy_count += 1;
            }
            Found::Damaged(_) => damaged_count += 1,
        }
    }
    assert!(0 < healthy_count && 0 < damaged_count, "{healthy_count}, {damaged_count}");
}

#[test]
fn the_start_record_is_there_twice_so_the_rot_of_one_copy_harms_nothing_6_12() {
    let (disk, ghost) = lived(history());
    // A start that has written its record, and nothing else.
    let mut life = begin(1, disk, options(1), &ghost, &Rc::new(Vec::new()));
    life.simulation.run_until(|| life.handle.is_ready());
    assert_eq!(life.handle.take().unwrap(), Ok(()));
    let disk = life.simulation.disk_after(life.process, Crash::Kill, &mut Fate::everything());
    let ghost = life.ghost.borrow().clone();
    for slot in [0, 4096] {
        let mut rotten = disk.clone();
        rotten.overwrite(SUPERBLOCK, slot, &[0; SECTOR_BYTES]);
        for boot in [1, 2] {
            let mut ghost = ghost.clone();
            if boot == 2 {
                ghost.lose_power();
            }
            let found = start_on(&rotten, &options(boot), &ghost);
            assert!(matches!(found, Found::Healthy(Ok(()))), "slot {slot}: {found:?}");
        }
    }
}

#[test]
fn a_journal_with_commits_and_no_superblock_is_never_created_anew() {
    let (mut disk, _) = lived(history());
    disk.overwrite(SUPERBLOCK, 0, &[0; 8192]);
    let error = refused(&disk);
    assert!(matches!(error, StartError::NoSuperblock { .. }), "{error}");
}

/// The error of a start that is refused and has changed nothing.
fn refused(disk: &Disk) -> StartError {
    let before = contents(disk);
    let (error, disk) = sim::run(7, disk.clone(), || async move {
        storage::read_journal(&options(1), DIRECTORY_ID, 0).await.unwrap_err()
    });
    assert!(before == contents(&disk), "a refused start changes nothing");
    error
}

#[test]
fn a_later_format_version_is_refused_with_a_sentence_that_says_so() {
    let (disk, _) = lived(history());
    let mut newer = disk.clone();
    let slot = newest_slot(&disk).unwrap();
    set_version(&mut newer, Path::new(SUPERBLOCK), slot, 184, 3);
    assert_eq!(
        refused(&newer).to_string(),
        "/journal/0/superblock: the superblock of the journal has format version 3, and this \
         broker knows versions up to 2: start the version of the broker that wrote it"
    );
    let mut newer = disk.clone();
    let commit = &live_commits(&disk)[1];
    set_version(&mut newer, &commit.path, commit.position, 128, 3);
    let error = refused(&newer);
    assert!(matches!(error, StartError::Newer { .. }), "{error}");
}

#[test]
fn a_file_of_another_directory_is_refused() {
    let (mut disk, ghost) = lived(history());
    // Its place, its checksum and everything else are right.
    let commit = live_commits(&disk).into_iter().find(|commit| !commit.is_last).unwrap();
    disk.overwrite(&commit.path, commit.position + 16, b"another-disk's-id");
    set_version(&mut disk, &commit.path, commit.position, 128, 1);
    assert!(matches!(start_on(&disk, &options(1), &ghost), Found::Damaged(_)));
    let (error, _) = sim::run(7, disk, || async move {
        storage::read_journal(&options(1), [7; 16], 0).await.unwrap_err()
    });
    assert!(matches!(error, StartError::Foreign { .. }), "{error}");
}

#[test]
fn case_16_the_first_commit_of_a_reused_file_may_be_torn_s4() {
    let mut steps = vec![Create];
    for round in 0..60 {
        steps.extend([Append(0, 6000), Append(1, 6000), Flushed(0), Flushed(1)]);
        if round % 3 == 2 {
            steps.push(BeginCheckpoint);
        }
    }
    let mut life = begin(3, Disk::new(), options(1), &Ghost::default(), &Rc::new(steps));
    let mut seen = 0;
    let mut recoveries_count = 0;
    while !life.handle.is_ready() {
        assert!(life.simulation.step());
        let operations = life.simulation.operations_count();
        if operations == seen || life.ghost.borrow().partitions.is_empty() {
            continue;
        }
        seen = operations;
        let mut fate = Fate::everything();
        let disk = life.simulation.disk_after(life.process, Crash::Kill, &mut fate);
        // A ring has four files at most here.
        let is_first_of_reused =
            |commit: &FoundCommit| commit.is_last && commit.position == 0 && 4 < commit.generation;
        if fate.asked_count() == 0 || !live_commits(&disk).iter().any(is_first_of_reused) {
            continue;
        }
        for n in 0..fate.asked_count() {
            for mut fate in [Fate::only(n), Fate::all_but(n), Fate::first(n)] {
                let disk = life.simulation.disk_after(life.process, Crash::Kill, &mut fate);
                let ghost = life.ghost.borrow().clone();
                let mut next = begin(3, disk, options(1), &ghost, &epilogue());
                next.simulation.run_until(|| next.handle.is_ready());
                assert_eq!(next.handle.take().unwrap(), Ok(()), "{operations}, {fate:?}");
                recoveries_count += 1;
            }
        }
    }
    assert!(100 < recoveries_count, "{recoveries_count}");
}

/// The directory of a partition on the simulated disk.
fn directory(number: i32) -> PathBuf {
    let topic = partition(number).topic.to_hex();
    PathBuf::from("/topics").join(topic).join(number.to_string())
}

/// Starts on a disk whose journal is whole and a partition's files are not.
async fn start_with_damaged_files(options: &StoreOptions) -> Rc<Store> {
    open_whole(options, ALONE).await
}

#[test]
fn damage_in_a_partitions_files_makes_only_that_one_doubtful_and_for_good() {
    let (disk, _) = lived(
        [Create]
            .into_iter()
            .chain((0..40).flat_map(|n| [Append(n % 2, 900), Flushed(n % 2)]))
            .chain([Checkpoint, Append(0, 100), Append(1, 100), Flushed(0), Flushed(1)])
            .collect(),
    );
    let entries = directory(0).join("entries");
    let mut damaged: Vec<Disk> = Vec::new();
    for cut_to in [0, 80, 1000] {
        let mut disk = disk.clone();
        disk.cut(&entries, cut_to);
        damaged.push(disk);
    }
    for sector in (0..20 * 80).step_by(SECTOR_BYTES) {
        damaged.push(rotten(&disk, &entries, sector));
    }
    let mut doubtful_count = 0;
    for disk in damaged {
        let (was_doubtful, mut disk) = sim::run(1, disk, || async move {
            let store = start_with_damaged_files(&options(1)).await;
            let (log, other) = (store.log(partition(0)).unwrap(), store.log(partition(1)).unwrap());
            assert!(!other.is_doubtful());
            if log.is_doubtful() {
                let values = read_values_so_far(&log).await;
                assert!(values <= 21, "what is readable is what was there");
                log.recovered_applied().await.unwrap();
            } else {
                // Rot of an old record is found when somebody asks for it.
                assert_eq!(read_values(&log, Offset(0), 4000).await.len(), 21);
            }
            // Life goes on for the other one.
            let epoch = other.vote().leader_epoch.0 + 1;
            other.save_vote(vote(epoch));
            other.voted().await.unwrap();
            append(&other, epoch, &batch(&[&value(1, 900)], 1)).await;
            store.checkpoint().await.unwrap();
            store.checkpoint().await.unwrap();
            log.is_doubtful()
        });
        doubtful_count += u32::from(was_doubtful);
        for boot in [1, 2] {
            let after;
            (after, disk) = sim::run(1, disk, || async move {
                let store = start_with_damaged_files(&options(boot)).await;
                let log = store.log(partition(0)).unwrap();
                if log.is_doubtful() {
                    let admission = log.admit(100);
                    assert!(
                        matches!(admission, Admission::Refused(AppendError::Doubtful { .. })),
                        "{admission:?}"
                    );
                }
                store.close().await.unwrap();
                log.is_doubtful()
            });
            assert!(!was_doubtful || after, "doubt lasts until an operator ends it");
        }
    }
    assert!(3 <= doubtful_count, "{doubtful_count}");
}

/// How many values can be read before the log says that the next ones are damaged or not there.
async fn read_values_so_far(log: &Rc<storage::Log>) -> usize {
    let mut count = 0;
    let up_to = log.ends().committed_offset;
    let mut offset = log.ends().log_start;
    while offset < up_to {
        let request =
            storage::ReadRequest { offset, bytes_max: 1, up_to, at_least_one_batch: true };
        let Ok(slices) = read(log, &request).await else { break };
        if slices.is_empty() {
            break;
        }
        count += 1;
        offset = offset + 1;
    }
    count
}

#[test]
fn damage_in_applied_state_makes_a_log_doubtful_and_not_the_start_fail() {
    struct Applied;
    impl storage::AppliedState for Applied {
        fn capture(&self) -> (u64, bytes::Bytes) {
            (10, bytes::Bytes::from_static(b"applied"))
        }
    }
    let (_, disk) = sim::run(1, Disk::new(), || async move {
        let store = start_with_damaged_files(&options(1)).await;
        let log = store.create(partition(0), Durability::Durable, vote(1), ALONE).await.unwrap();
        log.set_applied_state(Rc::new(Applied));
        for n in 0..20 {
            let batch = crate::support::idempotent_batch(&value(n, 50), n);
            append(&log, 1, &batch).await;
        }
        crate::support::flushed(&log, 20).await;
        store.checkpoint().await.unwrap();
    });
    let applied = directory(0).join("applied-10");
    let recover = |disk: Disk| {
        sim::run(2, disk, || async move {
            let store = start_with_damaged_files(&options(1)).await;
            let log = store.log(partition(0)).unwrap();
            let applied = log.recovered_applied().await.unwrap();
            (applied, log.is_doubtful())
        })
        .0
    };
    let (found, is_doubtful) = recover(disk.clone());
    assert_eq!(found.state.as_deref(), Some(&b"applied"[..]));
    assert_eq!((found.count, found.entries.len(), is_doubtful), (10, 10, false));
    for position in 0..disk.file_bytes(&applied).unwrap().len() {
        let mut rotten = disk.clone();
        rotten.flip(&applied, 8 * position);
        let (found, is_doubtful) = recover(rotten);
        assert!(is_doubtful && found.state.is_none() && found.entries.is_empty());
    }
    let mut cut = disk;
    cut.cut(&applied, 12);
    assert!(recover(cut).1);
}

/// Writes a commit behind the last durable one that continues the chain, and cannot be read.
fn continue_chain(disk: &Disk, change_header: impl Fn(&mut [u8])) -> Disk {
    let mut disk = disk.clone();
    let commits = live_commits(&disk);
    let last = commits.iter().rfind(|commit| !commit.is_relaxed).unwrap();
    let bytes = disk.file_bytes(&last.path).unwrap();
    let mut block = [0xff; 4096];
    block[..128].copy_from_slice(&bytes[last.position..last.position + 128]);
    let last_crc: [u8; 4] = block[8..12].try_into().unwrap();
    block[56..64].copy_from_slice(&(last.sequence + 1).to_le_bytes());
    block[64..68].copy_from_slice(&1u32.to_le_bytes());
    block[68..72].copy_from_slice(&1u32.to_le_bytes());
    let body_crc = crc32fast::hash(&block[128..]);
    block[72..76].copy_from_slice(&body_crc.to_le_bytes());
    block[76..80].copy_from_slice(&last_crc);
    change_header(&mut block[..128]);
    let crc = crc32fast::hash(&block[12..128]);
    block[8..12].copy_from_slice(&crc.to_le_bytes());
    disk.overwrite(&last.path, last.position + last.size_bytes, &block);
    disk
}

#[test]
fn above_the_known_tail_only_commits_of_the_last_start_count_6_4() {
    let (disk, ghost) = lived(history());
    let is_read = |change: &dyn Fn(&mut [u8])| {
        let disk = continue_chain(&disk, change);
        match start_on(&disk, &options(1), &ghost) {
            Found::Damaged(_) => true,
            Found::Healthy(result) => {
                assert_eq!(result, Ok(()));
                false
            }
        }
    };
    assert!(is_read(&|_| {}), "it is what a process would write next");
    assert!(!is_read(&|header| header[36] ^= 1), "of another start");
    assert!(!is_read(&|header| header[40] ^= 1), "of another salt");
    assert!(!is_read(&|header| header[16] ^= 1), "of another directory");
    assert!(!is_read(&|header| header[32] ^= 1), "of another journal");
    assert!(!is_read(&|header| header[48] ^= 64), "of another generation (S4)");
    assert!(!is_read(&|header| header[76] ^= 1), "of another chain");
}

#[test]
fn only_a_later_commit_of_the_last_start_proves_that_one_is_missing_6_5_c() {
    let (disk, ghost) = lived(history());
    let is_damage = |change: &dyn Fn(&mut [u8])| {
        // One is missing between the last and this.
        let disk = continue_chain(&disk, |header| {
            header[56] += 1;
            change(header);
        });
        matches!(start_on(&disk, &options(1), &ghost), Found::Damaged(_))
    };
    assert!(is_damage(&|_| {}));
    assert!(is_damage(&|header| header[48] += 1), "of a later generation");
    assert!(is_damage(&|header| header[76] ^= 1), "whatever it continues");
    assert!(!is_damage(&|header| header[36] ^= 1), "of another start");
    assert!(!is_damage(&|header| header[40] ^= 1), "of another salt");
    assert!(!is_damage(&|header| header[48] = 0), "of an earlier generation");
    assert!(!is_damage(&|header| header[14] = 1), "of another stream");
}
