//! Frames from a stream.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use runtime::sync::budget::{Budget, Share};
use runtime::{TcpStream, TimedOut};
use wire::{FRAME_PREFIX_SIZE_BYTES, frame_size_bytes};

use super::{Affinity, transfer_time_max};
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
    /// The connection is to live on another core. No frame is begun that the next call would not
    /// go on with.
    Leaves,
}

/// What a receive has come to.
enum Received {
    Bytes,
    /// Of the stream.
    End,
    /// The connection is to leave.
    Stopped,
}

pub(super) struct Receiver {
    core: Rc<Core>,
    stream: Rc<TcpStream>,
    affinity: Rc<Affinity>,
    buf: BytesMut,
    /// This connection's requests that are not answered.
    unanswered_bytes: Budget,
}

/// A request's part of the connection's memory and of the core's, until it is answered.
pub(super) struct RequestMemory {
    _of_connection: Share,
    _of_core: Vec<Share>,
}

impl Receiver {
    /// Goes on behind the bytes that were received before.
    pub(super) fn new(
        core: Rc<Core>,
        stream: Rc<TcpStream>,
        affinity: Rc<Affinity>,
        received: BytesMut,
    ) -> Receiver {
        let unanswered_bytes = Budget::new(core.config.connections.unanswered_bytes_max);
        Receiver { core, stream, affinity, buf: received, unanswered_bytes }
    }

    /// What has been received of requests to come.
    pub(super) fn into_received(self) -> BytesMut {
        self.buf
    }

    /// Waits until every request is answered, so that nothing of the connection is under way.
    pub(super) async fn all_answered(&self) {
        // All of the budget is there when no request has any of it.
        drop(self.unanswered_bytes.take(self.unanswered_bytes.total()).await);
    }

    /// The next request, and its memory. `is_quiet` says whether the client
    /// waits for nothing.
    pub(super) async fn next_frame(
        &mut self,
        is_quiet: impl Fn() -> bool,
    ) -> Result<(Bytes, RequestMemory), ReceiveError> {
        let idle = self.core.config.connections.idle;
        while self.affinity.wish().is_none() && self.buf.len() < FRAME_PREFIX_SIZE_BYTES {
            match self.receive(RECEIVE_BYTES, idle, &is_quiet, true).await? {
                Received::Bytes | Received::Stopped => {}
                Received::End if self.buf.is_empty() => return Err(ReceiveError::End),
                Received::End => return Err(ReceiveError::Broken),
            }
        }
        if self.affinity.wish().is_some() {
            return Err(ReceiveError::Leaves);
        }
        let prefix = *self.buf.first_chunk().expect("just received");
        let limit = self.core.config.connections.request_bytes_max;
        let size_bytes = frame_size_bytes(prefix, limit).map_err(|error| {
            if let Some(left_out) = self.core.lines.closed.admit() {
                tracing::info!(%error, left_out, "a connection is closed");
            }
            ReceiveError::Refused
        })?;
        let of_connection = self.unanswered_bytes.take(size_bytes).await;
        let of_core = self.receive_frame(size_bytes).await?;
        let memory = RequestMemory { _of_connection: of_connection, _of_core: of_core };
        let whole_bytes = FRAME_PREFIX_SIZE_BYTES + size_bytes;
        let mut frame = self.buf.split_to(whole_bytes).freeze();
        let _ = frame.split_to(FRAME_PREFIX_SIZE_BYTES);
        Ok((frame, memory))
    }

    /// Receives a frame of so many bytes, and returns its part of the core's memory. That is taken for
    /// what has come, and as much again, never for what is only announced: who announces much and
    /// sends little keeps nobody waiting.
    async fn receive_frame(&mut self, size_bytes: usize) -> Result<Vec<Share>, ReceiveError> {
        let whole_bytes = FRAME_PREFIX_SIZE_BYTES + size_bytes;
        let mut deadline = runtime::now() + transfer_time_max(size_bytes);
        // Not more than a connection may read ahead anyway, so that nothing is taken for it yet.
        let mut room_bytes = whole_bytes.min(RECEIVE_BYTES);
        let mut shares = Vec::new();
        let mut is_beyond = false;
        loop {
            while self.buf.len() < room_bytes {
                let missing_bytes = room_bytes - self.buf.len();
                let left = deadline.since(runtime::now());
                match self.receive(missing_bytes, left, &|| true, false).await? {
                    Received::Bytes | Received::Stopped => {}
                    Received::End => return Err(ReceiveError::Broken),
                }
            }
            let before = runtime::now();
            if shares.is_empty() {
                shares.push(self.core.request_bytes.take(room_bytes).await);
            }
            let missing_bytes = whole_bytes - room_bytes;
            if missing_bytes == 0 {
                return Ok(shares);
            }
            let more_bytes = room_bytes.min(missing_bytes);
            if !is_beyond {
                shares.push(match self.core.request_bytes.try_take(more_bytes) {
                    Some(share) => share,
                    // All have a part, and nobody the whole: one after the other goes beyond.
                    None => {
                        is_beyond = true;
                        self.core.finishing.take(1).await
                    }
                });
            }
            room_bytes += more_bytes;
            // The client does not have to make up for our waiting.
            deadline = deadline + runtime::now().since(before);
        }
    }

    /// Receives once, with room for at least so much; between two requests it stops when the
    /// connection is to leave.
    async fn receive(
        &mut self,
        room_bytes: usize,
        patience: Duration,
        is_quiet: &impl Fn() -> bool,
        may_leave: bool,
    ) -> Result<Received, ReceiveError> {
        // Little more than has come is reserved, whatever a client announces.
        let room_bytes = room_bytes.min(RECEIVE_BYTES.max(self.buf.len()));
        if self.buf.capacity() - self.buf.len() < room_bytes {
            self.buf.reserve(room_bytes.max(RECEIVE_BYTES));
        }
        let stop = async {
            match may_leave {
                true => self.affinity.wished().await,
                false => std::future::pending().await,
            }
        };
        let buf = std::mem::take(&mut self.buf);
        let mut receiving = Box::pin(self.stream.receive_until(buf, stop));
        loop {
            match runtime::timeout(patience, receiving.as_mut()).await {
                Ok((received, buf)) => {
                    self.buf = buf;
                    return Ok(match received.map_err(|_| ReceiveError::Broken)? {
                        None => Received::Stopped,
                        Some(0) => Received::End,
                        Some(count) => {
                            self.core.counters.note_received(count);
                            Received::Bytes
                        }
                    });
                }
                Err(TimedOut) if is_quiet() => return Err(ReceiveError::Idle),
                // It waits for an answer of ours.
                Err(TimedOut) => {}
            }
        }
    }
}
