//! One simulated core's operations.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::bug::PlantedBug;
use super::disk::{Disk, Fate, Inode};
use super::net::{EndId, Sent, Waiter};
use super::{Event, LostWrites, World};
use bytes::Bytes;

use crate::arena::Key;
use crate::buffer::BLOCK_SIZE_BYTES;
use crate::driver::slots::Slots;
use crate::mesh::Doorbell;
use crate::op::{Completion, Fd, Op, Output, Space, WriteMode};
use crate::time::Instant;

/// An operation as those see it who decide about faults.
#[derive(Debug)]
pub struct Operation<'a> {
    /// What is asked.
    pub kind: OperationKind,
    /// Of which file or directory.
    pub path: &'a Path,
    /// How many operations have been submitted up to this one.
    pub number: u64,
}

/// What an operation does, for choosing faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Open, whether or not it creates.
    Open,
    /// A read.
    Read,
    /// A write, durable or not.
    Write,
    /// A flush of a file or directory.
    Sync,
    /// Space is reserved, or the size changed.
    Resize,
    /// Names are created, changed, removed or listed.
    Names,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It succeeds, if it can.
    None,
    /// It fails with this error. A write has then happened in any part; what a failed flush should
    /// have covered is lost at the next loss of power, even if a later flush succeeds, as with Linux
    /// and most file systems (Rebello et al., "Can Applications Recover from fsync Failures?").
    Error(io::ErrorKind),
    /// A read or write does only a part, as system calls may.
    Short,
    /// It takes this long.
    Slow(Duration),
}

/// What the simulation says when somebody has changed a buffer of an operation in flight.
pub const BUFFER_OWNERSHIP: &str = "a buffer belongs to its operation until the completion";

struct OpenFile {
    path: PathBuf,
    /// None for a directory.
    inode: Option<Inode>,
    direct: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Socket {
    /// Of one core.
    Listener(SocketAddr, usize),
    Stream(EndId),
}

/// What a slot keeps beside its operation.
pub(super) struct Pending {
    /// The number of the last write to the file that was complete when a flush was submitted.
    flush_up_to: u64,
    fault: Fault,
    /// A fingerprint of the buffer: nobody may change it while the operation is in flight.
    fingerprint: u32,
    /// Whoever waits has asked for the end.
    is_cancelled: bool,
}

/// The descriptors of one process, which all its cores share.
#[derive(Default)]
pub(super) struct Descriptors {
    files: BTreeMap<i32, OpenFile>,
    sockets: BTreeMap<i32, Socket>,
    /// Handed out so far; none is used twice.
    count: i32,
}

impl Descriptors {
    fn next(&mut self) -> Fd {
        self.count += 1;
        Fd(self.count)
    }

    /// None for directories, sockets and what is closed.
    fn inode(&self, fd: Fd) -> Option<Inode> {
        self.files.get(&fd.0).and_then(|file| file.inode)
    }
}

pub(crate) struct SimDriver {
    world: Rc<RefCell<World>>,
    core: usize,
    machine: usize,
    slots: Slots<Pending>,
    descriptors: Rc<RefCell<Descriptors>>,
}

impl SimDriver {
    pub(super) fn new(
        world: Rc<RefCell<World>>,
        core: usize,
        machine: usize,
        descriptors: Rc<RefCell<Descriptors>>,
    ) -> SimDriver {
        SimDriver { world, core, machine, slots: Slots::new(), descriptors }
    }

    pub(crate) fn submit(&mut self, op: Op) -> Key {
        let mut world = self.world.borrow_mut();
        world.operations_count += 1;
        let number = world.operations_count;
        let fault = match world.inject.take() {
            None => Fault::None,
            Some(mut inject) => {
                let (kind, path) = describe(&self.descriptors.borrow(), &op);
                let path = &path;
                let fault = kind.map(|kind| inject(&Operation { kind, path, number }));
                world.inject = Some(inject);
                fault.unwrap_or(Fault::None)
            }
        };
        let flush_up_to = match &op {
            Op::Sync { fd, .. } => {
                let inode = self.descriptors.borrow().inode(*fd);
                inode.map_or(0, |inode| world.disks[self.machine].last_write(inode))
            }
            _ => 0,
        };
        let latency = match fault {
            Fault::Slow(latency) => latency,
            _ => latency_of(&op, &mut world),
        };
        if world.bug == Some(PlantedBug::ReuseBuffer)
            && let Op::WriteAt { data, .. } = &op
        {
            // As if its memory had been that of a write that is still under way.
            for other in self.slots.in_flight_ops_mut() {
                if let Op::WriteAt { data: reused, .. } = other {
                    let size_bytes = data.len().min(reused.len());
                    let rest = reused.slice(size_bytes..);
                    *reused = Bytes::from([&data[..size_bytes], &rest[..]].concat());
                }
            }
        }
        let fingerprint = fingerprint(&op);
        let key =
            self.slots.insert(op, Pending { flush_up_to, fault, fingerprint, is_cancelled: false });
        world.schedule(latency, Event::Completed { core: self.core, key });
        key
    }

