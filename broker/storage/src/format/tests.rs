//! Golden bytes: every structure on disk, as `FORMAT.md` describes it. A test that fails here says
//! that files of an earlier broker would be misread: raise [`VERSION`], say in `FORMAT.md` what has
//! changed, and only then take the new bytes over.

use std::fmt::Write;

use bytes::Bytes;
use expect_test::{Expect, expect};
use model::{
    BrokerId, LeaderEpoch, LogIndex, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId,
    Timestamp, TopicId, TopicPartition,
};
use runtime::{AlignedBuf, BLOCK_SIZE_BYTES};

use super::commit::{CommitHeader, FLAG_CARRY, FLAG_CARRY_BEGINS, FLAG_SEAL, HEADER_SIZE_BYTES};
use super::compacted::{CompactedList, CompactedSegment, EpochEnds};
use super::entry::{BatchStamp, Entry, EntryKind, RECORD_SIZE_BYTES, decode_record, encode_record};
use super::frame::{BASE_SIZE_BYTES, Base, FRAME_SIZE_BYTES, Frame, Frames, Vote};
use super::index::{Index, Point};
use super::superblock::{Position, StreamRecord, Superblock};
use super::*;
use crate::Durability;

/// Bytes as they stand in a file, 16 to a line; lines of zeros are left out.
#[track_caller]
fn check(bytes: &[u8], expected: &Expect) {
    let mut text = String::new();
    for (line, at) in bytes.chunks(16).zip((0..).step_by(16)) {
        if line.iter().all(|byte| *byte == 0) {
            continue;
        }
        write!(text, "{at:3}:").unwrap();
        for (index, byte) in line.iter().enumerate() {
            let gap = if index % 8 == 0 { " " } else { "" };
            write!(text, "{gap}{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    writeln!(text, "{} bytes", bytes.len()).unwrap();
    expected.assert_eq(&text);
}

fn partition() -> TopicPartition {
    let topic = TopicId::from_bytes(std::array::from_fn(|n| 0xa0 + u8::try_from(n).unwrap()));
    TopicPartition { topic, partition: PartitionIndex(0x0102_0304) }
}

fn position() -> Position {
    Position {
        file: 0x11,
        block: 0x22,
        generation: 0x33,
        sequence: 0x44,
        previous_crc: 0x5566_7788,
    }
}

fn superblock() -> Superblock {
    let relaxed =
        StreamRecord { replay_from: Position { sequence: 0x99, ..position() }, known_tail: 0xaabb };
    Superblock {
        directory_id: *b"directory-id-16b",
        journal: 0x0506_0708,
        number: 0x1234_5678_9abc_def1,
        start: 0x0a0b_0c0d,
        salt: 0x1122_3344_5566_7788,
        boot_id: *b"this-boot-id-16b",
        is_clean: true,
        cores_count: 0x0203,
        streams: [StreamRecord { replay_from: position(), known_tail: 0x4455 }, relaxed],
    }
}

fn header() -> CommitHeader {
    CommitHeader {
        stream: Durability::Relaxed,
        flags: FLAG_CARRY | FLAG_CARRY_BEGINS,
        directory_id: *b"directory-id-16b",
        journal: 0x0102_0304,
        start: 0x0506_0708,
        salt: 0x1122_3344_5566_7788,
        generation: 0x21,
        sequence: 0x31,
        blocks_count: 0x41,
        frames_count: 0x51,
        body_crc: 0x6162_6364,
        previous_crc: 0x7172_7374,
    }
}

fn entry(kind: EntryKind) -> Entry {
    Entry {
        index: LogIndex(0x1112),
        leader_epoch: LeaderEpoch(0x13),
        next_offset: Offset(0x1415),
        size_bytes: 0,
        kind,
    }
}

fn batch() -> Entry {
    let stamp = BatchStamp {
        base_offset: Offset(0x1410),
        offsets_count: 5,
        crc: 0x2122_2324,
        attributes: 0x2526,
        base_timestamp: Timestamp(0x3132_3334_3536_3738),
        max_timestamp: Timestamp(0x4142_4344_4546_4748),
        producer_id: ProducerId(0x5152_5354_5556_5758),
        producer_epoch: ProducerEpoch(0x6162),
        base_sequence: 0x7172_7374,
    };
    Entry { size_bytes: 3, ..entry(EntryKind::Batch(stamp)) }
}

fn base() -> Base {
    Base {
        entries_count: 0x0101,
        committed_count: 0x0202,
        applied_count: 0x0303,
        next_offset: 0x0404,
        segment_base_offset: 0x0505,
        flushed_bytes: 0x0606,
        log_start: 0x0707,
        last_epoch: 0x0808,
        membership_bytes: 0x0909,
        tail_bytes: 0x0a0a,
        later_count: 0x0b0b,
        has_stamps: true,
        is_durable: false,
        is_doubtful: true,
    }
}

#[test]
fn the_description_is_of_this_version() {
    let description = include_str!("../../FORMAT.md");
    let mark = format!("**Format version {VERSION}.**");
    assert!(description.contains(&mark), "FORMAT.md begins with the version it describes: {mark}");
    assert_eq!((FRAME_SIZE_BYTES, BASE_SIZE_BYTES, RECORD_SIZE_BYTES), (96, 80, 80));
}

#[test]
fn a_superblock_slot() {
    let mut slot = [0xff; BLOCK_SIZE_BYTES];
    superblock().encode(&mut slot);
    assert_eq!(superblock().slot_position(), 4096, "odd numbers go to the second slot");
    assert_eq!(Superblock::decode(&slot), Ok(Some(superblock())));
    check(
        &slot,
        &expect![[r#"
              0: 4857535550455242 c1e0a20002000302
             16: 6469726563746f72 792d69642d313662
             32: 746869732d626f6f 742d69642d313662
             48: f1debc9a78563412 8877665544332211
             64: 080706050d0c0b0a 0100000000000000
             80: 3300000000000000 4400000000000000
             96: 1100000022000000 8877665500000000
            112: 5544000000000000 3300000000000000
            128: 9900000000000000 1100000022000000
            144: 8877665500000000 bbaa000000000000
            4096 bytes
        "#]],
    );
}

#[test]
fn a_commit_header() {
    let mut bytes = [0xff; HEADER_SIZE_BYTES];
    let crc = header().encode(&mut bytes);
    assert_eq!(CommitHeader::decode(&bytes), Ok(Some((header(), crc))));
    assert_eq!((FLAG_CARRY, FLAG_SEAL, FLAG_CARRY_BEGINS), (1, 2, 4));
    check(
        &bytes,
        &expect![[r#"
              0: 4857434f4d4d4954 9d0b458202000105
             16: 6469726563746f72 792d69642d313662
             32: 0403020108070605 8877665544332211
             48: 2100000000000000 3100000000000000
             64: 4100000051000000 6463626174737271
            128 bytes
        "#]],
    );
}

fn frame_bytes(frame: &Frame) -> AlignedBuf {
    let mut buf = AlignedBuf::with_capacity(4096);
    frame.encode(&[&vec![0xee; frame.size_bytes as usize]], &mut buf);
    buf
}

#[test]
fn frames_of_entries() {
    let of = |entry: &Entry| frame_bytes(&Frame::entry(partition(), 0x8182_8384, entry));
    check(
        &of(&batch()),
        &expect![[r#"
          0: a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf
         16: 0403020184838281 1211000000000000
         32: 1300000003000000 0000000000000000
         48: 1014000000000000 3837363534333231
         64: 4847464544434241 5857565554535251
         80: 2423222105000000 7473727162612625
         96: eeeeee0000000000
        104 bytes
    "#]],
    );
    let others = [
        entry(EntryKind::Blank),
        Entry { size_bytes: 9, ..entry(EntryKind::Membership) },
        entry(EntryKind::Void),
        entry(EntryKind::LogStart(Offset(0x1313))),
    ];
    let others: Vec<u8> = others.iter().flat_map(|entry| of(entry).to_vec()).collect();
    check(
        &others,
        &expect![[r#"
          0: a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf
         16: 0403020184838281 1211000000000000
         32: 1300000000000000 0100000000000000
         48: 1514000000000000 0000000000000000
         96: a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf
        112: 0403020184838281 1211000000000000
        128: 1300000009000000 0200000000000000
        144: 1514000000000000 0000000000000000
        192: eeeeeeeeeeeeeeee ee00000000000000
        208: a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf
        224: 0403020184838281 1211000000000000
        240: 1300000000000000 0300000000000000
        256: 1514000000000000 0000000000000000
        304: a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf
        320: 0403020184838281 1211000000000000
        336: 1300000000000000 0400000000000000
        352: 1514000000000000 1313000000000000
        400 bytes
    "#]],
    );
}

#[test]
fn frames_that_are_no_entries() {
    let vote = Vote {
        leader_epoch: LeaderEpoch(0x21),
        voted_for: NodeId { broker: BrokerId(0x2223), incarnation: 0x2425 },
        is_committed: true,
    };
    let frames = [
        Frame::vote(partition(), 7, &vote),
        Frame::truncate(partition(), 7, LogIndex(0x2627)),
        Frame::left(partition(), 7),
        Frame::base(partition(), 7, 5),
        Frame::mark(&position()),
    ];
    let frames: Vec<u8> = frames.iter().flat_map(|frame| frame_bytes(frame).to_vec()).collect();
    check(
        &frames,
        &expect![[r#"
          0: a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf
         16: 0403020107000000 0000000000000000
         32: 2100000000000000 0500000023220000
         48: 2524000000000000 0100000000000000
         96: a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf
        112: 0403020107000000 0000000000000000
        128: ffffffff00000000 0600000000000000
        144: 2726000000000000 0000000000000000
        192: a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf
        208: 0403020107000000 0000000000000000
        224: ffffffff00000000 0700000000000000
        288: a0a1a2a3a4a5a6a7 a8a9aaabacadaeaf
        304: 0403020107000000 0000000000000000
        320: ffffffff05000000 0800000000000000
        384: eeeeeeeeee000000 0000000000000000
        400: 0000000000000000 ffffffff00000000
        416: 0000000000000000 ffffffff00000000
        432: 0900000000000000 3300000000000000
        448: 4400000000000000 1100000022000000
        464: 8877665500000000 0000000000000000
        488 bytes
    "#]],
    );
}

#[test]
fn the_start_of_a_base() {
    let mut bytes = AlignedBuf::with_capacity(4096);
    base().encode(&mut bytes);
    check(
        &bytes,
        &expect![[r#"
          0: 0101000000000000 0202000000000000
         16: 0303000000000000 0404000000000000
         32: 0505000000000000 0606000000000000
         48: 0707000000000000 0808000009090000
         64: 0a0a00000b0b0000 0100010000000000
        80 bytes
    "#]],
    );
}

#[test]
fn records_of_entries() {
    check(
        &encode_record(&batch()),
        &expect![[r#"
              0: 1211000000000000 1514000000000000
             16: 1300000003000000 0002262524232221
             32: 0500000074737271 3837363534333231
             48: 4847464544434241 5857565554535251
             64: 6261000000000000 00000000718048fc
            80 bytes
        "#]],
    );
    let others = [
        entry(EntryKind::Blank),
        entry(EntryKind::Membership),
        entry(EntryKind::Void),
        entry(EntryKind::LogStart(Offset(0x1313))),
    ];
    let others: Vec<u8> = others.iter().flat_map(encode_record).collect();
    check(
        &others,
        &expect![[r#"
              0: 1211000000000000 1514000000000000
             16: 1300000000000000 0102000000000000
             64: 0000000000000000 000000006cb91600
             80: 1211000000000000 1514000000000000
             96: 1300000000000000 0202000000000000
            144: 0000000000000000 000000007bbd43ba
            160: 1211000000000000 1514000000000000
            176: 1300000000000000 0302000000000000
            224: 0000000000000000 0000000076418fd3
            240: 1211000000000000 1514000000000000
            256: 1300000000000000 0402000000000000
            272: 0000000000000000 1313000000000000
            304: 0000000000000000 00000000e4d01054
            320 bytes
        "#]],
    );
}

#[test]
fn an_index() {
    let mut index = Index::default();
    index.note(Offset(0x10), 0, Timestamp(0x1000), 100);
    index.note(Offset(0x20), 0x111, Timestamp(0x0fff), 100);
    check(
        &index.encode(Offset(0x10), 0x333),
        &expect![[r#"
              0: 4857494e44455800 0deeb32b02000000
             16: 1000000000000000 3303000000000000
             32: 0010000000000000 1000000000000000
             48: 1000000000000000 0000000000000000
             64: ffffffffffffffff 2000000000000000
             80: 1101000000000000 0010000000000000
            96 bytes
        "#]],
    );
}

#[test]
fn a_file_of_applied_state() {
    let bytes = Bytes::from(applied::encode(b"applied"));
    assert_eq!(applied::decode(&bytes), Some(Bytes::from_static(b"applied")));
    check(
        &bytes,
        &expect![[r#"
              0: 48574150504c5900 c520798802000000
             16: 6170706c696564
            23 bytes
        "#]],
    );
}

fn list() -> CompactedList {
    let segment = |base_offset, generation, size_bytes| CompactedSegment {
        base_offset: Offset(base_offset),
        generation,
        size_bytes,
    };
    CompactedList {
        end: Offset(0x900),
        clean_end: Offset(0x888),
        segments: vec![segment(0x10, 3, 0x1111), segment(0x500, 2, 0x2222)],
        epochs: EpochEnds {
            entries_count: 0x77,
            ends: vec![(LeaderEpoch(4), Offset(0x600)), (LeaderEpoch(7), Offset(0x888))],
        },
    }
}

#[test]
fn a_list_of_compacted_segments() {
    let bytes = list().encode();
    assert_eq!(CompactedList::decode(&bytes), Some(list()));
    check(
        &bytes,
        &expect![[r#"
              0: 4857434f4d504354 ff5a1c1802000000
             16: 0009000000000000 8808000000000000
             32: 0200000000000000 0200000000000000
             48: 7700000000000000 1000000000000000
             64: 1111000000000000 0300000000000000
             80: 0005000000000000 2222000000000000
             96: 0200000000000000 0006000000000000
            112: 0400000000000000 8808000000000000
            128: 0700000000000000
            136 bytes
        "#]],
    );
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(CompactedList::decode(&flipped), None, "bit {bit}");
    }
    for cut in 0..bytes.len() {
        assert_eq!(CompactedList::decode(&bytes[..cut]), None, "{cut} bytes");
    }
}

/// Version 2 has changed nothing that version 1 had.
#[test]
fn what_version_1_wrote_is_read() {
    let mut slot = [0; BLOCK_SIZE_BYTES];
    superblock().encode(&mut slot);
    of_version(&mut slot, 1, 184);
    assert_eq!(Superblock::decode(&slot), Ok(Some(superblock())));
    let mut bytes = [0; HEADER_SIZE_BYTES];
    header().encode(&mut bytes);
    of_version(&mut bytes, 1, HEADER_SIZE_BYTES);
    assert!(CommitHeader::decode(&bytes).unwrap().is_some());
    let mut index = Index::default().encode(Offset(0), 0);
    let end = index.len();
    of_version(&mut index, 1, end);
    assert_eq!(Index::decode(&index, Offset(0), 0), Some(Index::default()));
    let mut file = applied::encode(b"applied");
    let end = file.len();
    of_version(&mut file, 1, end);
    assert_eq!(applied::decode(&Bytes::from(file)), Some(Bytes::from_static(b"applied")));
    let mut record = encode_record(&batch());
    record[25] = 1;
    let crc = crc32fast::hash(&record[..RECORD_SIZE_BYTES - 4]);
    record[RECORD_SIZE_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(decode_record(&record), Some(batch()));
}

/// Sets the version of a structure and makes its checksum right again.
fn of_version(bytes: &mut [u8], version: u16, end: usize) {
    bytes[12..14].copy_from_slice(&version.to_le_bytes());
    let crc = crc32fast::hash(&bytes[12..end]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_later_version_is_refused_and_not_taken_for_damage() {
    let mut slot = [0; BLOCK_SIZE_BYTES];
    superblock().encode(&mut slot);
    of_version(&mut slot, VERSION + 1, 184);
    let newer = Superblock::decode(&slot).unwrap_err();
    assert_eq!(newer.found, VERSION + 1);

    let mut bytes = [0; HEADER_SIZE_BYTES];
    header().encode(&mut bytes);
    of_version(&mut bytes, VERSION + 1, HEADER_SIZE_BYTES);
    let newer = CommitHeader::decode(&bytes).unwrap_err();
    expect!["a commit of the journal has format version 3, and this broker knows versions up to 2: start the version of the broker that wrote it"].assert_eq(&newer.to_string());

    // What only a start after these two reads is not there for it.
    let mut index = Index::default().encode(Offset(0), 0);
    let end = index.len();
    of_version(&mut index, VERSION + 1, end);
    assert_eq!(Index::decode(&index, Offset(0), 0), None);
    let mut file = applied::encode(b"applied");
    let end = file.len();
    of_version(&mut file, VERSION + 1, end);
    assert_eq!(applied::decode(&Bytes::from(file)), None);
    let mut list = list().encode();
    let end = list.len();
    of_version(&mut list, VERSION + 1, end);
    assert_eq!(CompactedList::decode(&list), None);
    let mut record = encode_record(&batch());
    record[25] += 1;
    let crc = crc32fast::hash(&record[..RECORD_SIZE_BYTES - 4]);
    record[RECORD_SIZE_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(decode_record(&record), None);
}

#[test]
fn no_flipped_bit_of_a_header_goes_unnoticed() {
    let mut slot = [0; BLOCK_SIZE_BYTES];
    superblock().encode(&mut slot);
    for bit in 0..184 * 8 {
        let mut flipped = slot;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Superblock::decode(&flipped), Ok(None), "bit {bit}");
    }
    let mut bytes = [0; HEADER_SIZE_BYTES];
    header().encode(&mut bytes);
    for bit in 0..HEADER_SIZE_BYTES * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(CommitHeader::decode(&flipped), Ok(None), "bit {bit}");
    }
}

/// Whole by their checksums, and yet nothing that was ever written: offsets beyond the last one there
/// is, and points of an index that do not rise or are not in the segment.
#[test]
fn numbers_that_no_log_has_are_refused() {
    // Segments that are not in order, or beyond the end.
    let swapped = CompactedList { segments: list().segments.into_iter().rev().collect(), ..list() };
    let short = CompactedList { end: Offset(0x500), ..list() };
    let dirty = CompactedList { clean_end: Offset(0x901), ..list() };
    for list in [swapped, short, dirty] {
        assert_eq!(CompactedList::decode(&list.encode()), None, "{list:?}");
    }
    let mut record = encode_record(&batch());
    for (next_offset, is_read) in [(i64::MIN, false), (i64::MIN + 5, true), (i64::MAX, true)] {
        record[8..16].copy_from_slice(&next_offset.to_le_bytes());
        let crc = crc32fast::hash(&record[..RECORD_SIZE_BYTES - 4]);
        record[RECORD_SIZE_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(decode_record(&record).is_some(), is_read, "{next_offset}");
    }

    let stamp = *batch().batch().unwrap();
    for (base_offset, is_read) in [(i64::MAX - 5, true), (i64::MAX - 4, false)] {
        let stamp = BatchStamp { base_offset: Offset(base_offset), ..stamp };
        let mut buf = AlignedBuf::with_capacity(4096);
        let of_stamp = Entry { size_bytes: 0, ..entry(EntryKind::Batch(stamp)) };
        Frame::entry(partition(), 1, &of_stamp).encode(&[], &mut buf);
        let read = Frames::new(&buf, 1).next().unwrap();
        assert_eq!(read.is_ok(), is_read, "{base_offset}");
    }

    let of = |points: [(i64, u64); 2]| {
        let mut index = Index::default();
        for (offset, position) in points {
            let max_timestamp_before = Timestamp::NONE;
            index.points.push(Point { offset: Offset(offset), position, max_timestamp_before });
        }
        Index::decode(&index.encode(Offset(0), 1000), Offset(0), 1000).is_some()
    };
    assert!(of([(0, 0), (5, 1000)]));
    for points in [[(0, 0), (5, 1001)], [(0, 0), (0, 500)], [(0, 500), (5, 500)], [(7, 0), (5, 9)]]
    {
        assert!(!of(points), "{points:?}");
    }
}
