//! Groups of consumers: who reads what, where they go on, and what a crash costs.

use serde_json::{Value, json};

use super::python;

/// Numbers in the order of their size.
fn sorted(numbers: &Value) -> Vec<u64> {
    let numbers = numbers.as_array().expect("it is a list");
    let mut numbers: Vec<u64> =
        numbers.iter().map(|number| number.as_u64().expect("of numbers")).collect();
    numbers.sort_unstable();
    numbers
}

/// Checks that the lists hold each number up to a count once, all of them together, and each list the
/// numbers of one partition in order.
fn check_share(lists: &[&Value], count: u64, partitions: u64) {
    let mut all: Vec<u64> = lists.iter().flat_map(|list| sorted(list)).collect();
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<u64>>());
    for list in lists {
        let list = list.as_array().expect("it is a list");
        let numbers = list.iter().filter_map(Value::as_u64);
        for partition in 0..partitions {
            let here = numbers.clone().filter(|number| number % partitions == partition);
            assert!(here.is_sorted(), "the numbers of partition {partition}: {list:?}");
        }
    }
}

#[test]
fn groups_read_everything_and_their_members_share_it() {
    const ORDERS: u64 = 40;
    let Some(result) = python("independent_groups") else { return };
    let billing = &result["billing"];
    check_share(&[&billing[0], &billing[1]], ORDERS, 4);
    let counts = [0, 1].map(|member: usize| sorted(&billing[member]).len());
    assert_eq!(counts, [20, 20], "each member has two of the four partitions");
    check_share(&[&result["shipping"]], ORDERS, 4);
    let committed = json!([
        {"billing": ORDERS, "shipping": 0},
        {"billing": ORDERS, "shipping": ORDERS},
    ]);
    assert_eq!(result["committed"], committed, "neither group knows of the other");
}

#[test]
fn partitions_are_shared_anew_when_a_consumer_joins_and_when_one_dies() {
    let Some(result) = python("rebalance") else { return };
    assert_eq!(result["alone"], json!([0, 1, 2, 3]));
    let [first, second] = [0, 1].map(|member: usize| sorted(&result["together"][member]));
    assert_eq!([first.len(), second.len()], [2, 2]);
    let mut together = [first, second.clone()].concat();
    together.sort_unstable();
    assert_eq!(together, [0, 1, 2, 3]);
    // Each task once: those of the dead consumer were committed.
    check_share(&[&result["by_first"], &result["by_second"]], 80, 4);
    let by_second = sorted(&result["by_second"]);
    assert_eq!(by_second.len(), 20);
    assert!(by_second.iter().all(|number| second.contains(&(number % 4))), "{result}");
    // Its session of 6 s began with its last heartbeat, up to half a second before its death.
    let missed_after = result["missed_after_seconds"].as_f64().expect("it is a number");
    assert!((5.0..11.0).contains(&missed_after), "{missed_after} s");
}

#[test]
fn a_group_goes_on_where_it_has_committed() {
    let Some(result) = python("resume") else { return };
    let numbers = |range: std::ops::Range<u64>| range.collect::<Vec<u64>>();
    let expected = json!({"first": numbers(0..15), "committed": 10, "second": numbers(10..25)});
    assert_eq!(result, expected);
}

#[test]
fn the_last_minutes_are_found_by_their_time_and_read_again() {
    let Some(result) = python("replay") else { return };
    let expected = json!({"read": 60, "replayed": [[10, 8, 6, 4, 2], [9, 7, 5, 3, 1]]});
    assert_eq!(result, expected);
}

#[test]
fn a_crash_loses_or_repeats_what_was_between_processing_and_commit() {
    let Some(result) = python("delivery") else { return };
    let mut lost: Vec<u64> = (0..20).collect();
    lost.remove(7);
    let mut repeated: Vec<u64> = (0..20).collect();
    repeated.insert(7, 7);
    let expected = json!({
        "at_most_once": {"crashes": 1, "processed": lost},
        "at_least_once": {"crashes": 1, "processed": repeated},
    });
    assert_eq!(result, expected);
}
