//! The superblock: where the journal begins, and how it was left.
//!
//! Two slots of one block each; number `n` goes to slot `n mod 2`, so the newest valid slot is
//! never the one being written. All fields lie in the first sector of the slot.

use runtime::BLOCK_SIZE_BYTES;

use super::{Fields, NewerFormat, VERSION, put};

const MAGIC: [u8; 8] = *b"HWSUPERB";
/// What the checksum covers ends here.
pub(crate) const SIZE_BYTES: usize = 184;

/// A place in a stream where a commit begins, or will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) file: u32,
    pub(crate) block: u32,
    pub(crate) generation: u64,
    /// Of the commit that begins here.
    pub(crate) sequence: u64,
    /// Header checksum of the commit before it.
    pub(crate) previous_crc: u32,
}

impl Position {
    pub(crate) const SIZE_BYTES: usize = 28;

    fn encode(&self, into: &mut [u8]) {
        put(into, 0, self.generation.to_le_bytes());
        put(into, 8, self.sequence.to_le_bytes());
        put(into, 16, self.file.to_le_bytes());
        put(into, 20, self.block.to_le_bytes());
        put(into, 24, self.previous_crc.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Position {
        let fields = Fields(bytes);
        Position {
            generation: fields.u64(0),
            sequence: fields.u64(8),
            file: fields.u32(16),
            block: fields.u32(20),
            previous_crc: fields.u32(24),
        }
    }
}

/// What is known of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamRecord {
    /// Recovery reads from here.
    pub(crate) replay_from: Position,
    /// Every commit with a sequence below this is known to be complete.
    pub(crate) known_tail: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) directory_id: [u8; 16],
    pub(crate) journal: u32,
    pub(crate) number: u64,
    /// Number of the process start that wrote it.
    pub(crate) start: u32,
    pub(crate) salt: u64,
    /// The boot of the kernel whose page cache holds the relaxed stream.
    pub(crate) boot_id: [u8; 16],
    /// Both streams were flushed and nothing was written since.
    pub(crate) is_clean: bool,
    /// How many cores the broker had.
    pub(crate) cores_count: u16,
    /// By stream number.
    pub(crate) streams: [StreamRecord; 2],
}

impl Superblock {
    /// Where this superblock's slot begins.
    pub(crate) fn slot_position(&self) -> u64 {
        self.number % 2 * BLOCK_SIZE_BYTES as u64
    }

    pub(crate) fn encode(&self, into: &mut [u8]) {
        let into = &mut into[..BLOCK_SIZE_BYTES];
        into.fill(0);
        put(into, 0, MAGIC);
        put(into, 12, VERSION.to_le_bytes());
        put(into, 14, self.cores_count.to_le_bytes());
        put(into, 16, self.directory_id);
        put(into, 32, self.boot_id);
        put(into, 48, self.number.to_le_bytes());
        put(into, 56, self.salt.to_le_bytes());
        put(into, 64, self.journal.to_le_bytes());
        put(into, 68, self.start.to_le_bytes());
        put(into, 72, [u8::from(self.is_clean)]);
        for (stream, at) in self.streams.iter().zip([80, 80 + 40]) {
            stream.replay_from.encode(&mut into[at..at + Position::SIZE_BYTES]);
            put(into, at + 32, stream.known_tail.to_le_bytes());
        }
        let crc = crc32fast::hash(&into[12..SIZE_BYTES]);
        put(into, 8, crc.to_le_bytes());
    }

    /// Reads a slot; none if it holds no whole superblock.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Superblock>, NewerFormat> {
        let Some(bytes) = bytes.get(..SIZE_BYTES) else { return Ok(None) };
        let fields = Fields(bytes);
        if fields.array(0) != MAGIC || fields.u32(8) != crc32fast::hash(&bytes[12..]) {
            return Ok(None);
        }
        let found = fields.u16(12);
        if VERSION < found {
            return Err(NewerFormat { what: "the superblock of the journal", found });
        }
        Ok(Some(Superblock {
            cores_count: fields.u16(14),
            directory_id: fields.array(16),
            boot_id: fields.array(32),
            number: fields.u64(48),
            salt: fields.u64(56),
            journal: fields.u32(64),
            start: fields.u32(68),
            is_clean: fields.u8(72) != 0,
            streams: [80, 80 + 40].map(|at| StreamRecord {
                replay_from: Position::decode(&bytes[at..at + Position::SIZE_BYTES]),
                known_tail: fields.u64(at + 32),
            }),
        }))
    }
}
