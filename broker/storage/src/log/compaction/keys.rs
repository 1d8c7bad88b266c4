//! Where each key is last: a table from hashes of keys to offsets, of bounded memory.

use std::hash::Hasher;

use model::Offset;
use siphasher::sip128::{Hasher128, SipHasher13};

/// A key's hash of 128 bits, with a secret of its own for each compaction: no two of any number of
/// keys that fit into memory have the same, not even if somebody tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyHash(u64, u64);

#[derive(Clone, Copy)]
struct Slot {
    hash: KeyHash,
    offset: Offset,
}

const FREE: Slot = Slot { hash: KeyHash(0, 0), offset: Offset::NONE };
/// So many slots to begin with; each time they do not suffice, twice as many.
const SLOTS_COUNT_MIN: usize = 1024;
/// However little memory there is: a compaction gets on, if slowly.
const SLOTS_COUNT_LEAST: usize = 8;

/// An open-addressed table, at most four fifths full.
pub(super) struct KeyOffsets {
    secret: (u64, u64),
    slots: Vec<Slot>,
    /// A power of two, as it always has been.
    slots_count_max: usize,
    count: usize,
}

impl KeyOffsets {
    /// An empty table that takes at most so much memory, also while it grows.
    pub(super) fn new(bytes_max: usize) -> KeyOffsets {
        // The smaller table is there until all is in the larger one.
        let slots_count = bytes_max / size_of::<Slot>() * 2 / 3;
        let slots_count_max = (slots_count + 1).next_power_of_two() / 2;
        KeyOffsets {
            secret: runtime::with_rng(|rng| (rng.next_u64(), rng.next_u64())),
            slots: vec![FREE; SLOTS_COUNT_MIN.min(slots_count_max.max(SLOTS_COUNT_LEAST))],
            slots_count_max,
            count: 0,
        }
    }

    pub(super) fn hash(&self, key: &[u8]) -> KeyHash {
        let mut hasher = SipHasher13::new_with_keys(self.secret.0, self.secret.1);
        hasher.write(key);
        let hash = hasher.finish128();
        KeyHash(hash.h1, hash.h2)
    }

    /// Notes that a key is at an offset, which is higher than all before. False if there is no room.
    pub(super) fn note(&mut self, hash: KeyHash, offset: Offset) -> bool {
        let mut place = self.place_of(hash);
        if self.slots[place].offset == Offset::NONE {
            if keys_count_max(self.slots.len()) <= self.count {
                if !self.has_room_for(1) {
                    return false;
                }
                self.grow();
                place = self.place_of(hash);
            }
            self.count += 1;
        }
        self.slots[place] = Slot { hash, offset };
        true
    }

    /// The last offset of a key, if the key was noted.
    pub(super) fn last_offset(&self, hash: KeyHash) -> Option<Offset> {
        let offset = self.slots[self.place_of(hash)].offset;
        (offset != Offset::NONE).then_some(offset)
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whether so many more keys have room.
    pub(super) fn has_room_for(&self, keys_count: usize) -> bool {
        let slots_count = self.slots_count_max.max(self.slots.len());
        self.count + keys_count <= keys_count_max(slots_count)
    }

    /// The slot that has the key, or would take it.
    fn place_of(&self, hash: KeyHash) -> usize {
        let mask = self.slots.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "any part of a hash will do")]
        let mut place = hash.0 as usize & mask;
        while self.slots[place].offset != Offset::NONE && self.slots[place].hash != hash {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        let larger = vec![FREE; self.slots.len() * 2];
        let slots = std::mem::replace(&mut self.slots, larger);
        for slot in slots.into_iter().filter(|slot| slot.offset != Offset::NONE) {
            let place = self.place_of(slot.hash);
            self.slots[place] = slot;
        }
    }
}

fn keys_count_max(slots_count: usize) -> usize {
    slots_count / 5 * 4
}

#[cfg(test)]
mod tests;
