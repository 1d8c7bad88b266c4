//! How much a thread asks of the allocator, counted from here on, with what it gives back meanwhile.

#![allow(unsafe_code, reason = "only an allocator can count allocations, and its trait is unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

fn count(size_bytes: usize) {
    ALLOCATED_BYTES.set(ALLOCATED_BYTES.get() + size_bytes);
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract;
// counting touches no memory but a thread's own cell, which needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `alloc` or `realloc` here, so from the system, with `layout`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size_bytes: usize) -> *mut u8 {
        count(size_bytes);
        // SAFETY: `memory` came from the system with `layout`; the caller vouches for the size.
        unsafe { System.realloc(memory, layout, size_bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that this thread has been given so far.
pub(crate) fn allocated_bytes() -> usize {
    ALLOCATED_BYTES.get()
}
