//! A frame being written: bytes of our own, and between them shared or foreign ones.
//!
//! Guarantees: bytes handed over as a [`Piece`] are never copied. All own bytes lie in one buffer,
//! so that the size at its front can be filled in last. Does not know: messages.

use bytes::Bytes;

use crate::error::EncodeError;

/// Bytes of the size before every frame, which does not count itself.
pub const FRAME_PREFIX_SIZE_BYTES: usize = 4;

/// A run of bytes to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes that the sender will get elsewhere, for example from a file. What `token` stands for
    /// is between whoever made the message and whoever sends it.
    External { token: u64, size_bytes: usize },
}

impl Piece {
    pub fn size_bytes(&self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::External { size_bytes, .. } => *size_bytes,
        }
    }
}

/// A request or a response ready to be sent: its size in 4 bytes, its header, its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// In the order in which they are to be sent. None is empty.
    pub pieces: Vec<Piece>,
    /// Of all pieces, so 4 more than the size within.
    pub size_bytes: usize,
}

impl Frame {
    /// All bytes in one run, copied unless there is only one piece. None if some are external.
    pub fn contiguous(&self) -> Option<Bytes> {
        if let [Piece::Bytes(bytes)] = self.pieces.as_slice() {
            return Some(bytes.clone());
        }
        let mut all = Vec::with_capacity(self.size_bytes);
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => all.extend_from_slice(bytes),
                Piece::External { .. } => return None,
            }
        }
        Some(Bytes::from(all))
    }
}

/// Enough for most messages, so that they are written without growing.
const FIRST_CAPACITY_BYTES: usize = 256;

/// What has been written so far.
#[derive(Debug)]
pub struct Output {
    own: Vec<u8>,
    /// With the position in `own` that each goes before.
    pieces: Vec<(usize, Piece)>,
    pieces_size_bytes: usize,
}

impl Output {
    /// An empty frame, with room for its size.
    pub(crate) fn new() -> Output {
        let mut own = Vec::with_capacity(FIRST_CAPACITY_BYTES);
        own.resize(FRAME_PREFIX_SIZE_BYTES, 0);
        Output { own, pieces: Vec::new(), pieces_size_bytes: 0 }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
    }

    /// What [`Input::unsigned_varint`](crate::input::Input::unsigned_varint) reads.
    pub(crate) fn put_unsigned_varint(&mut self, mut value: u32) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.own.push(low);
                return;
            }
            self.own.push(low | 0x80);
        }
    }

    pub(crate) fn put_piece(&mut self, piece: Piece) {
        if piece.size_bytes() != 0 {
            self.pieces_size_bytes = self.pieces_size_bytes.saturating_add(piece.size_bytes());
            self.pieces.push((self.own.len(), piece));
        }
    }

    /// Puts the size of what `write` writes, then what it writes.
    pub(crate) fn put_sized<E>(
        &mut self,
        write: impl FnOnce(&mut Output) -> Result<(), E>,
    ) -> Result<(), E> {
        let (start, pieces_count) = (self.own.len(), self.pieces.len());
        write(self)?;
        assert_eq!(self.pieces.len(), pieces_count, "no schema has records in a tagged field");
        let end = self.own.len();
        let size_bytes = u32::try_from(end - start).expect("strings and arrays are limited");
        self.put_unsigned_varint(size_bytes);
        let varint_size_bytes = self.own.len() - end;
        self.own[start..].rotate_right(varint_size_bytes);
        Ok(())
    }

    /// Fills in the size, and cuts the own bytes where pieces go between them.
    pub(crate) fn finish(mut self, message: &'static str) -> Result<Frame, EncodeError> {
        let size_bytes = self.own.len().saturating_add(self.pieces_size_bytes);
        let size = i32::try_from(size_bytes - FRAME_PREFIX_SIZE_BYTES).map_err(|_| {
            let size_bytes_max = i32::MAX as usize;
            EncodeError::FrameTooLarge { message, size_bytes, size_bytes_max }
        })?;
        self.own[..FRAME_PREFIX_SIZE_BYTES].copy_from_slice(&size.to_be_bytes());
        let own = Bytes::from(self.own);
        let mut pieces = Vec::with_capacity(2 * self.pieces.len() + 1);
        let mut start = 0;
        for (position, piece) in self.pieces {
            if start < position {
                pieces.push(Piece::Bytes(own.slice(start..position)));
            }
            pieces.push(piece);
            start = position;
        }
        if start < own.len() {
            pieces.push(Piece::Bytes(own.slice(start..)));
        }
        Ok(Frame { pieces, size_bytes })
    }
}
