use proptest::prelude::*;

use super::*;

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicId::from_random(7), partition: PartitionIndex(3) }
}

fn batch_entry() -> Entry {
    let stamp = BatchStamp {
        base_offset: Offset(10),
        offsets_count: 5,
        crc: 0xdead_beef,
        attributes: 4,
        base_timestamp: Timestamp(1000),
        max_timestamp: Timestamp(1004),
        producer_id: ProducerId(77),
        producer_epoch: ProducerEpoch(2),
        base_sequence: 30,
    };
    Entry {
        index: LogIndex(9),
        leader_epoch: LeaderEpoch(4),
        next_offset: Offset(15),
        size_bytes: 11,
        kind: EntryKind::Batch(stamp),
    }
}

fn all_entries() -> Vec<Entry> {
    let other = |kind| Entry { kind, size_bytes: 0, next_offset: Offset(15), ..batch_entry() };
    vec![
        batch_entry(),
        other(EntryKind::Blank),
        Entry { size_bytes: 3, ..other(EntryKind::Membership) },
        other(EntryKind::Void),
        other(EntryKind::LogStart(Offset(12))),
    ]
}

fn all_frames() -> Vec<(Frame, Content)> {
    let vote = Vote {
        leader_epoch: LeaderEpoch(5),
        voted_for: NodeId { broker: BrokerId(1), incarnation: 2 },
        is_committed: true,
    };
    let position = Position { file: 1, block: 2, generation: 3, sequence: 4, previous_crc: 5 };
    let mut frames: Vec<(Frame, Content)> = all_entries()
        .into_iter()
        .map(|entry| (Frame::entry(partition(), 8, &entry), Content::Entry(entry)))
        .collect();
    frames.extend([
        (Frame::vote(partition(), 8, &vote), Content::Vote(vote)),
        (Frame::truncate(partition(), 8, LogIndex(6)), Content::Truncate { to: LogIndex(6) }),
        (Frame::left(partition(), 8), Content::Left),
        (Frame::base(partition(), 8, 100), Content::Base),
        (Frame::mark(&position), Content::Mark(position)),
    ]);
    frames
}

fn encode_all(frames: &[(Frame, Content)]) -> AlignedBuf {
    let mut buf = AlignedBuf::with_capacity(4096);
    for (frame, _) in frames {
        let payload = vec![0xab; frame.size_bytes as usize];
        let (front, back) = payload.split_at(payload.len() / 3);
        frame.encode(&[front, back], &mut buf);
    }
    buf
}

#[test]
fn every_kind_of_frame_reads_back_with_its_payload() {
    let frames = all_frames();
    let buf = encode_all(&frames);
    let count = u32::try_from(frames.len()).unwrap();
    let read: Vec<_> = Frames::new(&buf, count).collect::<Result<_, _>>().unwrap();
    assert_eq!(read.len(), frames.len());
    for ((frame, payload), (expected, content)) in read.into_iter().zip(&frames) {
        assert_eq!(&frame, expected);
        assert_eq!(&frame.content(), content);
        assert_eq!(payload.len(), frame.size_bytes as usize);
        assert!(buf[payload].iter().all(|byte| *byte == 0xab));
    }
    let room: usize = frames.iter().map(|(frame, _)| room_bytes(frame.size_bytes as usize)).sum();
    assert_eq!(buf.len(), room);
}

#[test]
fn every_entry_reads_back_from_its_record() {
    for entry in all_entries() {
        let record = crate::format::entry::encode_record(&entry);
        assert_eq!(crate::format::entry::decode_record(&record), Some(entry));
        for bit in 0..record.len() * 8 {
            let mut flipped = record;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(crate::format::entry::decode_record(&flipped), None, "bit {bit}");
        }
    }
}

#[test]
fn a_base_reads_back() {
    let base = Base {
        entries_count: 1,
        committed_count: 2,
        applied_count: 3,
        next_offset: 4,
        segment_base_offset: 5,
        flushed_bytes: 4096,
        log_start: 6,
        last_epoch: 7,
        membership_bytes: 8,
        tail_bytes: 9,
        later_count: 10,
        has_stamps: true,
        is_durable: false,
        is_doubtful: false,
    };
    let mut buf = AlignedBuf::with_capacity(4096);
    base.encode(&mut buf);
    assert_eq!(Base::decode(&buf), Some(base));
    assert_eq!(Base::decode(&buf[..BASE_SIZE_BYTES - 8]), None);
    // A byte that is no bool.
    let at = buf.iter().rposition(|byte| *byte == 1).unwrap();
    buf[at] = 2;
    assert_eq!(Base::decode(&buf), None);
}

#[test]
fn the_same_frame_always_has_the_same_bytes() {
    // Padding inside the archive must not carry over what was in memory before.
    let mut dirty = AlignedBuf::zeroed(65_536);
    dirty.fill(0xff);
    drop(dirty);
    let first = encode_all(&all_frames());
    let second = encode_all(&all_frames());
    assert_eq!(&first[..], &second[..]);
}

proptest! {
    #[test]
    fn damaged_frames_are_refused_or_read_but_never_panic(
        flips in proptest::collection::vec((0usize..2000, 0u8..8), 1..20),
        count in 0u32..30,
    ) {
        let mut buf = encode_all(&all_frames());
        let size_bytes = buf.len();
        for (at, bit) in flips {
            buf[at % size_bytes] ^= 1 << bit;
        }
        for (frame, payload) in Frames::new(&buf, count).map_while(Result::ok) {
            let _ = (frame.content(), &buf[payload.clone()], Base::decode(&buf[payload]));
        }
    }
}
