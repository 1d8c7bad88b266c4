//! On both machines: when the store says that something is flushed, and what it has written then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use model::record_batch::{BatchBuilder, BatchHeader, NewRecord, ProducerStamp};
use model::{BrokerId, LeaderEpoch, NodeId, PartitionIndex, Timestamp, TopicId, TopicPartition};
use runtime::sim::{self, Disk};

use crate::format::commit::{CommitHeader, HEADER_SIZE_BYTES};
use crate::format::frame::{Content, Frames};
use crate::journal::Traced;
use crate::{
    AppendError, Durability, FlushMethod, Log, LogListener, LogOptions, SegmentAge, Store,
    StoreOptions, Vote,
};

fn options(data_dir: &Path, flush_method: FlushMethod) -> StoreOptions {
    StoreOptions {
        data_dir: data_dir.to_owned(),
        boot_id: [1; 16],
        cores_count: 1,
        is_direct: true,
        flush_method,
        journal_file_bytes: 128 << 10,
        journal_files_count: 2,
        checkpoint_interval: Duration::from_secs(3600),
        applied_interval: 8,
        tail_bytes_max: 64 << 10,
        compaction_bytes_max: 64 << 10,
        open_segments_max: 8,
        background_bytes_per_second: None,
    }
}

const ALONE: LogOptions = LogOptions {
    segment_bytes_max: 20_000,
    segment_age: SegmentAge::ANY,
    index_interval_bytes: 1000,
    is_alone: true,
};

fn partition(number: i32) -> TopicPartition {
    let topic = TopicId::from_random(number.cast_unsigned().into());
    TopicPartition { topic, partition: PartitionIndex(number) }
}

fn vote() -> Vote {
    let voted_for = NodeId { broker: BrokerId(1), incarnation: 1 };
    Vote { leader_epoch: LeaderEpoch(1), voted_for, is_committed: true }
}

async fn start(options: &StoreOptions) -> Rc<Store> {
    let recovered = crate::read_journal(options, [1; 16], 0).await.unwrap();
    assert!(recovered.corruptions.is_empty());
    Store::start(recovered, options.clone(), |_| ALONE).await.unwrap()
}

fn batch(size_bytes: usize) -> Vec<u8> {
    let value = vec![7; size_bytes];
    let record =
        NewRecord { timestamp: Timestamp(1), key: None, value: Some(&value), headers: &[] };
    let mut builder = BatchBuilder::new();
    builder.push(&record);
    builder.finish(ProducerStamp::NONE)
}

async fn append(log: &Rc<Log>, size_bytes: usize) {
    let batch = batch(size_bytes);
    log.admitted(batch.len()).await.unwrap();
    log.append_batch(LeaderEpoch(1), &BatchHeader::read(&batch).unwrap(), &batch);
}

/// Runs a test on both machines with an empty directory of its own, with either way to flush.
fn on_both_machines<Test: Future<Output = ()> + 'static>(
    name: &str,
    test: impl Fn(StoreOptions) -> Test,
) {
    for method in [FlushMethod::WriteDurably, FlushMethod::WriteThenFlush] {
        // A file system with direct I/O: not every directory for temporary files has it.
        let executable = std::env::current_exe().unwrap();
        let directory = format!("store-{name}-{method:?}-{}", std::process::id());
        let directory: PathBuf = executable.parent().unwrap().join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        runtime::block_on(test(options(&directory, method))).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        for seed in 0..20 {
            sim::run(seed, Disk::new(), || test(options(Path::new("/"), method)));
        }
    }
}

struct Listener {
    store: std::rc::Weak<Store>,
    log: std::rc::Weak<Log>,
}

impl LogListener for Listener {
    fn progressed(&self) {
        let (Some(store), Some(log)) = (self.store.upgrade(), self.log.upgrade()) else { return };
        let acknowledged = Traced::Acknowledged(log.partition(), log.ends().flushed_count);
        store.shared.journal.trace.borrow_mut().push(acknowledged);
    }

    fn stopped(&self) {}
}

