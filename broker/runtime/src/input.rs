//! What comes into the process by its standard input.

use std::io;
use std::os::fd::AsRawFd;

use crate::core::submit;
use crate::op::{Fd, Op};

/// The standard input, read as it comes: nothing is kept here between two reads.
#[derive(Debug)]
pub struct StandardInput(());

impl StandardInput {
    /// The one of this process.
    pub const fn new() -> StandardInput {
        StandardInput(())
    }

    /// Waits until there is something, or until there will be nothing any more. Other tasks go on
    /// meanwhile.
    pub async fn readable(&self) -> io::Result<()> {
        let fd = Fd(io::stdin().as_raw_fd());
        submit(Op::Readable { fd }).await.result.map(|_| ())
    }

    /// Waits as above, and reads what there is into the buffer from its start. Returns how much that
    /// was; zero is the end.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            self.readable().await?;
            match nix::unistd::read(io::stdin(), buf) {
                Ok(count) => return Ok(count),
                // Somebody who has the same file open was faster, or a signal came.
                Err(nix::Error::EAGAIN | nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Default for StandardInput {
    fn default() -> StandardInput {
        StandardInput::new()
    }
}
