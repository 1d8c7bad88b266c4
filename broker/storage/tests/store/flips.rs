//! Bits of a small data directory, each flipped alone; the lengths to which a file may be cut; every
//! file taken away. After each a start either finds everything that was acknowledged, byte for byte,
//! or it is said that something is wrong: by the start, by a partition that takes no appends, or to
//! the reader. What may go without a word stands in `FORMAT.md`: the last commit of the relaxed
//! stream, which nothing follows (section 7), and what lies outside of a batch's checksum in slices
//! that are sent from the page cache (section 6).
//!
//! All bits of superblock, headers of commits, entries, indexes, lists of compacted segments, their
//! checksums and applied state; of frames and
//! batches one in so many. `HIGHWATER_FLIPS=1/8` tries every single bit, also of space that was never
//! written, in eight parts, of which this is the first: each is some five minutes of processor time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::iter::StepBy;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::record_batch::{BatchHeader, check_crc};
use model::{LeaderEpoch, Offset, Timestamp};
use runtime::sim::{self, Disk};
use storage::{
    Admission, AppendError, AppliedState, Durability, Entry, EntryKind, Found, Log, LogEnds,
    LogOptions, ReadRequest, SegmentAge, Slice, StartError, Store, StoreOptions, Vote,
};

use crate::bytes::{SECTOR_BYTES, live_commits};
use crate::support::{
    ALONE, COMPACT_ALL, DIRECTORY_ID, append, batch, flushed, idempotent_batch, keyed_batch,
    partition, read, small_options, value, vote,
};

/// With a segment of which whole blocks are flushed while it is written.
const LARGE: i32 = 0;
const GROUPED: i32 = 2;
const IDEMPOTENT: i32 = 3;
/// Of few keys, and compacted.
const COMPACTED: i32 = 4;
const PARTITIONS: std::ops::Range<i32> = 0..5;
/// At least so much of the directory is not just reserved space.
const CONTENT_BYTES_MIN: usize = 65_536;

fn options(boot: u8) -> StoreOptions {
    StoreOptions {
        journal_file_bytes: 64 << 10,
        applied_interval: 2,
        ..small_options(Path::new("/"), boot)
    }
}

/// Segments of a few batches, each with an index of several points.
fn log_options(number: i32) -> LogOptions {
    LogOptions {
        segment_bytes_max: if number == LARGE { 8000 } else { 1500 },
        segment_age: SegmentAge::ANY,
        index_interval_bytes: 300,
        is_alone: number != GROUPED,
    }
}

/// The batches that were acknowledged, by partition: base offset, and the bytes in the log.
type Batches = BTreeMap<i32, Vec<(Offset, Bytes)>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// In good order.
    Clean,
    /// Killed with nothing in flight, after the seal (W10).
    Killed,
}

struct Applied(u64);

impl AppliedState for Applied {
    fn capture(&self) -> (u64, Bytes) {
        (self.0, Bytes::from_static(b"what has been applied"))
    }
}

