//! The store as its users see it: on the real machine, on the simulated one, and through crashes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "a sweep says how much it swept")]

mod ages;
mod basics;
mod bytes;
mod cases;
mod compaction;
mod crashes;
mod damage;
mod faults;
mod files;
mod flips;
mod full;
mod ghost;
mod moves;
mod names;
mod purges;
mod script;
mod scrubs;
mod support;
