//! A simulated machine: the same program, from a seed.
//!
//! One [`Simulation`] holds machines with their disks, processes on them and the processes' cores,
//! all on one thread. Which task runs next, how long an operation takes and in which order
//! completions arrive is drawn from the seed, and time passes only here, so a run is repeated
//! exactly by its seed.
//!
//! Machines are connected by a network ([`Simulation::cut`] and the others after it): the first has
//! the address 10.0.0.1, the second 10.0.0.2, each calls itself 127.0.0.1.
//!
//! The disk keeps apart what was written and what was flushed, sector by sector, and the same for
//! names in directories ([`Disk`]). A crash leaves each write in flight in any subset of its
//! sectors; a loss of power leaves each sector that was not flushed old or new ([`Fate`]).

mod bug;
mod disk;
mod driver;
mod names;
mod net;
mod pages;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use crate::arena::Key;
use crate::core::{Core, CoreId};
use crate::driver::Driver;
use crate::mesh::Neighbours;
use crate::rng::Rng;
use crate::time::Instant;

pub use bug::{PlantedBug, has_bug};
pub use disk::{Disk, Fate};
pub(crate) use driver::SimDriver;
pub use driver::{BUFFER_OWNERSHIP, Fault, Operation, OperationKind};
use driver::{Descriptors, Socket};
use net::{Net, Packet, Sent, Waiter};

/// A machine of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineId(usize);

/// A process of the simulation. A process that was started again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId(usize);

/// How a process ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process ends (`kill -9`); the kernel keeps what it was given.
    Kill,
    /// The machine ends: what was not flushed is uncertain.
    PowerLoss,
}

/// What a crash has done to writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostWrites {
    /// Of which some sectors are there and others not.
    pub torn_count: u64,
    /// Of which nothing is there, or which were not flushed and are gone in part.
    pub lost_count: u64,
}

enum Event {
    Completed { core: usize, key: Key },
    Rung { core: usize },
    Arrived(Packet),
}

/// What every core's driver shares.
struct World {
    now: Instant,
    rng: Rng,
    events: BTreeMap<(Instant, u64), Event>,
    events_count: u64,
    operations_count: u64,
    disks: Vec<Disk>,
    /// By machine: how far its wall clock is off, in milliseconds.
    clock_offsets_ms: Vec<i64>,
    net: Net,
    inject: Option<Inject>,
    /// Cores whose process has ended itself, and what it said.
    ended: Vec<(usize, String)>,
    bug: Option<PlantedBug>,
    trace: u64,
}

