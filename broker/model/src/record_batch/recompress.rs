//! A batch in another codec than the one that it was sent in.
//!
//! ```text
//! compressed records ─► Decoder ─► window of 16 KiB ─► Encoder ─► header and compressed records
//! ```
//! Guarantees: the records are the same bytes, and of the header only length, codec and CRC are
//! others. It stops when its caller's budget is used up and goes on with the next. Takes the window,
//! what decoder and encoder take ([`codec`](crate::codec)), and the new batch. Does not know: which
//! codec is wanted, and why.

use super::stamp::set_compression;
use super::{BatchError, Compression, HEADER_SIZE_BYTES, Validated};
use crate::codec::{Decoder, Encoder};

/// Encoded at a time.
const WINDOW_BYTES: usize = 16 << 10;
/// What a call of the decoder costs at least, however little it yields.
const CALL_COST_BYTES: usize = 1 << 10;

/// One batch being compressed anew.
#[derive(Debug)]
pub struct Recompression<'a> {
    decoder: Decoder<'a>,
    window: Vec<u8>,
    /// What was decoded and not encoded is before.
    end: usize,
    /// Until everything is encoded.
    encoder: Option<Encoder>,
    compression: Compression,
    limit_bytes: usize,
}

impl<'a> Recompression<'a> {
    /// Of a whole batch that was found valid, into a codec at a level ([`encode`]) and a batch of at
    /// most so many bytes.
    ///
    /// [`encode`]: crate::codec::encode()
    pub fn begin(
        batch: &'a [u8],
        validated: &Validated,
        compression: Compression,
        level: Option<i32>,
        limit_bytes: usize,
    ) -> Result<Recompression<'a>, BatchError> {
        let (header, records) = batch.split_at(HEADER_SIZE_BYTES);
        let records_bytes = usize::try_from(validated.records_bytes).expect("64 bits");
        if compression == Compression::None && limit_bytes < header.len() + records_bytes {
            return Err(BatchError::TooLarge { compression, limit_bytes });
        }
        Ok(Recompression {
            decoder: Decoder::new(
                validated.header.compression()?,
                records,
                validated.records_bytes,
            ),
            window: vec![0; WINDOW_BYTES.min(records_bytes.max(1))],
            end: 0,
            encoder: Some(Encoder::new(compression, level, records_bytes, header.to_vec())),
            compression,
            limit_bytes,
        })
    }

    /// The most that can come of it, in any codec.
    pub fn batch_bytes_max(validated: &Validated, limit_bytes: usize) -> usize {
        // No encoder makes more of anything; snappy's makes the most of noise.
        const FRAMES_BYTES: u64 = 1 << 10;
        let records_bytes = validated.records_bytes + validated.records_bytes / 6;
        let batch_bytes = HEADER_SIZE_BYTES as u64 + records_bytes + FRAMES_BYTES;
        usize::try_from(batch_bytes).unwrap_or(usize::MAX).min(limit_bytes)
    }

    /// Goes on until the budget is used up, from which is taken what comes out of the decoder. None
    /// if there is more to do. After an error, or the batch, it must not go on.
    pub fn step(&mut self, budget_bytes: &mut usize) -> Result<Option<Vec<u8>>, BatchError> {
        while !self.decoder.is_finished() {
            if *budget_bytes == 0 {
                return Ok(None);
            }
            if self.end == self.window.len() {
                let encoder = self.encoder.as_mut().expect("it must not go on");
                encoder.encode(&self.window);
                self.end = 0;
                let out_bytes = encoder.out_bytes();
                self.check_size(out_bytes)?;
            }
            let produced_bytes = self.decoder.decode(&mut self.window[self.end..])?.produced_bytes;
            self.end += produced_bytes;
            *budget_bytes = budget_bytes.saturating_sub(produced_bytes.max(CALL_COST_BYTES));
        }
        let encoder = self.encoder.take().expect("it must not go on");
        let mut batch = encoder.finish(&self.window[..self.end]);
        self.check_size(batch.len())?;
        // The room beyond would be kept for as long as the batch is.
        batch.shrink_to_fit();
        set_compression(&mut batch, self.compression);
        Ok(Some(batch))
    }

    fn check_size(&self, batch_bytes: usize) -> Result<(), BatchError> {
        let Recompression { compression, limit_bytes, .. } = *self;
        match batch_bytes <= limit_bytes {
            true => Ok(()),
            false => Err(BatchError::TooLarge { compression, limit_bytes }),
        }
    }
}

#[cfg(test)]
mod tests;
