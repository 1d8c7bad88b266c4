//! The first steps of a start: reading a journal without changing anything.
//!
//! The numbers in parentheses are the rules of `FORMAT.md`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use model::{LeaderEpoch, NodeId, TopicPartition};
use runtime::{AlignedBuf, BLOCK_SIZE_BYTES, DirEntry, File, OpenOptions, WriteMode};

use super::ring::{JournalFile, RecoveredStream, create_file, open_files};
use super::walk::{Walk, WalkedFrame, Walker};
use super::{Journal, index, write_durably};
use crate::Durability;
use crate::error::{Corruption, JournalStopped, StartError};
use crate::format::commit::CommitHeader;
use crate::format::frame::{Content, Vote};
use crate::format::superblock::{Position, StreamRecord, Superblock};
use crate::log::RecoveredLog;
use crate::metrics::Metrics;
use crate::options::StoreOptions;

/// Identifies a data directory: random when it was made.
pub type DirectoryId = [u8; 16];

/// The journals in a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundJournals {
    /// The directory's id; none if no journal was ever completed in it.
    pub directory_id: Option<DirectoryId>,
    /// Their numbers, in order.
    pub numbers: Vec<u32>,
    /// How many cores the broker had that started last, if any did.
    pub cores_count: Option<u16>,
}

/// What a journal holds, read but not yet continued.
pub struct RecoveredJournal {
    /// The journal's number.
    pub number: u32,
    /// The logs that live in it.
    pub logs: Vec<RecoveredLog>,
    /// Partitions that have left it.
    pub left: BTreeSet<TopicPartition>,
    /// Damage; the journal is then not continued, and its logs take no appends.
    pub corruptions: Vec<Corruption>,
    directory: PathBuf,
    superblock_file: File,
    superblock: Superblock,
    streams: [RecoveredStream; 2],
}

impl std::fmt::Debug for RecoveredJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecoveredJournal({}, {} logs)", self.number, self.logs.len())
    }
}

fn journals_path(data_dir: &Path) -> PathBuf {
    data_dir.join("journal")
}

pub(crate) fn journal_path(data_dir: &Path, number: u32) -> PathBuf {
    journals_path(data_dir).join(number.to_string())
}

/// Looks which journals there are and whether they belong together. Removes the remains of
/// journals that were retired.
pub async fn find_journals(data_dir: &Path) -> Result<FoundJournals, StartError> {
    let path = journals_path(data_dir);
    let mut found = FoundJournals { directory_id: None, numbers: Vec::new(), cores_count: None };
    let entries = match runtime::read_dir(&path).await {
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(source) => return Err(StartError::Io { action: "read", path, source }),
        Ok(entries) => entries,
    };
    let is_retired = |entry: &DirEntry| entry.is_dir && entry.name.ends_with(RETIRED);
    if entries.iter().any(is_retired) {
        // Their new names may be in memory only, and the old ones must not come back with less.
        runtime::sync_dir(&path).await.map_err(|source| StartError::Io {
            action: "flush",
            path: path.clone(),
            source,
        })?;
    }
    let mut newest = 0;
    for entry in entries.iter().filter(|entry| entry.is_dir) {
        if is_retired(entry) {
            let path = path.join(&entry.name);
            remove_dir_and_files(&path).await.map_err(|source| StartError::Io {
                action: "remove",
                path,
                source,
            })?;
            continue;
        }
        let Ok(number) = entry.name.parse::<u32>() else { continue };
        found.numbers.push(number);
        let path = journal_path(data_dir, number).join("superblock");
        let Some(superblock) = read_superblock(&path).await? else { continue };
        if found.directory_id.is_some_and(|known| known != superblock.directory_id)
            || superblock.journal != number
        {
            return Err(StartError::Foreign { path });
        }
        found.directory_id = Some(superblock.directory_id);
        // Every core has a journal and starts it each time.
        if newest <= superblock.start {
            newest = superblock.start;
            found.cores_count = Some(superblock.cores_count);
        }
    }
    found.numbers.sort_unstable();
    Ok(found)
}

pub(crate) const RETIRED: &str = ".retired";

pub(crate) async fn remove_dir_and_files(path: &Path) -> std::io::Result<()> {
    for entry in runtime::read_dir(path).await? {
        let path = path.join(&entry.name);
        if entry.is_dir {
            Box::pin(remove_dir_and_files(&path)).await?;
        } else {
            runtime::remove_file(path).await?;
        }
    }
    runtime::remove_dir(path).await
}

