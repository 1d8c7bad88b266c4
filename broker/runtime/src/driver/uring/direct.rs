//! Operations that are performed at submission: they have no opcode in Linux 6.1, or return at
//! once.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::sendfile::sendfile;
use nix::sys::socket::sockopt::{ReuseAddr, ReusePort, TcpNoDelay};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockname, listen,
    setsockopt, socket,
};
use nix::sys::stat::fstat;
use nix::sys::statvfs::statvfs;

use crate::op::{DirEntry, Fd, FileRange, Op, Output, Space};

/// How many connections may wait to be accepted on one core.
const BACKLOG: i32 = 1024;

pub(super) fn perform(op: &Op) -> io::Result<Output> {
    match op {
        Op::Truncate { fd, size_bytes } => {
            let size = i64::try_from(*size_bytes).map_err(|_| Errno::EFBIG)?;
            nix::unistd::ftruncate(borrow(*fd), size)?;
            Ok(Output::Done)
        }
        Op::Size { fd } => Ok(Output::Size(fstat(borrow(*fd))?.st_size.cast_unsigned())),
        Op::CachedBytes { range } => cached_bytes(*range).map(Output::Count),
        Op::ReadDir { path } => {
            let mut entries = Vec::new();
            for entry in std::fs::read_dir(path)? {
                let entry = entry?;
                let is_dir = entry.file_type()?.is_dir();
                if let Ok(name) = entry.file_name().into_string() {
                    entries.push(DirEntry { name, is_dir });
                }
            }
            entries.sort();
            Ok(Output::Entries(entries))
        }
        Op::Space { path } => {
            let stat = statvfs(path)?;
            Ok(Output::Space(Space {
                free_bytes: stat.blocks_available() * stat.fragment_size(),
                total_bytes: stat.blocks() * stat.fragment_size(),
            }))
        }
        Op::Listen { address, shared_port } => listener(*address, *shared_port),
        Op::LocalAddress { fd } => {
            let address: SockaddrStorage = getsockname(fd.0)?;
            socket_address(&address).map(Output::Address)
        }
        Op::SendFile { socket, range } => send_file(*socket, *range),
        _ => unreachable!("has an opcode"),
    }
}

/// The descriptor, for the time of one call.
fn borrow(fd: Fd) -> BorrowedFd<'static> {
    // SAFETY: a descriptor in an operation belongs to a `File` or socket that is still open: those
    // close it by an operation of their own, which is submitted after this one.
    unsafe { BorrowedFd::borrow_raw(fd.0) }
}

pub(super) fn close(fd: RawFd) {
    // SAFETY: the descriptor came out of a completed operation and nobody else has seen it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

pub(super) fn stream_socket(address: SocketAddr) -> io::Result<RawFd> {
    let fd = socket(family_of(address), SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, TcpNoDelay, &true)?;
    Ok(fd.into_raw_fd())
}

pub(super) fn accepted(fd: RawFd) -> io::Result<Output> {
    // SAFETY: the kernel has just opened this descriptor for us.
    let stream = unsafe { TcpStream::from_raw_fd(fd) };
    // Answers go out whole, so waiting for more bytes only adds latency.
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    Ok(Output::Accepted(Fd(stream.into_raw_fd()), peer))
}

fn listener(address: SocketAddr, shared_port: bool) -> io::Result<Output> {
    let fd = socket(family_of(address), SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, ReuseAddr, &true)?;
    if shared_port {
        setsockopt(&fd, ReusePort, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    // The ring waits for connections; `TcpListener` only hands the descriptor over.
    Ok(Output::Fd(Fd(TcpListener::from(fd).into_raw_fd())))
}

fn family_of(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn socket_address(address: &SockaddrStorage) -> io::Result<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    let v6 = || address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port())));
    v4.or_else(v6).ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
}

/// Sends without waiting for the socket: it is switched to non-blocking for the time of the call
/// only, because the ring's operations on a non-blocking socket would fail instead of waiting.
fn send_file(socket: Fd, range: FileRange) -> io::Result<Output> {
    let stream = borrow(socket);
    let flags = OFlag::from_bits_retain(fcntl(stream, FcntlArg::F_GETFL)?);
    fcntl(stream, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    let mut position = i64::try_from(range.position).map_err(|_| Errno::EOVERFLOW)?;
    let sent = sendfile(stream, borrow(range.fd), Some(&mut position), range.size_bytes);
    fcntl(stream, FcntlArg::F_SETFL(flags))?;
    Ok(Output::Count(sent?))
}

/// Bytes of the range that are in the page cache, by cachestat(2) (Linux 6.5). Where it is missing
/// the answer is none, which is always safe.
fn cached_bytes(range: FileRange) -> io::Result<usize> {
    const CACHESTAT: libc::c_long = 451;
    const PAGE_SIZE_BYTES: usize = 4096;
    #[repr(C)]
    struct Range {
        position: u64,
        size_bytes: u64,
    }
    #[repr(C)]
    #[derive(Default)]
    struct Pages {
        cached: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }
    let asked = Range { position: range.position, size_bytes: range.size_bytes as u64 };
    let mut pages = Pages::default();
    // SAFETY: both structures are laid out as the kernel's and live until the call returns.
    let answer =
        unsafe { libc::syscall(CACHESTAT, range.fd.0, &raw const asked, &raw mut pages, 0) };
    if answer == 0 {
        return Ok(usize::try_from(pages.cached).unwrap_or(0).saturating_mul(PAGE_SIZE_BYTES));
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ENOSYS) => Ok(0),
        error => Err(error),
    }
}
