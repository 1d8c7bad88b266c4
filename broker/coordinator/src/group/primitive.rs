//! Kafka's primitive types, in records and in what members say of themselves: in the old form and the flexible one (KIP-482).

use bytes::Bytes;
use model::TopicId;

use super::GroupRecordError;

/// Writes the old form.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn i16(&mut self, value: i16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn count(&mut self, count: usize) {
        self.i32(i32::try_from(count).expect("fewer than 2^31 of anything"));
    }

    pub(super) fn string(&mut self, text: &str) {
        self.i16(i16::try_from(text.len()).expect("texts came in requests, which bound them"));
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn nullable_string(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.i16(-1),
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    // The flexible form.

    pub(super) fn compact_count(&mut self, count: usize) {
        let count = u32::try_from(count).ok().and_then(|count| count.checked_add(1));
        self.varint(count.expect("fewer than 2^32 - 1 of anything"));
    }

    pub(super) fn compact_string(&mut self, text: &str) {
        self.compact_count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn compact_nullable_string(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.compact_string(text),
            None => self.varint(0),
        }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn i8(&mut self, value: i8) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn varint(&mut self, mut value: u32) {
        while 0x80 <= value {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads either form.
pub(super) struct Reader<'a> {
    what: &'static str,
    size_bytes: usize,
    rest: &'a [u8],
    is_flexible: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(what: &'static str, bytes: &'a [u8]) -> Reader<'a> {
        Reader { what, size_bytes: bytes.len(), rest: bytes, is_flexible: false }
    }

    pub(super) fn set_flexible(&mut self, is_flexible: bool) {
        self.is_flexible = is_flexible;
    }

    /// The number at the beginning of a value, from 0 to `max`.
    pub(super) fn version(&mut self, max: i16) -> Result<i16, GroupRecordError> {
        let version = self.i16()?;
        match version {
            version if version < 0 => Err(self.damaged()),
            version if max < version => {
                Err(GroupRecordError::Newer { what: self.what, version, max })
            }
            version => Ok(version),
        }
    }

    pub(super) fn i8(&mut self) -> Result<i8, GroupRecordError> {
        self.array().map(i8::from_be_bytes)
    }

    pub(super) fn topic_id(&mut self) -> Result<TopicId, GroupRecordError> {
        self.array().map(TopicId::from_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, GroupRecordError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, GroupRecordError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, GroupRecordError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn string(&mut self) -> Result<String, GroupRecordError> {
        let found = self.nullable_string()?;
        found.ok_or_else(|| self.damaged())
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<String>, GroupRecordError> {
        let length = match self.is_flexible {
            true => self.compact_length()?,
            false => {
                let length = i32::from(self.i16()?);
                self.length(length)?
            }
        };
        let Some(length) = length else { return Ok(None) };
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| self.damaged())?;
        Ok(Some(text.to_owned()))
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, GroupRecordError> {
        let found = self.nullable_bytes()?;
        found.map(Bytes::copy_from_slice).ok_or_else(|| self.damaged())
    }

    pub(super) fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, GroupRecordError> {
        let length = self.nullable_count()?;
        length.map(|length| self.take(length)).transpose()
    }

    /// How many elements, or bytes, there are.
    pub(super) fn count(&mut self) -> Result<usize, GroupRecordError> {
        self.nullable_count()?.ok_or_else(|| self.damaged())
    }

    fn nullable_count(&mut self) -> Result<Option<usize>, GroupRecordError> {
        match self.is_flexible {
            true => self.compact_length(),
            false => {
                let count = self.i32()?;
                self.length(count)
            }
        }
    }

    /// What later versions have added.
    pub(super) fn skip_tagged_fields(&mut self) -> Result<(), GroupRecordError> {
        self.tagged_fields(|_, _| Ok(()))
    }

    /// Gives each tag with what it holds.
    pub(super) fn tagged_fields(
        &mut self,
        mut take: impl FnMut(u32, Reader<'a>) -> Result<(), GroupRecordError>,
    ) -> Result<(), GroupRecordError> {
        if !self.is_flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let size_bytes = self.varint()?;
            let rest = self.take(usize::try_from(size_bytes).map_err(|_| self.damaged())?)?;
            take(tag, Reader { rest, ..*self })?;
        }
        Ok(())
    }

    /// -1 is null.
    fn length(&self, length: i32) -> Result<Option<usize>, GroupRecordError> {
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| self.damaged()),
        }
    }

    /// One more than the length; 0 is null.
    fn compact_length(&mut self) -> Result<Option<usize>, GroupRecordError> {
        let written = usize::try_from(self.varint()?).map_err(|_| self.damaged())?;
        Ok(written.checked_sub(1))
    }

    pub(super) fn varint(&mut self) -> Result<u32, GroupRecordError> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| self.damaged());
            }
        }
        Err(self.damaged())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GroupRecordError> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("as many as were taken"))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], GroupRecordError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(taken)
    }

    fn damaged(&self) -> GroupRecordError {
        GroupRecordError::Damaged { what: self.what, size_bytes: self.size_bytes }
    }
}
