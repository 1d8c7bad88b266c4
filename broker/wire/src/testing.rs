//! Messages to test with: made up from a seed, with a taste for limits, and always such that their
//! version can carry them.

use bytes::Bytes;
use model::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicId,
};

use crate::schema::{Field, Message, format_of};
use crate::value::{Format, Value};
use crate::{ErrorCode, Float64, Records, Text};

/// A stream of numbers that only its seed decides (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn from_seed(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).expect("64 bits") % limit
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// What can be made up.
pub(crate) trait Arbitrary: Value {
    fn arbitrary(random: &mut Random, format: Format) -> Self;
}

/// A message made up from `seed`.
pub(crate) fn arbitrary<M: Message + Arbitrary>(seed: u64, version: i16) -> M {
    M::arbitrary(&mut Random::from_seed(seed), format_of::<M>(version))
}

impl<T: Arbitrary> Field<T> {
    /// A value that this version can carry: the default, where it has no such field.
    pub(crate) fn arbitrary(&self, random: &mut Random, format: Format) -> T {
        if !self.is_in(format) {
            return self.default();
        }
        let default = self.default();
        let is_allowed = |value: &T| !value.is_null() || self.is_nullable(format);
        if is_allowed(&default) && random.below(4) == 0 {
            return default;
        }
        loop {
            let value = T::arbitrary(random, format);
            if is_allowed(&value) {
                return value;
            }
        }
    }
}

impl Arbitrary for bool {
    fn arbitrary(random: &mut Random, _: Format) -> bool {
        random.below(2) == 1
    }
}

macro_rules! arbitrary_numbers {
    ($($type:ty),*) => {$(
        impl Arbitrary for $type {
            fn arbitrary(random: &mut Random, _: Format) -> $type {
                let [low @ .., _] = random.next().to_le_bytes().map(|byte| byte.cast_signed());
                let any = low.iter().fold(0, |sum: $type, &byte| {
                    sum.wrapping_mul(127).wrapping_add(<$type>::from(byte))
                });
                random.one_of(&[0, 1, -1, <$type>::MIN, <$type>::MAX, any, any, any])
            }
        }
    )*};
}

arbitrary_numbers!(i8, i16, i32, i64);

macro_rules! arbitrary_newtypes {
    ($($type:ident),*) => {$(
        impl Arbitrary for $type {
            fn arbitrary(random: &mut Random, format: Format) -> $type {
                $type(Arbitrary::arbitrary(random, format))
            }
        }
    )*};
}

arbitrary_newtypes!(
    BrokerId,
    PartitionIndex,
    LeaderEpoch,
    Offset,
    Timestamp,
    ProducerId,
    ProducerEpoch
);

impl Arbitrary for Float64 {
    fn arbitrary(random: &mut Random, _: Format) -> Float64 {
        let any = f64::from_bits(random.next());
        Float64(random.one_of(&[0.0, -0.0, 1.5, f64::MAX, f64::NEG_INFINITY, f64::NAN, any, any]))
    }
}

impl Arbitrary for ErrorCode {
    fn arbitrary(random: &mut Random, format: Format) -> ErrorCode {
        let unknown = ErrorCode::from_code(Arbitrary::arbitrary(random, format));
        let known = random.one_of(ErrorCode::ALL);
        random.one_of(&[ErrorCode::None, known, known, unknown])
    }
}

impl Arbitrary for [u8; 16] {
    fn arbitrary(random: &mut Random, _: Format) -> [u8; 16] {
        let bits = u128::from(random.next()) << 64 | u128::from(random.next());
        random.one_of(&[[0; 16], [0xff; 16], bits.to_be_bytes()])
    }
}

impl Arbitrary for TopicId {
    fn arbitrary(random: &mut Random, format: Format) -> TopicId {
        TopicId::from_bytes(Arbitrary::arbitrary(random, format))
    }
}

impl Arbitrary for Text {
    /// Lengths around the limits of a one byte varint, and letters of one to four bytes.
    fn arbitrary(random: &mut Random, _: Format) -> Text {
        let length = random.below(12);
        let short: String =
            (0..length).map(|_| random.one_of(&['a', '-', 'é', '語', '🦀'])).collect();
        let length = random.one_of(&[126, 127, 128, 249]);
        let long = "x".repeat(length);
        Text::from(random.one_of(&[String::new(), short.clone(), short.clone(), short, long]))
    }
}

impl Arbitrary for Bytes {
    fn arbitrary(random: &mut Random, _: Format) -> Bytes {
        let length = random.one_of(&[0, 1, 61, 126, 127, 128, 20_000]);
        Bytes::from(vec![random.next().to_le_bytes()[0]; length])
    }
}

impl Arbitrary for Records {
    fn arbitrary(random: &mut Random, format: Format) -> Records {
        Records::from(Bytes::arbitrary(random, format))
    }
}

impl<T: Arbitrary> Arbitrary for Vec<T> {
    /// Few elements, so that nesting stays small; sometimes enough for a two byte length.
    fn arbitrary(random: &mut Random, format: Format) -> Vec<T> {
        let is_small = size_of::<T>() <= size_of::<Text>();
        let lengths = if is_small { [0, 1, 2, 3, 130] } else { [0, 1, 1, 2, 3] };
        (0..random.one_of(&lengths)).map(|_| T::arbitrary(random, format)).collect()
    }
}

impl<T: Arbitrary + crate::value::Nullable> Arbitrary for Option<T> {
    fn arbitrary(random: &mut Random, format: Format) -> Option<T> {
        (random.below(4) != 0).then(|| T::arbitrary(random, format))
    }
}
