//! How far a replica has come: the one signal that everybody waits for.

use model::{LeaderEpoch, Offset};

/// What a replica's owner publishes after every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Under which everything else is to be read.
    pub leader_epoch: LeaderEpoch,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// No open transaction begins below this offset.
    pub last_stable: Offset,
    /// What consumers may read: everything below.
    pub high_watermark: Offset,
    /// What is flushed on this broker, as the topic asks: everything below.
    pub flushed: Offset,
    /// The offset of the next record.
    pub log_end: Offset,
    /// Whether this broker leads and can append. False once its journal has stopped, or the
    /// partition has left.
    pub is_leading: bool,
}
