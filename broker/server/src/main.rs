//! `highwater`: the broker, from the command line.

#![forbid(unsafe_code)]

mod cli;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, CommandFactory, Parser, Subcommand};
use cli::{Tool, complain};
use runtime::Termination;
use server::config::{Config, Overrides};
use tracing_subscriber::EnvFilter;

/// A Kafka-compatible log broker for Linux.
#[derive(Parser)]
#[command(name = "highwater", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves Kafka clients until SIGTERM or SIGINT. Needs no option.
    Serve(ServeArgs),
    #[command(flatten)]
    Tool(Tool),
}

#[derive(Args)]
struct ServeArgs {
    /// A TOML file; broker/server/highwater.toml shows every key with its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Everything that is kept; made if it is not there. [default: highwater-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where clients connect; port 0 lets the kernel choose. [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// What clients are told to connect to, if it is another address.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// So many cores, or one on each of these processors ("0,2,4"). [default: all]
    #[arg(long, value_name = "N|LIST")]
    cores: Option<String>,
    /// Where Prometheus finds text at /metrics. [default: nowhere]
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    /// Listen on an address that others can reach, although clients do not have to say who they
    /// are.
    #[arg(long)]
    insecure: bool,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => serve(args).map(|()| ExitCode::SUCCESS),
        Command::Tool(tool) => use_tool(tool),
    };
    done.unwrap_or_else(|error| {
        complain(&error.to_string());
        ExitCode::FAILURE
    })
}

fn use_tool(tool: Tool) -> anyhow::Result<ExitCode> {
    if let Err(text) = tool.check() {
        Cli::command().error(clap::error::ErrorKind::ValueValidation, text).exit();
    }
    let done = tool.run()?;
    match std::io::stdout().write_all(done.text.as_bytes()) {
        // Whoever reads it has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            bail!("cannot write to standard output: {error}");
        }
        Ok(()) | Err(_) => {}
    }
    done.failures.iter().for_each(|failure| complain(failure));
    Ok(if done.is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let overrides = Overrides {
        data_dir: args.data_dir,
        listen: args.listen,
        advertise: args.advertise,
        cores: args.cores,
        metrics: args.metrics,
        is_insecure: args.insecure,
    };
    let config = Config::load(args.config.as_deref(), &overrides)?;
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| anyhow::anyhow!("log = {}: {error}", config.log))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let termination = Termination::claim()?;
    server::run(config, termination, |address| {
        let mut out = std::io::stdout();
        // Whoever started the broker may not care.
        let _ = writeln!(out, "ready {}:{}", address.host, address.port);
        let _ = out.flush();
    })?;
    Ok(())
}
