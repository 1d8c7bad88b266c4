//! Keys, turns, and partitions for the important.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::python;

#[test]
fn events_of_a_user_stay_in_order() {
    const EVENTS: usize = 20;
    let Some(seen) = python("keyed_order") else { return };
    let seen = seen.as_object().expect("it is told by user");
    assert_eq!(seen.len(), 5);
    let mut partitions = BTreeSet::new();
    for (user, events) in seen {
        let partition = &events[0][0];
        let expected: Vec<Value> = (0..EVENTS).map(|number| json!([partition, number])).collect();
        assert_eq!(*events, json!(expected), "{user}");
        partitions.insert(partition.as_u64());
    }
    assert!(1 < partitions.len(), "users are spread: {partitions:?}");
}

#[test]
fn what_has_no_key_is_shared_out_by_turns() {
    const READINGS: usize = 40;
    const PARTITIONS: usize = 4;
    let Some(seen) = python("round_robin") else { return };
    let share = |first| (first..READINGS).step_by(PARTITIONS).collect::<Vec<usize>>();
    assert_eq!(seen, json!((0..PARTITIONS).map(share).collect::<Vec<_>>()));
}

#[test]
fn vip_users_have_partition_0_to_themselves() {
    const ORDERS: usize = 5;
    let Some(seen) = python("custom_partitioner") else { return };
    let orders = |users: &[&str]| -> Vec<Value> {
        let of_all = |number| users.iter().map(move |user| json!([user, number]));
        (0..ORDERS).flat_map(of_all).collect()
    };
    let expected = json!([
        orders(&["vip-ada", "vip-dua"]),
        orders(&["ben", "cem", "ian"]),
        orders(&["eva"]),
        orders(&["fay", "gus"]),
    ]);
    assert_eq!(seen, expected);
}
