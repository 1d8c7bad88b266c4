//! What cores may share, the whole list: messages of the mesh, frozen buffers, files of sealed
//! segments, configuration and cluster image (replaced whole), metrics cells. Anything else is a
//! change of the design: a partition belongs to one core.

use crate::sources::{Source, assert_none, find_word, line_of, rust};

const WORDS: [&str; 9] = [
    "Arc",
    "Mutex",
    "RwLock",
    "Condvar",
    "OnceLock",
    "LazyLock",
    "mpsc",
    "thread_local",
    "static mut",
];

/// Path or directory, word, reason.
const ALLOWED: [(&str, &str, &str); 7] = [
    ("broker/storage/src/log/segment.rs", "Arc", "files of sealed segments, which any core sends"),
    ("broker/storage/src/log/read.rs", "Arc", "as above"),
    ("broker/storage/src/log/read/cold.rs", "Arc", "as above"),
    ("broker/storage/src/log/read/window.rs", "Arc", "as above"),
    ("broker/storage/src/log/admission.rs", "Arc", "as above"),
    ("broker/simulation/src/broker.rs", "Arc", "the broker takes its configuration so"),
    ("broker/server/src/", "Arc", "configuration, cluster image and boot plan, replaced whole"),
];

fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    let above_runtime = sources.iter().filter(|source| {
        source.path.starts_with("broker/")
            && !source.path.starts_with("broker/runtime/")
            && !source.is_test()
    });
    for source in above_runtime {
        let code = source.code_without_tests();
        let is_allowed = |word: &str| {
            let allows = |(path, allowed, _): &(&str, &str, &str)| {
                source.path.starts_with(path) && *allowed == word
            };
            ALLOWED.iter().any(allows)
        };
        for word in WORDS.iter().filter(|word| !is_allowed(word)) {
            for at in find_word(code, word) {
                let line = line_of(code, at);
                complaints.push(format!("{}:{line}: {word}", source.path));
            }
        }
        for (at, _) in code.match_indices("Atomic") {
            complaints.push(format!("{}:{}: an atomic", source.path, line_of(code, at)));
        }
    }
    complaints
}

#[test]
fn cores_share_only_what_is_listed() {
    assert_none(&check(&rust()), "See broker/tidy/src/sharing.rs, and think of a message instead.");
}

#[test]
fn canary() {
    let check = |path: &str, text: &str| check(&[Source::new(path, text)]);
    for text in ["use std::sync::Mutex;", "static mut COUNT: u8 = 0;", "let a: AtomicU64;"] {
        assert_eq!(check("broker/server/src/core.rs", text).len(), 1, "{text}");
    }
    assert_eq!(check("broker/storage/src/log.rs", "let a: Arc<u8>;").len(), 1);
    assert!(check("broker/storage/src/log/read.rs", "let a: Arc<File>;").is_empty());
    assert!(check("broker/storage/src/log.rs", "struct Archive;").is_empty());
}
