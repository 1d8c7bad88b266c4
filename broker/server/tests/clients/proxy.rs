//! Stands between clients and a broker and knows which Produce requests have no answer yet. It can
//! keep answers from clients; what it passes on it does not change.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

const PRODUCE: i16 = 0;

/// The proxy, which serves until the tests end.
pub(crate) struct Proxy {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    connections: usize,
    /// Produce requests that were given to the broker whole, and whose connection has ended before
    /// their answer came.
    unanswered: usize,
    /// Whether answers to Produce requests, and what comes after them, are kept from clients.
    is_withholding: bool,
    withheld: usize,
}

impl Proxy {
    pub(crate) fn start(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let shared = counts.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // While the broker is away, clients find out at once.
                let Ok(server) = TcpStream::connect(upstream) else { continue };
                let counts = shared.clone();
                counts.update(|inner| inner.connections += 1);
                std::thread::spawn(move || {
                    let unanswered = serve(&client, &server, &counts);
                    counts.update(|inner| {
                        inner.connections -= 1;
                        inner.unanswered += unanswered;
                    });
                });
            }
        });
        Proxy { address, counts }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until all connections have ended, and takes the number of Produce requests that are
    /// without an answer for ever.
    pub(crate) fn take_unanswered(&self, limit: Duration) -> usize {
        let inner = self.counts.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            self.counts.changed.wait_timeout_while(inner, limit, |inner| 0 < inner.connections);
        let (mut inner, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "connections end with the broker");
        std::mem::take(&mut inner.unanswered)
    }

    /// Keeps answers to Produce requests from clients, and waits until there is one: what the broker
    /// has acknowledged and nobody knows.
    pub(crate) fn withhold(&self, limit: Duration) {
        self.counts.update(|inner| inner.is_withholding = true);
        let inner = self.counts.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            self.counts.changed.wait_timeout_while(inner, limit, |inner| inner.withheld == 0);
        assert!(!waited.unwrap().1.timed_out(), "clients produce");
    }

    /// Passes on everything again. Of a connection that has lost an answer, nothing is passed on
    /// until it ends.
    pub(crate) fn pass(&self) {
        self.counts.update(|inner| {
            inner.is_withholding = false;
            inner.withheld = 0;
        });
    }
}

impl Counts {
    fn update(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Whether an answer to a Produce request is to be kept from its client.
    fn withholds(&self) -> bool {
        let mut is_withholding = false;
        self.update(|inner| {
            is_withholding = inner.is_withholding;
            inner.withheld += usize::from(is_withholding);
        });
        is_withholding
    }
}

/// Serves one connection to its end and gives the number of Produce requests that remain.
fn serve(client: &TcpStream, server: &TcpStream, counts: &Counts) -> usize {
    let waiting = Mutex::new(BTreeSet::new());
    let lock = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        let requests = scope.spawn(|| {
            while let Some(request) = read_frame(client) {
                if i16::from_be_bytes([request[4], request[5]]) == PRODUCE {
                    lock().insert(request[8..12].to_owned());
                }
                if write(server, &request).is_none() {
                    break;
                }
            }
            close(client, server);
        });
        let mut is_withholding = false;
        while let Some(response) = read_frame(server) {
            let is_produce = lock().contains(&response[4..8]);
            // Answers come in order: behind one that is missing there are none.
            is_withholding = is_withholding || is_produce && counts.withholds();
            if is_withholding {
                continue;
            }
            lock().remove(&response[4..8]);
            if write(client, &response).is_none() {
                break;
            }
        }
        close(client, server);
        requests.join().expect("it does not panic");
    });
    waiting.into_inner().unwrap_or_else(PoisonError::into_inner).len()
}

/// A frame with its size in front. None at the end of the connection, whatever it is.
fn read_frame(mut from: &TcpStream) -> Option<Vec<u8>> {
    let mut size = [0; 4];
    from.read_exact(&mut size).ok()?;
    let mut frame = size.to_vec();
    frame.resize(4 + usize::try_from(i32::from_be_bytes(size)).ok()?, 0);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

fn write(mut to: &TcpStream, frame: &[u8]) -> Option<()> {
    to.write_all(frame).ok()
}

fn close(one: &TcpStream, other: &TcpStream) {
    // Fails where it is closed.
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}
