//! Opening compressed batches, and compressing them anew: work that takes long, on the connection's
//! core.
//!
//! Guarantees: a core's other tasks get their turn in between, after some 100 microseconds, or what a
//! piece takes at the codec's level ([`model::codec`]); large batches take turns, so that a core has
//! the memory of one decoder and one encoder, however many clients there are. Does not know: whose
//! batches they are, and the memory of those that come out.

use coordinator::LogCompression;
use model::record_batch::{AppendRules, BatchError, Recompression, Validated, Validation};

use crate::core::Core;

/// Of compressed records, what is read and comes out before the core's other tasks get their turn:
/// some 100 microseconds.
pub(super) const WALK_PIECE_BYTES: usize = 64 << 10;
/// What is encoded before they do; also the largest batch that does not wait for its turn.
const ENCODE_PIECE_BYTES: usize = 16 << 10;

/// Small batches are walked at once. Others take turns, so that a core has the memory of one walk
/// and what comes out of it is bounded by the configuration, however many clients there are.
pub(super) async fn validate(
    core: &Core,
    bytes: &[u8],
    rules: AppendRules,
    walked_bytes: &mut usize,
) -> Result<Validated, BatchError> {
    let mut validation = Validation::begin(bytes, rules)?;
    if !validation.has_more() || bytes.len() <= WALK_PIECE_BYTES {
        let mut budget_bytes = WALK_PIECE_BYTES;
        let validated = validation.step(&mut budget_bytes)?;
        *walked_bytes += WALK_PIECE_BYTES - budget_bytes;
        if let Some(validated) = validated {
            return Ok(validated);
        }
    }
    // The piece that was walked is walked again, rather than held while others have their turn.
    drop(validation);
    let _turn = core.walking.take(1).await;
    let mut validation = Validation::begin(bytes, rules)?;
    loop {
        runtime::yield_now().await;
        let mut budget_bytes = WALK_PIECE_BYTES;
        if let Some(validated) = validation.step(&mut budget_bytes)? {
            return Ok(validated);
        }
    }
}

/// The batch in another codec. It was opened before, to be validated, and is opened again rather than
/// held meanwhile. That takes 1 ms for 1 MiB: as long as encoding does with snappy and lz4, a third of
/// it with zstd, a tenth with gzip.
pub(super) async fn recompress(
    core: &Core,
    bytes: &[u8],
    validated: &Validated,
    into: LogCompression,
    batch_bytes_max: usize,
    walked_bytes: &mut usize,
) -> Result<Vec<u8>, BatchError> {
    let LogCompression { codec, level } = into;
    let begin = || Recompression::begin(bytes, validated, codec, level, batch_bytes_max);
    if validated.records_bytes <= ENCODE_PIECE_BYTES as u64 {
        // Others have their turn before the next batch.
        *walked_bytes = WALK_PIECE_BYTES;
        let mut budget_bytes = usize::MAX;
        let batch = begin()?.step(&mut budget_bytes)?;
        return Ok(batch.expect("it had all that it may want"));
    }
    let _turn = core.walking.take(1).await;
    let mut recompression = begin()?;
    loop {
        runtime::yield_now().await;
        let mut budget_bytes = ENCODE_PIECE_BYTES;
        if let Some(batch) = recompression.step(&mut budget_bytes)? {
            return Ok(batch);
        }
    }
}
