//! Tests of cells, of their order, of what is kept of them and of reports, on runs made by hand.

use std::path::Path;

use loadgen::settings::Acks;

use super::plan::turns;
use super::*;
use crate::sample::{JournalCounters, JournalUse, Usage};
use crate::scenario::Promise;
use crate::testing::{Folder, facts, outcome, samples};

const TWO_BROKERS: &str = r#"
name = "two"
about = "two brokers, some cells"
repetitions = 6

[[broker]]
name = "Ours"
kind = "highwater"

[[broker]]
name = "Theirs"
kind = "kafka"

[[cells]]
name = "throughput"
load.closed = { batches = ["64KiB"], in_flight = "8MiB" }
acks = ["1", "all"]
durability = ["relaxed", "first-durable"]
record_sizes = ["1KiB"]
partitions = [16]
connections = [4]
warm_up = "0s"
duration = "2s"

[[cells]]
name = "spike"
load.open = { profiles = ["black-friday"], peaks = ["30000/s"], linger = "0s" }
acks = ["all"]
durability = ["durable"]
record_sizes = ["1KiB"]
partitions = [4]
connections = [1]
warm_up = "0s"
duration = "2s"
"#;

fn scenario() -> Scenario {
    Scenario::parse(Path::new("two.toml"), TWO_BROKERS).unwrap()
}

/// A folder in which everything was run: the second broker uses twice the processor time of the
/// first and takes three quarters of what it takes, but is quicker in spikes.
fn all_run(folder: &Folder) -> Store {
    let scenario = scenario();
    let store = Store::open(folder.path(), &toml::to_string(&scenario).unwrap()).unwrap();
    let origin = Origin {
        began: "2026-11-27 00:00:26 UTC".to_owned(),
        commit: "abc".to_owned(),
        command: "bench-harness run two.toml".to_owned(),
        facts: facts(),
    };
    store.put("matrix.json", &origin).unwrap();
    let placement = Placement::of(Layout::Pinned, &[0, 1], Some(1));
    store.put(&placement_file(Layout::Pinned), &placement).unwrap();
    let broker = BrokerFacts { started_in_s: vec![0.05], is_known: true, ..BrokerFacts::default() };
    for spec in &scenario.brokers {
        store.put(&broker_file(&spec.name, Layout::Pinned), &broker).unwrap();
    }
    for turn in turns(&scenario, &Cell::all(&scenario)) {
        let (run, trace) = run(&scenario, turn);
        store.put(&turn.file(&scenario, "json"), &run).unwrap();
        store.put(&turn.file(&scenario, "trace"), &trace).unwrap();
    }
    store
}

fn run(scenario: &Scenario, turn: Turn<'_>) -> (Run, Trace) {
    let trace = Trace { outcome: outcome(turn.cell.acks, 0), samples: samples() };
    let promise = turn.cell.durability.of(turn.broker);
    let mut numbers = trace.numbers(promise, &facts(), true, Vec::new());
    // A host that is slower in every other minute, and a little noise.
    let drift = if turn.repetition.is_multiple_of(2) { 1.0 } else { 0.7 };
    let noise = 1.0 + f64::from((turn.repetition * 7 + 3) % 5) / 200.0;
    numbers.bytes_per_s *= drift;
    if turn.broker == 1 {
        numbers.bytes_per_s *= 0.75 * noise;
        numbers.cpu_s_per_gb = numbers.cpu_s_per_gb.map(|it| it * 2.0 * noise);
        for summary in numbers.latencies_ns.values_mut() {
            summary.p99 = summary.p99.map(|it| it / 2 + u64::from(turn.repetition) * 1000);
        }
    }
    let run = Run {
        cell: turn.cell.clone(),
        broker: scenario.brokers[turn.broker].name.clone(),
        promise,
        repetition: turn.repetition,
        began: "2026-11-27 00:01:00 UTC".to_owned(),
        numbers: Ok(numbers),
    };
    (run, trace)
}

/// Changes what is kept of the first run that this is true of.
fn change(store: &Store, which: impl Fn(&Run) -> bool, how: impl Fn(&mut Run)) {
    let scenario = scenario();
    let cells = Cell::all(&scenario);
    let mut files = turns(&scenario, &cells).into_iter().map(|it| it.file(&scenario, "json"));
    let found = files.find_map(|file| {
        let run: Run = store.get(&file).unwrap().unwrap();
        which(&run).then_some((file, run))
    });
    let (file, mut run) = found.unwrap();
    how(&mut run);
    store.put(&file, &run).unwrap();
}

