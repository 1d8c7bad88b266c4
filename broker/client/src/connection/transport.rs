//! The two directions of a connection: frames out in order, frames in and to whom they belong.
//!
//! Three tasks share it: one writes what has been started, several frames in one call where they
//! have piled up; one reads and hands out; one watches the clock.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use runtime::sync::budget::{Budget, Share};
use runtime::sync::{oneshot, queue};
use runtime::{Instant, TcpStream, now, sleep};
use wire::{
    ApiKey, DecodeFault, FRAME_PREFIX_SIZE_BYTES, FieldError, Frame, Piece, RequestMessage,
    encode_request, frame_size_bytes,
};

use super::ConnectionOptions;
use crate::error::{CallError, ConnectionEnd, ms};

/// Frames are gathered up to this size before they are written: large enough to save calls, small
/// enough that "written" is known soon.
const SEND_SIZE_BYTES_MAX: usize = 256 << 10;
/// Room to read into where it is not known how much will come.
const RECEIVE_SIZE_BYTES_MIN: usize = 64 << 10;

/// An answer as it came, and when.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) frame: Bytes,
    pub(super) begun_at: Instant,
    pub(super) written_at: Instant,
    pub(super) answered_at: Instant,
}

/// When a frame without an answer was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) begun_at: Instant,
    pub(super) written_at: Instant,
}

/// What is known about the sending of one frame, by the one who waits for its answer.
#[derive(Debug, Default)]
struct Progress {
    begun_at: Cell<Option<Instant>>,
    written_at: Cell<Option<Instant>>,
}

/// A frame to be written.
#[derive(Debug)]
pub(super) struct Outgoing {
    frame: Frame,
    progress: Rc<Progress>,
    /// For a frame without an answer: whom to tell, and its room in flight.
    posted: Option<(oneshot::Sender<Result<Sent, ConnectionEnd>>, Share)>,
}

/// Somebody who waits for an answer.
#[derive(Debug)]
struct Waiting {
    correlation_id: i32,
    api_key: ApiKey,
    started_at: Instant,
    progress: Rc<Progress>,
    reply: oneshot::Sender<Result<Raw, ConnectionEnd>>,
    _room: Share,
}

pub(super) struct Transport {
    stream: TcpStream,
    options: ConnectionOptions,
    room: Budget,
    /// Never full: every frame in it has its room in flight.
    outgoing: queue::Sender<Outgoing>,
    unsent_bytes: Cell<usize>,
    next_correlation_id: Cell<i32>,
    /// In the order of the frames.
    waiting: RefCell<VecDeque<Waiting>>,
    ended: Cell<Option<ConnectionEnd>>,
}

impl Transport {
    pub(super) fn new(
        stream: TcpStream,
        options: ConnectionOptions,
    ) -> (Rc<Transport>, queue::Receiver<Outgoing>) {
        let (outgoing, receiver) = queue::bounded(options.in_flight_max);
        let transport = Transport {
            stream,
            room: Budget::new(options.in_flight_max),
            options,
            outgoing,
            unsent_bytes: Cell::new(0),
            next_correlation_id: Cell::new(0),
            waiting: RefCell::new(VecDeque::new()),
            ended: Cell::new(None),
        };
        (Rc::new(transport), receiver)
    }

    pub(super) fn try_room(&self) -> Result<Share, CallError> {
        let in_flight_max = self.options.in_flight_max;
        self.room.try_take(1).ok_or(CallError::Busy { in_flight_max })
    }

    pub(super) async fn room(&self) -> Share {
        self.room.take(1).await
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        self.unsent_bytes.get()
    }

    pub(super) fn ended(&self) -> Option<ConnectionEnd> {
        self.ended.get()
    }

    /// Puts a request in line and returns where its answer will come.
    pub(super) fn start<R: RequestMessage>(
        &self,
        version: i16,
        request: &R,
        room: Share,
    ) -> Result<oneshot::Receiver<Result<Raw, ConnectionEnd>>, CallError> {
        let (correlation_id, frame) = self.encode(version, request)?;
        let progress = Rc::new(Progress::default());
        self.push(Outgoing { frame, progress: progress.clone(), posted: None });
        let (reply, receiver) = oneshot::channel();
        let (api_key, started_at) = (R::API, now());
        let waiting = Waiting { correlation_id, api_key, started_at, progress, reply, _room: room };
        self.waiting.borrow_mut().push_back(waiting);
        Ok(receiver)
    }

