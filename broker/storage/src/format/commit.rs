//! The header of a commit: one write of the journal.
//!
//! The header lies in the first 128 bytes of a 4 KiB block, so inside one sector: it never tears by
//! itself. It binds the body by its checksum, and the commit before it by that one's header
//! checksum, so the chain binds whole contents.
//!
//! ```text
//!   block 0                                            block 1 ...
//! ┌────────┬───────┬─────────┬───────┬─────────┬─ ─ ─┬────────────
//! │ header │ frame │ its     │ frame │ its     │     │      zeros to the end of the last block
//! │ 128 B  │       │ payload │       │ payload │     │
//! └────────┴───────┴─────────┴───────┴─────────┴─ ─ ─┴────────────
//! ```

use super::{Fields, NewerFormat, VERSION, put};
use crate::Durability;

pub(crate) const HEADER_SIZE_BYTES: usize = 128;
const MAGIC: [u8; 8] = *b"HWCOMMIT";

/// Marks the commit that ends a carry, and with it makes it complete.
pub(crate) const FLAG_CARRY: u8 = 1;
/// Marks an empty commit that gives the one before it a successor.
pub(crate) const FLAG_SEAL: u8 = 2;
/// Marks the commit that begins a carry; it may be the one that ends it.
pub(crate) const FLAG_CARRY_BEGINS: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommitHeader {
    pub(crate) stream: Durability,
    pub(crate) flags: u8,
    /// Random when the directory was made: a file of another disk or broker is refused.
    pub(crate) directory_id: [u8; 16],
    pub(crate) journal: u32,
    /// Number of the process start that wrote it.
    pub(crate) start: u32,
    /// Random at each start, so that no client can forge a commit inside a batch.
    pub(crate) salt: u64,
    /// Rises with each change of file within the stream.
    pub(crate) generation: u64,
    /// One count per stream, which never restarts.
    pub(crate) sequence: u64,
    pub(crate) blocks_count: u32,
    pub(crate) frames_count: u32,
    /// From the end of the header to the end of the last block.
    pub(crate) body_crc: u32,
    /// Header checksum of the commit before.
    pub(crate) previous_crc: u32,
}

impl CommitHeader {
    /// Writes the header and returns its checksum, which the next commit carries.
    pub(crate) fn encode(&self, into: &mut [u8]) -> u32 {
        let into = &mut into[..HEADER_SIZE_BYTES];
        into.fill(0);
        put(into, 0, MAGIC);
        put(into, 12, VERSION.to_le_bytes());
        put(into, 14, [stream_number(self.stream), self.flags]);
        put(into, 16, self.directory_id);
        put(into, 32, self.journal.to_le_bytes());
        put(into, 36, self.start.to_le_bytes());
        put(into, 40, self.salt.to_le_bytes());
        put(into, 48, self.generation.to_le_bytes());
        put(into, 56, self.sequence.to_le_bytes());
        put(into, 64, self.blocks_count.to_le_bytes());
        put(into, 68, self.frames_count.to_le_bytes());
        put(into, 72, self.body_crc.to_le_bytes());
        put(into, 76, self.previous_crc.to_le_bytes());
        let crc = crc32fast::hash(&into[12..]);
        put(into, 8, crc.to_le_bytes());
        crc
    }

    /// Reads a header and its checksum; none if there is no whole one here.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(CommitHeader, u32)>, NewerFormat> {
        let Some(bytes) = bytes.get(..HEADER_SIZE_BYTES) else { return Ok(None) };
        let fields = Fields(bytes);
        let crc = fields.u32(8);
        if fields.array(0) != MAGIC || crc != crc32fast::hash(&bytes[12..]) {
            return Ok(None);
        }
        let found = fields.u16(12);
        if VERSION < found {
            return Err(NewerFormat { what: "a commit of the journal", found });
        }
        let Some(stream) = stream_of(fields.u8(14)) else { return Ok(None) };
        let header = CommitHeader {
            stream,
            flags: fields.u8(15),
            directory_id: fields.array(16),
            journal: fields.u32(32),
            start: fields.u32(36),
            salt: fields.u64(40),
            generation: fields.u64(48),
            sequence: fields.u64(56),
            blocks_count: fields.u32(64),
            frames_count: fields.u32(68),
            body_crc: fields.u32(72),
            previous_crc: fields.u32(76),
        };
        Ok(Some((header, crc)))
    }
}

pub(crate) fn stream_number(stream: Durability) -> u8 {
    match stream {
        Durability::Durable => 0,
        Durability::Relaxed => 1,
    }
}

pub(crate) fn stream_of(number: u8) -> Option<Durability> {
    match number {
        0 => Some(Durability::Durable),
        1 => Some(Durability::Relaxed),
        _ => None,
    }
}