#[test]
fn a_durable_run_needs_a_flush_where_the_device_does() {
    use Promise::{Durable, Relaxed};
    let mut facts = facts();
    let flushed = |count| Usage { disk_flushes: count, ..Usage::default() };
    assert_eq!(FlushProof::of(Durable, &flushed(7), &facts), FlushProof::Moved);
    assert_eq!(FlushProof::of(Durable, &flushed(0), &facts), FlushProof::DidNotMove);
    assert_eq!(FlushProof::of(Relaxed, &flushed(0), &facts), FlushProof::NotClaimed);
    // With forced unit access, or without a cache that could be lost, no flush need be seen.
    let device = facts.storage.device.as_mut().unwrap();
    device.has_fua = Some(true);
    assert_eq!(FlushProof::of(Durable, &flushed(0), &facts), FlushProof::NotObservable);
    let device = facts.storage.device.as_mut().unwrap();
    (device.has_fua, device.write_cache) = (Some(false), Some("write through".to_owned()));
    assert_eq!(FlushProof::of(Durable, &flushed(0), &facts), FlushProof::NotObservable);
    facts.storage.device = None;
    assert_eq!(FlushProof::of(Durable, &flushed(0), &facts), FlushProof::NotObservable);
    // Somebody else's flushes prove nothing for a broker that says it made none.
    let counters = JournalCounters { flushes: Some(0), ..JournalCounters::default() };
    let journal = Some(JournalUse { seconds: 1.0, counters });
    let usage = Usage { disk_flushes: 7, journal, ..Usage::default() };
    assert_eq!(FlushProof::of(Durable, &usage, &facts), FlushProof::DidNotMove);
}

#[test]
fn a_group_is_the_product_of_its_lists() {
    let cells = Cell::all(&scenario());
    let names: Vec<String> = cells.iter().map(Cell::name).collect();
    assert_eq!(
        names,
        [
            "throughput: relaxed, 1 KiB, batches of 64 KiB, acks=1, 16 partitions, 4 connections, \
             pinned",
            "throughput: relaxed, 1 KiB, batches of 64 KiB, acks=all, 16 partitions, 4 \
             connections, pinned",
            "throughput: first durable, others relaxed, 1 KiB, batches of 64 KiB, acks=1, 16 \
             partitions, 4 connections, pinned",
            "throughput: first durable, others relaxed, 1 KiB, batches of 64 KiB, acks=all, 16 \
             partitions, 4 connections, pinned",
            "spike: durable, 1 KiB, black-friday, peak 30000/s, acks=all, 4 partitions, 1 \
             connections, pinned",
        ]
    );
    let throughput: Vec<&Cell> = cells[..4].iter().collect();
    assert_eq!(cells[0].short_name(&throughput), "relaxed, acks=1");
    for cell in &cells {
        let settings = cell.settings("127.0.0.1:1", &[0], Promise::Durable, Rate(30_000.0));
        let settings = settings.unwrap();
        settings.check().unwrap();
        assert_eq!(settings.topics.configs["flush.messages"], "1");
    }
}

#[test]
fn brokers_take_turns_within_a_cell() {
    let scenario = scenario();
    let cells = Cell::all(&scenario);
    let turns = turns(&scenario, &cells);
    assert_eq!(turns.len(), 5 * 2 * 6);
    let order: Vec<(usize, u32)> =
        turns[..12].iter().map(|turn| (turn.broker, turn.repetition)).collect();
    assert_eq!(order[..6], [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2)]);
    assert!(turns[..12].iter().all(|turn| turn.cell == &cells[0]));
    let mut files: Vec<String> = turns.iter().map(|turn| turn.file(&scenario, "json")).collect();
    files.sort();
    files.dedup();
    assert_eq!(files.len(), turns.len(), "each has a file of its own");
}

#[test]
fn the_first_may_be_held_to_more_than_the_others() {
    use crate::scenario::Durability::FirstDurable;
    assert_eq!(
        [0, 1, 2].map(|it| FirstDurable.of(it)),
        [Promise::Durable, Promise::Relaxed, Promise::Relaxed]
    );
}

#[test]
fn what_was_run_is_read_back_with_its_pictures() {
    let folder = Folder::new("read-back");
    all_run(&folder);
    let results = Results::read(folder.path()).unwrap();
    assert!(results.is_sound());
    assert_eq!(results.runs.len(), 60);
    let spike = results.runs.iter().find(|run| run.cell.is_open()).unwrap();
    let trace = results.trace(spike).unwrap();
    assert_eq!(trace.samples, samples());
    let clock = loadgen::measure::Clock::Response;
    assert_eq!(trace.outcome.summary(clock), outcome(Acks::All, 0).summary(clock));
}

