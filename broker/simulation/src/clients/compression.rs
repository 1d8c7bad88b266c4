//! Which batches are compressed, how, and from which versions on.

use client::compression::{CODECS, open};
use model::record_batch::Compression;
use runtime::with_rng;

/// The smallest version of Produce that knows zstd, and of Fetch.
pub(super) const ZSTD_PRODUCE_VERSION_MIN: i16 = 7;
pub(super) const ZSTD_FETCH_VERSION_MIN: i16 = 10;

/// Far more than is in any batch of a run.
const RECORDS_BYTES_MAX: u64 = 1 << 20;

/// None for most batches.
pub(super) fn any_compression() -> Compression {
    with_rng(|rng| match rng.one_in(3) {
        false => Compression::None,
        true => CODECS[rng.index(CODECS.len())],
    })
}

/// The batch with its records as they were before they were compressed, if they can be had.
pub(super) fn opened(batch: &[u8]) -> Option<bytes::Bytes> {
    open(batch, RECORDS_BYTES_MAX).ok()
}
