//! Inside `broker/` only `runtime` touches the machine. A program above it that reads a clock, a
//! file or a random number by itself cannot be simulated. Of `std::net` the addresses are free:
//! they are plain data.

use crate::sources::{Source, assert_none, find_word, line_of, rust};

const FORBIDDEN: [&str; 17] = [
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "std::os",
    "std::net::Tcp",
    "std::net::Udp",
    "std::time::Instant",
    "Instant::now",
    "SystemTime",
    "io_uring",
    "libc::",
    "nix::",
    "rand::",
    "getrandom",
    "tokio",
    // Modules of `std` are named one by one, so that the names above are found.
    "std::{",
];

/// File, word, reason.
const ALLOWED: [(&str, &str, &str); 3] = [
    ("broker/server/src/config.rs", "std::fs", "read once, before there is a core"),
    ("broker/server/src/main.rs", "std::process", "the exit status"),
    ("broker/simulation/src/main.rs", "std::process", "the exit status, and seeds by themselves"),
];

/// These never do I/O and never wait: time and randomness are arguments.
const PURE: [&str; 3] = ["broker/model/", "broker/wire/", "broker/coordinator/"];

fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    let above_runtime = sources.iter().filter(|source| {
        source.path.starts_with("broker/")
            && !source.path.starts_with("broker/runtime/")
            && !source.is_test()
    });
    for source in above_runtime {
        let code = source.code_without_tests();
        let mut complain = |word: &str| {
            for at in find_word(code, word) {
                let line = line_of(code, at);
                complaints.push(format!("{}:{line}: {word}", source.path));
            }
        };
        let is_allowed = |word: &str| {
            ALLOWED.iter().any(|(path, allowed, _)| *path == source.path && *allowed == word)
        };
        FORBIDDEN.iter().filter(|word| !is_allowed(word)).for_each(|word| complain(word));
        if PURE.iter().any(|pure| source.path.starts_with(pure)) {
            ["async", ".await", "std::io", "tracing"].iter().for_each(|word| complain(word));
        }
        if !source.path.starts_with("broker/replication/src/raft") {
            complain("openraft");
        }
    }
    complaints
}

#[test]
fn only_runtime_touches_the_machine() {
    assert_none(&check(&rust()), "Go through `runtime`, or take it as an argument.");
}

#[test]
fn canary() {
    let check = |path: &str, text: &str| check(&[Source::new(path, text)]);
    for text in
        ["use std::fs;", "let now = Instant::now();", "use std::{fs, io};", "openraft::Raft"]
    {
        assert_eq!(check("broker/storage/src/x.rs", text).len(), 1, "{text}");
        assert!(check("broker/storage/src/x/tests.rs", text).is_empty());
        assert!(check("broker/runtime/src/x.rs", text).is_empty());
    }
    let many = check("broker/server/src/x.rs", "fn a() {}\nfn b() { std::fs::read(); }");
    assert_eq!(many, ["broker/server/src/x.rs:2: std::fs"]);
    assert_eq!(check("broker/model/src/x.rs", "async fn a() { b().await }").len(), 2);
    assert!(check("broker/storage/src/x.rs", "// std::fs\nlet a = \"std::fs\";").is_empty());
}
