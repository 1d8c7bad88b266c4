//! One run from its seed to its verdict.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use runtime::sim::{Crash, Disk, Fate, MachineId, PlantedBug, ProcessId, Simulation};
use runtime::{Instant, Neighbours, Rng};

use crate::broker::{Broker, DATA_DIR, News, PORT};
use crate::client_machine::{CLIENT_MACHINES, ClientMachine};
use crate::clients::{Context, Phase, describe_all, read_everything};
use crate::invariants::{self, Violation};
use crate::nemesis::{Act, Nemesis};
use crate::plan::{Plan, Profile};

/// After the faults: for everything that was begun.
const FINISH_MAX: Duration = Duration::from_secs(30);
/// For reading everything, and for an end in good order.
const LAST_STEPS_MAX: Duration = Duration::from_secs(60);
/// Faults may go on for so many times the profile's duration until there were enough operations.
const PATIENCE: u32 = 6;

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub profile: Profile,
    /// A bug to be found.
    pub bug: Option<PlantedBug>,
    /// A partition whose facts are to be among the events.
    pub facts_of: Option<String>,
}

/// What has happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub crashes: u64,
    /// How often all clients of a machine have died.
    pub client_crashes: u64,
    /// Writes that a crash has torn or lost.
    pub lost_writes: u64,
    pub disk_errors: u64,
    pub resets: u64,
    pub starts: u64,
    pub operations: u64,
    /// Fetches that were told only what has changed.
    pub incremental_fetches: u64,
    /// Answers about the ends of leader epochs.
    pub epoch_ends: u64,
    /// How often a topic was given more partitions.
    pub grown: u64,
    /// Generations of groups that members were told of.
    pub generations: u64,
    /// How often a group with members went to the other protocol.
    pub migrations: u64,
    /// Offsets that members have committed.
    pub committed: u64,
    pub acknowledged: u64,
    pub virtual_ms: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts {
            crashes,
            client_crashes,
            lost_writes,
            disk_errors,
            resets,
            starts,
            operations,
            incremental_fetches,
            epoch_ends,
            grown,
            generations,
            migrations,
            committed,
            acknowledged,
            virtual_ms,
        } = self;
        write!(
            f,
            "crashes={crashes} client-crashes={client_crashes} lost-writes={lost_writes} \
             disk-errors={disk_errors} resets={resets} starts={starts} operations={operations} \
             incremental-fetches={incremental_fetches} epoch-ends={epoch_ends} \
             grown={grown} generations={generations} migrations={migrations} \
             committed={committed} acknowledged={acknowledged} virtual-ms={virtual_ms}"
        )
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    pub counts: Counts,
    /// Equal for two runs of one seed.
    pub trace: u64,
    /// None if every invariant holds.
    pub violations: Vec<Violation>,
    /// What was done to the broker and what it did, with the virtual time.
    pub events: Vec<(Instant, String)>,
}

struct Run {
    simulation: Simulation,
    plan: Plan,
    context: Rc<Context>,
    machine: MachineId,
    clients: Vec<ClientMachine>,
    broker: Broker,
    nemesis: Nemesis,
    restart_at: Option<Instant>,
    crash_at: Option<Instant>,
    /// Errors of the disk when the broker was started last.
    errors_before: u64,
    /// When that was.
    started_at: Instant,
    /// If the disk is to rot: what it was when everybody was told to finish.
    before_the_end: Option<Disk>,
    counts: Counts,
    violations: Vec<Violation>,
    events: Vec<(Instant, String)>,
    facts_of: Option<String>,
}

/// Runs a seed.
pub fn run(seed: u64, options: &Options) -> Report {
    let plan = Plan::of(seed, &options.profile);
    let mut simulation = Simulation::new(seed);
    if let Some(bug) = options.bug {
        simulation.plant(bug);
    }
    let machine = simulation.add_machine(Disk::new());
    let address = SocketAddr::from((simulation.address(machine), PORT));
    let context = Context::new(plan.clone(), address);
    let client =
        |number| ClientMachine::new(number, simulation.add_machine(Disk::new()), context.clone());
    let clients = (0..CLIENT_MACHINES).map(client).collect();
    let rng = Rng::from_seed(seed ^ 0x6e65_6d65);
    let nemesis = Nemesis::new(rng, plan.faults, plan.calm_max, &mut simulation);
    let broker = Broker::new(machine, &plan);
    let mut run = Run {
        simulation,
        plan,
        context,
        machine,
        clients,
        broker,
        nemesis,
        restart_at: None,
        crash_at: None,
        errors_before: 0,
        started_at: Instant::from_nanos(0),
        before_the_end: None,
        counts: Counts::default(),
        violations: Vec::new(),
        events: Vec::new(),
        facts_of: options.facts_of.clone(),
    };
    run.start_broker();
    for client in &mut run.clients {
        client.start(&mut run.simulation);
    }
    run.set_up();
    run.with_faults(options.profile);
    run.finish();
    run.last_steps();
    run.verdict()
}

