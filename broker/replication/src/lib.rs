//! One partition's replica: who leads it, what is appended, what may be read, what a producer has
//! sent before.
//!
//! ```text
//!  append ──► ProducerStates::check ──► Log::append ──► journal ──► LogListener::progressed
//!             New │ Duplicate │ refused                                     │
//!                                                                   Progress is published
//!  wait_past(epoch, offset) ◄───────────────────────────────────────────────┘
//! ```
//!
//! Every replica is alone so far: what is flushed is committed. It nevertheless writes the log of a
//! group of one voter, with a vote for a new leader epoch at every start, a membership, and entries
//! of dense index, so that a group can take it over.
//!
//! Guarantees: batches of a partition are appended in the order in which [`Replica::append`] was
//! called; what is waited for is waited for under the epoch it was appended in; an idempotent
//! producer's batch is appended once.
//! Does not know: topics, requests, Kafka's error codes.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod compaction;
mod membership;
mod producers;
mod progress;
mod replica;
mod retention;

pub use compaction::Compaction;
pub use membership::Membership;
pub use producers::{Duplicate, ProducerStates, SequenceError, SnapshotError};
pub use progress::Progress;
pub use replica::{
    Append, AppendRefused, Appended, Batch, ElectionError, EpochEnd, Isolation, ReadFrom,
    ReadRefused, Replica, WaitError,
};
pub use retention::{Enforced, Retention, RetentionError};
