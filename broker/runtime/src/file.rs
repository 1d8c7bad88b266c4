//! Files and directories.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};

use crate::buffer::{AlignedBuf, BLOCK_SIZE_BYTES};
use crate::core::{submit, submit_detached};
use crate::op::{
    DirEntry, Fd, FileRange, IoClass, Op, OpenOptions, Output, Space, SyncMode, WriteMode,
};

/// An open file. Reads and writes name their position; nothing moves a cursor.
#[derive(Debug)]
pub struct File {
    fd: Fd,
    is_direct: bool,
    class: IoClass,
}

impl File {
    /// Opens a file.
    pub async fn open(path: impl AsRef<Path>, options: OpenOptions) -> io::Result<File> {
        let path = path.as_ref().to_owned();
        match submit(Op::Open { path, options }).await.result? {
            Output::Fd(fd) => {
                let class = if options.background { IoClass::Idle } else { IoClass::Normal };
                Ok(File { fd, is_direct: options.direct, class })
            }
            other => unreachable!("open yields a descriptor, not {other:?}"),
        }
    }

    /// Reads into the buffer from its start, once. Returns how many bytes came (zero at the end of
    /// the file) and the buffer.
    pub async fn read_at(&self, buf: AlignedBuf, position: u64) -> (io::Result<usize>, AlignedBuf) {
        let completion = submit(Op::ReadAt { fd: self.fd, buf, position, class: self.class }).await;
        let Op::ReadAt { buf, .. } = completion.op else {
            unreachable!("the operation comes back")
        };
        (completion.result.map(count), buf)
    }

    /// Reads `size_bytes` from `position`, or as many as there are before the end of the file.
    /// Through a direct file, position and size are whole blocks.
    pub async fn read_up_to(&self, position: u64, size_bytes: usize) -> io::Result<AlignedBuf> {
        let (result, mut buf) = self.read_at(AlignedBuf::for_reading(size_bytes), position).await;
        let mut filled = result?;
        // Short reads are rare; the rest goes through a second buffer. A direct read that ends
        // inside a block has met the end of the file, and could not be continued there.
        let may_continue =
            |filled: usize| !self.is_direct || filled.is_multiple_of(BLOCK_SIZE_BYTES);
        while 0 < filled && filled < size_bytes && may_continue(filled) {
            let rest = AlignedBuf::for_reading(size_bytes - filled);
            let (result, rest) = self.read_at(rest, position + filled as u64).await;
            let more = result?;
            if more == 0 {
                break;
            }
            buf[filled..filled + more].copy_from_slice(&rest[..more]);
            filled += more;
        }
        buf.truncate(filled);
        Ok(buf)
    }

    /// Reads exactly `size_bytes`; a file that ends before is an error of kind `UnexpectedEof`.
    pub async fn read_exact_at(&self, position: u64, size_bytes: usize) -> io::Result<AlignedBuf> {
        let buf = self.read_up_to(position, size_bytes).await?;
        if buf.len() < size_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(buf)
    }

    /// Writes all of `data`. On an error any part of it may have been written.
    pub async fn write_all_at(
        &self,
        mut data: Bytes,
        mut position: u64,
        mode: WriteMode,
    ) -> io::Result<()> {
        while !data.is_empty() {
            let (fd, class, data_now) = (self.fd, self.class, data.clone());
            let write = Op::WriteAt { fd, data: data_now, position, mode, class };
            let written = submit(write).await;
            match count(written.result?) {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => {
                    data.advance(written);
                    position += written as u64;
                }
            }
        }
        Ok(())
    }

    /// Flushes the data and what is needed to read it back (fdatasync(2)). After an error nobody
    /// knows what the device holds, and a second call may succeed without having written it.
    pub async fn sync_data(&self) -> io::Result<()> {
        submit(Op::Sync { fd: self.fd, mode: SyncMode::Data }).await.result.map(done)
    }

    /// Flushes the data and everything about the file (fsync(2)).
    pub async fn sync_all(&self) -> io::Result<()> {
        submit(Op::Sync { fd: self.fd, mode: SyncMode::All }).await.result.map(done)
    }

    /// Reserves space for a range and extends the file over it (fallocate(2)).
    pub async fn allocate(&self, position: u64, size_bytes: u64) -> io::Result<()> {
        submit(Op::Allocate { fd: self.fd, position, size_bytes }).await.result.map(done)
    }

