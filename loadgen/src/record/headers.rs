//! Headers that every record carries.
//!
//! Guarantees: a record that came back with others, or with none, is told from one that did not.

use std::fmt;
use std::str::FromStr;

use model::record_batch::Record;
use serde::{Deserialize, Serialize};

use crate::units::{Size, UnitError};

/// How many headers, and how large the value of each is, written as `3x20`; `0x0` is none. Their
/// keys are `header-0`, `header-1` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Headers {
    pub count: u32,
    pub value_size: Size,
}

/// Of a header besides its value: a key of at most nine bytes, and two lengths.
const OVERHEAD_BYTES_MAX: usize = 9 + 2 + 5;

impl Headers {
    pub const NONE: Headers = Headers { count: 0, value_size: Size(0) };

    /// What they take in a record, at most.
    pub fn size_bytes_max(self) -> usize {
        (self.count as usize).saturating_mul(OVERHEAD_BYTES_MAX.saturating_add(self.value_size.0))
    }

    /// Their keys, in order.
    pub(super) fn keys(self) -> Vec<String> {
        (0..self.count).map(|number| format!("header-{number}")).collect()
    }

    /// Whether a record has them: as many, in order, with values of their size.
    pub fn are_of(self, record: &Record<'_>) -> bool {
        let mut numbers = 0..self.count;
        record.headers.len() == self.count as usize
            && record.headers.zip(&mut numbers).all(|(header, number)| {
                is_key(header.key, number)
                    && header.value.is_some_and(|value| value.len() == self.value_size.0)
            })
    }
}

fn is_key(key: &[u8], number: u32) -> bool {
    let digits = key.strip_prefix(b"header-").and_then(|it| str::from_utf8(it).ok());
    digits.and_then(|it| it.parse().ok()) == Some(number)
}

impl FromStr for Headers {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Headers, UnitError> {
        let expected = "a number of headers and the size of their values such as 3x20";
        let refused = || UnitError { text: text.to_owned(), expected };
        let (count, value_size) = text.split_once('x').ok_or_else(refused)?;
        let count = count.parse().map_err(|_| refused())?;
        Ok(Headers { count, value_size: value_size.parse().map_err(|_| refused())? })
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.count, self.value_size)
    }
}

impl Default for Headers {
    fn default() -> Headers {
        Headers::NONE
    }
}

crate::serde_as_text!(Headers);
