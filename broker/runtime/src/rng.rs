//! A small seeded random generator: the same seed gives the same numbers on every machine.

/// xoshiro256++ 1.0 (Blackman and Vigna, <https://prng.di.unimi.it>), seeded by SplitMix64 as its
/// authors advise. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The generator of this seed.
    pub fn from_seed(seed: u64) -> Rng {
        let mut split_mix = seed;
        let state = std::array::from_fn(|_| {
            split_mix = split_mix.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = split_mix;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        });
        Rng { state }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// 128 random bits.
    pub fn next_u128(&mut self) -> u128 {
        u128::from(self.next_u64()) << 64 | u128::from(self.next_u64())
    }

    /// A number below `bound`, which must not be zero. The bias (Lemire's multiplication without
    /// rejection) is below `bound / 2^64`.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(0 < bound, "there is no number below zero");
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// An index into something of this length, which must not be empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    /// True once in `of` times.
    pub fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// An independent generator.
    pub fn fork(&mut self) -> Rng {
        Rng::from_seed(self.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_of_a_seed_never_changes() {
        // Failing seeds are kept as regression tests; a change here would make them worthless.
        let mut rng = Rng::from_seed(1);
        let first: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(first, [0xcfc5_d07f_6f03_c29b, 0xbf42_4132_963f_e08d, 0x19a3_7d57_57aa_f520]);
    }

    #[test]
    fn bounds_hold_and_every_value_below_a_bound_comes_up() {
        let mut rng = Rng::from_seed(7);
        let mut seen = [0; 6];
        for _ in 0..6000 {
            seen[rng.index(6)] += 1;
            assert!((0.0..1.0).contains(&rng.fraction()));
        }
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
    }
}
