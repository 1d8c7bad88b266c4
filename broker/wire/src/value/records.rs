//! The records of a fetch response: record batches, wherever they are.
//!
//! Guarantees: bytes pass through uncopied, on the way in and on the way out; reading allocates
//! nothing. Does not know: what is in a batch, or how to get at external bytes.

use std::fmt;

use bytes::Bytes;

use super::{Format, Nullable, Value, not_null, put_length, put_null_length};
use crate::error::{DecodeFault, EncodeFault, FieldError};
use crate::input::Input;
use crate::output::{Output, Piece};

/// Record batches in the order in which they are to be sent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// The only piece, for whoever reads; for whoever writes, what was pushed first if in memory.
    first: Bytes,
    rest: Vec<Piece>,
}

impl Records {
    /// No batches, which is not the same as null.
    pub fn new() -> Records {
        Records::default()
    }

    /// Appends batches that are in memory.
    pub fn push_bytes(&mut self, bytes: Bytes) {
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = bytes;
        } else {
            self.rest.push(Piece::Bytes(bytes));
        }
    }

    /// Appends batches that the sender will get elsewhere; see [`Piece::External`].
    pub fn push_external(&mut self, token: u64, size_bytes: usize) {
        self.rest.push(Piece::External { token, size_bytes });
    }

    /// Of all pieces.
    pub fn size_bytes(&self) -> usize {
        let rest = self.rest.iter().map(Piece::size_bytes);
        rest.fold(self.first.len(), usize::saturating_add)
    }

    pub fn is_empty(&self) -> bool {
        self.size_bytes() == 0
    }

    /// The batches in one run of memory, as they always are after reading a message.
    pub fn contiguous(&self) -> Option<&Bytes> {
        self.rest.is_empty().then_some(&self.first)
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        Records { first: bytes, rest: Vec::new() }
    }
}

/// Without the bytes, which may be megabytes.
impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Records({} bytes)", self.size_bytes())
    }
}

impl Value for Records {
    fn schema_default() -> Records {
        Records::new()
    }

    fn size_bytes_min(format: Format) -> usize {
        Bytes::size_bytes_min(format)
    }

    fn encode(&self, out: &mut Output, format: Format) -> Result<(), FieldError<EncodeFault>> {
        put_length(self.size_bytes(), out, format)?;
        out.put_piece(Piece::Bytes(self.first.clone()));
        for piece in &self.rest {
            out.put_piece(piece.clone());
        }
        Ok(())
    }

    fn decode(input: &mut Input<'_>, format: Format) -> Result<Records, FieldError<DecodeFault>> {
        not_null(Records::decode_nullable(input, format)?, format)
    }
}

impl Nullable for Records {
    fn encode_null(out: &mut Output, format: Format) {
        put_null_length(out, format);
    }

    fn decode_nullable(
        input: &mut Input<'_>,
        format: Format,
    ) -> Result<Option<Records>, FieldError<DecodeFault>> {
        Ok(Bytes::decode_nullable(input, format)?.map(Records::from))
    }
}