    pub(crate) fn poll(&mut self, key: Key, waker: &Waker) -> Poll<Completion> {
        self.slots.poll(key, waker)
    }

    /// Files are not cancelled; the operation runs to its end and nobody hears of it. What waits
    /// for the network ends at once.
    pub(crate) fn abandon(&mut self, key: Key) {
        if let Some(completion) = self.slots.abandon(key) {
            return self.discard(completion);
        }
        let waiter = Waiter { core: self.core, key };
        if self.world.borrow_mut().net.forget(waiter) {
            self.slots.complete(key, Ok(Output::Cancelled));
        }
    }

    /// The receive ends a moment later; what comes until then may still be received by it.
    pub(crate) fn cancel(&mut self, key: Key) {
        if self.slots.is_completed(key) {
            return;
        }
        let (op, pending) = self.slots.in_flight(key);
        assert!(matches!(op, Op::Receive { .. }), "others end in time");
        pending.is_cancelled = true;
        let mut world = self.world.borrow_mut();
        // What does not wait in the network is about to be tried anyway.
        if world.net.forget(Waiter { core: self.core, key }) {
            let latency = Duration::from_micros(world.rng.below(300));
            world.schedule(latency, Event::Completed { core: self.core, key });
        }
    }

    pub(crate) fn ring(&mut self, doorbell: &Doorbell) {
        let Some(target) = doorbell.ring_fd() else { return };
        let mut world = self.world.borrow_mut();
        let nanos = 1000 + world.rng.below(50_000);
        // The other core's thread does not always run.
        let nanos = if world.rng.one_in(500) { nanos + 10_000_000 } else { nanos };
        let latency = Duration::from_nanos(nanos);
        let core = usize::try_from(target).expect("a core's number");
        world.schedule(latency, Event::Rung { core });
    }

    pub(crate) fn now(&self) -> Instant {
        self.world.borrow().now
    }

    pub(crate) fn wall_clock_ms(&self) -> i64 {
        self.world.borrow().wall_clock_ms(self.machine)
    }

    pub(crate) fn end_process(&mut self, text: &str) {
        self.world.borrow_mut().ended.push((self.core, text.to_owned()));
    }

    /// Whether this machine has been given a bug on purpose.
    #[cfg(debug_assertions)]
    pub(crate) fn has_bug(&self, bug: PlantedBug) -> bool {
        self.world.borrow().bug == Some(bug)
    }

    /// Performs the operation and hands its result over.
    pub(super) fn complete(&mut self, key: Key) {
        let (op, pending) = self.slots.in_flight(key);
        assert_eq!(fingerprint(op), pending.fingerprint, "{BUFFER_OWNERSHIP}");
        let (fault, flush_up_to) = (pending.fault, pending.flush_up_to);
        let is_cancelled = pending.is_cancelled;
        let mut world = self.world.borrow_mut();
        world.note(key.to_u64());
        let part = world.rng.next_u64();
        let mut descriptors = self.descriptors.borrow_mut();
        let result = if is_of_sockets(op, &descriptors.sockets) {
            let waiter = Waiter { core: self.core, key };
            // A cancellation may come too late.
            let is_unwanted = is_cancelled || self.slots.is_abandoned(key);
            let (op, _) = self.slots.in_flight(key);
            let is_in_time = is_unwanted && part & 1 == 0 && !matches!(op, Op::Close { .. });
            let machine = self.machine;
            let call =
                SocketCall { world: &mut world, descriptors: &mut descriptors, machine, waiter };
            let tried = if is_in_time { None } else { call.perform(op) };
            match tried {
                Some(result) => result,
                None if is_unwanted => {
                    world.net.forget(waiter);
                    Ok(Output::Cancelled)
                }
                // It is tried again when something has changed.
                None => return,
            }
        } else {
            let disk = &mut world.disks[self.machine];
            perform(disk, &mut descriptors, op, flush_up_to, fault, part)
        };
        drop(descriptors);
        drop(world);
        if let Some(unwanted) = self.slots.complete(key, result) {
            self.discard(unwanted);
        }
    }

