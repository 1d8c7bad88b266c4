//! Strings that share the memory of the frame they came in.
//!
//! Guarantees: always UTF-8; cloning copies nothing. Does not know: what the string names.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::Utf8Error;

use bytes::Bytes;

use super::{Format, Nullable, Value, not_null};
use crate::error::{DecodeFault, EncodeFault, FieldError};
use crate::input::Input;
use crate::output::Output;

/// Kafka's limit, also where a longer length could be told.
const SIZE_BYTES_MAX: usize = i16::MAX as usize;

/// A string, shared. It keeps the whole frame in memory that it was read from: what outlives the
/// request takes [`Text::detached`].
///
/// Without unsafe code a `&str` cannot be had of shared bytes without checking them, so every
/// [`as_str`](Text::as_str) does: some nanoseconds for a name. Comparing does not need it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Bytes);

impl Text {
    pub const fn from_static(text: &'static str) -> Text {
        Text(Bytes::from_static(text.as_bytes()))
    }

    pub fn from_utf8(bytes: Bytes) -> Result<Text, Utf8Error> {
        str::from_utf8(&bytes)?;
        Ok(Text(bytes))
    }

    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("every constructor has checked it")
    }

    /// The same string in memory of its own.
    pub fn detached(&self) -> Text {
        Text(Bytes::copy_from_slice(&self.0))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// UTF-8 sorts as its bytes do, so `Ord` and `Eq` agree with those of `str`.
impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

/// As `str` does, for the sake of `Borrow`.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Text {
        Text::from_static(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(Bytes::from(text))
    }
}

impl Text {
    /// The old 2 byte length, which request headers keep for ever.
    pub(crate) fn encode_classic(text: Option<&str>, out: &mut Output) -> Result<(), EncodeFault> {
        match text {
            None => out.put(&(-1_i16).to_be_bytes()),
            Some(text) => {
                out.put(&size_of(text.as_bytes())?.to_be_bytes());
                out.put(text.as_bytes());
            }
        }
        Ok(())
    }

    /// Reads what [`Text::encode_classic`] wrote.
    pub(crate) fn decode_classic(input: &mut Input<'_>) -> Result<Option<Text>, DecodeFault> {
        match i16::from_be_bytes(input.array()?) {
            -1 => Ok(None),
            length => {
                let negative = |_| DecodeFault::NegativeLength { length: length.into() };
                take(input, usize::try_from(length).map_err(negative)?).map(Some)
            }
        }
    }
}

impl Value for Text {
    fn schema_default() -> Text {
        Text::default()
    }

    fn size_bytes_min(format: Format) -> usize {
        if format.flexible { 1 } else { 2 }
    }

    fn encode(&self, out: &mut Output, format: Format) -> Result<(), FieldError<EncodeFault>> {
        let size_bytes = size_of(&self.0)?;
        if format.flexible {
            out.put_unsigned_varint(u32::from(size_bytes) + 1);
        } else {
            out.put(&size_bytes.to_be_bytes());
        }
        out.put(&self.0);
        Ok(())
    }

    fn decode(input: &mut Input<'_>, format: Format) -> Result<Text, FieldError<DecodeFault>> {
        not_null(Text::decode_nullable(input, format)?, format)
    }
}

impl Nullable for Text {
    fn encode_null(out: &mut Output, format: Format) {
        if format.flexible {
            out.put_unsigned_varint(0);
        } else {
            out.put(&(-1_i16).to_be_bytes());
        }
    }

    fn decode_nullable(
        input: &mut Input<'_>,
        format: Format,
    ) -> Result<Option<Text>, FieldError<DecodeFault>> {
        if !format.flexible {
            return Ok(Text::decode_classic(input)?);
        }
        match input.unsigned_varint()?.checked_sub(1) {
            Some(length) => Ok(Some(take(input, super::in_memory(length))?)),
            None => Ok(None),
        }
    }
}

fn take(input: &mut Input<'_>, size_bytes: usize) -> Result<Text, DecodeFault> {
    if SIZE_BYTES_MAX < size_bytes {
        return Err(DecodeFault::StringTooLong { size_bytes, size_bytes_max: SIZE_BYTES_MAX });
    }
    Text::from_utf8(input.bytes(size_bytes)?)
        .map_err(|error| DecodeFault::NotUtf8 { valid_bytes: error.valid_up_to() })
}

/// The size of a string that is short enough.
fn size_of(bytes: &[u8]) -> Result<u16, EncodeFault> {
    let too_long = EncodeFault::TooLong { length: bytes.len(), length_max: SIZE_BYTES_MAX };
    u16::try_from(bytes.len())
        .ok()
        .filter(|&size| usize::from(size) <= SIZE_BYTES_MAX)
        .ok_or(too_long)
}
