//! Every file begins with what it is: `//!`. Only tests of one module, which their name explains,
//! may go without.

use crate::sources::{Source, assert_none, rust};

fn check(sources: &[Source]) -> Vec<String> {
    let undocumented = sources.iter().filter(|source| {
        let is_tests_of_a_module = source.path.ends_with("/tests.rs");
        let begin = source.text.lines().next().unwrap_or_default();
        !is_tests_of_a_module && (!begin.starts_with("//! ") || begin.len() < 8)
    });
    undocumented.map(|source| format!("{} does not say what it is", source.path)).collect()
}

#[test]
fn every_file_says_what_it_is() {
    assert_none(&check(&rust()), "Begin the file with a sentence in `//!`.");
}

#[test]
fn canary() {
    let check = |text: &str| check(&[Source::new("broker/model/src/x.rs", text)]).len();
    assert_eq!(check("use std::io;"), 1);
    assert_eq!(check("//! x\n"), 1);
    assert_eq!(check("\n//! What this file is, too late.\n"), 1);
    assert_eq!(check("//! What this file is.\n"), 0);
}
