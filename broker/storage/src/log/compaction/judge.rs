//! What stays of a batch.

use std::borrow::Cow;
use std::ops::Range;

use model::codec::Decoder;
use model::record_batch::{
    BatchError, BatchHeader, Compression, HEADER_SIZE_BYTES, Records, Thinning,
};
use model::{Offset, Timestamp};

use super::CompactionRules;
use super::keys::{KeyHash, KeyOffsets};
use crate::shared::Pace;

/// Decompressed at a time.
const PIECE_BYTES: usize = 64 << 10;
/// Records that are looked at before the core's other tasks get their turn.
const TURN_BYTES: usize = 64 << 10;

/// Decides what stays.
pub(super) struct Judge<'a> {
    keys: &'a KeyOffsets,
    /// Records from here on stay.
    clean_end: Offset,
    log_start: Offset,
    now: Timestamp,
    tombstones_ms: i64,
}

/// What stays of a batch.
pub(super) struct Judged {
    pub(super) records_count: u64,
    pub(super) kept_count: u64,
    /// Of what stays.
    pub(super) max_timestamp: Timestamp,
    kept: Kept,
}

enum Kept {
    Nothing,
    /// Byte for byte.
    Whole,
    Part(Vec<u8>),
}

impl Judged {
    /// The bytes that stay; none if nothing does.
    pub(super) fn kept_of<'a>(&'a self, batch: &'a [u8]) -> Option<&'a [u8]> {
        match &self.kept {
            Kept::Nothing => None,
            Kept::Whole => Some(batch),
            Kept::Part(part) => Some(part),
        }
    }
}

/// What becomes of a record.
#[derive(PartialEq, Eq)]
enum Verdict {
    Goes,
    Stays,
    /// And its time begins now.
    StaysForATime,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        keys: &'a KeyOffsets,
        clean_end: Offset,
        log_start: Offset,
        rules: &CompactionRules,
    ) -> Judge<'a> {
        let CompactionRules { now, tombstones_ms, .. } = *rules;
        Judge { keys, clean_end, log_start, now, tombstones_ms }
    }

    /// What stays of a batch whose checksum is right.
    pub(super) async fn judge(
        &self,
        header: &BatchHeader,
        batch: &[u8],
        pace: &mut Pace,
    ) -> Result<Judged, BatchError> {
        let records_count = u64::try_from(header.records_count).unwrap_or(0);
        let whole = Judged {
            records_count,
            kept_count: records_count,
            max_timestamp: header.max_timestamp,
            kept: Kept::Whole,
        };
        if header.is_control() {
            pace.step(batch.len()).await;
            return Ok(whole);
        }
        let bytes = decompressed(header, batch, pace).await?;
        let mut ranges = Vec::new();
        let mut kept_count = 0;
        let mut needs_horizon = false;
        let mut records = Records::of(header, &bytes);
        let mut looked_at = 0;
        loop {
            let start = bytes.len() - records.rest().len();
            let Some(record) = records.next() else { break };
            let record = record?;
            let end = bytes.len() - records.rest().len();
            let offset = header.base_offset + i64::from(record.offset_delta);
            let verdict = self.verdict(header, offset, record.key, record.value);
            if verdict != Verdict::Goes {
                kept_count += 1;
                needs_horizon |= verdict == Verdict::StaysForATime;
                push_range(&mut ranges, start..end);
            }
            if TURN_BYTES <= end - looked_at {
                pace.step(end - looked_at).await;
                looked_at = end;
            }
        }
        pace.step(batch.len().max(bytes.len() - looked_at)).await;
        if kept_count == records_count && !needs_horizon {
            return Ok(whole);
        }
        if kept_count == 0 {
            return Ok(Judged { kept_count, kept: Kept::Nothing, ..whole });
        }
        let horizon =
            needs_horizon.then(|| Timestamp(self.now.0.saturating_add(self.tombstones_ms)));
        let mut thinning = Thinning::begin(batch, &bytes, &ranges, horizon)?;
        let max_timestamp = thinning.max_timestamp();
        let part = loop {
            if let Some(part) = thinning.step() {
                break part;
            }
            pace.step(0).await;
        };
        Ok(Judged { kept_count, max_timestamp, kept: Kept::Part(part), ..whole })
    }

    fn verdict(
        &self,
        header: &BatchHeader,
        offset: Offset,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Verdict {
        if self.clean_end <= offset {
            return Verdict::Stays;
        }
        // Nobody can read it, or nobody can tell what it stands for.
        let Some(key) = key.filter(|_| self.log_start <= offset) else { return Verdict::Goes };
        let is_last = |last| last <= offset;
        if !self.keys.last_offset(self.keys.hash(key)).is_none_or(is_last) {
            return Verdict::Goes;
        }
        match value {
            Some(_) => Verdict::Stays,
            None if !header.has_delete_horizon() => Verdict::StaysForATime,
            None if self.now < header.base_timestamp => Verdict::Stays,
            None => Verdict::Goes,
        }
    }
}

fn push_range(ranges: &mut Vec<Range<usize>>, range: Range<usize>) {
    match ranges.last_mut().filter(|last| last.end == range.start) {
        Some(last) => last.end = range.end,
        None => ranges.push(range),
    }
}

/// Notes the keys of a batch from an offset on. If there is no room for all of them it is none, and
/// where they begin is returned; of a batch that is too large by itself, from where there is no room.
pub(super) async fn note_keys(
    header: &BatchHeader,
    batch: &[u8],
    from: Offset,
    keys: &mut KeyOffsets,
    pace: &mut Pace,
) -> Result<Option<Offset>, BatchError> {
    if header.is_control() {
        return Ok(None);
    }
    let bytes = decompressed(header, batch, pace).await?;
    let mut hashes = Vec::new();
    let mut records = Records::of(header, &bytes);
    let mut looked_at = 0;
    while let Some(record) = records.next() {
        let record = record?;
        let offset = header.base_offset + i64::from(record.offset_delta);
        if let Some(key) = record.key.filter(|_| from <= offset) {
            hashes.push((keys.hash(key), offset));
        }
        let end = bytes.len() - records.rest().len();
        if TURN_BYTES <= end - looked_at {
            pace.step(end - looked_at).await;
            looked_at = end;
        }
    }
    pace.step(batch.len().max(bytes.len() - looked_at)).await;
    let is_new = |(hash, _): &&(KeyHash, Offset)| keys.last_offset(*hash).is_none();
    if 0 < keys.len() && !keys.has_room_for(hashes.iter().filter(is_new).count()) {
        return Ok(Some(header.base_offset.max(from)));
    }
    let mut without_room = hashes.iter().filter(|(hash, offset)| !keys.note(*hash, *offset));
    Ok(without_room.next().map(|(_, offset)| *offset))
}

/// The records of a batch as they were before they were compressed. What comes out was bounded when
/// the batch was appended.
async fn decompressed<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    pace: &mut Pace,
) -> Result<Cow<'a, [u8]>, BatchError> {
    let records = &batch[HEADER_SIZE_BYTES..];
    let compression = header.compression()?;
    if compression == Compression::None {
        return Ok(Cow::Borrowed(records));
    }
    let mut decoder = Decoder::new(compression, records, u64::MAX);
    let mut bytes = Vec::with_capacity(records.len() * 2);
    let mut piece = vec![0; PIECE_BYTES];
    while !decoder.is_finished() {
        let decoded = decoder.decode(&mut piece)?;
        bytes.extend_from_slice(&piece[..decoded.produced_bytes]);
        pace.step(decoded.consumed_bytes + decoded.produced_bytes).await;
    }
    Ok(Cow::Owned(bytes))
}
