//! Operations as submission queue entries, and the kernel's answers as results.

use std::ffi::CString;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use io_uring::{opcode, squeue, types};
use nix::sys::socket::{SockaddrLike, SockaddrStorage};

use super::direct;
use crate::op::{Fd, IoClass, Op, OpenOptions, Output, SyncMode, WriteMode};

/// One call sends at most this many pieces (`UIO_MAXIOV` is 1024).
const PIECES_MAX: usize = 256;

/// What an entry points to beside the operation's own buffers.
pub(super) enum Scratch {
    None,
    Path(CString),
    Paths(CString, CString),
    Connecting { fd: RawFd, address: SockaddrStorage },
    Message { header: libc::msghdr, pieces: Vec<libc::iovec> },
}

fn fallocate(fd: Fd, position: u64, size_bytes: u64, mode: i32) -> squeue::Entry {
    opcode::Fallocate::new(types::Fd(fd.0), size_bytes).offset(position).mode(mode).build()
}

/// As `IOPRIO_PRIO_VALUE` of linux/ioprio.h makes it; 0 is the process's own.
fn priority_of(class: IoClass) -> u16 {
    const CLASS_SHIFT: u16 = 13;
    const CLASS_IDLE: u16 = 3;
    match class {
        IoClass::Normal => 0,
        IoClass::Idle => CLASS_IDLE << CLASS_SHIFT,
    }
}

/// The entry for an operation, without its `user_data`; none for what is performed directly.
///
/// The entry points into `op` and `scratch`: both must keep their address and content until the
/// operation completes.
pub(super) fn of(op: &mut Op, scratch: &mut Scratch) -> io::Result<Option<squeue::Entry>> {
    let entry = match op {
        Op::Open { path, options } => {
            let path = keep_path(scratch, path)?;
            opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path)
                .flags(open_flags(*options))
                .mode(0o644)
                .build()
        }
        Op::Close { fd } => opcode::Close::new(types::Fd(fd.0)).build(),
        Op::ReadAt { fd, buf, position, class } => {
            opcode::Read::new(types::Fd(fd.0), buf.as_mut_ptr(), size_of_transfer(buf.len()))
                .offset(*position)
                .ioprio(priority_of(*class))
                .build()
        }
        Op::WriteAt { fd, data, position, mode, class } => {
            let flags = match mode {
                WriteMode::Cached => 0,
                WriteMode::Durable => libc::RWF_DSYNC,
            };
            opcode::Write::new(types::Fd(fd.0), data.as_ptr(), size_of_transfer(data.len()))
                .offset(*position)
                .ioprio(priority_of(*class))
                .rw_flags(flags)
                .build()
        }
        Op::Sync { fd, mode } => {
            let flags = match mode {
                SyncMode::Data => types::FsyncFlags::DATASYNC,
                SyncMode::All => types::FsyncFlags::empty(),
            };
            opcode::Fsync::new(types::Fd(fd.0)).flags(flags).build()
        }
        Op::Allocate { fd, position, size_bytes } => fallocate(*fd, *position, *size_bytes, 0),
        Op::Punch { fd, position, size_bytes } => {
            let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            fallocate(*fd, *position, *size_bytes, mode)
        }
        Op::MakeDir { path } => {
            let path = keep_path(scratch, path)?;
            opcode::MkDirAt::new(types::Fd(libc::AT_FDCWD), path).mode(0o755).build()
        }
        Op::Rename { from, to } => {
            *scratch = Scratch::Paths(c_path(from)?, c_path(to)?);
            let Scratch::Paths(from, to) = scratch else { unreachable!("just set") };
            let cwd = types::Fd(libc::AT_FDCWD);
            opcode::RenameAt::new(cwd, from.as_ptr(), cwd, to.as_ptr()).build()
        }
        Op::RemoveFile { path } => {
            let path = keep_path(scratch, path)?;
            opcode::UnlinkAt::new(types::Fd(libc::AT_FDCWD), path).build()
        }
        Op::RemoveDir { path } => {
            let path = keep_path(scratch, path)?;
            opcode::UnlinkAt::new(types::Fd(libc::AT_FDCWD), path).flags(libc::AT_REMOVEDIR).build()
        }
        Op::Accept { fd } => {
            opcode::Accept::new(types::Fd(fd.0), std::ptr::null_mut(), std::ptr::null_mut())
                .flags(libc::SOCK_CLOEXEC)
                .build()
        }
        Op::Connect { address } => {
            let fd = direct::stream_socket(*address)?;
            *scratch = Scratch::Connecting { fd, address: SockaddrStorage::from(*address) };
            let Scratch::Connecting { address, .. } = scratch else { unreachable!("just set") };
            opcode::Connect::new(types::Fd(fd), address.as_ptr(), address.len()).build()
        }
        Op::Receive { fd, buf } => {
            let spare = buf.spare_capacity_mut();
            opcode::Recv::new(
                types::Fd(fd.0),
                spare.as_mut_ptr().cast(),
                size_of_transfer(spare.len()),
            )
            .build()
        }
        Op::Send { fd, pieces } => {
            let pieces = pieces.iter().take(PIECES_MAX).map(|piece| libc::iovec {
                iov_base: piece.as_ptr().cast_mut().cast(),
                iov_len: piece.len(),
            });
            // SAFETY: a message header of zeros is one without address, control data and pieces.
            let header = unsafe { std::mem::zeroed() };
            *scratch = Scratch::Message { header, pieces: pieces.collect() };
            let Scratch::Message { header, pieces } = scratch else { unreachable!("just set") };
            header.msg_iov = pieces.as_mut_ptr();
            header.msg_iovlen = pieces.len();
            opcode::SendMsg::new(types::Fd(fd.0), header)
                .flags((libc::MSG_NOSIGNAL | libc::MSG_WAITALL).cast_unsigned())
                .build()
        }
        Op::Writable { fd } => {
            opcode::PollAdd::new(types::Fd(fd.0), u32::from(libc::POLLOUT.cast_unsigned())).build()
        }
        Op::Readable { fd } => {
            opcode::PollAdd::new(types::Fd(fd.0), u32::from(libc::POLLIN.cast_unsigned())).build()
        }
        Op::Shutdown { fd } => opcode::Shutdown::new(types::Fd(fd.0), libc::SHUT_RDWR).build(),
        Op::Truncate { .. }
        | Op::Size { .. }
        | Op::CachedBytes { .. }
        | Op::ReadDir { .. }
        | Op::Space { .. }
        | Op::Listen { .. }
        | Op::LocalAddress { .. }
        | Op::SendFile { .. } => return Ok(None),
    };
    Ok(Some(entry))
}