async fn live(end: End, acknowledged: Rc<RefCell<Batches>>) {
    let recovered = storage::read_journal(&options(1), DIRECTORY_ID, 0).await.unwrap();
    let store = Store::start(recovered, options(1), |_| ALONE).await.unwrap();
    let mut logs = Vec::new();
    for number in PARTITIONS {
        let durability = if number == 1 { Durability::Relaxed } else { Durability::Durable };
        let created = store.create(partition(number), durability, vote(1), log_options(number));
        logs.push(created.await.unwrap());
    }
    for round in 0..4_u64 {
        let epoch = 1 + i32::try_from(round).unwrap() / 2;
        for log in &logs {
            log.save_vote(vote(epoch));
        }
        for log in &logs {
            log.voted().await.unwrap();
            log.admitted(1500).await.unwrap();
        }
        for (number, log) in PARTITIONS.zip(&logs) {
            if round == 2 && number != 0 {
                let kind = match number {
                    1 => EntryKind::LogStart(Offset(1)),
                    GROUPED => EntryKind::Membership,
                    _ => EntryKind::Blank,
                };
                let payload: &[u8] = if number == GROUPED { b"voters" } else { b"" };
                log.append_other(LeaderEpoch(epoch), kind, payload);
            }
            for n in 3 * round..3 * round + 3 {
                let size_bytes = if number == LARGE { 600 } else { 60 };
                let value = value(n, size_bytes + 60 * usize::try_from(n % 3).unwrap());
                let batch = match number {
                    IDEMPOTENT => idempotent_batch(&value, n),
                    COMPACTED => keyed_batch(&(n % 5).to_le_bytes(), &value, 10 * n.cast_signed()),
                    _ => batch(&[&value, b"second"], 10 * n.cast_signed()),
                };
                let entry = append(log, epoch, &batch).await;
                let base_offset = entry.batch().unwrap().base_offset;
                let mut bytes = batch.to_vec();
                bytes[..8].copy_from_slice(&base_offset.0.to_be_bytes());
                bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
                let mut acknowledged = acknowledged.borrow_mut();
                acknowledged.entry(number).or_default().push((base_offset, bytes.into()));
            }
        }
        for (number, log) in PARTITIONS.zip(&logs) {
            flushed(log, log.ends().end_count).await;
            match number {
                GROUPED => log.commit(log.ends().end_count),
                IDEMPOTENT => {
                    log.set_applied_state(Rc::new(Applied(log.ends().committed_count)));
                }
                _ => {}
            }
        }
        if round == 0 || round == 2 {
            store.checkpoint().await.unwrap();
        }
        if round == 2 {
            let log = &logs[usize::try_from(COMPACTED).unwrap()];
            let clean_end = compact(log).await;
            // Each has one record, the `n`th with the key of `n % 5`.
            let mut acknowledged = acknowledged.borrow_mut();
            let acknowledged = acknowledged.get_mut(&COMPACTED).unwrap();
            let before = acknowledged.len();
            acknowledged.retain(|(offset, _)| clean_end <= *offset + 5);
            assert!(acknowledged.len() < before && 0 < acknowledged[0].0.0, "some are gone");
        }
    }
    match end {
        End::Clean => store.close().await.unwrap(),
        End::Killed => runtime::sleep(Duration::from_millis(150)).await,
    }
}

/// Compacts what can be. Returns up to where no two records have the same key then.
async fn compact(log: &Rc<Log>) -> Offset {
    let dirtiness = log.dirtiness(&COMPACT_ALL).await.unwrap().expect("segments have ended");
    log.compact(&COMPACT_ALL, &dirtiness).await.unwrap().clean_end
}

/// What one log is after a start.
#[derive(Clone, Debug)]
struct SeenLog {
    ends: LogEnds,
    facts: (Vote, Durability, Bytes),
    entries: Option<Vec<Entry>>,
    applied: (Option<Bytes>, u64, Vec<Entry>),
    /// What is found by time; none if that is an error.
    times: Option<Vec<Option<Found>>>,
    batches: Vec<(Offset, Bytes)>,
    /// Some of them were sent from the page cache, which nobody has looked at.
    was_sent: bool,
    read: ReadEnd,
    is_doubtful: bool,
    is_refused: bool,
}

/// How reading a log from its start on ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum ReadEnd {
    #[default]
    Complete,
    Failed(String),
    /// The reader has seen that these are not the bytes that were produced.
    BadChecksum,
    /// Neither bytes nor an error, though there should be some.
    Stalled(Offset),
    /// Another batch than the one that was asked for.
    Skipped(Offset),
}

#[derive(Debug)]
enum Seen {
    Refused(StartError),
    Started { is_read_only: bool, logs: BTreeMap<i32, SeenLog> },
}

