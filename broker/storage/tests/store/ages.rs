//! Segments that end by age, and what a log would lose by its age and size.

use std::path::Path;
use std::rc::Rc;

use model::record_batch::BatchHeader;
use model::{LeaderEpoch, Offset, Timestamp};
use runtime::sim::{self, Disk};
use storage::{EntryKind, Expired, Log, LogOptions, SegmentAge};

use crate::support::*;

const BY_HAND: LogOptions = LogOptions { segment_bytes_max: 1 << 30, ..ALONE };

/// Appends a batch of one record, as a replica does. Returns its offset.
async fn append_at(log: &Rc<Log>, timestamp: i64, size_bytes: usize) -> i64 {
    let batch = batch(&[&value(timestamp.unsigned_abs(), size_bytes)], timestamp);
    let header = BatchHeader::read(&batch).unwrap();
    loop {
        log.roll_before(header.max_timestamp);
        if let storage::Admission::Now = log.admit(batch.len()) {
            break;
        }
        log.admitted(batch.len()).await.unwrap();
    }
    let epoch = log.vote().leader_epoch;
    let entry = log.append_batch(epoch, &header, &batch);
    flushed(log, entry.index.0 + 1).await;
    entry.batch().unwrap().base_offset.0
}

async fn move_start(log: &Rc<Log>, offset: i64) {
    log.admitted_other().await.unwrap();
    let epoch: LeaderEpoch = log.vote().leader_epoch;
    let entry = log.append_other(epoch, EntryKind::LogStart(Offset(offset)), &[]);
    flushed(log, entry.index.0 + 1).await;
}

async fn by_time(log: &Rc<Log>, horizon: i64) -> (i64, Option<i64>) {
    let Expired { start, next_latest } = log.start_by_time(Timestamp(horizon)).await.unwrap();
    (start.0, next_latest.map(|latest| latest.0))
}

async fn by_size(log: &Rc<Log>, bytes: u64) -> i64 {
    log.start_by_size(bytes).await.unwrap().0
}

/// Names of segments that are on the disk.
async fn segments_on_disk(options: &storage::StoreOptions) -> Vec<i64> {
    let topic = partition(0).topic.to_hex();
    let directory = options.data_dir.join("topics").join(topic).join("0");
    let names = runtime::read_dir(&directory).await.unwrap();
    let names = names.iter().filter_map(|entry| entry.name.strip_suffix(".log"));
    names.map(|name| name.parse().unwrap()).collect()
}

#[test]
fn whole_segments_are_too_old_or_too_many_before_and_after_a_restart() {
    lives(3, |directory, life, (): ()| async move {
        let options = small_options(&directory, 1);
        let (store, corruptions) = open(&options, BY_HAND).await;
        assert!(corruptions.is_empty(), "{corruptions:?}");
        let log = opened(&store, BY_HAND).await;
        if life == 0 {
            assert_eq!(by_time(&log, 1000).await, (0, None), "of an empty log nothing is old");
            assert_eq!(by_size(&log, 0).await, 0);
            log.roll();
            // Segments of 0..3, 3..5, 5..6; times do not rise.
            for (timestamp, is_last) in
                [(10, false), (30, false), (20, true), (25, false), (15, true), (40, false)]
            {
                append_at(&log, timestamp, 5000).await;
                if is_last {
                    log.roll();
                    log.roll();
                }
            }
            store.checkpoint().await.unwrap();
        }
        let batch_bytes = batch(&[&value(1, 5000)], 1).len() as u64;
        assert_eq!(log.size_bytes().await.unwrap(), 6 * batch_bytes);
        let horizons = [
            (0, (0, Some(30))),
            (30, (0, Some(30))),
            // The second segment is all earlier than 26, but the first one is not.
            (26, (0, Some(30))),
            (31, (5, Some(40))),
            (40, (5, Some(40))),
            (41, (6, None)),
        ];
        for (horizon, expected) in horizons {
            assert_eq!(by_time(&log, horizon).await, expected, "{horizon}, life {life}");
        }
        // So much stays at least.
        let sizes = [(7, 0), (6, 0), (4, 0), (3, 3), (2, 3), (1, 5), (0, 6)];
        for (batches_count, expected) in sizes {
            let bytes = batches_count * batch_bytes;
            assert_eq!(by_size(&log, bytes).await, expected, "{batches_count}, life {life}");
        }
    });
}

