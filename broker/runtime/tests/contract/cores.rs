//! Calls between cores.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use runtime::sim::{Disk, Simulation};
use runtime::{
    CoreId, Dropped, Mesh, MeshPort, MovedStream, Neighbours, Reply, TcpListener, TcpStream,
    Threads, mesh, sleep, spawn, with_rng,
};

const CORES: u16 = 3;
const CALLS: u64 = 500;
/// Small, so that the rings are full most of the time.
const CAPACITY: usize = 4;

/// One core's part: calls all cores, itself included, and answers them.
async fn call_everybody(port: MeshPort<u64, u64>, this: u16) -> u64 {
    let seen: Rc<RefCell<[u64; CORES as usize]>> = Rc::default();
    let heard = seen.clone();
    let mesh: Rc<Mesh<u64, u64>> = port.serve(move |from: CoreId, question, reply: Reply<u64>| {
        let last = &mut heard.borrow_mut()[from.index()];
        assert_eq!(question, *last, "calls arrive in the order in which they were made");
        *last += 1;
        match question % 4 {
            // Answered at once, later, or never.
            0 | 1 => reply.send(question * 2),
            2 => drop(spawn(async move {
                sleep(Duration::from_micros(question % 50)).await;
                reply.send(question * 2);
            })),
            _ => drop(reply),
        }
    });
    let mut answered = 0;
    let mut callers = Vec::new();
    for question in 0..CALLS {
        for callee in 0..CORES {
            let (mesh, answer) = (mesh.clone(), mesh.call(CoreId(callee), question));
            callers.push(spawn(async move {
                let answer = answer.await;
                drop(mesh);
                match question % 4 {
                    3 => assert_eq!(answer, Err(Dropped)),
                    _ => assert_eq!(answer, Ok(question * 2)),
                }
            }));
        }
        if question % 64 == u64::from(this) {
            sleep(Duration::from_micros(20)).await;
        }
    }
    for caller in callers {
        caller.await;
        answered += 1;
    }
    // Everybody else may still be calling; a core leaves when all mains have ended.
    answered
}

type LocalFuture = Pin<Box<dyn Future<Output = u64>>>;

fn mains() -> (Neighbours, Vec<impl FnOnce() -> LocalFuture + Send>) {
    let neighbours = Neighbours::new(CORES);
    let ports = (0..CORES).zip(mesh(&neighbours, CAPACITY));
    let mains = ports
        .map(|(this, port)| move || -> LocalFuture { Box::pin(call_everybody(port, this)) })
        .collect();
    (neighbours, mains)
}

#[test]
fn cores_on_threads_call_each_other_through_full_rings() {
    let (neighbours, mains) = mains();
    let threads = Threads { neighbours, processors: runtime::host::processors(), lock: None };
    let answered = threads.run(mains).unwrap();
    assert_eq!(answered, [CALLS * u64::from(CORES); CORES as usize]);
}

#[test]
fn simulated_cores_call_each_other_and_a_seed_repeats_its_run() {
    let run = |seed| {
        let (neighbours, mains) = mains();
        let mut simulation = Simulation::new(seed);
        let machine = simulation.add_machine(Disk::new());
        let (_, handles) = simulation.start(machine, &neighbours, mains);
        simulation.run_until(|| handles.iter().all(runtime::sim::MainHandle::is_ready));
        (simulation.trace(), simulation.now())
    };
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}

// ---- Streams on the move.

/// A connection from core to core, with the bytes that were received and not yet checked.
#[derive(Debug)]
struct Baton {
    stream: MovedStream,
    received: BytesMut,
    checked_bytes: usize,
}

/// Takes a connection over, or hears that all is over.
type Passing = Mesh<Option<Baton>, ()>;

/// Through the connection, in both directions.
const MOVED_BYTES: usize = 200_000;

fn byte_at(position: usize) -> u8 {
    position.to_le_bytes()[0] ^ position.to_le_bytes()[1]
}

