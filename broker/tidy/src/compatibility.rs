//! The tests that `broker/server/COMPATIBILITY.md` names for its rules are there, and every test of
//! the protocol and of hostile clients is named by a rule.

use crate::sources::{Source, all, assert_none};

const RULES: &str = "broker/server/COMPATIBILITY.md";
const TESTS: [&str; 2] = ["broker/server/tests/protocol/", "broker/server/tests/hostile/"];
const TESTS_COUNT_MIN: usize = 40;

/// The names of tests in the last column of the tables; of `fetch::f1_…` the part behind the colons.
fn named(rules: &str) -> Vec<&str> {
    let rows = rules.lines().filter(|line| line.starts_with("| ") && line.contains(". "));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").rsplit("| ").next());
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    quoted.filter_map(|name| name.rsplit("::").next()).filter(|name| name.contains('_')).collect()
}

fn check(rules: &str, sources: &[Source]) -> Vec<String> {
    let named = named(rules);
    let mut complaints = Vec::new();
    for name in &named {
        let definition = format!("fn {name}(");
        if !sources.iter().any(|source| source.is_test() && source.text.contains(&definition)) {
            complaints.push(format!("there is no test {name}"));
        }
    }
    let is_ruled = |source: &&Source| TESTS.iter().any(|tests| source.path.starts_with(tests));
    for source in sources.iter().filter(is_ruled) {
        let after = source.text.split("#[test]\nfn ").skip(1);
        for name in after.filter_map(|text| text.split('(').next()) {
            if !named.contains(&name) {
                complaints.push(format!("{RULES} does not name {name}"));
            }
        }
    }
    complaints
}

fn rules() -> String {
    let sources = all();
    sources.into_iter().find(|source| source.path == RULES).expect("it is there").text
}

#[test]
fn every_rule_has_its_tests_and_every_test_its_rule() {
    let rules = rules();
    assert!(TESTS_COUNT_MIN <= named(&rules).len(), "{:?}", named(&rules));
    assert_none(
        &check(&rules, &all()),
        "a rule of compatibility stands in COMPATIBILITY.md with the test that holds it",
    );
}

#[test]
fn canary() {
    let rules = rules();
    let sources = all();
    let wrong = rules.replacen("f1_an_offset", "f1_no_offset", 1);
    let complaints = check(&wrong, &sources);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
}
