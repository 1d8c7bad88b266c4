//! One connection to one broker: typed requests go out one after the other without waiting, answers
//! come back in the same order.
//!
//! Guarantees: requests leave in the order in which they were started; each answer reaches whoever
//! asked; at most `in_flight_max` requests wait for one; a request that is not answered in time
//! ends the connection, as Kafka answers in order and so could not answer the next one either.
//! Does not know: leaders, retries. Lives on: one core; clones are handles of the same connection,
//! and the last one to be dropped closes it.

mod negotiate;
mod transport;

use core::net::SocketAddr;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use runtime::sync::oneshot;
use runtime::{Instant, JoinHandle, TcpStream, spawn, timeout};
use wire::{ApiKey, RequestMessage, ResponseMessage, Text, decode_response};

use crate::error::{CallError, ConnectError, ConnectionEnd, ms};
use negotiate::Negotiated;
use transport::{Raw, Transport};

/// How a connection behaves.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// What the client calls itself in every request.
    pub client_id: Text,
    /// Requests that may wait for an answer, or to be written if they get none.
    pub in_flight_max: usize,
    /// From the start of a request to its answer. Judged an eighth of it late at most.
    pub request_timeout: Duration,
    pub connect_timeout: Duration,
    /// Of an answer; larger ones end the connection.
    pub frame_size_bytes_max: usize,
}

impl ConnectionOptions {
    /// What suits most uses: five requests in flight and half a minute, as Kafka's own clients.
    pub fn new(client_id: Text) -> ConnectionOptions {
        ConnectionOptions {
            client_id,
            in_flight_max: 5,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            frame_size_bytes_max: 128 << 20,
        }
    }
}

/// A connection to a broker, negotiated and ready. Clones share it.
#[derive(Clone)]
pub struct Connection {
    inner: Rc<Inner>,
}

struct Inner {
    transport: Rc<Transport>,
    versions: Negotiated,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.transport.end(ConnectionEnd::Dropped);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Connection {
    /// Connects, and agrees with the broker on a version of every API.
    pub async fn connect(
        address: SocketAddr,
        options: ConnectionOptions,
    ) -> Result<Connection, ConnectError> {
        let connected = timeout(options.connect_timeout, TcpStream::connect(address)).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(ConnectError::Refused { address, source }),
            Err(runtime::TimedOut) => {
                let waited_ms = ms(options.connect_timeout);
                return Err(ConnectError::TimedOut { address, waited_ms });
            }
        };
        let (transport, outgoing) = Transport::new(stream, options);
        let mut inner = Inner {
            tasks: vec![
                spawn(transport::write(transport.clone(), outgoing)),
                spawn(transport::read(transport.clone())),
                spawn(transport::watch(transport.clone())),
            ],
            transport,
            versions: Negotiated::default(),
        };
        inner.versions = negotiate::negotiate(&inner.transport, address).await?;
        Ok(Connection { inner: Rc::new(inner) })
    }

    /// The version at which requests of this API are sent: the latest that both sides speak.
    pub fn version(&self, api_key: ApiKey) -> Result<i16, CallError> {
        self.inner.versions.version(api_key)
    }

    /// Starts a request and does not wait for anything, not even for it to be written.
    pub fn start<R: RequestMessage>(&self, request: &R) -> Result<Answer<R::Response>, CallError> {
        self.start_up_to(i16::MAX, request)
    }

    /// As [`start`](Self::start), at a version that is not above `version_max`.
    pub fn start_up_to<R: RequestMessage>(
        &self,
        version_max: i16,
        request: &R,
    ) -> Result<Answer<R::Response>, CallError> {
        let version = self.version(R::API)?.min(version_max);
        let room = self.inner.transport.try_room()?;
        let reply = self.inner.transport.start(version, request, room)?;
        Ok(Answer { reply, version, response: PhantomData })
    }

    /// Asks and waits for the answer; first of all, if need be, for room in flight.
    pub async fn call<R: RequestMessage>(&self, request: &R) -> Result<R::Response, CallError> {
        let version = self.version(R::API)?;
        let room = self.inner.transport.room().await;
        let reply = self.inner.transport.start(version, request, room)?;
        let answer: Answer<R::Response> = Answer { reply, version, response: PhantomData };
        Ok(answer.await?.response)
    }

    /// Starts a request that gets no answer, as a produce request with acks=0.
    pub fn post<R: RequestMessage>(&self, request: &R) -> Result<Written, CallError> {
        let version = self.version(R::API)?;
        let room = self.inner.transport.try_room()?;
        let written = self.inner.transport.post(version, request, room)?;
        Ok(Written { written })
    }

    /// Bytes of requests that have been started and that the kernel has not taken yet.
    pub fn unsent_bytes(&self) -> usize {
        self.inner.transport.unsent_bytes()
    }

    /// Why the connection has ended, if it has.
    pub fn end(&self) -> Option<ConnectionEnd> {
        self.inner.transport.ended()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("end", &self.end()).finish_non_exhaustive()
    }
}

/// An answer, and when things happened to its request.
#[derive(Clone, Debug)]
pub struct Answered<R> {
    pub response: R,
    /// When the first of the request's bytes were offered to the kernel.
    pub begun_at: Instant,
    /// When the kernel had taken the last of them. If the answer came before that was known, then
    /// `begun_at`: the broker is never made to look faster than it was.
    pub written_at: Instant,
    /// When the answer's last bytes came out of the kernel.
    pub answered_at: Instant,
}

/// An answer to come. Dropping it does not unsend the request.
#[derive(Debug)]
pub struct Answer<R> {
    reply: oneshot::Receiver<Result<Raw, ConnectionEnd>>,
    version: i16,
    response: PhantomData<fn() -> R>,
}

impl<R: ResponseMessage> Future for Answer<R> {
    type Output = Result<Answered<R>, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let replied = ready!(Pin::new(&mut self.reply).poll(context));
        // The transport is dropped with the last handle; an answer may outlive that.
        let raw = replied.unwrap_or(Err(ConnectionEnd::Dropped))?;
        let decoded = decode_response::<R>(self.version, &raw.frame);
        let (_, response) = decoded.map_err(CallError::Decode)?;
        let Raw { begun_at, written_at, answered_at, .. } = raw;
        Poll::Ready(Ok(Answered { response, begun_at, written_at, answered_at }))
    }
}

/// When the kernel had taken all bytes of a request without an answer: to come.
#[derive(Debug)]
pub struct Written {
    written: oneshot::Receiver<Result<transport::Sent, ConnectionEnd>>,
}

impl Future for Written {
    /// When the first bytes were offered to the kernel, and when it had taken the last.
    type Output = Result<(Instant, Instant), CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let written = ready!(Pin::new(&mut self.written).poll(context));
        let sent = written.unwrap_or(Err(ConnectionEnd::Dropped))?;
        Poll::Ready(Ok((sent.begun_at, sent.written_at)))
    }
}

#[cfg(test)]
mod tests;
