//! Crashes at every operation of a script, in every way, and again during the recovery.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use runtime::sim::{Crash, Disk, Fate, Simulation};
use runtime::{Neighbours, Rng};
use storage::{FlushMethod, StoreOptions};

use crate::ghost::{Ghost, SharedGhost};
use crate::script::{self, Step};
use crate::support::small_options;

/// How thoroughly to look: more with `HIGHWATER_SWEEP` set to a number above 1.
pub(crate) fn thoroughness() -> u64 {
    std::env::var("HIGHWATER_SWEEP").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// What a sweep has done, so that a sweep of nothing does not pass for one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) operations: u64,
    /// Of the script itself.
    pub(crate) crashes: u64,
    /// All recoveries, those after second crashes included.
    pub(crate) recoveries: u64,
    pub(crate) second_crashes: u64,
    pub(crate) compactions: u64,
}

/// One process on the machine, run until it ends or is to be crashed.
pub(crate) struct Life {
    pub(crate) simulation: Simulation,
    pub(crate) process: runtime::sim::ProcessId,
    pub(crate) handle: runtime::sim::MainHandle<Result<(), String>>,
    pub(crate) ghost: SharedGhost,
}

pub(crate) fn begin(
    seed: u64,
    disk: Disk,
    options: StoreOptions,
    ghost: &Ghost,
    steps: &Rc<Vec<Step>>,
) -> Life {
    let mut simulation = Simulation::new(seed);
    let machine = simulation.add_machine(disk);
    let ghost: SharedGhost = Rc::new(RefCell::new(ghost.clone()));
    let main = {
        let (ghost, steps) = (ghost.clone(), steps.clone());
        || script::run(options, ghost, steps)
    };
    let (process, mut handles) = simulation.start(machine, &Neighbours::new(1), vec![main]);
    Life { simulation, process, handle: handles.remove(0), ghost }
}

/// Boots differ after a loss of power.
pub(crate) fn options(boot: u8) -> StoreOptions {
    small_options(Path::new("/"), boot)
}

/// What follows a crash: recover, append once more to each partition, and leave it at that.
pub(crate) fn epilogue() -> Rc<Vec<Step>> {
    let mut steps = Vec::new();
    for number in 0..2 {
        steps.extend([Step::Append(number, 100), Step::Flushed(number)]);
    }
    Rc::new(steps)
}

struct Sweep {
    flush_method: FlushMethod,
    counts: Counts,
    seed: u64,
    turn: u64,
}

impl Sweep {
    fn options(&self, boot: u8) -> StoreOptions {
        StoreOptions { flush_method: self.flush_method, ..options(boot) }
    }

    /// Runs the script, and crashes it wherever the number of its operations changes.
    pub(crate) fn script(&mut self, steps: Vec<Step>) {
        let steps = Rc::new(steps);
        let mut life = begin(self.seed, Disk::new(), self.options(1), &Ghost::default(), &steps);
        let mut operations_seen = 0;
        let mut steps_count = 0u64;
        while !life.handle.is_ready() {
            assert!(life.simulation.step(), "seed {}: the script is stuck", self.seed);
            steps_count += 1;
            assert!(steps_count < 3_000_000, "seed {}: the script does not end", self.seed);
            let operations = life.simulation.operations_count();
            // Nothing can be lost that was never promised; begin with the first promise.
            if operations == operations_seen || life.ghost.borrow().partitions.is_empty() {
                continue;
            }
            operations_seen = operations;
            self.counts.operations += 1;
            self.crash_in_all_ways(&life, 1, 0);
        }
        let result = life.handle.take().unwrap();
        assert_eq!(result, Ok(()), "seed {}", self.seed);
        self.counts.compactions += life.ghost.borrow().compactions_count;
    }

    /// Crashes a life as it stands now, in several ways, and recovers from each.
    fn crash_in_all_ways(&mut self, life: &Life, boot: u8, depth: u32) {
        for crash in [Crash::Kill, Crash::PowerLoss] {
            let mut asked = Fate::nothing();
            let nothing = life.simulation.disk_after(life.process, crash, &mut asked);
            let uncertain_count = asked.asked_count();
            self.recover(nothing, life, crash, boot, depth, "nothing");
            if uncertain_count == 0 {
                continue;
            }
            for mut fate in self.fates(life, uncertain_count, depth) {
                let name = format!("{fate:?}");
                let disk = life.simulation.disk_after(life.process, crash, &mut fate);
                self.recover(disk, life, crash, boot, depth, &name);
            }
        }
    }

