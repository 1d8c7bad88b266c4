//! Several batches in a row, as a fetch response or a segment holds them.
//!
//! Guarantees: hands out whole batches only. A last batch that is cut off ends the walk without an
//! error, as Kafka's brokers may cut at a byte limit; anything else that is no batch is an error.
//! Does not know: whether a CRC is right, or offsets follow each other.

use super::{BatchError, BatchHeader};

/// The batches in a run of bytes, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    failed: bool,
}

impl<'a> Batches<'a> {
    /// Of `bytes`, which begin with a batch or are empty.
    pub fn new(bytes: &'a [u8]) -> Batches<'a> {
        Batches { bytes, failed: false }
    }

    /// What has not been handed out: at the end of the walk, the batch that is cut off.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for Batches<'a> {
    /// A header, and all bytes of its batch including the header.
    type Item = Result<(BatchHeader, &'a [u8]), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match BatchHeader::read(self.bytes) {
            Ok(header) => {
                let (batch, rest) = self.bytes.split_at_checked(header.size_bytes())?;
                self.bytes = rest;
                Some(Ok((header, batch)))
            }
            Err(BatchError::Truncated { .. }) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for Batches<'_> {}

#[cfg(test)]
mod tests;
