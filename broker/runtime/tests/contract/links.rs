//! What the simulated network does to connections between machines.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use runtime::sim::{Crash, Disk, Fate, MachineId, ProcessId, Simulation};
use runtime::{Neighbours, TcpListener, TcpStream, end_process, sleep};

const PORT: u16 = 9092;
const NUMBERS: u32 = 5000;

/// What one side has seen of a connection.
#[derive(Debug, Default)]
struct Seen {
    bytes: Vec<u8>,
    end: Option<Result<(), ErrorKind>>,
}

struct World {
    simulation: Simulation,
    machines: [MachineId; 2],
    sender: ProcessId,
    receiver: ProcessId,
    /// What the receiver has seen.
    seen: Rc<RefCell<Seen>>,
    /// How the sender's work has ended.
    sent: Rc<RefCell<Option<Result<(), ErrorKind>>>>,
}

/// One machine listens and reads; the other connects and sends numbers.
fn world(seed: u64) -> World {
    let mut simulation = Simulation::new(seed);
    let machines = [(); 2].map(|()| simulation.add_machine(Disk::new()));
    let address = SocketAddr::from((simulation.address(machines[1]), PORT));
    let seen: Rc<RefCell<Seen>> = Rc::default();
    let sent: Rc<RefCell<Option<Result<(), ErrorKind>>>> = Rc::default();
    let (saw, told) = (seen.clone(), sent.clone());
    let receive = move || async move {
        let anywhere = SocketAddr::from(([0, 0, 0, 0], PORT));
        let listener = TcpListener::bind_alone(anywhere).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        loop {
            let (result, buf) = stream.receive(BytesMut::with_capacity(700)).await;
            let mut saw = saw.borrow_mut();
            saw.bytes.extend_from_slice(&buf);
            match result {
                Ok(0) => saw.end = Some(Ok(())),
                Ok(_) => continue,
                Err(error) => saw.end = Some(Err(error.kind())),
            }
            break;
        }
    };
    let send = move || async move {
        // The other one has to listen first.
        sleep(Duration::from_millis(1)).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let mut result = Ok(());
        for number in 0..NUMBERS {
            let piece = Bytes::from(number.to_le_bytes().to_vec());
            result = stream.send_all(vec![piece]).await.map_err(|error| error.kind());
            if result.is_err() {
                break;
            }
            sleep(Duration::from_micros(10)).await;
        }
        *told.borrow_mut() = Some(result);
    };
    let one = Neighbours::new(1);
    let (receiver, _) = simulation.start(machines[1], &one, vec![receive]);
    let (sender, _) = simulation.start(machines[0], &Neighbours::new(1), vec![send]);
    World { simulation, machines, sender, receiver, seen, sent }
}

fn numbers(count: u32) -> Vec<u8> {
    (0..count).flat_map(u32::to_le_bytes).collect()
}

impl World {
    fn run_for(&mut self, duration: Duration) {
        let end = self.simulation.now() + duration;
        while self.simulation.now() < end && self.simulation.step() {}
    }

    fn run_to_the_end(&mut self) {
        let (seen, sent) = (self.seen.clone(), self.sent.clone());
        self.simulation.run_until(|| seen.borrow().end.is_some() && sent.borrow().is_some());
    }

    /// Some of it has arrived, and the rest has not.
    fn run_to_the_middle(&mut self) {
        let seen = self.seen.clone();
        self.simulation.run_until(|| 2000 < seen.borrow().bytes.len());
    }
}

#[test]
fn a_cut_link_holds_back_and_loses_nothing() {
    for seed in 0..20 {
        let mut world = world(seed);
        let [from, to] = world.machines;
        world.run_to_the_middle();
        world.simulation.cut(from, to);
        // What was under way still arrives.
        world.run_for(Duration::from_millis(5));
        let arrived = world.seen.borrow().bytes.len();
        world.run_for(Duration::from_secs(5));
        assert_eq!(world.seen.borrow().bytes.len(), arrived);
        assert_eq!(world.seen.borrow().end, None);
        world.simulation.heal(from, to);
        world.run_to_the_end();
        assert_eq!(world.seen.borrow().bytes, numbers(NUMBERS));
        assert_eq!(world.seen.borrow().end, Some(Ok(())));
    }
}

#[test]
fn a_reset_is_seen_by_both_sides_and_what_was_read_is_the_beginning() {
    for seed in 0..20 {
        let mut world = world(seed);
        let [from, to] = world.machines;
        world.run_to_the_middle();
        world.simulation.reset_connections(from, to, 1);
        world.run_to_the_end();
        let seen = world.seen.borrow();
        assert_eq!(seen.end, Some(Err(ErrorKind::ConnectionReset)));
        assert_eq!(*world.sent.borrow(), Some(Err(ErrorKind::ConnectionReset)));
        assert!(numbers(NUMBERS).starts_with(&seen.bytes));
        assert_eq!(world.simulation.resets_count(), 2);
    }
}

#[test]
fn the_death_of_a_process_is_told_to_the_other_side() {
    for seed in 0..20 {
        let mut world = world(seed);
        world.run_to_the_middle();
        world.simulation.crash(world.sender, Crash::Kill, &mut Fate::nothing());
        let seen = world.seen.clone();
        world.simulation.run_until(|| seen.borrow().end.is_some());
        assert!(numbers(NUMBERS).starts_with(&seen.borrow().bytes));
        assert_eq!(world.simulation.connections_count(world.machines[0]), 0);
    }
}

#[test]
fn a_machine_without_power_leaves_connections_half_open_until_it_is_back() {
    for seed in 0..20 {
        let mut world = world(seed);
        world.run_to_the_middle();
        world.simulation.crash(world.receiver, Crash::PowerLoss, &mut Fate::nothing());
        world.run_for(Duration::from_secs(60));
        assert_ne!(*world.sent.borrow(), Some(Err(ErrorKind::ConnectionReset)), "nobody told it");
        let sleeps = || async { sleep(Duration::from_secs(1)).await };
        world.simulation.start(world.machines[1], &Neighbours::new(1), vec![sleeps]);
        world.run_for(Duration::from_secs(1));
        // What was sent meanwhile is answered by a machine that knows nothing of it.
        let is_done = world.sent.borrow().is_some_and(|sent| sent.is_ok());
        assert!(is_done || *world.sent.borrow() == Some(Err(ErrorKind::ConnectionReset)));
        assert_eq!(world.simulation.connections_count(world.machines[1]), 0);
    }
}

#[test]
fn a_process_that_ends_itself_does_nothing_any_more() {
    let mut simulation = Simulation::new(1);
    let machine = simulation.add_machine(Disk::new());
    let ticks: Rc<RefCell<u32>> = Rc::default();
    let ticked = ticks.clone();
    let (process, _) = simulation.start(
        machine,
        &Neighbours::new(1),
        vec![move || async move {
            runtime::spawn(async move {
                loop {
                    sleep(Duration::from_millis(1)).await;
                    *ticked.borrow_mut() += 1;
                }
            });
            sleep(Duration::from_millis(100)).await;
            end_process("the disk is on fire").await
        }],
    );
    while simulation.step() {}
    assert!((90..=100).contains(&*ticks.borrow()));
    assert_eq!(simulation.take_ended(), [(process, "the disk is on fire".to_owned())]);
}

#[test]
fn the_network_of_a_seed_repeats_itself() {
    let run = |seed| {
        let mut world = world(seed);
        world.run_to_the_end();
        (world.simulation.trace(), world.simulation.now())
    };
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}