#[test]
fn files_go_with_the_checkpoint_after_the_start_has_moved() {
    lives(2, |directory, life, (): ()| async move {
        let options = small_options(&directory, 1);
        let (store, _) = open(&options, BY_HAND).await;
        let log = opened(&store, BY_HAND).await;
        if life == 1 {
            assert_eq!(log.ends().log_start, Offset(4));
            assert_eq!(log.size_bytes().await.unwrap(), 0);
            assert_eq!(append_at(&log, 5, 100).await, 4);
            assert_eq!(read_values(&log, Offset(4), 4096).await.len(), 1);
            return;
        }
        for n in 0..4 {
            append_at(&log, n, 3000).await;
            log.roll();
        }
        store.checkpoint().await.unwrap();
        assert_eq!(segments_on_disk(&options).await, [0, 1, 2, 3]);
        move_start(&log, 2).await;
        assert_eq!(by_time(&log, 100).await, (4, None));
        assert_eq!(log.size_bytes().await.unwrap() * 2, {
            let batch_bytes = batch(&[&value(1, 3000)], 1).len() as u64;
            4 * batch_bytes
        });
        store.checkpoint().await.unwrap();
        assert_eq!(segments_on_disk(&options).await, [2, 3]);
        move_start(&log, 4).await;
        store.checkpoint().await.unwrap();
        assert_eq!(segments_on_disk(&options).await, [0; 0]);
    });
}

#[test]
fn a_segment_ends_before_a_batch_that_is_too_much_later_than_its_first() {
    let aged = LogOptions { segment_age: SegmentAge { max_ms: 100, jitter_ms: 0 }, ..BY_HAND };
    lives(2, |directory, life, (): ()| async move {
        let options = small_options(&directory, 1);
        let (store, _) = open(&options, aged).await;
        let log = opened(&store, aged).await;
        if life == 0 {
            // An earlier time ends nothing, nor does a batch without one.
            for timestamp in [1000, 900, 1100, -1, 1101, 1201, 1100] {
                append_at(&log, timestamp, 200).await;
            }
            store.checkpoint().await.unwrap();
            assert_eq!(segments_on_disk(&options).await, [0, 4]);
        } else {
            // The first time is read from the disk.
            for timestamp in [1201, 1202, 1302, 1303] {
                append_at(&log, timestamp, 200).await;
            }
            store.checkpoint().await.unwrap();
            assert_eq!(segments_on_disk(&options).await, [0, 4, 8, 10]);
        }
        assert_eq!(read_values(&log, Offset(0), 4096).await.len(), if life == 0 { 7 } else { 11 });
    });
}

#[test]
fn jitter_ends_segments_earlier_by_chance_and_never_later() {
    let mut ends = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let age = SegmentAge { max_ms: 100, jitter_ms: 50 };
        let jittered = LogOptions { segment_age: age, ..BY_HAND };
        let (first_of_second, _) = sim::run(seed, Disk::new(), move || async move {
            let options = small_options(Path::new("/"), 1);
            let (store, _) = open(&options, jittered).await;
            let log = opened(&store, jittered).await;
            append_at(&log, 0, 100).await;
            // The first segment has no jitter, as it was begun before anything was known of it.
            log.roll();
            for timestamp in 1000..1110 {
                append_at(&log, timestamp, 100).await;
            }
            store.checkpoint().await.unwrap();
            segments_on_disk(&options).await[2]
        });
        assert!((51..=101).contains(&(first_of_second - 1)), "{first_of_second}");
        ends.insert(first_of_second);
    }
    assert!(10 < ends.len(), "{ends:?}");
}

#[test]
fn the_index_of_a_segment_that_was_being_written_at_a_restart_is_made_whole() {
    lives(2, |directory, life, (): ()| async move {
        let options = small_options(&directory, 1);
        let (store, _) = open(&options, BY_HAND).await;
        let log = opened(&store, BY_HAND).await;
        for n in 0..6 {
            append_at(&log, 10 * (n + 6 * life.cast_signed()), 3000).await;
        }
        if life == 1 {
            log.roll();
        }
        store.checkpoint().await.unwrap();
        let found = log.find_time(Timestamp(15), Offset(6)).await.unwrap().unwrap();
        assert_eq!((found.offset, found.timestamp), (Offset(2), Timestamp(20)));
    });
}

