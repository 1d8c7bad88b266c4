//! A replica over a real log, on the simulated machine: several lives on one disk.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use model::record_batch::{AppendRules, BatchBuilder, NewRecord, ProducerStamp};
use model::{
    BrokerId, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp,
    TopicId, TopicPartition,
};
use replication::{
    AppendRefused, Appended, Batch, Enforced, EpochEnd, Isolation, Membership, ReadFrom,
    ReadRefused, Replica, Retention, SequenceError, WaitError,
};
use runtime::Neighbours;
use runtime::sim::{self, Disk, Fault, OperationKind, Simulation};
use storage::{
    AppendError, Durability, FlushMethod, LogOptions, ReadError, ReadOutcome, SegmentAge, Store,
    StoreOptions, Vote,
};

const NODE: NodeId = NodeId { broker: BrokerId(1), incarnation: 1 };
const OPTIONS: LogOptions = LogOptions {
    segment_bytes_max: 20_000,
    segment_age: SegmentAge::ANY,
    index_interval_bytes: 1000,
    is_alone: true,
};
const BATCH_BYTES_MAX: usize = 8 << 10;

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicId::from_random(1), partition: PartitionIndex(0) }
}

async fn open() -> (Rc<Store>, Rc<Replica>) {
    let options = StoreOptions {
        data_dir: Path::new("/").to_owned(),
        boot_id: [1; 16],
        cores_count: 1,
        is_direct: true,
        flush_method: FlushMethod::WriteDurably,
        journal_file_bytes: 128 << 10,
        journal_files_count: 2,
        checkpoint_interval: Duration::from_secs(3600),
        applied_interval: 8,
        tail_bytes_max: 64 << 10,
        compaction_bytes_max: 64 << 10,
        open_segments_max: 8,
        background_bytes_per_second: None,
    };
    let recovered = storage::read_journal(&options, [7; 16], 0).await.unwrap();
    assert!(recovered.corruptions.is_empty());
    let store = Store::start(recovered, options, |_| OPTIONS).await.unwrap();
    let log = match store.log(partition()) {
        Some(log) => log,
        None => {
            let vote = Vote { leader_epoch: LeaderEpoch(-1), voted_for: NODE, is_committed: true };
            store.create(partition(), Durability::Durable, vote, OPTIONS).await.unwrap()
        }
    };
    (store, Replica::open(log, NODE, BATCH_BYTES_MAX).await.unwrap())
}

fn batch_of(stamp: ProducerStamp, value: &[u8], records: usize) -> Batch {
    let mut builder = BatchBuilder::new();
    for _ in 0..records {
        let record =
            NewRecord { timestamp: Timestamp(1000), key: None, value: Some(value), headers: &[] };
        builder.push(&record);
    }
    let bytes = Bytes::from(builder.finish(stamp));
    let validated = model::record_batch::validate_from_client(&bytes, AppendRules::NONE).unwrap();
    Batch { header: validated.header, bytes }
}

fn numbered(epoch: i16, base_sequence: i32) -> Batch {
    let stamp = ProducerStamp {
        producer_id: ProducerId(5),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
        ..ProducerStamp::NONE
    };
    batch_of(stamp, b"numbered", 1)
}

fn plain(value: &[u8]) -> Batch {
    batch_of(ProducerStamp::NONE, value, 1)
}

async fn flushed(replica: &Replica, appended: Appended) {
    replica.wait_past(appended.leader_epoch, appended.next_offset).await.unwrap();
}

fn read_from(offset: i64) -> ReadFrom {
    ReadFrom {
        leader_epoch: LeaderEpoch::NONE,
        offset: Offset(offset),
        bytes_max: 1 << 20,
        at_least_one_batch: true,
        isolation: Isolation::ReadUncommitted,
    }
}

fn bytes_read(replica: &Replica, from: &ReadFrom) -> usize {
    match replica.read(from).unwrap() {
        ReadOutcome::Ready(slices) => slices.iter().map(storage::Slice::size_bytes).sum(),
        ReadOutcome::Cold(_) => panic!("what was just appended is in memory"),
    }
}

