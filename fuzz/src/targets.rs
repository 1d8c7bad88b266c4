//! One function for each target: an input, decoded, and what has to hold of the result.

pub(crate) mod batch;
pub(crate) mod cluster;
pub(crate) mod codec;
pub(crate) mod config;
pub(crate) mod groups;
pub(crate) mod replication;
pub(crate) mod storage;
pub(crate) mod wire;
