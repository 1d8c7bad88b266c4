//! Memory that the kernel may read and write directly: aligned to a block.
//!
//! Guarantees: every buffer starts at a multiple of [`BLOCK_SIZE_BYTES`], as `O_DIRECT` asks, and
//! its bytes are always initialised. Memory of dropped buffers is kept for the next of the same
//! size, up to a bound, because fresh pages cost more than the copy into them.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

/// The unit of direct I/O and of everything on disk that is written with it.
pub const BLOCK_SIZE_BYTES: usize = 4096;

/// Rounds up to a whole number of blocks.
pub const fn round_up_to_block(size_bytes: u64) -> u64 {
    size_bytes.next_multiple_of(BLOCK_SIZE_BYTES as u64)
}

/// Rounds down to a whole number of blocks.
pub const fn round_down_to_block(size_bytes: u64) -> u64 {
    size_bytes - size_bytes % BLOCK_SIZE_BYTES as u64
}

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_SIZE_BYTES]);

const _: () = assert!(size_of::<Block>() == BLOCK_SIZE_BYTES);
const ZERO_BLOCK: Block = Block([0; BLOCK_SIZE_BYTES]);

/// A growable run of bytes that starts at a block boundary in memory.
///
/// Invariant: `size_bytes <= blocks.len() * BLOCK_SIZE_BYTES`; the blocks beyond `size_bytes` are
/// initialised, but hold anything.
pub struct AlignedBuf {
    blocks: Vec<Block>,
    size_bytes: usize,
}

impl AlignedBuf {
    /// An empty buffer with room for `capacity_bytes`, rounded up to whole blocks.
    pub fn with_capacity(capacity_bytes: usize) -> AlignedBuf {
        AlignedBuf { blocks: pool::take(capacity_bytes.div_ceil(BLOCK_SIZE_BYTES)), size_bytes: 0 }
    }

    /// A buffer of zeros.
    pub fn zeroed(size_bytes: usize) -> AlignedBuf {
        let mut buf = AlignedBuf::with_capacity(size_bytes);
        buf.resize(size_bytes, 0);
        buf
    }

    /// A buffer of `size_bytes` that hold anything: to be read into.
    pub fn for_reading(size_bytes: usize) -> AlignedBuf {
        let mut buf = AlignedBuf::with_capacity(size_bytes);
        buf.size_bytes = size_bytes;
        buf
    }

    /// How many bytes fit before the buffer has to grow.
    pub fn capacity_bytes(&self) -> usize {
        self.blocks.len() * BLOCK_SIZE_BYTES
    }

    /// Appends bytes; grows by doubling where they do not fit.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let end = self.size_bytes + bytes.len();
        self.grow_to(end);
        let start = std::mem::replace(&mut self.size_bytes, end);
        self[start..end].copy_from_slice(bytes);
    }

    /// Cuts the buffer, or extends it with `fill`.
    pub fn resize(&mut self, size_bytes: usize, fill: u8) {
        self.grow_to(size_bytes);
        let start = std::mem::replace(&mut self.size_bytes, size_bytes);
        if start < size_bytes {
            self[start..].fill(fill);
        }
    }

    /// Extends with zeros up to the next block boundary.
    pub fn pad_to_block(&mut self) {
        self.resize(self.size_bytes.next_multiple_of(BLOCK_SIZE_BYTES), 0);
    }

    /// Cuts the buffer to `size_bytes`, which must not exceed its size.
    pub fn truncate(&mut self, size_bytes: usize) {
        assert!(size_bytes <= self.size_bytes, "truncate never extends");
        self.size_bytes = size_bytes;
    }

    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.size_bytes = 0;
    }

    /// The same bytes, shared and immutable from here on. Does not copy.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }

    fn grow_to(&mut self, size_bytes: usize) {
        let blocks_count = size_bytes.div_ceil(BLOCK_SIZE_BYTES);
        if self.blocks.len() < blocks_count {
            let mut grown = pool::take(blocks_count.max(self.blocks.len() * 2));
            grown[..self.blocks.len()].copy_from_slice(&self.blocks);
            pool::give(std::mem::replace(&mut self.blocks, grown));
        }
    }

    /// Where the kernel may write: the whole of the buffer's bytes.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.blocks.as_mut_ptr().cast()
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        pool::give(std::mem::take(&mut self.blocks));
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `blocks` owns at least `size_bytes` initialised bytes (the type's invariant), a
        // `Block` is nothing but bytes, and the borrow of `self` keeps them alive and unchanged.
        unsafe { std::slice::from_raw_parts(self.blocks.as_ptr().cast(), self.size_bytes) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; the mutable borrow of `self` makes the slice the only access.
        unsafe { std::slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast(), self.size_bytes) }
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuf({} of {} bytes)", self.size_bytes, self.capacity_bytes())
    }
}

/// Memory of dropped buffers, kept per thread.
mod pool {
    use super::{BLOCK_SIZE_BYTES, Block, RefCell, ZERO_BLOCK};

    const POOLED_BLOCKS_MIN: usize = 1;
    const POOLED_BLOCKS_MAX: usize = 1024;
    const CLASSES_COUNT: usize = (POOLED_BLOCKS_MAX / POOLED_BLOCKS_MIN).ilog2() as usize + 1;
    /// What one thread keeps at most of each size.
    const KEPT_BYTES_MAX: usize = 8 << 20;
    const KEPT_COUNT_MAX: usize = 128;

    thread_local! {
        static FREE: RefCell<[Vec<Vec<Block>>; CLASSES_COUNT]> =
            const { RefCell::new([const { Vec::new() }; CLASSES_COUNT]) };
    }

    fn class_of(blocks_count: usize) -> Option<usize> {
        (POOLED_BLOCKS_MIN..=POOLED_BLOCKS_MAX)
            .contains(&blocks_count)
            .then(|| (blocks_count.next_power_of_two() / POOLED_BLOCKS_MIN).ilog2() as usize)
    }

    pub(super) fn take(blocks_count: usize) -> Vec<Block> {
        let Some(class) = class_of(blocks_count) else { return vec![ZERO_BLOCK; blocks_count] };
        // A thread that is ending has no pool any more; its last buffers are allocated plainly.
        let kept = FREE.try_with(|free| free.borrow_mut()[class].pop()).ok().flatten();
        kept.unwrap_or_else(|| vec![ZERO_BLOCK; POOLED_BLOCKS_MIN << class])
    }

    pub(super) fn give(blocks: Vec<Block>) {
        let Some(class) = class_of(blocks.len()) else { return };
        if blocks.len() != POOLED_BLOCKS_MIN << class {
            return;
        }
        let _ = FREE.try_with(|free| {
            let kept = &mut free.borrow_mut()[class];
            if kept.len() < KEPT_COUNT_MAX
                && (kept.len() + 1) * blocks.len() * BLOCK_SIZE_BYTES <= KEPT_BYTES_MAX
            {
                kept.push(blocks);
            }
        });
    }
}

#[cfg(test)]
mod tests;
