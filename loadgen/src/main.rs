//! `loadgen`: load for any Kafka broker, from the command line.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, Parser, Subcommand};
use loadgen::calibrate::{self, CalibrationSettings};
use loadgen::condition::{self, Condition};
use loadgen::groups::{self, GroupsSettings};
use loadgen::live::Live;
use loadgen::plan::{KeyDistribution, SizeDistribution};
use loadgen::profile::Profile;
use loadgen::record::{Headers, Payload};
use loadgen::saturation::{self, MEASURED, Saturation};
use loadgen::schedule::Arrivals;
use loadgen::screen::{self, Caption, Show};
use loadgen::settings::{
    Acks, Base, Choice, ClosedLoop, Codec, Consume, DURATION_USUAL, FetchSettings, Load, OpenLoop,
    ReaderSettings, RecordSettings, Settings, TopicSettings,
};
use loadgen::sink::{Faults, RecordFault, Sink, SinkOptions, Stall};
use loadgen::units::{Rate, Size, Span, count_text};
use loadgen::{folder, run, table};

/// The broker kept its word, and a condition of the user's failed.
const FAILED_CONDITION: u8 = 3;

const EXIT_CODES: &str = "Exit codes:
  0  every acknowledged record was read back, and no --fail-if failed
  1  the broker did not keep what it had acknowledged, nothing came through, or there was no run
  2  the command line is not understood
  3  the broker kept its word, and a --fail-if failed";

/// Load for any broker that speaks Kafka's protocol: open loop, in the shape of a real day, with
/// every acknowledged record read back.
#[derive(Parser)]
#[command(name = "loadgen", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a load; fails if an acknowledged record is missing, repeated, out of order or damaged.
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// Runs consumer groups: members that join, commit at a rate, leave and come again; fails if a
    /// committed offset is not what was acknowledged, or a group does not divide its partitions.
    Groups(GroupsArgs),
    /// Measures what the generator and the host can do at most and at best, against a broker that
    /// accepts everything and does nothing.
    Calibrate(CalibrateArgs),
    /// Is that broker, for other generators and other measurements, until it is killed. It makes a
    /// topic as soon as a client names one; it has no consumer groups and no transactions.
    Sink(SinkArgs),
    /// Lists the built-in profiles.
    Profiles,
    /// Draws a profile, at a base rate and over a duration.
    Explain {
        /// A built-in profile, or the path of a TOML file or of a CSV trace.
        profile: String,
        /// Of a trace its own rates, otherwise 2000/s, if not given.
        #[arg(long)]
        base: Option<Rate>,
        /// The profile's own, otherwise 20s, if not given.
        #[arg(long)]
        duration: Option<Span>,
    },
}

