//! What is left over from writing: notes to oneself, calls for debugging, tests that are switched
//! off. What is not done yet is in an issue. And paths of one person's machine.

use crate::sources::{Source, assert_none, line_of, rust};

/// Each in two parts, so that this file is clean, too.
const IN_TEXT: [(&str, &str); 7] = [
    ("FIX", "ME"),
    ("TO", "DO"),
    ("XX", "X"),
    ("HA", "CK:"),
    ("/wo", "rk/"),
    ("../sha", "red/"),
    ("place", "holder"),
];
const IN_CODE: [(&str, &str); 5] = [
    ("dbg", "!("),
    ("todo", "!("),
    ("unimplemented", "!("),
    ("#[ign", "ore"),
    ("should_", "panic"),
];

fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        for (first, second) in IN_TEXT {
            let word = format!("{first}{second}");
            for (at, _) in source.text.match_indices(&word) {
                let line = line_of(&source.text, at);
                complaints.push(format!("{}:{line}: {word}", source.path));
            }
        }
        for (first, second) in IN_CODE {
            let word = format!("{first}{second}");
            for (at, _) in source.code.match_indices(&word) {
                let line = line_of(&source.code, at);
                complaints.push(format!("{}:{line}: {word}", source.path));
            }
        }
    }
    complaints
}

#[test]
fn nothing_is_left_over() {
    assert_none(&check(&crate::sources::all()), "Do it, or open an issue.");
    assert!(!rust().is_empty());
}

#[test]
fn canary() {
    for (first, second) in IN_TEXT {
        let text = format!("// {first}{second} later");
        assert_eq!(check(&[Source::new("broker/model/src/x.rs", &text)]).len(), 1, "{text}");
    }
    for (first, second) in IN_CODE {
        let text = format!("{first}{second})");
        assert_eq!(check(&[Source::new("broker/model/src/x.rs", &text)]).len(), 1, "{text}");
        let text = format!("// {first}{second}");
        assert!(check(&[Source::new("broker/model/src/x.rs", &text)]).is_empty(), "{text}");
    }
}
