//! One client's connection: requests in, answers out in the same order.
//!
//! ```text
//!  stream ─► Receiver ─► dispatch ─► queue of answers to come ─► Sender ─► stream
//!             frames     produces are appended here,  │  fetches wait here,
//!                        in the order of arrival      │  one at a time
//! ```
//!
//! Guarantees: answers in the order of the requests; a frame's memory is taken from the
//! connection's budget and the core's before it is received and given back with its answer; nothing that a client sends can do
//! more than end its own connection.

mod receiver;
mod sender;

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use runtime::TcpStream;
use runtime::sync::queue;

use crate::core::Core;
use crate::handlers::{self, Outcome};
use crate::metrics::Unanswered;
use receiver::{ReceiveError, Receiver, RequestMemory};

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

/// An answer to come, and the memory of its request.
struct Pending {
    outcome: Pin<Box<dyn Future<Output = Outcome>>>,
    _request: RequestMemory,
    _counted: Unanswered,
}

/// Serves a client until either side has enough.
pub(crate) async fn serve(core: Rc<Core>, stream: TcpStream, peer: SocketAddr) {
    let stream = Rc::new(stream);
    let (pending, to_send) = queue::bounded(core.config.connections.requests_max);
    let sending = runtime::spawn(sender::run(core.clone(), stream.clone(), to_send));
    // Aborted with this task, so that a connection is one thing to whoever ends it.
    let sending = AbortOnDrop(sending);
    let mut receiver = Receiver::new(core.clone(), stream.clone());
    let unanswered = Rc::new(Cell::new(0));
    let end = loop {
        let (frame, memory) = match receiver.next_frame(|| unanswered.get() == 0).await {
            Ok(received) => received,
            Err(end) => break end,
        };
        let counted = core.counters.begin_request(&unanswered);
        let outcome = match handlers::dispatch(&core, &frame).await {
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
    };
    tracing::debug!(%peer, ?end, "a connection has ended");
    drop(pending);
    if matches!(end, ReceiveError::End | ReceiveError::Refused) {
        // What was asked for before is still answered.
        let _ = runtime::timeout(LAST_ANSWERS_MAX, sending.finished()).await;
    }
    let _ = stream.shutdown().await;
}

struct AbortOnDrop(runtime::JoinHandle<()>);

impl AbortOnDrop {
    async fn finished(mut self) {
        (&mut self.0).await;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
