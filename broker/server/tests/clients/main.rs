//! The broker as programs see it that know nothing of it: clients and tools of other people.
//!
//! Each test starts `highwater` as a child process on its own directory and port. The clients are
//! installed under `target/clients` when they are first needed, from the registries that this
//! machine's pip, Maven, Go and npm are set up for. Where one cannot be installed, its tests say so on
//! standard error and pass; with CI=true they fail instead.
//!
//! - HIGHWATER_KILLS: how often the broker is killed under load, and under groups (10 if not said; 50,
//!   or 30 for groups alone, is the full run).
//! - HIGHWATER_TOOLS_ADDRESS: of an Apache Kafka that prints what is expected of us (`groups/tools.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod process;
mod broker;
mod install;
mod scripts;
mod matrix;
mod placement;
mod schemas;
mod sessions;
mod tools;
mod admin;
mod kcat;
mod restarts;
mod proxy;
mod kills;
mod groups;
mod course;
