//! What can go wrong.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use model::{LeaderEpoch, Offset, TopicPartition};

use crate::format::NewerFormat;

/// The core's journal has stopped: a write or flush failed, and nobody knows what the disk holds.
/// Nothing is retried; the broker has to be started again, after the disk has been looked at.
#[derive(Clone, Debug, thiserror::Error)]
#[error("journal {journal} has stopped after an error: {action} {path}: {source}")]
pub struct JournalStopped {
    /// Which journal.
    pub journal: u32,
    /// What was being done.
    pub action: &'static str,
    /// To which file.
    pub path: PathBuf,
    /// The system's answer.
    #[source]
    pub source: Rc<io::Error>,
}

/// Why a compaction has come to nothing. The segments are as they were, or some of them compacted.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// A segment cannot be read, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal has stopped.
    #[error(transparent)]
    Stopped(#[from] JournalStopped),
    /// The disk has no room for what is written before the old segments go.
    #[error("no room to compact {partition}: {source}")]
    NoSpace {
        /// The partition.
        partition: TopicPartition,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The partition, or the part of its log that was to be compacted, is not here any more.
    #[error("what was to be compacted of {partition} is gone")]
    Gone {
        /// The partition.
        partition: TopicPartition,
    },
}

/// Why an append is not possible.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The journal has stopped.
    #[error(transparent)]
    Stopped(#[from] JournalStopped),
    /// Space for the partition's segment cannot be reserved, so the journal must not acknowledge it.
    #[error("cannot reserve space on disk for {partition}: {source}")]
    NoSpace {
        /// The partition.
        partition: TopicPartition,
        /// The system's answer.
        #[source]
        source: Rc<io::Error>,
    },
    /// Less of the disk is free than its owner lets batches have.
    #[error(
        "{free_bytes} bytes of the disk are free, and batches are refused below {limit_bytes}: \
         {partition} takes none until there is more"
    )]
    DiskFull {
        /// The partition.
        partition: TopicPartition,
        /// When the disk was looked at last.
        free_bytes: u64,
        /// Below this, batches are refused.
        limit_bytes: u64,
    },
    /// So much is appended and not committed that more would not fit into a checkpoint.
    #[error("{uncommitted_bytes} bytes wait to be committed, at most {limit_bytes} may")]
    Uncommitted {
        /// Of all partitions of the core.
        uncommitted_bytes: usize,
        /// What may be.
        limit_bytes: usize,
    },
    /// The journal or the partition's files are damaged, and nothing may be appended until an
    /// operator has decided what to do.
    #[error("{partition} is doubtful since a start found damage, and takes no appends")]
    Doubtful {
        /// The partition.
        partition: TopicPartition,
    },
    /// A later leader is known here.
    #[error("leader epoch {theirs} is older than {ours}")]
    Fenced {
        /// Of the append.
        theirs: LeaderEpoch,
        /// The highest that this broker has voted for.
        ours: LeaderEpoch,
    },
}

/// Why a read is not possible.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Below the log's start or beyond its end.
    #[error("offset {requested} outside {log_start}..{log_end}")]
    OutOfRange {
        /// What was asked for.
        requested: Offset,
        /// The first offset that can be read.
        log_start: Offset,
        /// The offset after the last one.
        log_end: Offset,
    },
    /// A segment cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The segment.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A segment does not hold what was written to it.
    #[error("{path} is damaged at position {position}: {what}")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        position: u64,
        /// What is wrong.
        what: String,
    },
}

/// Why a store cannot be opened. Nothing has been changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The options contradict each other or the format.
    #[error("{0}")]
    Options(String),
    /// A file or directory cannot be used.
    #[error("cannot {action} {path}: {source}{}", advice(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A later version of the broker has written here.
    #[error("{path}: {source}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Which structure.
        #[source]
        source: NewerFormat,
    },
    /// There are commits but no valid superblock.
    #[error(
        "{path} is damaged: the journal has commits, but neither slot of the superblock is valid; \
         restore it from a copy of the directory, or move the data directory away to begin anew"
    )]
    NoSuperblock {
        /// The superblock.
        path: PathBuf,
    },
    /// The journal belongs to another directory or place.
    #[error("{path} belongs to another data directory or journal; put back the one that was here")]
    Foreign {
        /// The superblock.
        path: PathBuf,
    },
}

/// Whether space is all that was missing.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What a person can do about it.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space, or choose another directory with --data-dir"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make it writable for this user, or choose another directory with --data-dir"
        }
        _ => "",
    }
}

/// Damage that a start has found: bytes that were acknowledged, or may have been, are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// Which journal.
    pub journal: u32,
    /// The file with the damage, as far as that can be told.
    pub path: PathBuf,
    /// What was expected, and what was found.
    pub what: String,
}
