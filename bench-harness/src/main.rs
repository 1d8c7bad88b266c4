//! `bench-harness`: the demonstration and the benchmark matrix, from the command line.

#![forbid(unsafe_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use bench_harness::broker::{self, BrokerSpec, Kind, Places};
use bench_harness::child::{self, ChildArgs};
use bench_harness::demo::Demo;
use bench_harness::matrix::Matrix;
use bench_harness::placement::Placement;
use bench_harness::results::{self, Moment, target_directory, workspace_root};
use bench_harness::scenario::Scenario;
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
    /// what it had acknowledged, or a cell could not be run.
    Run(RunArgs),
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

#[derive(Args)]
struct RunArgs {
    /// A TOML file, such as bench-harness/scenarios/first-light.toml.
    scenario: PathBuf,
    /// Only brokers of these names, separated by commas.
    #[arg(long, value_delimiter = ',')]
    brokers: Vec<String>,
    /// Instead of the scenario's number.
    #[arg(long)]
    repetitions: Option<u32>,
    /// Our broker, built already, instead of building it.
    #[arg(long, value_name = "PATH")]
    broker: Option<PathBuf>,
    /// Where brokers keep their data meanwhile: the disk under it is what is measured.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Where the report goes; results/<date>-<commit>-<name> if not given.
    #[arg(long)]
    out: Option<PathBuf>,
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
        Command::ExecChild(args) => Err(child::become_command(&args).into()),
    }
}

fn demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let root = workspace_root();
    let target = target_directory();
    let mut places = Places {
        launcher: std::env::current_exe().context("cannot find this program")?,
        highwater: PathBuf::new(),
        kafka: PathBuf::new(),
        data: args.data_dir.clone().unwrap_or_else(|| target.join("bench-data")),
    };
    let kind = match (&args.external, args.kafka) {
        (Some(_), _) => Kind::External,
        (None, true) => Kind::Kafka,
        (None, false) => Kind::Highwater,
    };
    let mut spec = BrokerSpec::new(name_of(kind), kind);
    match kind {
        Kind::External => {
            spec.address = args.external.clone();
            spec.pid = args.external_pid;
        }
        Kind::Kafka => places.kafka = broker::install(&target)?,
        Kind::Highwater => {
            places.highwater = match &args.broker {
                Some(path) => path
                    .canonicalize()
                    .with_context(|| format!("no broker at {}", path.display()))?,
                None => broker::build(&root)?,
            };
        }
    }
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| root.join("results").join(format!("demo-{}", Moment::now().compact())));
    let placement = (!args.client_processors.is_empty())
        .then(|| Placement::fixed(args.broker_processors.clone(), args.client_processors.clone()));
    let demo = Demo {
        broker: spec,
        places,
        command: command(&args, kind),
        acks: args.acks,
        base: args.base,
        duration: args.duration,
        record_size: args.record_size,
        is_durable: !args.relaxed,
        placement,
        out: out.clone(),
    };
    let demonstration = demo.run(&mut |what| {
        // Progress is for whoever waits; if nobody does, it is not missed.
        let _ = writeln!(std::io::stderr(), "{what}");
    })?;
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "\n{}\n{}\n", demonstration.summary(), out.join("report.html").display())?;
    Ok(if demonstration.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let root = workspace_root();
    let target = target_directory();
    let (scenario, _) = Scenario::read(&args.scenario)?;
    let mut scenario = scenario.with_brokers(&args.brokers)?;
    if let Some(repetitions) = args.repetitions {
        scenario.repetitions = repetitions.max(1);
    }
    let has = |kind| scenario.brokers.iter().any(|broker| broker.kind == kind);
    let places = Places {
        launcher: std::env::current_exe().context("cannot find this program")?,
        highwater: match &args.broker {
            Some(path) => {
                path.canonicalize().with_context(|| format!("no broker at {}", path.display()))?
            }
            None if has(Kind::Highwater) => broker::build(&root)?,
            None => PathBuf::new(),
        },
        kafka: if has(Kind::Kafka) { broker::install(&target)? } else { PathBuf::new() },
        data: args.data_dir.unwrap_or_else(|| target.join("bench-data")),
    };
    let commit = results::commit(&root);
    let name = format!("{}-{commit}-{}", Moment::now().date(), scenario.name);
    let out = args.out.unwrap_or_else(|| root.join("results").join(name));
    let command = run_command(&args.scenario, &args.brokers, scenario.repetitions);
    let matrix = Matrix { scenario, places, out: out.clone(), commit, command };
    let results = matrix.run(&mut |what| {
        // Progress is for whoever waits; if nobody does, it is not missed.
        let _ = writeln!(std::io::stderr(), "{what}");
    })?;
    writeln!(std::io::stdout().lock(), "{}", out.join("report.html").display())?;
    Ok(if results.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Highwater => "Highwater",
        Kind::Kafka => "Apache Kafka",
        Kind::External => "a broker that was running",
    }
}

/// What to type to do the same, without what is only of this host.
fn run_command(scenario: &Path, brokers: &[String], repetitions: u32) -> String {
    let file = match scenario.is_absolute() {
        true => scenario.file_name().map_or(scenario, Path::new),
        false => scenario,
    };
    let program = "cargo run --release --package bench-harness --bin bench-harness";
    let mut command = format!("{program} -- run {} --repetitions {repetitions}", file.display());
    if !brokers.is_empty() {
        command.push_str(&format!(" --brokers '{}'", brokers.join(",")));
    }
    command
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
