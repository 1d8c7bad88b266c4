//! The types of fields, and how each is written: once in the classic way, with 2 or 4 byte lengths,
//! and once in the flexible way (KIP-482), with lengths as varints of one more, so that 0 is null.
//!
//! Guarantees: memory is reserved only for elements that the bytes left can hold. Does not know:
//! which field it reads, or whether that may be null in this version.

mod float;
mod text;
mod records;

use std::convert::identity;

use bytes::Bytes;
use model::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicId,
};

use crate::ErrorCode;
use crate::error::{DecodeFault, EncodeFault, FieldError};
use crate::input::Input;
use crate::output::{Output, Piece};

pub use float::Float64;
pub use records::Records;
pub use text::Text;

/// How a message is written.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    pub(crate) version: i16,
    /// Compact lengths, and tagged fields at the end of every struct.
    pub(crate) flexible: bool,
}

/// What a field may hold.
pub trait Value: Sized + PartialEq {
    /// What Kafka takes for a field whose schema gives no default.
    fn schema_default() -> Self;

    /// The fewest bytes that any value takes.
    fn size_bytes_min(format: Format) -> usize;

    fn encode(&self, out: &mut Output, format: Format) -> Result<(), FieldError<EncodeFault>>;

    fn decode(input: &mut Input<'_>, format: Format) -> Result<Self, FieldError<DecodeFault>>;

    fn is_null(&self) -> bool {
        false
    }
}

/// What may be null.
pub trait Nullable: Value {
    /// The fewest bytes that any value or null takes.
    fn nullable_size_bytes_min(format: Format) -> usize {
        Self::size_bytes_min(format)
    }

    /// A value where null could be.
    fn encode_not_null(
        &self,
        out: &mut Output,
        format: Format,
    ) -> Result<(), FieldError<EncodeFault>> {
        self.encode(out, format)
    }

    fn encode_null(out: &mut Output, format: Format);

    fn decode_nullable(
        input: &mut Input<'_>,
        format: Format,
    ) -> Result<Option<Self>, FieldError<DecodeFault>>;
}

impl<T: Nullable> Value for Option<T> {
    /// Kafka's default is not null unless the schema says so.
    fn schema_default() -> Option<T> {
        Some(T::schema_default())
    }

    fn size_bytes_min(format: Format) -> usize {
        T::nullable_size_bytes_min(format)
    }

    fn encode(&self, out: &mut Output, format: Format) -> Result<(), FieldError<EncodeFault>> {
        match self {
            Some(value) => value.encode_not_null(out, format),
            None => {
                T::encode_null(out, format);
                Ok(())
            }
        }
    }