#[test]
fn every_start_leads_in_a_new_epoch_and_the_membership_is_written_once() {
    let mut disk = Disk::new();
    for life in 0..4 {
        (_, disk) = sim::run(life, disk, move || async move {
            let (_store, replica) = open().await;
            let epoch = LeaderEpoch(i32::try_from(life).unwrap());
            assert_eq!(replica.leader(), Some(epoch));
            let appended = replica.append(plain(b"x")).await.unwrap();
            assert_eq!(appended.leader_epoch, epoch);
            let membership = Membership::decode(&replica.log().membership()).unwrap();
            assert_eq!(membership.voters, [NODE]);
            flushed(&replica, appended).await;
            assert_eq!(replica.log().ends().end_count, life + 2);
        });
    }
}

/// kafka-compatibility 3.3, dedup and pipelining: the state is changed by the append and answered
/// by the commit, and is built anew from the log.
#[test]
fn duplicates_are_known_after_a_restart() {
    // With every number of batches: before, at and after the applied state is kept in a file.
    for batches_count in 1..30 {
        let mut disk = Disk::new();
        for life in 0..3 {
            (_, disk) = sim::run(batches_count, disk, move || async move {
                let (store, replica) = open().await;
                let count = i32::try_from(batches_count).unwrap();
                let first = life * count;
                for sequence in (first - 5).max(0)..first {
                    let known = replica.append(numbered(0, sequence)).await.unwrap();
                    let expected = (Offset(sequence.into()), true);
                    assert_eq!((known.base_offset, known.is_duplicate), expected);
                }
                if 0 < life {
                    let error = replica.append(numbered(0, first + 1)).await.unwrap_err();
                    let last = first - 1;
                    let expected = SequenceError::OutOfOrder { sequence: first + 1, last };
                    assert!(
                        matches!(&error, AppendRefused::Sequence(found) if *found == expected),
                        "{error}"
                    );
                }
                for sequence in first..first + count {
                    let appended = replica.append(numbered(0, sequence)).await.unwrap();
                    assert!(!appended.is_duplicate);
                    flushed(&replica, appended).await;
                    if sequence % 7 == 3 {
                        store.checkpoint().await.unwrap();
                    }
                }
            });
        }
    }
}

/// kafka-compatibility 3.8, 1: order per partition survives, also where the journal is congested.
#[test]
fn batches_are_appended_in_the_order_of_the_calls() {
    for seed in 0..20 {
        sim::run(seed, Disk::new(), || async {
            let (_store, replica) = open().await;
            let value = vec![9; 3000];
            let pending: Vec<_> = (0..200).map(|_| replica.append(plain(&value))).collect();
            assert!(0 < replica.waiting_count(), "more than the journal takes at once");
            let mut last = None;
            for (n, append) in (0..).zip(pending) {
                let appended = append.await.unwrap();
                assert_eq!(appended.base_offset, Offset(n));
                last = Some(appended);
            }
            flushed(&replica, last.unwrap()).await;
            assert_eq!(replica.progress().high_watermark, Offset(200));
        });
    }
}

/// Otherwise the memory of requests that are given up would be held by nobody's budget.
#[test]
fn a_batch_that_is_given_up_before_the_log_takes_it_is_not_appended() {
    sim::run(4, Disk::new(), || async {
        let (_store, replica) = open().await;
        let value = vec![9; 3000];
        let mut pending: Vec<_> = (0..200).map(|_| replica.append(plain(&value))).collect();
        let waiting_count = replica.waiting_count();
        assert!(100 < waiting_count);
        pending.truncate(150);
        let last = replica.append(plain(b"last"));
        for append in pending {
            append.await.unwrap();
        }
        assert_eq!(last.await.unwrap().base_offset, Offset(150));
        // While nothing is taken, those who give up make room for those who come.
        let kept: Vec<_> = (0..100).map(|_| replica.append(plain(&value))).collect();
        for _ in 0..1000 {
            drop(replica.append(plain(&value)));
        }
        assert!(replica.waiting_count() < 600, "{}", replica.waiting_count());
        for append in kept {
            append.await.unwrap();
        }
    });
}

