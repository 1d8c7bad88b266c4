//! A frame being read.
//!
//! Guarantees: never reads past the end; what it hands out as [`Bytes`] shares the frame's memory.
//! Does not know: messages.

use bytes::Bytes;

use crate::error::DecodeFault;

/// The part of a frame that has not been read yet.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    frame: &'a Bytes,
    position: usize,
    end: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(frame: &'a Bytes) -> Input<'a> {
        Input { frame, position: 0, end: frame.len() }
    }

    pub(crate) fn remaining_bytes(&self) -> usize {
        self.end - self.position
    }

    /// The next `N` bytes, copied.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeFault> {
        let start = self.advance(N)?;
        Ok(*self.frame[start..].first_chunk().expect("advance checks that they are there"))
    }

    /// The next `size_bytes` bytes, shared.
    pub(crate) fn bytes(&mut self, size_bytes: usize) -> Result<Bytes, DecodeFault> {
        let start = self.advance(size_bytes)?;
        Ok(self.frame.slice(start..self.position))
    }

    /// The next `size_bytes` bytes, to be read on their own.
    pub(crate) fn part(&mut self, size_bytes: usize) -> Result<Input<'a>, DecodeFault> {
        let start = self.advance(size_bytes)?;
        Ok(Input { frame: self.frame, position: start, end: self.position })
    }

    /// A number of 7 bits a byte, lowest first (KIP-482).
    pub(crate) fn unsigned_varint(&mut self) -> Result<u32, DecodeFault> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let bits = u32::from(byte & 0x7f);
            let is_last = byte & 0x80 == 0;
            if shift == 28 && (!is_last || 0x0f < bits) {
                return Err(DecodeFault::Varint);
            }
            value |= bits << shift;
            if is_last {
                break;
            }
        }
        Ok(value)
    }

    /// Moves on, and returns where it was.
    fn advance(&mut self, size_bytes: usize) -> Result<usize, DecodeFault> {
        let remaining_bytes = self.remaining_bytes();
        if remaining_bytes < size_bytes {
            return Err(DecodeFault::Truncated { needed_bytes: size_bytes, remaining_bytes });
        }
        let start = self.position;
        self.position += size_bytes;
        Ok(start)
    }
}