async fn start(boot: u8) -> Seen {
    let options = options(boot);
    let found = match storage::find_journals(&options.data_dir).await {
        Ok(found) => found,
        Err(error) => return Seen::Refused(error),
    };
    let directory_id = found.directory_id.unwrap_or(DIRECTORY_ID);
    let recovered = match storage::read_journal(&options, directory_id, 0).await {
        Ok(recovered) => recovered,
        Err(error) => return Seen::Refused(error),
    };
    let log_options = |of: model::TopicPartition| log_options(of.partition.0);
    let store = match Store::start(recovered, options, log_options).await {
        Ok(store) => store,
        Err(error) => return Seen::Refused(error),
    };
    let mut logs = BTreeMap::new();
    for log in store.logs() {
        logs.insert(log.partition().partition.0, look_at(&log).await);
    }
    Seen::Started { is_read_only: store.is_read_only(), logs }
}

async fn look_at(log: &Rc<Log>) -> SeenLog {
    let ends = log.ends();
    let applied = log.recovered_applied().await.unwrap();
    let entries = log.entries(0, ends.end_count).await.ok();
    let mut batches = Vec::new();
    let mut was_sent = false;
    let read = read_all(log, &mut batches, &mut was_sent).await;
    let mut times = Vec::new();
    for time in [60] {
        times.push(log.find_time(Timestamp(time), ends.committed_offset).await);
    }
    times.push(log.find_latest_time(ends.committed_offset).await);
    let times: Result<Vec<_>, _> = times.into_iter().collect();
    SeenLog {
        ends,
        facts: (log.vote(), log.durability(), log.membership()),
        entries,
        applied: (applied.state, applied.count, applied.entries),
        times: times.ok(),
        batches,
        was_sent,
        read,
        is_doubtful: log.is_doubtful(),
        is_refused: matches!(log.admit(100), Admission::Refused(AppendError::Doubtful { .. })),
    }
}

/// As a consumer reads that checks what it gets.
async fn read_all(
    log: &Rc<Log>,
    batches: &mut Vec<(Offset, Bytes)>,
    was_sent: &mut bool,
) -> ReadEnd {
    let up_to = log.ends().committed_offset;
    let mut offset = log.ends().log_start;
    while offset < up_to {
        let request = ReadRequest { offset, bytes_max: 1000, up_to, at_least_one_batch: true };
        let slices = match read(log, &request).await {
            Ok(slices) => slices,
            Err(error) => return ReadEnd::Failed(error.to_string()),
        };
        let mut bytes = Vec::new();
        for slice in &slices {
            match slice {
                Slice::Memory(piece) => bytes.extend_from_slice(piece),
                Slice::File(slice) => {
                    *was_sent = true;
                    let read = slice.file.read_exact_at(slice.position, slice.size_bytes).await;
                    let Ok(read) = read else { return ReadEnd::Failed("file".to_owned()) };
                    bytes.extend_from_slice(&read);
                }
            }
        }
        let bytes = Bytes::from(bytes);
        if bytes.is_empty() {
            return ReadEnd::Stalled(offset);
        }
        let mut at = 0;
        while at < bytes.len() {
            let header = BatchHeader::read(&bytes[at..]);
            let Ok(header) = header else { return ReadEnd::BadChecksum };
            let end = at + header.size_bytes();
            if bytes.len() < end || check_crc(&bytes[at..end]).is_err() {
                return ReadEnd::BadChecksum;
            }
            let is_skipped = offset < header.base_offset && log.partition() != partition(COMPACTED);
            if is_skipped || header.next_offset() <= offset {
                return ReadEnd::Skipped(offset);
            }
            batches.push((header.base_offset, bytes.slice(at..end)));
            offset = header.next_offset();
            at = end;
        }
    }
    ReadEnd::Complete
}

/// What a change of the directory has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Harmless,
    StartRefused,
    JournalDamaged,
    PartitionDoubtful,
    ReaderTold,
    /// The last relaxed commit, taken for torn.
    Torn,
    /// A batch's offset or epoch, which its checksum does not cover, in what was sent from the page
    /// cache.
    SentUnseen,
}

/// The directory, and what is in it.
struct Image {
    disk: Disk,
    boot: u8,
    truth: BTreeMap<i32, SeenLog>,
    acknowledged: Batches,
    /// Where nothing follows: file, first byte, end.
    torn: Option<(PathBuf, usize, usize)>,
}