/// Rules 6.2 to 6.11. A journal that does not exist, or whose creation was not completed, is
/// created first.
pub async fn read_journal(
    options: &StoreOptions,
    directory_id: DirectoryId,
    number: u32,
) -> Result<RecoveredJournal, StartError> {
    options.check().map_err(StartError::Options)?;
    let directory = journal_path(&options.data_dir, number);
    let superblock_path = directory.join("superblock");
    let fail = |action, path: &Path| {
        let path = path.to_owned();
        move |source| StartError::Io { action, path, source }
    };
    if !exists(&directory).await? || !is_complete(&directory, options).await? {
        create(&directory, options, directory_id, number)
            .await
            .map_err(fail("create", &directory))?;
    }
    let superblock_file =
        File::open(&superblock_path, OpenOptions::WRITE.direct(options.is_direct))
            .await
            .map_err(fail("open", &superblock_path))?;
    let durable_files = open_files(&directory, Durability::Durable, options).await?;
    let relaxed_files = open_files(&directory, Durability::Relaxed, options).await?;
    // 6.2: what is read may be in the device's cache only, and a file's name in memory only; they
    // must not vanish after they were shown to anybody.
    runtime::sync_dir(&directory).await.map_err(fail("flush", &directory))?;
    superblock_file.sync_data().await.map_err(fail("flush", &superblock_path))?;
    for file in &durable_files {
        file.file.sync_data().await.map_err(fail("flush", &file.path))?;
    }
    let superblock = read_superblock(&superblock_path).await?;
    let Some(superblock) = superblock else {
        return Err(StartError::NoSuperblock { path: superblock_path });
    };
    if superblock.directory_id != directory_id || superblock.journal != number {
        return Err(StartError::Foreign { path: superblock_path });
    }
    check_sizes(options, durable_files.iter().chain(&relaxed_files)).await?;
    // 6.3.
    let is_lost = superblock.boot_id != options.boot_id && !superblock.is_clean;
    let walker = |stream, files| Walker::new(stream, files, options, &superblock, is_lost);
    let durable = walker(Durability::Durable, &durable_files[..]).walk().await?;
    let relaxed = walker(Durability::Relaxed, &relaxed_files[..]).walk().await?;
    // 6.11: without it, carries whose superblock was never written would eat the reserve.
    let mut replay = superblock.streams.map(|stream| stream.replay_from);
    if let Some((carry, mark)) = durable.carry {
        replay[0] = carry;
        let is_later = replay[1].sequence < mark.sequence;
        if is_later && mark.sequence <= relaxed.end.sequence && relaxed.contains_mark(&mark) {
            replay[1] = mark;
        }
    }
    let mut corruptions: Vec<Corruption> =
        [&durable, &relaxed].into_iter().filter_map(|walk| walk.corruption.clone()).collect();
    let (logs, left) = replay_logs(&directory, number, &durable, &relaxed, &mut corruptions);
    if corruptions.is_empty()
        && let Some((last, blocks_count)) = durable.last_commit()
    {
        write_again(&durable_files, &last, blocks_count, options).await?;
    }
    let streams = [
        recovered_stream(durable_files, &durable, &replay[0], options),
        recovered_stream(relaxed_files, &relaxed, &replay[1], options),
    ];
    let streams_now = [(replay[0], durable.end), (replay[1], relaxed.end)]
        .map(|(replay_from, end)| StreamRecord { replay_from, known_tail: end.sequence });
    let superblock = Superblock { streams: streams_now, ..superblock };
    Ok(RecoveredJournal {
        number,
        logs,
        left,
        corruptions,
        directory,
        superblock_file,
        superblock,
        streams,
    })
}

impl RecoveredJournal {
    /// Rule 6.12: one atomic record of what was found, written twice so that the rot of
    /// one copy cannot bring an older state back. Only after it anything else is
    /// written (6.13): there is no journal to write to before.
    pub(crate) async fn start(
        self,
        options: StoreOptions,
        metrics: Rc<Metrics>,
    ) -> Result<(Rc<Journal>, Vec<RecoveredLog>), JournalStopped> {
        let RecoveredJournal { logs, directory, superblock_file, superblock, streams, .. } = self;
        let (boot_id, cores_count) = (options.boot_id, options.cores_count);
        let journal = Rc::new(Journal::new(
            directory,
            options,
            superblock_file,
            superblock,
            streams,
            metrics,
        ));
        let start = Superblock {
            start: superblock.start + 1,
            salt: runtime::with_rng(runtime::Rng::next_u64),
            boot_id,
            is_clean: false,
            cores_count,
            ..superblock
        };
        journal.write_superblock(start).await?;
        journal.write_superblock(start).await?;
        Ok((journal, logs))
    }

