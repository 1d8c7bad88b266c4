//! `tuning`: what this host is.

#![forbid(unsafe_code)]

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use tuning::facts::Interrupts;
use tuning::{Facts, Flush};

/// What this host is, as far as it bends what a broker measures on it.
#[derive(Parser)]
#[command(name = "tuning", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints the host's facts, with a measured flush latency of the device under a directory.
    Facts {
        /// Where a broker would keep its data.
        #[arg(long, default_value = ".")]
        directory: PathBuf,
        /// For how long to measure; 0 does not measure.
        #[arg(long, default_value = "1.5")]
        seconds: f64,
        /// The processor to write from.
        #[arg(long)]
        processor: Option<usize>,
        #[arg(long)]
        json: bool,
    },
}

/// Longer would wear the device for nothing.
const SECONDS_MAX: f64 = 60.0;

fn main() -> ExitCode {
    match facts(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // All causes in one line; if nobody reads it, the exit code says enough.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn facts(command: Command) -> anyhow::Result<()> {
    let Command::Facts { directory, seconds, processor, json } = command;
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        bail!("--seconds is {seconds}: it goes from 0 to {SECONDS_MAX}");
    }
    let mut facts = Facts::read(&directory)?;
    if 0.0 < seconds {
        let interrupts = || {
            let device = facts.storage.device.as_ref();
            device.and_then(|device| Interrupts::read(device).ok()).unwrap_or_default()
        };
        let before = interrupts();
        let duration = Duration::from_secs_f64(seconds);
        let flush = Flush { directory, duration, processor };
        let latency = flush.measure().context("cannot measure flush latency")?;
        let taken = interrupts().since(&before);
        facts = facts.with_flush(latency, taken);
    }
    let text = if json { serde_json::to_string_pretty(&facts)? + "\n" } else { facts.to_string() };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}
