//! The lock on a data directory: one broker at a time, and not before the last write of the one
//! before it has landed.
//!
//! After `kill -9` the writes that a process had in flight keep landing for a while, and an
//! ordinary lock file is free before they have. So every core's ring registers the lock's file
//! (io_uring_register(2)): the kernel lets go of it only when the ring's last operation has ended,
//! and whoever starts next waits for that.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const RETRY_EVERY: Duration = Duration::from_millis(5);
/// A process that was just killed may look alive for a moment.
const DYING_MAX: Duration = Duration::from_secs(2);

/// Holds the directory for this process, from before the first read to after the last write.
#[derive(Debug)]
pub struct DirectoryLock {
    file: File,
}

/// Why the directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process that is alive has it.
    #[error(
        "data directory {path} is in use by process {pid}: stop that process, or choose another \
         directory with --data-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who has it.
        pid: u32,
    },
    /// The lock file cannot be opened, locked or written.
    #[error(
        "cannot lock data directory {path}: {source}; make it a directory that this user can write \
         to, or choose another with --data-dir"
    )]
    Failed {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Takes the directory, which must exist. If its last owner is dead but its writes are still
    /// landing, calls `on_wait` once with the owner's process id and waits for as long as it takes.
    pub fn acquire(path: &Path, on_wait: impl FnOnce(u32)) -> Result<DirectoryLock, LockError> {
        let failed = |source| LockError::Failed { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(failed)?;
        let since = Instant::now();
        let mut on_wait = Some(on_wait);
        while !try_lock(&file).map_err(failed)? {
            let holder = Holder::read(&mut file).map_err(failed)?;
            match holder {
                Some(holder) if holder.is_alive() => {
                    if DYING_MAX < since.elapsed() {
                        return Err(LockError::InUse { path: path.to_owned(), pid: holder.pid });
                    }
                }
                _ => {
                    if let Some(on_wait) = on_wait.take() {
                        on_wait(holder.map_or(0, |holder| holder.pid));
                    }
                }
            }
            std::thread::sleep(RETRY_EVERY);
        }
        Holder::this_process().write(&file).map_err(failed)?;
        Ok(DirectoryLock { file })
    }
}

impl AsRawFd for DirectoryLock {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Who wrote the lock file: a process id alone would be mistaken for a later process's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    pid: u32,
    /// In clock ticks since boot, field 22 of /proc/PID/stat.
    started_ticks: u64,
}

impl Holder {
    fn this_process() -> Holder {
        let pid = std::process::id();
        Holder { pid, started_ticks: started_ticks(pid).unwrap_or(0) }
    }

    fn read(file: &mut File) -> io::Result<Option<Holder>> {
        let mut text = String::new();
        file.rewind()?;
        if file.take(64).read_to_string(&mut text).is_err() {
            return Ok(None);
        }
        let mut words = text.split_whitespace().map(str::parse);
        Ok(match (words.next(), words.next()) {
            (Some(Ok(pid)), Some(Ok(started_ticks))) => {
                Some(Holder { pid: u32::try_from(pid).unwrap_or(0), started_ticks })
            }
            _ => None,
        })
    }

    /// Over the one before it, in the same bytes: a full disk has no block to give for the one
    /// that a shortened file would return.
    fn write(self, file: &File) -> io::Result<()> {
        file.write_all_at(format!("{:10} {:20}\n", self.pid, self.started_ticks).as_bytes(), 0)
    }

    fn is_alive(self) -> bool {
        started_ticks(self.pid) == Some(self.started_ticks)
    }
}

/// When the process was started; none if there is no such process, or only its zombie.
fn started_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name is in parentheses and may contain anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests;
