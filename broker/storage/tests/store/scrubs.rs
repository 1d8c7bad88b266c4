//! Reading everything to find what has rotted.

use std::path::Path;
use std::rc::Rc;

use runtime::sim::{self, Disk};
use storage::{Durability, Log, LogOptions, Store};

use crate::support::*;

const OPTIONS: LogOptions = LogOptions { segment_bytes_max: 6000, ..ALONE };
/// Some segments as they were appended, and one that is compacted.
async fn fill() {
    let (store, _) = open(&small_options(Path::new("/"), 1), OPTIONS).await;
    for number in 0..2 {
        let created = store.create(partition(number), Durability::Durable, vote(0), OPTIONS);
        let log: Rc<Log> = created.await.unwrap();
        for record in 0..24 {
            let key = [u8::try_from(record % 5).unwrap()];
            let batch = keyed_batch(&key, &value(record, 900), record.cast_signed());
            let entry = append(&log, 0, &batch).await;
            flushed(&log, entry.index.0 + 1).await;
        }
        log.roll();
    }
    store.checkpoint().await.unwrap();
    let log = store.log(partition(1)).unwrap();
    let dirtiness = log.dirtiness(&COMPACT_ALL).await.unwrap().unwrap();
    log.compact(&COMPACT_ALL, &dirtiness).await.unwrap();
    store.close().await.unwrap();
}

async fn scrub(store: &Rc<Store>) -> Vec<(i32, String)> {
    let mut found = Vec::new();
    let note = |of: model::TopicPartition, error: &storage::ReadError| {
        found.push((of.partition.0, error.to_string()));
    };
    store.scrub(u64::MAX, note).await;
    found
}

fn scrubbed(disk: Disk) -> (Vec<(i32, String)>, u64) {
    let (found, _) = sim::run(2, disk, || async {
        let (store, _) = open(&small_options(Path::new("/"), 1), OPTIONS).await;
        let found = scrub(&store).await;
        let metrics = store.metrics();
        assert_eq!(metrics.scrubs.get(), 1);
        assert_eq!(metrics.scrub_findings.get(), found.len() as u64);
        (found, metrics.scrubbed_bytes.get())
    });
    found
}

#[test]
fn every_byte_that_has_rotted_is_found_in_its_place() {
    let ((), disk) = sim::run(1, Disk::new(), fill);
    let (found, bytes) = scrubbed(disk.clone());
    assert_eq!(found, []);
    let paths = disk.paths();
    let of_logs = paths.iter().filter(|path| path.starts_with("/topics"));
    let mut segments_bytes = 0;
    let mut rotten_count = 0;
    for path in of_logs {
        let name = path.to_str().unwrap();
        let content = disk.file_bytes(path).unwrap();
        let is_segment = name.ends_with(".log");
        if is_segment {
            segments_bytes += content.len() as u64;
        }
        // What is kept for quick starts and reads only is made again.
        let is_looked_at = is_segment || name.ends_with(".sums") || name.ends_with("entries");
        if !is_looked_at {
            continue;
        }
        // Each record is of 80 bytes, and there are 24 and the membership's at most.
        let end = if name.ends_with("entries") { 24 * 80 } else { content.len() };
        for byte in (0..end).step_by(97) {
            let mut rotten = disk.clone();
            rotten.flip(path, byte * 8 + byte % 8);
            let (found, _) = scrubbed(rotten);
            let number = if name.contains("/1/") { 1 } else { 0 };
            assert_eq!(found.len(), 1, "{name}, byte {byte}: {found:?}");
            let (of, text) = &found[0];
            assert_eq!(*of, number, "{text}");
            let stem = name.strip_suffix(".sums").unwrap_or(name);
            assert!(text.contains(stem), "{name}, byte {byte}: {text}");
            rotten_count += 1;
        }
    }
    assert!(200 < rotten_count && 20_000 < segments_bytes);
    assert!(segments_bytes <= bytes, "{bytes} of {segments_bytes} bytes were read");
}

#[test]
fn a_scrub_keeps_to_its_share() {
    let ((), disk) = sim::run(1, Disk::new(), fill);
    sim::run(3, disk, || async {
        let (store, _) = open(&small_options(Path::new("/"), 1), OPTIONS).await;
        let begun = runtime::now();
        store.scrub(10_000, |_, error| panic!("{error}")).await;
        let seconds = runtime::now().since(begun).as_secs_f64();
        let bytes = store.metrics().scrubbed_bytes.get();
        #[expect(clippy::cast_precision_loss, reason = "far below the limit")]
        let expected = bytes as f64 / 10_000.0;
        // The last turn need not be waited for.
        assert!(expected * 0.3 < seconds && seconds < expected * 1.1, "{seconds} of {expected}");
    });
}
