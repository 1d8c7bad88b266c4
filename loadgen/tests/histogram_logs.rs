//! HdrHistogram's own reader, in Java, opens the logs and finds what was measured.
//!
//! The reader comes from Maven Central and is kept in `target/histogram-logs`. Where Java or Maven
//! are missing, the test says so loudly on standard error and passes; with CI=true it fails instead.
//! Installing is done as the server's client tests do it; so little of it is needed that it is
//! written again rather than shared.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, ensure};
use hdrhistogram::{Counter, Histogram};
use loadgen::hlog;
use loadgen::measure::{Clock, Measurements, histogram};

/// Registries can be slow.
const INSTALL_LIMIT_S: u32 = 300;
const RUN_LIMIT_S: u32 = 60;
const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
const POM: &str = include_str!("java/pom.xml");

const MS: u64 = 1_000_000;
/// Eighths of a second: the reader adds seconds as floating-point numbers and cuts off to
/// milliseconds, and these it adds exactly.
const INTERVAL_MS: u64 = 125;
const BEGAN_MS: u64 = 1_795_244_470_125;

#[test]
fn another_reader_finds_the_same_in_each_interval_and_in_the_sum() {
    let Some(jars) = reader() else { return };
    let mut measured = Measurements::new(0, 1000 * MS, Duration::from_millis(INTERVAL_MS));
    let mut time_ns = 90;
    for n in 0..50_000 {
        // From a tenth of a microsecond to a minute, and nothing in the sixth interval.
        time_ns = (time_ns * 7 + n) % 60_000_000_000;
        let time_ns = time_ns >> (n % 30);
        let intended_ns = n % 1000 * MS;
        if !(625 * MS..750 * MS).contains(&intended_ns) {
            measured.record(Clock::Response, intended_ns, time_ns);
        }
    }
    let mut log = Vec::new();
    let began_at = UNIX_EPOCH + Duration::from_millis(BEGAN_MS);
    hlog::write(&mut log, &measured, Clock::Response, began_at).unwrap();

    let mut expected = String::new();
    for (index, interval) in (0..).zip(measured.intervals()) {
        let begin_ms = BEGAN_MS + index * INTERVAL_MS;
        let Some(histogram) = interval.histogram(Clock::Response) else { continue };
        put(&mut expected, &format!("{begin_ms} {}", begin_ms + INTERVAL_MS), histogram);
    }
    put(&mut expected, "sum", &measured.total(Clock::Response));
    assert_eq!(expected.lines().count(), 8, "seven intervals and the sum");
    assert_eq!(read(&jars, "intervals", &log).unwrap(), expected);
}

#[test]
fn another_reader_finds_a_single_histogram() {
    let Some(jars) = reader() else { return };
    let mut flushes = histogram();
    for n in 1..=1000u64 {
        flushes.record(n * n * 1000).unwrap();
    }
    let mut log = Vec::new();
    let began_at = UNIX_EPOCH + Duration::from_millis(BEGAN_MS);
    let second = Duration::from_secs(1);
    hlog::write_one(&mut log, "flush", "4 KiB", began_at, second, &flushes).unwrap();

    let mut expected = String::new();
    put(&mut expected, &format!("{BEGAN_MS} {}", BEGAN_MS + 1000), &flushes);
    put(&mut expected, "sum", &flushes);
    assert_eq!(read(&jars, "single", &log).unwrap(), expected);
}

/// As `Percentiles.java` prints it.
fn put<T: Counter>(text: &mut String, name: &str, histogram: &Histogram<T>) {
    let _ = write!(text, "{name} {} {}", histogram.len(), histogram.max());
    for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
        let _ = write!(text, " {}", histogram.value_at_quantile(quantile));
    }
    text.push('\n');
}

fn read(jars: &Path, name: &str, log: &[u8]) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.hlog"));
    std::fs::write(&path, log)?;
    let program = sources().join("Percentiles.java");
    let class_path = format!("{}/*", jars.display());
    // One file is compiled and run at once.
    let arguments = ["-cp".as_ref(), class_path.as_ref(), program.as_os_str(), path.as_os_str()];
    run("java", RUN_LIMIT_S, &arguments)
}

/// The directory with the reader's jars. None, and loudly so, if they cannot be had; a failure where
/// CI=true.
fn reader() -> Option<PathBuf> {
    match installed() {
        Ok(jars) => Some(jars),
        Err(error) => {
            let text = format!("the reader of histogram logs cannot be installed: {error:#}");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
            say(&format!("SKIPPED, {text}"));
            None
        }
    }
}

fn installed() -> anyhow::Result<PathBuf> {
    run("javac", RUN_LIMIT_S, &["-version".as_ref()])?;
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("it is in target/")?;
    let jars = target.join("histogram-logs");
    // Others wait, and then find it installed.
    let lock = File::create(target.join("histogram-logs.lock"))?;
    lock.lock()?;
    // Written last: what is interrupted is done again.
    let stamp = target.join("histogram-logs.installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == POM) && jars.exists() {
        return Ok(jars);
    }
    say(&format!("installing the reader of histogram logs in {}", jars.display()));
    let pom = sources().join("pom.xml");
    let output = format!("-DoutputDirectory={}", jars.display());
    let arguments = ["--quiet", "--batch-mode", COPY_DEPENDENCIES, &output, "--file"];
    let mut arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    arguments.push(pom.as_os_str());
    run("mvn", INSTALL_LIMIT_S, &arguments)?;
    std::fs::write(&stamp, POM)?;
    Ok(jars)
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java")
}

/// What a program prints, which is ended if it takes too long.
fn run(name: &str, limit_s: u32, arguments: &[&std::ffi::OsStr]) -> anyhow::Result<String> {
    let mut command = Command::new("timeout");
    command.arg(limit_s.to_string()).arg(name).args(arguments);
    let output = command.output().with_context(|| format!("{name} cannot be started"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} ended with {}: {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// To whoever runs the tests, even of a test that passes: `eprintln!` would be captured.
fn say(text: &str) {
    // If nobody reads it, nobody has to know.
    let _ = writeln!(std::io::stderr(), "histogram logs: {text}");
}
