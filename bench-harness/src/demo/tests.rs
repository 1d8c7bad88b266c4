//! Tests of the demonstration's report, on runs made by hand.

use super::*;
use crate::testing::{facts, outcome, samples};

fn demonstration(missing: u64) -> Demonstration {
    let run = |acks, missing| DemoRun { outcome: outcome(acks, missing), samples: samples() };
    Demonstration {
        began: Moment::now(),
        broker_name: "Highwater".to_owned(),
        broker_settings: vec![("command".to_owned(), "highwater serve".to_owned())],
        broker_started_in: Some(Duration::from_millis(40)),
        is_broker_known: true,
        is_durable: true,
        placement: Placement::choose(&[0, 1], Some(1)),
        facts: facts(),
        runs: vec![run(Acks::None, 0), run(Acks::Leader, missing), run(Acks::All, 0)],
        command: "cargo demo --base 3000/s".to_owned(),
    }
}

#[test]
fn a_good_day_is_told_with_its_numbers() {
    let demonstration = demonstration(0);
    assert!(demonstration.is_kept());
    let text = report::document(&demonstration).markdown();
    for part in [
        "# Black Friday on Highwater",
        "All 40\u{202f}000 acknowledged records were read back: once, intact and in order.",
        "Response, acks=all (intended → acknowledged): p50 2.00 ms, p99 2.98 ms, p99.9 3.00 ms",
        "base 3.00 k/s, peak 30.0 k/s",
        "acknowledged means on the device",
        "Broker on processor 1, which takes the disk's interrupts",
        "cargo demo --base 3000/s",
        "| response, acks=1 | intended → acknowledged | 20\u{202f}000 | 2.00 ms |",
        "| acks=0 | 20\u{202f}000 | – | – | – | 20\u{202f}000 | 0 |",
        // A quarter of a processor for 10.24 MB/s; 1000 flushes and 10,000 records a second.
        "| acks=all | 10.0 k | 10.2 MB | 25.0 % | 24.4 | 50.0 MB | 1000 | 10.0 | 8.19 MB |",
        "| acks=all | 500 | 20.0 | 22.0 kB | – |",
        "| file system | ext4 |",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // Without too many samples, nobody claims a p99.99.
    assert!(text.contains("*too few*"));
    assert!(!text.contains("Attention"));
}

#[test]
fn a_broken_promise_is_on_top() {
    let demonstration = demonstration(3);
    assert!(!demonstration.is_kept());
    let text = report::document(&demonstration).markdown();
    assert!(text.contains("**Attention:** The broker did not keep what it had acknowledged"));
    assert!(text.contains("| **broken** |"), "{text}");
    assert!(demonstration.summary().contains("BROKEN"));
}

#[test]
fn the_page_has_its_pictures_with_it_and_is_small() {
    let html = report::document(&demonstration(0)).html();
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    // Four rows of three, and two of percentiles.
    assert_eq!(html.matches("<svg ").count(), 14);
    assert_eq!(html.matches("</svg>").count(), 14);
    for label in ["records/s", "time, s", "latency, log scale", "percentile of records"] {
        assert!(html.contains(label), "{label}");
    }
    for outside in ["src=", "href=", "<script", "@import", "url(", "NaN"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn compared_panels_have_the_same_axes() {
    let html = report::document(&demonstration(0)).html();
    let pictures: Vec<&str> = html.split("<svg ").skip(1).collect();
    // The names along the axes of the first row, which are all that stands at the right end.
    let names = |picture: &str| -> Vec<String> {
        let names = picture.split("text-anchor=\"end\">").skip(1);
        names.map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    };
    assert!(!names(pictures[0]).is_empty());
    for row in pictures[..12].chunks(3) {
        assert_eq!(names(row[0]), names(row[1]));
        assert_eq!(names(row[1]), names(row[2]));
    }
}

#[test]
fn without_a_known_process_its_use_is_left_open() {
    let mut demonstration = demonstration(0);
    demonstration.is_broker_known = false;
    demonstration.broker_started_in = None;
    let text = report::document(&demonstration).markdown();
    assert!(text.contains("| acks=all | 10.0 k | 10.2 MB | – | – | – |"), "{text}");
    assert!(!demonstration.summary().contains("served"));
}
