//! A core on the kernel: one io_uring, submitted to and reaped by one thread.
//!
//! The ring is set up with `SINGLE_ISSUER`, `DEFER_TASKRUN` and `COOP_TASKRUN` (Linux 6.1): the
//! kernel's part of the work is done when this thread asks for completions, not in an interrupt of
//! it. The thread sleeps in `io_uring_enter` and never polls: a spinning thread on the core that
//! takes the disk's interrupt delays durable writes by a scheduler tick.
//!
//! What has no opcode in Linux 6.1 (or is not worth a worker thread) is performed at submission,
//! in `direct.rs`.

mod direct;
mod entry;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue, types};
use nix::time::{ClockId, clock_gettime};

use crate::arena::Key;
use crate::driver::slots::Slots;
use crate::lock::DirectoryLock;
use crate::mesh::Doorbell;
use crate::op::{Completion, Fd, Op, Output};
use crate::time::Instant;
use entry::Scratch;

const SUBMISSION_ENTRIES: u32 = 1024;
const COMPLETION_ENTRIES: u32 = 8192;

/// `user_data` of completions that nobody waits for. No key reaches these numbers: they would need
/// 2^32 generations of one place.
const IGNORED: u64 = u64::MAX;
/// `user_data` that another core's doorbell message carries.
const RUNG: u64 = u64::MAX - 1;

pub(crate) struct UringDriver {
    ring: IoUring,
    slots: Slots<Scratch>,
    /// Entries that did not fit into the submission queue.
    backlog: VecDeque<squeue::Entry>,
    doorbell: Arc<Doorbell>,
    enter_flags: EnterFlags,
}

/// Why a core could not get its ring. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// Refused by a container's seccomp profile or by a sysctl.
    #[error(
        "io_uring is not allowed here ({source}): set the sysctl kernel.io_uring_disabled to 0, \
         and in a container allow the io_uring_* system calls in the seccomp profile"
    )]
    Forbidden {
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel lacks io_uring or the set-up flags that are used.
    #[error("this kernel has no io_uring as of Linux 6.1 ({source}): use Linux 6.1 or later")]
    TooOld {
        /// The kernel's answer.
        source: io::Error,
    },
    /// Locked memory or descriptors ran out.
    #[error(
        "no memory or descriptors for an io_uring ({source}): raise `ulimit -l` and `ulimit -n`, \
         or use fewer cores"
    )]
    Exhausted {
        /// The kernel's answer.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot set up io_uring ({source})")]
    Failed {
        /// The kernel's answer.
        source: io::Error,
    },
}

impl From<io::Error> for RingError {
    fn from(source: io::Error) -> RingError {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => RingError::Forbidden { source },
            Some(libc::ENOSYS | libc::EINVAL) => RingError::TooOld { source },
            Some(libc::ENOMEM | libc::EMFILE | libc::ENFILE) => RingError::Exhausted { source },
            _ => RingError::Failed { source },
        }
    }
}