    /// The journal for reading only: nothing is ever written to it.
    pub(crate) fn read_only(
        self,
        options: StoreOptions,
        metrics: Rc<Metrics>,
    ) -> (Rc<Journal>, Vec<RecoveredLog>) {
        let RecoveredJournal { logs, directory, superblock_file, superblock, streams, .. } = self;
        let journal =
            Journal::new(directory, options, superblock_file, superblock, streams, metrics);
        journal.refuse_writes();
        (Rc::new(journal), logs)
    }
}

/// Rule 6.2: the last commit of the durable stream, with the same bytes.
async fn write_again(
    files: &[JournalFile],
    commit: &Position,
    blocks_count: u32,
    options: &StoreOptions,
) -> Result<(), StartError> {
    let file = files.iter().find(|file| file.number == commit.file);
    let file = file.expect("a commit was read from one of the files");
    let position = u64::from(commit.block) * BLOCK_SIZE_BYTES as u64;
    let size_bytes = blocks_count as usize * BLOCK_SIZE_BYTES;
    let again = async {
        let bytes = file.file.read_exact_at(position, size_bytes).await?.freeze();
        write_durably(options.flush_method, &file.file, bytes, position).await
    };
    again.await.map_err(|source| StartError::Io {
        action: "write",
        path: file.path.clone(),
        source,
    })
}

async fn exists(directory: &Path) -> Result<bool, StartError> {
    match runtime::read_dir(directory).await {
        Ok(_) => Ok(true),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(StartError::Io { action: "read", path: directory.to_owned(), source }),
    }
}

/// Whether the journal's creation has come to its end: its superblock was valid once. A journal
/// with commits has been complete, so without a valid slot it is damaged, never new.
async fn is_complete(directory: &Path, options: &StoreOptions) -> Result<bool, StartError> {
    let path = directory.join("superblock");
    if read_superblock(&path).await?.is_some() {
        return Ok(true);
    }
    for stream in [Durability::Durable, Durability::Relaxed] {
        for file in open_files(directory, stream, options).await? {
            if has_commit(&file).await? {
                return Err(StartError::NoSuperblock { path });
            }
        }
    }
    Ok(false)
}

async fn has_commit(file: &JournalFile) -> Result<bool, StartError> {
    const READ_BYTES: usize = 1 << 20;
    let failed = |source| StartError::Io { action: "read", path: file.path.clone(), source };
    let mut position = 0;
    loop {
        let bytes = file.file.read_up_to(position, READ_BYTES).await.map_err(failed)?;
        if bytes.is_empty() {
            return Ok(false);
        }
        for block in bytes.chunks(BLOCK_SIZE_BYTES) {
            let header = CommitHeader::decode(block)
                .map_err(|source| StartError::Newer { path: file.path.clone(), source })?;
            if header.is_some() {
                return Ok(true);
            }
        }
        position += bytes.len() as u64;
    }
}

