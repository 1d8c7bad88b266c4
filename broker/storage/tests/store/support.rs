//! What the tests of the store share.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use model::record_batch::{BatchBuilder, BatchHeader, Batches, NewRecord, ProducerStamp, Records};
use model::{
    BrokerId, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp,
    TopicId, TopicPartition,
};
use runtime::sim::{self, Disk};
use storage::{
    CompactionRules, Corruption, DirectoryId, Durability, FlushMethod, Log, LogOptions, ReadError,
    ReadOutcome, ReadRequest, SegmentAge, Slice, Store, StoreOptions, Vote,
};

pub(crate) const DIRECTORY_ID: DirectoryId = *b"0123456789abcdef";

/// Small files, so that a few writes fill them.
pub(crate) fn small_options(data_dir: &Path, boot: u8) -> StoreOptions {
    StoreOptions {
        data_dir: data_dir.to_owned(),
        boot_id: [boot; 16],
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
    }
}

pub(crate) const ALONE: LogOptions = LogOptions {
    segment_bytes_max: 20_000,
    segment_age: SegmentAge::ANY,
    index_interval_bytes: 1000,
    is_alone: true,
};

/// Whatever can be compacted is.
pub(crate) const COMPACT_ALL: CompactionRules = CompactionRules {
    now: Timestamp(0),
    lag_min_ms: 0,
    lag_max_ms: i64::MAX,
    dirty_ratio_min: 0.0,
    tombstones_ms: 0,
};

pub(crate) fn partition(number: i32) -> TopicPartition {
    let topic = TopicId::from_random(number.cast_unsigned().into());
    TopicPartition { topic, partition: PartitionIndex(number) }
}

pub(crate) fn vote(leader_epoch: i32) -> Vote {
    Vote {
        leader_epoch: LeaderEpoch(leader_epoch),
        voted_for: NodeId { broker: BrokerId(1), incarnation: 1 },
        is_committed: true,
    }
}

/// Recovers journal 0 and goes on with it.
pub(crate) async fn open(
    options: &StoreOptions,
    log_options: LogOptions,
) -> (Rc<Store>, Vec<Corruption>) {
    let recovered = storage::read_journal(options, DIRECTORY_ID, 0).await.unwrap();
    let corruptions = recovered.corruptions.clone();
    let store = Store::start(recovered, options.clone(), |_| log_options).await.unwrap();
    (store, corruptions)
}

/// The same with a journal that nothing is wrong with.
pub(crate) async fn open_whole(options: &StoreOptions, log_options: LogOptions) -> Rc<Store> {
    let (store, corruptions) = open(options, log_options).await;
    assert!(corruptions.is_empty(), "{corruptions:?}");
    store
}

/// The log of partition 0, led in a new epoch; made if it is not there.
pub(crate) async fn opened(store: &Rc<Store>, options: LogOptions) -> Rc<Log> {
    let log = match store.log(partition(0)) {
        Some(log) => log,
        None => {
            let created = store.create(partition(0), Durability::Durable, vote(0), options);
            created.await.unwrap()
        }
    };
    let epoch = log.vote().leader_epoch.0 + 1;
    log.save_vote(vote(epoch));
    log.voted().await.unwrap();
    log
}

/// A batch of records with these values, all of one time.
pub(crate) fn batch(values: &[&[u8]], timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new();
    for value in values {
        let record = NewRecord {
            timestamp: Timestamp(timestamp),
            key: None,
            value: Some(value),
            headers: &[],
        };
        builder.push(&record);
    }
    Bytes::from(builder.finish(ProducerStamp::NONE))
}

/// A batch of one record with a key.
pub(crate) fn keyed_batch(key: &[u8], value: &[u8], timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new();
    let (timestamp, key, value) = (Timestamp(timestamp), Some(key), Some(value));
    builder.push(&NewRecord { timestamp, key, value, headers: &[] });
    Bytes::from(builder.finish(ProducerStamp::NONE))
}

/// A batch of one record of an idempotent producer, the `number`th.
pub(crate) fn idempotent_batch(value: &[u8], number: u64) -> Bytes {
    let mut builder = BatchBuilder::new();
    let record = NewRecord { timestamp: Timestamp(1), key: None, value: Some(value), headers: &[] };
    builder.push(&record);
    Bytes::from(builder.finish(ProducerStamp {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(0),
        base_sequence: i32::try_from(number).unwrap(),
        ..ProducerStamp::NONE
    }))
}

