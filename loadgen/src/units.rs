//! Durations, rates and sizes as people write them, and numbers as people read them.
//!
//! Guarantees: what is displayed is read back as the same; text that is refused is answered with an
//! example of what is accepted. Does not know: what is measured in them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct UnitError {
    pub text: String,
    pub expected: &'static str,
}

/// A length of time, written as `500ms`, `20s`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// Something per second, written as `2000/s`, `20k/s`, `1.5M/s`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(pub f64);

/// Bytes, written as `100`, `1KiB`, `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub usize);

const SPAN_UNITS: [(&str, f64); 5] =
    [("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
const SIZE_UNITS: [(&str, f64); 7] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("B", 1.0),
    ("", 1.0),
];
const RATE_UNITS: [(&str, f64); 3] = [("k", 1e3), ("M", 1e6), ("", 1.0)];

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Span, UnitError> {
        let expected = "a duration such as 500ms, 20s or 2m";
        let seconds = quantity(text, &SPAN_UNITS, expected)?;
        let refused = |_| UnitError { text: text.to_owned(), expected };
        Duration::try_from_secs_f64(seconds).map(Span).map_err(refused)
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Rate, UnitError> {
        let expected = "a rate such as 2000/s, 20k/s or 1.5M/s";
        let number = text.trim().strip_suffix("/s").unwrap_or(text.trim());
        let refused = |error: UnitError| UnitError { text: text.to_owned(), ..error };
        quantity(number, &RATE_UNITS, expected).map(Rate).map_err(refused)
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Size, UnitError> {
        let expected = "a size such as 100, 1KiB or 64MiB";
        let bytes = quantity(text, &SIZE_UNITS, expected)?;
        if bytes.fract() != 0.0 || 1e15 < bytes {
            return Err(UnitError { text: text.to_owned(), expected });
        }
        Ok(Size(usize::try_from(whole(bytes)).expect("64 bits")))
    }
}

/// The number in front of one of the units, in multiples of the unit.
fn quantity(text: &str, units: &[(&str, f64)], expected: &'static str) -> Result<f64, UnitError> {
    let refused = || UnitError { text: text.to_owned(), expected };
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(refused)?;
    let number: f64 = number.parse().map_err(|_| refused())?;
    if number.is_finite() { Ok(number * factor) } else { Err(refused()) }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            0 => f.write_str("0s"),
            _ if micros.is_multiple_of(1_000_000) => write!(f, "{}s", micros / 1_000_000),
            _ if micros.is_multiple_of(1_000) => write!(f, "{}ms", micros / 1_000),
            _ => write!(f, "{micros}us"),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes != 0 && bytes % (1 << 30) == 0 => write!(f, "{}GiB", bytes >> 30),
            bytes if bytes != 0 && bytes % (1 << 20) == 0 => write!(f, "{}MiB", bytes >> 20),
            bytes if bytes != 0 && bytes % (1 << 10) == 0 => write!(f, "{}KiB", bytes >> 10),
            bytes => write!(f, "{bytes}"),
        }
    }
}

impl Size {
    /// For people, who need to be told what a bare number is: `100 B`, `64 KiB`.
    pub fn text(self) -> String {
        let text = self.to_string();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        format!("{number} {}", if unit.is_empty() { "B" } else { unit })
    }
}

/// Makes serde write a type as text, as [`fmt::Display`] does, and read it as [`FromStr`] does; for
/// `#[serde(try_from = "String", into = "String")]`.
#[macro_export]
macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = <$type as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<$type, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    )*};
}

serde_as_text!(Span, Rate, Size);

/// The whole part of a number that is known to be positive and to fit.
pub fn whole(number: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and the fraction is what is to be lost"
    )]
    let whole = number as u64;
    whole
}

/// Nanoseconds of a duration; centuries are cut off.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Three significant digits: `0.123`, `1.23`, `12.3`, `123`.
pub fn three_digits(number: f64) -> String {
    let size = number.abs();
    match () {
        () if size == 0.0 => "0".to_owned(),
        () if size < 0.995 => format!("{number:.3}"),
        () if size < 9.995 => format!("{number:.2}"),
        () if size < 99.95 => format!("{number:.1}"),
        () => format!("{number:.0}"),
    }
}

/// A length of time for people, given in nanoseconds: `85.2 µs`, `1.27 ms`, `3.00 s`.
pub fn time_text(nanos: u64) -> String {
    let nanos = nanos as f64;
    match nanos {
        ..1e3 => format!("{nanos} ns"),
        ..1e6 => format!("{} µs", three_digits(nanos / 1e3)),
        ..1e9 => format!("{} ms", three_digits(nanos / 1e6)),
        _ => format!("{} s", three_digits(nanos / 1e9)),
    }
}

/// A rate or a number of things for people: `1.25 k`, `20.0 k`, `3.10 M`.
pub fn count_text(count: f64) -> String {
    match count.abs() {
        ..1e3 => three_digits(count),
        ..1e6 => format!("{} k", three_digits(count / 1e3)),
        _ => format!("{} M", three_digits(count / 1e6)),
    }
}

/// Bytes for people, in powers of ten: `512 B`, `1.05 MB`.
pub fn bytes_text(bytes: f64) -> String {
    match bytes.abs() {
        ..1e3 => format!("{bytes:.0} B"),
        ..1e6 => format!("{} kB", three_digits(bytes / 1e3)),
        ..1e9 => format!("{} MB", three_digits(bytes / 1e6)),
        _ => format!("{} GB", three_digits(bytes / 1e9)),
    }
}

/// A whole number with its thousands apart: `1 234 567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
