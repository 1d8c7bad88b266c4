//! Unsafe code is in the files listed here, and every other crate forbids it. That each block has
//! its `// SAFETY:` is clippy's affair.

use crate::sources::{Source, assert_none, find_word, line_of, rust};

/// File, reason.
const ALLOWED: [(&str, &str); 7] = [
    ("broker/runtime/src/driver/uring.rs", "submits and reaps operations"),
    ("broker/runtime/src/driver/uring/direct.rs", "system calls without an opcode"),
    ("broker/runtime/src/driver/uring/entry.rs", "operations as the kernel reads them"),
    ("broker/runtime/src/buffer.rs", "blocks as bytes"),
    ("broker/wire/tests/allocation.rs", "an allocator that counts"),
    ("broker/storage/src/format/allocation.rs", "an allocator that counts"),
    ("fuzz/src/allocation.rs", "an allocator that counts"),
];

/// Crates that may contain some of the files above, or derived unsafe code.
const NOT_FORBIDDING: [&str; 3] = ["broker/runtime/", "broker/storage/", "fuzz/"];

fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let is_allowed = ALLOWED.iter().any(|(path, _)| *path == source.path);
        let uses = find_word(&source.code, "unsafe");
        if !is_allowed {
            for at in &uses {
                let line = line_of(&source.code, *at);
                complaints.push(format!("{}:{line}: unsafe code", source.path));
            }
        } else if uses.is_empty() {
            complaints.push(format!("{}: no unsafe code any more; off the list", source.path));
        }
        let is_root = source.path.ends_with("/src/lib.rs") || source.path.ends_with("/src/main.rs");
        if is_root
            && !NOT_FORBIDDING.iter().any(|path| source.path.starts_with(path))
            && !source.code.contains("#![forbid(unsafe_code)]")
        {
            complaints.push(format!("{}: begin with #![forbid(unsafe_code)]", source.path));
        }
    }
    complaints
}

#[test]
fn unsafe_code_is_where_it_is_listed() {
    let sources = rust();
    assert_none(&check(&sources), "See broker/tidy/src/unsafe_code.rs.");
    let storage = sources.iter().find(|source| source.path == "broker/storage/src/lib.rs");
    let storage = storage.expect("there is a storage");
    assert!(storage.code.contains("#![deny(unsafe_code)]"), "only where it is allowed by name");
}

#[test]
fn canary() {
    let check = |path: &str, text: &str| check(&[Source::new(path, text)]);
    assert_eq!(check("broker/server/src/x.rs", "unsafe { a() }").len(), 1);
    assert_eq!(check("broker/server/src/lib.rs", "mod a;").len(), 1);
    assert!(check("broker/server/src/lib.rs", "#![forbid(unsafe_code)]").is_empty());
    assert_eq!(check("broker/runtime/src/buffer.rs", "fn a() {}").len(), 1);
    assert!(check("broker/server/src/x.rs", "// unsafe\n#[deny(unsafe_code)]").is_empty());
}
