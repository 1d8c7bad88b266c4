//! `simulate`: runs seeds and says which invariants they break.
//!
//! Several seeds run on all processors, each in a process of its own: what one leaves behind, or dies
//! of, is not the next one's.
//!
//! Exit code 0 if all hold; 1 if one is broken, with the seed and the command that repeats it.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use runtime::sim::PlantedBug;
use simulation::{Options, Plan, Profile, Violation, run};

/// Runs a broker under simulated clients and faults.
#[derive(Parser)]
#[command(name = "simulate", version)]
struct Cli {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Virtual time with faults, of each.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Requests of clients, of each.
    #[arg(long, default_value_t = 2000)]
    operations: u64,
    /// A bug to be found: one of those that `--bugs` names.
    #[arg(long)]
    bug: Option<String>,
    /// Names the bugs that can be planted.
    #[arg(long)]
    bugs: bool,
    /// A bit of the broker's disk turns at the end of every run.
    #[arg(long)]
    rot: bool,
    /// Shows what a seed's run is like.
    #[arg(long)]
    plan: bool,
    /// Shows what was done to the broker, and when.
    #[arg(long)]
    events: bool,
    /// With --events: also what clients did with this partition and saw of it.
    #[arg(long, value_name = "PARTITION")]
    facts: Option<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = std::io::stdout();
    if cli.bugs {
        for bug in PlantedBug::ALL {
            // Whoever closes the output has seen enough.
            let _ = writeln!(out, "{}", bug.name());
        }
        return ExitCode::SUCCESS;
    }
    let bug = match &cli.bug {
        None => None,
        Some(name) => match PlantedBug::ALL.into_iter().find(|bug| bug.name() == name) {
            Some(bug) => Some(bug),
            None => {
                let _ =
                    writeln!(std::io::stderr(), "--bug {name}: there is no such bug; see --bugs");
                return ExitCode::FAILURE;
            }
        },
    };
    let is_good = match cli.count {
        1 => run_one(&cli, bug, &mut out),
        _ => run_many(&cli),
    };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_one(cli: &Cli, bug: Option<PlantedBug>, out: &mut impl Write) -> bool {
    let (seed, duration) = (cli.seed, Duration::from_secs(cli.seconds));
    let profile = Profile { duration, operations_min: cli.operations, has_rot: cli.rot };
    let options = Options { profile, bug, facts_of: cli.facts.clone() };
    if cli.plan {
        let _ = writeln!(out, "{:#?}", Plan::of(seed, &profile));
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, &options)));
    let violations = match outcome {
        Ok(report) => {
            for (at, event) in report.events.iter().filter(|_| cli.events) {
                let _ = writeln!(out, "{at} {event}");
            }
            let _ = writeln!(out, "seed {seed} trace={:016x} {}", report.trace, report.counts);
            report.violations
        }
        // What it said is on standard error already.
        Err(panic) => vec![of_panic(panic.as_ref())],
    };
    for violation in &violations {
        let _ = writeln!(out, "seed {seed}: {violation}");
    }
    violations.is_empty()
}

/// What several seeds have come to.
#[derive(Default)]
struct Sum {
    failed_count: u64,
    counts: BTreeMap<String, u64>,
}

fn run_many(cli: &Cli) -> bool {
    let mut out = std::io::stdout();
    let mut running: VecDeque<(u64, std::io::Result<Child>)> = VecDeque::new();
    let mut sum = Sum::default();
    let processors_count = runtime::host::processors().len().max(1);
    let mut seeds = cli.seed..cli.seed + cli.count;
    loop {
        while running.len() < processors_count
            && let Some(seed) = seeds.next()
        {
            running.push_back((seed, cli.start(seed)));
        }
        let Some((seed, child)) = running.pop_front() else { break };
        let (is_good, text) = match child.and_then(Child::wait_with_output) {
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                (output.status.success(), String::from_utf8_lossy(&said).into_owned())
            }
            Err(error) => (false, format!("seed {seed}: cannot be run: {error}\n")),
        };
        let _ = out.write_all(text.as_bytes());
        sum.add(seed, is_good, &text);
    }
    let Sum { failed_count, counts } = sum;
    let counts = counts.iter().map(|(name, count)| format!(" {name}={count}"));
    let counts: String = counts.collect();
    let _ = writeln!(out, "{} seeds, {failed_count} failed:{counts}", cli.count);
    failed_count == 0
}

impl Cli {
    /// A process for one seed of several.
    fn start(&self, seed: u64) -> std::io::Result<Child> {
        let mut command = Command::new("/proc/self/exe");
        for (name, value) in
            [("--seed", seed), ("--seconds", self.seconds), ("--operations", self.operations)]
        {
            command.args([name, &value.to_string()]);
        }
        for (name, value) in [("--bug", &self.bug), ("--facts", &self.facts)] {
            command.args(value.iter().flat_map(|value| [name, value]));
        }
        for (name, is_given) in
            [("--rot", self.rot), ("--plan", self.plan), ("--events", self.events)]
        {
            command.args(is_given.then_some(name));
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

impl Sum {
    fn add(&mut self, seed: u64, is_good: bool, text: &str) {
        self.failed_count += u64::from(!is_good);
        let head = format!("seed {seed} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&head)).unwrap_or_default();
        for (name, value) in line.split_whitespace().filter_map(|word| word.split_once('=')) {
            // The trace is no count.
            if let (true, Ok(count)) = (name != "trace", value.parse::<u64>()) {
                *self.counts.entry(name.to_owned()).or_default() += count;
            }
        }
    }
}

/// An assertion of the broker's code, or of the machine that watches over its buffers.
fn of_panic(panic: &(dyn std::any::Any + Send)) -> Violation {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let detail = text.unwrap_or_else(|| "a panic without words".to_owned());
    let is_buffer = detail.contains(runtime::sim::BUFFER_OWNERSHIP);
    Violation { invariant: if is_buffer { "buffers" } else { "assertions" }, detail }
}
