//! Sockets.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use runtime::{
    File, OpenOptions, TcpListener, TcpStream, WriteMode, sleep, spawn, timeout, with_rng,
};

use super::on_both_machines;

const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind_alone(SocketAddr::from(LOOPBACK)).await.unwrap();
    let address = listener.local_address().await.unwrap();
    let accepted = spawn(async move { listener.accept().await.unwrap().0 });
    let connected = TcpStream::connect(address).await.unwrap();
    (connected, accepted.await)
}

async fn receive_all(stream: &TcpStream) -> BytesMut {
    let mut received = BytesMut::new();
    loop {
        received.reserve(65_536);
        let (result, buf) = stream.receive(received).await;
        received = buf;
        if result.unwrap() == 0 {
            return received;
        }
    }
}

#[test]
fn bytes_arrive_whole_and_in_order_whatever_the_pieces() {
    on_both_machines(|_| async {
        let (sender, receiver) = pair().await;
        // More pieces than one call takes, of all sizes, some empty.
        let pieces: Vec<Bytes> = (0..2000u32)
            .map(|n| Bytes::from(vec![n.to_le_bytes()[0]; n as usize * 7 % 3001]))
            .collect();
        let expected: Vec<u8> = pieces.concat();
        spawn(async move { sender.send_all(pieces).await.unwrap() });
        assert_eq!(receive_all(&receiver).await, expected);
    });
}

#[test]
fn a_file_is_sent_at_the_pace_of_its_reader() {
    on_both_machines(|directory| async move {
        let file = File::open(directory.join("file"), OpenOptions::CREATE).await.unwrap();
        let data = Bytes::from((0..4 << 20).map(|n: u32| n.to_le_bytes()[2]).collect::<Vec<u8>>());
        file.write_all_at(data.clone(), 0, WriteMode::Cached).await.unwrap();
        let (sender, receiver) = pair().await;
        // Three times as much as a socket's buffers hold.
        let sending = spawn(async move {
            for _ in 0..3 {
                sender.send_file(&file, 100, (4 << 20) - 100).await.unwrap();
            }
            // The socket still works as before.
            sender.send_all(vec![Bytes::from_static(b"end")]).await.unwrap();
        });
        let received = receive_all(&receiver).await;
        sending.await;
        assert_eq!(received.len(), 3 * ((4 << 20) - 100) + 3);
        assert_eq!(received[..(4 << 20) - 100], data[100..]);
        assert_eq!(received[received.len() - 3..], b"end"[..]);
    });
}

#[test]
fn a_dropped_receive_loses_no_bytes_of_the_next() {
    on_both_machines(|_| async {
        let (sender, receiver) = pair().await;
        for _ in 0..20 {
            let waiting = receiver.receive(BytesMut::with_capacity(100));
            assert!(timeout(Duration::from_micros(50), waiting).await.is_err());
        }
        sender.send_all(vec![Bytes::from_static(b"abc")]).await.unwrap();
        drop(sender);
        assert_eq!(receive_all(&receiver).await, b"abc"[..]);
    });
}

#[test]
fn a_receive_that_is_stopped_at_any_moment_loses_and_repeats_no_byte() {
    on_both_machines(|_| async {
        const SIZE_BYTES: usize = 100_000;
        let (sender, receiver) = pair().await;
        let expected: Vec<u8> =
            (0..SIZE_BYTES).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let data = Bytes::from(expected.clone());
        spawn(async move {
            for at in (0..SIZE_BYTES).step_by(500) {
                sender.send_all(vec![data.slice(at..at + 500)]).await.unwrap();
                sleep(Duration::from_micros(with_rng(|rng| rng.below(100)))).await;
            }
        });
        let (mut stopped_count, mut received_count) = (0, 0);
        let mut received = BytesMut::new();
        loop {
            received.reserve(300);
            let before = received.len();
            let patience = Duration::from_micros(with_rng(|rng| rng.below(120)));
            let (result, buf) = receiver.receive_until(received, sleep(patience)).await;
            received = buf;
            match result.unwrap() {
                None => {
                    assert_eq!(received.len(), before, "nothing came");
                    stopped_count += 1;
                }
                Some(0) => break,
                Some(count) => {
                    assert_eq!(received.len(), before + count);
                    received_count += 1;
                }
            }
        }
        assert!(received == expected, "a byte is lost or repeated");
        assert!(0 < stopped_count && 0 < received_count, "both happen: {stopped_count}");
    });
}

#[test]
fn a_receive_that_is_stopped_in_advance_takes_at_most_what_was_there() {
    on_both_machines(|_| async {
        let (sender, receiver) = pair().await;
        for _ in 0..20 {
            let buf = BytesMut::with_capacity(100);
            let (result, buf) = receiver.receive_until(buf, std::future::ready(())).await;
            assert!(result.unwrap().is_none() && buf.is_empty());
        }
        sender.send_all(vec![Bytes::from_static(b"abc")]).await.unwrap();
        drop(sender);
        assert_eq!(receive_all(&receiver).await, b"abc"[..]);
    });
}

#[test]
fn a_shutdown_ends_the_wait_of_both_sides() {
    on_both_machines(|_| async {
        let (here, there) = pair().await;
        let waiting = spawn(async move { there.receive(BytesMut::with_capacity(1)).await.0 });
        here.shutdown().await.unwrap();
        assert_eq!(waiting.await.unwrap(), 0);
        let (result, _) = here.receive(BytesMut::with_capacity(1)).await;
        assert_eq!(result.unwrap(), 0);
        let sent = here.send_all(vec![Bytes::from_static(b"x")]).await;
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn nobody_listens() {
    on_both_machines(|_| async {
        let free = runtime::claim_port(SocketAddr::from(LOOPBACK)).await.unwrap();
        let refused = TcpStream::connect(free).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_second_broker_does_not_join_the_first_ones_port() {
    on_both_machines(|_| async {
        let address = runtime::claim_port(SocketAddr::from(LOOPBACK)).await.unwrap();
        let _first = TcpListener::bind_shared(address).await.unwrap();
        let _second = TcpListener::bind_shared(address).await.unwrap();
        let taken = runtime::claim_port(address).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    });
}