impl Image {
    fn of(end: End) -> Image {
        let acknowledged = Rc::new(RefCell::new(Batches::new()));
        let ((), mut disk) = sim::run(1, Disk::new(), || live(end, acknowledged.clone()));
        disk.flush_everything();
        let last = live_commits(&disk).into_iter().rfind(|commit| commit.is_relaxed);
        let torn = last
            .filter(|_| end == End::Killed)
            .map(|last| (last.path, last.position, last.position + last.size_bytes));
        // A clean stop outlives the machine.
        let boot = if end == End::Clean { 2 } else { 1 };
        let acknowledged = acknowledged.borrow().clone();
        let (seen, _) = sim::run(2, disk.clone(), || start(boot));
        let Seen::Started { is_read_only: false, logs: truth } = seen else {
            panic!("it is whole: {seen:?}");
        };
        for (number, seen) in &truth {
            assert_eq!(seen.read, ReadEnd::Complete);
            let first = seen.batches[0].0;
            let readable = acknowledged[number].iter().filter(|(offset, _)| first <= *offset);
            // Of a group, what was committed after the last base is to be committed again.
            let read_count = match *number {
                GROUPED => seen.batches.len(),
                _ => usize::MAX,
            };
            assert!(readable.take(read_count).eq(&seen.batches), "{number}");
            assert!(!seen.is_doubtful && !seen.is_refused && seen.times.is_some());
        }
        assert_eq!(truth.len(), acknowledged.len());
        Image { disk, boot, truth, acknowledged, torn }
    }

    fn judge(&self, change: Change<'_>, seen: &Seen) -> Result<Class, String> {
        let (is_read_only, logs) = match seen {
            Seen::Refused(error) if error.to_string().contains("/journal") => {
                return Ok(Class::StartRefused);
            }
            Seen::Refused(error) => return Err(format!("unclear: {error}")),
            Seen::Started { is_read_only, logs } => (*is_read_only, logs),
        };
        let mut class = if is_read_only { Class::JournalDamaged } else { Class::Harmless };
        for (number, truth) in &self.truth {
            let Some(seen) = logs.get(number) else {
                // The server knows from the damage that not everything can be told.
                if is_read_only {
                    continue;
                }
                return Err(format!("{number} is gone"));
            };
            let of_log = self.judge_log(*number, truth, seen, change);
            let of_log = of_log.map_err(|what| format!("{number}: {what}"))?;
            if is_read_only && of_log != Class::PartitionDoubtful {
                return Err(format!("{number} takes appends in a damaged journal"));
            }
            class = class.max(if is_read_only { Class::JournalDamaged } else { of_log });
        }
        Ok(class)
    }

    fn judge_log(
        &self,
        number: i32,
        truth: &SeenLog,
        seen: &SeenLog,
        change: Change<'_>,
    ) -> Result<Class, String> {
        let acknowledged = &self.acknowledged[&number];
        if let Some((offset, bytes)) = seen.batches.iter().find(|of| !acknowledged.contains(of)) {
            // What lies outside of a batch's checksum.
            let is_header = acknowledged.iter().any(|(_, whole)| whole[16..] == bytes[16..]);
            if seen.was_sent && is_header {
                return Ok(Class::SentUnseen);
            }
            return Err(format!("another batch at {offset}, with a good checksum"));
        }
        match &seen.read {
            ReadEnd::Skipped(_) if seen.was_sent => return Ok(Class::SentUnseen),
            ReadEnd::Stalled(_) | ReadEnd::Skipped(_) => return Err(format!("{:?}", seen.read)),
            ReadEnd::Complete | ReadEnd::Failed(_) | ReadEnd::BadChecksum => {}
        }
        if seen.is_doubtful {
            return match seen.is_refused {
                true => Ok(Class::PartitionDoubtful),
                false => Err("doubtful, and takes appends".to_owned()),
            };
        }
        if seen.is_refused {
            return Err("refuses appends, and is not doubtful".to_owned());
        }
        same("facts", &truth.facts, &seen.facts)?;
        same("applied state", &truth.applied, &seen.applied)?;
        if seen.ends != truth.ends {
            if !self.may_be_torn(number, change) {
                same("ends", &truth.ends, &seen.ends)?;
            }
            let entries = seen.entries.as_ref().ok_or("no entries")?;
            let is_begin = truth.entries.as_ref().is_some_and(|all| all.starts_with(entries))
                && truth.batches.starts_with(&seen.batches)
                && seen.read == ReadEnd::Complete;
            return if is_begin { Ok(Class::Torn) } else { Err("torn and wrong".to_owned()) };
        }
        let mut class = Class::Harmless;
        match (&truth.entries, &seen.entries) {
            (Some(truth), Some(seen)) => same("entries", truth, seen)?,
            _ => class = Class::ReaderTold,
        }
        match (&truth.times, &seen.times) {
            (Some(truth), Some(seen)) => same("times", truth, seen)?,
            _ => class = Class::ReaderTold,
        }
        match seen.read {
            ReadEnd::Complete if truth.batches.len() != seen.batches.len() => {
                return Err(format!("{} batches are missing", truth.batches.len()));
            }
            ReadEnd::Complete => {}
            _ => class = Class::ReaderTold,
        }
        Ok(class)
    }

