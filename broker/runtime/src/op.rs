//! The seam between the broker and the machine: operations and their completions.
//!
//! Everything that the broker asks of the outside world is one of these operations, submitted to
//! the core's [`Driver`](crate::driver::Driver). An operation owns its buffers until it is
//! completed, so a future that is dropped leaves nothing for the kernel to write into.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};

use crate::buffer::AlignedBuf;

/// A file or a socket, in the kernel's table or in the simulator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fd(pub(crate) i32);

/// How to open a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    pub(crate) write: bool,
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) direct: bool,
    pub(crate) directory: bool,
    pub(crate) background: bool,
}

impl OpenOptions {
    /// An existing file, for reading.
    pub const READ: OpenOptions = OpenOptions {
        write: false,
        create: false,
        create_new: false,
        direct: false,
        directory: false,
        background: false,
    };
    /// An existing file, for reading and writing.
    pub const WRITE: OpenOptions = OpenOptions { write: true, ..OpenOptions::READ };
    /// A file for reading and writing that is created if need be.
    pub const CREATE: OpenOptions = OpenOptions { create: true, ..OpenOptions::WRITE };
    /// A file for reading and writing that must not exist yet.
    pub const CREATE_NEW: OpenOptions = OpenOptions { create_new: true, ..OpenOptions::WRITE };
    /// A directory, to be flushed.
    pub(crate) const DIRECTORY: OpenOptions = OpenOptions { directory: true, ..OpenOptions::READ };

    /// The same, around the page cache (`O_DIRECT`) or not: memory, position and size of every
    /// transfer in whole blocks.
    pub const fn direct(self, direct: bool) -> OpenOptions {
        OpenOptions { direct, ..self }
    }

    /// The same for work that can wait: reads and writes are of the idle I/O class (ioprio_set(2)),
    /// so that a scheduler which knows classes serves everybody else first.
    pub const fn background(self) -> OpenOptions {
        OpenOptions { background: true, ..self }
    }
}

/// What a completed write promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// The bytes survive the process (they are in the page cache or in the device's cache).
    Cached,
    /// The bytes survive the machine: written with `RWF_DSYNC` (pwritev2(2)).
    Durable,
}

/// Whose turn it is at the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IoClass {
    Normal,
    /// When nobody else wants anything.
    Idle,
}

/// Which of a file's changes a flush covers: see fsync(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncMode {
    Data,
    All,
}

/// A piece of a file that goes out on a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileRange {
    pub(crate) fd: Fd,
    pub(crate) position: u64,
    pub(crate) size_bytes: usize,
}

/// An operation. The comment says what [`Output`] it completes with.
#[derive(Debug)]
pub(crate) enum Op {
    // Files.
    /// → `Fd`
    Open { path: PathBuf, options: OpenOptions },
    /// → `Done`
    Close { fd: Fd },
    /// Fills the buffer from its start. → `Count`, zero at the end of the file
    ReadAt { fd: Fd, buf: AlignedBuf, position: u64, class: IoClass },
    /// → `Count`, may be short
    WriteAt { fd: Fd, data: Bytes, position: u64, mode: WriteMode, class: IoClass },
    /// → `Done`
    Sync { fd: Fd, mode: SyncMode },
    /// Reserves space and extends the file over it. → `Done`
    Allocate { fd: Fd, position: u64, size_bytes: u64 },
    /// Gives the space of a range back, in whole blocks; it reads as zeros. → `Done`
    Punch { fd: Fd, position: u64, size_bytes: u64 },
    /// → `Done`
    Truncate { fd: Fd, size_bytes: u64 },
    /// → `Size`
    Size { fd: Fd },
    /// How much of a range is in the page cache. → `Count`
    CachedBytes { range: FileRange },

    // Directories.
    /// → `Done`
    MakeDir { path: PathBuf },
    /// → `Entries`, in order of name
    ReadDir { path: PathBuf },
    /// → `Done`
    Rename { from: PathBuf, to: PathBuf },
    /// → `Done`
    RemoveFile { path: PathBuf },
    /// → `Done`
    RemoveDir { path: PathBuf },
    /// Free and total bytes of the file system that holds the path. → `Space`
    Space { path: PathBuf },

    // Sockets.
    /// Binds and listens. → `Fd`
    Listen { address: SocketAddr, shared_port: bool },
    /// → `Address`
    LocalAddress { fd: Fd },
    /// → `Accepted`
    Accept { fd: Fd },
    /// → `Fd`
    Connect { address: SocketAddr },
    /// Appends to the buffer, within its capacity. → `Count`, zero at the end of the stream, or
    /// `Cancelled`
    Receive { fd: Fd, buf: BytesMut },
    /// → `Count`, may be short
    Send { fd: Fd, pieces: Vec<Bytes> },
    /// Sends what the socket takes without waiting. → `Count`, or `WouldBlock`
    SendFile { socket: Fd, range: FileRange },
    /// → `Done` once the socket takes bytes, or has failed
    Writable { fd: Fd },
    /// → `Done` once there is something to read
    Readable { fd: Fd },
    /// Ends both directions. → `Done`
    Shutdown { fd: Fd },
}

/// What an operation yields when it succeeds.
#[derive(Debug)]
pub(crate) enum Output {
    Done,
    Fd(Fd),
    Count(usize),
    Size(u64),
    Entries(Vec<DirEntry>),
    Space(Space),
    Accepted(Fd, SocketAddr),
    Address(SocketAddr),
    /// It was cancelled before anything had come of it.
    Cancelled,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name; names that are not UTF-8 are none of ours and left out.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What this process may still use.
    pub free_bytes: u64,
    /// The file system's size.
    pub total_bytes: u64,
}

/// The end of an operation, which hands its buffers back.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) op: Op,
    pub(crate) result: io::Result<Output>,
}
