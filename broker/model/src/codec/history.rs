//! Bytes that have been decoded and that what follows may repeat, as in lz4 and snappy.
//!
//! Guarantees: keeps at least the bytes within reach, and not much more than twice of them with
//! what has not been taken. Does not know: how a format writes down what is to be repeated.

/// Most elements are short. They are copied in one or two pieces of this size, and what is copied
/// beyond their end is overwritten by what follows.
const SHORT_BYTES: usize = 16;
/// Room behind what was decoded, for that.
const SLACK_BYTES: usize = 2 * SHORT_BYTES;
/// Room is made in steps, so that no step takes long.
const GROWTH_BYTES: usize = 64 << 10;

/// Bytes decoded so far, or the newest of them.
pub(super) struct History {
    /// What was decoded, and room behind it.
    bytes: Vec<u8>,
    end: usize,
    /// Where begins what has not been handed out.
    taken: usize,
    /// How far back anything may refer.
    reach_bytes: usize,
}

impl History {
    pub(super) fn new(reach_bytes: usize) -> History {
        History { bytes: Vec::new(), end: 0, taken: 0, reach_bytes }
    }

    /// Begins a block, which cannot refer to anything before it. Takes memory for so many bytes.
    pub(super) fn begin_block(&mut self, size_bytes: usize) {
        assert_eq!(self.untaken_bytes(), 0, "a block begins when the one before it was taken");
        (self.end, self.taken) = (0, 0);
        let wanted_bytes = size_bytes + SLACK_BYTES;
        self.bytes.reserve_exact(wanted_bytes.saturating_sub(self.bytes.len()));
    }

    pub(super) fn untaken_bytes(&self) -> usize {
        self.end - self.taken
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Room for so many bytes and the slack.
    fn make_room(&mut self, count: usize) {
        let needed_bytes = self.end + count + SLACK_BYTES;
        if self.bytes.len() < needed_bytes {
            let in_steps = self.bytes.capacity().min(needed_bytes + GROWTH_BYTES);
            self.bytes.resize(needed_bytes.max(in_steps), 0);
        }
    }

    /// Moves so many bytes off the front. False if there are not so many.
    #[must_use]
    pub(super) fn push(&mut self, from: &mut &[u8], count: usize) -> bool {
        let Some((literals, rest)) = from.split_at_checked(count) else { return false };
        self.make_room(count);
        match from.first_chunk::<SHORT_BYTES>() {
            Some(short) if count <= SHORT_BYTES => self.put_short(self.end, *short),
            _ => self.bytes[self.end..self.end + count].copy_from_slice(literals),
        }
        self.end += count;
        *from = rest;
        true
    }

    /// Repeats what begins so many bytes ago, which may overlap with what it yields. False if there
    /// are not so many.
    #[must_use]
    pub(super) fn repeat(&mut self, offset: usize, count: usize) -> bool {
        if offset == 0 || self.end < offset {
            return false;
        }
        self.make_room(count);
        let (from, to) = (self.end - offset, self.end);
        self.end += count;
        if SHORT_BYTES <= offset && count <= 2 * SHORT_BYTES {
            self.put_short(to, self.short(from));
            if SHORT_BYTES < count {
                self.put_short(to + SHORT_BYTES, self.short(from + SHORT_BYTES));
            }
            return true;
        }
        // What overlaps repeats itself: every round has twice as much to copy from.
        let mut copied = 0;
        while copied < count {
            let available = offset + copied;
            let whole_periods = available - available % offset;
            let round = whole_periods.min(count - copied);
            self.bytes.copy_within(from..from + round, to + copied);
            copied += round;
        }
        true
    }

    fn short(&self, at: usize) -> [u8; SHORT_BYTES] {
        *self.bytes[at..].first_chunk().expect("there is slack behind everything")
    }

    fn put_short(&mut self, at: usize, short: [u8; SHORT_BYTES]) {
        self.bytes[at..at + SHORT_BYTES].copy_from_slice(&short);
    }

    /// Hands out as much as fits, and forgets what is out of reach.
    pub(super) fn take(&mut self, out: &mut [u8]) -> usize {
        let count = self.untaken_bytes().min(out.len());
        out[..count].copy_from_slice(&self.bytes[self.taken..self.taken + count]);
        self.taken += count;
        let unreachable = self.taken.saturating_sub(self.reach_bytes);
        if self.reach_bytes <= unreachable {
            self.bytes.copy_within(unreachable..self.end, 0);
            self.taken -= unreachable;
            self.end -= unreachable;
        }
        count
    }
}