#[test]
fn nothing_is_read_before_it_is_flushed_and_epochs_are_checked() {
    sim::run(3, Disk::new(), || async {
        let (_store, replica) = open().await;
        let first = replica.append(plain(b"first")).await.unwrap();
        assert_eq!(replica.progress().log_end, Offset(1));
        assert_eq!(bytes_read(&replica, &read_from(0)), 0);
        // kafka-compatibility 3.4: between the high watermark and the end nothing is out of range.
        assert_eq!(bytes_read(&replica, &read_from(1)), 0);
        flushed(&replica, first).await;
        assert!(0 < bytes_read(&replica, &read_from(0)));
        assert_eq!(bytes_read(&replica, &read_from(1)), 0);
        for outside in [-1, 2] {
            let refused = replica.read(&read_from(outside)).unwrap_err();
            assert!(matches!(refused, ReadRefused::Log(ReadError::OutOfRange { .. })));
        }
        let ours = first.leader_epoch;
        let of_epoch = |epoch| ReadFrom { leader_epoch: LeaderEpoch(epoch), ..read_from(0) };
        assert!(0 < bytes_read(&replica, &of_epoch(ours.0)));
        let newer = replica.read(&of_epoch(ours.0 + 1)).unwrap_err();
        assert!(matches!(newer, ReadRefused::UnknownEpoch { .. }), "{newer}");
        assert!(replica.check_epoch(LeaderEpoch(-1)).is_ok());
    });
    let (_, disk) = sim::run(3, Disk::new(), || async { drop(open().await) });
    sim::run(3, disk, || async {
        let (_store, replica) = open().await;
        let older = replica.check_epoch(LeaderEpoch(0)).unwrap_err();
        assert!(matches!(older, ReadRefused::Fenced { .. }), "{older}");
    });
}

#[test]
fn who_waits_hears_that_the_partition_has_left() {
    sim::run(5, Disk::new(), || async {
        let (_store, replica) = open().await;
        let appended = replica.append(plain(b"x")).await.unwrap();
        let waiting = {
            let replica = replica.clone();
            runtime::spawn(async move {
                replica.wait_past(appended.leader_epoch, appended.next_offset + 1).await
            })
        };
        replica.resign();
        assert_eq!(waiting.await, Err(WaitError::EpochOver));
        let refused = replica.append(plain(b"y")).await.unwrap_err();
        assert!(matches!(refused, AppendRefused::NotLeading { .. }), "{refused}");
    });
}

#[test]
fn deleted_records_are_not_read_also_after_a_restart() {
    let (_, disk) = sim::run(9, Disk::new(), || async {
        let (_store, replica) = open().await;
        for _ in 0..10 {
            let appended = replica.append(plain(b"x")).await.unwrap();
            flushed(&replica, appended).await;
        }
        assert_eq!(replica.delete_records(Offset(4)).await.unwrap(), Offset(4));
        assert_eq!(replica.delete_records(Offset(2)).await.unwrap(), Offset(4));
        assert!(replica.read(&read_from(3)).is_err());
        assert!(0 < bytes_read(&replica, &read_from(4)));
    });
    sim::run(9, disk, || async {
        let (_store, replica) = open().await;
        assert_eq!(replica.progress().log_start, Offset(4));
        assert_eq!(replica.delete_records(Offset(400)).await.unwrap(), Offset(10));
    });
}

#[test]
fn what_is_deleted_to_the_end_takes_the_last_segment_along() {
    sim::run(9, Disk::new(), || async {
        let (store, replica) = open().await;
        for round in 1..4 {
            let appended = replica.append(plain(b"x")).await.unwrap();
            flushed(&replica, appended).await;
            for _ in 0..2 {
                replica.delete_records(Offset(round)).await.unwrap();
                store.checkpoint().await.unwrap();
                assert_eq!(store.metrics().segments_removed.get(), round.unsigned_abs());
            }
        }
    });
}

