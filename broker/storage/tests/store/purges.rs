//! What of `entries` is given back.

use std::path::Path;
use std::rc::Rc;

use model::{LeaderEpoch, Offset};
use runtime::sim::{self, Disk};
use storage::{EntryKind, Log, LogOptions, StoreOptions};

use crate::support::*;

const OPTIONS: LogOptions = LogOptions { segment_bytes_max: 60_000, ..ALONE };

fn options() -> StoreOptions {
    StoreOptions { journal_file_bytes: 1 << 20, ..small_options(Path::new("/"), 1) }
}

async fn append_many(log: &Rc<Log>, count: u64) {
    let epoch = log.vote().leader_epoch.0;
    for _ in 0..count {
        let number = log.ends().end_offset.0.unsigned_abs();
        let entry = append(log, epoch, &batch(&[&value(number, 60)], 1)).await;
        if entry.index.0 % 50 == 0 {
            flushed(log, entry.index.0 + 1).await;
        }
    }
    flushed(log, log.ends().end_count).await;
}

async fn move_start(log: &Rc<Log>, offset: i64) {
    log.admitted_other().await.unwrap();
    let kind = EntryKind::LogStart(Offset(offset));
    let entry = log.append_other(log.vote().leader_epoch, kind, &[]);
    flushed(log, entry.index.0 + 1).await;
}

/// Of the records before an offset, so many are zeros: all of them from the first on.
fn purged_count(disk: &Disk) -> usize {
    let path = format!("/topics/{}/0/entries", partition(0).topic.to_hex());
    let bytes = disk.file_bytes(path).unwrap();
    bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len()) / 80
}

/// P1, before and after restarts, also after losses of power that bring some of it back.
#[test]
fn p1_records_of_batches_that_are_gone_are_given_back() {
    let mut disk = Disk::new();
    let mut expected_start = 0;
    let mut purged = Vec::new();
    for life in 0..6_i32 {
        let (used_before, log_start) = (disk.used_bytes(), expected_start);
        let (start, next) = sim::run(life.unsigned_abs().into(), disk, move || async move {
            let (store, corruptions) = open(&options(), OPTIONS).await;
            assert!(corruptions.is_empty(), "{corruptions:?}");
            let log = opened(&store, OPTIONS).await;
            assert!(!log.is_doubtful());
            assert_eq!(log.ends().log_start, Offset(log_start));
            // Epochs are found among those records that are left.
            for epoch in 0..life + 2 {
                let end = log.epoch_end(LeaderEpoch(epoch)).await.unwrap();
                assert!(Offset(log_start) <= end.end_offset, "{end:?}");
                assert!(end.leader_epoch.is_none_or(|found| found <= LeaderEpoch(epoch)));
            }
            append_many(&log, 1000).await;
            store.scrub(u64::MAX, |_, error| panic!("{error}")).await;
            store.checkpoint().await.unwrap();
            let start = log.ends().end_offset.0 - 700;
            move_start(&log, start).await;
            store.checkpoint().await.unwrap();
            append_many(&log, 10).await;
            let values = read_values(&log, Offset(start), 4000).await;
            assert_eq!(values.len(), 710);
            let own = log.epoch_end(log.vote().leader_epoch).await.unwrap();
            assert_eq!(own.end_offset, log.ends().end_offset);
            if life % 2 == 0 {
                store.close().await.unwrap();
            }
            start
        });
        expected_start = start;
        disk = next;
        purged.push(purged_count(&disk));
        assert!(0 < used_before || life == 0);
    }
    let kept: Vec<i64> = purged
        .iter()
        .zip(1..)
        .map(|(purged, lives)| 1010 * lives - i64::try_from(*purged).unwrap())
        .collect();
    // Seven hundred that can be read, what is left of a segment, and a run that is not whole.
    assert!(kept.iter().all(|kept| *kept < 710 + 500 + 256 + 10), "{kept:?} of {purged:?}");
    assert!(purged.is_sorted() && 3000 < *purged.last().unwrap(), "{purged:?}");
}

/// P1: of a log of which nothing is ever deleted, the list of compacted segments tells the epochs.
#[test]
fn p1_epochs_of_compacted_batches_are_told_when_their_records_are_gone() {
    let mut disk = Disk::new();
    // The epoch of each life, and where its batches end.
    let mut ends: Vec<(LeaderEpoch, Offset)> = Vec::new();
    for life in 0..6_u64 {
        let told = ends.clone();
        let ((epoch, end), next) = sim::run(life, disk, move || async move {
            let (store, corruptions) = open(&options(), OPTIONS).await;
            assert!(corruptions.is_empty(), "{corruptions:?}");
            let log = opened(&store, OPTIONS).await;
            assert!(!log.is_doubtful());
            let check = async |ends: &[(LeaderEpoch, Offset)]| {
                for (epoch, end) in ends {
                    let found = log.epoch_end(*epoch).await.unwrap();
                    assert_eq!((found.leader_epoch, found.end_offset), (Some(*epoch), *end));
                    // There may be epochs without a batch.
                    let next = log.epoch_end(epoch.next()).await.unwrap();
                    assert!(*end <= next.end_offset && Some(*epoch) <= next.leader_epoch);
                }
            };
            check(&told).await;
            let epoch = log.vote().leader_epoch;
            for number in 0..300_u64 {
                let key = (number % 5).to_le_bytes();
                let entry = append(&log, epoch.0, &keyed_batch(&key, &[7; 60], 1)).await;
                flushed(&log, entry.index.0 + 1).await;
            }
            log.roll();
            store.checkpoint().await.unwrap();
            let dirtiness = log.dirtiness(&COMPACT_ALL).await.unwrap().unwrap();
            log.compact(&COMPACT_ALL, &dirtiness).await.unwrap();
            let mut ends = told;
            ends.push((epoch, log.ends().end_offset));
            check(&ends).await;
            let left = read_left_values(&log, Offset::ZERO, 3000).await;
            assert_eq!(left.len(), 5);
            store.scrub(u64::MAX, |_, error| panic!("{error}")).await;
            if life % 2 == 0 {
                store.close().await.unwrap();
            }
            *ends.last().unwrap()
        });
        ends.push((epoch, end));
        disk = next;
    }
    assert!(1800 - 300 - 256 <= purged_count(&disk), "{}", purged_count(&disk));
}
