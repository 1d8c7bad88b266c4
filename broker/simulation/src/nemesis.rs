//! What goes wrong, and when: drawn from the seed while the run goes on.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use runtime::sim::{Fault, MachineId, OperationKind, Simulation};
use runtime::{Instant, Rng};

use crate::broker::DATA_DIR;
use crate::plan::Faults;

/// A fault that begins now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Kill,
    PowerLoss,
    Stop,
    Cut,
    Reset,
    SlowNetwork,
    DiskError,
    DiskStall,
    DiskFull,
    ClockJump,
    ClientKill,
}

/// What the disk does to operations, and what it has done.
#[derive(Debug, Default)]
struct DiskFaults {
    /// So many more operations on the broker's files fail.
    errors_left: u32,
    /// The next ones take this long.
    stall: Option<Duration>,
    errors_count: u64,
    /// What has failed since somebody asked.
    failed: Vec<String>,
}

pub(crate) struct Nemesis {
    rng: Rng,
    faults: Faults,
    calm_max: Duration,
    next_at: Instant,
    /// Links that are cut or slow, and when they are healed.
    bad_links: Vec<(Instant, MachineId, MachineId)>,
    full_until: Option<Instant>,
    /// When it had room again.
    was_full_until: Option<Instant>,
    disk: Rc<RefCell<DiskFaults>>,
}

impl Nemesis {
    /// Takes over the simulation's disk.
    pub(crate) fn new(
        mut rng: Rng,
        faults: Faults,
        calm_max: Duration,
        simulation: &mut Simulation,
    ) -> Nemesis {
        let disk: Rc<RefCell<DiskFaults>> = Rc::default();
        let (mut disk_rng, state) = (rng.fork(), disk.clone());
        simulation.inject(move |operation| {
            let mut state = state.borrow_mut();
            let is_transfer = matches!(operation.kind, OperationKind::Read | OperationKind::Write);
            let may_fail = match operation.kind {
                OperationKind::Write | OperationKind::Sync => true,
                OperationKind::Open
                | OperationKind::Read
                | OperationKind::Resize
                | OperationKind::Names => false,
            };
            if may_fail && 0 < state.errors_left && operation.path.starts_with(DATA_DIR) {
                state.errors_left -= 1;
                state.errors_count += 1;
                state.failed.push(format!("{:?} of {}", operation.kind, operation.path.display()));
                return Fault::Error(io::ErrorKind::Other);
            }
            if may_fail && let Some(stall) = state.stall.take() {
                return Fault::Slow(stall);
            }
            // System calls may do less than they were asked to, always.
            if is_transfer && disk_rng.one_in(20) {
                return Fault::Short;
            }
            Fault::None
        });
        let next_at = simulation.now();
        let (bad_links, full_until, was_full_until) = (Vec::new(), None, None);
        Nemesis { rng, faults, calm_max, next_at, bad_links, full_until, was_full_until, disk }
    }

    /// How many operations of the disk have failed.
    pub(crate) fn errors_count(&self) -> u64 {
        self.disk.borrow().errors_count
    }