    fn decode(input: &mut Input<'_>, format: Format) -> Result<Self, FieldError<DecodeFault>> {
        T::decode_nullable(input, format)
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

/// A value that cannot be null where null was read.
fn not_null<T>(value: Option<T>, format: Format) -> Result<T, FieldError<DecodeFault>> {
    Ok(value.ok_or(DecodeFault::Null { version: format.version })?)
}

// ---- Fixed sizes.

/// Values that are an array of bytes.
macro_rules! bytes_of_fixed_size {
    ($($type:ty: $zero:expr, $to_bytes:expr, $from_bytes:expr;)*) => {$(
        impl Value for $type {
            fn schema_default() -> $type {
                $zero
            }

            fn size_bytes_min(_: Format) -> usize {
                size_of::<$type>()
            }

            fn encode(&self, out: &mut Output, _: Format) -> Result<(), FieldError<EncodeFault>> {
                out.put(&$to_bytes(*self));
                Ok(())
            }

            fn decode(input: &mut Input<'_>, _: Format) -> Result<$type, FieldError<DecodeFault>> {
                Ok($from_bytes(input.array()?))
            }
        }
    )*};
}

bytes_of_fixed_size! {
    i8: 0, i8::to_be_bytes, i8::from_be_bytes;
    i16: 0, i16::to_be_bytes, i16::from_be_bytes;
    i32: 0, i32::to_be_bytes, i32::from_be_bytes;
    i64: 0, i64::to_be_bytes, i64::from_be_bytes;
    [u8; 16]: [0; 16], identity, identity;
}

/// Values that are written as another.
macro_rules! written_as {
    ($($type:ident as $inner:ty: $into_inner:expr, $from_inner:expr;)*) => {$(
        impl Value for $type {
            fn schema_default() -> $type {
                $from_inner(<$inner>::schema_default())
            }

            fn size_bytes_min(format: Format) -> usize {
                <$inner>::size_bytes_min(format)
            }

            fn encode(
                &self,
                out: &mut Output,
                format: Format,
            ) -> Result<(), FieldError<EncodeFault>> {
                let into_inner: fn($type) -> $inner = $into_inner;
                into_inner(*self).encode(out, format)
            }

            fn decode(
                input: &mut Input<'_>,
                format: Format,
            ) -> Result<$type, FieldError<DecodeFault>> {
                <$inner>::decode(input, format).map($from_inner)
            }
        }
    )*};
}

written_as! {
    bool as i8: i8::from, is_not_zero;
    Float64 as i64: Float64::bits, Float64::from_bits;
    ErrorCode as i16: ErrorCode::code, ErrorCode::from_code;
    TopicId as [u8; 16]: |id| *id.bytes(), TopicId::from_bytes;
    BrokerId as i32: |id| id.0, BrokerId;
    PartitionIndex as i32: |index| index.0, PartitionIndex;
    LeaderEpoch as i32: |epoch| epoch.0, LeaderEpoch;
    Offset as i64: |offset| offset.0, Offset;
    Timestamp as i64: |timestamp| timestamp.0, Timestamp;
    ProducerId as i64: |id| id.0, ProducerId;
    ProducerEpoch as i16: |epoch| epoch.0, ProducerEpoch;
}

/// Kafka takes every number but 0 for true.
fn is_not_zero(number: i8) -> bool {
    number != 0
}

// ---- Lengths.

/// Puts the length of an array, or of bytes.
fn put_length(
    length: usize,
    out: &mut Output,
    format: Format,
) -> Result<(), FieldError<EncodeFault>> {
    let length_max = i32::MAX as usize;
    let length = i32::try_from(length).map_err(|_| EncodeFault::TooLong { length, length_max })?;
    if format.flexible {
        out.put_unsigned_varint(length.cast_unsigned() + 1);
    } else {
        out.put(&length.to_be_bytes());
    }
    Ok(())
}

fn put_null_length(out: &mut Output, format: Format) {
    if format.flexible {
        out.put_unsigned_varint(0);
    } else {
        out.put(&(-1_i32).to_be_bytes());
    }
}

/// Reads what [`put_length`] or [`put_null_length`] wrote.
fn length(input: &mut Input<'_>, format: Format) -> Result<Option<u32>, DecodeFault> {
    if format.flexible {
        return Ok(input.unsigned_varint()?.checked_sub(1));
    }
    match i32::from_be_bytes(input.array()?) {
        -1 => Ok(None),
        length => {
            Ok(Some(u32::try_from(length).map_err(|_| DecodeFault::NegativeLength { length })?))
        }
    }
}

/// A length as this machine counts memory.
pub(crate) fn in_memory(length: u32) -> usize {
    const { assert!(u32::BITS <= usize::BITS) };
    length as usize
}

fn length_size_bytes(format: Format) -> usize {
    if format.flexible { 1 } else { 4 }
}

// ---- Structs that may be null: a byte says whether they are.

const NULL_STRUCT: i8 = -1;
const STRUCT: i8 = 1;

pub(crate) fn put_null_struct(out: &mut Output) {
    out.put(&NULL_STRUCT.to_be_bytes());
}

pub(crate) fn put_is_struct(out: &mut Output) {
    out.put(&STRUCT.to_be_bytes());
}

/// Reads what one of the above wrote. Kafka takes every negative number for null.
pub(crate) fn is_struct(input: &mut Input<'_>) -> Result<bool, DecodeFault> {
    Ok(0 <= i8::from_be_bytes(input.array()?))
}

// ---- Bytes: records, and what members of a group tell each other. Passed on and not copied.

impl Value for Bytes {
    fn schema_default() -> Bytes {
        Bytes::new()
    }

    fn size_bytes_min(format: Format) -> usize {
        length_size_bytes(format)
    }

    fn encode(&self, out: &mut Output, format: Format) -> Result<(), FieldError<EncodeFault>> {
        put_length(self.len(), out, format)?;
        out.put_piece(Piece::Bytes(self.clone()));
        Ok(())
    }

    fn decode(input: &mut Input<'_>, format: Format) -> Result<Bytes, FieldError<DecodeFault>> {
        not_null(Bytes::decode_nullable(input, format)?, format)
    }
}

impl Nullable for Bytes {
    fn encode_null(out: &mut Output, format: Format) {
        put_null_length(out, format);
    }

    fn decode_nullable(
        input: &mut Input<'_>,
        format: Format,
    ) -> Result<Option<Bytes>, FieldError<DecodeFault>> {
        match length(input, format)? {
            Some(length) => Ok(Some(input.bytes(in_memory(length))?)),
            None => Ok(None),
        }
    }
}

// ---- Arrays.

/// Bytes reserved before the first element of an array has been read, if there are more than twice
/// as many to come.
const FIRST_RESERVATION_BYTES: usize = 16 << 10;

impl<T: Value> Value for Vec<T> {
    fn schema_default() -> Vec<T> {
        Vec::new()
    }

    fn size_bytes_min(format: Format) -> usize {
        length_size_bytes(format)
    }

    fn encode(&self, out: &mut Output, format: Format) -> Result<(), FieldError<EncodeFault>> {
        put_length(self.len(), out, format)?;
        self.iter().try_for_each(|element| element.encode(out, format))
    }

    fn decode(input: &mut Input<'_>, format: Format) -> Result<Vec<T>, FieldError<DecodeFault>> {
        not_null(Vec::decode_nullable(input, format)?, format)
    }
}

impl<T: Value> Nullable for Vec<T> {
    fn encode_null(out: &mut Output, format: Format) {
        put_null_length(out, format);
    }

    fn decode_nullable(
        input: &mut Input<'_>,
        format: Format,
    ) -> Result<Option<Vec<T>>, FieldError<DecodeFault>> {
        match length(input, format)? {
            Some(count) => decode_elements(count, input, format).map(Some),
            None => Ok(None),
        }
    }
}

/// Reads `count` elements, unless they cannot possibly be there. Of many, it reserves few at first,
/// and the rest once those were all real. That moves them, so it is not done for a rest that is
/// smaller than they are: what is allocated in all stays within 3/2 of the array.
fn decode_elements<T: Value>(
    count: u32,
    input: &mut Input<'_>,
    format: Format,
) -> Result<Vec<T>, FieldError<DecodeFault>> {
    let element_size_bytes_min = T::size_bytes_min(format).max(1);
    let remaining_bytes = input.remaining_bytes();
    let elements_count = in_memory(count);
    if remaining_bytes / element_size_bytes_min < elements_count {
        let fault = DecodeFault::ElementsCount { count, element_size_bytes_min, remaining_bytes };
        return Err(fault.into());
    }
    let first = FIRST_RESERVATION_BYTES / size_of::<T>();
    let first = if elements_count <= 2 * first { elements_count } else { first };
    let mut elements = Vec::with_capacity(first);
    for _ in 0..elements_count {
        if elements.len() == elements.capacity() {
            elements.reserve_exact(elements_count - elements.len());
        }
        elements.push(T::decode(input, format)?);
    }
    Ok(elements)
}

#[cfg(test)]
mod tests;
