//! One client's connection: requests in, answers out in the same order.
//!
//! ```text
//!  stream ─► Receiver ─► dispatch ─► queue of answers to come ─► Sender ─► stream
//!             frames     produces are appended here,  │  fetches wait here,
//!                        in the order of arrival      │  one at a time
//! ```
//!
//! A connection whose partitions live on another core ([`Affinity`]) moves there between two requests:
//! nothing is read any more, everything is answered, and descriptor and bytes that have come already
//! go through the mesh. A core that is full or leaving sends it back.
//!
//! Guarantees: answers in the order of the requests; a frame's memory is taken from the
//! connection's budget and the core's before it is received and given back with its answer; a move
//! loses, repeats and reorders nothing; nothing that a client sends can do more than end its own
//! connection. Whoever produces when there is little room on the disk is read from more slowly (`disk`).

mod affinity;
mod receiver;
mod sender;

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use runtime::sync::queue;
use runtime::{CoreId, Instant, MovedStream, TcpStream};

use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;
use crate::disk::Rest;
use crate::handlers::{self, Outcome};
use crate::metrics::Unanswered;
use crate::quotas::Throttle;
pub(crate) use affinity::Affinity;
use receiver::{ReceiveError, Receiver, RequestMemory};
use sender::Sent;

/// The slowest at which a request may come and an answer may go, after a while of grace: whoever is
/// slower holds memory that others wait for.
const TRANSFER_BYTES_PER_SECOND_MIN: u64 = 256 << 10;
const TRANSFER_GRACE: Duration = Duration::from_secs(30);

/// How long a transfer may take.
fn transfer_time_max(size_bytes: usize) -> Duration {
    TRANSFER_GRACE + Duration::from_secs(size_bytes as u64 / TRANSFER_BYTES_PER_SECOND_MIN)
}

/// A client that has ended its side gets so long for its last answers.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(1);

/// A connection that is to leave waits so long for its answers, and reads nothing meanwhile; then it
/// stays. A fetch may wait for longer.
const LEAVE_MAX: Duration = Duration::from_secs(1);

/// An answer to come, and the memory of its request.
struct Pending {
    outcome: Pin<Box<dyn Future<Output = Outcome>>>,
    _request: RequestMemory,
    _counted: Unanswered,
}

/// Who sends requests, and what its connection is like.
pub(crate) struct Caller {
    pub(crate) peer: SocketAddr,
    pub(crate) affinity: Rc<Affinity>,
    pub(crate) rest: Rest,
    pub(crate) throttle: Rc<Throttle>,
}

/// A connection between two requests: everything before is answered, and nothing is under way.
pub(crate) struct Resting {
    stream: TcpStream,
    peer: SocketAddr,
    /// Of requests to come.
    received: BytesMut,
    /// When it came from another core, or was refused by one.
    moved: Option<Instant>,
}

/// A connection on its way to another core.
#[derive(Debug)]
pub(crate) struct MovedConnection {
    stream: MovedStream,
    peer: SocketAddr,
    received: BytesMut,
    moved: Instant,
}

/// Serves a client until either side has enough, here or on another core.
pub(crate) async fn serve(core: Rc<Core>, number: u64, mut connection: Resting) {
    while let Some((other, leaving)) = serve_until_it_leaves(&core, connection).await {
        match hand_over(&core, other, leaving).await {
            Some(refused) => connection = refused,
            None => break,
        }
    }
    core.forget_connection(number);
}

/// Serves a client until it is gone, or until its connection can go on on another core.
async fn serve_until_it_leaves(core: &Rc<Core>, connection: Resting) -> Option<(CoreId, Resting)> {
    let Resting { stream, peer, received, moved } = connection;
    let stream = Rc::new(stream);
    let caller = Caller {
        peer,
        affinity: Rc::new(Affinity::new(core.id, moved)),
        rest: Rest::default(),
        throttle: Rc::default(),
    };
    let affinity = &caller.affinity;
    let (pending, to_send) = queue::bounded(core.config.connections.requests_max);
    let sending = runtime::spawn(sender::run(core.clone(), stream.clone(), to_send));
    // Aborted with this task, so that a connection is one thing to whoever ends it.
    let sending = AbortOnDrop(sending);
    let mut receiver = Receiver::new(core.clone(), stream.clone(), affinity.clone(), received);
    let unanswered = Rc::new(Cell::new(0));
    let end = loop {
        let (frame, memory) = match receiver.next_frame(|| unanswered.get() == 0).await {
            Ok(received) => received,
            Err(ReceiveError::Leaves) => {
                let answered = runtime::timeout(LEAVE_MAX, receiver.all_answered()).await;
                if answered.is_ok() && affinity.may_leave(core) {
                    break ReceiveError::Leaves;
                }
                affinity.stay();
                continue;
            }
            Err(end) => break end,
        };
        let counted = core.counters.begin_request(&unanswered);
        caller.throttle.pass().await;
        let outcome = match handlers::dispatch(core, &caller, &frame).await {
            Ok(outcome) => outcome,
            Err(refused) => {
                if let Some(left_out) = core.lines.closed.admit() {
                    tracing::info!(%peer, %refused, left_out, "a connection is closed");
                }
                break ReceiveError::Refused;
            }
        };
        drop(frame);
        let answer = Pending { outcome, _request: memory, _counted: counted };
        if pending.send(answer).await.is_err() {
            break ReceiveError::Refused;
        }
        caller.rest.take(core).await;
    };
    drop(pending);
    match end {
        ReceiveError::Leaves => {
            if let Sent::All = sending.finished().await {
                let other = affinity.wish().expect("it leaves because of it");
                let received = receiver.into_received();
                let stream = Rc::try_unwrap(stream).expect("receiver and sender have ended");
                return Some((other, Resting { stream, peer, received, moved }));
            }
        }
        ReceiveError::End | ReceiveError::Refused => {
            // What was asked for before is still answered.
            let _ = runtime::timeout(LAST_ANSWERS_MAX, sending.finished()).await;
        }
        ReceiveError::Broken | ReceiveError::Idle => {}
    }
    tracing::debug!(%peer, ?end, "a connection has ended");
    let _ = stream.shutdown().await;
    None
}

/// Gives a connection to another core. It comes back if that one does not take it.
async fn hand_over(core: &Core, other: CoreId, connection: Resting) -> Option<Resting> {
    let Resting { stream, peer, received, .. } = connection;
    let (stream, moved) = (stream.into_moved(), runtime::now());
    let connection = MovedConnection { stream, peer, received, moved };
    match core.call(other, CoreRequest::TakeConnection(Box::new(connection))).await {
        CoreAnswer::Connection(Ok(())) => {
            tracing::debug!(%peer, %other, "a connection has moved");
            core.counters.note_moved_out();
            None
        }
        CoreAnswer::Connection(Err(refused)) => Some(refused.arrive()),
        // The broker is stopping, and has closed it.
        CoreAnswer::Failed(_) => None,
        answer => unreachable!("not an answer to this: {answer:?}"),
    }
}

impl Resting {
    /// A new connection.
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr) -> Resting {
        Resting { stream, peer, received: BytesMut::new(), moved: None }
    }
}

impl MovedConnection {
    /// Goes on with it on this core.
    pub(crate) fn arrive(self) -> Resting {
        let MovedConnection { stream, peer, received, moved } = self;
        Resting { stream: stream.arrive(), peer, received, moved: Some(moved) }
    }
}

struct AbortOnDrop(runtime::JoinHandle<Sent>);

impl AbortOnDrop {
    async fn finished(mut self) -> Sent {
        (&mut self.0).await
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