    fn may_be_torn(&self, number: i32, change: Change<'_>) -> bool {
        let Some((torn, from, to)) = &self.torn else { return false };
        number == 1
            && match change.how {
                How::Flip => change.path == torn && (*from..*to).contains(&(change.number / 8)),
                How::Cut | How::Gone => false,
            }
    }
}

fn same<T: PartialEq + Debug>(what: &str, truth: &T, seen: &T) -> Result<(), String> {
    if truth == seen {
        return Ok(());
    }
    Err(format!("{what}: {seen:?} instead of {truth:?}"))
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// The bit of a number.
    Flip,
    /// To a size.
    Cut,
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Change<'a> {
    how: How,
    path: &'a Path,
    number: usize,
}

impl Change<'_> {
    fn make(self, disk: &mut Disk) {
        match self.how {
            How::Flip => disk.flip(self.path, self.number),
            How::Cut => disk.cut(self.path, self.number),
            How::Gone => disk.remove(self.path),
        }
    }

    /// What kind of file it changes, and how.
    fn kind(self) -> (&'static str, &'static str) {
        let how = match self.how {
            How::Flip => "flip",
            How::Cut => "cut",
            How::Gone => "gone",
        };
        (how, kind_of(self.path))
    }
}

/// Changes of one file. All of them together are too many to be listed one by one.
struct Changes {
    how: How,
    path: PathBuf,
    numbers: StepBy<Range<usize>>,
}

impl Changes {
    fn each(&self) -> impl Iterator<Item = Change<'_>> {
        let Changes { how, path, numbers } = self;
        numbers.clone().map(|number| Change { how: *how, path, number })
    }
}

fn kind_of(path: &Path) -> &'static str {
    let name = path.file_name().unwrap().to_str().unwrap();
    let kinds = [
        "superblock",
        "durable",
        "relaxed",
        ".log",
        ".index",
        ".sums",
        "compacted",
        "entries",
        "applied",
    ];
    kinds.into_iter().find(|kind| name.contains(kind)).expect("a file of the store")
}

type Counts = BTreeMap<((&'static str, &'static str), Class), u64>;

/// Tries the changes of the chosen part, on two threads.
fn sweep(images: &[Image; 2], changes: &[Changes]) -> (Counts, Vec<String>) {
    let one = |number: usize| {
        let image = &images[number];
        let (mut counts, mut wrong) = (Counts::new(), Vec::new());
        let mine = Part::chosen().of(changes).skip(number).step_by(images.len());
        for (seed, change) in mine {
            let mut disk = image.disk.clone();
            change.make(&mut disk);
            let boot = image.boot;
            let run = AssertUnwindSafe(|| sim::run(seed, disk, || start(boot)).0);
            let judged = match std::panic::catch_unwind(run) {
                Ok(seen) => image.judge(change, &seen),
                Err(_) => Err("a panic".to_owned()),
            };
            match judged {
                Ok(class) => *counts.entry((change.kind(), class)).or_default() += 1,
                Err(what) => wrong.push(format!("{change:?}: {what}")),
            }
        }
        (counts, wrong)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..images.len()).map(|number| scope.spawn(move || one(number))).collect();
        let (mut counts, mut wrong) = (Counts::new(), Vec::new());
        for thread in threads {
            let (of_thread, wrong_of_thread) = thread.join().unwrap();
            for (key, count) in of_thread {
                *counts.entry(key).or_default() += count;
            }
            wrong.extend(wrong_of_thread);
        }
        (counts, wrong)
    })
}