    /// The kernel closes what a process leaves open when it dies, and tells the other sides.
    pub(super) fn close_sockets(&mut self) {
        let mut world = self.world.borrow_mut();
        let sockets = std::mem::take(&mut self.descriptors.borrow_mut().sockets);
        for socket in sockets.into_values() {
            world.close_socket(self.machine, socket);
        }
    }

    /// What the operations in flight leave on the disk if the process ends now: each sector of a
    /// write, and each change of names or sizes, lands or does not.
    pub(super) fn land_in_flight(&mut self, disk: &mut Disk, fate: &mut Fate) -> LostWrites {
        let mut lost = LostWrites::default();
        for op in self.slots.in_flight_ops() {
            match op {
                Op::WriteAt { fd, data, position, .. } => {
                    if let Some(inode) = self.descriptors.borrow().inode(*fd) {
                        let (mut landed, mut missed) = (false, false);
                        disk.write_some_sectors(inode, *position, data, || {
                            let keeps = fate.keeps();
                            *(if keeps { &mut landed } else { &mut missed }) = true;
                            keeps
                        });
                        lost.torn_count += u64::from(landed && missed);
                        lost.lost_count += u64::from(!landed && missed);
                    }
                }
                Op::Truncate { fd, size_bytes } => {
                    if let Some(inode) = self.descriptors.borrow().inode(*fd)
                        && fate.keeps()
                    {
                        disk.truncate(inode, *size_bytes);
                    }
                }
                Op::Allocate { fd, position, size_bytes } => {
                    if let Some(inode) = self.descriptors.borrow().inode(*fd)
                        && fate.keeps()
                    {
                        let _ = disk.allocate(inode, position + size_bytes);
                    }
                }
                Op::Punch { fd, position, size_bytes } => {
                    if let Some(inode) = self.descriptors.borrow().inode(*fd)
                        && fate.keeps()
                    {
                        disk.punch(inode, *position, *size_bytes);
                    }
                }
                Op::Rename { from, to } if fate.keeps() => drop(disk.names_mut().rename(from, to)),
                Op::RemoveFile { path } if fate.keeps() => drop(disk.names_mut().remove_file(path)),
                Op::RemoveDir { path } if fate.keeps() => drop(disk.names_mut().remove_dir(path)),
                Op::MakeDir { path } if fate.keeps() => drop(disk.names_mut().make_dir(path)),
                Op::Open { path, options }
                    if (options.create || options.create_new) && fate.keeps() =>
                {
                    drop(disk.open(path, *options));
                }
                _ => {}
            }
        }
        lost
    }

