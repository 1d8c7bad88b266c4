//! A broker whose disk fills up, on a small file system of its own: ext4 on a loop device, or a tmpfs
//! where there are none. Mounting needs root: without it the tests say so on standard error and pass;
//! with CI=true they fail instead.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was measured is told")]

#[path = "../support/mod.rs"]
mod support;

mod groups;
mod last_byte;
mod rounds;
mod slope;
mod small_disk;
