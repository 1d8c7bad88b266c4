//! How much of the disk appends may take.
//!
//! Guarantees: batches are refused below the owner's limit, and what is left there is for entries that
//! free space and for logs that go on when everybody else has to stop.
//! Does not know: how much there is; whoever owns the store looks at the disk and says so.

/// What a store is told of the space on its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    /// Enough: much is reserved at a time, so that files are in few pieces.
    #[default]
    Ample,
    /// Little: no more is reserved than will be needed soon, so that what is left is told rightly.
    Scarce,
    /// Batches are refused, but for logs that use the last room ([`crate::Log::use_last_room`]).
    Full {
        /// On the disk, when it was looked at last.
        free_bytes: u64,
        /// Below this, batches are refused.
        limit_bytes: u64,
    },
}