#[derive(Args)]
struct RunArgs {
    /// Brokers to ask first, HOST:PORT, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    bootstrap: Vec<String>,
    /// A built-in profile, or the path of a TOML file or of a CSV trace.
    #[arg(long, default_value = "steady")]
    profile: String,
    /// The rate that the profile's multiples refer to, in records; or auto:50%, half of what the
    /// broker takes, which is measured first (in --topic the records of that stay). Of a trace its
    /// own rates, otherwise 2000/s, if not given.
    #[arg(long)]
    base: Option<Base>,
    /// The profile's own, otherwise 20s, if not given.
    #[arg(long)]
    duration: Option<Span>,
    /// At the base rate before the profile; verified, not measured.
    #[arg(long, default_value = "1s")]
    warm_up: Span,
    /// How records are spread around the rate: as the profile says, otherwise even, if not given.
    #[arg(long, value_enum)]
    arrivals: Option<Arrivals>,
    /// Instead of a schedule: keep so many bytes in flight, whatever the broker does with them.
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["profile", "base", "arrivals"])]
    saturate: Option<Size>,
    /// With --saturate: and at most so many requests.
    #[arg(long, default_value = "100000", requires = "saturate")]
    requests_in_flight: u32,
    /// With --saturate: batches, each of another partition, in one request.
    #[arg(long, default_value = "1", requires = "saturate")]
    batches_per_request: u32,
    #[command(flatten)]
    producers: ProducerArgs,
    #[arg(long, default_value = "10000")]
    keys: u32,
    /// How often each key comes: all alike, or by rank as Zipf has it, with an exponent. With
    /// --saturate they take turns.
    #[arg(long, default_value_t, value_name = "uniform|zipf:1.1")]
    key_distribution: KeyDistribution,
    /// The share of all records that goes to one key besides, from 0 to 1: the profile's, otherwise
    /// 0, if not given.
    #[arg(long)]
    hot_key: Option<f64>,
    /// A topic that exists; otherwise topics are made for the run and deleted after it.
    #[arg(long)]
    topic: Option<String>,
    #[arg(long, default_value = "1")]
    topics: u32,
    #[arg(long, default_value = "1")]
    replication_factor: i16,
    /// A config of the topics that are made, for example flush.messages=1.
    #[arg(long, value_name = "NAME=VALUE")]
    config: Vec<String>,
    /// Leave the topics of the run behind.
    #[arg(long)]
    keep_topics: bool,
    /// Connections that consume.
    #[arg(long, default_value = "1")]
    consumers: u32,
    /// Consumers beside those that verify, each of which reads everything: tail, 3xtail,
    /// slow:10k/s, slow:1x (of the base rate), catch-up:20s (from the start of the run, beginning 20 s
    /// into it), group:3 (a consumer group of three members, which commit what they have read). May be
    /// given several times; otherwise the profile's, if it has any.
    #[arg(long)]
    reader: Vec<ReaderSettings>,
    /// When records are read back.
    #[arg(long, value_enum, default_value = "during")]
    consume: Consume,
    #[arg(long, default_value = "500ms")]
    fetch_wait: Span,
    #[arg(long, default_value = "1")]
    fetch_size_min: Size,
    #[arg(long, default_value = "1MiB")]
    fetch_size_max: Size,
    #[arg(long, default_value = "1")]
    seed: u64,
    #[arg(long, default_value = "100ms")]
    interval: Span,
    /// How long to wait for acknowledgements after the schedule's end, and again for consumers.
    #[arg(long, default_value = "10s")]
    drain: Span,
    /// How to show the run while it runs, on the error output.
    #[arg(long, value_enum, default_value_t)]
    show: Show,
    /// Fail if this is so, for example p99>5ms, end-to-end.p99.9>20ms, max>1s, rate<1000/s,
    /// missing>0, unsent>0 or client-bound; may be given several times. A percentile on too few
    /// samples fails, too.
    #[arg(long, value_name = "CONDITION")]
    fail_if: Vec<Condition>,
    /// Where to write settings, numbers and histograms.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct CalibrateArgs {
    #[command(flatten)]
    producers: ProducerArgs,
    /// The processor for the sink to stay on.
    #[arg(long)]
    sink_processor: Option<usize>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct GroupsArgs {
    /// Brokers to ask first, HOST:PORT, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    bootstrap: Vec<String>,
    #[arg(long, default_value = "1000")]
    groups: u32,
    /// Of each group, and the partitions of the topic that they all read.
    #[arg(long, default_value = "3")]
    members: u32,
    /// Of all members together, each commit of one partition.
    #[arg(long, default_value = "10k/s")]
    commits: Rate,
    /// How often a member leaves its group and comes again once the others have its partitions.
    #[arg(long, default_value = "0/s")]
    churn: Rate,
    /// Between two heartbeats of a member.
    #[arg(long, default_value = "3s")]
    heartbeat: Span,
    #[arg(long, default_value = "45s")]
    session_timeout: Span,
    /// New members, until all are there.
    #[arg(long, default_value = "1000/s")]
    arrivals: Rate,
    /// Commits before those that are measured.
    #[arg(long, default_value = "1s")]
    warm_up: Span,
    #[arg(long, default_value = "20s")]
    duration: Span,
    /// How long groups may take to divide their partitions.
    #[arg(long, default_value = "60s")]
    patience: Span,
    /// The processor for the generator to stay on.
    #[arg(long)]
    processor: Option<usize>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What is produced and how: of a run, and of the calibration for one.
#[derive(Args)]
struct ProducerArgs {
    /// 0, 1 or all. A calibration needs answers: 1 or all, which are the same to it.
    #[arg(long, default_value = "all")]
    acks: Acks,
    /// Number batches, so that the broker can tell repeated ones.
    #[arg(long)]
    idempotent: bool,
    /// Of a record's value: 1KiB, any of 100..4KiB, or sizes with their shares as in
    /// 100:80%,1KiB:15%,16KiB:5%.
    #[arg(long, default_value = "1KiB")]
    record_size: SizeDistribution,
    /// Headers of every record: how many, and the size of their values.
    #[arg(long, default_value = "0x0", value_name = "COUNTxSIZE")]
    headers: Headers,
    #[arg(long, value_enum, default_value_t)]
    payload: Payload,
    /// How the records of a batch are compressed: none, gzip, snappy, lz4 or zstd.
    #[arg(long, default_value = "none")]
    codec: Codec,
    #[arg(long, default_value = "10000")]
    batch_records_max: u32,
    /// Before it is compressed.
    #[arg(long, default_value = "1000000")]
    batch_size_max: Size,
    /// How long a record may wait for others to leave with.
    #[arg(long, default_value = "1ms")]
    linger: Span,
    /// Of each topic.
    #[arg(long, default_value = "4")]
    partitions: u32,
    /// Connections that produce, to each broker.
    #[arg(long, default_value = "1")]
    connections: u32,
    /// Processors for the generator to stay on, one worker each, separated by commas.
    #[arg(long, value_delimiter = ',')]
    processors: Vec<usize>,
}

#[derive(Args)]
struct SinkArgs {
    #[arg(long, default_value = "127.0.0.1:9092")]
    listen: SocketAddr,
    /// The processor to stay on.
    #[arg(long)]
    processor: Option<usize>,
    /// Of a topic that a client names.
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    partitions: u32,
    /// Forget records at once; nothing can be read back.
    #[arg(long)]
    forget: bool,
    /// Do nothing for so long, once in every --stall-every.
    #[arg(long)]
    stall: Option<Span>,
    #[arg(long, default_value = "1s")]
    stall_every: Span,
    /// What to do to one record of --fault-one-in, of each kind in turn.
    #[arg(long, value_enum, value_delimiter = ',')]
    fault: Vec<RecordFault>,
    #[arg(long, default_value = "100000")]
    fault_one_in: u64,
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
        Command::Run(args) => run_load(*args),
        Command::Groups(args) => run_groups(args),
        Command::Calibrate(args) => calibrate_host(args),
        Command::Sink(args) => run_sink(args),
        Command::Profiles => {
            for profile in Profile::built_in() {
                say(&format!("{:18} {}\n", profile.name, profile.about))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain { profile, base, duration } => {
            let Choice { profile, base, duration } =
                Choice::new(&profile, base.map(Base::Rate), duration)?;
            say(&profile.explain(base.per_s().expect("a rate is given"), duration.0))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run_load(args: RunArgs) -> anyhow::Result<ExitCode> {
    let (out, show) = (args.out.clone(), args.show);
    let settings = with_measured_base(args.settings()?)?;
    let caption = Caption { title: table::title(&settings), duration: settings.load.times().1 };
    let live = Arc::new(Live::new());
    let watcher = {
        let live = live.clone();
        std::thread::spawn(move || screen::watch(&live, show, &caption))
    };
    let outcome = run::run_watched(&settings, &live);
    // It only looks, and has seen that the run is over.
    let _ = watcher.join();
    let outcome = outcome?;
    say(&table::outcome(&outcome))?;
    if let Some(out) = out {
        folder::write(&out, &outcome)?;
        say(&format!("written to {}\n", out.display()))?;
    }
    Ok(match () {
        () if !outcome.verdict().is_good() => ExitCode::FAILURE,
        () if !condition::failures(&outcome).is_empty() => ExitCode::from(FAILED_CONDITION),
        () => ExitCode::SUCCESS,
    })
}

fn run_groups(args: GroupsArgs) -> anyhow::Result<ExitCode> {
    let json = args.json;
    let outcome = groups::run(&args.settings(), || {})?;
    if json {
        say(&format!("{}\n", serde_json::to_string_pretty(&outcome)?))?;
    } else {
        say(&table::groups(&outcome))?;
    }
    Ok(if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn calibrate_host(args: CalibrateArgs) -> anyhow::Result<ExitCode> {
    let json = args.json;
    let calibrated = calibrate::calibrate(&args.settings())?;
    if json {
        say(&format!("{}\n", serde_json::to_string_pretty(&calibrated)?))?;
    } else {
        say(&table::calibration(&calibrated))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run_sink(args: SinkArgs) -> anyhow::Result<ExitCode> {
    let stall = args.stall.map(|length| Stall { every: args.stall_every.0, length: length.0 });
    if stall.is_some_and(|stall| stall.every <= stall.length) {
        bail!("--stall is not below --stall-every {}: nothing would be done", args.stall_every);
    }
    let sink = Sink::start(SinkOptions {
        listen: args.listen,
        processor: args.processor,
        keeps_records: !args.forget,
        partitions: args.partitions,
        faults: Faults { stall, records: args.fault, one_in: args.fault_one_in },
    })?;
    say(&format!("listening on {}\n", sink.address()))?;
    sink.wait()?;
    Ok(ExitCode::SUCCESS)
}

impl GroupsArgs {
    fn settings(self) -> GroupsSettings {
        GroupsSettings {
            bootstrap: self.bootstrap,
            groups: self.groups,
            members: self.members,
            commits: self.commits,
            churn: self.churn,
            heartbeat: self.heartbeat,
            session_timeout: self.session_timeout,
            arrivals: self.arrivals,
            warm_up: self.warm_up,
            duration: self.duration,
            patience: self.patience,
            processor: self.processor,
        }
    }
}

impl CalibrateArgs {
    fn settings(self) -> CalibrationSettings {
        let producers = self.producers;
        CalibrationSettings {
            acks: producers.acks,
            idempotent: producers.idempotent,
            connections: producers.connections,
            partitions: producers.partitions,
            linger: producers.linger,
            records: producers.records(),
            processors: producers.processors,
            sink_processor: self.sink_processor,
        }
    }
}

impl ProducerArgs {
    /// The records, with keys that nobody has named.
    fn records(&self) -> RecordSettings {
        RecordSettings {
            size: self.record_size.clone(),
            headers: self.headers,
            payload: self.payload,
            codec: self.codec,
            batch_records_max: self.batch_records_max,
            batch_size_max: self.batch_size_max,
            ..RecordSettings::default()
        }
    }
}

/// Measures the base rate if it is to be measured, and says what was found.
fn with_measured_base(settings: Settings) -> anyhow::Result<Settings> {
    let Load::Open(OpenLoop { base: base @ Base::Auto { .. }, .. }) = settings.load else {
        return Ok(settings);
    };
    settings.check()?;
    say(&format!("base {base}: measuring for {} what the broker takes\n", Span(MEASURED)))?;
    let Some(Saturation { settings, client_bound }) = saturation::measure(&settings)? else {
        return Ok(settings);
    };
    if let Load::Open(open) = &settings.load {
        say(&format!("base {}: {}/s\n", open.base, count_text(open.base_per_s())))?;
    }
    for reason in client_bound {
        say(&format!("client-bound while measuring: {reason}\n"))?;
    }
    Ok(settings)
}

impl RunArgs {
    /// Who decides when something is sent, and the share of one key.
    fn load(&self) -> anyhow::Result<(Load, f64)> {
        if let Some(in_flight) = self.saturate {
            let closed = ClosedLoop {
                duration: self.duration.unwrap_or(DURATION_USUAL),
                warm_up: self.warm_up,
                in_flight,
                requests_in_flight_max: self.requests_in_flight,
                batches_per_request: self.batches_per_request,
            };
            return Ok((Load::Closed(closed), self.hot_key.unwrap_or(0.0)));
        }
        let Choice { profile, base, duration } =
            Choice::new(&self.profile, self.base, self.duration)?;
        let hot_key = self.hot_key.or(profile.hot_key).unwrap_or(0.0);
        let open = OpenLoop {
            base,
            duration,
            warm_up: self.warm_up,
            arrivals: self.arrivals.or(profile.arrivals).unwrap_or_default(),
            linger: self.producers.linger,
            profile,
        };
        Ok((Load::Open(open), hot_key))
    }

    fn settings(self) -> anyhow::Result<Settings> {
        let (load, hot_key) = self.load()?;
        let readers = match &load {
            Load::Open(open) if self.reader.is_empty() => open.profile.readers.clone(),
            Load::Open(_) | Load::Closed(_) => self.reader,
        };
        let mut configs = BTreeMap::new();
        for config in &self.config {
            let Some((name, value)) = config.split_once('=') else {
                bail!("--config {config} is not NAME=VALUE, for example flush.messages=1");
            };
            configs.insert(name.to_owned(), value.to_owned());
        }
        Ok(Settings {
            bootstrap: self.bootstrap,
            acks: self.producers.acks,
            idempotent: self.producers.idempotent,
            connections: self.producers.connections,
            consumers: self.consumers,
            readers,
            seed: self.seed,
            interval: self.interval,
            drain_max: self.drain,
            fail_if: self.fail_if,
            topics: TopicSettings {
                existing: self.topic,
                count: self.topics,
                partitions: self.producers.partitions,
                replication_factor: self.replication_factor,
                keep: self.keep_topics,
                configs,
            },
            records: RecordSettings {
                keys: self.keys,
                key_distribution: self.key_distribution,
                hot_key,
                ..self.producers.records()
            },
            processors: self.producers.processors,
            fetch: FetchSettings {
                when: self.consume,
                wait_max: self.fetch_wait,
                size_min: self.fetch_size_min,
                size_max: self.fetch_size_max,
            },
            load,
        })
    }
}

/// Prints; a reader that has seen enough and closed the pipe is no error.
fn say(text: &str) -> std::io::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