/// As Kafka's log cleaner of old segments has it, `UnifiedLog::deleteOldSegments`.
#[test]
fn what_is_too_old_or_too_much_leaves_the_log() {
    sim::run(10, Disk::new(), || async {
        let (store, replica) = open().await;
        let at = |timestamp: i64| {
            let mut builder = BatchBuilder::new();
            let value = [1; 6000];
            let timestamp = Timestamp(timestamp);
            builder.push(&NewRecord { timestamp, key: None, value: Some(&value), headers: &[] });
            let bytes = Bytes::from(builder.finish(ProducerStamp::NONE));
            let rules = AppendRules::NONE;
            let header = model::record_batch::validate_from_client(&bytes, rules).unwrap().header;
            Batch { header, bytes }
        };
        let enforce = async |now| replica.enforce_retention(Timestamp(now)).await.unwrap();
        let kept = |log_start: i64, due: i64| Enforced {
            log_start: (0 <= log_start).then_some(Offset(log_start)),
            due: (0 <= due).then_some(Timestamp(due)),
        };
        assert_eq!(enforce(i64::MAX).await, kept(-1, -1), "of an empty log");
        // Three of them fill a segment.
        for timestamp in [10, 30, 20, 40, 35, 50, 60] {
            let appended = replica.append(at(timestamp)).await.unwrap();
            flushed(&replica, appended).await;
        }
        assert_eq!(enforce(i64::MAX).await, kept(-1, -1), "everything is kept");

        replica.set_retention(Retention { age_max_ms: Some(100), size_max_bytes: None });
        assert_eq!(enforce(130).await, kept(-1, 130), "not yet older");
        assert_eq!(enforce(131).await, kept(3, 150));
        assert_eq!(enforce(131).await, kept(-1, 150));
        let bytes = replica.log().size_bytes().await.unwrap();
        replica.set_retention(Retention { age_max_ms: None, size_max_bytes: Some(bytes / 4 + 1) });
        assert_eq!(enforce(131).await, kept(-1, -1), "too little would stay");
        replica.set_retention(Retention { age_max_ms: None, size_max_bytes: Some(bytes / 4) });
        assert_eq!(enforce(131).await, kept(6, -1));
        // The segment that takes the appends goes as well, once all of it is too old.
        replica.set_retention(Retention { age_max_ms: Some(100), size_max_bytes: None });
        assert_eq!(enforce(160).await, kept(-1, 160));
        assert_eq!(enforce(161).await, kept(7, -1));
        assert_eq!(enforce(i64::MAX).await, kept(-1, -1));
        assert_eq!(replica.progress().high_watermark, Offset(7));
        store.checkpoint().await.unwrap();
        assert_eq!(replica.log().size_bytes().await.unwrap(), 0);

        let appended = replica.append(at(1)).await.unwrap();
        assert_eq!(appended.base_offset, Offset(7));
        flushed(&replica, appended).await;
        assert!(0 < bytes_read(&replica, &read_from(7)));
        replica.resign();
        assert_eq!(enforce(i64::MAX).await, kept(-1, -1), "only a leader moves the start");
    });
}

/// What Kafka's leaders remember of epochs, and what they make of it: `LeaderEpochFileCache`.
#[derive(Clone, Debug, Default)]
struct KafkaEpochs(BTreeMap<i32, i64>);

impl KafkaEpochs {
    fn assign(&mut self, epoch: i32, start: i64) {
        self.0.retain(|known, known_start| *known < epoch && *known_start < start);
        self.0.insert(epoch, start);
    }

    fn truncate_from_start(&mut self, log_start: i64) {
        let gone = self.0.iter().filter(|(_, start)| **start <= log_start);
        let Some(last) = gone.map(|(epoch, _)| *epoch).next_back() else { return };
        self.0.retain(|epoch, _| last <= *epoch);
        self.0.insert(last, log_start);
    }

