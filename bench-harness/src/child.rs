//! What this program becomes when it starts another: pinned to its processors, tied to the life of
//! its parent, and then that other program.
//!
//! Setting these between fork and exec from the parent would need unsafe code; from the inside it
//! does not. The kernel keeps both settings over exec.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

/// How a child is told to become another program.
#[derive(Clone, Debug, clap::Args)]
pub struct ChildArgs {
    /// Who started it: if that is no longer its parent, it ends at once.
    #[arg(long)]
    parent: i32,
    /// The processors that it may use, separated by commas; all if none is named.
    #[arg(long, value_delimiter = ',')]
    processors: Vec<usize>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the other program; returns only if it cannot.
pub fn become_command(args: &ChildArgs) -> io::Error {
    if let Err(error) = prepare(args) {
        return error;
    }
    let (program, arguments) = args.command.split_first().expect("clap requires one");
    Command::new(program).args(arguments).exec()
}

fn prepare(args: &ChildArgs) -> io::Result<()> {
    // Killed, not asked: it may hang, and nobody would be there to ask again.
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != Pid::from_raw(args.parent) {
        return Err(io::Error::other("the program that started this one is gone"));
    }
    pin_this_thread(&args.processors)
}

/// Keeps the calling thread, and those that it starts from now on, on some processors.
pub fn pin_this_thread(processors: &[usize]) -> io::Result<()> {
    if processors.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for &processor in processors {
        set.set(processor)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}