    /// The operations that have failed since the last call.
    pub(crate) fn take_failed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.disk.borrow_mut().failed)
    }

    /// Whether the disk has had no room at some time from this one on.
    pub(crate) fn was_full_since(&self, time: Instant) -> bool {
        self.full_until.is_some() || self.was_full_until.is_some_and(|until| time <= until)
    }

    /// Errors that wait for their operation do not come any more.
    pub(crate) fn calm_disk(&mut self) {
        let mut disk = self.disk.borrow_mut();
        disk.errors_left = 0;
        disk.stall = None;
    }

    pub(crate) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The next fault, if it is time for one.
    pub(crate) fn next_act(&mut self, now: Instant) -> Option<Act> {
        if now < self.next_at {
            return None;
        }
        let calm = u64::try_from(self.calm_max.as_nanos()).expect("a calm is short");
        self.next_at = now + Duration::from_nanos(self.rng.below(calm));
        let faults = self.faults;
        let acts = [
            (faults.kill, Act::Kill),
            (faults.power_loss, Act::PowerLoss),
            (faults.stop, Act::Stop),
            (faults.cut, Act::Cut),
            (faults.reset, Act::Reset),
            (faults.reset, Act::Reset),
            (faults.slow_network, Act::SlowNetwork),
            (faults.disk_error, Act::DiskError),
            (faults.disk_stall, Act::DiskStall),
            (faults.disk_full, Act::DiskFull),
            (faults.clock_jump, Act::ClockJump),
            (faults.client_kill, Act::ClientKill),
        ];
        let enabled: Vec<Act> = acts.iter().filter(|(is_on, _)| *is_on).map(|it| it.1).collect();
        Some(enabled[self.rng.index(enabled.len())])
    }

    /// Faults of the network, the disk and the clock.
    pub(crate) fn act(
        &mut self,
        act: Act,
        simulation: &mut Simulation,
        broker: MachineId,
        clients: &[MachineId],
    ) {
        let now = simulation.now();
        let client = clients[self.rng.index(clients.len())];
        let until = now + Duration::from_millis(50 + self.rng.below(3000));
        match act {
            Act::Cut => {
                let both = self.rng.one_in(2);
                let (from, to) = match self.rng.one_in(2) {
                    true => (broker, client),
                    false => (client, broker),
                };
                simulation.cut(from, to);
                self.bad_links.push((until, from, to));
                if both {
                    simulation.cut(to, from);
                    self.bad_links.push((until, to, from));
                }
            }
            Act::Reset => {
                let of = 1 + self.rng.below(3);
                simulation.reset_connections(broker, client, of);
            }
            Act::SlowNetwork => {
                let latency_max = Duration::from_millis(1 + self.rng.below(200));
                simulation.set_latency(broker, client, latency_max);
                self.bad_links.push((until, broker, client));
            }
            Act::DiskError => {
                let count = 1 + u32::try_from(self.rng.below(2)).expect("few");
                self.disk.borrow_mut().errors_left = count;
            }
            Act::DiskStall => {
                let stall = Duration::from_millis(50 + self.rng.below(2500));
                self.disk.borrow_mut().stall = Some(stall);
            }
            Act::DiskFull => {
                let room_bytes = self.rng.below(512 << 10);
                simulation.change_disk(broker, |disk| {
                    disk.set_capacity(disk.used_bytes() + room_bytes);
                });
                self.full_until = Some(until);
            }
            Act::ClockJump => {
                let offset_ms = i64::try_from(self.rng.below(3_000_000)).expect("an hour");
                simulation.set_clock_offset_ms(broker, offset_ms - 1_500_000);
            }
            Act::Kill | Act::PowerLoss | Act::Stop | Act::ClientKill => {
                unreachable!("the life of processes is not in the nemesis's hands")
            }
        }
    }

    /// Ends what has lasted long enough.
    pub(crate) fn heal(&mut self, simulation: &mut Simulation, broker: MachineId) {
        let now = simulation.now();
        let (over, kept) =
            std::mem::take(&mut self.bad_links).into_iter().partition(|it| it.0 <= now);
        self.bad_links = kept;
        let over: Vec<(Instant, MachineId, MachineId)> = over;
        for (_, from, to) in over {
            simulation.heal(from, to);
        }
        if self.full_until.is_some_and(|until| until <= now) {
            self.full_until = None;
            self.was_full_until = Some(now);
            simulation.change_disk(broker, |disk| disk.set_capacity(u64::MAX));
        }
    }

    /// Ends everything.
    pub(crate) fn rest(&mut self, simulation: &mut Simulation, broker: MachineId) {
        for (until, ..) in &mut self.bad_links {
            *until = simulation.now();
        }
        self.full_until = self.full_until.map(|_| simulation.now());
        self.heal(simulation, broker);
        self.calm_disk();
    }
}
