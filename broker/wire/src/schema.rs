//! What a schema means: which of its fields a version has, where they stand, and what else is done.
//!
//! Guarantees: a field that its version lacks is refused unless it holds its default or may be
//! ignored; unknown tagged fields are skipped. Does not know: any message, or how a value is
//! written.

mod language;

use std::fmt;

use crate::Versions;
use crate::error::{DecodeFault, EncodeFault, FieldError};
use crate::input::Input;
use crate::output::Output;
use crate::value::{Format, Value, in_memory};

pub(crate) use language::{default_of, field, messages, structure};

/// A request or a response body.
pub trait Message: Value + Clone + fmt::Debug + Default + Eq {
    /// Number of the API that it belongs to.
    const KEY: i16;
    /// The struct's name, for errors.
    const NAME: &'static str;
    /// The versions that can be written and read.
    const VERSIONS: Versions;
    /// Those of them that are flexible.
    const FLEXIBLE: Versions;
}

/// How `M` is written at `version`.
pub(crate) fn format_of<M: Message>(version: i16) -> Format {
    Format { version, flexible: M::FLEXIBLE.contains(version) }
}

/// What the schema says of one field, which holds a `T`.
#[derive(Debug)]
pub(crate) struct Field<T> {
    name: &'static str,
    versions: Versions,
    /// In which versions it may be null.
    nullable: Option<Versions>,
    /// Its tag, if it goes to the tagged fields at the end of its struct.
    pub(crate) tag: Option<u32>,
    /// Whether it may be left out of a version that lacks it, whatever it holds.
    ignorable: bool,
    /// What a version that lacks it, or a frame that leaves it out, means.
    default: fn() -> T,
}

impl<T> Field<T> {
    pub(crate) const fn new(name: &'static str, default: fn() -> T, versions: Versions) -> Self {
        Field { name, versions, nullable: None, tag: None, ignorable: false, default }
    }

    pub(crate) const fn nullable(self, versions: Versions) -> Self {
        Field { nullable: Some(versions), ..self }
    }

    pub(crate) const fn tag(self, tag: u32) -> Self {
        Field { tag: Some(tag), ..self }
    }

    pub(crate) const fn ignorable(self) -> Self {
        Field { ignorable: true, ..self }
    }
}

impl<T: Value> Field<T> {
    pub(crate) fn default(&self) -> T {
        (self.default)()
    }

    pub(crate) fn is_in(&self, format: Format) -> bool {
        self.versions.contains(format.version)
    }

    /// Whether it stands in the struct itself, before the tagged fields.
    pub(crate) fn is_untagged(&self, format: Format) -> bool {
        self.tag.is_none() && self.is_in(format)
    }

    /// Whether it is what a tagged field with `tag` holds.
    pub(crate) fn has_tag(&self, tag: u32, format: Format) -> bool {
        self.tag == Some(tag) && self.is_in(format)
    }

    /// The fewest bytes it takes outside the tagged fields.
    pub(crate) fn size_bytes_min(&self, format: Format) -> usize {
        if self.is_untagged(format) { T::size_bytes_min(format) } else { 0 }
    }

    /// Writes it if it is untagged. Refuses what this version would lose.
    pub(crate) fn encode_untagged(
        &self,
        value: &T,
        out: &mut Output,
        format: Format,
    ) -> Result<(), FieldError<EncodeFault>> {
        if self.is_untagged(format) {
            return self.encode(value, out, format);
        }
        if self.is_in(format) || self.ignorable || *value == self.default() {
            return Ok(());
        }
        Err(self.at_fault(EncodeFault::NotInVersion { version: format.version }))
    }

    /// Whether it has to be written among the tagged fields: a default need not be.
    pub(crate) fn is_tagged_and_set(&self, value: &T, format: Format) -> bool {
        self.tag.is_some() && self.is_in(format) && *value != self.default()
    }

    /// Writes its tag, its size and itself, if it has to be.
    pub(crate) fn encode_tagged(
        &self,
        value: &T,
        out: &mut Output,
        format: Format,
    ) -> Result<(), FieldError<EncodeFault>> {
        let Some(tag) = self.tag.filter(|_| self.is_tagged_and_set(value, format)) else {
            return Ok(());
        };
        out.put_unsigned_varint(tag);
        out.put_sized(|out| self.encode(value, out, format))
    }

    fn encode(
        &self,
        value: &T,
        out: &mut Output,
        format: Format,
    ) -> Result<(), FieldError<EncodeFault>> {
        if value.is_null() && !self.is_nullable(format) {
            return Err(self.at_fault(EncodeFault::Null { version: format.version }));
        }
        value.encode(out, format).map_err(|error| error.within(self.name))
    }

    pub(crate) fn decode(
        &self,
        input: &mut Input<'_>,
        format: Format,
    ) -> Result<T, FieldError<DecodeFault>> {
        let value = T::decode(input, format).map_err(|error| error.within(self.name))?;
        if value.is_null() && !self.is_nullable(format) {
            return Err(self.at_fault(DecodeFault::Null { version: format.version }));
        }
        Ok(value)
    }

    /// Reads it from the `part` of the input that its tagged field holds, all of it.
    pub(crate) fn decode_tagged(
        &self,
        part: &mut Input<'_>,
        format: Format,
    ) -> Result<T, FieldError<DecodeFault>> {
        let value = self.decode(part, format)?;
        match part.remaining_bytes() {
            0 => Ok(value),
            extra_bytes => Err(self.at_fault(DecodeFault::TaggedFieldSize { extra_bytes })),
        }
    }

    pub(crate) fn is_nullable(&self, format: Format) -> bool {
        self.nullable.is_some_and(|versions| versions.contains(format.version))
    }

    fn at_fault<F>(&self, fault: F) -> FieldError<F> {
        FieldError { field: self.name, fault }
    }
}

/// Tags count from 0 in the order of the schema, which is the order in which they are written.
pub(crate) const fn assert_tags_ascend(tags: &[Option<u32>]) {
    let mut next = 0;
    let mut index = 0;
    while index < tags.len() {
        if let Some(tag) = tags[index] {
            assert!(tag == next, "tags count from 0 in the order of the fields");
            next += 1;
        }
        index += 1;
    }
}

/// Bytes that a tagged field takes at least: its tag and its size.
const TAGGED_FIELD_SIZE_BYTES_MIN: usize = 2;

/// Reads the tagged fields of a struct: `read` is given each tag with what it holds, and ignores
/// what it does not know.
pub(crate) fn decode_tagged_fields<'a>(
    what: &'static str,
    input: &mut Input<'a>,
    mut read: impl FnMut(u32, Input<'a>) -> Result<(), FieldError<DecodeFault>>,
) -> Result<(), FieldError<DecodeFault>> {
    let at_fault = |fault: DecodeFault| FieldError { field: what, fault };
    let count = input.unsigned_varint().map_err(at_fault)?;
    let remaining_bytes = input.remaining_bytes();
    if u32::try_from(remaining_bytes / TAGGED_FIELD_SIZE_BYTES_MIN).is_ok_and(|max| max < count) {
        return Err(at_fault(DecodeFault::TaggedFieldsCount { count, remaining_bytes }));
    }
    for _ in 0..count {
        let tag = input.unsigned_varint().map_err(at_fault)?;
        let size_bytes = input.unsigned_varint().map_err(at_fault)?;
        read(tag, input.part(in_memory(size_bytes)).map_err(at_fault)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
