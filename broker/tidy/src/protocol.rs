//! The rules of the storage protocol: each number of `FORMAT.md` stands in the code that keeps the
//! rule and in a test that fails without it.

use crate::sources::{Source, all, assert_none, find_word};

const FORMAT: &str = "broker/storage/FORMAT.md";
const RULES_COUNT_MIN: usize = 40;

/// Numbers of rules that are kept elsewhere: number, place, reason.
const ELSEWHERE: [(&str, &str, &str); 1] =
    [("6.1", "broker/runtime/", "the lock on the data directory is the runtime's")];

/// The numbers in bold at the start of an item.
fn rules(format: &str) -> Vec<&str> {
    let items = format.lines().filter_map(|line| line.strip_prefix("- **"));
    let numbers = items.filter_map(|item| item.split("**").next());
    numbers
        .filter(|number| {
            let digits = number.trim_start_matches(|c: char| c.is_ascii_uppercase());
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        })
        .collect()
}

/// Whether a text names a rule: `W2`, `4.6`; in names of tests `w2_` and `_4_6`.
fn names(text: &str, number: &str) -> bool {
    let in_names = number.to_lowercase().replace('.', "_");
    let is_alone = |at: &usize, word: &str| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.')
            && !after.is_some_and(|c| c.is_ascii_alphanumeric())
    };
    find_word(text, number).iter().any(|at| is_alone(at, number))
        || text.match_indices(&in_names).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            in_names != number
                && is_alone(&at, &in_names)
                && before.is_some_and(|c| c == '_' || c == ' ')
        })
}

fn check(sources: &[Source]) -> Vec<String> {
    let format = sources.iter().find(|source| source.path == FORMAT).expect("it is there");
    let rules = rules(&format.text);
    let mut complaints = Vec::new();
    for number in rules {
        let place = ELSEWHERE
            .iter()
            .find(|(elsewhere, ..)| *elsewhere == number)
            .map_or("broker/storage/", |(_, place, _)| place);
        let is_in = |is_test: bool| {
            sources.iter().any(|source| {
                let path = if is_test { place } else { "broker/storage/" };
                source.is_rust()
                    && source.path.starts_with(path)
                    && source.is_test() == is_test
                    && (place != "broker/storage/" && is_test || names(&source.text, number))
            })
        };
        if !is_in(false) {
            complaints.push(format!("rule {number} stands in no code"));
        }
        if !is_in(true) {
            complaints.push(format!("rule {number} stands in no test"));
        }
    }
    complaints
}

#[test]
fn every_rule_stands_in_code_and_in_a_test() {
    let sources = all();
    let format = sources.iter().find(|source| source.path == FORMAT).expect("it is there");
    let count = rules(&format.text).len();
    assert!(RULES_COUNT_MIN <= count, "these are the rules: {count}");
    assert_none(&check(&sources), "Name the rule where it is kept, and test it.");
}

#[test]
fn canary() {
    let sources = |code: &str, test: &str| {
        [
            Source::new(FORMAT, "- **W1** One.\n- **4.6** Two.\n- **Durable** no rule\n"),
            Source::new("broker/storage/src/x.rs", code),
            Source::new("broker/storage/tests/x.rs", test),
        ]
    };
    assert!(check(&sources("// W1 4.6", "fn w1_holds() {} fn it_4_6() {}")).is_empty());
    assert_eq!(check(&sources("// W1, 4.6", "// W10 14.6 4.61")).len(), 2);
    assert_eq!(check(&sources("// W11", "// W1; 4.6.")).len(), 2);
}