/// A part of everything that could be changed.
#[derive(Clone, Copy)]
struct Part {
    /// From 0.
    number: usize,
    count: usize,
}

impl Part {
    /// As `HIGHWATER_FLIPS` says; none without it.
    fn of_all() -> Option<Part> {
        let text = std::env::var("HIGHWATER_FLIPS").ok()?;
        let part = text.split_once('/').and_then(|(number, count)| {
            let (number, count): (usize, usize) = (number.parse().ok()?, count.parse().ok()?);
            (1..=count).contains(&number).then(|| Part { number: number - 1, count })
        });
        Some(part.unwrap_or_else(|| panic!("HIGHWATER_FLIPS={text}: write 1/8, 2/8, … 8/8")))
    }

    fn chosen() -> Part {
        Part::of_all().unwrap_or(Part { number: 0, count: 1 })
    }

    /// The changes of this part, each with a number of its own among all of them.
    fn of(self, changes: &[Changes]) -> impl Iterator<Item = (u64, Change<'_>)> {
        let all = changes.iter().flat_map(Changes::each);
        (0..).zip(all).skip(self.number).step_by(self.count)
    }
}

/// What a change is tried with: all bits, or one in so many.
struct Steps {
    /// Of superblock, headers of commits, entries, indexes and applied state.
    structure: usize,
    /// Of frames and batches.
    content: usize,
    /// Of space that was never written.
    reserved: usize,
    /// Lengths of what is cut, beyond its content.
    length: usize,
}

impl Steps {
    fn of(content: usize) -> Steps {
        if Part::of_all().is_some() {
            return Steps { structure: 1, content: 1, reserved: 1, length: 1 };
        }
        Steps { structure: 1, content, reserved: 8 * SECTOR_BYTES + 1, length: 61 }
    }
}

/// What is flipped, and how many bytes of content it concerns.
fn flips(disk: &Disk, steps: &Steps) -> (Vec<Changes>, usize) {
    const BLOCK_BYTES: usize = 4096;
    let (mut changes, mut content_bytes) = (Vec::new(), 0);
    for path in disk.paths() {
        let bytes = disk.file_bytes(&path).unwrap();
        let is_journal = path.starts_with("/journal");
        let is_structure = !is_journal && kind_of(&path) != ".log";
        let is_superblock = kind_of(&path) == "superblock";
        for sector in (0..bytes.len()).step_by(SECTOR_BYTES) {
            let unit = if is_journal { BLOCK_BYTES } else { SECTOR_BYTES };
            let unit = sector / unit * unit..(sector / unit * unit + unit).min(bytes.len());
            let is_reserved = bytes[unit].iter().all(|byte| *byte == 0);
            let end = bytes.len().min(sector + SECTOR_BYTES);
            let header_end = match sector.is_multiple_of(BLOCK_BYTES) {
                true if is_superblock => sector + 184,
                true if is_journal => sector + 128,
                _ if is_structure => end,
                _ => sector,
            };
            let header_end = if is_reserved { sector } else { header_end };
            let step = if is_reserved { steps.reserved } else { steps.content };
            let header = (sector * 8..header_end * 8).step_by(steps.structure);
            for numbers in [header, (header_end * 8..end * 8).step_by(step)] {
                changes.push(Changes { how: How::Flip, path: path.clone(), numbers });
            }
            content_bytes += if is_reserved { 0 } else { end - sector };
        }
    }
    (changes, content_bytes)
}

