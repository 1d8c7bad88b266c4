//! `simulate`: runs seeds and says which invariants they break.
//!
//! Exit code 0 if all hold; 1 if one is broken, with the seed and the command that repeats it.

#![forbid(unsafe_code)]

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use runtime::sim::PlantedBug;
use simulation::{Counts, Options, Plan, Profile, Violation, run};

/// Runs a broker under simulated clients and faults.
#[derive(Parser)]
#[command(name = "simulate", version)]
struct Cli {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
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
    let duration = Duration::from_secs(cli.seconds);
    let profile = Profile { duration, operations_min: cli.operations, has_rot: cli.rot };
    let options = Options { profile, bug, facts_of: cli.facts.clone() };
    let mut sum = Counts::default();
    let mut failed_count = 0_u64;
    for seed in cli.seed..cli.seed + cli.count {
        if cli.plan {
            let _ = writeln!(out, "{:#?}", Plan::of(seed, &profile));
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, &options)));
        let violations = match outcome {
            Ok(report) => {
                sum = sum.plus(report.counts);
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
        failed_count += u64::from(!violations.is_empty());
    }
    if 1 < cli.count {
        let _ = writeln!(out, "{} seeds, {failed_count} failed: {sum}", cli.count);
    }
    if failed_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An assertion of the broker's code, or of the machine that watches over its buffers.
fn of_panic(panic: &(dyn std::any::Any + Send)) -> Violation {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let detail = text.unwrap_or_else(|| "a panic without words".to_owned());
    let is_buffer = detail.contains(runtime::sim::BUFFER_OWNERSHIP);
    Violation { invariant: if is_buffer { "buffers" } else { "assertions" }, detail }
}