    fn discard(&mut self, completion: Completion) {
        let Ok(Output::Fd(fd) | Output::Accepted(fd, _)) = completion.result else { return };
        let mut descriptors = self.descriptors.borrow_mut();
        descriptors.files.remove(&fd.0);
        if let Some(socket) = descriptors.sockets.remove(&fd.0) {
            self.world.borrow_mut().close_socket(self.machine, socket);
        }
    }
}

fn describe(descriptors: &Descriptors, op: &Op) -> (Option<OperationKind>, PathBuf) {
    let path_of = |fd: &Fd| descriptors.files.get(&fd.0).map(|file| file.path.clone());
    let (kind, path) = match op {
        Op::Open { path, .. } => (OperationKind::Open, Some(path.clone())),
        Op::ReadAt { fd, .. } => (OperationKind::Read, path_of(fd)),
        Op::WriteAt { fd, .. } => (OperationKind::Write, path_of(fd)),
        Op::Sync { fd, .. } => (OperationKind::Sync, path_of(fd)),
        Op::Allocate { fd, .. } | Op::Punch { fd, .. } | Op::Truncate { fd, .. } => {
            (OperationKind::Resize, path_of(fd))
        }
        Op::MakeDir { path }
        | Op::ReadDir { path }
        | Op::RemoveFile { path }
        | Op::RemoveDir { path }
        | Op::Rename { from: path, .. } => (OperationKind::Names, Some(path.clone())),
        _ => return (None, PathBuf::new()),
    };
    (Some(kind), path.unwrap_or_default())
}

fn latency_of(op: &Op, world: &mut World) -> Duration {
    let rng = &mut world.rng;
    let micros = match op {
        Op::WriteAt { mode: WriteMode::Durable, .. } => 50 + rng.below(100),
        Op::WriteAt { .. } => 5 + rng.below(60),
        Op::Sync { .. } => 30 + rng.below(400),
        Op::Close { .. } => 0,
        _ => 1 + rng.below(60),
    };
    // A device stalls now and then.
    Duration::from_micros(if rng.one_in(200) { micros + 5_000 } else { micros })
}

fn fingerprint(op: &Op) -> u32 {
    let bytes: &[u8] = match op {
        Op::WriteAt { data, .. } => data,
        Op::ReadAt { buf, .. } => buf,
        _ => &[],
    };
    let add = |sum: &mut u32, byte: u8| *sum = sum.rotate_left(5).wrapping_add(u32::from(byte));
    // Of every 64 bytes one, in four sums that do not wait for each other.
    let mut sums = [0; 4];
    let (chunks, rest) = bytes.as_chunks::<256>();
    for chunk in chunks {
        for (lane, sum) in sums.iter_mut().enumerate() {
            add(sum, chunk[64 * lane]);
        }
    }
    rest.iter().step_by(64).for_each(|byte| add(&mut sums[0], *byte));
    sums.iter().fold(0, |all, sum| all.rotate_left(8) ^ sum)
}

fn perform(
    disk: &mut Disk,
    descriptors: &mut Descriptors,
    op: &mut Op,
    flush_up_to: u64,
    fault: Fault,
    part: u64,
) -> io::Result<Output> {
    let failed = match fault {
        Fault::Error(kind) => Some(io::Error::from(kind)),
        _ => None,
    };
    let file_of = |descriptors: &Descriptors, fd: &Fd| -> io::Result<(Inode, bool)> {
        let file = descriptors.files.get(&fd.0).ok_or(io::ErrorKind::InvalidInput)?;
        Ok((file.inode.ok_or(io::ErrorKind::IsADirectory)?, file.direct))
    };
    match op {
        Op::WriteAt { fd, data, position, mode, .. } => {
            let (inode, direct) = file_of(descriptors, fd)?;
            check_alignment(direct, *position, data.len())?;
            if let Some(error) = failed {
                write_any_part(disk, inode, *position, data, part);
                return Err(error);
            }
            let size_bytes = transfer_size(fault, direct, data.len(), part);
            let durable = *mode == WriteMode::Durable;
            disk.write(inode, *position, &data[..size_bytes], durable)?;
            Ok(Output::Count(size_bytes))
        }
        Op::Sync { fd, .. } => {
            let file = descriptors.files.get(&fd.0).ok_or(io::ErrorKind::InvalidInput)?;
            match (file.inode, failed) {
                (Some(inode), None) => disk.flush(inode, flush_up_to),
                (Some(inode), Some(error)) => {
                    disk.forget_unflushed(inode, flush_up_to);
                    return Err(error);
                }
                (None, None) => disk.names_mut().flush_dir(&file.path),
                (None, Some(error)) => return Err(error),
            }
            Ok(Output::Done)
        }
        _ if failed.is_some() => Err(failed.expect("just seen")),
        Op::Open { path, options } => {
            let inode = disk.open(path, *options)?;
            let file = OpenFile { path: path.clone(), inode, direct: options.direct };
            let fd = descriptors.next();
            descriptors.files.insert(fd.0, file);
            Ok(Output::Fd(fd))
        }
        Op::Close { fd } => {
            descriptors.files.remove(&fd.0);
            Ok(Output::Done)
        }
        Op::ReadAt { fd, buf, position, .. } => {
            let (inode, direct) = file_of(descriptors, fd)?;
            check_alignment(direct, *position, buf.len())?;
            let size_bytes = transfer_size(fault, direct, buf.len(), part);
            Ok(Output::Count(disk.read(inode, *position, &mut buf[..size_bytes])))
        }
        Op::Allocate { fd, position, size_bytes } => {
            let (inode, _) = file_of(descriptors, fd)?;
            disk.allocate(inode, *position + *size_bytes)?;
            Ok(Output::Done)
        }
        Op::Punch { fd, position, size_bytes } => {
            disk.punch(file_of(descriptors, fd)?.0, *position, *size_bytes);
            Ok(Output::Done)
        }
        Op::Truncate { fd, size_bytes } => {
            disk.truncate(file_of(descriptors, fd)?.0, *size_bytes);
            Ok(Output::Done)
        }
        Op::Size { fd } => Ok(Output::Size(disk.size_bytes(file_of(descriptors, fd)?.0))),
        Op::CachedBytes { range } => {
            // The kernel keeps what it likes.
            let all = part.is_multiple_of(3);
            Ok(Output::Count(if all { range.size_bytes } else { 0 }))
        }
        Op::MakeDir { path } => disk.names_mut().make_dir(path).map(|()| Output::Done),
        Op::ReadDir { path } => disk.names().read_dir(path).map(Output::Entries),
        Op::Rename { from, to } => disk.names_mut().rename(from, to).map(|()| Output::Done),
        Op::RemoveFile { path } => disk.names_mut().remove_file(path).map(|()| Output::Done),
        Op::RemoveDir { path } => disk.names_mut().remove_dir(path).map(|()| Output::Done),
        Op::Space { .. } => Ok(Output::Space(Space {
            free_bytes: disk.free_bytes(),
            total_bytes: disk.capacity_bytes(),
        })),
        Op::Listen { .. }
        | Op::LocalAddress { .. }
        | Op::Accept { .. }
        | Op::Connect { .. }
        | Op::Receive { .. }
        | Op::Send { .. }
        | Op::SendFile { .. }
        | Op::Writable { .. }
        | Op::Readable { .. }
        | Op::Shutdown { .. } => unreachable!("the network performs it: {op:?}"),
    }
}

/// What a failed write leaves.
fn write_any_part(disk: &mut Disk, inode: Inode, position: u64, data: &[u8], part: u64) {
    let mut bits = part;
    disk.write_some_sectors(inode, position, data, || {
        bits = bits.rotate_left(1);
        bits & 1 == 1
    });
}

fn is_of_sockets(op: &Op, sockets: &BTreeMap<i32, Socket>) -> bool {
    match op {
        Op::Close { fd } => sockets.contains_key(&fd.0),
        Op::Listen { .. }
        | Op::LocalAddress { .. }
        | Op::Accept { .. }
        | Op::Connect { .. }
        | Op::Receive { .. }
        | Op::Send { .. }
        | Op::SendFile { .. }
        | Op::Writable { .. }
        | Op::Readable { .. }
        | Op::Shutdown { .. } => true,
        _ => false,
    }
}

/// An operation on a socket, with what it may touch.
struct SocketCall<'a> {
    world: &'a mut World,
    descriptors: &'a mut Descriptors,
    machine: usize,
    waiter: Waiter,
}

