//! Frames: what a commit of the journal is made of.
//!
//! A frame is an rkyv archive of fixed size that is validated and read in place, without
//! allocation, followed by its payload. Frames and payloads begin at multiples of 8 bytes.

// The derived code of rkyv is the only unsafe code of this crate.
#![allow(unsafe_code, reason = "derived by rkyv")]

use model::{
    BrokerId, LeaderEpoch, LogIndex, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId,
    Timestamp, TopicId, TopicPartition,
};
use rkyv::rancor::Failure;
use rkyv::ser::allocator::SubAllocator;
use rkyv::ser::writer::Buffer;
use rkyv::{Archive, Deserialize, Serialize};
use runtime::AlignedBuf;

use super::FRAME_ALIGNMENT_BYTES;
use super::entry::{BatchStamp, Entry, EntryKind};
use super::superblock::Position;

/// A frame without its payload. The fields are plain numbers, because they are the format.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub(crate) struct Frame {
    topic: [u8; 16],
    partition: i32,
    /// Which base frame of the partition this frame continues (rule W4).
    pub(crate) base_number: u32,
    log_index: u64,
    leader_epoch: i32,
    /// Bytes of the payload that follows.
    pub(crate) size_bytes: u32,
    kind: FrameKind,
}

#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
enum FrameKind {
    /// An entry that is a record batch; the payload is the batch.
    Batch {
        base_offset: i64,
        base_timestamp: i64,
        max_timestamp: i64,
        producer_id: i64,
        crc: u32,
        offsets_count: u32,
        base_sequence: i32,
        producer_epoch: i16,
        attributes: i16,
    },
    /// Entries without a batch. `next_offset` is that of the log, which they do not change.
    Blank {
        next_offset: i64,
    },
    /// The payload is the membership.
    Membership {
        next_offset: i64,
    },
    Void {
        next_offset: i64,
    },
    LogStart {
        next_offset: i64,
        offset: i64,
    },
    /// A promise of this broker, for the frame's leader epoch.
    Vote {
        broker: i32,
        incarnation: u64,
        is_committed: bool,
    },
    /// The entries from this index on are gone.
    Truncate {
        to: u64,
    },
    /// The partition does not live in this journal any more.
    Left,
    /// The complete restart point of a partition; the payload begins with a [`Base`].
    Base,
    /// Where the relaxed stream stood when the carry was written.
    Mark {
        generation: u64,
        sequence: u64,
        file: u32,
        block: u32,
        previous_crc: u32,
    },
}

/// What begins the payload of a base frame. After it, each at a multiple of 8 bytes: the
/// membership, the tail, and the later entries as frames with their payloads.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub(crate) struct Base {
    /// Records flushed in `entries`: the log's first entries.
    pub(crate) entries_count: u64,
    /// Entries committed when the frame was made; at least `entries_count`.
    pub(crate) committed_count: u64,
    /// Applied state is in the file of this index; 0 when there is none.
    pub(crate) applied_count: u64,
    /// Where the log ends after the entries in `entries`.
    pub(crate) next_offset: i64,
    /// The segment that is being written.
    pub(crate) segment_base_offset: i64,
    /// Bytes of it that are written and flushed, in whole blocks.
    pub(crate) flushed_bytes: u64,
    pub(crate) log_start: i64,
    /// Epoch of the last entry in `entries`; -1 when there is none.
    pub(crate) last_epoch: i32,
    /// Bytes of the membership.
    pub(crate) membership_bytes: u32,
    /// Bytes of the segment after those flushed, up to the end of the entries in `entries`.
    pub(crate) tail_bytes: u32,
    /// Frames after the tail.
    pub(crate) later_count: u32,
    /// An idempotent batch stands at or after `applied_count`.
    pub(crate) has_stamps: bool,
    /// Whether entries of the next base number are in the durable stream.
    pub(crate) is_durable: bool,
    /// A start found damage that may concern the log: doubt lasts until an operator ends it.
    pub(crate) is_doubtful: bool,
}

/// This broker's vote in a partition's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The highest epoch this broker has taken part in.
    pub leader_epoch: LeaderEpoch,
    /// For whom it voted.
    pub voted_for: NodeId,
    /// The leader has been elected.
    pub is_committed: bool,
}

impl Vote {
    /// In the order of Raft: the later epoch, then the committed one.
    pub(crate) fn rank(&self) -> (LeaderEpoch, bool) {
        (self.leader_epoch, self.is_committed)
    }
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Entry(Entry),
    Vote(Vote),
    Truncate { to: LogIndex },
    Left,
    Base,
    Mark(Position),
}

