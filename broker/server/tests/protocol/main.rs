//! The broker as its clients' bytes see it. Names of tests begin with the row of
//! `broker/server/COMPATIBILITY.md` that they hold the broker to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod compaction;
mod compression;
mod configs;
mod connection;
mod deletions;
mod describe;
mod elections;
mod epochs;
mod fetch;
mod groups;
mod list_offsets;
mod moves;
mod partitions;
mod produce;
mod quotas;
mod sessions;
mod topics;