    /// Which of the uncertain things have happened: one choice at random, one of the plain ones by
    /// turns, and more of both if more is asked for.
    fn fates(&mut self, life: &Life, uncertain_count: u64, depth: u32) -> Vec<Fate> {
        self.turn += 1;
        let operations = life.simulation.operations_count();
        let turn = self.turn;
        let seed = self.seed;
        let mix =
            |n: u64| seed.wrapping_mul(0x9e37_79b9).wrapping_add((operations << 20) + turn + n);
        let plain = |n: u64| {
            let one = Rng::from_seed(mix(n)).below(uncertain_count);
            match (turn + n) % 4 {
                0 => Fate::everything(),
                1 => Fate::only(one),
                2 => Fate::all_but(one),
                _ => Fate::first(one),
            }
        };
        let count = if depth == 0 { thoroughness() } else { 1 };
        let mut fates: Vec<Fate> = (0..count).map(|n| Fate::random(mix(n))).collect();
        if depth == 0 {
            fates.extend((0..count).map(plain));
        }
        fates
    }

    fn recover(&mut self, disk: Disk, life: &Life, crash: Crash, boot: u8, depth: u32, fate: &str) {
        self.counts.recoveries += 1;
        if depth == 0 {
            self.counts.crashes += 1;
        }
        let is_power_lost = crash == Crash::PowerLoss;
        let boot = if is_power_lost { boot + 1 } else { boot };
        let mut ghost = life.ghost.borrow().clone();
        if is_power_lost {
            ghost.lose_power();
        }
        let seed = self.seed;
        let where_ = || {
            let operation = life.simulation.operations_count();
            format!("seed {seed}, operation {operation}, {crash:?}, {fate}")
        };
        let mut next = begin(self.seed, disk, self.options(boot), &ghost, &epilogue());
        // Some recoveries are themselves crashed, at each of their operations.
        let is_crashed_again =
            depth == 0 && self.counts.crashes.is_multiple_of(41 / thoroughness().min(41));
        let mut operations_seen = 0;
        let mut steps_count = 0u64;
        while !next.handle.is_ready() {
            assert!(next.simulation.step(), "{}: recovery is stuck", where_());
            steps_count += 1;
            assert!(steps_count < 1_000_000, "{}: recovery does not end", where_());
            let operations = next.simulation.operations_count();
            if is_crashed_again && operations != operations_seen {
                operations_seen = operations;
                // Every other operation; which ones changes from time to time.
                if thoroughness() == 1 && (operations + self.counts.crashes / 41).is_multiple_of(2)
                {
                    continue;
                }
                self.counts.second_crashes += 1;
                self.crash_in_all_ways(&next, boot, depth + 1);
            }
        }
        if let Err(error) = next.handle.take().unwrap() {
            panic!("{}: {error}", where_());
        }
        // What was shown after the recovery must outlive the next loss of power as well.
        if depth == 0 {
            let disk =
                next.simulation.disk_after(next.process, Crash::PowerLoss, &mut Fate::nothing());
            let name = format!("nothing, after {}", where_());
            self.recover(disk, &next, Crash::PowerLoss, boot, depth + 2, &name);
        }
    }
}

/// Sweeps a script, with as many seeds as are asked for.
#[track_caller]
pub(crate) fn sweep(name: &str, script: impl Fn(u64) -> Vec<Step>) -> Counts {
    sweep_flushing(name, FlushMethod::WriteDurably, script)
}

/// The same, with this way to make a write durable.
#[track_caller]
pub(crate) fn sweep_flushing(
    name: &str,
    flush_method: FlushMethod,
    script: impl Fn(u64) -> Vec<Step>,
) -> Counts {
    let mut counts = Counts::default();
    for seed in 0..thoroughness() {
        let mut sweep = Sweep { flush_method, counts, seed, turn: 0 };
        sweep.script(script(seed));
        counts = sweep.counts;
    }
    println!("{name}: {counts:?}");
    assert!(20 < counts.operations && 200 < counts.recoveries && 20 < counts.second_crashes);
    counts
}