    /// Puts a request without an answer in line and returns where it is told that it is written.
    pub(super) fn post<R: RequestMessage>(
        &self,
        version: i16,
        request: &R,
        room: Share,
    ) -> Result<oneshot::Receiver<Result<Sent, ConnectionEnd>>, CallError> {
        let (_, frame) = self.encode(version, request)?;
        let (sender, receiver) = oneshot::channel();
        let progress = Rc::new(Progress::default());
        self.push(Outgoing { frame, progress, posted: Some((sender, room)) });
        Ok(receiver)
    }

    fn encode<R: RequestMessage>(
        &self,
        version: i16,
        request: &R,
    ) -> Result<(i32, Frame), CallError> {
        if let Some(end) = self.ended.get() {
            return Err(end.into());
        }
        let correlation_id = self.next_correlation_id.get();
        let client_id = Some(self.options.client_id.clone());
        let frame = encode_request(version, correlation_id, client_id, request)
            .map_err(CallError::Encode)?;
        self.next_correlation_id.set(correlation_id.wrapping_add(1) & i32::MAX);
        Ok((correlation_id, frame))
    }

    fn push(&self, outgoing: Outgoing) {
        self.unsent_bytes.set(self.unsent_bytes.get() + outgoing.frame.size_bytes);
        // The writer may just have ended; then `end` answers for everybody.
        if let Err(queue::SendError::Full(_)) = self.outgoing.try_send(outgoing) {
            unreachable!("the queue is as long as requests in flight are allowed");
        }
    }

    /// Hands a frame to whoever is first in line.
    fn answer(&self, frame: Bytes, answered_at: Instant) -> Result<(), ConnectionEnd> {
        let found = correlation_id_of(&frame)?;
        let first = self.waiting.borrow_mut().pop_front();
        let Some(waiting) = first else { return Err(ConnectionEnd::Unasked { found }) };
        let expected = waiting.correlation_id;
        if found != expected {
            self.waiting.borrow_mut().push_front(waiting);
            return Err(ConnectionEnd::WrongAnswer { expected, found });
        }
        let Progress { begun_at, written_at } = &*waiting.progress;
        let begun_at = begun_at.get().unwrap_or(answered_at);
        let written_at = written_at.get().unwrap_or(begun_at);
        waiting.reply.send(Ok(Raw { frame, begun_at, written_at, answered_at }));
        Ok(())
    }

    /// Ends the connection, once: tells everybody who waits, and both directions.
    pub(super) fn end(&self, end: ConnectionEnd) {
        if self.ended.get().is_some() {
            return;
        }
        self.ended.set(Some(end));
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        for waiting in waiting {
            waiting.reply.send(Err(end));
        }
    }
}

/// Writes what has been started, until the connection ends.
pub(super) async fn write(transport: Rc<Transport>, mut outgoing: queue::Receiver<Outgoing>) {
    while let Some(first) = outgoing.receive().await {
        let mut size_bytes = first.frame.size_bytes;
        let mut group = vec![first];
        while size_bytes < SEND_SIZE_BYTES_MAX
            && let Some(next) = outgoing.try_receive()
        {
            size_bytes += next.frame.size_bytes;
            group.push(next);
        }
        let sent = send(&transport, &mut group).await;
        transport.unsent_bytes.set(transport.unsent_bytes.get() - size_bytes);
        for Outgoing { posted, .. } in group {
            if let Some((sender, _room)) = posted {
                sender.send(sent);
            }
        }
        if let Err(end) = sent {
            return close(&transport, end, &mut outgoing).await;
        }
    }
}

