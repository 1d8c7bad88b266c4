//! A whole matrix against two brokers in memory: that it is run, goes on where it was stopped, and
//! finds out which of them is slower.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bench_harness::agreement::Agreement;
use bench_harness::broker::Places;
use bench_harness::matrix::{Finding, Matrix, Metric, Results};
use bench_harness::scenario::Scenario;
use loadgen::sink::{Faults, Sink, SinkOptions, Stall};

const CELLS: &str = r#"
name = "sinks"
about = "two brokers in memory"
repetitions = 5

[[cells]]
name = "steady"
load.open = { profiles = ["steady"], peaks = ["1000/s"], linger = "0s" }
acks = ["all"]
durability = ["relaxed"]
record_sizes = ["100"]
partitions = [2]
connections = [1]
warm_up = "0s"
duration = "250ms"

[[cells]]
name = "shared"
repetitions = 1
brokers = ["quick"]
layouts = ["shared"]
load.closed = { batches = ["10 records"], in_flight = "10KiB" }
acks = ["1"]
durability = ["relaxed"]
record_sizes = ["100"]
partitions = [2]
connections = [1]
warm_up = "0s"
duration = "100ms"
"#;

fn sink(stall: Option<Stall>) -> Sink {
    let options = SinkOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        processor: None,
        keeps_records: true,
        partitions: 1,
        faults: Faults { stall, ..Faults::default() },
    };
    Sink::start(options).unwrap()
}

fn broker(name: &str, sink: &Sink) -> String {
    let address = sink.address();
    format!("[[broker]]\nname = '{name}'\nkind = 'external'\naddress = '{address}'\n")
}

fn matrix(out: &Path, text: &str, within: Option<Duration>) -> Matrix {
    let places = Places {
        launcher: PathBuf::from(env!("CARGO_BIN_EXE_bench-harness")),
        highwater: PathBuf::new(),
        kafka: PathBuf::new(),
        data: out.with_extension("data"),
    };
    Matrix {
        scenario: Scenario::parse(Path::new("sinks.toml"), text).unwrap(),
        places,
        out: out.to_owned(),
        commit: "abc".to_owned(),
        command: "bench-harness run sinks.toml".to_owned(),
        within,
    }
}

/// What was said of runs.
fn run(matrix: &Matrix) -> Vec<String> {
    let mut said = Vec::new();
    matrix.run(&mut |what| said.push(what.to_owned())).unwrap();
    said.retain(|what| what.starts_with("  quick: ") || what.starts_with("  slow: "));
    said
}

#[test]
fn a_matrix_is_run_once_however_often_it_is_started() {
    let quick = sink(None);
    // Nothing is answered for two thirds of the time.
    let stall = Stall { every: Duration::from_millis(60), length: Duration::from_millis(40) };
    let slow = sink(Some(stall));
    let text = format!("{CELLS}{}{}", broker("quick", &quick), broker("slow", &slow));
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("matrix");
    let _ = std::fs::remove_dir_all(&out);

    assert_eq!(run(&matrix(&out, &text, Some(Duration::ZERO))).len(), 0);
    let nothing = Results::read(&out).unwrap();
    assert!(!nothing.is_sound());
    let missing: u32 = nothing.not_run.iter().map(|(_, _, count)| count).sum();
    assert_eq!((nothing.runs.len(), missing), (0, 11));

    assert_eq!(run(&matrix(&out, &text, None)).len(), 11);
    assert_eq!(run(&matrix(&out, &text, None)).len(), 0, "everything is there");
    let results = Results::read(&out).unwrap();
    assert!(results.is_sound(), "{:?}", results.runs);
    let comparisons = results.comparisons();
    let p50 = comparisons.iter().find(|it| it.metric == Metric::P50).unwrap();
    // Unless the host is so busy that the generator was late with the slow one.
    if let Some(ratio) = p50.finding.ratio() {
        assert!(1.0 < ratio.value, "two of three records wait for up to 40 ms: {p50:?}");
        assert!(!matches!(p50.finding, Finding::Worse { .. }), "{p50:?}");
    }
    let p99 = comparisons.iter().find(|it| it.metric == Metric::P99).unwrap();
    assert!(p99.finding.ratio().is_none(), "250 records have no p99: {p99:?}");
    results.publish().unwrap();

    // It agrees with itself, and refuses what is of another host.
    let agreement = Agreement::of(&results, &results).unwrap();
    assert!(agreement.is_full() && !agreement.ratios.is_empty());
    let mut elsewhere = results.clone();
    elsewhere.facts.kernel.release = "1.0".to_owned();
    let refused = Agreement::of(&results, &elsewhere).unwrap_err().to_string();
    assert!(refused.contains("on another host than the other"), "{refused}");

    let other = text.replace("250ms", "200ms");
    let refused = matrix(&out, &other, None).run(&mut |_| {}).unwrap_err().to_string();
    assert!(refused.contains("the runs of another scenario"), "{refused}");
}

#[test]
fn a_peak_may_be_a_share_of_what_a_broker_takes() {
    let quick = sink(None);
    let share =
        CELLS.replace("1000/s", "1% of quick").replace("repetitions = 5", "repetitions = 1");
    let text = format!("{share}{}", broker("quick", &quick));
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("share");
    let _ = std::fs::remove_dir_all(&out);
    run(&matrix(&out, &text, None));
    let results = Results::read(&out).unwrap();
    let run = results.runs.iter().find(|run| run.cell.is_open()).unwrap();
    let peak_per_s = run.numbers.as_ref().unwrap().peak_per_s.unwrap();
    assert!((10.0..1e6).contains(&peak_per_s), "{peak_per_s}");
}