    /// -1 and -1 if it is undefined.
    fn end_offset_for(&self, requested: i32, log_end: i64) -> (i32, i64) {
        let latest = self.0.keys().next_back().copied();
        let higher = self.0.range(requested + 1..).next();
        match (requested, higher) {
            (-1, _) => (-1, -1),
            (requested, _) if latest == Some(requested) => (requested, log_end),
            (_, None) => (-1, -1),
            (requested, Some((_, end))) => match self.0.range(..=requested).next_back() {
                None => (requested, *end),
                Some((floor, _)) => (*floor, *end),
            },
        }
    }
}

/// Over lives, checkpoints and deleted records: the log's entries tell what Kafka's file of epochs
/// would.
#[test]
fn the_ends_of_epochs_are_those_that_kafka_would_tell() {
    let mut questions_count = 0;
    for seed in 0..30 {
        let (mut disk, mut kafka) = (Disk::new(), KafkaEpochs::default());
        let mut count = 0;
        for life in 0..12 {
            let mut epochs = kafka.clone();
            ((epochs, count), disk) = sim::run(seed * 100 + life, disk, move || async move {
                let (store, replica) = open().await;
                let epoch = replica.leader().unwrap().0;
                epochs.assign(epoch, replica.progress().log_end.0);
                for _ in 0..runtime::with_rng(|rng| rng.below(4)) {
                    let (records, size_bytes) =
                        runtime::with_rng(|rng| (1 + rng.index(3), rng.index(2000)));
                    let batch = batch_of(ProducerStamp::NONE, &vec![7; size_bytes], records);
                    let appended = replica.append(batch).await.unwrap();
                    flushed(&replica, appended).await;
                    match runtime::with_rng(|rng| rng.below(6)) {
                        0 => store.checkpoint().await.unwrap(),
                        1 => {
                            let end = replica.progress().log_end.0.unsigned_abs();
                            let before = runtime::with_rng(|rng| rng.below(end)).cast_signed();
                            let log_start = replica.delete_records(Offset(before)).await.unwrap();
                            epochs.truncate_from_start(log_start.0);
                        }
                        _ => {}
                    }
                }
                let log_end = replica.progress().log_end.0;
                let mut count = count;
                for requested in -3..epoch + 3 {
                    let found = replica.epoch_end(LeaderEpoch(requested)).await.unwrap();
                    let found = found.map_or((-1, -1), |it| (it.leader_epoch.0, it.end_offset.0));
                    let expected = epochs.end_offset_for(requested, log_end);
                    assert_eq!(found, expected, "epoch {requested} of {epochs:?}, {log_end}");
                    count += 1;
                }
                (epochs, count)
            });
            kafka = epochs;
        }
        questions_count += count;
    }
    assert!(1000 < questions_count, "{questions_count} questions");
}

#[test]
fn a_reader_whose_log_is_another_is_told_where_they_part() {
    let mut disk = Disk::new();
    for life in 0..3 {
        (_, disk) = sim::run(life, disk, move || async move {
            let (_store, replica) = open().await;
            // Epochs 0 and 2 have two records each, epoch 1 has none.
            for _ in 0..if life == 1 { 0 } else { 2 } {
                let appended = replica.append(plain(b"x")).await.unwrap();
                flushed(&replica, appended).await;
            }
            if life < 2 {
                return;
            }
            replica.delete_records(Offset(1)).await.unwrap();
            let end = |leader_epoch, end_offset| EpochEnd {
                leader_epoch: LeaderEpoch(leader_epoch),
                end_offset: Offset(end_offset),
            };
            for (offset, last_epoch, expected) in [
                (1, 0, None),
                (2, 0, None),
                (3, 0, Some(end(0, 2))),
                (2, 1, Some(end(0, 2))),
                (4, 2, None),
                (5, 2, Some(end(2, 4))),
            ] {
                let found = replica.divergence(&read_from(offset), LeaderEpoch(last_epoch)).await;
                assert_eq!(found.unwrap(), expected, "{offset} after epoch {last_epoch}");
            }
            for (offset, last_epoch) in [(0, 0), (2, 3), (2, -1)] {
                let found = replica.divergence(&read_from(offset), LeaderEpoch(last_epoch)).await;
                let error = found.unwrap_err();
                assert!(matches!(error, ReadRefused::Log(ReadError::OutOfRange { .. })), "{error}");
            }
            let believed = ReadFrom { leader_epoch: LeaderEpoch(1), ..read_from(2) };
            let error = replica.divergence(&believed, LeaderEpoch(0)).await.unwrap_err();
            assert!(matches!(error, ReadRefused::Fenced { .. }), "{error}");
        });
    }
}

