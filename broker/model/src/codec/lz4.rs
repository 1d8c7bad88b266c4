//! The LZ4 frame format, in the part of it that Kafka's clients read: one frame of independent
//! blocks without a dictionary.
//!
//! A block may yield 4 MiB, which libraries decode in one call into as much memory; here it is
//! decoded with pauses, and only the 64 KiB are kept that it can refer to.

use std::hash::Hasher;

use twox_hash::XxHash32;

use super::history::History;
use super::{CodecError, take};
use crate::record_batch::Compression;

const MAGIC: u32 = 0x184d_2204;
/// As far back as two bytes can say.
const REACH_BYTES: usize = 0xffff;
/// Of a match, beyond what its length says.
const MATCH_MIN: usize = 4;

pub(super) struct Lz4 {
    history: History,
    frame: Frame,
    stage: Stage,
}

/// What the frame says of itself.
struct Frame {
    block_bytes_max: usize,
    has_block_checksums: bool,
    content_size_bytes: Option<u64>,
    content_hash: Option<XxHash32>,
    produced_bytes: u64,
}

#[derive(Clone, Copy)]
enum Stage {
    Begin,
    Between,
    Block(Block),
    End,
}

#[derive(Clone, Copy)]
struct Block {
    /// Of the input, without the checksum.
    left_bytes: usize,
    /// What may still come out.
    room_bytes: usize,
    step: Step,
}

/// Where in a sequence of a block.
#[derive(Clone, Copy)]
enum Step {
    /// Before its token.
    Token,
    Literals {
        count: usize,
        match_nibble: u8,
    },
    Match {
        offset: usize,
        count: usize,
    },
    /// Not compressed at all.
    Stored,
}

const fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { compression: Compression::Lz4, what }
}

const TRUNCATED: CodecError = CodecError::Truncated { compression: Compression::Lz4 };
const CUT: CodecError = corrupt("a block ends within a sequence");
const BLOCK_TOO_LARGE: CodecError = corrupt("a block yields more than the frame allows");

impl Lz4 {
    pub(super) fn new() -> Lz4 {
        let frame = Frame {
            block_bytes_max: 0,
            has_block_checksums: false,
            content_size_bytes: None,
            content_hash: None,
            produced_bytes: 0,
        };
        Lz4 { history: History::new(REACH_BYTES), frame, stage: Stage::Begin }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.history.memory_bytes()
    }

    pub(super) fn is_at_end(&self) -> bool {
        matches!(self.stage, Stage::End)
    }

    pub(super) fn decode(
        &mut self,
        input: &mut &[u8],
        out: &mut [u8],
    ) -> Result<usize, CodecError> {
        let mut block = match self.stage {
            Stage::Begin => {
                self.frame = read_frame(input)?;
                self.stage = Stage::Between;
                return Ok(0);
            }
            Stage::Between => {
                self.stage = self.next_block(input)?;
                return Ok(0);
            }
            Stage::End if input.is_empty() => return Ok(0),
            Stage::End => return Err(corrupt("bytes after the frame")),
            Stage::Block(block) => block,
        };
        let (mut bytes, rest) = input.split_at(block.left_bytes);
        decode_block(&mut self.history, &mut block, &mut bytes, out.len())?;
        let produced = self.history.take(out);
        self.frame.note(&out[..produced]);
        block.left_bytes = bytes.len();
        *input = &input[input.len() - rest.len() - bytes.len()..];
        let is_done = bytes.is_empty()
            && matches!(block.step, Step::Token | Step::Stored)
            && self.history.untaken_bytes() == 0;
        if !is_done {
            self.stage = Stage::Block(block);
            return Ok(produced);
        }
        if self.frame.has_block_checksums {
            // Checked when the block began.
            *input = &input[size_of::<u32>()..];
        }
        self.stage = Stage::Between;
        Ok(produced)
    }

    fn next_block(&mut self, input: &mut &[u8]) -> Result<Stage, CodecError> {
        const IS_STORED: u32 = 1 << 31;
        let word = u32::from_le_bytes(take(input).ok_or(TRUNCATED)?);
        if word == 0 {
            self.frame.check_end(input)?;
            return Ok(Stage::End);
        }
        let left_bytes = (word & !IS_STORED) as usize;
        if self.frame.block_bytes_max < left_bytes {
            return Err(corrupt("a block is larger than the frame allows"));
        }
        let (bytes, mut after) = input.split_at_checked(left_bytes).ok_or(TRUNCATED)?;
        if self.frame.has_block_checksums {
            let stored = u32::from_le_bytes(take(&mut after).ok_or(TRUNCATED)?);
            if stored != XxHash32::oneshot(0, bytes) {
                return Err(corrupt("the checksum of a block is wrong"));
            }
        }
        let step = if word & IS_STORED == 0 { Step::Token } else { Step::Stored };
        if bytes.is_empty() {
            return Err(corrupt("a block without bytes"));
        }
        self.history.begin_block(0);
        Ok(Stage::Block(Block { left_bytes, room_bytes: self.frame.block_bytes_max, step }))
    }
}

