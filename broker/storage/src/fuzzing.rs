//! Every structure on disk, read from any bytes at all: the entry points of the fuzz targets in
//! `fuzz/`.
//!
//! Guarantees: each function reads its structure as a start does, from the bytes as they are and
//! with their checksums made right, which no mutation would hit; it panics if what was read differs
//! when it is written and read again, and returns whether, or how much, was read.
//! Does not know: files; whether what was read makes sense.

use std::path::Path;

use bytes::Bytes;
use model::Offset;
use runtime::{AlignedBuf, BLOCK_SIZE_BYTES};

use crate::Durability;
use crate::format::commit::{self, CommitHeader};
use crate::format::entry::{RECORD_SIZE_BYTES, decode_record, encode_record};
use crate::format::frame::{Base, Frames};
use crate::format::index::Index;
use crate::format::superblock::{self, Superblock};
use crate::format::{Fields, applied, put};
use crate::journal::recovery::replay_logs;
use crate::journal::walk::{Walk, WalkedFrame};

/// Where most structures have their checksum, over what follows it.
const POSITION_OF_CRC: usize = 8;
const CRC_COVERS_FROM: usize = 12;

/// A copy with the checksum over its bytes up to `end` made right.
fn mended(bytes: &[u8], end: usize) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    mend(&mut copy, end);
    copy
}

fn mend(bytes: &mut [u8], end: usize) {
    if let Some(covered) = bytes.get(CRC_COVERS_FROM..end.min(bytes.len())) {
        let crc = crc32fast::hash(covered);
        put(bytes, POSITION_OF_CRC, crc.to_le_bytes());
    }
}

/// As frames and payloads have to lie.
fn aligned(bytes: &[u8]) -> AlignedBuf {
    let mut buf = AlignedBuf::with_capacity(bytes.len());
    buf.extend_from_slice(bytes);
    buf
}

/// A slot of the superblock.
pub fn superblock(bytes: &[u8]) -> bool {
    let _ = Superblock::decode(bytes);
    let Ok(Some(read)) = Superblock::decode(&mended(bytes, superblock::SIZE_BYTES)) else {
        return false;
    };
    assert!(read.slot_position() < 2 * BLOCK_SIZE_BYTES as u64, "there are two slots");
    let mut slot = [0; BLOCK_SIZE_BYTES];
    read.encode(&mut slot);
    assert_eq!(Superblock::decode(&slot), Ok(Some(read)));
    true
}

/// The header of a commit.
pub fn commit_header(bytes: &[u8]) -> bool {
    let _ = CommitHeader::decode(bytes);
    let mended = mended(bytes, commit::HEADER_SIZE_BYTES);
    let Ok(Some((read, _))) = CommitHeader::decode(&mended) else { return false };
    let mut header = [0; commit::HEADER_SIZE_BYTES];
    let crc = read.encode(&mut header);
    assert_eq!(CommitHeader::decode(&header), Ok(Some((read, crc))));
    true
}

/// The body of a commit: frames and their payloads. Of each payload also what it would be in a base.
pub fn frames(body: &[u8]) -> usize {
    let body = aligned(body);
    let mut count = 0;
    for (frame, payload) in Frames::new(&body, u32::MAX).map_while(Result::ok) {
        count += 1;
        let (content, payload) = (frame.content(), &body[payload]);
        let mut again = AlignedBuf::with_capacity(payload.len());
        frame.encode(&[payload], &mut again);
        let (read, place) = Frames::new(&again, 1).flatten().next().expect("just written");
        assert_eq!((read, read.content(), &again[place]), (frame, content, payload));
        if let Some(base) = Base::decode(payload) {
            let mut again = AlignedBuf::with_capacity(payload.len());
            base.encode(&mut again);
            assert_eq!(Base::decode(&again), Some(base));
        }
    }
    count
}

