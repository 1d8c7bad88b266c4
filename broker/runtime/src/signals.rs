//! The signals that end a process in good order.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::core::submit;
use crate::op::{Fd, Op};

/// SIGTERM and SIGINT, taken from their default, which is to end the process at once.
#[derive(Debug)]
pub struct Termination {
    fd: SignalFd,
}

impl Termination {
    /// Takes the signals for this thread and all that it starts from now on, so it comes before the
    /// cores.
    pub fn claim() -> io::Result<Termination> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        signals.add(Signal::SIGINT);
        signals.thread_block()?;
        let fd = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Termination { fd })
    }

    /// Waits until somebody wants the process to end. Returns the signal's name.
    pub async fn requested(&self) -> io::Result<&'static str> {
        loop {
            submit(Op::Readable { fd: Fd(self.fd.as_raw_fd()) }).await.result?;
            let Some(signal) = self.fd.read_signal()? else { continue };
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            return Ok(Signal::try_from(number).map_or("a signal", Signal::as_str));
        }
    }
}
