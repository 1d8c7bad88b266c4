//! The nouns that every other crate shares: ids, offsets, epochs and record batches.
//!
//! Guarantees: pure values and functions; no I/O, no clock, no async, no allocation in the readers.
//! Does not know: requests, files, cores.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod ids;
mod offset;
pub mod record_batch;

pub use ids::{
    BrokerId, NodeId, PartitionIndex, ProducerEpoch, ProducerId, TopicId, TopicPartition,
};
pub use offset::{LeaderEpoch, LogIndex, Offset, Timestamp};
