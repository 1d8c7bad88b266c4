//! The sparse index of a segment: a cache that is deleted on doubt and built again from the
//! segment.

use model::{Offset, Timestamp};

use super::{Fields, VERSION, put};

const MAGIC: [u8; 8] = *b"HWINDEX\0";
const HEADER_SIZE_BYTES: usize = 48;
const POINT_SIZE_BYTES: usize = 24;

/// A batch's place in its segment, and the latest time before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    /// Base offset of the batch.
    pub(crate) offset: Offset,
    /// Where it begins in the segment.
    pub(crate) position: u64,
    /// The latest timestamp of the segment's batches before it: CreateTime does not only rise, so
    /// a search by time needs the maximum so far. `Timestamp::NONE` at the segment's start.
    pub(crate) max_timestamp_before: Timestamp,
}

/// Points of one segment, in order; the first is the segment's first batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) points: Vec<Point>,
    /// The latest timestamp in the segment, and the base offset of the first batch that has it.
    pub(crate) max_timestamp: Option<(Timestamp, Offset)>,
    last_position: u64,
}

impl Index {
    /// Takes note of the next batch. A point is set for the first batch and then for each that
    /// begins `interval_bytes` or more after the last point.
    pub(crate) fn note(
        &mut self,
        offset: Offset,
        position: u64,
        max_timestamp: Timestamp,
        interval_bytes: u64,
    ) {
        if self.points.is_empty() || self.last_position + interval_bytes <= position {
            let max_timestamp_before = self.max_timestamp.map_or(Timestamp::NONE, |(max, _)| max);
            self.points.push(Point { offset, position, max_timestamp_before });
            self.last_position = position;
        }
        if self.max_timestamp.is_none_or(|(max, _)| max < max_timestamp) {
            self.max_timestamp = Some((max_timestamp, offset));
        }
    }

    /// Forgets the batches from an offset on. The latest time may then be one that is gone, which
    /// makes a search by time look at more than it must, and nothing worse.
    pub(crate) fn truncate(&mut self, end: Offset) {
        let keep = self.points.partition_point(|point| point.offset < end);
        self.points.truncate(keep);
        self.last_position = self.points.last().map_or(0, |point| point.position);
    }

    /// Puts the points of the segment's first part before these.
    pub(crate) fn prepend(&mut self, first_part: Index) {
        let max_before = first_part.max_timestamp.map_or(Timestamp::NONE, |(max, _)| max);
        for point in &mut self.points {
            point.max_timestamp_before = point.max_timestamp_before.max(max_before);
        }
        if self.max_timestamp.is_none_or(|(max, _)| max <= max_before) {
            self.max_timestamp = first_part.max_timestamp;
        }
        self.points.splice(..0, first_part.points);
        self.last_position = self.points.last().map_or(0, |point| point.position);
    }

    /// Where to begin looking for the batch that holds an offset: at the last point at or before.
    pub(crate) fn point_before(&self, offset: Offset) -> Option<Point> {
        let after = self.points.partition_point(|point| point.offset <= offset);
        after.checked_sub(1).map(|before| self.points[before])
    }

    /// The offset from which to look for the first batch with a time of at least `timestamp`, as
    /// everything before is earlier, and the point before which it is, if it is before one.
    pub(crate) fn around_time(&self, timestamp: Timestamp) -> (Offset, Option<Offset>) {
        let after = self.points.partition_point(|point| point.max_timestamp_before < timestamp);
        let begin = after.checked_sub(1).map_or(Offset::ZERO, |before| self.points[before].offset);
        (begin, self.points.get(after).map(|point| point.offset))
    }

    pub(crate) fn encode(&self, segment_base: Offset, segment_bytes: u64) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_SIZE_BYTES + self.points.len() * POINT_SIZE_BYTES];
        let (max_timestamp, max_offset) =
            self.max_timestamp.unwrap_or((Timestamp::NONE, Offset::NONE));
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, 12, VERSION.to_le_bytes());
        put(&mut bytes, 16, segment_base.0.to_le_bytes());
        put(&mut bytes, 24, segment_bytes.to_le_bytes());
        put(&mut bytes, 32, max_timestamp.0.to_le_bytes());
        put(&mut bytes, 40, max_offset.0.to_le_bytes());
        for (point, at) in self.points.iter().zip((HEADER_SIZE_BYTES..).step_by(POINT_SIZE_BYTES)) {
            put(&mut bytes, at, point.offset.0.to_le_bytes());
            put(&mut bytes, at + 8, point.position.to_le_bytes());
            put(&mut bytes, at + 16, point.max_timestamp_before.0.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[12..]);
        put(&mut bytes, 8, crc.to_le_bytes());
        bytes
    }

    /// Reads an index back; none if it is damaged, of another version, or not of this segment in
    /// its present size, or if its points do not rise within that.
    pub(crate) fn decode(bytes: &[u8], segment_base: Offset, segment_bytes: u64) -> Option<Index> {
        let fields = Fields(bytes.get(..HEADER_SIZE_BYTES)?);
        let is_ours = fields.array(0) == MAGIC
            && fields.u32(8) == crc32fast::hash(&bytes[12..])
            && fields.u16(12) <= VERSION
            && fields.i64(16) == segment_base.0
            && fields.u64(24) == segment_bytes;
        if !is_ours {
            return None;
        }
        let points: Vec<Point> = bytes[HEADER_SIZE_BYTES..]
            .chunks_exact(POINT_SIZE_BYTES)
            .map(|point| {
                let fields = Fields(point);
                Point {
                    offset: Offset(fields.i64(0)),
                    position: fields.u64(8),
                    max_timestamp_before: Timestamp(fields.i64(16)),
                }
            })
            .collect();
        let rises = points
            .is_sorted_by(|one, next| one.offset < next.offset && one.position < next.position);
        let last_position = points.last().map_or(0, |point| point.position);
        if !rises || segment_bytes < last_position {
            return None;
        }
        let max_offset = Offset(fields.i64(40));
        let max_timestamp =
            (max_offset != Offset::NONE).then(|| (Timestamp(fields.i64(32)), max_offset));
        Some(Index { points, max_timestamp, last_position })
    }
}
