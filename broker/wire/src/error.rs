//! Why bytes are no message, and why a message cannot be written.
//!
//! Guarantees: an error names the field, what was found and the limit it broke; making one
//! allocates nothing.

use crate::{ApiKey, Versions};

/// Why received bytes are not a message that this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The size before a frame is negative or more than the receiver accepts.
    #[error("frame of {size_bytes} bytes, at most {size_bytes_max} accepted")]
    FrameSize { size_bytes: i32, size_bytes_max: usize },
    #[error("unknown api key {api_key}")]
    UnknownApiKey { api_key: i16 },
    #[error("{api_key} version {version} is outside {versions}")]
    UnsupportedVersion { api_key: ApiKey, version: i16, versions: Versions },
    #[error(transparent)]
    Field(#[from] FieldError<DecodeFault>),
    #[error("{extra_bytes} bytes after the end of {message}")]
    TrailingBytes { message: &'static str, extra_bytes: usize },
}

/// Why a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{message} has no version {version}, only {versions}")]
    UnsupportedVersion { message: &'static str, version: i16, versions: Versions },
    #[error(transparent)]
    Field(#[from] FieldError<EncodeFault>),
    #[error("{message} of {size_bytes} bytes, at most {size_bytes_max} fit a frame")]
    FrameTooLarge { message: &'static str, size_bytes: usize, size_bytes_max: usize },
}

/// What is wrong, and with which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct FieldError<F> {
    /// Struct and field, as in `FetchTopic.partitions`.
    pub field: &'static str,
    pub fault: F,
}

impl<F> FieldError<F> {
    /// Names the field, unless one inside it has been named already.
    pub(crate) fn within(self, field: &'static str) -> FieldError<F> {
        if self.field.is_empty() { FieldError { field, ..self } } else { self }
    }
}

/// A fault on its way up to the field that it will be named after.
impl<F> From<F> for FieldError<F> {
    fn from(fault: F) -> FieldError<F> {
        FieldError { field: "", fault }
    }
}

/// What is wrong with the bytes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    #[error("{needed_bytes} bytes needed, {remaining_bytes} left")]
    Truncated { needed_bytes: usize, remaining_bytes: usize },
    /// Only -1 means null.
    #[error("negative length {length}")]
    NegativeLength { length: i32 },
    #[error("null is not allowed in version {version}")]
    Null { version: i16 },
    #[error("variable-length integer of more than 32 bits")]
    Varint,
    #[error("string of {size_bytes} bytes, at most {size_bytes_max} allowed")]
    StringTooLong { size_bytes: usize, size_bytes_max: usize },
    #[error("not UTF-8 after {valid_bytes} bytes")]
    NotUtf8 { valid_bytes: usize },
    #[error(
        "{count} elements of at least {element_size_bytes_min} bytes, {remaining_bytes} bytes left"
    )]
    ElementsCount { count: u32, element_size_bytes_min: usize, remaining_bytes: usize },
    #[error("{count} tagged fields, {remaining_bytes} bytes left")]
    TaggedFieldsCount { count: u32, remaining_bytes: usize },
    #[error("{extra_bytes} bytes left of a tagged field")]
    TaggedFieldSize { extra_bytes: usize },
}

/// Why a field cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeFault {
    /// It is set, the version cannot carry it, and the reader must not miss it.
    #[error("not in version {version}")]
    NotInVersion { version: i16 },
    #[error("null is not allowed in version {version}")]
    Null { version: i16 },
    /// In bytes of a string or of records, or in elements of an array.
    #[error("length {length}, at most {length_max} can be told")]
    TooLong { length: usize, length_max: usize },
}