impl Run {
    /// Until the topics are there. Nothing goes wrong yet.
    fn set_up(&mut self) {
        let deadline = self.simulation.now() + FINISH_MAX;
        let context = self.context.clone();
        let is_set_up = || Phase::Faults <= *context.phase.borrow();
        if !self.step_until(deadline, is_set_up) {
            self.violate("liveness", "the topics were not made in good time".to_owned());
        }
    }

    fn with_faults(&mut self, profile: Profile) {
        let start = self.simulation.now();
        let (enough_at, stop_at) =
            (start + self.plan.duration, start + self.plan.duration * PATIENCE);
        loop {
            let now = self.simulation.now();
            let operations = self.context.history.borrow().operations_count;
            let is_enough = enough_at <= now && profile.operations_min <= operations;
            if is_enough || stop_at <= now || !self.violations.is_empty() {
                return;
            }
            self.step();
            self.nemesis.heal(&mut self.simulation, self.machine);
            for client in &mut self.clients {
                client.tick(&mut self.simulation);
            }
            if let Some(act) = self.nemesis.next_act(now) {
                self.act(act);
            }
        }
    }

    /// Nothing goes wrong any more, and everybody who lives finishes.
    fn finish(&mut self) {
        self.nemesis.rest(&mut self.simulation, self.machine);
        self.before_the_end = self.plan.faults.rot.then(|| self.simulation.disk(self.machine));
        self.context.phase.set(Phase::Ending);
        let deadline = self.simulation.now() + FINISH_MAX;
        let mut clients = std::mem::take(&mut self.clients);
        if !self.step_until(deadline, || clients.iter().all(ClientMachine::is_done)) {
            let running = self.context.running.borrow();
            let late: Vec<String> = running.iter().map(|(_, name)| name.clone()).collect();
            drop(running);
            let text = format!("30 s after the last fault these are not done: {}", late.join(", "));
            self.violate("liveness", text);
        }
        for client in &mut clients {
            client.kill(&mut self.simulation);
        }
        self.clients = clients;
        // Not in every run: a broker that was idle has little to lose in the crash that follows.
        if self.nemesis.rng().one_in(3) {
            self.check_connections();
        }
    }

    /// Nobody is there any more, and the broker has noticed.
    fn check_connections(&mut self) {
        self.step_for(Duration::from_secs(2));
        let connections = self.simulation.connections_count(self.machine);
        if self.broker.is_ready() && connections != 0 {
            let text = format!("{connections} connections of clients that are gone are still open");
            self.violate("liveness", text);
        }
    }

    /// A last crash, with rot if the plan says so; then everything is read, and the broker ends.
    fn last_steps(&mut self) {
        if !self.violations.is_empty() {
            return;
        }
        if self.before_the_end.is_some() {
            // Rot of the very last commit looks like one that was torn. So the journal writes
            // another after it when nothing else comes.
            self.step_for(Duration::from_millis(300));
        }
        let crash = match self.nemesis.rng().one_in(2) {
            true => Crash::Kill,
            false => Crash::PowerLoss,
        };
        self.crash(crash);
        if let Some(before) = self.before_the_end.take() {
            self.rot(&before);
        }
        self.restart_at = Some(self.simulation.now());
        let Some(reader) = self.read_all() else { return };
        self.simulation.crash(reader, Crash::Kill, &mut Fate::everything());
        self.check_connections();
        self.broker.stop();
        let deadline = self.simulation.now() + LAST_STEPS_MAX;
        while !self.broker.is_down() && self.simulation.now() < deadline {
            self.step();
        }
        if !self.broker.is_down() {
            self.violate("liveness", "the broker does not end in good time".to_owned());
        }
    }