/// Over restarts, random segments and times: what would go is all too old, and nothing is kept for
/// long that is.
#[test]
fn what_is_too_old_is_told_after_any_history() {
    let mut questions_count = 0;
    for seed in 0..60 {
        let mut disk = Disk::new();
        let mut times: Vec<i64> = Vec::new();
        let mut log_start = 0;
        for life in 0..4 {
            let before = (times, log_start);
            ((times, log_start), disk) = sim::run(seed * 10 + life, disk, move || async move {
                let (mut times, mut log_start) = before;
                let options = small_options(Path::new("/"), 1);
                let limited = LogOptions {
                    segment_bytes_max: 6000,
                    segment_age: SegmentAge { max_ms: 300, jitter_ms: 20 },
                    ..ALONE
                };
                let (store, _) = open(&options, limited).await;
                let log = opened(&store, limited).await;
                let random = |bound: u64| runtime::with_rng(|rng| rng.below(bound));
                for _ in 0..random(40) {
                    match random(12) {
                        0 => log.roll(),
                        1 => store.checkpoint().await.unwrap(),
                        2 => {
                            let horizon = random(1000).cast_signed();
                            let (start, _) = by_time(&log, horizon).await;
                            let end = times.len() as i64;
                            let rest = &times[usize::try_from(log_start).unwrap()..];
                            let old = usize::try_from(start - log_start).unwrap();
                            assert!(rest[..old].iter().all(|time| *time < horizon));
                            // The start may be within a segment, of at most ten batches.
                            let from = usize::try_from((log_start - 10).max(0)).unwrap();
                            if times[from..].iter().all(|time| *time < horizon) {
                                assert_eq!(start, end, "all of it is too old");
                            }
                            if start != end || random(2) == 0 {
                                move_start(&log, start).await;
                                log_start = log_start.max(start);
                            }
                        }
                        3 => {
                            let bytes = random(20_000);
                            let start = by_size(&log, bytes).await;
                            let size_bytes = log.size_bytes().await.unwrap();
                            if start != log_start {
                                move_start(&log, start).await;
                                log_start = log_start.max(start);
                                let left = log.size_bytes().await.unwrap();
                                assert!(bytes <= left && left < size_bytes, "{bytes}: {left}");
                            }
                        }
                        _ => {
                            let time = 500 + random(400).cast_signed();
                            let offset =
                                append_at(&log, time, 100 + usize::try_from(time).unwrap()).await;
                            assert_eq!(offset, times.len() as i64);
                            times.push(time);
                        }
                    }
                }
                let values = read_values(&log, Offset(log_start), 4096).await;
                assert_eq!(values.len() as i64, times.len() as i64 - log_start);
                (times, log_start)
            });
            questions_count += 1;
        }
    }
    assert_eq!(questions_count, 240);
}

#[test]
fn a_log_start_has_room_when_batches_have_none() {
    use runtime::sim::{Fault, OperationKind, Simulation};
    let mut simulation = Simulation::new(2);
    let machine = simulation.add_machine(Disk::new());
    let is_full = Rc::new(std::cell::Cell::new(false));
    let switch = is_full.clone();
    let main = move || async move {
        let options = small_options(Path::new("/"), 1);
        let (store, _) = open(&options, ALONE).await;
        let log = opened(&store, ALONE).await;
        append_at(&log, 1, 100).await;
        switch.set(true);
        let small = batch(&[b"x"], 1);
        let header = BatchHeader::read(&small).unwrap();
        while log.admitted(small.len()).await.is_ok() {
            log.append_batch(log.vote().leader_epoch, &header, &small);
        }
        let end = log.ends().end_offset;
        flushed(&log, log.ends().end_count).await;
        for offset in 1..8 {
            move_start(&log, offset).await;
        }
        assert!(log.admitted(small.len()).await.is_err());
        move_start(&log, end.0).await;
        assert_eq!(log.ends().log_start, end);
        switch.set(false);
        log.admitted(small.len()).await.unwrap();
    };
    let (_, mains) = simulation.start(machine, &runtime::Neighbours::new(1), vec![main]);
    simulation.inject(move |operation| {
        match is_full.get() && operation.kind == OperationKind::Resize {
            true => Fault::Error(std::io::ErrorKind::StorageFull),
            false => Fault::None,
        }
    });
    simulation.run_until(|| mains[0].is_ready());
}
