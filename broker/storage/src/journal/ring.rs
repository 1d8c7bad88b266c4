//! The files of a stream: written whole before they join the ring, never unlinked.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use runtime::{AlignedBuf, File, OpenOptions, WriteMode, round_down_to_block};

use crate::Durability;
use crate::error::StartError;
use crate::format::superblock::Position;
use crate::options::StoreOptions;

/// Bytes written at a time when a file is written for the first time.
const PIECE_BYTES: usize = 1 << 20;

/// A file of the ring.
#[derive(Clone, Debug)]
pub(crate) struct JournalFile {
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
    pub(crate) file: Rc<File>,
}

/// A stream as recovery has found it.
pub(crate) struct RecoveredStream {
    pub(crate) files: Vec<JournalFile>,
    /// Where the next commit goes.
    pub(crate) at: Position,
    /// Files that the next recovery would read, oldest first, with their generations.
    pub(crate) used: VecDeque<(u32, u64)>,
    /// The others.
    pub(crate) free: VecDeque<u32>,
    pub(crate) replay_blocks: u64,
}

pub(crate) fn file_name(stream: Durability, number: u32) -> String {
    match stream {
        Durability::Durable => format!("durable-{number}"),
        Durability::Relaxed => format!("relaxed-{number}"),
    }
}

/// The number in the name of a file of this stream; none for any other name.
fn number_of(stream: Durability, name: &str) -> Option<u32> {
    let number = name.strip_prefix(&file_name(stream, 0)[..8])?.parse().ok()?;
    // Only the one spelling: "durable-01" is none of ours.
    (file_name(stream, number) == name).then_some(number)
}

/// Opens the files of a stream, in the order of their numbers.
pub(crate) async fn open_files(
    directory: &Path,
    stream: Durability,
    options: &StoreOptions,
) -> Result<Vec<JournalFile>, StartError> {
    let failed =
        |path: &Path, source| StartError::Io { action: "open", path: path.to_owned(), source };
    let entries = runtime::read_dir(directory).await.map_err(|source| failed(directory, source))?;
    let mut numbers: Vec<u32> =
        entries.iter().filter_map(|entry| number_of(stream, &entry.name)).collect();
    numbers.sort_unstable();
    let mut files = Vec::new();
    for number in numbers {
        let path = directory.join(file_name(stream, number));
        let file = File::open(&path, open_options(stream, options))
            .await
            .map_err(|source| failed(&path, source))?;
        files.push(JournalFile { number, path, file: Rc::new(file) });
    }
    Ok(files)
}

/// Writes a new file whole, flushes it and its name, and opens it for the stream. A file that was
/// not finished has another name, and is begun anew.
pub(crate) async fn create_file(
    directory: &Path,
    stream: Durability,
    number: u32,
    options: &StoreOptions,
) -> io::Result<JournalFile> {
    let path = directory.join(file_name(stream, number));
    let unfinished = path.with_extension("new");
    let file = File::open(&unfinished, OpenOptions::CREATE.direct(options.is_direct)).await?;
    if let Err(error) = file.allocate(0, options.journal_file_bytes).await {
        // What little there is belongs to others.
        runtime::remove_file(unfinished).await?;
        return Err(error);
    }
    let piece_bytes = PIECE_BYTES.min(usize::try_from(options.journal_file_bytes).unwrap_or(0));
    let zeros = AlignedBuf::zeroed(piece_bytes).freeze();
    let mut position = 0;
    while position < options.journal_file_bytes {
        let left = options.journal_file_bytes - position;
        let size_bytes = usize::try_from(round_down_to_block(left.min(zeros.len() as u64)))
            .expect("at most a piece");
        file.write_all_at(zeros.slice(..size_bytes), position, WriteMode::Cached).await?;
        position += size_bytes as u64;
    }
    file.sync_all().await?;
    file.close().await?;
    runtime::rename(&unfinished, &path).await?;
    runtime::sync_dir(directory).await?;
    let file = File::open(&path, open_options(stream, options)).await?;
    Ok(JournalFile { number, path, file: Rc::new(file) })
}

/// The durable stream goes around the page cache where it can; the relaxed one lives in it.
fn open_options(stream: Durability, options: &StoreOptions) -> OpenOptions {
    let direct = stream == Durability::Durable && options.is_direct;
    OpenOptions::WRITE.direct(direct)
}
