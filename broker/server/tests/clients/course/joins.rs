//! Streams with streams, and streams with tables.

use serde_json::json;

use super::python;

#[test]
fn two_streams_are_joined_by_key_within_an_interval() {
    let Some(result) = python("interval_join") else { return };
    let expected = json!({
        "pairs": [
            ["a", 0, 3], ["b", 2, 17], ["e", 20, 12], ["end-0", 90, 90], ["end-1", 90, 90],
            ["f", 40, 41], ["f", 40, 44],
        ],
        "unpaid": [[5, "c"], [10, "d"]],
        "unordered": [[21, "c"], [30, "g"]],
        "waiting": ["end-0", "end-0", "end-1", "end-1"],
    });
    assert_eq!(result, expected);
}

#[test]
fn a_stream_is_joined_with_the_table_that_a_compacted_topic_holds() {
    let Some(result) = python("table_join") else { return };
    let table = json!({"ada": "ES", "cem": "DE", "dua": "AL", "eva": "CZ"});
    let expected = json!({
        "joined": [
            ["ada", "ES"], ["ben", "FR"], ["cem", null], ["dua", "AL"], ["eva", null],
            ["ada", "ES"], ["ben", null], ["cem", "DE"], ["dua", "AL"], ["eva", "CZ"],
        ],
        "table": table,
        "built_anew": table,
    });
    assert_eq!(result, expected);
}