async fn send(transport: &Transport, group: &mut [Outgoing]) -> Result<Sent, ConnectionEnd> {
    // The reader may have met the end first.
    if let Some(end) = transport.ended.get() {
        return Err(end);
    }
    let begun_at = now();
    let mut pieces = Vec::with_capacity(group.len() * 2);
    for Outgoing { frame, progress, .. } in &mut *group {
        progress.begun_at.set(Some(begun_at));
        pieces.extend(frame.pieces.drain(..).map(|piece| match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::External { .. } => unreachable!("requests have no external pieces"),
        }));
    }
    let sent = transport.stream.send_all(pieces).await;
    sent.map_err(|error| ConnectionEnd::Failed(error.kind()))?;
    let written_at = now();
    for Outgoing { progress, .. } in group {
        progress.written_at.set(Some(written_at));
    }
    Ok(Sent { begun_at, written_at })
}

/// Ends the connection after a failed write, also for frames that were never tried.
async fn close(
    transport: &Transport,
    end: ConnectionEnd,
    outgoing: &mut queue::Receiver<Outgoing>,
) {
    transport.end(end);
    while let Some(Outgoing { posted, .. }) = outgoing.try_receive() {
        if let Some((sender, _room)) = posted {
            sender.send(Err(end));
        }
    }
    // So that the reader sees the end, too. If that fails, it is already there.
    let _ = transport.stream.shutdown().await;
}

/// Reads answers and hands them out, until the connection ends.
pub(super) async fn read(transport: Rc<Transport>) {
    let mut received = BytesMut::new();
    let end = loop {
        received.reserve(missing_bytes(&received).max(RECEIVE_SIZE_BYTES_MIN));
        let (result, buf) = transport.stream.receive(received).await;
        received = buf;
        match result {
            Ok(0) => break ConnectionEnd::ClosedByBroker,
            Ok(_) => {}
            Err(error) => break ConnectionEnd::Failed(error.kind()),
        }
        if let Err(end) = hand_out(&transport, &mut received) {
            break end;
        }
    };
    transport.end(end);
    // So that a writer that waits for room in the socket ends as well.
    let _ = transport.stream.shutdown().await;
}

/// Hands out all frames that are whole.
fn hand_out(transport: &Transport, received: &mut BytesMut) -> Result<(), ConnectionEnd> {
    let answered_at = now();
    let size_bytes_max = transport.options.frame_size_bytes_max;
    while let Some(prefix) = received.first_chunk() {
        let size_bytes =
            frame_size_bytes(*prefix, size_bytes_max).map_err(ConnectionEnd::BadFrame)?;
        if received.len() < FRAME_PREFIX_SIZE_BYTES + size_bytes {
            return Ok(());
        }
        received.advance(FRAME_PREFIX_SIZE_BYTES);
        transport.answer(received.split_to(size_bytes).freeze(), answered_at)?;
    }
    Ok(())
}

/// What the frame that has begun still lacks. Its size has been checked, or is not known yet.
fn missing_bytes(received: &BytesMut) -> usize {
    let Some(prefix) = received.first_chunk() else { return 0 };
    let size_bytes = frame_size_bytes(*prefix, usize::MAX).unwrap_or(0);
    (FRAME_PREFIX_SIZE_BYTES + size_bytes).saturating_sub(received.len())
}

fn correlation_id_of(frame: &Bytes) -> Result<i32, ConnectionEnd> {
    match frame.first_chunk() {
        Some(bytes) => Ok(i32::from_be_bytes(*bytes)),
        None => {
            let fault = DecodeFault::Truncated { needed_bytes: 4, remaining_bytes: frame.len() };
            let error = FieldError { field: "ResponseHeader.correlation_id", fault };
            Err(ConnectionEnd::BadFrame(error.into()))
        }
    }
}

/// Ends the connection when its oldest request has waited too long.
pub(super) async fn watch(transport: Rc<Transport>) {
    let allowed = transport.options.request_timeout;
    loop {
        sleep(allowed / 8).await;
        let late = transport.waiting.borrow().front().and_then(|first| {
            let waited = now().since(first.started_at);
            (allowed <= waited).then_some((first.api_key, waited))
        });
        if let Some((api_key, waited)) = late {
            transport.end(ConnectionEnd::TimedOut { api_key, waited_ms: ms(waited) });
            let _ = transport.stream.shutdown().await;
            return;
        }
    }
}
