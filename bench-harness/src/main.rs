//! `bench-harness`: the demonstration and the benchmark matrix, from the command line.

#![forbid(unsafe_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use bench_harness::agreement::Agreement;
use bench_harness::broker::{self, BrokerSpec, Kind, Places};
use bench_harness::child::{self, ChildArgs};
use bench_harness::demo::Demo;
use bench_harness::index;
use bench_harness::matrix::{Matrix, Results, terminal};
use bench_harness::results::{self, Moment, target_directory, workspace_root};
use bench_harness::scenario::{Processors, Scenario};
use bench_harness::units::{Rate, Size, Span};
use clap::{Args, Parser, Subcommand};
use loadgen::settings::Acks;

/// Brokers under load, and reports that somebody else can check.
#[derive(Parser)]
#[command(name = "bench-harness", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the broker, runs a Black Friday of 20 s for each of acks=0, 1 and all, and writes a
    /// report; fails if an acknowledged record is missing, repeated, out of order or damaged.
    Demo(DemoArgs),
    /// Runs a scenario for all of its brokers and writes a report; fails if a broker did not keep
    /// what it had acknowledged, or a cell was not run.
    Run(RunArgs),
    /// Compares two brokers, run by run in turns, or two folders of results that are there.
    Compare(CompareArgs),
    /// Writes the reports of runs again, from what is in their folders.
    Report(ReportArgs),
    /// Becomes another program, for this one's own use.
    #[command(hide = true)]
    ExecChild(ChildArgs),
}

#[derive(Args)]
struct DemoArgs {
    /// Of each run; the profile is scaled to it.
    #[arg(long, default_value = "20s")]
    duration: Span,
    /// The rate that the profile's multiples refer to, in records; its peak is ten times that. The
    /// default leaves a laptop with two processors time to breathe.
    #[arg(long, default_value = "2000/s")]
    base: Rate,
    #[arg(long, value_delimiter = ',', default_value = "0,1,all")]
    acks: Vec<Acks>,
    /// Of a record's value.
    #[arg(long, default_value = "1KiB")]
    record_size: Size,
    /// Topics that are not flushed: acknowledged records survive the process, not the machine.
    #[arg(long)]
    relaxed: bool,
    /// A broker that is built already, instead of building one.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["external", "kafka"])]
    broker: Option<PathBuf>,
    /// A broker that runs already, as HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "kafka")]
    external: Option<String>,
    /// With --external: its process on this host, so that what it uses can be shown.
    #[arg(long, requires = "external")]
    external_pid: Option<u32>,
    /// Apache Kafka instead, from Maven Central.
    #[arg(long)]
    kafka: bool,
    /// Processors for the broker, separated by commas; chosen after the disk's interrupts if not
    /// given.
    #[arg(long, value_delimiter = ',', requires = "client_processors")]
    broker_processors: Vec<usize>,
    /// Processors for the load generator, one worker each.
    #[arg(long, value_delimiter = ',', requires = "broker_processors")]
    client_processors: Vec<usize>,
    /// Where brokers keep their data meanwhile: the disk under it is what is measured.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Where the report goes; a new folder in results/ if not given.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What to run with, whatever is run.
#[derive(Args)]
struct PlaceArgs {
    /// Our broker, built already, instead of building it.
    #[arg(long, value_name = "PATH")]
    broker: Option<PathBuf>,
    /// Where brokers keep their data meanwhile: the disk under it is what is measured.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Where its files go; results/<date>-<commit>-<name> if not given. A folder with some runs of
    /// the same scenario is gone on with.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Instead of the scenario's number.
    #[arg(long)]
    repetitions: Option<u32>,
    /// Only these groups of cells, separated by commas.
    #[arg(long, value_delimiter = ',')]
    cells: Vec<String>,
    /// No run begins later than so long after the first; what is left is told in the report.
    #[arg(long)]
    within: Option<Span>,
}

#[derive(Args)]
struct RunArgs {
    /// A TOML file, such as bench-harness/scenarios/first-light.toml.
    scenario: PathBuf,
    /// Only brokers of these names, separated by commas.
    #[arg(long, value_delimiter = ',')]
    brokers: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Args)]
struct CompareArgs {
    /// Two folders of results; with --scenario two of its brokers, or two programs of ours.
    #[arg(num_args = 2, value_names = ["A", "B"])]
    compared: Vec<String>,
    /// Run this, A and B in turns.
    #[arg(long)]
    scenario: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Args)]
struct ReportArgs {
    /// Folders of results.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match obey(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // All causes in one line; if nobody reads it, the exit code says enough.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo(args),
        Command::Run(args) => run(args),
        Command::Compare(args) => compare(args),
        Command::Report(args) => report(&args),
        Command::ExecChild(args) => Err(child::become_command(&args).into()),
    }
}

/// Progress is for whoever waits; if nobody does, it is not missed.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

fn demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let root = workspace_root();
    let target = target_directory();
    let kind = match (&args.external, args.kafka) {
        (Some(_), _) => Kind::External,
        (None, true) => Kind::Kafka,
        (None, false) => Kind::Highwater,
    };
    let mut spec = BrokerSpec::new(name_of(kind), kind);
    spec.address.clone_from(&args.external);
    spec.pid = args.external_pid;
    let places =
        places([kind].into_iter(), args.broker.as_deref(), args.data_dir.as_deref(), &target)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| root.join("results").join(format!("demo-{}", Moment::now().compact())));
    let processors = (!args.client_processors.is_empty()).then(|| Processors {
        broker: args.broker_processors.clone(),
        client: args.client_processors.clone(),
    });
    let demo = Demo {
        broker: spec,
        places,
        command: command(&args, kind),
        commit: results::commit(&root),
        acks: args.acks,
        base: args.base,
        duration: args.duration,
        record_size: args.record_size,
        is_durable: !args.relaxed,
        processors,
        out: out.clone(),
    };
    demo.matrix()?.run(&mut say)?;
    let results = Results::read(&out)?;
    results.publish()?;
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "\n{}\n{}\n", terminal(&results), out.join("report.html").display())?;
    Ok(if results.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let (scenario, _) = Scenario::read(&args.scenario)?;
    let scenario = scenario.with_brokers(&args.brokers)?;
    let command = run_command(&args.scenario, &args.brokers, &args.place);
    run_scenario(scenario, &args.place, command)
}

