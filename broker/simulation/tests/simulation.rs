//! The broker through a hundred simulated lives, and what the simulation is worth: it repeats
//! itself, enough goes wrong in it, and bugs that are planted are found.
//!
//! Each seed is a process of its own, so that one that dies takes nothing with it. What a seed has
//! broken is printed with the command that repeats it.
//!
//! - HIGHWATER_SEEDS: how many seeds (100 if not said).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what a run has been through is of interest")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS_DEFAULT: u64 = 100;

/// What one seed has printed.
struct Outcome {
    is_success: bool,
    /// Standard output, and the error output of a run that has failed.
    text: String,
}

fn simulate(arguments: &[&str]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output().unwrap();
    let is_success = output.status.success();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !is_success {
        text.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    Outcome { is_success, text }
}

fn simulate_seed(seed: u64, arguments: &[&str]) -> Outcome {
    let seed = seed.to_string();
    simulate(&[&["--seed", seed.as_str()], arguments].concat())
}

/// Runs seeds on all processors, each once.
fn for_each_seed(count: u64, run: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(1);
    let workers = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if count < seed {
                        return;
                    }
                    run(seed);
                }
            });
        }
    });
}

/// The numbers of a line such as `seed 1 trace=00ff crashes=3`.
fn counts(text: &str) -> BTreeMap<String, u64> {
    let line = text.lines().find(|line| line.contains("crashes=")).unwrap_or_default();
    let pairs = line.split_whitespace().filter_map(|word| word.split_once('='));
    pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

#[test]
fn every_seed_keeps_every_invariant_and_enough_goes_wrong() {
    let seeds_count = match std::env::var("HIGHWATER_SEEDS") {
        Ok(count) => count.parse().expect("HIGHWATER_SEEDS is a number"),
        Err(_) => SEEDS_DEFAULT,
    };
    let sum: Mutex<BTreeMap<String, u64>> = Mutex::default();
    let failed: Mutex<Vec<String>> = Mutex::default();
    for_each_seed(seeds_count, |seed| {
        let Outcome { is_success, text } = simulate_seed(seed, &[]);
        let of_seed = counts(&text);
        if !is_success {
            let again = format!("cargo run -p simulation --profile simulation -- --seed {seed}");
            failed.lock().unwrap().push(format!("{text}\nrepeat it by: {again} --events"));
            return;
        }
        assert!(30_000 <= of_seed["virtual-ms"], "seed {seed} is too short: {text}");
        assert!(2000 <= of_seed["operations"], "seed {seed} does too little: {text}");
        let mut sum = sum.lock().unwrap();
        for (name, value) in of_seed {
            *sum.entry(name).or_default() += value;
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), failed.join("\n"));
    let sum = sum.into_inner().unwrap();
    println!("{seeds_count} seeds: {sum:?}");
    for (name, per_hundred) in [
        ("crashes", 200),
        ("client-crashes", 100),
        ("lost-writes", 500),
        ("disk-errors", 100),
        ("resets", 500),
        ("incremental-fetches", 20_000),
        ("epoch-ends", 5000),
        ("grown", 500),
        ("generations", 500),
        ("migrations", 50),
        ("committed", 5000),
    ] {
        let enough = per_hundred * seeds_count / 100;
        assert!(enough <= sum[name], "only {} {name} in {seeds_count} seeds", sum[name]);
    }
}

#[test]
fn a_seed_repeats_itself() {
    for seed in ["1", "2", "3"] {
        let run = || simulate(&["--seed", seed, "--events"]).text;
        let (first, second) = (run(), run());
        assert!(first.contains("trace="), "{first}");
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Which seed is the first in which a planted bug breaks one of the invariants that say what it is.
/// A seed stops where it first sees that something is wrong, which may be an effect further on.
fn check_found(bug: &str, more: &[&str], expected: &[&str]) {
    const SEEDS_MAX: u64 = 60;
    let mut all_broken = BTreeSet::new();
    for seed in 1..=SEEDS_MAX {
        let found = simulate_seed(seed, &[&["--bug", bug], more].concat());
        let broken = found.text.lines().filter_map(|line| {
            line.split_once("invariant ").and_then(|(_, rest)| rest.split_once(':'))
        });
        let broken: Vec<&str> = broken.map(|(name, _)| name).collect();
        assert_eq!(found.is_success, broken.is_empty(), "{}", found.text);
        if broken.iter().any(|name| expected.contains(name)) {
            println!("{bug} is found by seed {seed}: {broken:?}");
            return;
        }
        all_broken.extend(broken.into_iter().map(str::to_owned));
    }
    panic!("{bug} breaks {all_broken:?} in {SEEDS_MAX} seeds, and not one of {expected:?}");
}

#[test]
fn who_acknowledges_before_the_flush_is_found() {
    check_found("acknowledge-before-flush", &[], &["no-loss", "no-vanishing"]);
}

#[test]
fn who_skips_the_flush_is_found() {
    check_found("skip-flush", &[], &["no-loss", "no-vanishing", "producer-ids", "told"]);
}

#[test]
fn who_reuses_a_buffer_is_found() {
    check_found("reuse-buffer", &[], &["buffers"]);
}

#[test]
fn who_forgets_what_is_staged_is_found() {
    check_found("forget-staged-producers", &[], &["no-duplicates", "forbidden", "understood"]);
}

#[test]
fn who_truncates_on_any_bad_commit_is_found() {
    check_found("truncate-on-any-bad-commit", &["--rot"], &["no-loss", "no-vanishing"]);
}

#[test]
fn who_loses_the_tail_of_a_carry_is_found() {
    check_found("lose-carried-tail", &[], &["no-loss", "no-vanishing", "read-your-ack"]);
}

#[test]
fn who_serves_beyond_the_high_watermark_is_found() {
    check_found("serve-beyond-high-watermark", &[], &["visibility", "no-vanishing"]);
}

#[test]
fn who_appends_duplicates_is_found() {
    check_found("append-duplicates", &[], &["repeats", "no-duplicates"]);
}

#[test]
fn who_answers_for_groups_before_the_flush_is_found() {
    check_found("answer-groups-before-flush", &[], &["committed", "generations"]);
}
