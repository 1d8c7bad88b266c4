//! The broker's life on its machine: started, ended, started again.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use runtime::Neighbours;
use runtime::sim::{Crash, Fate, LostWrites, MachineId, MainHandle, ProcessId, Simulation};
use runtime::sync::watch::Watch;
use server::Prepared;
use server::config::{Config, Overrides};

use crate::plan::Plan;

pub(crate) const PORT: u16 = 9092;
pub(crate) const DATA_DIR: &str = "/data";

/// What has become of the broker by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Ready,
    /// It has ended in good order, as it was told.
    Stopped,
    /// It has not started, and says why.
    Failed(String),
    /// It has ended itself, and says why.
    Ended(String),
}

enum State {
    Down,
    Preparing {
        process: ProcessId,
        prepared: MainHandle<Result<Prepared, String>>,
    },
    Running {
        process: ProcessId,
        mains: Vec<MainHandle<Result<(), String>>>,
        is_ready: Rc<Cell<bool>>,
        is_told: bool,
        stop: Rc<Watch<bool>>,
    },
}

pub(crate) struct Broker {
    machine: MachineId,
    config: String,
    cores_counts: Vec<u16>,
    starts_count: usize,
    /// Of the machine.
    boots_count: u8,
    state: State,
}

impl Broker {
    pub(crate) fn new(machine: MachineId, plan: &Plan) -> Broker {
        Broker {
            machine,
            config: plan.config.clone(),
            cores_counts: plan.cores_counts.clone(),
            starts_count: 0,
            boots_count: 0,
            state: State::Down,
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.state, State::Down)
    }

    /// Whether it serves, as far as it has said.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(&self.state, State::Running { is_ready, .. } if is_ready.get())
    }

    /// Begins a start.
    pub(crate) fn start(&mut self, simulation: &mut Simulation) {
        assert!(self.is_down(), "one broker at a time");
        let cores_count = self.cores_counts[self.starts_count % self.cores_counts.len()];
        self.starts_count += 1;
        let address = simulation.address(self.machine);
        let overrides = Overrides {
            data_dir: Some(PathBuf::from(DATA_DIR)),
            listen: Some(format!("{address}:{PORT}")),
            is_insecure: true,
            ..Overrides::default()
        };
        let config = Config::parse(Path::new("plan"), &self.config, &overrides);
        let config = Arc::new(config.expect("plans write valid configurations"));
        let mut boot_id = [0; 16];
        boot_id[0] = self.boots_count;
        let prepare = move || async move {
            let said = |error: server::BrokerError| error.to_string();
            server::make_directory(&config).await.map_err(said)?;
            server::prepare(config, cores_count, boot_id).await.map_err(said)
        };
        let one = Neighbours::new(1);
        let (process, mut handles) = simulation.start(self.machine, &one, vec![prepare]);
        let prepared = handles.pop().expect("it has one core");
        self.state = State::Preparing { process, prepared };
    }

    /// Goes on with a start or an end, if there is something to go on with.
    pub(crate) fn tick(&mut self, simulation: &mut Simulation) -> Option<News> {
        for (process, text) in simulation.take_ended() {
            // An earlier process may have been crashed in the same moment.
            if self.process() == Some(process) {
                return Some(News::Ended(text));
            }
        }
        match &mut self.state {
            State::Down => None,
            State::Preparing { process, prepared } => {
                let result = prepared.take()?;
                let process = *process;
                match result {
                    Ok(prepared) => {
                        self.run(simulation, prepared);
                        simulation.crash(process, Crash::Kill, &mut Fate::everything());
                        None
                    }
                    Err(text) => Some(News::Failed(text)),
                }
            }
            State::Running { mains, is_ready, is_told, stop, .. } => {
                if mains.iter().all(MainHandle::is_ready) {
                    let results = mains.iter().filter_map(MainHandle::take);
                    let is_stopping = *stop.borrow();
                    return Some(match results.collect::<Result<Vec<()>, String>>() {
                        Ok(_) if is_stopping => News::Stopped,
                        Ok(_) => News::Failed("it ended although nobody told it to".to_owned()),
                        Err(text) => News::Failed(text),
                    });
                }
                let is_new = is_ready.get() && !*is_told;
                *is_told |= is_new;
                is_new.then_some(News::Ready)
            }
        }
    }

    fn run(&mut self, simulation: &mut Simulation, prepared: Prepared) {
        let is_ready = Rc::new(Cell::new(false));
        let stop = Rc::new(Watch::new(false));
        let (noted, told) = (is_ready.clone(), stop.clone());
        let until = move || async move {
            told.wait_for(|stop| stop.then_some(())).await;
            Ok("it was told to")
        };
        let (neighbours, mains) = prepared.into_cores(until, move |_| noted.set(true));
        let (process, mains) = simulation.start(self.machine, &neighbours, mains);
        self.state = State::Running { process, mains, is_ready, is_told: false, stop };
    }

    /// Tells it to end in good order.
    pub(crate) fn stop(&mut self) {
        if let State::Running { stop, .. } = &self.state {
            stop.set(true);
        }
    }

    /// Ends it wherever it is. After a loss of power its machine boots again.
    pub(crate) fn crash(
        &mut self,
        simulation: &mut Simulation,
        crash: Crash,
        fate: &mut Fate,
    ) -> LostWrites {
        let Some(process) = self.process() else { return LostWrites::default() };
        if crash == Crash::PowerLoss {
            self.boots_count = self.boots_count.wrapping_add(1);
        }
        self.state = State::Down;
        simulation.crash(process, crash, fate)
    }

    fn process(&self) -> Option<ProcessId> {
        match &self.state {
            State::Down => None,
            State::Preparing { process, .. } | State::Running { process, .. } => Some(*process),
        }
    }
}
