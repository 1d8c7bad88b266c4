//! What a checkpoint costs when there are many partitions: the carry repeats the restart point of
//! each of them, idle ones as well, which is the weakest point of a journal per core.
//!
//! On the real machine, in the build's directory for temporary files, which should be on the disk in
//! question: `cargo bench -p storage --bench carry`, or with numbers of partitions as arguments.
//! Takes a minute or two and up to 1.5 GiB for 10,000 partitions; a size whose preparation takes
//! longer than [`PREPARATION_MAX`] is left out.
//!
//! Estimate: an idle partition with less than a block in its tail takes 96 + 80 + tail for its base
//! and 96 bytes for its vote; with 1 KiB of tail 10,000 of them are 13 MB, three or four commits of
//! 4 MiB, at 500 MB/s some 30 ms and the CPU time to copy them.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the result goes to whoever asked for it")]

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use model::record_batch::{BatchBuilder, BatchHeader, NewRecord, ProducerStamp};
use model::{BrokerId, LeaderEpoch, NodeId, PartitionIndex, Timestamp, TopicId, TopicPartition};
use storage::{Durability, FlushMethod, Log, LogOptions, SegmentAge, Store, StoreOptions, Vote};

const PARTITIONS_COUNTS: [i32; 3] = [100, 1_000, 10_000];
const RUNS_COUNT: usize = 5;
const PREPARATION_MAX: Duration = Duration::from_secs(120);

const ALONE: LogOptions = LogOptions {
    segment_bytes_max: 1 << 30,
    segment_age: SegmentAge::ANY,
    index_interval_bytes: 4096,
    is_alone: true,
};

fn main() {
    let asked: Vec<i32> = std::env::args().filter_map(|text| text.parse().ok()).collect();
    let counts = if asked.is_empty() { PARTITIONS_COUNTS.to_vec() } else { asked };
    println!("partitions  state             carry      commits  median    slowest   replay after");
    for count in counts {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let directory = directory.join(format!("carry-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        runtime::block_on(measure(directory.clone(), count)).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

fn options(data_dir: &Path) -> StoreOptions {
    StoreOptions {
        data_dir: data_dir.to_owned(),
        boot_id: [1; 16],
        cores_count: 1,
        is_direct: true,
        flush_method: FlushMethod::WriteDurably,
        journal_file_bytes: 16 << 20,
        journal_files_count: 4,
        checkpoint_interval: Duration::from_secs(3600),
        applied_interval: 1 << 20,
        tail_bytes_max: 256 << 20,
        compaction_bytes_max: 64 << 10,
        open_segments_max: 8,
        background_bytes_per_second: None,
    }
}

async fn measure(directory: PathBuf, partitions_count: i32) {
    let options = options(&directory);
    let recovered = storage::read_journal(&options, [1; 16], 0).await.unwrap();
    let store = Store::start(recovered, options, |_| ALONE).await.unwrap();
    let since = runtime::now();
    let mut logs = Vec::new();
    for number in 0..partitions_count {
        let topic = TopicId::from_random(1);
        let partition = TopicPartition { topic, partition: PartitionIndex(number) };
        let voted_for = NodeId { broker: BrokerId(1), incarnation: 1 };
        let vote = Vote { leader_epoch: LeaderEpoch(1), voted_for, is_committed: true };
        let created = store.create(partition, Durability::Durable, vote, ALONE);
        logs.push(created.await.unwrap());
        if PREPARATION_MAX < runtime::now() - since {
            println!("{partitions_count:>10}  left out: {number} took {PREPARATION_MAX:?}");
            return;
        }
    }
    store.checkpoint().await.unwrap();
    report(&store, partitions_count, "empty", || async {}).await;
    // Each has something that is not flushed since the last checkpoint, which costs two flushes.
    report(&store, partitions_count, "1 KiB appended", || append_to_all(&logs)).await;
    report(&store, partitions_count, "5 KiB, idle", || async {}).await;
    store.close().await.unwrap();
}

/// Prepares, makes a checkpoint, and measures it, some times over.
async fn report<Prepared: Future<Output = ()>>(
    store: &Store,
    partitions_count: i32,
    state: &str,
    prepare: impl Fn() -> Prepared,
) {
    let metrics = store.metrics();
    let mut durations = Vec::new();
    let (mut carry_bytes, mut commits_count) = (0, 0);
    for _ in 0..RUNS_COUNT {
        prepare().await;
        let (bytes_before, commits_before) =
            (metrics.carry_bytes.get(), metrics.durable.commits.get());
        let since = runtime::now();
        store.checkpoint().await.unwrap();
        durations.push(runtime::now() - since);
        carry_bytes = metrics.carry_bytes.get() - bytes_before;
        commits_count = metrics.durable.commits.get() - commits_before;
    }
    durations.sort();
    println!(
        "{partitions_count:>10}  {state:<15}  {:>7} KiB  {commits_count:>7}  {:>6.1} ms {:>7.1} ms  {:>7} KiB",
        carry_bytes >> 10,
        durations[RUNS_COUNT / 2].as_secs_f64() * 1e3,
        durations[RUNS_COUNT - 1].as_secs_f64() * 1e3,
        store.replay_bytes() >> 10,
    );
}

async fn append_to_all(logs: &[Rc<Log>]) {
    let value = [7; 960];
    let mut builder = BatchBuilder::new();
    builder.push(&NewRecord {
        timestamp: Timestamp(1),
        key: None,
        value: Some(&value),
        headers: &[],
    });
    let batch = builder.finish(ProducerStamp::NONE);
    let header = BatchHeader::read(&batch).unwrap();
    for log in logs {
        log.admitted(batch.len()).await.unwrap();
        log.append_batch(LeaderEpoch(1), &header, &batch);
    }
    for log in logs {
        while log.ends().flushed_count < log.ends().end_count {
            runtime::sleep(Duration::from_micros(100)).await;
        }
    }
}
