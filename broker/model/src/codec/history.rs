//! Bytes that have been decoded and that what follows may repeat, as in lz4 and snappy.
//!
//! Guarantees: keeps at least the bytes within reach, and not much more than twice of them with
//! what has not been taken. Does not know: how a format writes down what is to be repeated.

/// Bytes decoded so far, or the newest of them.
pub(super) struct History {
    bytes: Vec<u8>,
    /// Where begins what has not been handed out.
    taken: usize,
    /// How far back anything may refer.
    reach_bytes: usize,
}

impl History {
    pub(super) fn new(reach_bytes: usize) -> History {
        History { bytes: Vec::new(), taken: 0, reach_bytes }
    }

    /// Begins a block, which cannot refer to anything before it. Takes room for so many bytes.
    pub(super) fn begin_block(&mut self, room_bytes: usize) {
        assert_eq!(self.untaken_bytes(), 0, "a block begins when the one before it was taken");
        self.bytes.clear();
        self.taken = 0;
        self.bytes.reserve_exact(room_bytes);
    }

    pub(super) fn untaken_bytes(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn push(&mut self, literals: &[u8]) {
        self.bytes.extend_from_slice(literals);
    }

    /// Repeats what begins so many bytes ago, which may overlap with what it yields. False if there
    /// are not so many.
    #[must_use]
    pub(super) fn repeat(&mut self, offset: usize, count: usize) -> bool {
        let end = self.bytes.len();
        if offset == 0 || end < offset {
            return false;
        }
        let from = end - offset;
        if count <= offset {
            self.bytes.extend_from_within(from..from + count);
            return true;
        }
        // What is repeated repeats itself: every round has twice as much to copy from.
        let mut left = count;
        while 0 < left {
            let available = self.bytes.len() - from;
            let whole_periods = available - available % offset;
            let round = left.min(whole_periods);
            self.bytes.extend_from_within(from..from + round);
            left -= round;
        }
        true
    }

    /// Hands out as much as fits, and forgets what is out of reach.
    pub(super) fn take(&mut self, out: &mut [u8]) -> usize {
        let count = self.untaken_bytes().min(out.len());
        out[..count].copy_from_slice(&self.bytes[self.taken..self.taken + count]);
        self.taken += count;
        let unreachable = self.taken.saturating_sub(self.reach_bytes);
        if self.reach_bytes <= unreachable {
            self.bytes.drain(..unreachable);
            self.taken -= unreachable;
        }
        count
    }
}