impl Frame {
    fn note(&mut self, produced: &[u8]) {
        self.produced_bytes += produced.len() as u64;
        if let Some(hash) = &mut self.content_hash {
            hash.write(produced);
        }
    }

    fn check_end(&self, input: &mut &[u8]) -> Result<(), CodecError> {
        if let Some(hash) = &self.content_hash {
            let stored = u32::from_le_bytes(take(input).ok_or(TRUNCATED)?);
            if stored != hash.finish_32() {
                return Err(corrupt("the checksum of the content is wrong"));
            }
        }
        if self.content_size_bytes.is_some_and(|size| size != self.produced_bytes) {
            return Err(corrupt("the content has not the size that the frame says"));
        }
        Ok(())
    }
}

fn read_frame(input: &mut &[u8]) -> Result<Frame, CodecError> {
    if u32::from_le_bytes(take(input).ok_or(TRUNCATED)?) != MAGIC {
        return Err(corrupt("no frame"));
    }
    let descriptor = *input;
    let [flags, block_size] = take(input).ok_or(TRUNCATED)?;
    if flags >> 6 != 1 {
        return Err(corrupt("a version of the frame that is not 1"));
    }
    if flags & 0b10 != 0 || block_size & 0b1000_1111 != 0 {
        return Err(corrupt("a reserved bit is set"));
    }
    if flags & 1 != 0 {
        return Err(corrupt("a dictionary is needed"));
    }
    if flags & 1 << 5 == 0 {
        // The Java client cannot read them.
        return Err(corrupt("blocks depend on each other"));
    }
    let block_bytes_max = match block_size >> 4 {
        4 => 64 << 10,
        5 => 256 << 10,
        6 => 1 << 20,
        7 => 4 << 20,
        _ => return Err(corrupt("an unknown size of blocks")),
    };
    let content_size_bytes = match flags & 1 << 3 != 0 {
        true => Some(u64::from_le_bytes(take(input).ok_or(TRUNCATED)?)),
        false => None,
    };
    let descriptor = &descriptor[..descriptor.len() - input.len()];
    let [stored] = take(input).ok_or(TRUNCATED)?;
    let [_, computed, ..] = XxHash32::oneshot(0, descriptor).to_le_bytes();
    if stored != computed {
        return Err(corrupt("the checksum of the frame's header is wrong"));
    }
    Ok(Frame {
        block_bytes_max,
        has_block_checksums: flags & 1 << 4 != 0,
        content_size_bytes,
        content_hash: (flags & 1 << 2 != 0).then(|| XxHash32::with_seed(0)),
        produced_bytes: 0,
    })
}

/// Decodes until so many bytes can be taken, or the block ends.
fn decode_block(
    history: &mut History,
    block: &mut Block,
    bytes: &mut &[u8],
    wanted_bytes: usize,
) -> Result<(), CodecError> {
    loop {
        let wanted = wanted_bytes.saturating_sub(history.untaken_bytes());
        match block.step {
            Step::Stored => {
                let now = wanted.min(bytes.len());
                assert!(history.push(bytes, now), "not more than there is");
                return Ok(());
            }
            Step::Token => {
                if wanted == 0 || bytes.is_empty() {
                    return Ok(());
                }
                let [token] = take(bytes).ok_or(CUT)?;
                let count = read_length(bytes, token >> 4, block)?;
                block.step = Step::Literals { count, match_nibble: token & 0xf };
            }
            Step::Literals { count, match_nibble } => {
                let now = wanted.min(count);
                if !history.push(bytes, now) {
                    return Err(CUT);
                }
                if now < count {
                    block.step = Step::Literals { count: count - now, match_nibble };
                    return Ok(());
                }
                // The last sequence of a block has literals only.
                block.step = Step::Token;
                if bytes.is_empty() {
                    return Ok(());
                }
                let offset = usize::from(u16::from_le_bytes(take(bytes).ok_or(CUT)?));
                let count = MATCH_MIN + read_length(bytes, match_nibble, block)?;
                block.room_bytes =
                    block.room_bytes.checked_sub(MATCH_MIN).ok_or(BLOCK_TOO_LARGE)?;
                block.step = Step::Match { offset, count };
            }
            Step::Match { offset, count } => {
                let now = wanted.min(count);
                if !history.repeat(offset, now) {
                    return Err(corrupt("a reference before the beginning of a block"));
                }
                if now < count {
                    block.step = Step::Match { offset, count: count - now };
                    return Ok(());
                }
                if bytes.is_empty() {
                    return Err(CUT);
                }
                block.step = Step::Token;
            }
        }
    }
}

/// The length that a nibble begins and bytes of 255 go on with, taken off the block's room.
fn read_length(bytes: &mut &[u8], nibble: u8, block: &mut Block) -> Result<usize, CodecError> {
    let mut length = usize::from(nibble);
    if nibble == 0xf {
        loop {
            let [byte] = take(bytes).ok_or(CUT)?;
            length += usize::from(byte);
            if byte != u8::MAX {
                break;
            }
            if block.room_bytes < length {
                return Err(BLOCK_TOO_LARGE);
            }
        }
    }
    block.room_bytes = block.room_bytes.checked_sub(length).ok_or(BLOCK_TOO_LARGE)?;
    Ok(length)
}
