//! Numbers with a fraction.

/// A number with a fraction, as quotas have. Compared by its bits, so that messages can be: what is
/// not a number equals itself, and 0 does not equal -0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Float64(pub f64);

impl Float64 {
    pub(crate) fn bits(self) -> i64 {
        self.0.to_bits().cast_signed()
    }

    pub(crate) fn from_bits(bits: i64) -> Float64 {
        Float64(f64::from_bits(bits.cast_unsigned()))
    }
}

impl PartialEq for Float64 {
    fn eq(&self, other: &Float64) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Float64 {}
