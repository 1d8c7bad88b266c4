//! Which partition a record with a key goes to: the same one as with Java's producers, so that all
//! records of a key are in one partition, whoever sends them.

use model::PartitionIndex;

/// The partition of a key, of so many.
///
/// # Panics
/// If there are none.
pub fn partition_of(key: &[u8], partitions_count: usize) -> PartitionIndex {
    let count = i32::try_from(partitions_count).expect("Kafka counts them with such integers");
    assert!(0 < count, "a topic has partitions");
    // Kafka takes the sign away like this, and not by the absolute value.
    PartitionIndex((murmur2(key).cast_signed() & i32::MAX) % count)
}

/// MurmurHash2 of 32 bits, with the seed that Kafka uses.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const MULTIPLIER: u32 = 0x5bd1_e995;
    let mix = |word: u32| {
        let word = word.wrapping_mul(MULTIPLIER);
        (word ^ (word >> 24)).wrapping_mul(MULTIPLIER)
    };
    // Of lengths beyond 32 bits nobody makes keys.
    #[allow(clippy::cast_possible_truncation, reason = "the algorithm takes the low bits")]
    let mut hash = SEED ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        hash = hash.wrapping_mul(MULTIPLIER) ^ mix(word);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_javas_producers() {
        let hashes: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in hashes {
            assert_eq!(murmur2(key).cast_signed(), hash, "{key:?}");
        }
    }

    #[test]
    fn every_key_has_a_partition() {
        for key in [&b""[..], b"21", b"foobar", b"abc"] {
            assert!((0..7).contains(&partition_of(key, 7).0));
            assert_eq!(partition_of(key, 1), PartitionIndex(0));
        }
        assert_eq!(partition_of(b"abc", 1000), PartitionIndex(107));
    }
}
