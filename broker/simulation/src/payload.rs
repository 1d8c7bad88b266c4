//! Values of records that nobody can mistake for one another.
//!
//! A value begins with the record's number; every byte after it follows from the number, so bytes
//! of another record, or of another place in the same one, are noticed.

/// Names one record of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId(pub u64);

/// The smallest value.
pub(crate) const SIZE_BYTES_MIN: usize = 12;

/// The record's value, of this size.
pub(crate) fn write(id: RecordId, size_bytes: usize) -> Vec<u8> {
    assert!(SIZE_BYTES_MIN <= size_bytes, "a value has room for its number and its size");
    let size = u32::try_from(size_bytes).expect("values are small");
    let mut value = Vec::with_capacity(size_bytes);
    value.extend_from_slice(&id.0.to_le_bytes());
    value.extend_from_slice(&size.to_le_bytes());
    value.extend((SIZE_BYTES_MIN..size_bytes).map(|at| byte_of(id, at)));
    value
}

/// Which record this is the value of, if it is one and whole.
pub(crate) fn read(value: &[u8]) -> Option<RecordId> {
    let (head, rest) = value.split_at_checked(SIZE_BYTES_MIN)?;
    let id = RecordId(u64::from_le_bytes(head[..8].try_into().expect("eight bytes")));
    let size = u32::from_le_bytes(head[8..].try_into().expect("four bytes"));
    let is_whole = usize::try_from(size) == Ok(value.len())
        && (SIZE_BYTES_MIN..).zip(rest).all(|(at, byte)| *byte == byte_of(id, at));
    is_whole.then_some(id)
}

fn byte_of(id: RecordId, at: usize) -> u8 {
    // Multiplications by odd constants mix well enough to tell neighbours apart.
    let mixed = (id.0 ^ (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7);
    mixed.to_le_bytes()[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_its_records_alone_and_whole() {
        for size_bytes in [SIZE_BYTES_MIN, 13, 100, 5000] {
            let value = write(RecordId(77), size_bytes);
            assert_eq!(read(&value), Some(RecordId(77)));
            assert_eq!(read(&value[..value.len() - 1]), None);
            for at in 0..size_bytes.min(200) {
                let mut changed = value.clone();
                changed[at] ^= 1;
                assert_ne!(read(&changed), Some(RecordId(77)), "byte {at}");
            }
        }
        // The tail of one behind the head of another.
        let (one, other) = (write(RecordId(1), 64), write(RecordId(2), 64));
        assert_eq!(read(&[&one[..32], &other[32..]].concat()), None);
    }
}
