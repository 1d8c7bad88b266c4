//! The nouns that every other crate shares: ids, offsets, epochs and record batches.
//!
//! Guarantees: pure values and functions; no I/O, no clock, no async; readers do not allocate, except
//! those of compressed records, whose memory has a bound.
//! Does not know: requests, files, cores.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod codec;
mod ids;
mod offset;
pub mod record_batch;

pub use ids::{
    BrokerId, NodeId, PartitionIndex, ProducerEpoch, ProducerId, TopicId, TopicPartition,
};
pub use offset::{LeaderEpoch, LogIndex, Offset, Timestamp};
