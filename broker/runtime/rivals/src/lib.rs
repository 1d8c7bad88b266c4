//! The broker's reactor and three other runtimes, each doing the same two things: answering on
//! loopback and appending durably.
//!
//! Guarantees: client, file, sizes and clock are the same for all; what differs is in one file for
//! each runtime. Does not know: what is measured and how often; that is in `benches/`.

#![forbid(unsafe_code)]

mod ours;

mod compio;
mod glommio;
mod tokio;

pub mod table;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::libc;
use nix::time::{ClockId, clock_gettime};

/// What a client sends and gets back.
pub const REQUEST_BYTES: usize = 64;
/// What is appended at a time: one block.
pub const APPEND_BYTES: usize = 4096;
/// The appends go round and round in a file of this size, all of which has been written before: a
/// durable write then has no change of the file's metadata to wait for.
pub const FILE_BYTES: u64 = 64 << 20;

const SERVER_PROCESSOR: usize = 0;
const CLIENT_PROCESSOR: usize = 1;

/// A runtime that takes part.
pub struct Rival {
    /// As it stands in the tables.
    pub name: &'static str,
    /// Accepts this many connections, says where, and echoes on each until all have ended.
    echo: fn(usize, SyncSender<SocketAddr>),
    /// Appends as it is told.
    append: fn(Appends),
}

/// Those that answer, in the order in which they take turns.
pub const ANSWERING: [Rival; 4] = [ours::RIVAL, compio::RIVAL, glommio::RIVAL, tokio::RIVAL];
/// Those that append.
pub const APPENDING: [Rival; 5] =
    [ours::RIVAL, compio::RIVAL, glommio::RIVAL, tokio::RIVAL, tokio::RIVAL_CACHED];

/// Connections to a server of its own.
pub struct Client {
    connections: Vec<TcpStream>,
    rounds_count: u32,
    server: JoinHandle<Duration>,
}

impl Client {
    /// Starts a server on one processor, connects to it from another, and warms both up.
    pub fn new(rival: &Rival, connections_count: usize) -> Client {
        pin_to(CLIENT_PROCESSOR);
        let (address, bound) = sync_channel(1);
        let echo = rival.echo;
        let server = std::thread::spawn(move || {
            pin_to(SERVER_PROCESSOR);
            echo(connections_count, address);
            used(ClockId::CLOCK_THREAD_CPUTIME_ID)
        });
        let address = bound.recv().expect("the server binds a port");
        let connect = |_| {
            let connection = TcpStream::connect(address).expect("the server listens");
            connection.set_nodelay(true).expect("a fresh connection");
            connection
        };
        let connections = (0..connections_count).map(connect).collect();
        let mut client = Client { connections, rounds_count: 0, server };
        (0..100).for_each(|_| client.round());
        client
    }

    /// One request on each connection, then all answers.
    pub fn round(&mut self) {
        self.rounds_count += 1;
        for connection in &mut self.connections {
            connection.write_all(&[7; REQUEST_BYTES]).expect("the server runs");
        }
        let mut answer = [0; REQUEST_BYTES];
        for connection in &mut self.connections {
            connection.read_exact(&mut answer).expect("the server runs");
            assert_eq!(answer[REQUEST_BYTES - 1], 7, "the request comes back");
        }
    }

    /// Ends the connections and the server. Returns the processor time of the server's thread for
    /// each round, its start and its end included.
    pub fn finish(self) -> Duration {
        drop(self.connections);
        let used = self.server.join().expect("the server ends with its last connection");
        used / self.rounds_count
    }
}

/// What an appending task is told and tells.
struct Appends {
    path: PathBuf,
    /// How many appends become durable together.
    group_count: usize,
    /// How many groups to append now; the task ends when nobody tells it any more.
    groups: Receiver<u64>,
    took: SyncSender<Took>,
}

/// What a number of groups took.
struct Took {
    time: Duration,
    /// Of the whole process, that is of the runtime with the threads that it may have.
    processor_time: Duration,
}

