//! A simulated machine: the same program, from a seed.
//!
//! One [`Simulation`] holds machines with their disks, processes on them and the processes' cores,
//! all on one thread. Which task runs next, how long an operation takes and in which order
//! completions arrive is drawn from the seed, and time passes only here, so a run is repeated
//! exactly by its seed. Sockets are not simulated yet: they fail as unsupported.
//!
//! The disk keeps apart what was written and what was flushed, sector by sector, and the same for
//! names in directories ([`Disk`]). A crash leaves each write in flight in any subset of its
//! sectors; a loss of power leaves each sector that was not flushed old or new ([`Fate`]).

mod disk;
mod driver;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use crate::arena::Key;
use crate::core::{Core, CoreId};
use crate::driver::Driver;
use crate::mesh::Neighbours;
use crate::rng::Rng;
use crate::time::Instant;

pub use disk::{Disk, Fate};
pub(crate) use driver::SimDriver;
pub use driver::{Fault, Operation, OperationKind};

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

enum Event {
    Completed { core: usize, key: Key },
    Rung { core: usize },
}

/// What every core's driver shares.
struct World {
    now: Instant,
    rng: Rng,
    events: BTreeMap<(Instant, u64), Event>,
    events_count: u64,
    operations_count: u64,
    disks: Vec<Disk>,
    inject: Option<Inject>,
    trace: u64,
}

type Inject = Box<dyn FnMut(&Operation<'_>) -> Fault>;

impl World {
    fn schedule(&mut self, after: Duration, event: Event) {
        self.events_count += 1;
        self.events.insert((self.now + after, self.events_count), event);
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
}

/// Machines, processes and their time.
pub struct Simulation {
    world: Rc<RefCell<World>>,
    /// None once the core's process has crashed.
    cores: Vec<Option<Rc<Core>>>,
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
            inject: None,
            trace: 0xcbf2_9ce4_8422_2325,
        };
        Simulation { world: Rc::new(RefCell::new(world)), cores: Vec::new(), processes: Vec::new() }
    }

    /// Adds a machine with this disk.
    pub fn add_machine(&mut self, disk: Disk) -> MachineId {
        let disks = &mut self.world.borrow_mut().disks;
        disks.push(disk);
        MachineId(disks.len() - 1)
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
        let mut handles = Vec::new();
        let mut process = Process { machine, cores: Vec::new() };
        for (id, main) in (0..).zip(mains) {
            let index = self.cores.len();
            let doorbell = &neighbours.doorbells[id as usize];
            doorbell.install(i32::try_from(index).expect("few cores"));
            let rng = self.world.borrow_mut().rng.fork();
            let driver = SimDriver::new(self.world.clone(), index, machine.0);
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

    /// Ends a process and leaves its machine's disk as the crash does. A loss of power ends every
    /// process on the machine.
    pub fn crash(&mut self, process: ProcessId, crash: Crash, fate: &mut Fate) {
        let machine = self.processes[process.0].machine;
        let disk = self.disk_after(process, crash, fate);
        let mut ended: Vec<usize> = self.processes[process.0].cores.clone();
        if crash == Crash::PowerLoss {
            let others = self.processes.iter().filter(|other| other.machine == machine);
            ended.extend(others.flat_map(|other| &other.cores));
        }
        for index in ended {
            if let Some(core) = self.cores[index].take() {
                core.drop_tasks();
            }
        }
        self.world.borrow_mut().disks[machine.0] = disk;
    }

    /// The disk as it would be if the process crashed now, while everything goes on.
    pub fn disk_after(&self, process: ProcessId, crash: Crash, fate: &mut Fate) -> Disk {
        let process = &self.processes[process.0];
        let mut disk = self.world.borrow().disks[process.machine.0].clone();
        for index in &process.cores {
            if let Some(core) = &self.cores[*index] {
                core.with_driver(|driver| match driver {
                    Driver::Sim(driver) => driver.land_in_flight(&mut disk, fate),
                    Driver::Uring(_) => unreachable!("a simulated core"),
                });
            }
        }
        if crash == Crash::PowerLoss {
            disk.lose_power(fate);
        }
        disk
    }

    /// The disk of a machine as its processes see it.
    pub fn disk(&self, machine: MachineId) -> Disk {
        self.world.borrow().disks[machine.0].clone()
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

    fn live_cores(&self) -> impl Iterator<Item = (usize, &Rc<Core>)> {
        self.cores.iter().enumerate().filter_map(|(index, core)| Some((index, core.as_ref()?)))
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
                        core.with_driver(|driver| match driver {
                            Driver::Sim(driver) => driver.complete(key),
                            Driver::Uring(_) => unreachable!("a simulated core"),
                        });
                    }
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
    (result, simulation.disk(machine))
}
