//! Tests of cells and of a scenario's report, on runs made by hand.

use loadgen::settings::Acks;

use super::*;
use crate::sample::{JournalCounters, JournalUse, Usage};
use crate::scenario::Durability;
use crate::testing::{facts, outcome, samples};

fn scenario() -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/first-light.toml");
    Scenario::read(&path).unwrap().0
}

#[test]
fn a_durable_cell_needs_a_flush_where_the_device_does() {
    use Durability::{Durable, Relaxed};
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
fn a_scenario_is_the_product_of_its_lists() {
    let cells = Cell::all(&scenario());
    let names: Vec<String> = cells.iter().map(Cell::name).collect();
    let saturating = cells.iter().filter(|cell| matches!(cell.load, Load::Saturating(_))).count();
    assert_eq!(saturating, 2 * 3 * 3);
    assert_eq!(names[0], "durable, records of 100 B, batches of 64 KiB, acks=0");
    let mut different = names.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), names.len(), "a name is a cell");
    let placement = Placement::choose(&[0, 1], Some(1));
    for cell in &cells {
        cell.settings("127.0.0.1:1", &placement).check().unwrap();
    }
}

#[test]
fn names_of_files_are_plain() {
    assert_eq!(file_name("Apache Kafka"), "apache-kafka");
    assert_eq!(file_name("durable, 1 KiB, acks=all"), "durable-1-kib-acks-all");
}

/// Two brokers; the second uses twice the processor time, and its last cell was not durable at all.
fn results() -> Results {
    let facts = facts();
    let broker = |name: &str, factor: u64| {
        let runs = Cell::all(&scenario()).into_iter().flat_map(|cell| {
            [0, 1].map(|repetition| {
                let outcome = outcome(cell.acks, 0);
                let (from_ns, to_ns) = outcome.window_ns();
                let mut usage = samples().between(from_ns, to_ns);
                usage.cpu_ns *= factor;
                let proof = FlushProof::of(cell.durability, &usage, &facts);
                let measured = Ok(Measured { outcome, usage, proof });
                CellRun { cell: cell.clone(), repetition, measured }
            })
        });
        BrokerResults {
            name: name.to_owned(),
            is_known: true,
            started_in_s: vec![0.05, 0.07],
            cells: runs.collect(),
            ..BrokerResults::default()
        }
    };
    let mut theirs = broker("Theirs", 2);
    for run in &mut theirs.cells {
        if let Ok(measured) = &mut run.measured
            && run.cell.durability == Durability::Durable
            && run.cell.acks == Acks::All
        {
            measured.proof = FlushProof::DidNotMove;
        }
    }
    Results {
        brokers: vec![broker("Ours", 1), theirs],
        scenario: scenario(),
        commit: "abc".to_owned(),
        command: "bench-harness run first-light.toml".to_owned(),
        began: "2026-11-27 00:00:26 UTC".to_owned(),
        placement: Placement::choose(&[0, 1], Some(1)),
        facts,
    }
}

#[test]
fn a_report_compares_and_tells_what_does_not_count() {
    let results = results();
    assert!(results.is_sound());
    let text = report::document(&results).markdown();
    for part in [
        "# Scenario first-light",
        "80 runs of cells; all",
        "8 of 80 runs that claim to be durable while the device was never flushed: invalid.",
        "| durable, 100 B, in 64 KiB, acks=0 | Ours | 10.2 MB |",
        "| *invalid: no flush* |",
        // Half the processor time per GB.
        "| relaxed, 16 KiB, in 64 KiB, acks=1 | 1.00× | 0.500× | 1.00× |",
        // Of a cell that is not valid, the ratio does not count.
        "| durable, 1 KiB, in 64 KiB, acks=all | *1.00×* | *0.500×* | *1.00×* |",
        "Ours divided by Theirs",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let html = report::document(&results).html();
    assert!(html.len() < 2_000_000 && !html.contains("NaN"));
}

#[test]
fn a_lost_cell_stands_out() {
    let mut results = results();
    results.brokers.swap(0, 1);
    let text = report::document(&results).markdown();
    assert!(text.contains("| relaxed, 16 KiB, in 64 KiB, acks=1 | 1.00× | **2.00×** | 1.00× |"));
}

#[test]
fn a_failed_cell_is_in_the_report_with_its_reason() {
    let mut results = results();
    results.brokers[0].cells[0].measured = Err("the broker is gone".to_owned());
    assert!(!results.is_sound());
    let text = report::document(&results).markdown();
    assert!(text.contains("1 of 80 runs that did not come to an end."));
    assert!(text.contains("| **failed** |"));
    assert!(text.contains("repetition 1 | the broker is gone |"), "{text}");
}
