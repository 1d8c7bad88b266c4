//! The corpus that is kept, and so many mutations of it, through every target: what libFuzzer does
//! for long, for seconds and always in the same way. `HIGHWATER_SWEEP=10` makes ten times as many.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::path::{Path, PathBuf};

use fuzz::{TARGETS, Target};

/// Of most targets; those that open compressed data take longer.
const MUTATIONS_COUNT: u64 = 400_000;
const MUTATIONS_OF_CODECS_COUNT: u64 = 40_000;
/// What a mutation may grow to.
const SIZE_BYTES_MAX: usize = 64 << 10;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(corpus().join(target.name)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Numbers that something may go wrong at, in the widths in which they are written.
const NUMBERS: [&[u8]; 12] = [
    &[0xff],
    &[0x7f, 0xff],
    &[0xff, 0xfe],
    &[0xff; 4],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0, 0, 0, 0x80],
    &[0xff; 8],
    &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0; 4],
];

fn mutate(random: &mut Random, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = inputs[random.below(inputs.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.byte(),
            2 => {
                let number = NUMBERS[random.below(NUMBERS.len())];
                let end = (at + number.len()).min(bytes.len());
                bytes.splice(at..end, number.iter().copied());
            }
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copied = bytes[at..end].to_vec();
                bytes.splice(at..at, copied);
            }
            5 => {
                let other = &inputs[random.below(inputs.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes.truncate(SIZE_BYTES_MAX);
    bytes
}

/// Says which input it was, when one has failed.
struct Running<'a>(&'a Target, &'a [u8], u64);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Running(target, input, number) = self;
            let path =
                Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{}", target.name));
            std::fs::write(&path, input).unwrap();
            let _ = writeln!(
                std::io::stderr(),
                "{}, execution {number}: the input is in {}",
                target.name,
                path.display()
            );
        }
    }
}

fn run(target: &Target, input: &[u8], number: u64) {
    let running = Running(target, input, number);
    target.run(input);
    drop(running);
}

fn check(name: &str) {
    let target = Target::named(name).unwrap();
    let inputs = inputs(target);
    assert!(!inputs.is_empty(), "there is something to begin with");
    for (number, input) in (0..).zip(&inputs) {
        run(target, input, number);
    }
    for (number, seed) in (0..).zip(fuzz::seeds::of(name)) {
        run(target, &seed, number);
    }
    let is_codec = ["batch", "gzip", "snappy", "xerial", "lz4", "zstd"].contains(&name);
    let count = if is_codec { MUTATIONS_OF_CODECS_COUNT } else { MUTATIONS_COUNT };
    let sweep = std::env::var("HIGHWATER_SWEEP").ok().and_then(|times| times.parse().ok());
    let count = count * sweep.unwrap_or(1);
    let mut random =
        Random(name.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte)));
    for number in 0..count {
        let input = mutate(&mut random, &inputs);
        run(target, &input, number);
    }
}

macro_rules! targets {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                check($name);
            }
        )*

        const CHECKED: &[&str] = &[$($name),*];
    };
}

targets! {
    request_holds: "request",
    response_holds: "response",
    batch_holds: "batch",
    gzip_holds: "gzip",
    snappy_holds: "snappy",
    xerial_holds: "xerial",
    lz4_holds: "lz4",
    zstd_holds: "zstd",
    frames_hold: "frames",
    journal_holds: "journal",
    commit_header_holds: "commit-header",
    superblock_holds: "superblock",
    entries_hold: "entries",
    index_holds: "index",
    applied_holds: "applied",
    producers_hold: "producers",
    membership_holds: "membership",
    cluster_holds: "cluster",
    groups_hold: "groups",
    topic_configs_hold: "topic-configs",
    config_holds: "config",
}

#[test]
fn every_target_is_checked_and_has_a_corpus_of_moderate_size() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, CHECKED);
    let mut directories: Vec<String> = std::fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    directories.sort();
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(directories, sorted);
    let size_bytes: usize = TARGETS.iter().flat_map(inputs).map(|input| input.len()).sum();
    assert!((50 << 10..2 << 20).contains(&size_bytes), "{size_bytes} bytes");
}

/// A check that has never failed proves nothing.
#[test]
fn canary() {
    // Of one byte, 64 and the floor may be allocated; this one takes more than that.
    let mut greedy = *Target::named("gzip").unwrap();
    greedy.floor_bytes = 0;
    let outcome = std::panic::catch_unwind(|| greedy.run(b"x"));
    let message = *outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("bytes allocated for an input of 1, 64 are allowed"), "{message}");
}