#[test]
fn a_folder_of_another_scenario_is_refused() {
    let folder = Folder::new("other");
    Store::open(folder.path(), "one").unwrap();
    Store::open(folder.path(), "one").unwrap();
    let refused = Store::open(folder.path(), "two").unwrap_err().to_string();
    assert!(refused.contains("the runs of another scenario in it: choose another folder"));
    let damaged = folder.path().join("runs/x.json");
    std::fs::write(&damaged, "{").unwrap();
    let store = Store::open(folder.path(), "one").unwrap();
    let refused = store.get::<Run>("runs/x.json").unwrap_err().to_string();
    assert!(refused.ends_with("x.json is not what was written there"), "{refused}");
}

#[test]
fn a_broker_is_better_or_worse_where_the_interval_says_so() {
    let folder = Folder::new("better");
    let store = all_run(&folder);
    let results = Results::read(folder.path()).unwrap();
    let comparisons = results.comparisons();
    let of = |metric: Metric| comparisons.iter().filter(move |it| it.metric == metric);
    assert_eq!(of(Metric::Throughput).count(), 4);
    for comparison in of(Metric::Throughput) {
        let Finding::Better { ratio } = comparison.finding else { panic!("{comparison:?}") };
        // The drift of the host is in both and so in neither.
        let (low, high) = ratio.interval.unwrap();
        assert!(1.28 < low && low < 1.33 && 1.30 < high && high < 1.34, "{low} {high}");
    }
    assert!(of(Metric::CpuPerGb).all(|it| matches!(it.finding, Finding::Better { .. })));
    assert!(of(Metric::P99).all(|it| matches!(it.finding, Finding::Worse { .. })));
    // Both have the same p50.
    assert!(of(Metric::P50).all(|it| matches!(it.finding, Finding::Undecided { .. })));
    // If the generator was the limit with the first, it is at least so good; with the second,
    // nothing is known.
    let bound = |run: &mut Run| {
        let numbers = run.numbers.as_mut().unwrap();
        numbers.verdict.client_bound.push("it was busy".to_owned());
    };
    let is_cell = |run: &Run, acks| run.cell.group == "throughput" && run.cell.acks == acks;
    change(&store, |run| is_cell(run, Acks::Leader) && run.broker == "Ours", bound);
    change(&store, |run| is_cell(run, Acks::All) && run.broker == "Theirs", bound);
    let results = Results::read(folder.path()).unwrap();
    let comparisons = results.comparisons();
    let found: Vec<&Finding> = comparisons
        .iter()
        .filter(|it| it.metric == Metric::Throughput)
        .map(|it| &it.finding)
        .collect();
    assert!(matches!(found[0], Finding::AtLeast { .. }));
    assert_eq!(found[0].text().chars().next(), Some('≥'));
    assert!(found[0].is_better(), "at least a third better is better");
    assert_eq!(found[1].text(), "theirs client-bound");
}