pub(crate) const FRAME_SIZE_BYTES: usize = size_of::<ArchivedFrame>();
pub(crate) const BASE_SIZE_BYTES: usize = size_of::<ArchivedBase>();
const _: () = assert!(FRAME_SIZE_BYTES.is_multiple_of(FRAME_ALIGNMENT_BYTES));
const _: () = assert!(BASE_SIZE_BYTES.is_multiple_of(FRAME_ALIGNMENT_BYTES));
const _: () = assert!(align_of::<ArchivedFrame>() <= FRAME_ALIGNMENT_BYTES);

/// Room that a frame with a payload of this size takes.
pub(crate) const fn room_bytes(payload_bytes: usize) -> usize {
    FRAME_SIZE_BYTES + payload_bytes.next_multiple_of(FRAME_ALIGNMENT_BYTES)
}

impl Frame {
    pub(crate) fn entry(partition: TopicPartition, base_number: u32, entry: &Entry) -> Frame {
        let next_offset = entry.next_offset.0;
        let kind = match entry.kind {
            EntryKind::Batch(stamp) => FrameKind::Batch {
                base_offset: stamp.base_offset.0,
                base_timestamp: stamp.base_timestamp.0,
                max_timestamp: stamp.max_timestamp.0,
                producer_id: stamp.producer_id.0,
                crc: stamp.crc,
                offsets_count: stamp.offsets_count,
                base_sequence: stamp.base_sequence,
                producer_epoch: stamp.producer_epoch.0,
                attributes: stamp.attributes,
            },
            EntryKind::Blank => FrameKind::Blank { next_offset },
            EntryKind::Membership => FrameKind::Membership { next_offset },
            EntryKind::Void => FrameKind::Void { next_offset },
            EntryKind::LogStart(offset) => FrameKind::LogStart { next_offset, offset: offset.0 },
        };
        Frame {
            log_index: entry.index.0,
            leader_epoch: entry.leader_epoch.0,
            size_bytes: entry.size_bytes,
            ..Frame::of(partition, base_number, kind)
        }
    }

    pub(crate) fn vote(partition: TopicPartition, base_number: u32, vote: &Vote) -> Frame {
        let kind = FrameKind::Vote {
            broker: vote.voted_for.broker.0,
            incarnation: vote.voted_for.incarnation,
            is_committed: vote.is_committed,
        };
        Frame { leader_epoch: vote.leader_epoch.0, ..Frame::of(partition, base_number, kind) }
    }

    pub(crate) fn truncate(partition: TopicPartition, base_number: u32, to: LogIndex) -> Frame {
        Frame::of(partition, base_number, FrameKind::Truncate { to: to.0 })
    }

    pub(crate) fn left(partition: TopicPartition, base_number: u32) -> Frame {
        Frame::of(partition, base_number, FrameKind::Left)
    }

    pub(crate) fn base(partition: TopicPartition, base_number: u32, payload_bytes: usize) -> Frame {
        let size_bytes = u32::try_from(payload_bytes).expect("a base fits into a commit");
        Frame { size_bytes, ..Frame::of(partition, base_number, FrameKind::Base) }
    }

    pub(crate) fn mark(position: &Position) -> Frame {
        let kind = FrameKind::Mark {
            generation: position.generation,
            sequence: position.sequence,
            file: position.file,
            block: position.block,
            previous_crc: position.previous_crc,
        };
        let nobody = TopicPartition { topic: TopicId::ZERO, partition: PartitionIndex(-1) };
        Frame::of(nobody, 0, kind)
    }

    fn of(partition: TopicPartition, base_number: u32, kind: FrameKind) -> Frame {
        Frame {
            topic: *partition.topic.bytes(),
            partition: partition.partition.0,
            base_number,
            log_index: 0,
            leader_epoch: LeaderEpoch::NONE.0,
            size_bytes: 0,
            kind,
        }
    }

    pub(crate) fn partition(&self) -> TopicPartition {
        TopicPartition {
            topic: TopicId::from_bytes(self.topic),
            partition: PartitionIndex(self.partition),
        }
    }

    pub(crate) fn content(&self) -> Content {
        let entry = |next_offset: i64, kind: EntryKind| {
            Content::Entry(Entry {
                index: LogIndex(self.log_index),
                leader_epoch: LeaderEpoch(self.leader_epoch),
                next_offset: Offset(next_offset),
                size_bytes: self.size_bytes,
                kind,
            })
        };
        match self.kind {
            FrameKind::Batch {
                base_offset,
                base_timestamp,
                max_timestamp,
                producer_id,
                crc,
                offsets_count,
                base_sequence,
                producer_epoch,
                attributes,
            } => {
                let stamp = BatchStamp {
                    base_offset: Offset(base_offset),
                    offsets_count,
                    crc,
                    attributes,
                    base_timestamp: Timestamp(base_timestamp),
                    max_timestamp: Timestamp(max_timestamp),
                    producer_id: ProducerId(producer_id),
                    producer_epoch: ProducerEpoch(producer_epoch),
                    base_sequence,
                };
                entry(stamp.next_offset().0, EntryKind::Batch(stamp))
            }
            FrameKind::Blank { next_offset } => entry(next_offset, EntryKind::Blank),
            FrameKind::Membership { next_offset } => entry(next_offset, EntryKind::Membership),
            FrameKind::Void { next_offset } => entry(next_offset, EntryKind::Void),
            FrameKind::LogStart { next_offset, offset } => {
                entry(next_offset, EntryKind::LogStart(Offset(offset)))
            }
            FrameKind::Vote { broker, incarnation, is_committed } => Content::Vote(Vote {
                leader_epoch: LeaderEpoch(self.leader_epoch),
                voted_for: NodeId { broker: BrokerId(broker), incarnation },
                is_committed,
            }),
            FrameKind::Truncate { to } => Content::Truncate { to: LogIndex(to) },
            FrameKind::Left => Content::Left,
            FrameKind::Base => Content::Base,
            FrameKind::Mark { generation, sequence, file, block, previous_crc } => {
                Content::Mark(Position { file, block, generation, sequence, previous_crc })
            }
        }
    }

