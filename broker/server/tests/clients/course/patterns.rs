//! What is often built on a log, with kafkajs.

use serde_json::json;

use super::node;

#[test]
fn trending_topics_are_ranked_minute_by_minute() {
    let Some(result) = node("trending") else { return };
    let expected = json!([
        {"minute": 0, "trending": [["derby", 3], ["rain", 3], ["strike", 2]]},
        {"minute": 1, "trending": [["opera", 3], ["derby", 2], ["rain", 1]]},
        {"minute": 2, "trending": [["strike", 2], ["rain", 1]]},
    ]);
    assert_eq!(result, expected);
}

#[test]
fn fraud_is_found_in_what_a_card_has_done_before() {
    let Some(result) = node("fraud") else { return };
    let alert = |rule: &str, second: u64, card: &str, city: &str, amount: u64| {
        let payment = json!({"second": second, "card": card, "city": city, "amount": amount});
        json!({"rule": rule, "payment": payment})
    };
    let expected = json!([
        alert("three within a minute", 55, "red", "Lisbon", 900),
        alert("two cities within an hour", 1900, "green", "Braga", 75),
    ]);
    assert_eq!(result, expected);
}

#[test]
fn the_state_of_accounts_is_replayed_from_their_events() {
    let Some(result) = node("event_sourcing") else { return };
    let expected = json!({
        "now": {"ada": 50},
        "earlier": {"ada": 70, "ben": 50},
        "again": {"ada": 50},
    });
    assert_eq!(result, expected);
}