/// The newest valid slot; none if there is none, or no file.
async fn read_superblock(path: &Path) -> Result<Option<Superblock>, StartError> {
    let failed = |source| StartError::Io { action: "read", path: path.to_owned(), source };
    let file = match File::open(path, OpenOptions::READ).await {
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let bytes = file.read_up_to(0, 2 * BLOCK_SIZE_BYTES).await.map_err(failed)?;
    let mut newest: Option<Superblock> = None;
    for slot in bytes.chunks(BLOCK_SIZE_BYTES) {
        let decoded = Superblock::decode(slot)
            .map_err(|source| StartError::Newer { path: path.to_owned(), source })?;
        if let Some(superblock) = decoded
            && newest.is_none_or(|newest| newest.number < superblock.number)
        {
            newest = Some(superblock);
        }
    }
    Ok(newest)
}

/// Makes a journal with one file per stream. The superblock comes last: with it the journal exists.
async fn create(
    directory: &Path,
    options: &StoreOptions,
    directory_id: DirectoryId,
    number: u32,
) -> std::io::Result<()> {
    runtime::create_dir_durably(directory).await?;
    for stream in [Durability::Durable, Durability::Relaxed] {
        create_file(directory, stream, 0, options).await?;
    }
    let path = directory.join("superblock");
    let file = File::open(&path, OpenOptions::CREATE.direct(options.is_direct)).await?;
    file.write_all_at(AlignedBuf::zeroed(2 * BLOCK_SIZE_BYTES).freeze(), 0, WriteMode::Cached)
        .await?;
    file.sync_all().await?;
    runtime::sync_dir(directory).await?;
    let begin = Position { generation: 1, ..Position::default() };
    let superblock = Superblock {
        directory_id,
        journal: number,
        number: 1,
        start: 0,
        salt: runtime::with_rng(runtime::Rng::next_u64),
        boot_id: options.boot_id,
        is_clean: true,
        cores_count: options.cores_count,
        streams: [StreamRecord { replay_from: begin, known_tail: 0 }; 2],
    };
    let mut slot = AlignedBuf::zeroed(BLOCK_SIZE_BYTES);
    superblock.encode(&mut slot);
    file.write_all_at(slot.freeze(), superblock.slot_position(), WriteMode::Durable).await?;
    file.sync_all().await
}

/// All files of a journal have the size that it was made with.
async fn check_sizes(
    options: &StoreOptions,
    files: impl Iterator<Item = &JournalFile>,
) -> Result<(), StartError> {
    for file in files {
        let failed = |source| StartError::Io { action: "read", path: file.path.clone(), source };
        let size_bytes = file.file.size_bytes().await.map_err(failed)?;
        if size_bytes != options.journal_file_bytes {
            return Err(StartError::Options(format!(
                "{} has {size_bytes} bytes, and the configured size of journal files is {}: \
                 configure {size_bytes} again",
                file.path.display(),
                options.journal_file_bytes
            )));
        }
    }
    Ok(())
}

fn recovered_stream(
    files: Vec<JournalFile>,
    walk: &Walk,
    replay_from: &Position,
    options: &StoreOptions,
) -> RecoveredStream {
    let used = walk.files_from(replay_from);
    let free: VecDeque<u32> = files
        .iter()
        .map(|file| file.number)
        .filter(|number| used.iter().all(|(used, _)| used != number))
        .collect();
    let files_after = used.len() as u64 - 1;
    let replay_blocks = files_after * u64::from(options.file_blocks()) + u64::from(walk.end.block)
        - u64::from(replay_from.block);
    RecoveredStream { files, at: walk.end, used, free, replay_blocks }
}

/// Rules 6.6 to 6.9: each partition's vote and log.
pub(crate) fn replay_logs(
    directory: &Path,
    journal: u32,
    durable: &Walk,
    relaxed: &Walk,
    corruptions: &mut Vec<Corruption>,
) -> (Vec<RecoveredLog>, BTreeSet<TopicPartition>) {
    #[derive(Default)]
    struct Found<'a> {
        base: Option<&'a WalkedFrame>,
        vote: Option<Vote>,
        left: Option<u32>,
        frames: Vec<(Durability, &'a WalkedFrame)>,
    }
    let mut partitions: BTreeMap<TopicPartition, Found<'_>> = BTreeMap::new();
    for frame in &durable.frames {
        if matches!(frame.content, Content::Mark(_)) {
            continue;
        }
        let found = partitions.entry(frame.frame.partition()).or_default();
        let base_number = frame.frame.base_number;
        match frame.content {
            Content::Base => {
                if found.base.is_none_or(|base| base.frame.base_number < base_number) {
                    found.base = Some(frame);
                }
            }
            // 6.6: the highest one, never the last one.
            Content::Vote(vote) => {
                if found.vote.is_none_or(|known| known.rank() < vote.rank()) {
                    found.vote = Some(vote);
                }
            }
            Content::Left => found.left = found.left.max(Some(base_number)),
            Content::Entry(_) | Content::Truncate { .. } | Content::Mark(_) => {
                found.frames.push((Durability::Durable, frame));
            }
        }
    }
    for frame in &relaxed.frames {
        let found = partitions.entry(frame.frame.partition()).or_default();
        found.frames.push((Durability::Relaxed, frame));
    }
    let is_damaged = !corruptions.is_empty();
    let mut logs = Vec::new();
    let mut left = BTreeSet::new();
    for (partition, found) in partitions {
        // 6.7: a partition that came back has a base of a higher number than it left with.
        let base = found
            .base
            .filter(|base| found.left.is_none_or(|left_at| left_at < base.frame.base_number));
        let Some(base) = base else {
            if found.left.is_some() {
                left.insert(partition);
            }
            continue;
        };
        let nobody = NodeId { broker: model::BrokerId(-1), incarnation: 0 };
        let no_vote =
            Vote { leader_epoch: LeaderEpoch::NONE, voted_for: nobody, is_committed: false };
        let vote = found.vote.unwrap_or(no_vote);
        let wrong = match RecoveredLog::replay(base, vote, found.frames) {
            None => Some("its base frame cannot be read".to_owned()),
            Some((mut log, wrong)) => {
                // A bad commit does not say whose frames it held.
                log.is_doubtful |= is_damaged;
                logs.push(log);
                wrong
            }
        };
        if let Some(wrong) = wrong {
            let what = format!("{partition}: {wrong}");
            corruptions.push(Corruption { journal, path: directory.to_owned(), what });
        }
    }
    (logs, left)
}

/// By stream number, as everywhere.
const _: () = assert!(index(Durability::Durable) == 0 && index(Durability::Relaxed) == 1);