#[test]
fn a_batch_that_the_journal_could_never_take_is_refused() {
    sim::run(1, Disk::new(), || async {
        let (_store, replica) = open().await;
        let refused = replica.append(plain(&[1; BATCH_BYTES_MAX])).await.unwrap_err();
        assert!(matches!(refused, AppendRefused::TooLarge { limit_bytes: BATCH_BYTES_MAX, .. }));
    });
}

/// Runs a life in which every operation that `is_faulty` picks fails.
fn with_faults<Main: Future<Output = ()> + 'static>(
    is_faulty: impl Fn(&sim::Operation<'_>) -> bool + 'static,
    error: std::io::ErrorKind,
    main: impl FnOnce(Rc<Cell<bool>>) -> Main,
) {
    let mut simulation = Simulation::new(2);
    let machine = simulation.add_machine(Disk::new());
    let is_on = Rc::new(Cell::new(false));
    let switch = is_on.clone();
    let mains = vec![move || main(switch)];
    let (_, mains) = simulation.start(machine, &Neighbours::new(1), mains);
    simulation.inject(move |operation| match is_on.get() && is_faulty(operation) {
        true => Fault::Error(error),
        false => Fault::None,
    });
    simulation.run_until(|| mains[0].is_ready());
}

#[test]
fn after_a_failed_write_nothing_is_acknowledged_any_more() {
    let journal = |operation: &sim::Operation<'_>| operation.kind == OperationKind::Write;
    with_faults(journal, std::io::ErrorKind::Other, |is_on| async move {
        let (_store, replica) = open().await;
        let before = replica.append(plain(b"before")).await.unwrap();
        flushed(&replica, before).await;
        is_on.set(true);
        let lost = replica.append(plain(b"lost")).await.unwrap();
        let outcome = replica.wait_past(lost.leader_epoch, lost.next_offset).await;
        assert_eq!(outcome, Err(WaitError::Stopped));
        is_on.set(false);
        let refused = replica.append(plain(b"after")).await.unwrap_err();
        assert!(matches!(refused, AppendRefused::Log(AppendError::Stopped(_))), "{refused}");
        assert_eq!(replica.progress().high_watermark, Offset(1));
        // What was committed is still there to be read.
        assert!(0 < bytes_read(&replica, &read_from(0)));
    });
}

#[test]
fn a_full_disk_refuses_appends_until_there_is_room() {
    let reserving = |operation: &sim::Operation<'_>| operation.kind == OperationKind::Resize;
    with_faults(reserving, std::io::ErrorKind::StorageFull, |is_on| async move {
        let (_store, replica) = open().await;
        is_on.set(true);
        let value = vec![4; 4000];
        let refused = loop {
            match replica.append(plain(&value)).await {
                Ok(appended) => flushed(&replica, appended).await,
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, AppendRefused::Log(AppendError::NoSpace { .. })), "{refused}");
        let end = replica.progress().log_end;
        is_on.set(false);
        let appended = replica.append(plain(&value)).await.unwrap();
        assert_eq!(appended.base_offset, end);
        flushed(&replica, appended).await;
    });
}
