//! Calls between cores.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use runtime::sim::{Disk, Simulation};
use runtime::{CoreId, Dropped, Mesh, MeshPort, Neighbours, Reply, Threads, mesh, sleep, spawn};

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