    /// Gives back the space of a range, which then reads as zeros (`FALLOC_FL_PUNCH_HOLE`). Its size
    /// and position are whole blocks. Not every file system can.
    pub async fn punch(&self, position: u64, size_bytes: u64) -> io::Result<()> {
        submit(Op::Punch { fd: self.fd, position, size_bytes }).await.result.map(done)
    }

    /// Cuts or extends the file.
    pub async fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        submit(Op::Truncate { fd: self.fd, size_bytes }).await.result.map(done)
    }

    /// The file's size.
    pub async fn size_bytes(&self) -> io::Result<u64> {
        match submit(Op::Size { fd: self.fd }).await.result? {
            Output::Size(size_bytes) => Ok(size_bytes),
            other => unreachable!("size yields a size, not {other:?}"),
        }
    }

    /// How many bytes of a range are in the page cache, so that sending them would not wait for
    /// the disk. None where the kernel does not tell.
    pub async fn cached_bytes(&self, position: u64, size_bytes: usize) -> io::Result<usize> {
        let range = FileRange { fd: self.fd, position, size_bytes };
        submit(Op::CachedBytes { range }).await.result.map(count)
    }

    /// Closes the file and waits for it. Dropping it closes it, too, at some later time.
    pub async fn close(self) -> io::Result<()> {
        let fd = self.fd;
        std::mem::forget(self);
        submit(Op::Close { fd }).await.result.map(done)
    }

    pub(crate) fn fd(&self) -> Fd {
        self.fd
    }
}

impl Drop for File {
    fn drop(&mut self) {
        submit_detached(Op::Close { fd: self.fd });
    }
}

/// Creates a directory; its parent must exist.
pub async fn create_dir(path: impl Into<PathBuf>) -> io::Result<()> {
    submit(Op::MakeDir { path: path.into() }).await.result.map(done)
}

/// Creates a directory and those above it that do not exist yet, and makes each of them durable;
/// also the lowest that exists, which may be from an attempt that was cut off.
pub async fn create_dir_durably(path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut existing = path;
    while read_dir(existing).await.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        missing.push(existing);
        match parent_of(existing) {
            Some(parent) => existing = parent,
            None => break,
        }
    }
    if let Some(parent) = parent_of(existing) {
        match sync_dir(parent).await {
            // A directory that we may not even read was not made by us.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    for directory in missing.into_iter().rev() {
        match create_dir(directory).await {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync_dir(parent_of(directory).expect("what is missing has a parent")).await?,
        }
    }
    Ok(())
}

/// The directory that holds a path's name.
fn parent_of(path: &Path) -> Option<&Path> {
    match path.parent() {
        Some(parent) if parent == Path::new("") => {
            (path != Path::new(".")).then_some(Path::new("."))
        }
        parent => parent,
    }
}

/// What is in a directory, in order of name.
pub async fn read_dir(path: impl Into<PathBuf>) -> io::Result<Vec<DirEntry>> {
    match submit(Op::ReadDir { path: path.into() }).await.result? {
        Output::Entries(entries) => Ok(entries),
        other => unreachable!("read-dir yields entries, not {other:?}"),
    }
}

/// Makes the names in a directory durable: those created, renamed and removed before the call.
pub async fn sync_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let directory = File::open(path, OpenOptions::DIRECTORY).await?;
    directory.sync_all().await?;
    directory.close().await
}

/// Renames a file or directory, replacing a file of the new name.
pub async fn rename(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> io::Result<()> {
    submit(Op::Rename { from: from.into(), to: to.into() }).await.result.map(done)
}

/// Removes a file.
pub async fn remove_file(path: impl Into<PathBuf>) -> io::Result<()> {
    submit(Op::RemoveFile { path: path.into() }).await.result.map(done)
}

/// Removes an empty directory.
pub async fn remove_dir(path: impl Into<PathBuf>) -> io::Result<()> {
    submit(Op::RemoveDir { path: path.into() }).await.result.map(done)
}

/// Space of the file system that holds a path.
pub async fn space(path: impl Into<PathBuf>) -> io::Result<Space> {
    match submit(Op::Space { path: path.into() }).await.result? {
        Output::Space(space) => Ok(space),
        other => unreachable!("space yields space, not {other:?}"),
    }
}

pub(crate) fn count(output: Output) -> usize {
    match output {
        Output::Count(count) => count,
        other => unreachable!("a transfer yields a count, not {other:?}"),
    }
}

pub(crate) fn done(output: Output) {
    match output {
        Output::Done => {}
        other => unreachable!("yields nothing, not {other:?}"),
    }
}
