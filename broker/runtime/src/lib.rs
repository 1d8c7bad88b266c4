//! Cores, tasks, time, files, sockets and the mesh between cores; on the kernel or simulated.
//!
//! This crate is the only one that makes system calls, reads clocks and draws random numbers. A
//! core is one thread with one io_uring, or one participant of a simulation that runs on a single
//! thread; the program above cannot tell which.
//!
//! Guarantees: a buffer belongs to its operation until the machine has let go of it, so a dropped
//! future is never written into; tasks of one core never run at the same time; with a simulated
//! machine, the same seed gives the same run.
//! Does not know: what is stored, and who talks to whom about what.

#![warn(missing_docs)]
#![cfg_attr(test, allow(missing_docs, reason = "tests are not an interface"))]

mod arena;
mod buffer;
mod core;
mod driver;
mod file;
pub mod host;
mod input;
mod lock;
mod mesh;
mod net;
mod op;
mod rng;
mod signals;
pub mod sim;
pub mod sync;
mod threads;
mod time;

pub use buffer::{AlignedBuf, BLOCK_SIZE_BYTES, round_down_to_block, round_up_to_block};
pub use core::{
    CoreId, JoinHandle, Sleep, TimedOut, core_id, end_process, now, sleep, sleep_until, spawn,
    timeout, wall_clock_ms, with_rng, yield_now,
};
pub use driver::uring::RingError;
pub use file::{
    File, create_dir, create_dir_durably, read_dir, remove_dir, remove_file, rename, space,
    sync_dir,
};
pub use input::StandardInput;
pub use lock::{DirectoryLock, LockError};
pub use mesh::{CallFuture, Dropped, Mesh, MeshPort, Neighbours, Reply, mesh};
pub use net::{MovedStream, TcpListener, TcpStream, claim_port};
pub use op::{DirEntry, OpenOptions, Space, WriteMode};
pub use rng::Rng;
pub use signals::Termination;
pub use threads::{Threads, block_on};
pub use time::Instant;