/// The ends of the logs whose entries are in a commit.
fn ends_in(commit: &bytes::Bytes) -> Vec<(TopicPartition, u64)> {
    let (header, _) = CommitHeader::decode(commit).unwrap().unwrap();
    // In a buffer of its own, because frames are read in place at multiples of 8.
    let mut body = runtime::AlignedBuf::with_capacity(commit.len());
    body.extend_from_slice(&commit[HEADER_SIZE_BYTES..]);
    let mut ends = Vec::new();
    for frame in Frames::new(&body, header.frames_count) {
        let (frame, payload) = frame.unwrap();
        match frame.content() {
            Content::Entry(entry) => ends.push((frame.partition(), entry.index.0 + 1)),
            Content::Base => {
                let mut aligned = runtime::AlignedBuf::with_capacity(payload.len());
                aligned.extend_from_slice(&body[payload]);
                let log = crate::RecoveredLog::decode_for_tests(&frame, aligned.freeze());
                ends.push((frame.partition(), log.end_count()));
            }
            _ => {}
        }
    }
    ends
}

#[test]
fn w1_w2_no_acknowledgement_precedes_the_completed_flush_that_covers_it() {
    on_both_machines("flushes", |options| async move {
        let store = start(&options).await;
        let mut logs = Vec::new();
        for (number, durability) in
            [(0, Durability::Durable), (1, Durability::Relaxed), (2, Durability::Durable)]
        {
            let log = store.create(partition(number), durability, vote(), ALONE).await.unwrap();
            let (store, weak) = (Rc::downgrade(&store), Rc::downgrade(&log));
            log.listen(Rc::new(Listener { store, log: weak }));
            logs.push(log);
        }
        for round in 0..40 {
            for log in &logs {
                append(log, 50 + round * 37).await;
            }
            if round % 3 == 0 {
                runtime::yield_now().await;
            }
            if round % 10 == 7 {
                store.checkpoint().await.unwrap();
            }
        }
        for log in &logs {
            while log.ends().flushed_count < log.ends().end_count {
                runtime::sleep(Duration::from_micros(50)).await;
            }
        }
        check_trace(&store.shared.journal.trace.take(), &[0, 1, 2].map(partition));
        store.close().await.unwrap();
    });
}

fn check_trace(trace: &[Traced], partitions: &[TopicPartition]) {
    let mut completed: BTreeMap<TopicPartition, u64> = BTreeMap::new();
    let mut in_flight: BTreeMap<Durability, (u64, Vec<(TopicPartition, u64)>)> = BTreeMap::new();
    let mut last_sequences: BTreeMap<Durability, u64> = BTreeMap::new();
    let mut acknowledged_count = 0;
    for event in trace {
        match event {
            Traced::Submitted(stream, commit) => {
                let (header, _) = CommitHeader::decode(commit).unwrap().unwrap();
                let before = in_flight.insert(*stream, (header.sequence, ends_in(commit)));
                assert!(before.is_none(), "W1: one commit in flight");
                let last = last_sequences.insert(*stream, header.sequence);
                assert!(last.is_none_or(|last| last + 1 == header.sequence), "W1: in order");
            }
            Traced::Completed(stream) => {
                let (_, ends) = in_flight.remove(stream).unwrap();
                for (partition, end) in ends {
                    let known = completed.entry(partition).or_default();
                    *known = end.max(*known);
                }
            }
            Traced::Acknowledged(partition, count) => {
                let completed = completed.get(partition).copied().unwrap_or(0);
                assert!(*count <= completed, "W2: {partition}: {count} of {completed}");
                acknowledged_count += 1;
            }
        }
    }
    assert!(partitions.iter().all(|partition| completed[partition] == 40), "{completed:?}");
    assert!(20 < acknowledged_count, "{acknowledged_count}");
}

#[test]
fn w8_uncommitted_bytes_are_bounded_and_a_checkpoint_holds_them() {
    on_both_machines("uncommitted", |options| async move {
        let limit_bytes = options.uncommitted_bytes_max();
        let store = start(&options).await;
        let grouped = LogOptions { is_alone: false, ..ALONE };
        let created = store.create(partition(0), Durability::Durable, vote(), grouped);
        let log = created.await.unwrap();
        let refused = loop {
            let batch = batch(900);
            match log.admitted(batch.len()).await {
                Ok(()) => append(&log, 900).await,
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, AppendError::Uncommitted { .. }), "{refused}");
        assert!(store.shared.uncommitted_bytes() <= limit_bytes);
        // As often as anybody likes, because the carry fits.
        for _ in 0..20 {
            store.checkpoint().await.unwrap();
        }
        // What is committed makes room.
        log.commit(log.ends().flushed_count);
        append(&log, 900).await;
        store.close().await.unwrap();
    });
}
