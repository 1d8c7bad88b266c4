//! A core's journal and the partition logs in it.
//!
//! `FORMAT.md` describes every byte on disk and every rule of the protocol; the rules' numbers stand
//! where the code keeps them.
//!
//! Guarantees: what an append reports as flushed is there after a crash, as its log's
//! [`Durability`] promises; a start finds a state that the logs have been in, and tells damage from
//! a write that a crash has torn; damage is never cut away.
//! Does not know: requests, topics and their settings, leaders.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod error;
mod format;
mod journal;
mod log;
mod metrics;
mod options;
mod room;
mod shared;
mod store;

#[doc(hidden)]
pub mod fuzzing;

pub use error::{AppendError, CompactionError, Corruption, JournalStopped, ReadError, StartError};
pub use format::NewerFormat;
pub use format::entry::{BatchStamp, Entry, EntryKind};
pub use format::frame::Vote;
pub use journal::recovery::{
    DirectoryId, FoundJournals, RecoveredJournal, find_journals, read_journal,
};
pub use log::{
    Admission, AppliedState, ColdRead, CompactionReport, CompactionRules, Dirtiness, EpochEnd,
    Expired, FileSlice, Found, Log, LogEnds, LogListener, LogOptions, ReadOutcome, ReadRequest,
    RecoveredApplied, RecoveredLog, SegmentAge, Slice,
};
pub use metrics::{Counter, Durations, Metrics, StreamMetrics};
pub use options::{FlushMethod, StoreOptions};
pub use room::Room;
pub use store::{Store, set_orphans_aside};

/// What an acknowledgement means for the record's survival on this broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// It is on the device's medium.
    Durable,
    /// It survives the process, not the machine: Kafka's default promise.
    Relaxed,
}
