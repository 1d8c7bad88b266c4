//! Answers to a stream.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use runtime::TcpStream;
use runtime::sync::queue;
use wire::Piece;

use super::{Pending, transfer_time_max};
use crate::core::Core;
use crate::handlers::{Answer, Outcome};

/// Sends answers in order until the receiver has ended, or the client has.
pub(super) async fn run(
    core: Rc<Core>,
    stream: Rc<TcpStream>,
    mut pending: queue::Receiver<Pending>,
) {
    while let Some(Pending { outcome, _request, _counted }) = pending.receive().await {
        let answer = match outcome.await {
            Outcome::Send(answer) => answer,
            Outcome::Nothing => continue,
            Outcome::Close(reason) => {
                tracing::info!(reason, "a connection is closed");
                break;
            }
        };
        let size_bytes = answer.frame.size_bytes;
        core.counters.note_sent(size_bytes);
        // A client that does not read gives its memory back by being cut off.
        match runtime::timeout(transfer_time_max(size_bytes), send(&stream, answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(runtime::TimedOut) => break,
        }
    }
    // Wakes the receiver, if it is not the one who has ended.
    let _ = stream.shutdown().await;
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
