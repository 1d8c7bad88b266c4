//! The list of a partition's compacted segments: which of the files in its directory count.

use model::{LeaderEpoch, Offset};

use super::{Fields, VERSION, put};
use crate::format::entry::Entry;
use crate::log::segment::SegmentName;

const MAGIC: [u8; 8] = *b"HWCOMPCT";
const HEADER_SIZE_BYTES: usize = 56;
const SEGMENT_SIZE_BYTES: usize = 24;
const EPOCH_SIZE_BYTES: usize = 16;

/// What compaction has made of a log. Its file is replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CompactedList {
    /// Everything before is in these segments or gone; from here on stand segments as they were
    /// appended.
    pub(crate) end: Offset,
    /// Up to here no two records have the same key.
    pub(crate) clean_end: Offset,
    /// In order. Each ends where the next one begins, the last one at `end`.
    pub(crate) segments: Vec<CompactedSegment>,
    /// What the first entries have told of leader epochs, whose records may be gone.
    pub(crate) epochs: EpochEnds,
}

/// Where the batches of each leader epoch end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EpochEnds {
    /// Of so many entries, the log's first.
    pub(crate) entries_count: u64,
    /// In order.
    pub(crate) ends: Vec<(LeaderEpoch, Offset)>,
}

impl EpochEnds {
    /// Takes note of the next entry.
    pub(crate) fn note(&mut self, entry: &Entry) {
        self.entries_count += 1;
        if entry.batch().is_none() {
            return;
        }
        match self.ends.last_mut().filter(|(epoch, _)| *epoch == entry.leader_epoch) {
            Some((_, end)) => *end = entry.next_offset,
            None => self.ends.push((entry.leader_epoch, entry.next_offset)),
        }
    }

    /// The last epoch that is not later than this one, and where it ends.
    pub(crate) fn last_up_to(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let after = self.ends.partition_point(|(of, _)| *of <= epoch);
        after.checked_sub(1).map(|last| self.ends[last])
    }
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompactedSegment {
    pub(crate) base_offset: Offset,
    pub(crate) generation: u32,
    pub(crate) size_bytes: u64,
}

impl CompactedSegment {
    fn name(&self) -> SegmentName {
        SegmentName { base_offset: self.base_offset, generation: self.generation }
    }
}

impl CompactedList {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let segments_end = HEADER_SIZE_BYTES + self.segments.len() * SEGMENT_SIZE_BYTES;
        let mut bytes = vec![0; segments_end + self.epochs.ends.len() * EPOCH_SIZE_BYTES];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, 12, VERSION.to_le_bytes());
        put(&mut bytes, 16, self.end.0.to_le_bytes());
        put(&mut bytes, 24, self.clean_end.0.to_le_bytes());
        put(&mut bytes, 32, (self.segments.len() as u64).to_le_bytes());
        put(&mut bytes, 40, (self.epochs.ends.len() as u64).to_le_bytes());
        put(&mut bytes, 48, self.epochs.entries_count.to_le_bytes());
        let places = (segments_end..).step_by(EPOCH_SIZE_BYTES);
        for ((epoch, end), at) in self.epochs.ends.iter().zip(places) {
            put(&mut bytes, at, end.0.to_le_bytes());
            put(&mut bytes, at + 8, epoch.0.to_le_bytes());
        }
        let places = (HEADER_SIZE_BYTES..).step_by(SEGMENT_SIZE_BYTES);
        for (segment, at) in self.segments.iter().zip(places) {
            put(&mut bytes, at, segment.base_offset.0.to_le_bytes());
            put(&mut bytes, at + 8, segment.size_bytes.to_le_bytes());
            put(&mut bytes, at + 16, segment.generation.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[12..]);
        put(&mut bytes, 8, crc.to_le_bytes());
        bytes
    }

    /// Reads a list back; none if it is not one, or not whole.
    pub(crate) fn decode(bytes: &[u8]) -> Option<CompactedList> {
        let fields = Fields(bytes.get(..HEADER_SIZE_BYTES)?);
        let is_ours = fields.array(0) == MAGIC
            && fields.u32(8) == crc32fast::hash(&bytes[12..])
            && fields.u16(12) <= VERSION;
        let sizes = |at: usize, of: usize| usize::try_from(fields.u64(at)).ok()?.checked_mul(of);
        let rest = &bytes[HEADER_SIZE_BYTES..];
        let (segments, epochs) = rest.split_at_checked(sizes(32, SEGMENT_SIZE_BYTES)?)?;
        if !is_ours || epochs.len() != sizes(40, EPOCH_SIZE_BYTES)? {
            return None;
        }
        let segments = segments.chunks_exact(SEGMENT_SIZE_BYTES).map(|entry| {
            let fields = Fields(entry);
            CompactedSegment {
                base_offset: Offset(fields.i64(0)),
                size_bytes: fields.u64(8),
                generation: fields.u32(16),
            }
        });
        let list = CompactedList {
            end: Offset(fields.i64(16)),
            clean_end: Offset(fields.i64(24)),
            segments: segments.collect(),
            epochs: EpochEnds {
                entries_count: fields.u64(48),
                ends: epochs.chunks_exact(EPOCH_SIZE_BYTES).map(epoch_end).collect(),
            },
        };
        list.is_in_order().then_some(list)
    }

    /// The names of segments that hold anything at or after an offset.
    pub(crate) fn needed_from(&self, log_start: Offset) -> Vec<SegmentName> {
        let ends = self.segments.iter().skip(1).map(|next| next.base_offset).chain([self.end]);
        let needed = self.segments.iter().zip(ends).filter(|(_, end)| log_start < *end);
        needed.map(|(segment, _)| segment.name()).collect()
    }

    /// The size of the file of this name, if it is in the list.
    pub(crate) fn size_of(&self, name: SegmentName) -> Option<u64> {
        let found = self.segments.binary_search_by_key(&name.base_offset, |of| of.base_offset);
        let segment = self.segments.get(found.ok()?)?;
        (segment.name() == name).then_some(segment.size_bytes)
    }

    fn is_in_order(&self) -> bool {
        let last = self.segments.last();
        self.segments.is_sorted_by(|one, next| one.base_offset < next.base_offset)
            && self.segments.iter().all(|segment| 0 < segment.generation)
            && last.is_none_or(|last| last.base_offset < self.end)
            && self.clean_end <= self.end
            && self.epochs.ends.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1)
    }
}

fn epoch_end(bytes: &[u8]) -> (LeaderEpoch, Offset) {
    let fields = Fields(bytes);
    (LeaderEpoch(i32::from_le_bytes(fields.array(8))), Offset(fields.i64(0)))
}
