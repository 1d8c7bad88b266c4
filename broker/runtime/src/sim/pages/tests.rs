//! What pages hold, beside a plain vector.

use super::{PAGE_SIZE_BYTES, Pages};
use crate::rng::Rng;

#[test]
fn pages_hold_what_a_vector_would() {
    for seed in 0..50 {
        let mut rng = Rng::from_seed(seed);
        let (mut pages, mut vector) = (Pages::default(), Vec::new());
        let mut copies = Vec::new();
        for _ in 0..100 {
            match rng.below(4) {
                0 => {
                    let size_bytes = rng.index(4 * PAGE_SIZE_BYTES);
                    pages.resize(size_bytes);
                    vector.resize(size_bytes, 0);
                }
                1 => copies.push((pages.clone(), vector.clone())),
                _ if vector.is_empty() => {}
                _ => {
                    let start = rng.index(vector.len());
                    let end = start + rng.index(vector.len() - start) + 1;
                    let byte = u8::try_from(rng.below(3)).unwrap();
                    vector[start..end].fill(byte);
                    pages.write(start, &vector[start..end]);
                    let mut read = vec![9; end - start];
                    pages.read(start, &mut read);
                    assert_eq!(read, vector[start..end]);
                }
            }
            assert_eq!(pages.size_bytes(), vector.len());
        }
        copies.push((pages.clone(), vector));
        for (copy, vector) in &copies {
            assert_eq!(copy.to_vec(), *vector, "a copy keeps what it was");
            assert_eq!(*copy == pages, *vector == copies[copies.len() - 1].1);
        }
    }
}

#[test]
fn zeros_are_equal_whether_or_not_they_take_memory() {
    let mut reserved = Pages::default();
    reserved.resize(2 * PAGE_SIZE_BYTES + 1);
    let mut written = reserved.clone();
    written.write(PAGE_SIZE_BYTES, b"there was something");
    assert!(reserved != written);
    written.write(PAGE_SIZE_BYTES, &[0; 100]);
    assert!(reserved == written);
    assert!(written == reserved);
    written.truncate(PAGE_SIZE_BYTES);
    assert!(reserved != written, "they have different sizes");
}