/// Every length of what a file holds, some of what it reserves, and no file.
fn cuts(disk: &Disk, steps: &Steps) -> Vec<Changes> {
    let mut changes = Vec::new();
    for path in disk.paths() {
        let bytes = disk.file_bytes(&path).unwrap();
        // The files of a ring have one size for ever, and any other is refused.
        let is_ring = path.starts_with("/journal") && kind_of(&path) != "superblock";
        let content_bytes = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let content_bytes = if is_ring { 0 } else { content_bytes };
        let content = (0..content_bytes).step_by(1);
        let reserved = (content_bytes..bytes.len()).step_by(steps.length);
        let gone = (0..1).step_by(1);
        for (how, numbers) in [(How::Cut, content), (How::Cut, reserved), (How::Gone, gone)] {
            changes.push(Changes { how, path: path.clone(), numbers });
        }
    }
    changes
}

fn report(name: &str, (counts, wrong): &(Counts, Vec<String>), began: Instant) {
    println!("{name}: {:.1} s", began.elapsed().as_secs_f64());
    for (((how, kind), class), count) in counts {
        println!("  {how} {kind} {class:?}: {count}");
    }
    for what in wrong.iter().take(20) {
        println!("  {what}");
    }
    assert!(wrong.is_empty(), "{} changes of {name} are wrong", wrong.len());
}

/// Tries everything, and compares how often it was harmless or told with what it must be at least.
fn check(end: End, content_step: usize, expected: &[(&str, Class, u64)]) {
    // One for each thread: they would wait for each other's counts of references.
    let images = [end; 2].map(Image::of);
    let steps = Steps::of(content_step);
    let (flips, content_bytes) = flips(&images[0].disk, &steps);
    let cuts = cuts(&images[0].disk, &steps);
    let count = |changes: &[Changes]| changes.iter().map(|of| of.numbers.len()).sum::<usize>();
    println!("{content_bytes} bytes: {} flips, {} cuts", count(&flips), count(&cuts));
    assert!(CONTENT_BYTES_MIN <= content_bytes);
    let began = Instant::now();
    let parts = Part::chosen().count as u64;
    let flipped = sweep(&images, &flips);
    report("flips", &flipped, began);
    for (kind, class, at_least) in expected {
        let count = flipped.0.get(&(("flip", *kind), *class)).copied().unwrap_or(0);
        assert!(at_least / parts <= count, "{kind} {class:?}: {count}");
    }
    let began = Instant::now();
    let cut = sweep(&images, &cuts);
    report("cuts", &cut, began);
    let refused = cut.0.get(&(("cut", "durable"), Class::StartRefused));
    assert!(refused.is_some_and(|count| 1000 / parts < *count));
}

#[test]
fn after_a_kill_every_flipped_bit_is_harmless_or_told() {
    let expected = [
        ("superblock", Class::Harmless, 2_900),
        ("durable", Class::JournalDamaged, 4_000),
        ("relaxed", Class::Torn, 1_000),
        ("entries", Class::PartitionDoubtful, 2_000),
        ("entries", Class::ReaderTold, 5_000),
        ("applied", Class::PartitionDoubtful, 296),
        (".index", Class::Harmless, 7_000),
        (".log", Class::ReaderTold, 2_000),
        ("compacted", Class::PartitionDoubtful, 400),
        (".sums", Class::ReaderTold, 30),
    ];
    check(End::Killed, 8, &expected);
}

#[test]
fn after_a_clean_stop_every_flipped_bit_is_harmless_or_told() {
    let expected = [
        ("superblock", Class::Harmless, 2_900),
        ("durable", Class::JournalDamaged, 2_000),
        ("entries", Class::PartitionDoubtful, 2_000),
        ("entries", Class::ReaderTold, 5_000),
        ("applied", Class::PartitionDoubtful, 296),
        (".index", Class::Harmless, 7_000),
        (".log", Class::ReaderTold, 1_000),
        ("compacted", Class::PartitionDoubtful, 400),
        (".sums", Class::ReaderTold, 30),
    ];
    check(End::Clean, 61, &expected);
}
