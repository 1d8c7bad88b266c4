//! Reading a frame allocates nothing, whatever is in it: asserted by an allocator that counts.

#![allow(unsafe_code, reason = "only an allocator can count allocations, and its trait is unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use model::{LeaderEpoch, LogIndex, Offset, PartitionIndex, TopicId, TopicPartition};
use runtime::AlignedBuf;

use super::entry::{Entry, EntryKind, decode_record, encode_record};
use super::frame::{BASE_SIZE_BYTES, Base, Content, Frame, Frames};

thread_local! {
    static ALLOCATIONS_COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract;
// counting touches no memory but a thread's own cell, which needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS_COUNT.set(ALLOCATIONS_COUNT.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `alloc` or `realloc` here, so from the system, with `layout`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size_bytes: usize) -> *mut u8 {
        ALLOCATIONS_COUNT.set(ALLOCATIONS_COUNT.get() + 1);
        // SAFETY: `memory` came from the system with `layout`; the caller vouches for the size.
        unsafe { System.realloc(memory, layout, size_bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_in<T>(body: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS_COUNT.get();
    let value = body();
    (ALLOCATIONS_COUNT.get() - before, value)
}

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicId::from_random(7), partition: PartitionIndex(3) }
}

fn entry(index: u64, kind: EntryKind) -> Entry {
    Entry {
        index: LogIndex(index),
        leader_epoch: LeaderEpoch(4),
        next_offset: Offset(15),
        size_bytes: 100,
        kind,
    }
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations_in(|| std::hint::black_box(vec![1u8])).0, 1);
}

#[test]
fn reading_frames_allocates_nothing() {
    let mut buf = AlignedBuf::with_capacity(1 << 20);
    let kinds = [EntryKind::Blank, EntryKind::Membership, EntryKind::LogStart(Offset(3))];
    for (index, kind) in (0..3000).zip(kinds.iter().cycle()) {
        let frame = Frame::entry(partition(), 1, &entry(index, *kind));
        frame.encode(&[&[0xab; 100]], &mut buf);
    }
    let (allocations_count, payload_bytes) = allocations_in(|| {
        let mut payload_bytes = 0;
        for (frame, payload) in Frames::new(&buf, 3000).map(Result::unwrap) {
            assert!(matches!(frame.content(), Content::Entry(_)));
            payload_bytes += payload.len();
        }
        payload_bytes
    });
    assert_eq!((allocations_count, payload_bytes), (0, 300_000));
}

#[test]
fn refusing_a_bad_frame_allocates_nothing() {
    let mut buf = AlignedBuf::zeroed(4096);
    buf.fill(0xff);
    let (allocations_count, refused) = allocations_in(|| Frames::new(&buf, 1).next());
    assert!(refused.is_some_and(|read| read.is_err()));
    let (allocations_too, base) = allocations_in(|| Base::decode(&buf[..BASE_SIZE_BYTES]));
    assert!(base.is_none());
    assert_eq!((allocations_count, allocations_too), (0, 0));
}

#[test]
fn reading_a_record_of_entries_allocates_nothing() {
    let record = encode_record(&entry(5, EntryKind::Void));
    let (allocations_count, read) = allocations_in(|| decode_record(&record));
    assert_eq!((allocations_count, read), (0, Some(entry(5, EntryKind::Void))));
}
