//! What the bytes on disk mean. `FORMAT.md` describes every one of them.
//!
//! All integers are little-endian; checksums are CRC-32 (IEEE). Every structure begins with a magic
//! number and a version, and a higher version than [`VERSION`] is refused.

pub(crate) mod applied;
pub(crate) mod commit;
pub(crate) mod compacted;
pub(crate) mod entry;
pub(crate) mod frame;
pub(crate) mod index;
pub(crate) mod superblock;

/// The version of all structures on disk.
pub(crate) const VERSION: u16 = 2;

/// Frames, and what follows them, begin at multiples of this.
pub(crate) const FRAME_ALIGNMENT_BYTES: usize = 8;

/// A structure was written by a later version of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} has format version {found}, and this broker knows versions up to {VERSION}: start the \
     version of the broker that wrote it"
)]
pub struct NewerFormat {
    /// Which structure.
    pub what: &'static str,
    /// Its version.
    pub found: u16,
}

/// Reads fixed-size fields from their places in a structure whose size has been checked.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    pub(crate) fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0[at..at + N].try_into().expect("the range has this length")
    }

    pub(crate) fn u8(&self, at: usize) -> u8 {
        self.0[at]
    }

    pub(crate) fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    pub(crate) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    pub(crate) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    pub(crate) fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.array(at))
    }
}

/// Writes fixed-size fields to their places.
pub(crate) fn put<const N: usize>(into: &mut [u8], at: usize, field: [u8; N]) {
    into[at..at + N].copy_from_slice(&field);
}

#[cfg(test)]
mod allocation;
#[cfg(test)]
mod tests;
