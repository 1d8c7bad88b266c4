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
mod lines;
mod disk;
mod records;
mod groups;
mod quotas;
mod owner;
mod controller;
mod core;
mod boot;
mod fetch_sessions;
mod connection;
mod handlers;
mod metrics;
mod broker;

pub use broker::{BrokerError, CoreMain, Prepared, make_directory, prepare, run};