/// A journal's file: commits, and the logs in them. The chain between commits is not looked at.
pub fn journal(bytes: &[u8]) -> usize {
    let mut buf = aligned(bytes);
    for block in buf.chunks_mut(BLOCK_SIZE_BYTES) {
        mend(block, commit::HEADER_SIZE_BYTES);
    }
    let file = buf.freeze();
    let mut streams = [Vec::new(), Vec::new()];
    let mut at = 0;
    while at < file.len() {
        let Ok(Some((header, _))) = CommitHeader::decode(&file[at..]) else {
            at += BLOCK_SIZE_BYTES;
            continue;
        };
        let size_bytes = (header.blocks_count.max(1) as usize).saturating_mul(BLOCK_SIZE_BYTES);
        let end = at.saturating_add(size_bytes).min(file.len());
        read_body(&file.slice(at..end), &header, &mut streams);
        at = end;
    }
    let [durable, relaxed] = streams.map(Walk::of);
    let mut corruptions = Vec::new();
    let (logs, left) = replay_logs(Path::new("journal"), 0, &durable, &relaxed, &mut corruptions);
    for log in &logs {
        assert!(!left.contains(&log.partition), "a log is here or has left");
        let _ = log.end_count();
    }
    logs.len()
}

fn read_body(commit: &Bytes, header: &CommitHeader, streams: &mut [Vec<WalkedFrame>; 2]) {
    let Some(body) = commit.get(commit::HEADER_SIZE_BYTES..) else { return };
    let body = commit.slice_ref(body);
    let into = match header.stream {
        Durability::Durable => &mut streams[0],
        Durability::Relaxed => &mut streams[1],
    };
    for (frame, payload) in Frames::new(&body, header.frames_count).map_while(Result::ok) {
        into.push(WalkedFrame { content: frame.content(), frame, payload: body.slice(payload) });
    }
}

/// Records of an `entries` file.
pub fn entries(bytes: &[u8]) -> usize {
    let mut count = 0;
    for record in bytes.chunks(RECORD_SIZE_BYTES) {
        let Some(record) = record.first_chunk::<RECORD_SIZE_BYTES>() else { break };
        let _ = decode_record(record);
        let mut mended = *record;
        let crc = crc32fast::hash(&record[..RECORD_SIZE_BYTES - 4]);
        put(&mut mended, RECORD_SIZE_BYTES - 4, crc.to_le_bytes());
        if let Some(entry) = decode_record(&mended) {
            assert_eq!(decode_record(&encode_record(&entry)), Some(entry));
            count += 1;
        }
    }
    count
}

/// A segment's index, and searches in it.
pub fn index(bytes: &[u8]) -> bool {
    let mended = mended(bytes, bytes.len());
    if mended.len() < 32 {
        return Index::decode(bytes, Offset::ZERO, 0).is_some();
    }
    // Of the segment that it says itself.
    let fields = Fields(&mended);
    let (base, size_bytes) = (Offset(fields.i64(16)), fields.u64(24));
    let _ = Index::decode(bytes, base, size_bytes);
    let Some(read) = Index::decode(&mended, base, size_bytes) else { return false };
    let again = read.encode(base, size_bytes);
    assert_eq!(Index::decode(&again, base, size_bytes).as_ref(), Some(&read));
    for point in &read.points {
        let _ = read.point_before(point.offset);
        let _ = read.around_time(point.max_timestamp_before);
    }
    if i64::MAX.unsigned_abs() < size_bytes {
        // No file is so large.
        return true;
    }
    let mut noted = read;
    noted.note(Offset(i64::MAX), size_bytes, model::Timestamp::NONE, 4096);
    noted.truncate(base);
    true
}

/// The file of a log's applied state. Returns the state.
pub fn applied_state(bytes: &[u8]) -> Option<Bytes> {
    let _ = applied::decode(&Bytes::copy_from_slice(bytes));
    let state = applied::decode(&Bytes::from(mended(bytes, bytes.len())))?;
    assert_eq!(applied::decode(&Bytes::from(applied::encode(&state))).as_ref(), Some(&state));
    Some(state)
}
