//! Load for any broker that speaks Kafka's protocol: open loop, in the shape of a real day, verified.
//!
//! ```text
//!  Profile ──► Offer::schedule ──► Plan            before the run: what leaves when, with what
//!                                    │
//!             one worker per core    ▼
//!              lanes ──► Template::batch ──► Connection ──► broker
//!                │ written, acknowledged                      │
//!                ▼                                            ▼
//!              Ledger, Measurements ◄── Value::read ◄── consumers
//!                                    │
//!                                    ▼
//!  Outcome: what became of every record, how long it took, and whether the generator kept up
//! ```
//!
//! Guarantees: sends never wait for acknowledgements, except where a phase closes all connections,
//! which are answered first; a late record keeps the time at which it was meant to be sent; every
//! record that was acknowledged is read back and looked at; nothing is ever sent twice; it sleeps
//! and never spins.
//! Does not know: how brokers are started, what their processes use.

#![forbid(unsafe_code)]

pub use client::in_full;

pub mod units;
pub mod profile;
pub mod schedule;
pub mod plan;
pub mod record;
pub mod ledger;
pub mod measure;
pub mod hlog;
pub mod live;
pub mod screen;
pub mod settings;
pub mod outcome;
pub mod condition;
mod worker;
pub mod run;
pub mod sink;
pub mod calibrate;
pub mod saturation;
pub mod changelog;
pub mod groups;
pub mod table;
pub mod folder;