impl UringDriver {
    /// A ring for the calling thread, which alone may use it. The ring keeps the lock: it is
    /// released only when the last operation of this process has ended, however the process ends.
    pub(crate) fn new(
        doorbell: Arc<Doorbell>,
        lock: Option<&DirectoryLock>,
    ) -> Result<UringDriver, RingError> {
        let ring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETION_ENTRIES)
            .build(SUBMISSION_ENTRIES)?;
        if let Some(lock) = lock {
            ring.submitter().register_files(&[lock.as_raw_fd()])?;
        }
        let mut enter_flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if ring.params().is_feature_no_iowait() {
            // A sleeping broker is idle, not waiting for I/O.
            enter_flags |= EnterFlags::NO_IOWAIT;
        }
        doorbell.install(ring.as_raw_fd());
        Ok(UringDriver {
            ring,
            slots: Slots::new(),
            backlog: VecDeque::new(),
            doorbell,
            enter_flags,
        })
    }

    pub(crate) fn submit(&mut self, op: Op) -> Key {
        let key = self.slots.insert(op, Scratch::None);
        let (op, scratch) = self.slots.in_flight(key);
        match entry::of(op, scratch) {
            Ok(Some(entry)) => self.push(entry.user_data(key.to_u64())),
            Ok(None) => {
                let result = direct::perform(op);
                self.slots.complete(key, result);
            }
            Err(error) => {
                self.slots.complete(key, Err(error));
            }
        }
        key
    }

    pub(crate) fn poll(&mut self, key: Key, waker: &Waker) -> Poll<Completion> {
        self.slots.poll(key, waker)
    }

    pub(crate) fn abandon(&mut self, key: Key) {
        let closing = matches!(self.slots.in_flight(key).0, Op::Close { .. });
        match self.slots.abandon(key) {
            Some(completion) => discard(completion),
            None if closing => {}
            None => self.push_cancel(key),
        }
    }

    pub(crate) fn cancel(&mut self, key: Key) {
        assert!(matches!(self.slots.in_flight(key).0, Op::Receive { .. }), "others end in time");
        if !self.slots.is_completed(key) {
            self.push_cancel(key);
        }
    }

    fn push_cancel(&mut self, key: Key) {
        self.push(
            opcode::AsyncCancel::new(key.to_u64())
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS)
                .user_data(IGNORED),
        );
    }

    pub(crate) fn ring(&mut self, doorbell: &Doorbell) {
        let Some(ring_fd) = doorbell.ring_fd() else { return };
        self.push(
            opcode::MsgRingData::new(types::Fd(ring_fd), 0, RUNG, None)
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS)
                .user_data(IGNORED),
        );
    }

    /// Hands everything submitted to the kernel and takes what has completed. With a deadline it
    /// sleeps until something completes or the deadline passes. Returns whether the doorbell rang.
    pub(crate) fn turn(&mut self, sleep_until: Option<Instant>) -> io::Result<bool> {
        self.fill_submission_queue();
        let now = monotonic_now();
        let completed = !self.ring.completion().is_empty() || !self.backlog.is_empty();
        let sleep = sleep_until.map(|until| until.since(now)).filter(|_| !completed);
        self.enter(sleep.unwrap_or(Duration::ZERO))?;
        let mut rung = self.reap();
        while !self.backlog.is_empty() {
            self.fill_submission_queue();
            self.enter(Duration::ZERO)?;
            rung |= self.reap();
        }
        Ok(rung)
    }

    fn push(&mut self, entry: squeue::Entry) {
        // Kept in order: no entry overtakes one that waits for room in the queue.
        // SAFETY: what the entry points to belongs to an operation in `slots`, which stays there,
        // at the same address, until its completion has been reaped (the invariant of `Slots`).
        if !self.backlog.is_empty() || unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.backlog.push_back(entry);
        }
    }

    fn fill_submission_queue(&mut self) {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: as in `push`.
            if unsafe { self.ring.submission().push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// One system call: submits, runs the deferred work, and sleeps up to `sleep`.
    fn enter(&mut self, sleep: Duration) -> io::Result<()> {
        let to_submit = u32::try_from(self.ring.submission().len()).expect("a queue of 1024");
        let timespec = types::Timespec::from(sleep);
        let args = types::SubmitArgs::new().timespec(&timespec);
        let want = u32::from(!sleep.is_zero());
        let (flags, args) = if want == 1 {
            (self.enter_flags, Some(&args))
        } else {
            (self.enter_flags - EnterFlags::EXT_ARG, None)
        };
        // SAFETY: the flags say whether an argument is passed; it and the time it points to live
        // until the call returns.
        let entered = unsafe { self.ring.submitter().enter(to_submit, want, flags.bits(), args) };
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // The time is over, a signal came, or completions must be reaped first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn reap(&mut self) -> bool {
        let mut rung = false;
        // SAFETY: this thread alone reaps (`&mut self`); the view ends with this function.
        let completions = unsafe { self.ring.completion_shared() };
        for completion in completions {
            match completion.user_data() {
                IGNORED => {}
                RUNG => rung = true,
                number => complete(&mut self.slots, number, &completion),
            }
        }
        rung
    }
}

fn complete(slots: &mut Slots<Scratch>, number: u64, completion: &cqueue::Entry) {
    let key = Key::from_u64(number);
    let (op, scratch) = slots.in_flight(key);
    let result = entry::result_of(op, scratch, completion.result());
    if let Some(unwanted) = slots.complete(key, result) {
        discard(unwanted);
    }
}

impl Drop for UringDriver {
    /// The kernel may still write into buffers of operations in flight: their memory must outlive
    /// the ring, so the driver waits for every one of them.
    fn drop(&mut self) {
        self.doorbell.remove();
        let cancel_all =
            opcode::AsyncCancel2::new(types::CancelBuilder::any().all()).build().user_data(IGNORED);
        self.push(cancel_all);
        while 0 < self.slots.in_flight_count() {
            if self.turn(Some(monotonic_now() + Duration::from_secs(1))).is_err() {
                // Leaking is safe, freeing is not.
                std::mem::forget(std::mem::replace(&mut self.slots, Slots::new()));
                return;
            }
        }
    }
}

/// Nobody waits for this completion: closes what it opened.
fn discard(completion: Completion) {
    let opened: Option<RawFd> = match completion.result {
        Ok(Output::Fd(Fd(fd)) | Output::Accepted(Fd(fd), _)) => Some(fd),
        _ => None,
    };
    if let Some(fd) = opened {
        direct::close(fd);
    }
}

pub(crate) fn monotonic_now() -> Instant {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has this clock");
    Instant::from_nanos(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

pub(crate) fn wall_clock_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn end_process(text: &str) -> ! {
    use std::io::Write;
    // If nobody reads it, the exit code says enough.
    let _ = writeln!(std::io::stderr(), "error: {text}");
    std::process::exit(1)
}