type Inject = Box<dyn FnMut(&Operation<'_>) -> Fault>;

impl World {
    fn schedule(&mut self, after: Duration, event: Event) {
        self.events_count += 1;
        self.events.insert((self.now + after, self.events_count), event);
    }

    /// Those who wait for the network try again, a moment later.
    fn wake(&mut self, waiters: Vec<Waiter>) {
        for Waiter { core, key } in waiters {
            let latency = Duration::from_nanos(500 + self.rng.below(20_000));
            self.schedule(latency, Event::Completed { core, key });
        }
    }

    fn send(&mut self, packets: impl IntoIterator<Item = Sent>) {
        for (at, packet) in packets {
            self.schedule(at.since(self.now), Event::Arrived(packet));
        }
    }

    fn close_socket(&mut self, machine: usize, socket: Socket) {
        let (mut woken, mut sent) = (Vec::new(), Vec::new());
        let World { net, rng, now, .. } = self;
        match socket {
            Socket::Stream(end) => sent.extend(net.close(end, *now, rng, &mut woken)),
            Socket::Listener(address, core) => {
                sent = net.close_listener(machine, core, address, *now, rng);
            }
        }
        self.wake(woken);
        self.send(sent);
    }

    fn wall_clock_ms(&self, machine: usize) -> i64 {
        const EPOCH_MS: i64 = 1_700_000_000_000;
        let since = i64::try_from(self.now.as_nanos() / 1_000_000);
        let since = since.expect("a simulation ends before the year 292 million");
        EPOCH_MS + since + self.clock_offsets_ms[machine]
    }

    /// Folds a fact into the run's fingerprint (FNV-1a).
    fn note(&mut self, fact: u64) {
        for byte in fact.to_le_bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

struct Process {
    machine: MachineId,
    cores: Vec<usize>,
    /// It has ended itself: nothing of it runs any more.
    is_ended: bool,
}

/// Machines, processes and their time.
pub struct Simulation {
    world: Rc<RefCell<World>>,
    /// None once the core's process has crashed.
    cores: Vec<Option<Rc<Core>>>,
    /// By core.
    process_of: Vec<usize>,
    processes: Vec<Process>,
}

/// The result of a core's main task, once it has ended.
#[derive(Debug)]
pub struct MainHandle<T> {
    result: Rc<RefCell<Option<T>>>,
}

impl<T> MainHandle<T> {
    /// The result, if the task has ended and nobody has taken it.
    pub fn take(&self) -> Option<T> {
        self.result.borrow_mut().take()
    }

    /// Whether there is a result to take.
    pub fn is_ready(&self) -> bool {
        self.result.borrow().is_some()
    }
}

impl Simulation {
    /// An empty world. The seed decides everything that happens in it.
    pub fn new(seed: u64) -> Simulation {
        let world = World {
            now: Instant::from_nanos(1_000_000_000),
            rng: Rng::from_seed(seed),
            events: BTreeMap::new(),
            events_count: 0,
            operations_count: 0,
            disks: Vec::new(),
            clock_offsets_ms: Vec::new(),
            net: Net::default(),
            inject: None,
            ended: Vec::new(),
            bug: None,
            trace: 0xcbf2_9ce4_8422_2325,
        };
        Simulation {
            world: Rc::new(RefCell::new(world)),
            cores: Vec::new(),
            process_of: Vec::new(),
            processes: Vec::new(),
        }
    }

    /// Adds a machine with this disk.
    pub fn add_machine(&mut self, disk: Disk) -> MachineId {
        let mut world = self.world.borrow_mut();
        world.disks.push(disk);
        world.clock_offsets_ms.push(0);
        MachineId(world.disks.len() - 1)
    }

    /// Where the others reach a machine.
    pub fn address(&self, machine: MachineId) -> Ipv4Addr {
        net::address_of(machine.0)
    }

    /// Puts a bug into every machine. It takes a build with debug assertions.
    pub fn plant(&mut self, bug: PlantedBug) {
        if !cfg!(debug_assertions) {
            panic!("this build cannot have planted bugs: it has no debug assertions");
        }
        self.world.borrow_mut().bug = Some(bug);
    }

    /// Starts a process with one core per main task.
    pub fn start<T, Main>(
        &mut self,
        machine: MachineId,
        neighbours: &Neighbours,
        mains: Vec<impl FnOnce() -> Main>,
    ) -> (ProcessId, Vec<MainHandle<T>>)
    where
        T: 'static,
        Main: Future<Output = T> + 'static,
    {
        self.on_network(|net, now, rng, woken| net.power_on(machine.0, now, rng, woken));
        let mut handles = Vec::new();
        let descriptors = Rc::new(RefCell::new(Descriptors::default()));
        let mut process = Process { machine, cores: Vec::new(), is_ended: false };
        for (id, main) in (0..).zip(mains) {
            let index = self.cores.len();
            let doorbell = &neighbours.doorbells[id as usize];
            doorbell.install(i32::try_from(index).expect("few cores"));
            let rng = self.world.borrow_mut().rng.fork();
            let driver = SimDriver::new(self.world.clone(), index, machine.0, descriptors.clone());
            let core = Core::new(CoreId(id), Driver::Sim(driver), rng);
            let result = Rc::new(RefCell::new(None));
            let kept = result.clone();
            core.enter(|| {
                let main = main();
                core.spawn(async move {
                    let value = main.await;
                    *kept.borrow_mut() = Some(value);
                })
            });
            self.cores.push(Some(core));
            self.process_of.push(self.processes.len());
            process.cores.push(index);
            handles.push(MainHandle { result });
        }
        self.processes.push(process);
        (ProcessId(self.processes.len() - 1), handles)
    }

    /// Decides about each operation, when it is performed, whether it fails.
    pub fn inject(&mut self, decide: impl FnMut(&Operation<'_>) -> Fault + 'static) {
        self.world.borrow_mut().inject = Some(Box::new(decide));
    }

    // ---- The network.

    /// From now on nothing gets through from one machine to another; it waits until the link is
    /// healed.
    pub fn cut(&mut self, from: MachineId, to: MachineId) {
        self.world.borrow_mut().net.cut(from.0, to.0);
    }

    /// The link is as it was before it was cut or slow.
    pub fn heal(&mut self, from: MachineId, to: MachineId) {
        self.on_network(|net, now, rng, woken| net.heal(from.0, to.0, now, rng, woken));
    }

    /// The longest that something takes from one machine to another.
    pub fn set_latency(&mut self, from: MachineId, to: MachineId, latency_max: Duration) {
        self.world.borrow_mut().net.set_latency(from.0, to.0, latency_max);
    }

    /// Resets one of `of` connections that one machine has made to another, or the other to it.
    pub fn reset_connections(&mut self, from: MachineId, to: MachineId, of: u64) {
        self.on_network(|net, now, rng, _| {
            net.reset((from.0, to.0), now, rng, |rng| rng.one_in(of))
        });
    }

    /// How many sides of connections have seen a reset.
    pub fn resets_count(&self) -> u64 {
        self.world.borrow().net.resets_count
    }

    /// How many connections a machine has, from its own point of view.
    pub fn connections_count(&self, machine: MachineId) -> usize {
        self.world.borrow().net.connections_count(machine.0)
    }

    fn on_network(
        &mut self,
        change: impl FnOnce(&mut Net, Instant, &mut Rng, &mut Vec<Waiter>) -> Vec<Sent>,
    ) {
        let mut woken = Vec::new();
        let mut world = self.world.borrow_mut();
        let World { net, now, rng, .. } = &mut *world;
        let sent = change(net, *now, rng, &mut woken);
        world.wake(woken);
        world.send(sent);
    }

    // ---- Time.

    /// Sets a machine's wall clock off, as its operators or its network time may.
    pub fn set_clock_offset_ms(&mut self, machine: MachineId, offset_ms: i64) {
        self.world.borrow_mut().clock_offsets_ms[machine.0] = offset_ms;
    }

    /// One thing happens: a task is polled, or time passes to the next event. False when nothing
    /// can happen any more.
    pub fn step(&mut self) -> bool {
        self.deliver_events();
        let ready: usize = self.live_cores().map(|(_, core)| core.ready_count()).sum();
        if 0 < ready {
            let mut choice = self.world.borrow_mut().rng.index(ready);
            let (index, core) = self
                .live_cores()
                .find(|(_, core)| {
                    let count = core.ready_count();
                    let found = choice < count;
                    if !found {
                        choice -= count;
                    }
                    found
                })
                .map(|(index, core)| (index, core.clone()))
                .expect("the choice is below the number of ready tasks");
            self.world.borrow_mut().note((index as u64) << 32 | choice as u64);
            core.enter(|| core.poll_one(choice));
            for (core, _) in &self.world.borrow().ended {
                self.processes[self.process_of[*core]].is_ended = true;
            }
            let mut world = self.world.borrow_mut();
            let cost = world.rng.below(1000);
            world.now = world.now + Duration::from_nanos(cost);
            return true;
        }
        let next_event = self.world.borrow().events.first_key_value().map(|((at, _), _)| *at);
        let next_timer = self.live_cores().filter_map(|(_, core)| core.next_timer()).min();
        match next_event.into_iter().chain(next_timer).min() {
            None => false,
            Some(next) => {
                let mut world = self.world.borrow_mut();
                world.now = world.now.max(next);
                true
            }
        }
    }

    /// Lets things happen until `done` says so; panics with the seed's trace if nothing can happen
    /// any more before.
    pub fn run_until(&mut self, mut done: impl FnMut() -> bool) {
        while !done() {
            assert!(self.step(), "nothing can happen any more, and it is not done");
        }
    }

    /// The processes that have ended themselves since they were asked for, and what they said. They
    /// do nothing any more, and are to be crashed.
    pub fn take_ended(&mut self) -> Vec<(ProcessId, String)> {
        let ended = std::mem::take(&mut self.world.borrow_mut().ended);
        ended.into_iter().map(|(core, text)| (ProcessId(self.process_of[core]), text)).collect()
    }

    /// Ends a process and leaves its machine's disk as the crash does. A loss of power ends every
    /// process on the machine.
    pub fn crash(&mut self, process: ProcessId, crash: Crash, fate: &mut Fate) -> LostWrites {
        let machine = self.processes[process.0].machine;
        let (disk, lost) = self.disk_and_losses(process, crash, fate);
        let mut ended: Vec<usize> = self.processes[process.0].cores.clone();
        if crash == Crash::PowerLoss {
            let others = self.processes.iter().filter(|other| other.machine == machine);
            ended.extend(others.flat_map(|other| &other.cores));
        }
        for index in ended {
            if let Some(core) = self.cores[index].take() {
                if crash == Crash::Kill {
                    on_sim(&core, SimDriver::close_sockets);
                }
                core.drop_tasks();
            }
        }
        let mut world = self.world.borrow_mut();
        world.disks[machine.0] = disk;
        if crash == Crash::PowerLoss {
            world.net.lose_power(machine.0);
        }
        lost
    }

    /// The disk as it would be if the process crashed now, while everything goes on.
    pub fn disk_after(&self, process: ProcessId, crash: Crash, fate: &mut Fate) -> Disk {
        self.disk_and_losses(process, crash, fate).0
    }

    fn disk_and_losses(
        &self,
        process: ProcessId,
        crash: Crash,
        fate: &mut Fate,
    ) -> (Disk, LostWrites) {
        let process = &self.processes[process.0];
        let mut disk = self.world.borrow().disks[process.machine.0].clone();
        let mut lost = LostWrites::default();
        for index in &process.cores {
            if let Some(core) = &self.cores[*index] {
                let of_core = on_sim(core, |driver| driver.land_in_flight(&mut disk, fate));
                lost.torn_count += of_core.torn_count;
                lost.lost_count += of_core.lost_count;
            }
        }
        if crash == Crash::PowerLoss {
            lost.lost_count += disk.lose_power(fate);
        }
        (disk, lost)
    }

    /// The disk of a machine as its processes see it.
    pub fn disk(&self, machine: MachineId) -> Disk {
        self.world.borrow().disks[machine.0].clone()
    }

    /// Changes a machine's disk behind its back.
    pub fn change_disk(&mut self, machine: MachineId, change: impl FnOnce(&mut Disk)) {
        change(&mut self.world.borrow_mut().disks[machine.0]);
    }

    /// How many operations have been submitted so far.
    pub fn operations_count(&self) -> u64 {
        self.world.borrow().operations_count
    }

    /// A fingerprint of everything that has happened: equal for two runs of one seed.
    pub fn trace(&self) -> u64 {
        self.world.borrow().trace
    }

    /// The simulated monotonic clock.
    pub fn now(&self) -> Instant {
        self.world.borrow().now
    }

    /// The cores that run.
    fn live_cores(&self) -> impl Iterator<Item = (usize, &Rc<Core>)> {
        let runs = |index: usize| !self.processes[self.process_of[index]].is_ended;
        let cores = self.cores.iter().enumerate();
        cores.filter_map(move |(index, core)| Some((index, core.as_ref().filter(|_| runs(index))?)))
    }

    fn deliver_events(&mut self) {
        loop {
            let event = {
                let mut world = self.world.borrow_mut();
                let now = world.now;
                let due = world.events.first_entry().filter(|entry| entry.key().0 <= now);
                due.map(std::collections::btree_map::OccupiedEntry::remove)
            };
            match event {
                None => break,
                Some(Event::Rung { core }) => {
                    if let Some(core) = &self.cores[core] {
                        core.note_ring();
                    }
                }
                Some(Event::Completed { core, key }) => {
                    if let Some(core) = &self.cores[core] {
                        on_sim(core, |driver| driver.complete(key));
                    }
                }
                Some(Event::Arrived(packet)) => {
                    self.on_network(|net, now, rng, woken| {
                        net.arrive(packet, now, rng, woken).into_iter().collect()
                    });
                }
            }
        }
        for (_, core) in self.live_cores() {
            core.fire_timers();
        }
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        for core in self.cores.iter_mut().filter_map(Option::take) {
            core.drop_tasks();
        }
    }
}

fn on_sim<T>(core: &Core, body: impl FnOnce(&mut SimDriver) -> T) -> T {
    core.with_driver(|driver| match driver {
        Driver::Sim(driver) => body(driver),
        Driver::Uring(_) => unreachable!("a simulated core"),
    })
}

/// Runs one task on a machine of its own. Returns its result and the disk it leaves.
pub fn run<T: 'static, Main: Future<Output = T> + 'static>(
    seed: u64,
    disk: Disk,
    main: impl FnOnce() -> Main,
) -> (T, Disk) {
    let mut simulation = Simulation::new(seed);
    let machine = simulation.add_machine(disk);
    let (_, mains) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    simulation.run_until(|| mains[0].is_ready());
    let result = mains[0].take().expect("just seen");
    let disk = std::mem::take(&mut simulation.world.borrow_mut().disks[machine.0]);
    (result, disk)
}
