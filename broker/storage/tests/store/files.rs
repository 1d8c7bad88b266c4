//! How many files are open, and how much of them is read.

use model::{Offset, Timestamp};
use storage::{Durability, LogOptions, StoreOptions};

use crate::support::*;

#[test]
fn segments_with_open_files_are_bounded_and_opened_again() {
    const OPEN_MAX: usize = 4;
    const LOGS: i32 = 6;
    lives(2, |directory, life, (): ()| async move {
        let options = StoreOptions {
            open_segments_max: OPEN_MAX,
            tail_bytes_max: 0,
            ..small_options(&directory, 1)
        };
        let log_options = LogOptions { segment_bytes_max: 3000, ..ALONE };
        let (store, _) = open(&options, log_options).await;
        let mut logs = Vec::new();
        for number in 0..LOGS {
            logs.push(match store.log(partition(number)) {
                Some(log) => log,
                None => {
                    let durability = Durability::Durable;
                    let created = store.create(partition(number), durability, vote(0), log_options);
                    created.await.unwrap()
                }
            });
        }
        let mut most = 0;
        for round in 0..8 {
            for log in &logs {
                let batch = batch(&[&value(8 * life + round, 900)], 1);
                let entry = append(log, log.vote().leader_epoch.0, &batch).await;
                flushed(log, entry.index.0 + 1).await;
                assert!(store.open_segments_count() <= OPEN_MAX);
                most = most.max(store.open_segments_count());
            }
            if round % 3 == 2 {
                store.checkpoint().await.unwrap();
            }
        }
        assert_eq!(most, OPEN_MAX, "the bound is used");
        for log in logs.iter().chain(&logs) {
            let values = read_values(log, Offset::ZERO, 2000).await;
            let expected: Vec<_> = (0..8 * (life + 1)).map(|id| value(id, 900)).collect();
            assert!(values.into_iter().map(|(_, value)| value).eq(expected));
            assert!(store.open_segments_count() <= OPEN_MAX);
        }
        if life == 0 {
            store.close().await.unwrap();
        }
    });
}

/// Once the index is in memory.
#[test]
fn a_search_by_time_reads_at_most_from_one_point_of_an_index_to_the_next() {
    const COUNT: i64 = 60;
    lives(2, |directory, life, (): ()| async move {
        let options = StoreOptions { tail_bytes_max: 0, ..small_options(&directory, 1) };
        let log_options = LogOptions { index_interval_bytes: 2000, ..ALONE };
        let (store, _) = open(&options, log_options).await;
        if life == 0 {
            let created =
                store.create(partition(0), Durability::Durable, vote(0), log_options).await;
            let log = created.unwrap();
            for time in 0..COUNT {
                // Some are earlier than others before them.
                let batch = batch(&[&value(1, 500)], 10 * time - 15 * (time % 3));
                append(&log, 0, &batch).await;
            }
            flushed(&log, log.ends().end_count).await;
            store.close().await.unwrap();
            return;
        }
        let log = store.log(partition(0)).unwrap();
        let up_to = log.ends().end_offset;
        let batch_bytes = batch(&[&value(1, 500)], 0).len() as u64;
        log.find_latest_time(up_to).await.unwrap();
        let read_bytes = || store.metrics().read_bytes.get();
        for time in 0..10 * COUNT {
            let before = read_bytes();
            let found = log.find_time(Timestamp(time), up_to).await.unwrap();
            let expected = (0..COUNT).find(|of| time <= 10 * of - 15 * (of % 3));
            assert_eq!(found.map(|found| found.offset.0), expected, "{time}");
            let read = read_bytes() - before;
            assert!(read <= 2000 + batch_bytes, "{read} bytes were read for {time}");
        }
    });
}
