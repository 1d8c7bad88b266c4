//! TCP.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use crate::core::{now, sleep, submit, submit_detached};
use crate::file::{File, count, done};
use crate::op::{Completion, Fd, FileRange, Op, Output};

/// How long [`claim_port`] waits for a port: a killed broker's ring frees it a moment after the
/// process is gone.
const PORT_WAIT_MAX: Duration = Duration::from_secs(5);
const PORT_RETRY_EVERY: Duration = Duration::from_millis(20);

/// A socket that accepts connections.
#[derive(Debug)]
pub struct TcpListener {
    fd: Fd,
}

/// A connection. Nothing is delayed to be sent with more (TCP_NODELAY). It stays on its core, but
/// for [`TcpStream::into_moved`].
#[derive(Debug)]
pub struct TcpStream {
    fd: Fd,
    _of_core: PhantomData<*const ()>,
}

/// A connection on its way from one core to another of the same process. Dropped on a core, it is
/// closed.
#[derive(Debug)]
pub struct MovedStream {
    fd: Fd,
}

/// Makes sure that no other program listens on the port, and finds a free one where it is 0. The
/// cores then listen on the address that comes back, each for itself, by
/// [`TcpListener::bind_shared`]; without this call a second broker could join their group unnoticed.
pub async fn claim_port(address: SocketAddr) -> io::Result<SocketAddr> {
    let give_up = now() + PORT_WAIT_MAX;
    loop {
        match TcpListener::bind(address, false).await {
            Ok(listener) => {
                let address = listener.local_address().await?;
                listener.close().await?;
                return Ok(address);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && now() < give_up => {
                sleep(PORT_RETRY_EVERY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

impl TcpListener {
    /// Listens alone on an address.
    pub async fn bind_alone(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address, false).await
    }

    /// Listens on an address together with the other cores; the kernel spreads the connections
    /// (SO_REUSEPORT).
    pub async fn bind_shared(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address, true).await
    }

    async fn bind(address: SocketAddr, shared_port: bool) -> io::Result<TcpListener> {
        match submit(Op::Listen { address, shared_port }).await.result? {
            Output::Fd(fd) => Ok(TcpListener { fd }),
            other => unreachable!("listen yields a descriptor, not {other:?}"),
        }
    }

    /// The address in use, with the port that the kernel chose for port 0.
    pub async fn local_address(&self) -> io::Result<SocketAddr> {
        match submit(Op::LocalAddress { fd: self.fd }).await.result? {
            Output::Address(address) => Ok(address),
            other => unreachable!("yields an address, not {other:?}"),
        }
    }

    /// The next connection and who made it.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match submit(Op::Accept { fd: self.fd }).await.result? {
            Output::Accepted(fd, peer) => Ok((TcpStream::of(fd), peer)),
            other => unreachable!("accept yields a connection, not {other:?}"),
        }
    }

    /// Stops listening and waits until the port is free.
    pub async fn close(self) -> io::Result<()> {
        let fd = self.fd;
        std::mem::forget(self);
        submit(Op::Close { fd }).await.result.map(done)
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        submit_detached(Op::Close { fd: self.fd });
    }
}

impl TcpStream {
    const fn of(fd: Fd) -> TcpStream {
        TcpStream { fd, _of_core: PhantomData }
    }

    /// Gives the connection up, to go on with it on another core. Nothing may be under way on it:
    /// a receive that was dropped could still take bytes away, one that was ended by
    /// [`TcpStream::receive_until`] cannot.
    pub fn into_moved(self) -> MovedStream {
        let fd = self.fd;
        std::mem::forget(self);
        MovedStream { fd }
    }

    /// Connects to an address.
    pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        match submit(Op::Connect { address }).await.result? {
            Output::Fd(fd) => Ok(TcpStream::of(fd)),
            other => unreachable!("connect yields a descriptor, not {other:?}"),
        }
    }

    /// The number of its descriptor. The kernel gives the lowest one that is free, so all below it
    /// were in use.
    pub fn descriptor(&self) -> u64 {
        u64::try_from(self.fd.0).expect("a descriptor that was given is not negative")
    }

    /// Waits for bytes and appends them to the buffer, as many as fit into its spare capacity.
    /// Returns how many came, zero at the end of the stream, and the buffer.
    pub async fn receive(&self, buf: BytesMut) -> (io::Result<usize>, BytesMut) {
        assert!(buf.len() < buf.capacity(), "no room would look like the end of the stream");
        let Completion { op, result } = submit(Op::Receive { fd: self.fd, buf }).await;
        let Op::Receive { buf, .. } = op else { unreachable!("the operation comes back") };
        (result.map(count), buf)
    }

    /// Like [`TcpStream::receive`], but ends when `stop` is ready: then with nothing, or with the
    /// bytes that were faster. None is lost, and the machine has let go of the buffer.
    pub async fn receive_until(
        &self,
        buf: BytesMut,
        stop: impl Future<Output = ()>,
    ) -> (io::Result<Option<usize>>, BytesMut) {
        assert!(buf.len() < buf.capacity(), "no room would look like the end of the stream");
        let mut receiving = submit(Op::Receive { fd: self.fd, buf });
        let mut stop = pin!(stop);
        let mut is_stopped = false;
        let Completion { op, result } = poll_fn(|context| {
            let received = Pin::new(&mut receiving).poll(context);
            if received.is_pending() && !is_stopped && stop.as_mut().poll(context).is_ready() {
                is_stopped = true;
                receiving.cancel();
            }
            received
        })
        .await;
        let Op::Receive { buf, .. } = op else { unreachable!("the operation comes back") };
        let received = result.map(|output| match output {
            Output::Cancelled => None,
            output => Some(count(output)),
        });
        (received, buf)
    }

    /// Sends all pieces in order, without copying them together.
    pub async fn send_all(&self, pieces: Vec<Bytes>) -> io::Result<()> {
        let mut left = VecDeque::from(pieces);
        left.retain(|piece| !piece.is_empty());
        while !left.is_empty() {
            // Almost always the kernel takes everything at once.
            let pieces = left.iter().cloned().collect();
            let mut sent = count(submit(Op::Send { fd: self.fd, pieces }).await.result?);
            while let Some(first) = left.front_mut()
                && 0 < sent
            {
                let of_first = sent.min(first.len());
                first.advance(of_first);
                sent -= of_first;
                if first.is_empty() {
                    left.pop_front();
                }
            }
        }
        Ok(())
    }

    /// Sends a piece of a file from the page cache (sendfile(2)). The thread waits for pages that
    /// are not there: ask [`File::cached_bytes`] first.
    pub async fn send_file(
        &self,
        file: &File,
        mut position: u64,
        mut size_bytes: usize,
    ) -> io::Result<()> {
        while 0 < size_bytes {
            let range = FileRange { fd: file.fd(), position, size_bytes };
            match submit(Op::SendFile { socket: self.fd, range }).await.result.map(count) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(sent) => {
                    position += sent as u64;
                    size_bytes -= sent;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    submit(Op::Writable { fd: self.fd }).await.result.map(done)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends both directions, so that a task that waits on this connection sees its end.
    pub async fn shutdown(&self) -> io::Result<()> {
        submit(Op::Shutdown { fd: self.fd }).await.result.map(done)
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        submit_detached(Op::Close { fd: self.fd });
    }
}

impl MovedStream {
    /// Goes on with the connection on this core.
    pub fn arrive(self) -> TcpStream {
        let fd = self.fd;
        std::mem::forget(self);
        TcpStream::of(fd)
    }
}

impl Drop for MovedStream {
    fn drop(&mut self) {
        submit_detached(Op::Close { fd: self.fd });
    }
}
