//! Answers to a stream.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use runtime::TcpStream;
use runtime::sync::queue;
use wire::Piece;

use super::{Pending, TRANSFER_GRACE, transfer_time_max};
use crate::core::Core;
use crate::handlers::{Answer, Outcome};

/// How often it is looked at what is being sent.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// In place of [`TRANSFER_GRACE`] when memory for answers has run out.
const GRACE_WHEN_WAITED_FOR: Duration = Duration::from_secs(2);

/// How the sending has ended.
#[derive(Debug)]
pub(super) enum Sent {
    /// Every answer is sent.
    All,
    /// The connection has been ended, with answers left.
    Broken,
}

/// Sends answers in order until the receiver has ended, or the client has.
pub(super) async fn run(
    core: Rc<Core>,
    stream: Rc<TcpStream>,
    mut pending: queue::Receiver<Pending>,
) -> Sent {
    while let Some(Pending { outcome, _request, _counted }) = pending.receive().await {
        let answer = match outcome.await {
            Outcome::Send(answer) => answer,
            Outcome::Nothing => continue,
            Outcome::Close(reason) => {
                if let Some(left_out) = core.lines.closed.admit() {
                    tracing::info!(reason, left_out, "a connection is closed");
                }
                return broken(&stream).await;
            }
        };
        let size_bytes = answer.frame.size_bytes;
        core.counters.note_sent(size_bytes);
        if !send_in_time(&core, size_bytes, send(&stream, answer)).await {
            return broken(&stream).await;
        }
    }
    Sent::All
}

/// Wakes the receiver, which may wait for more.
async fn broken(stream: &TcpStream) -> Sent {
    let _ = stream.shutdown().await;
    Sent::Broken
}

/// A client that does not read gives its memory back by being cut off: sooner when others wait for
/// it. False if it was, or has gone.
async fn send_in_time(
    core: &Core,
    size_bytes: usize,
    sending: impl Future<Output = io::Result<()>>,
) -> bool {
    let begun = runtime::now();
    let mut sending = pin!(sending);
    loop {
        if let Ok(sent) = runtime::timeout(LOOK_EVERY, sending.as_mut()).await {
            return sent.is_ok();
        }
        let time_max = match core.fetch_bytes.is_waited_for() {
            true => transfer_time_max(size_bytes) - TRANSFER_GRACE + GRACE_WHEN_WAITED_FOR,
            false => transfer_time_max(size_bytes),
        };
        if begun + time_max <= runtime::now() {
            return false;
        }
    }
}

async fn send(stream: &TcpStream, answer: Answer) -> io::Result<()> {
    let Answer { frame, files, _memory } = answer;
    let mut in_memory: Vec<Bytes> = Vec::with_capacity(frame.pieces.len());
    for piece in frame.pieces {
        match piece {
            Piece::Bytes(bytes) => in_memory.push(bytes),
            Piece::External { token, size_bytes } => {
                stream.send_all(std::mem::take(&mut in_memory)).await?;
                let index = usize::try_from(token).expect("an index of ours");
                let slice = &files[index];
                assert_eq!(slice.size_bytes, size_bytes, "a piece is sent whole");
                stream.send_file(&slice.file, slice.position, slice.size_bytes).await?;
            }
        }
    }
    stream.send_all(in_memory).await
}
