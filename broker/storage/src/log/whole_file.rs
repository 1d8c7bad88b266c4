//! Files that are opened for one question or one write, and closed again.

use std::io;
use std::path::Path;

use bytes::Bytes;
use runtime::{File, OpenOptions, WriteMode};

/// The content of a file.
pub(super) async fn read(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path, OpenOptions::READ).await?;
    let size_bytes = usize::try_from(file.size_bytes().await?).map_err(io::Error::other)?;
    Ok(file.read_exact_at(0, size_bytes).await?.freeze())
}

/// The size of a file.
pub(super) async fn size_bytes(path: &Path) -> io::Result<u64> {
    File::open(path, OpenOptions::READ).await?.size_bytes().await
}

/// What a file is that cannot be what was written: an error of kind `InvalidData`.
pub(super) fn damaged(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display()))
}

/// Writes a file anew. Its content is on the medium once this returns; its name need not be.
pub(super) async fn write_flushed(path: &Path, content: Bytes) -> io::Result<()> {
    let file = File::open(path, OpenOptions::CREATE).await?;
    // There may be something of an earlier attempt.
    file.truncate(0).await?;
    file.write_all_at(content, 0, WriteMode::Cached).await?;
    file.sync_data().await
}
