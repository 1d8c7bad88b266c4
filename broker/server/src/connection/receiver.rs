//! Frames from a stream.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use runtime::sync::budget::{Budget, Share};
use runtime::{TcpStream, TimedOut};
use wire::{FRAME_PREFIX_SIZE_BYTES, frame_size_bytes};

use super::transfer_time_max;
use crate::core::Core;

/// Received at a time, unless a frame is larger.
const RECEIVE_BYTES: usize = 64 << 10;

/// Why no frame comes.
#[derive(Debug)]
pub(super) enum ReceiveError {
    /// The client has ended the stream, between two requests.
    End,
    /// The stream is broken, or ended within a request.
    Broken,
    /// Nothing has come for too long.
    Idle,
    /// A frame that is not a request, or too large.
    Refused,
}

pub(super) struct Receiver {
    core: Rc<Core>,
    stream: Rc<TcpStream>,
    buf: BytesMut,
    /// This connection's requests that are not answered.
    unanswered_bytes: Budget,
}

/// A request's part of the connection's memory and of the core's, until it is answered.
pub(super) struct RequestMemory {
    _of_connection: Share,
    _of_core: Share,
}

impl Receiver {
    pub(super) fn new(core: Rc<Core>, stream: Rc<TcpStream>) -> Receiver {
        let unanswered_bytes = Budget::new(core.config.connections.unanswered_bytes_max);
        Receiver { core, stream, buf: BytesMut::new(), unanswered_bytes }
    }

    /// The next request, and its memory. `is_quiet` says whether the client
    /// waits for nothing.
    pub(super) async fn next_frame(
        &mut self,
        is_quiet: impl Fn() -> bool,
    ) -> Result<(Bytes, RequestMemory), ReceiveError> {
        let idle = self.core.config.connections.idle;
        while self.buf.len() < FRAME_PREFIX_SIZE_BYTES {
            if !self.receive(RECEIVE_BYTES, idle, &is_quiet).await? {
                let is_whole = self.buf.is_empty();
                return Err(if is_whole { ReceiveError::End } else { ReceiveError::Broken });
            }
        }
        let prefix = *self.buf.first_chunk().expect("just received");
        let limit = self.core.config.connections.request_bytes_max;
        let size_bytes = frame_size_bytes(prefix, limit).map_err(|error| {
            tracing::info!(%error, "a connection is closed");
            ReceiveError::Refused
        })?;
        // Taken whole and before anything is received into it: no two connections can wait for
        // each other with half a frame.
        let memory = RequestMemory {
            _of_connection: self.unanswered_bytes.take(size_bytes).await,
            _of_core: self.core.request_bytes.take(size_bytes).await,
        };
        let whole_bytes = FRAME_PREFIX_SIZE_BYTES + size_bytes;
        let deadline = runtime::now() + transfer_time_max(size_bytes);
        while self.buf.len() < whole_bytes {
            let missing_bytes = whole_bytes - self.buf.len();
            let left = deadline.since(runtime::now());
            if !self.receive(missing_bytes, left, &|| true).await? {
                return Err(ReceiveError::Broken);
            }
        }
        let mut frame = self.buf.split_to(whole_bytes).freeze();
        let _ = frame.split_to(FRAME_PREFIX_SIZE_BYTES);
        Ok((frame, memory))
    }

    /// Receives once, with room for at least so much. False at the end of the stream.
    async fn receive(
        &mut self,
        room_bytes: usize,
        patience: Duration,
        is_quiet: &impl Fn() -> bool,
    ) -> Result<bool, ReceiveError> {
        // Little more than has come is reserved, whatever a client announces.
        let room_bytes = room_bytes.min(RECEIVE_BYTES.max(self.buf.len()));
        if self.buf.capacity() - self.buf.len() < room_bytes {
            self.buf.reserve(room_bytes.max(RECEIVE_BYTES));
        }
        let mut receiving = Box::pin(self.stream.receive(std::mem::take(&mut self.buf)));
        loop {
            match runtime::timeout(patience, receiving.as_mut()).await {
                Ok((received, buf)) => {
                    self.buf = buf;
                    let count = received.map_err(|_| ReceiveError::Broken)?;
                    self.core.counters.note_received(count);
                    return Ok(0 < count);
                }
                Err(TimedOut) if is_quiet() => return Err(ReceiveError::Idle),
                // It waits for an answer of ours.
                Err(TimedOut) => {}
            }
        }
    }
}
