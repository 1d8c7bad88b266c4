//! Snappy: one bare block, or the framing of the xerial library, as the Java client writes it.
//!
//! A block says first how long it is, and may refer back to its beginning; so a block is kept whole,
//! and not more than its bytes can yield is believed. Libraries decode a block in one call; a bare
//! one may be a whole batch, so it is decoded here, with pauses.

use super::history::History;
use super::{CodecError, take};
use crate::record_batch::Compression;

/// No element yields more than 64 bytes, and the one that does takes three.
pub const RATIO_MAX: usize = 22;

/// What a stream of the xerial library begins with, before two versions of four bytes each.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];

pub(super) struct Snappy {
    history: History,
    limit_bytes: u64,
    is_xerial: bool,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    /// Nothing was read.
    Begin,
    /// Between two blocks of the xerial framing.
    Between,
    Block(Block),
    /// After a bare block.
    End,
}

#[derive(Clone, Copy)]
struct Block {
    /// Of the input.
    left_bytes: usize,
    /// Of what is to come out of elements that were not read.
    missing_bytes: usize,
    pending: Pending,
}

/// What is left of an element.
#[derive(Clone, Copy)]
enum Pending {
    Literals { count: usize },
    Repeat { offset: usize, count: usize },
}

impl Pending {
    fn count(self) -> usize {
        let (Pending::Literals { count } | Pending::Repeat { count, .. }) = self;
        count
    }
}

const NOTHING: Pending = Pending::Literals { count: 0 };

fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { compression: Compression::Snappy, what }
}

