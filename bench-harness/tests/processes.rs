//! Programs started by the harness: that they are pinned, found ready, and ended.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bench_harness::broker::{Broker, BrokerError, BrokerSpec, Kind, Places};
use bench_harness::process::{Process, ProcessError, Start};

const PATIENCE: Duration = Duration::from_secs(20);

/// A shell that runs this script.
fn shell(name: &str, script: &str, processors: Vec<usize>) -> Process {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let start = Start {
        launcher: PathBuf::from(env!("CARGO_BIN_EXE_bench-harness")),
        program: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".into(), script.into()],
        processors,
        environment: vec![("GREETING".to_owned(), "hello".to_owned())],
        working_directory: directory.clone(),
        log: directory.join(format!("{name}-{}.log", std::process::id())),
    };
    start.start().unwrap()
}

fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie is not running, only not waited for.
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_program_is_ready_when_it_says_so_and_ends_when_asked() {
    let script = "echo starting $GREETING; echo ready 127.0.0.1:4711; exec sleep 1000";
    let mut process = shell("ready", script, vec![]);
    let address =
        process.wait_for_line(PATIENCE, |line| line.strip_prefix("ready ").map(str::to_owned));
    assert_eq!(address.unwrap(), "127.0.0.1:4711");
    let pid = process.pid();
    assert!(is_running(pid));
    assert!(!process.stop().unwrap().success());
    assert!(!is_running(pid));
}

#[test]
fn a_program_stays_on_its_processors() {
    let script = "grep Cpus_allowed_list /proc/self/status; exec sleep 1000";
    let first =
        *tuning::Facts::read(&std::env::temp_dir()).unwrap().processor.allowed.first().unwrap();
    let mut process = shell("pinned", script, vec![first]);
    let allowed = process.wait_for_line(PATIENCE, |line| {
        line.strip_prefix("Cpus_allowed_list:").map(|list| list.trim().to_owned())
    });
    assert_eq!(allowed.unwrap(), first.to_string());
}

#[test]
fn a_program_that_ends_before_it_is_ready_is_quoted() {
    let mut process = shell("ended", "echo the disk is on fire >&2; exit 3", vec![]);
    let error = process.wait_for_line(PATIENCE, |_| Some(())).unwrap_err();
    assert!(matches!(error, ProcessError::Ended { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("exit status: 3") && text.contains("the disk is on fire"), "{text}");
}

#[test]
fn a_dropped_program_is_killed_even_if_it_does_not_listen() {
    let mut process = shell("deaf", "trap '' TERM; echo on; while :; do sleep 0.1; done", vec![]);
    process.wait_for_line(PATIENCE, |line| (line == "on").then_some(())).unwrap();
    let pid = process.pid();
    drop(process);
    assert!(!is_running(pid));
}

#[test]
fn when_the_harness_is_killed_its_programs_are_too() {
    // A harness of its own, which starts a program and is killed before it can stop it.
    let launcher = env!("CARGO_BIN_EXE_bench-harness");
    let script = format!(
        "{launcher} exec-child --parent $$ -- /bin/sh -c 'echo $$; exec sleep 1000' & wait"
    );
    let mut harness = Command::new("/bin/sh")
        .args(["-c", &script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(harness.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let pid: u32 = line.trim().parse().unwrap();
    assert!(is_running(pid));
    harness.kill().unwrap();
    harness.wait().unwrap();
    // Its end of the pipe is closed while it ends; a moment later it is gone.
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).unwrap();
    let began = std::time::Instant::now();
    while is_running(pid) {
        assert!(began.elapsed() < PATIENCE, "it is killed at once");
        std::thread::yield_now();
    }
}

#[test]
fn a_program_without_its_parent_does_not_start() {
    let launcher = env!("CARGO_BIN_EXE_bench-harness");
    let output = Command::new(launcher)
        .args(["exec-child", "--parent", "1", "--", "/bin/echo", "started"])
        .output()
        .unwrap();
    // Unless the tests themselves run as the first process of a container.
    if std::process::id() != 1 {
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
    }
}

/// One of our brokers, as far as the harness can see, that ends with this status when it is asked to.
fn broker(name: &str, status: u8) -> Broker {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("broker-{name}"));
    std::fs::create_dir_all(&directory).unwrap();
    let program = directory.join("highwater");
    let script = format!(
        "#!/bin/sh\ntrap 'echo last words >&2; exit {status}' TERM\necho ready 127.0.0.1:4711\n\
         while :; do sleep 0.1; done\n"
    );
    // Not written by this process: another test's child may hold the open file for a moment, and a
    // program that is open for writing cannot be started.
    let write = ["-c", "printf '%s' \"$1\" > \"$0\"; chmod +x \"$0\""];
    let written = Command::new("/bin/sh").args(write).arg(&program).arg(script).status();
    assert!(written.unwrap().success());
    let places = Places {
        launcher: PathBuf::from(env!("CARGO_BIN_EXE_bench-harness")),
        highwater: program,
        kafka: PathBuf::new(),
        data: directory.join("data"),
    };
    Broker::start(&BrokerSpec::new("ours", Kind::Highwater), &[], &places).unwrap()
}

#[test]
fn a_broker_that_is_killed_is_started_again_on_what_it_has() {
    let mut broker = broker("killed", 0);
    let (pid, address) = (broker.pid.unwrap(), broker.address.clone());
    broker.kill_and_restart().unwrap();
    assert!(!is_running(pid));
    assert!(broker.pid.is_some_and(|again| again != pid && is_running(again)));
    assert_eq!(broker.address, address);
    broker.stop().unwrap();
}

#[test]
fn our_broker_has_to_end_well() {
    let good = broker("good", 0);
    good.stop().unwrap();
    let error = broker("bad", 3).stop().unwrap_err();
    assert!(matches!(error, BrokerError::Unclean { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("exit status: 3") && text.contains("last words"), "{text}");
}
