//! The broker: from a Kafka client's bytes to replicas and back.
//!
//! ```text
//!  connection's core                              owner core
//!  Connection ─► decode ─► handlers::* ─ mesh ─► Owner ─► replication::Replica
//!      ▲            (ClusterImage, validation)     │
//!      └──── answers, in the order of the requests ┘
//!
//!  core 0 besides: Controller ─► __cluster_metadata ─► ClusterImage, given to every core
//! ```
//!
//! Guarantees: answers of a connection in the order of its requests; what a connection sends for a
//! partition is appended in that order; memory bounded by what the configuration says.
//! Does not know: how bytes get to the disk, how a request is laid out.

#![forbid(unsafe_code)]

mod call;
pub mod config;
mod image;
mod failure;
mod owner;
mod controller;
mod core;
mod boot;
mod connection;
mod handlers;
mod metrics;
mod broker;

pub use broker::{BrokerError, run};

/// Ends the process with an error, from any core. What was acknowledged is on the disk already.
fn end_process(text: &str) -> ! {
    use std::io::Write;
    // If nobody reads it, the exit code says enough.
    let _ = writeln!(std::io::stderr(), "error: {text}");
    std::process::exit(1)
}