fn run_scenario(scenario: Scenario, args: &PlaceArgs, command: String) -> anyhow::Result<ExitCode> {
    let root = workspace_root();
    let mut scenario = scenario.with_groups(&args.cells)?;
    if let Some(repetitions) = args.repetitions {
        scenario = scenario.with_repetitions(repetitions)?;
    }
    let kinds = scenario.brokers.iter().map(|broker| broker.kind);
    let places =
        places(kinds, args.broker.as_deref(), args.data_dir.as_deref(), &target_directory())?;
    let commit = results::commit(&root);
    let name = format!("{}-{commit}-{}", Moment::now().date(), scenario.name);
    let out = args.out.clone().unwrap_or_else(|| root.join("results").join(name));
    let within = args.within.map(|it| it.0);
    let matrix = Matrix { scenario, places, out: out.clone(), commit, command, within };
    matrix.run(&mut say)?;
    let results = Results::read(&out)?;
    results.publish()?;
    for verdict in results.document().verdicts() {
        writeln!(std::io::stdout().lock(), "{verdict}")?;
    }
    if out.parent() == Some(&root.join("results")) {
        index::write(&root.join("results"))?;
    }
    writeln!(std::io::stdout().lock(), "{}", out.join("report.html").display())?;
    Ok(if results.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare(args: CompareArgs) -> anyhow::Result<ExitCode> {
    let [one, other] = args.compared.as_slice() else {
        anyhow::bail!("there are two sides to a comparison: name A and B");
    };
    let Some(path) = &args.scenario else {
        let [one, other] = [one, other].map(|folder| Results::read(Path::new(folder)));
        let agreement = Agreement::of(&one?, &other?)?;
        write!(std::io::stdout().lock(), "{}", agreement.text())?;
        return Ok(if agreement.is_full() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    let (scenario, _) = Scenario::read(path)?;
    let scenario = scenario.of_two(one, other)?;
    let command = format!(
        "{PROGRAM} compare {one} {other} --scenario {}{}",
        shown_path(path),
        place_arguments(&args.place)
    );
    run_scenario(scenario, &args.place, command)
}

fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    for folder in &args.folders {
        Results::read(folder)?.publish()?;
        writeln!(std::io::stdout().lock(), "{}", folder.join("report.html").display())?;
    }
    let results = workspace_root().join("results");
    if results.is_dir() {
        index::write(&results)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds and fetches what brokers of these kinds need.
fn places(
    kinds: impl Iterator<Item = Kind> + Clone,
    broker: Option<&Path>,
    data: Option<&Path>,
    target: &Path,
) -> anyhow::Result<Places> {
    let has = |kind| kinds.clone().any(|it| it == kind);
    Ok(Places {
        launcher: std::env::current_exe().context("cannot find this program")?,
        highwater: match broker {
            Some(path) => {
                path.canonicalize().with_context(|| format!("no broker at {}", path.display()))?
            }
            None if has(Kind::Highwater) => broker::build(&workspace_root())?,
            None => PathBuf::new(),
        },
        kafka: if has(Kind::Kafka) { broker::install(target)? } else { PathBuf::new() },
        // Brokers run in directories of their own.
        data: std::path::absolute(data.unwrap_or(&target.join("bench-data")))
            .context("cannot find the directory for data")?,
    })
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Highwater => "Highwater",
        Kind::Kafka => "Apache Kafka",
        Kind::External => "a broker that was running",
    }
}

const PROGRAM: &str = "cargo run --release --package bench-harness --bin bench-harness --";

/// A path without what is only of this host.
fn shown_path(path: &Path) -> String {
    let shown = if path.is_absolute() { path.file_name().map_or(path, Path::new) } else { path };
    shown.display().to_string()
}

/// What to type to do the same, without what is only of this host.
fn run_command(scenario: &Path, brokers: &[String], place: &PlaceArgs) -> String {
    let mut command = format!("{PROGRAM} run {}", shown_path(scenario));
    if !brokers.is_empty() {
        command.push_str(&format!(" --brokers '{}'", brokers.join(",")));
    }
    command + &place_arguments(place)
}

fn place_arguments(place: &PlaceArgs) -> String {
    let mut arguments = String::new();
    if let Some(repetitions) = place.repetitions {
        arguments.push_str(&format!(" --repetitions {repetitions}"));
    }
    if !place.cells.is_empty() {
        arguments.push_str(&format!(" --cells {}", place.cells.join(",")));
    }
    arguments
}

/// Likewise of a demonstration.
fn command(args: &DemoArgs, kind: Kind) -> String {
    let acks: Vec<&str> = args.acks.iter().map(|acks| acks.name()).collect();
    let mut command = format!(
        "cargo demo --base {} --duration {} --acks {} --record-size {}",
        args.base,
        args.duration,
        acks.join(","),
        args.record_size
    );
    if args.relaxed {
        command.push_str(" --relaxed");
    }
    match kind {
        Kind::Highwater => {}
        Kind::Kafka => command.push_str(" --kafka"),
        Kind::External => command.push_str(" --external HOST:PORT"),
    }
    command
}