    /// Reads everything with a fresh client. None if there is nothing to read from.
    fn read_all(&mut self) -> Option<ProcessId> {
        let deadline = self.simulation.now() + LAST_STEPS_MAX;
        let context = self.context.clone();
        let main = move || -> std::pin::Pin<Box<dyn Future<Output = bool>>> {
            Box::pin(async move {
                let topics = context.history.borrow().topics.clone();
                for topic in topics {
                    for partition in topic.partitions() {
                        let read = read_everything(&context, &topic, partition, deadline).await;
                        let Some(log) = read else { return false };
                        context.history.borrow_mut().finals.push((partition, log));
                    }
                }
                // Rot may have taken the topic.
                let has_rotted = context.history.borrow().has_rotted;
                has_rotted || describe_all(&context, deadline).await
            })
        };
        let machine = self.clients[0].machine;
        let (process, mains) = self.simulation.start(machine, &Neighbours::new(1), vec![main]);
        let has_rotted = self.context.history.borrow().has_rotted;
        loop {
            if let Some(is_read) = mains[0].take() {
                if !is_read {
                    self.violate("liveness", "not everything could be read at the end".to_owned());
                }
                return Some(process);
            }
            // A broker that says that its directory is damaged has told.
            if !self.violations.is_empty()
                || (has_rotted && self.restart_at.is_none() && self.broker.is_down())
            {
                self.simulation.crash(process, Crash::Kill, &mut Fate::everything());
                return None;
            }
            if deadline + Duration::from_secs(10) < self.simulation.now() {
                self.violate("liveness", "the last reader hangs".to_owned());
            }
            self.step();
        }
    }

    /// A bit turns somewhere in the broker's files: anywhere in the segments, or in what was written
    /// last.
    fn rot(&mut self, before: &Disk) {
        let disk = self.simulation.disk(self.machine);
        let is_in_segments = self.nemesis.rng().one_in(3);
        let candidates = |path: &Path| {
            // Nothing is ever written after the last commit of a relaxed stream, so that rot of it
            // could be told from a write that was torn.
            let is_relaxed = path.to_string_lossy().contains("/relaxed-");
            let is_possible = path.starts_with(DATA_DIR) && !is_relaxed;
            let is_segment = path.extension().is_some_and(|extension| extension == "log");
            let (old, new) = (before.file_bytes(path), disk.file_bytes(path));
            let new = new.expect("just listed");
            (0..new.len()).filter(move |at| match is_in_segments {
                true => is_possible && is_segment,
                false => is_possible && old.as_ref().and_then(|old| old.get(*at)) != new.get(*at),
            })
        };
        // Not gathered, as there may be many millions.
        let paths = disk.paths();
        let places = || paths.iter().flat_map(|path| candidates(path).map(move |at| (path, at)));
        let count = places().count();
        if count == 0 {
            return;
        }
        let rng = self.nemesis.rng();
        let (path, at) = places().nth(rng.index(count)).expect("one of those that were counted");
        let bit = 8 * at + rng.index(8);
        self.simulation.change_disk(self.machine, |disk| disk.flip(path, bit));
        self.context.history.borrow_mut().has_rotted = true;
        self.note(&format!("byte {at} of {} turns", path.display()));
    }

    // ---- The broker.

    fn start_broker(&mut self) {
        self.restart_at = None;
        self.counts.starts += 1;
        self.errors_before = self.nemesis.errors_count();
        self.started_at = self.simulation.now();
        self.broker.start(&mut self.simulation);
        self.note("a start begins");
        let is_calm = *self.context.phase.borrow() != Phase::Faults;
        if !is_calm && self.plan.faults.crash_while_starting && self.nemesis.rng().one_in(3) {
            let within = self.nemesis.rng().below(40_000);
            self.crash_at = Some(self.simulation.now() + Duration::from_micros(within));
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Kill => self.crash(Crash::Kill),
            Act::PowerLoss => self.crash(Crash::PowerLoss),
            Act::Stop => {
                self.note("it is told to end");
                self.broker.stop();
            }
            Act::ClientKill => self.kill_clients(),
            act => {
                self.note(&format!("{act:?}"));
                let clients: Vec<MachineId> =
                    self.clients.iter().map(|client| client.machine).collect();
                self.nemesis.act(act, &mut self.simulation, self.machine, &clients);
            }
        }
    }

    fn kill_clients(&mut self) {
        let rng = self.nemesis.rng();
        let number = rng.index(self.clients.len());
        let pause = Duration::from_millis(rng.below(1000));
        let restart_at = self.simulation.now() + pause;
        if self.clients[number].kill_until(&mut self.simulation, restart_at) {
            self.counts.client_crashes += 1;
            self.note(&format!("clients of machine {number} die"));
        }
    }

    fn crash(&mut self, crash: Crash) {
        if self.broker.is_down() {
            return;
        }
        let mut fate = match self.nemesis.rng().below(4) {
            0 => Fate::nothing(),
            1 => Fate::everything(),
            _ => Fate::random(self.nemesis.rng().next_u64()),
        };
        let lost = self.broker.crash(&mut self.simulation, crash, &mut fate);
        self.note(&format!("{crash:?} with {fate:?}: {lost:?}"));
        self.counts.crashes += 1;
        self.counts.lost_writes += lost.torn_count + lost.lost_count;
        self.crash_at = None;
        if crash == Crash::PowerLoss {
            let mut history = self.context.history.borrow_mut();
            history.power_losses.push(self.simulation.now());
            self.context.era.set(history.last_era());
        }
        self.restart_soon();
    }

