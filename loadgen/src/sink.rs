//! A broker that accepts everything and acknowledges it at once, in the generator's own process.
//!
//! What is measured against it is the generator, the kernel and the network: the ceiling and the
//! floor of every other measurement on the host. It can also be told to do wrong, so that it can be
//! shown what the generator makes of that.
//!
//! ```text
//!  generator ──► Connection ──► Broker::answer ──► Log         one thread, nothing on disk
//!                   ▲ stalls       │                 ▲ drops, repeats, swaps, changes records
//!                   └──────────────┘              Faults
//! ```
//!
//! Guarantees: answers in the order of the requests; counts each fault that it has planted; says to
//! clients what it serves, and that is enough for any producer and for consumers without groups.
//! Does not know: files, replicas, groups, transactions, or what its clients want to show.

mod broker;
mod connection;
mod faults;
mod log;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use runtime::{Neighbours, RingError, TcpListener, Threads, spawn};

use broker::Broker;
pub use faults::{Faults, PlantedFaults, RecordFault, Stall};

/// What a sink is and does.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkOptions {
    /// Port 0 is any that is free.
    pub listen: SocketAddr,
    /// The processor to stay on.
    pub processor: Option<usize>,
    /// Whether records can be read back. They stay in memory until their topic is deleted.
    pub keeps_records: bool,
    /// Of a topic that is made because a client has named it.
    pub partitions: u32,
    pub faults: Faults,
}

/// Why there is no sink.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("the sink cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("the sink's thread cannot be started")]
    Thread { source: io::Error },
}

/// A sink that runs until it is dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    planted: Arc<PlantedFaults>,
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), SinkError>>>,
}

impl Sink {
    /// Starts a sink, which listens when this returns.
    pub fn start(options: SinkOptions) -> Result<Sink, SinkError> {
        let planted = Arc::new(PlantedFaults::default());
        let stops = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let thread = {
            let (planted, stops) = (planted.clone(), stops.clone());
            let run = move || run(options, planted, stops, &tell);
            std::thread::Builder::new().name("sink".to_owned()).spawn(run)
        };
        let thread = thread.map_err(|source| SinkError::Thread { source })?;
        match told.recv() {
            Ok(address) => Ok(Sink { address, planted, stops, thread: Some(thread) }),
            // It has ended without having listened.
            Err(mpsc::RecvError) => {
                let ended = thread.join().expect("the sink does not panic");
                Err(ended.expect_err("a sink that is not told to stop has a reason to end"))
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done to its records so far.
    pub fn planted(&self) -> &PlantedFaults {
        &self.planted
    }

    /// Waits until it ends, which it does only if something is wrong.
    pub fn wait(mut self) -> Result<(), SinkError> {
        let thread = self.thread.take().expect("it is taken once");
        thread.join().expect("the sink does not panic")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stops.store(true, Ordering::Release);
        // Whoever accepts connections looks at the flag after each.
        let _ = std::net::TcpStream::connect(self.address);
        let _ = thread.join();
    }
}

fn run(
    options: SinkOptions,
    planted: Arc<PlantedFaults>,
    stops: Arc<AtomicBool>,
    tell: &mpsc::Sender<SocketAddr>,
) -> Result<(), SinkError> {
    let threads = Threads {
        neighbours: Neighbours::new(1),
        processors: options.processor.into_iter().collect(),
        lock: None,
    };
    let tell = tell.clone();
    let main = move || async move {
        let failed = |source| SinkError::Listen { address: options.listen, source };
        let listener = TcpListener::bind_alone(options.listen).await.map_err(failed)?;
        let address = listener.local_address().await.map_err(failed)?;
        let SinkOptions { keeps_records, partitions, faults, .. } = options;
        let partitions = usize::try_from(partitions).expect("64 bits");
        let broker = Broker::new(address, keeps_records, partitions, faults, planted);
        let broker = Rc::new(broker);
        // The starter waits for it, unless it is gone already.
        let _ = tell.send(address);
        drop(tell);
        loop {
            let (stream, _) = listener.accept().await.map_err(failed)?;
            if stops.load(Ordering::Acquire) {
                return Ok(());
            }
            spawn(connection::serve(broker.clone(), stream));
        }
    };
    let mut ends = threads.run(vec![main])?;
    ends.pop().expect("one core, one end")
}
