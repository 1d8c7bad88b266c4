//! One client's connection to a sink: frames in, answers out.

use std::io;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use runtime::{TcpStream, sleep_until};
use wire::{FRAME_PREFIX_SIZE_BYTES, Piece, frame_size_bytes};

use super::broker::{Answer, Broker};

/// Received at a time, unless a frame is larger.
const RECEIVE_BYTES: usize = 256 << 10;
/// No request that the generator can make is larger.
const FRAME_BYTES_MAX: usize = 1 << 30;

/// Serves a client until it is gone, or sends what cannot be understood.
pub(super) async fn serve(broker: Rc<Broker>, stream: TcpStream) {
    // Whoever is served wrong finds the connection closed; there is nobody else to tell.
    let _ = serve_all(&broker, &stream).await;
}

async fn serve_all(broker: &Broker, stream: &TcpStream) -> io::Result<()> {
    let mut received = BytesMut::new();
    let mut answers: Vec<Bytes> = Vec::new();
    loop {
        while let Some(frame) = next_frame(&mut received)? {
            if let Some(until) = broker.stalls_until() {
                send(stream, &mut answers).await?;
                sleep_until(until).await;
            }
            match broker.answer(&frame)? {
                Answer::Now(frame) => answers.extend(frame.pieces.into_iter().map(in_memory)),
                Answer::None => {}
                Answer::Waits(fetch) => {
                    send(stream, &mut answers).await?;
                    let frame = broker.wait_for_records(fetch).await?;
                    answers.extend(frame.pieces.into_iter().map(in_memory));
                }
            }
        }
        send(stream, &mut answers).await?;
        received.reserve(RECEIVE_BYTES);
        let (count, buf) = stream.receive(received).await;
        received = buf;
        if count? == 0 {
            return Ok(());
        }
    }
}

async fn send(stream: &TcpStream, answers: &mut Vec<Bytes>) -> io::Result<()> {
    match answers.is_empty() {
        true => Ok(()),
        false => stream.send_all(std::mem::take(answers)).await,
    }
}

/// The next whole frame, without its size.
fn next_frame(received: &mut BytesMut) -> io::Result<Option<Bytes>> {
    let Some(prefix) = received.first_chunk() else { return Ok(None) };
    let size_bytes = frame_size_bytes(*prefix, FRAME_BYTES_MAX).map_err(io::Error::other)?;
    let whole_bytes = FRAME_PREFIX_SIZE_BYTES + size_bytes;
    if received.len() < whole_bytes {
        received.reserve(whole_bytes - received.len());
        return Ok(None);
    }
    let mut frame = received.split_to(whole_bytes).freeze();
    let _ = frame.split_to(FRAME_PREFIX_SIZE_BYTES);
    Ok(Some(frame))
}

fn in_memory(piece: Piece) -> Bytes {
    match piece {
        Piece::Bytes(bytes) => bytes,
        Piece::External { .. } => unreachable!("a sink has no files"),
    }
}
