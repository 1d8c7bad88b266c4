//! What a host is, as far as it bends what a broker measures on it.
//!
//! Guarantees: facts may be published: no host name, no user name, no path. What the kernel does
//! not tell is left out, never guessed.
//! Does not know: brokers, loads, how facts are laid out in a report.

#![forbid(unsafe_code)]

pub mod facts;
pub mod flush;

pub use facts::Facts;
pub use flush::{Flush, FlushError, FlushLatency};