impl SocketCall<'_> {
    /// The result, or nothing while it has to wait.
    fn perform(mut self, op: &mut Op) -> Option<io::Result<Output>> {
        let mut woken = Vec::new();
        let mut sent = Vec::new();
        let result = self.try_to(op, &mut woken, &mut sent);
        self.world.wake(woken);
        self.world.send(sent);
        match result {
            Err(error) => Some(Err(error)),
            Ok(tried) => tried.map(Ok),
        }
    }

    fn try_to(
        &mut self,
        op: &mut Op,
        woken: &mut Vec<Waiter>,
        sent: &mut Vec<Sent>,
    ) -> io::Result<Option<Output>> {
        let (machine, waiter) = (self.machine, self.waiter);
        let now = self.world.now;
        if let Op::SendFile { socket, range } = op {
            let Socket::Stream(end) = self.socket(*socket)? else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let inode = self.descriptors.inode(range.fd).ok_or(io::ErrorKind::InvalidInput)?;
            let mut bytes = vec![0; range.size_bytes];
            let size_bytes = self.world.disks[machine].read(inode, range.position, &mut bytes);
            bytes.truncate(size_bytes);
            if bytes.is_empty() {
                return Ok(Some(Output::Count(0)));
            }
            let World { net, rng, .. } = &mut *self.world;
            let (tried, packet) = net.send(end, &[Bytes::from(bytes)], now, rng, None);
            sent.extend(packet);
            return Ok(tried.transpose()?.map(Output::Count));
        }
        let stream = match op {
            Op::Receive { fd, .. }
            | Op::Send { fd, .. }
            | Op::Writable { fd }
            | Op::Readable { fd }
            | Op::Shutdown { fd } => match self.socket(*fd)? {
                Socket::Stream(end) => Some(end),
                Socket::Listener(..) => return Err(io::ErrorKind::InvalidInput.into()),
            },
            _ => None,
        };
        let stream = || stream.expect("looked up for all that need one");
        let World { net, rng, .. } = &mut *self.world;
        let output = match op {
            Op::Listen { address, shared_port } => {
                let address = net.listen(machine, waiter.core, *address, *shared_port)?;
                Some(Output::Fd(self.open(Socket::Listener(address, waiter.core))))
            }
            Op::LocalAddress { fd } => match self.socket(*fd)? {
                Socket::Listener(address, _) => Some(Output::Address(address)),
                Socket::Stream(_) => return Err(io::ErrorKind::InvalidInput.into()),
            },
            Op::Accept { fd } => {
                let Socket::Listener(address, _) = self.socket(*fd)? else {
                    return Err(io::ErrorKind::InvalidInput.into());
                };
                let accepted = self.world.net.accept(machine, address, waiter).transpose()?;
                accepted.map(|(end, peer)| Output::Accepted(self.open(Socket::Stream(end)), peer))
            }
            Op::Connect { address } => {
                let connected = net.connect(machine, *address, now, rng, waiter, woken);
                connected.transpose()?.map(|end| Output::Fd(self.open(Socket::Stream(end))))
            }
            Op::Receive { buf, .. } => {
                net.receive(stream(), buf, rng, waiter, woken).transpose()?.map(Output::Count)
            }
            Op::Send { pieces, .. } => {
                let (tried, packet) = net.send(stream(), pieces, now, rng, Some(waiter));
                sent.extend(packet);
                tried.transpose()?.map(Output::Count)
            }
            Op::Writable { .. } => {
                net.writable(stream(), waiter).transpose()?.map(|()| Output::Done)
            }
            Op::Readable { .. } => {
                net.readable(stream(), waiter).transpose()?.map(|()| Output::Done)
            }
            Op::Shutdown { .. } => {
                sent.extend(net.shut(stream(), now, rng, woken));
                Some(Output::Done)
            }
            Op::Close { fd } => {
                let sockets = &mut self.descriptors.sockets;
                let socket = sockets.remove(&fd.0).ok_or(io::ErrorKind::InvalidInput)?;
                self.world.close_socket(machine, socket);
                Some(Output::Done)
            }
            _ => unreachable!("not an operation on a socket: {op:?}"),
        };
        Ok(output)
    }

    fn socket(&self, fd: Fd) -> io::Result<Socket> {
        self.descriptors
            .sockets
            .get(&fd.0)
            .copied()
            .ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    fn open(&mut self, socket: Socket) -> Fd {
        let fd = self.descriptors.next();
        self.descriptors.sockets.insert(fd.0, socket);
        fd
    }
}

/// As the kernel does for `O_DIRECT`.
fn check_alignment(direct: bool, position: u64, size_bytes: usize) -> io::Result<()> {
    let block = BLOCK_SIZE_BYTES as u64;
    let aligned = position.is_multiple_of(block) && (size_bytes as u64).is_multiple_of(block);
    if direct && !aligned {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(())
}

fn transfer_size(fault: Fault, direct: bool, size_bytes: usize, part: u64) -> usize {
    let unit = if direct { BLOCK_SIZE_BYTES } else { 1 };
    let units_count = size_bytes / unit;
    if fault != Fault::Short || units_count < 2 {
        return size_bytes;
    }
    let share = usize::try_from(part % (units_count as u64 - 1)).expect("below a usize");
    (1 + share) * unit
}
