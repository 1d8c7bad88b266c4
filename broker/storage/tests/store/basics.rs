//! Without crashes: what goes in comes out, also after a restart.

use std::path::Path;
use std::time::Duration;

use model::Offset;
use runtime::sim::{self, Disk};
use storage::Durability;

use crate::support::*;

#[test]
fn a_change_of_level_that_is_given_up_leaves_the_log_as_it_was() {
    for micros in (0..400).step_by(7) {
        sim::run(micros, Disk::new(), || async move {
            let options = small_options(Path::new("/"), 1);
            let (store, _) = open(&options, ALONE).await;
            let created = store.create(partition(0), Durability::Durable, vote(1), ALONE);
            let log = created.await.unwrap();
            for n in 0..10 {
                append(&log, 1, &batch(&[&value(n, 500)], 1)).await;
            }
            let change = store.set_durability(&log, Durability::Relaxed);
            let is_given_up =
                runtime::timeout(Duration::from_micros(micros), change).await.is_err();
            assert_eq!(is_given_up, log.durability() == Durability::Durable);
            append(&log, 1, &batch(&[&value(10, 500)], 1)).await;
            flushed(&log, 11).await;
            store.set_durability(&log, Durability::Relaxed).await.unwrap();
            append(&log, 1, &batch(&[&value(11, 500)], 1)).await;
            flushed(&log, 12).await;
            assert_eq!(read_values(&log, Offset(0), 4096).await.len(), 12);
        });
    }
}

#[test]
fn what_was_appended_is_read_back_before_and_after_a_restart() {
    type Expected = [Vec<(i64, Vec<u8>)>; 2];
    lives(4, |directory, life, mut expected: Expected| async move {
        let options = small_options(&directory, 1);
        let (store, corruptions) = open(&options, ALONE).await;
        assert!(corruptions.is_empty(), "{corruptions:?}");
        if life == 0 {
            for (number, durability) in [(0, Durability::Durable), (1, Durability::Relaxed)] {
                store.create(partition(number), durability, vote(0), ALONE).await.unwrap();
            }
        }
        for (number, expected) in (0..2i32).zip(&mut expected) {
            let log = store.log(partition(number)).unwrap();
            assert_eq!(read_values(&log, Offset(0), 4096).await, *expected);
            let epoch = log.vote().leader_epoch.0 + 1;
            log.save_vote(vote(epoch));
            log.voted().await.unwrap();
            for n in 0..60 {
                let unique = life << 32 | n << 8 | u64::from(number.unsigned_abs());
                let values = [
                    value(unique, 8 + usize::try_from(n * 37 % 900).expect("small")),
                    value(unique, 8),
                ];
                let batch = batch(&[&values[0], &values[1]], 1000);
                let entry = append(&log, epoch, &batch).await;
                assert_eq!(entry.batch().unwrap().base_offset.0, expected.len() as i64);
                for value in values {
                    expected.push((expected.len() as i64, value));
                }
            }
            flushed(&log, log.ends().end_count).await;
            for (from, bytes_max) in [(0, 100), (7, 3000), (50, 1 << 20)] {
                let found = read_values(&log, Offset(from), bytes_max).await;
                assert_eq!(found, expected[usize::try_from(from).unwrap()..]);
            }
        }
        match life {
            0 => store.close().await.unwrap(),
            1 => store.checkpoint().await.unwrap(),
            _ => {}
        }
        expected
    });
}

/// What a core counts of its logs ends with them: otherwise deleted topics would eat up the room
/// that admission leaves for carries (rule S2) and the memory for tails.
#[test]
fn a_log_that_is_removed_is_not_counted_any_more() {
    lives(1, |directory, _, (): ()| async move {
        let options = small_options(&directory, 1);
        let (store, _) = open(&options, ALONE).await;
        for number in 0..30 {
            let log = store.create(partition(number), Durability::Durable, vote(0), ALONE);
            let log = log.await.unwrap();
            for n in 0..8 {
                append(&log, 0, &batch(&[&value(n, 2000)], 1000)).await;
            }
            // Once with entries that no checkpoint has flushed, once with some in flight.
            if number % 2 == 0 {
                flushed(&log, log.ends().end_count).await;
            }
            store.remove(&log).await.unwrap();
            assert_eq!(store.tail_bytes(), 0);
            store.checkpoint().await.unwrap();
        }
    });
}

/// However much is appended between two checkpoints.
#[test]
fn the_memory_for_tails_keeps_to_its_budget() {
    const TAIL_BYTES_MAX: usize = 1 << 20;
    lives(1, |directory, _, (): ()| async move {
        let options = storage::StoreOptions {
            tail_bytes_max: TAIL_BYTES_MAX,
            journal_file_bytes: 8 << 20,
            ..small_options(&directory, 1)
        };
        let large = storage::LogOptions { segment_bytes_max: 8 << 20, ..ALONE };
        let (store, _) = open(&options, large).await;
        let mut logs = Vec::new();
        for number in 0..3 {
            let created = store.create(partition(number), Durability::Relaxed, vote(0), large);
            logs.push(created.await.unwrap());
        }
        for round in 0..6 {
            for n in 0..20 {
                for log in &logs {
                    append(log, 0, &batch(&[&value(n, 60_000)], 1)).await;
                }
            }
            for log in &logs {
                flushed(log, log.ends().end_count).await;
            }
            store.checkpoint().await.unwrap();
            // What is not yet a full piece of a segment stays, for each log.
            let most_bytes = TAIL_BYTES_MAX + 3 * (256 << 10);
            assert!(store.tail_bytes() <= most_bytes, "{round}: {}", store.tail_bytes());
        }
    });
}

/// A checkpoint moves entries from memory to disk while others read them.
#[test]
fn entries_are_all_read_while_a_checkpoint_moves_them() {
    for seed in 0..100 {
        sim::run(seed, Disk::new(), || async move {
            let options = small_options(Path::new("/"), 1);
            let (store, _) = open(&options, ALONE).await;
            let created = store.create(partition(0), Durability::Durable, vote(1), ALONE);
            let log = created.await.unwrap();
            for n in 0..60 {
                append(&log, 1, &idempotent_batch(&value(n, 300), n)).await;
                if n % 20 == 9 {
                    store.checkpoint().await.unwrap();
                }
            }
            flushed(&log, 60).await;
            let moving = store.clone();
            let checkpoint = runtime::spawn(async move { moving.checkpoint().await.unwrap() });
            runtime::sleep(Duration::from_micros(seed * 20)).await;
            let applied = log.recovered_applied().await.unwrap();
            let found: Vec<u64> = applied.entries.iter().map(|entry| entry.index.0).collect();
            assert_eq!(found, (applied.count..60).collect::<Vec<u64>>());
            let entries = log.entries(10, 50).await.unwrap();
            assert_eq!(entries.len(), 40);
            checkpoint.await;
        });
    }
}