/// A value that tells its number, of any size.
pub(crate) fn value(number: u64, size_bytes: usize) -> Vec<u8> {
    let mut value = number.to_le_bytes().to_vec();
    let mut state = number;
    while value.len() < size_bytes {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        value.push(state.to_be_bytes()[0]);
    }
    value
}

/// Appends a batch when it is admitted.
pub(crate) async fn append(log: &Rc<Log>, epoch: i32, batch: &Bytes) -> storage::Entry {
    log.admitted(batch.len()).await.unwrap();
    let header = BatchHeader::read(batch).unwrap();
    log.append_batch(LeaderEpoch(epoch), &header, batch)
}

/// Waits until so many entries are flushed.
pub(crate) async fn flushed(log: &Rc<Log>, count: u64) {
    while log.ends().flushed_count < count {
        runtime::sleep(Duration::from_micros(20)).await;
    }
}

/// What a request reads, from memory or from disk.
pub(crate) async fn read(log: &Rc<Log>, request: &ReadRequest) -> Result<Vec<Slice>, ReadError> {
    match log.read(request)? {
        ReadOutcome::Ready(slices) => Ok(slices),
        ReadOutcome::Cold(cold) => cold.run().await,
    }
}

/// All values from an offset on, up to what is committed, with their offsets; checks that nothing
/// is missing between them.
pub(crate) async fn read_values(
    log: &Rc<Log>,
    from: Offset,
    bytes_max: usize,
) -> Vec<(i64, Vec<u8>)> {
    let values = read_left_values(log, from, bytes_max).await;
    let is_dense = values.iter().zip(from.0..).all(|((offset, _), expected)| *offset == expected);
    assert!(is_dense, "offsets have no gaps: {:?}", values.iter().map(|(offset, _)| offset));
    values
}

/// The same of a log that may have been compacted.
pub(crate) async fn read_left_values(
    log: &Rc<Log>,
    from: Offset,
    bytes_max: usize,
) -> Vec<(i64, Vec<u8>)> {
    let mut values = Vec::new();
    let mut offset = from;
    let up_to = log.ends().committed_offset;
    while offset < up_to {
        let request = ReadRequest { offset, bytes_max, up_to, at_least_one_batch: true };
        let bytes = concat(&read(log, &request).await.unwrap()).await;
        assert!(!bytes.is_empty(), "there is a batch at {offset}, below {up_to}");
        let before = offset;
        for found in Batches::new(&bytes) {
            let (header, bytes) = found.unwrap();
            model::record_batch::check_crc(bytes).unwrap();
            assert!(offset < header.next_offset());
            for record in Records::read(bytes).unwrap() {
                let record = record.unwrap();
                let at = header.base_offset + i64::from(record.offset_delta);
                if from <= at {
                    values.push((at.0, record.value.unwrap().to_vec()));
                }
            }
            offset = header.next_offset();
        }
        assert!(before < offset);
    }
    values
}

pub(crate) async fn concat(slices: &[Slice]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for slice in slices {
        match slice {
            Slice::Memory(piece) => bytes.extend_from_slice(piece),
            Slice::File(slice) => {
                let read = slice.file.read_exact_at(slice.position, slice.size_bytes).await;
                bytes.extend_from_slice(&read.unwrap());
            }
        }
    }
    bytes
}

/// Runs a test on both machines, each with an empty directory of its own: a process after another,
/// each of which begins where the one before was killed with nothing in flight. What one life
/// returns is given to the next.
pub(crate) fn lives<Memory: Default + 'static, Life: Future<Output = Memory> + 'static>(
    lives_count: u64,
    life: impl Fn(PathBuf, u64, Memory) -> Life,
) {
    let directory = Directory::new();
    let mut memory = Memory::default();
    for number in 0..lives_count {
        memory = runtime::block_on(life(directory.0.clone(), number, memory)).unwrap();
    }
    for seed in 0..10 {
        let mut memory = Memory::default();
        let mut disk = Disk::new();
        for number in 0..lives_count {
            (memory, disk) = sim::run(seed, disk, || life(PathBuf::from("/"), number, memory));
        }
    }
}

/// A directory for one test, on a file system that takes direct I/O, removed at its end.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("store-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
