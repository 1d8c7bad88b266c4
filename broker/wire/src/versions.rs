//! Ranges of versions, of an API or of a field in it.

use std::fmt;

/// The versions from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Versions {
    pub min: i16,
    pub max: i16,
}

impl Versions {
    /// What Kafka's schemas write as `min-max`.
    pub const fn new(min: i16, max: i16) -> Versions {
        assert!(0 <= min && min <= max, "a range of versions holds at least one");
        Versions { min, max }
    }

    /// What Kafka's schemas write as `min+`.
    pub const fn since(min: i16) -> Versions {
        Versions::new(min, i16::MAX)
    }

    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}