    /// Appends the frame, then the pieces of its payload, then zeros up to the next frame's place.
    pub(crate) fn encode(&self, payload: &[&[u8]], into: &mut AlignedBuf) {
        let size_bytes: usize = payload.iter().map(|piece| piece.len()).sum();
        assert_eq!(size_bytes, self.size_bytes as usize, "the frame tells its payload's size");
        assert!(into.len().is_multiple_of(FRAME_ALIGNMENT_BYTES), "frames are aligned");
        let mut archived = [0; FRAME_SIZE_BYTES];
        archive(self, &mut archived);
        into.extend_from_slice(&archived);
        for piece in payload {
            into.extend_from_slice(piece);
        }
        pad(into);
    }
}

impl Base {
    /// Appends the archive of this.
    pub(crate) fn encode(&self, into: &mut AlignedBuf) {
        let mut archived = [0; BASE_SIZE_BYTES];
        archive(self, &mut archived);
        into.extend_from_slice(&archived);
    }

    /// Reads what begins the payload of a base frame, validated.
    pub(crate) fn decode(payload: &[u8]) -> Option<Base> {
        let archived = payload.get(..BASE_SIZE_BYTES)?;
        let archived = rkyv::api::low::access::<ArchivedBase, Failure>(archived).ok()?;
        rkyv::api::low::deserialize::<Base, Failure>(archived).ok()
    }
}

fn archive(
    value: &impl for<'a> Serialize<rkyv::api::low::LowSerializer<Buffer<'a>, SubAllocator<'a>, Failure>>,
    into: &mut [u8],
) {
    let size_bytes = into.len();
    let written =
        rkyv::api::low::to_bytes_in_with_alloc(value, Buffer::from(into), SubAllocator::empty())
            .expect("the buffer has the archive's size");
    assert_eq!(written.len(), size_bytes, "the archive has a fixed size");
}

/// The first place from `at` on where a frame may begin.
pub(crate) const fn pad_to_frame(at: usize) -> usize {
    at.next_multiple_of(FRAME_ALIGNMENT_BYTES)
}

/// Appends zeros up to the place where a frame may begin.
pub(crate) fn pad(into: &mut AlignedBuf) {
    into.resize(pad_to_frame(into.len()), 0);
}

/// Reads the frames that stand one after another in `bytes`, which begins at a multiple of 8 in
/// memory. Validates each and allocates nothing.
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
}

/// These bytes are not the frames they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadFrame {
    /// Where, from the start of the bytes.
    pub(crate) at: usize,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(bytes: &'a [u8], frames_count: u32) -> Frames<'a> {
        Frames { bytes, at: 0, left: frames_count }
    }

    fn read(&mut self) -> Option<(Frame, std::ops::Range<usize>)> {
        let archived = self.bytes.get(self.at..self.at.checked_add(FRAME_SIZE_BYTES)?)?;
        let archived = rkyv::api::low::access::<ArchivedFrame, Failure>(archived).ok()?;
        let frame = rkyv::api::low::deserialize::<Frame, Failure>(archived).ok()?;
        if let FrameKind::Batch { base_offset, offsets_count, .. } = frame.kind {
            // No log has so many offsets.
            base_offset.checked_add(i64::from(offsets_count))?;
        }
        let start = self.at + FRAME_SIZE_BYTES;
        let end = start.checked_add(frame.size_bytes as usize)?;
        self.bytes.get(start..end)?;
        self.at = end.next_multiple_of(FRAME_ALIGNMENT_BYTES);
        Some((frame, start..end))
    }
}

/// Yields each frame and the place of its payload within the bytes.
impl Iterator for Frames<'_> {
    type Item = Result<(Frame, std::ops::Range<usize>), BadFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        let read = self.read();
        if read.is_none() {
            self.left = 0;
        }
        Some(read.ok_or(BadFrame { at }))
    }
}

#[cfg(test)]
mod tests;
