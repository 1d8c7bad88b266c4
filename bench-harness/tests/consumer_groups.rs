//! Consumer groups against our own broker: what they were acknowledged is there when the broker was
//! killed, and a scenario's report has what was found.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bench_harness::broker::{Broker, BrokerSpec, Kind, Places};
use bench_harness::matrix::{Matrix, Results};
use bench_harness::scenario::Scenario;
use loadgen::groups::{GroupsSettings, run};
use loadgen::measure::Clock;
use loadgen::profile::Profile;
use loadgen::settings::{Base, Load, OpenLoop, Settings};
use loadgen::table;
use loadgen::units::{Rate, Span};
use tuning::Facts;

/// From the start of the measured time.
const KILL_AFTER: Duration = Duration::from_secs(2);

/// So that nobody waits for groups to become larger, or for whoever left while no broker was there.
const CONFIG: &str = "[groups]\ninitial-rebalance-delay-ms = 0\n";
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Our broker's program: that of the same build, which is there when the whole workspace was built.
fn places(name: &str) -> Option<Places> {
    let launcher = PathBuf::from(env!("CARGO_BIN_EXE_bench-harness"));
    let highwater = launcher.with_file_name("highwater");
    if !highwater.is_file() {
        let text = format!("SKIPPED, there is no {}: build the workspace", highwater.display());
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
        let _ = writeln!(std::io::stderr(), "consumer groups: {text}");
        return None;
    }
    let data = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&data).unwrap();
    Some(Places { launcher, highwater, kafka: PathBuf::new(), data })
}

#[test]
fn many_groups_have_what_was_acknowledged_when_the_broker_was_killed() {
    let Some(places) = places("groups-killed") else { return };
    let spec = BrokerSpec { config: CONFIG.to_owned(), ..BrokerSpec::new("ours", Kind::Highwater) };
    let mut broker = Broker::start(&spec, &[], &places).unwrap();
    let settings = GroupsSettings {
        groups: 40,
        commits: Rate(2000.0),
        churn: Rate(5.0),
        heartbeat: Span(Duration::from_millis(200)),
        session_timeout: Span(SESSION_TIMEOUT),
        warm_up: Span(Duration::ZERO),
        duration: Span(Duration::from_secs(6)),
        ..GroupsSettings::usual(broker.address.clone())
    };
    let (formed, is_formed) = std::sync::mpsc::channel();
    let running = std::thread::spawn(move || run(&settings, move || formed.send(()).unwrap()));
    // Nothing comes of a generator that has failed before; it says below why.
    if is_formed.recv().is_ok() {
        std::thread::sleep(KILL_AFTER);
        broker.kill_and_restart().unwrap();
    }
    let outcome = running.join().unwrap().unwrap();
    let text = table::groups(&outcome);
    assert!(outcome.is_good(), "{text}");
    assert_eq!(outcome.looked_at, 120, "{text}");
    assert_eq!(outcome.commits.due(), 12_000, "{text}");
    let divided = outcome.rebalances.joined.count;
    assert!(10 <= divided && 6000 <= outcome.commits.acknowledged, "{text}");
    broker.stop().unwrap();
}

/// Members on two cores divide what both produce, and the groups have everything by what they commit.
#[test]
fn groups_read_a_run_of_two_workers_between_their_members() {
    let Some(places) = places("groups-read") else { return };
    let spec = BrokerSpec { config: CONFIG.to_owned(), ..BrokerSpec::new("ours", Kind::Highwater) };
    let broker = Broker::start(&spec, &[], &places).unwrap();
    let load = Load::Open(OpenLoop {
        base: Base::Rate(Rate(2000.0)),
        duration: Span(Duration::from_secs(6)),
        ..OpenLoop::usual(Profile::find("steady").unwrap())
    });
    let mut settings = Settings::usual(broker.address.clone(), load);
    settings.readers = ["group:3", "group:1", "2xgroup:5"].map(|it| it.parse().unwrap()).into();
    // Two of those that are there, or the only one twice.
    let allowed = Facts::read(&places.data).unwrap().processor.allowed;
    settings.processors = allowed.iter().cycle().take(2).copied().collect();
    let outcome = loadgen::run::run(&settings).unwrap();
    let text = table::outcome(&outcome);
    assert!(outcome.verdict().is_good(), "{text}");
    assert_eq!(outcome.readers.len(), 4, "{text}");
    for reader in &outcome.readers {
        assert!(outcome.is_whole(&reader.counts), "{text}");
        assert_eq!(reader.counts.records, outcome.counts.acknowledged, "{text}");
        assert!(reader.counts.ended_ns.is_some(), "{text}");
        assert!(!reader.measurements.total(Clock::EndToEnd).is_empty(), "{text}");
    }
    broker.stop().unwrap();
}

const SCENARIO: &str = r#"
name = "few-groups"
about = "a few groups"
repetitions = 2

[[broker]]
name = "ours"
kind = "highwater"
config = """
[groups]
initial-rebalance-delay-ms = 0
"""

[[consumer_groups]]
name = "churning"
groups = 4
members = 2
commits = "100/s"
churn = "4/s"
heartbeat = "50ms"
produce = "100/s"
warm_up = "100ms"
duration = "1500ms"
"#;

#[test]
fn a_scenario_of_groups_is_run_once_and_reported() {
    let Some(places) = places("groups-scenario") else { return };
    let out = places.data.join("results");
    let _ = std::fs::remove_dir_all(&out);
    let matrix = Matrix {
        scenario: Scenario::parse(Path::new("few-groups.toml"), SCENARIO).unwrap(),
        places,
        out: out.clone(),
        commit: "abc".to_owned(),
        command: "bench-harness run few-groups.toml".to_owned(),
        within: None,
    };
    let run = || {
        let mut said = Vec::new();
        matrix.run(&mut |what| said.push(what.to_owned())).unwrap();
        said.retain(|what| what.contains("consumer groups: churning"));
        said.len()
    };
    assert_eq!(run(), 2);
    assert_eq!(run(), 0, "everything is there");
    let results = Results::read(&out).unwrap();
    assert!(results.is_sound(), "{:?}", results.brokers);
    for used in &results.brokers[0].consumer_groups {
        let outcome = &used.outcome;
        assert_eq!(outcome.commits.due(), 150, "{outcome:?}");
        assert!(2 <= outcome.rebalances.joined.count, "{outcome:?}");
        assert_eq!(used.produced.as_ref().unwrap().response.count, 150);
        assert!(0 < used.used.cpu_ns);
    }
    let text = results.document().markdown();
    let parts = [
        "Consumer groups: churning",
        "4 groups of 2 members",
        "8 of 8 committed offsets",
        "all 16 offsets that are committed in the end are the acknowledged ones",
    ];
    for part in parts {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    results.publish().unwrap();
}