impl Snappy {
    pub(super) fn new(limit_bytes: u64) -> Snappy {
        Snappy {
            history: History::new(usize::MAX),
            limit_bytes,
            is_xerial: false,
            stage: Stage::Begin,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.history.memory_bytes()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.history.untaken_bytes() == 0 && matches!(self.stage, Stage::Between | Stage::End)
    }

    pub(super) fn decode(
        &mut self,
        input: &mut &[u8],
        out: &mut [u8],
    ) -> Result<usize, CodecError> {
        let mut block = match self.stage {
            Stage::Begin => {
                self.begin(input)?;
                return Ok(0);
            }
            Stage::Between => {
                if !input.is_empty() {
                    self.begin_chunk(input)?;
                }
                return Ok(0);
            }
            Stage::End if input.is_empty() => return Ok(0),
            Stage::End => return Err(corrupt("bytes after the block")),
            Stage::Block(block) => block,
        };
        let (mut bytes, rest) = input.split_at(block.left_bytes);
        decode_block(&mut self.history, &mut block, &mut bytes, out.len())?;
        let produced = self.history.take(out);
        block.left_bytes = bytes.len();
        *input = &input[input.len() - rest.len() - bytes.len()..];
        self.stage = self.after(block)?;
        Ok(produced)
    }

    fn after(&self, block: Block) -> Result<Stage, CodecError> {
        let is_done = block.missing_bytes == 0
            && block.pending.count() == 0
            && self.history.untaken_bytes() == 0;
        match is_done {
            false => Ok(Stage::Block(block)),
            true if 0 < block.left_bytes => Err(corrupt("a block is longer than it says")),
            true if self.is_xerial => Ok(Stage::Between),
            true => Ok(Stage::End),
        }
    }

    /// Tells the framings apart.
    fn begin(&mut self, input: &mut &[u8]) -> Result<(), CodecError> {
        if !input.starts_with(&XERIAL_MAGIC) {
            return self.begin_block(input, input.len());
        }
        let truncated = CodecError::Truncated { compression: Compression::Snappy };
        let (_, mut rest) = input.split_at(XERIAL_MAGIC.len());
        let _version: [u8; 4] = take(&mut rest).ok_or(truncated)?;
        let compatible_with = i32::from_be_bytes(take(&mut rest).ok_or(truncated)?);
        if compatible_with < 1 {
            return Err(corrupt("a version before the first"));
        }
        *input = rest;
        self.is_xerial = true;
        self.stage = Stage::Between;
        Ok(())
    }

    /// Of the xerial framing.
    fn begin_chunk(&mut self, input: &mut &[u8]) -> Result<(), CodecError> {
        let truncated = CodecError::Truncated { compression: Compression::Snappy };
        let size = i32::from_be_bytes(take(input).ok_or(truncated)?);
        let size = usize::try_from(size).map_err(|_| corrupt("a block of negative size"))?;
        if input.len() < size {
            return Err(truncated);
        }
        self.begin_block(input, size)
    }

    fn begin_block(&mut self, input: &mut &[u8], size_bytes: usize) -> Result<(), CodecError> {
        let mut bytes = &input[..size_bytes];
        let declared = read_length(&mut bytes)?;
        let left_bytes = bytes.len();
        if self.limit_bytes < u64::from(declared) {
            return Err(CodecError::TooLarge { limit_bytes: self.limit_bytes });
        }
        let missing_bytes = usize::try_from(declared).expect("it fits four bytes");
        if left_bytes.saturating_mul(RATIO_MAX) < missing_bytes {
            return Err(corrupt("a length that its bytes cannot yield"));
        }
        *input = &input[size_bytes - left_bytes..];
        self.history.begin_block(missing_bytes);
        self.stage = self.after(Block { left_bytes, missing_bytes, pending: NOTHING })?;
        Ok(())
    }
}

/// Decodes until so many bytes can be taken, or the block ends.
fn decode_block(
    history: &mut History,
    block: &mut Block,
    bytes: &mut &[u8],
    wanted_bytes: usize,
) -> Result<(), CodecError> {
    loop {
        let room = wanted_bytes.saturating_sub(history.untaken_bytes());
        match &mut block.pending {
            Pending::Literals { count } => {
                let now = room.min(*count);
                if !history.push(bytes, now) {
                    return Err(corrupt("literals beyond the end of a block"));
                }
                *count -= now;
            }
            Pending::Repeat { offset, count } => {
                let now = room.min(*count);
                if !history.repeat(*offset, now) {
                    return Err(corrupt("a reference before the beginning of a block"));
                }
                *count -= now;
            }
        }
        if 0 < block.pending.count() || room == 0 || block.missing_bytes == 0 {
            return Ok(());
        }
        let pending = read_element(bytes)?;
        block.missing_bytes = block
            .missing_bytes
            .checked_sub(pending.count())
            .ok_or(corrupt("a block yields more than it says"))?;
        block.pending = pending;
    }
}

/// A block's length, seven bits a byte, lowest first.
fn read_length(bytes: &mut &[u8]) -> Result<u32, CodecError> {
    let mut length = 0_u64;
    for shift in [0, 7, 14, 21, 28] {
        let [byte] =
            take(bytes).ok_or(CodecError::Truncated { compression: Compression::Snappy })?;
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(length).map_err(|_| corrupt("a length of more than 32 bits"));
        }
    }
    Err(corrupt("a length of more than 32 bits"))
}

fn read_element(bytes: &mut &[u8]) -> Result<Pending, CodecError> {
    let cut = corrupt("a block yields less than it says");
    let [tag] = take(bytes).ok_or(cut)?;
    let upper = usize::from(tag >> 2);
    Ok(match tag & 3 {
        0 => Pending::Literals {
            count: 1 + match upper {
                60 => usize::from(take::<1>(bytes).ok_or(cut)?[0]),
                61 => usize::from(u16::from_le_bytes(take(bytes).ok_or(cut)?)),
                62 => {
                    let [low, middle, high] = take(bytes).ok_or(cut)?;
                    u32::from_le_bytes([low, middle, high, 0]) as usize
                }
                63 => u32::from_le_bytes(take(bytes).ok_or(cut)?) as usize,
                _ => upper,
            },
        },
        1 => {
            let [low] = take(bytes).ok_or(cut)?;
            Pending::Repeat { offset: (upper >> 3) << 8 | usize::from(low), count: 4 + (upper & 7) }
        }
        2 => {
            let offset = usize::from(u16::from_le_bytes(take(bytes).ok_or(cut)?));
            Pending::Repeat { offset, count: 1 + upper }
        }
        _ => {
            let offset = u32::from_le_bytes(take(bytes).ok_or(cut)?) as usize;
            Pending::Repeat { offset, count: 1 + upper }
        }
    })
}
