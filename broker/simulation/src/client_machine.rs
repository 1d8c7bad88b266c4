//! A machine with clients: its process is started, killed, and started anew with clients that
//! remember nothing.

use std::rc::Rc;

use runtime::sim::{Crash, Fate, MachineId, MainHandle, ProcessId, Simulation};
use runtime::{Instant, Neighbours};

use crate::clients::{self, Context};

/// How many there are.
pub(crate) const CLIENT_MACHINES: usize = 2;

pub(crate) struct ClientMachine {
    /// Among the machines with clients.
    number: usize,
    pub(crate) machine: MachineId,
    context: Rc<Context>,
    process: Option<(ProcessId, MainHandle<()>)>,
    restart_at: Option<Instant>,
}

impl ClientMachine {
    pub(crate) fn new(number: usize, machine: MachineId, context: Rc<Context>) -> ClientMachine {
        ClientMachine { number, machine, context, process: None, restart_at: None }
    }

    pub(crate) fn start(&mut self, simulation: &mut Simulation) {
        assert!(self.process.is_none(), "one process at a time");
        self.restart_at = None;
        let (context, number) = (self.context.clone(), self.number);
        let main = move || clients::run(context, number, CLIENT_MACHINES);
        let one = Neighbours::new(1);
        let (process, mut handles) = simulation.start(self.machine, &one, vec![main]);
        self.process = Some((process, handles.pop().expect("it has one core")));
    }

    /// Starts it anew if it is time.
    pub(crate) fn tick(&mut self, simulation: &mut Simulation) {
        if self.restart_at.is_some_and(|at| at <= simulation.now()) {
            self.start(simulation);
        }
    }

    /// Ends its process, which is started anew then. False if none is running.
    pub(crate) fn kill_until(&mut self, simulation: &mut Simulation, restart_at: Instant) -> bool {
        let is_running = self.process.is_some();
        if is_running {
            self.kill(simulation);
            self.restart_at = Some(restart_at);
        }
        is_running
    }

    /// Ends its process for good.
    pub(crate) fn kill(&mut self, simulation: &mut Simulation) {
        if let Some((process, _)) = self.process.take() {
            simulation.crash(process, Crash::Kill, &mut Fate::everything());
            self.context.forget_clients(self.number);
        }
    }

    /// Whether no client of it has anything left to do.
    pub(crate) fn is_done(&self) -> bool {
        self.process.as_ref().is_none_or(|(_, main)| main.is_ready())
    }
}