    fn restart_soon(&mut self) {
        let pause = Duration::from_millis(self.nemesis.rng().below(500));
        self.restart_at = Some(self.simulation.now() + pause);
    }

    /// One thing happens.
    fn step(&mut self) {
        if !self.simulation.step() {
            // Everybody waits for the broker's next start.
            match self.restart_at {
                Some(_) => self.start_broker(),
                None => self.violate("liveness", "nothing can happen any more".to_owned()),
            }
        }
        for failed in self.nemesis.take_failed() {
            self.note(&format!("error: {failed}"));
        }
        let now = self.simulation.now();
        if let Some(news) = self.broker.tick(&mut self.simulation) {
            self.hear(news);
        }
        if self.crash_at.is_some_and(|at| at <= now) {
            self.crash_at = None;
            let crash = match self.plan.faults.power_loss && self.nemesis.rng().one_in(2) {
                true => Crash::PowerLoss,
                false => Crash::Kill,
            };
            self.crash(crash);
        }
        if self.restart_at.is_some_and(|at| at <= now) && self.broker.is_down() {
            self.start_broker();
        }
    }

    fn hear(&mut self, news: News) {
        self.note(&format!("{news:?}"));
        let has_reason = self.errors_before < self.nemesis.errors_count()
            || self.nemesis.was_full_since(self.started_at);
        let has_rotted = self.context.history.borrow().has_rotted;
        match news {
            News::Ready => return,
            News::Stopped => {
                self.broker.crash(&mut self.simulation, Crash::Kill, &mut Fate::everything());
                if self.context.history.borrow().finals.is_empty() {
                    self.restart_soon();
                }
                return;
            }
            // What it says is all that can be asked of it.
            News::Failed(_) if has_rotted => {
                self.broker.crash(&mut self.simulation, Crash::Kill, &mut Fate::everything());
                self.restart_at = None;
                return;
            }
            News::Failed(text) if !has_reason => {
                self.violate("start", format!("the broker does not start: {text}"));
            }
            News::Ended(text) if !has_reason && !has_rotted => {
                self.violate("start", format!("the broker has ended: {text}"));
            }
            News::Failed(_) | News::Ended(_) => {}
        }
        self.crash(Crash::Kill);
    }

    fn step_until(&mut self, deadline: Instant, done: impl Fn() -> bool) -> bool {
        while !done() {
            if deadline < self.simulation.now() || !self.violations.is_empty() {
                return false;
            }
            self.step();
        }
        true
    }

    fn step_for(&mut self, duration: Duration) {
        let end = self.simulation.now() + duration;
        while self.simulation.now() < end && self.violations.is_empty() {
            self.step();
        }
    }

    fn note(&mut self, event: &str) {
        self.events.push((self.simulation.now(), event.to_owned()));
    }

    fn violate(&mut self, invariant: &'static str, detail: String) {
        self.violations.push(Violation { invariant, detail });
    }

    fn verdict(mut self) -> Report {
        let history = self.context.history.take();
        self.violations.extend(invariants::check_all(&history));
        let acknowledged = history
            .sends
            .iter()
            .filter(|send| matches!(send.outcome, crate::history::Outcome::Acknowledged { .. }))
            .map(|send| send.records.len() as u64)
            .sum();
        let virtual_ms = self.simulation.now().as_nanos() / 1_000_000;
        let counts = Counts {
            disk_errors: self.nemesis.errors_count(),
            resets: self.simulation.resets_count(),
            operations: history.operations_count,
            incremental_fetches: history.incremental_count,
            epoch_ends: history.epoch_ends.len() as u64,
            grown: history.grown_count(),
            generations: history.generations_count(),
            migrations: history.migrations_count(),
            committed: history.committed_count(),
            acknowledged,
            virtual_ms,
            ..self.counts
        };
        let start = Instant::from_nanos(0);
        let mut events: Vec<(Instant, String)> =
            history.topics.iter().map(|topic| (start, format!("{topic:?}"))).collect();
        events.extend(self.events);
        if let Some(partition) = &self.facts_of {
            events.extend(history.facts_of(partition));
        }
        events.sort();
        let trace = self.simulation.trace();
        Report { counts, trace, violations: self.violations, events }
    }
}