/// The kernel's answer: a count or descriptor, or a negative error number.
pub(super) fn result_of(op: &mut Op, scratch: &Scratch, answer: i32) -> io::Result<Output> {
    if answer == -libc::ECANCELED && matches!(op, Op::Receive { .. }) {
        return Ok(Output::Cancelled);
    }
    if answer < 0 {
        if let Scratch::Connecting { fd, .. } = scratch {
            direct::close(*fd);
        }
        return Err(io::Error::from_raw_os_error(-answer));
    }
    let count = answer.cast_unsigned() as usize;
    match op {
        Op::Open { .. } => Ok(Output::Fd(Fd(answer))),
        Op::ReadAt { .. } | Op::WriteAt { .. } | Op::Send { .. } => Ok(Output::Count(count)),
        Op::Receive { buf, .. } => {
            let filled = buf.len() + count;
            assert!(filled <= buf.capacity(), "the kernel stays within the size it was given");
            // SAFETY: the kernel has written `count` bytes behind the buffer's end, within its
            // capacity, so all bytes up to `filled` are initialised.
            unsafe { buf.set_len(filled) };
            Ok(Output::Count(count))
        }
        Op::Accept { .. } => direct::accepted(answer),
        Op::Connect { .. } => {
            let Scratch::Connecting { fd, .. } = scratch else {
                unreachable!("set with the entry")
            };
            Ok(Output::Fd(Fd(*fd)))
        }
        Op::Close { .. }
        | Op::Sync { .. }
        | Op::Allocate { .. }
        | Op::Punch { .. }
        | Op::MakeDir { .. }
        | Op::Rename { .. }
        | Op::RemoveFile { .. }
        | Op::RemoveDir { .. }
        | Op::Writable { .. }
        | Op::Readable { .. }
        | Op::Shutdown { .. } => Ok(Output::Done),
        Op::Truncate { .. }
        | Op::Size { .. }
        | Op::CachedBytes { .. }
        | Op::ReadDir { .. }
        | Op::Space { .. }
        | Op::Listen { .. }
        | Op::LocalAddress { .. }
        | Op::SendFile { .. } => unreachable!("performed at submission"),
    }
}

fn open_flags(options: OpenOptions) -> i32 {
    let mut flags = libc::O_CLOEXEC;
    flags |= if options.write { libc::O_RDWR } else { libc::O_RDONLY };
    if options.create || options.create_new {
        flags |= libc::O_CREAT;
    }
    if options.create_new {
        flags |= libc::O_EXCL;
    }
    if options.direct {
        flags |= libc::O_DIRECT;
    }
    if options.directory {
        flags |= libc::O_DIRECTORY;
    }
    flags
}

/// The kernel moves at most 2^31 - 4096 bytes in one call; a larger transfer ends short.
fn size_of_transfer(size_bytes: usize) -> u32 {
    const TRANSFER_BYTES_MAX: usize = 1 << 30;
    u32::try_from(size_bytes.min(TRANSFER_BYTES_MAX)).expect("bounded above")
}

fn keep_path(scratch: &mut Scratch, path: &Path) -> io::Result<*const libc::c_char> {
    *scratch = Scratch::Path(c_path(path)?);
    let Scratch::Path(path) = scratch else { unreachable!("just set") };
    Ok(path.as_ptr())
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a path with a zero byte"))
}