impl Appends {
    /// Calls `append` with the position of one group after another. Between two orders it blocks
    /// the runtime, which has nothing else to do.
    async fn follow(&self, mut append: impl AsyncFnMut(u64)) {
        let group_bytes = (self.group_count * APPEND_BYTES) as u64;
        let mut position = 0;
        while let Ok(groups_count) = self.groups.recv() {
            let (start, used_before) = (Instant::now(), used(ClockId::CLOCK_PROCESS_CPUTIME_ID));
            for _ in 0..groups_count {
                append(position).await;
                position = (position + group_bytes) % FILE_BYTES;
            }
            let time = start.elapsed();
            let processor_time = used(ClockId::CLOCK_PROCESS_CPUTIME_ID) - used_before;
            let took = Took { time, processor_time };
            self.took.send(took).expect("somebody waits for it");
        }
    }

    /// Where each append of a group goes.
    fn positions(&self, position: u64) -> impl Iterator<Item = u64> + use<> {
        (0..self.group_count as u64).map(move |index| position + index * APPEND_BYTES as u64)
    }

    /// `O_DSYNC` where each write is flushed for itself.
    fn open_flags(&self) -> i32 {
        let is_alone = self.group_count == 1;
        libc::O_DIRECT | if is_alone { libc::O_DSYNC } else { 0 }
    }
}

/// A runtime that appends on a thread of its own.
pub struct Appender {
    groups: SyncSender<u64>,
    groups_count: u64,
    took: Receiver<Took>,
    processor_time: Duration,
    thread: JoinHandle<()>,
}

impl Appender {
    /// Starts the runtime, and lets it open the file and append a few groups.
    pub fn new(rival: &Rival, path: &Path, group_count: usize) -> Appender {
        // What the page cache holds of the file would have to be dropped by the first direct writes.
        let file = File::open(path).expect("the file is there");
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).expect("a plain file");
        let (order, groups) = sync_channel(1);
        let (report, took) = sync_channel(1);
        let appends = Appends { path: path.to_owned(), group_count, groups, took: report };
        let append = rival.append;
        let thread = std::thread::spawn(move || {
            pin_to(SERVER_PROCESSOR);
            append(appends);
        });
        let processor_time = Duration::ZERO;
        let mut appender =
            Appender { groups: order, groups_count: 0, took, processor_time, thread };
        appender.append(8);
        appender
    }

    /// Appends this many groups, one after another, and returns how long that took.
    pub fn append(&mut self, groups_count: u64) -> Duration {
        self.groups.send(groups_count).expect("the runtime runs");
        let took = self.took.recv().expect("the runtime runs");
        self.groups_count += groups_count;
        self.processor_time += took.processor_time;
        took.time
    }

    /// Ends the runtime. Returns the processor time for each group.
    pub fn finish(self) -> Duration {
        drop(self.groups);
        self.thread.join().expect("the runtime ends when there are no orders any more");
        self.processor_time.div_f64(self.groups_count as f64)
    }
}

/// Writes the file that all append to.
pub fn prepare_file(path: &Path) {
    let mut file = File::create(path).expect("the directory is there");
    let zeros = vec![0; 1 << 20];
    for _ in 0..FILE_BYTES / zeros.len() as u64 {
        file.write_all(&zeros).expect("there is room");
    }
    file.sync_all().expect("the disk works");
}

fn used(clock: ClockId) -> Duration {
    clock_gettime(clock).expect("every Linux has this clock").into()
}

fn pin_to(processor: usize) {
    let is_pinned = core_affinity::set_for_current(core_affinity::CoreId { id: processor });
    assert!(is_pinned, "two processors are needed, numbers 0 and 1");
}

/// A block of memory as `O_DIRECT` asks for it.
fn aligned_block() -> bytes::Bytes {
    let mut block = runtime::AlignedBuf::with_capacity(APPEND_BYTES);
    block.resize(APPEND_BYTES, 7);
    block.freeze()
}
