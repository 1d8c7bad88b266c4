use std::collections::BTreeMap;

use super::*;
use runtime::sim::{self, Disk};

#[test]
fn tells_what_a_map_tells_until_it_is_full() {
    sim::run(1, Disk::new(), || async {
        for bytes_max in [0, 1000, 100_000, 1_000_000] {
            let mut keys = KeyOffsets::new(bytes_max);
            let mut model = BTreeMap::new();
            let mut offset = Offset::ZERO;
            loop {
                // Every other one is a key that is there already.
                let key = (offset.0 / 2 * (offset.0 % 2)).to_be_bytes();
                let hash = keys.hash(&key);
                let was_there = model.contains_key(&key);
                if !keys.note(hash, offset) {
                    assert!(!was_there, "a key that is there has room");
                    break;
                }
                model.insert(key, offset);
                assert_eq!(keys.len(), model.len());
                offset = offset + 1;
            }
            for (key, offset) in &model {
                assert_eq!(keys.last_offset(keys.hash(key)), Some(*offset));
            }
            assert_eq!(keys.last_offset(keys.hash(b"another")), None);
            let table_bytes = keys.slots.len() * size_of::<Slot>();
            assert!(keys.slots.len() == SLOTS_COUNT_LEAST || table_bytes * 3 / 2 <= bytes_max);
            // Most of what is allowed is used, although the table only doubles.
            let used_min = bytes_max / size_of::<Slot>() / 4;
            assert!(used_min <= keys.len(), "{} keys in {bytes_max} bytes", keys.len());
            assert!(0 < keys.len(), "there is always room for one");
        }
    });
}