/// Checks and sends back what comes; the connection goes to the next core again and again. Returns
/// how often it came here.
async fn pass_on(port: MeshPort<Option<Baton>, ()>, this: u16) -> u64 {
    let visits = Rc::new(RefCell::new(0));
    let is_over = Rc::new(runtime::sync::watch::Watch::new(false));
    let (counted, over) = (visits.clone(), is_over.clone());
    let mesh_here: Rc<RefCell<Option<Rc<Passing>>>> = Rc::default();
    let handed = mesh_here.clone();
    let mesh = port.serve(move |_, baton, reply| {
        reply.send(());
        let Some(baton) = baton else { return over.set(true) };
        *counted.borrow_mut() += 1;
        // None when all is over here and not yet elsewhere.
        if let Some(mesh) = handed.borrow().clone() {
            spawn(carry(mesh, this, baton));
        }
    });
    *mesh_here.borrow_mut() = Some(mesh.clone());
    if this == 0 {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind_alone(loopback).await.unwrap();
        let address = listener.local_address().await.unwrap();
        let accepted = spawn(async move { listener.accept().await.unwrap().0 });
        let client = Rc::new(TcpStream::connect(address).await.unwrap());
        let stream = accepted.await.into_moved();
        let baton = Baton { stream, received: BytesMut::new(), checked_bytes: 0 };
        mesh.call(CoreId(1), Some(baton)).await.unwrap();
        let sender = client.clone();
        spawn(async move {
            for at in (0..MOVED_BYTES).step_by(1000) {
                let piece: Vec<u8> = (at..at + 1000).map(byte_at).collect();
                sender.send_all(vec![Bytes::from(piece)]).await.unwrap();
            }
        });
        let mut received = BytesMut::new();
        while received.len() < MOVED_BYTES {
            received.reserve(10_000);
            let (result, buf) = client.receive(received).await;
            received = buf;
            assert_ne!(result.unwrap(), 0, "the connection has ended early");
        }
        assert!(received.iter().enumerate().all(|(at, byte)| *byte == byte_at(at)));
        for core in 0..CORES {
            mesh.call(CoreId(core), None).await.unwrap();
        }
    }
    is_over.wait_for(|is_over| is_over.then_some(())).await;
    mesh_here.take();
    visits.take()
}

async fn carry(mesh: Rc<Passing>, this: u16, baton: Baton) {
    let Baton { stream, mut received, mut checked_bytes } = baton;
    let stream = stream.arrive();
    let patience = Duration::from_micros(with_rng(|rng| rng.below(400)));
    loop {
        received.reserve(3000);
        let (result, buf) = stream.receive_until(received, sleep(patience)).await;
        received = buf;
        match result.unwrap() {
            Some(0) => return,
            None => break,
            Some(_) => {}
        }
        // An odd byte is carried to wherever the next one is received.
        let echo = received.split_to(received.len() / 2 * 2).freeze();
        assert!((checked_bytes..).zip(&echo).all(|(at, byte)| *byte == byte_at(at)));
        checked_bytes += echo.len();
        stream.send_all(vec![echo]).await.unwrap();
        if with_rng(|rng| rng.one_in(3)) {
            break;
        }
    }
    let baton = Baton { stream: stream.into_moved(), received, checked_bytes };
    // Nobody takes it when all is over.
    let _ = mesh.call(CoreId((this + 1) % CORES), Some(baton)).await;
}

fn passing_mains() -> (Neighbours, Vec<impl FnOnce() -> LocalFuture + Send>) {
    let neighbours = Neighbours::new(CORES);
    let ports = (0..CORES).zip(mesh(&neighbours, CAPACITY));
    let mains = ports
        .map(|(this, port)| move || -> LocalFuture { Box::pin(pass_on(port, this)) })
        .collect();
    (neighbours, mains)
}

#[test]
fn a_stream_that_moves_between_cores_on_threads_goes_on_where_it_was() {
    let (neighbours, mains) = passing_mains();
    let threads = Threads { neighbours, processors: runtime::host::processors(), lock: None };
    let visits = threads.run(mains).unwrap();
    assert!(visits.iter().all(|count| 1 < *count), "{visits:?}");
}

#[test]
fn a_stream_that_moves_between_simulated_cores_goes_on_where_it_was() {
    for seed in 0..20 {
        let (neighbours, mains) = passing_mains();
        let mut simulation = Simulation::new(seed);
        let machine = simulation.add_machine(Disk::new());
        let (_, handles) = simulation.start(machine, &neighbours, mains);
        simulation.run_until(|| handles.iter().all(runtime::sim::MainHandle::is_ready));
        for handle in handles {
            assert!(1 < handle.take().unwrap(), "seed {seed}");
        }
    }
}