#[test]
fn a_report_tells_winners_losers_and_what_does_not_count() {
    let folder = Folder::new("report");
    let store = all_run(&folder);
    change(
        &store,
        |run| run.broker == "Theirs" && run.cell.is_open(),
        |run| {
            run.numbers = Err("the broker is gone".to_owned());
        },
    );
    change(
        &store,
        |run| run.broker == "Ours" && run.promise == Promise::Durable,
        |run| {
            run.numbers.as_mut().unwrap().flush_proof = FlushProof::DidNotMove;
        },
    );
    let last =
        turns(&scenario(), &Cell::all(&scenario())).last().unwrap().file(&scenario(), "json");
    std::fs::remove_file(folder.path().join(last)).unwrap();
    let results = Results::read(folder.path()).unwrap();
    assert!(!results.is_sound());
    let text = results.document().markdown();
    for part in [
        "# Two brokers, some cells",
        "1 of 59 runs that did not come to an end.",
        "1 of 59 runs that claim to be durable while the device was never flushed: invalid.",
        "1 of 60 runs that were not run.",
        "Ours against Theirs: throughput better in 3 of 4 cells, not counted in 1",
        "| relaxed, acks=1 | Ours | relaxed |",
        "| first durable, others relaxed, acks=1 | Ours | durable |",
        "| *invalid: no flush* |",
        "| **failed** |",
        "| the broker is gone | 1 |",
        "| not run | 1 |",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let html = results.document().html();
    assert!(html.len() < 2_000_000 && !html.contains("NaN"));
    for outside in ["src=", "<script", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    results.publish().unwrap();
    for file in ["report.md", "report.html", "results.json", "comparisons.json"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
    // Without the runs, the numbers are still there to be compared.
    std::fs::remove_dir_all(folder.path().join("runs")).unwrap();
    let published = Results::read(folder.path()).unwrap();
    assert_eq!(published.comparisons(), results.comparisons());
    assert_eq!(published.facts, results.facts);
}

#[test]
fn a_loser_stands_out_on_top_and_in_its_row() {
    let folder = Folder::new("loser");
    all_run(&folder);
    let text = Results::read(folder.path()).unwrap().document().markdown();
    assert!(text.contains("> **Attention:** Ours against Theirs: throughput better in 4 of 4"));
    assert!(text.contains("p99 better in 0 of 1 cells, worse in 1"));
    assert!(text.contains("**0.50"), "{text}");
}

#[test]
fn one_broker_is_told_in_words_and_on_the_terminal() {
    let folder = Folder::new("one");
    let one = scenario().with_brokers(&["Ours".to_owned()]).unwrap();
    let store = Store::open(folder.path(), &toml::to_string(&one).unwrap()).unwrap();
    let origin = Origin {
        began: "2026-11-27 00:00:26 UTC".to_owned(),
        commit: "abc".to_owned(),
        command: "cargo demo".to_owned(),
        facts: facts(),
    };
    store.put("matrix.json", &origin).unwrap();
    for turn in turns(&one, &Cell::all(&one)) {
        let (run, trace) = run(&one, turn);
        store.put(&turn.file(&one, "json"), &run).unwrap();
        store.put(&turn.file(&one, "trace"), &trace).unwrap();
    }
    let results = Results::read(folder.path()).unwrap();
    let text = results.document().markdown();
    let part = "acks=all, response (intended → acknowledged): p50 2.00 ms, p99 2.98 ms, p99.9 3.00 \
                ms, at most 3.00 ms, of 20\u{202f}000 records; highest rate 30.0 k/s";
    assert!(text.contains(part), "{text}");
    let text = terminal(&results);
    assert!(
        text.contains("acknowledged records: none missing, repeated or out of order"),
        "{text}"
    );
    change(
        &store,
        |run| run.broker == "Ours",
        |run| {
            let numbers = run.numbers.as_mut().unwrap();
            numbers.verdict.is_kept = false;
            numbers.counts.missing = 3;
        },
    );
    let results = Results::read(folder.path()).unwrap();
    assert!(!results.is_sound());
    assert!(terminal(&results).contains("BROKEN: an acknowledged record is missing"));
    assert!(results.document().markdown().contains("| **broken** |"));
}

mod recovering {
    use std::time::Duration;

    use loadgen::measure::{Clock, Measurements};

    use super::super::events::Happened;
    use super::super::recovery::Recovery;
    use crate::scenario::Happening;
    use crate::testing::outcome;
    use loadgen::outcome::Outcome;
    use loadgen::settings::Acks;

    const MS: u64 = 1_000_000;

    /// Two seconds in which every record takes a millisecond, but those that are meant to be sent
    /// from `slow_from` to `slow_to` (in ms) are all acknowledged at its end.
    fn slow(slow_from: u64, slow_to: u64) -> Outcome {
        let mut outcome = outcome(Acks::All, 0);
        let mut measured = Measurements::new(0, 2_000 * MS, Duration::from_millis(10));
        for n in 0..20_000 {
            let at_ns = n * MS / 10;
            let is_slow = (slow_from * MS..slow_to * MS).contains(&at_ns);
            let done_ns = if is_slow { slow_to * MS } else { at_ns + MS };
            measured.record(Clock::Response, at_ns, done_ns - at_ns);
            measured.count(at_ns, |tally| tally.offered += 1);
            measured.count(done_ns, |tally| tally.acknowledged += 1);
        }
        outcome.measurements = measured;
        outcome
    }

    #[test]
    fn it_is_over_when_latency_and_backlog_are_as_before() {
        // The profile's peak is over before that.
        let recovery = Recovery::of(&slow(600, 1_500), &[]).unwrap();
        assert_eq!(recovery.before_p99_ns / 100_000, 10);
        let recovered_s = recovery.since_s + recovery.took_s.unwrap();
        assert!((1.5..1.61).contains(&recovered_s), "{recovery:?}");
        assert!((8_900..9_100).contains(&recovery.backlog_max), "{recovery:?}");
        let never = Recovery::of(&slow(600, 1_990), &[]).unwrap();
        assert_eq!(never.took_s, None);
        assert!(never.text().contains("not recovered"));
    }

    #[test]
    fn after_a_kill_the_first_acknowledgement_counts() {
        let kill = Happened { what: Happening::Kill, at_s: 0.5, served_s: Some(0.6), error: None };
        let mut outcome = slow(500, 900);
        // A few were on their way and never answered.
        outcome.counts.unknown = 40;
        outcome.measurements.count(500 * MS, |tally| tally.offered += 40);
        let recovery = Recovery::of(&outcome, &[kill]).unwrap();
        let first_ack_s = recovery.first_ack_s.unwrap();
        assert!((0.4..=0.42).contains(&first_ack_s), "{recovery:?}");
        let took_s = recovery.took_s.unwrap();
        assert!((0.4..0.51).contains(&took_s), "{recovery:?}");
    }
}
