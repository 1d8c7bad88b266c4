//! Who is limited by what, and how.

use proptest::prelude::*;

use super::*;
use crate::group::Moment;

fn alter(entity: &[(&str, Option<&str>)], changes: &[(&str, Option<f64>)]) -> AlterQuotas {
    let own = |name: &str| name.to_owned();
    AlterQuotas {
        entity: entity.iter().map(|(kind, name)| (own(kind), name.map(own))).collect(),
        changes: changes.iter().map(|(name, value)| (own(name), *value)).collect(),
    }
}

fn set(state: &mut ClusterState, entity: &[(&str, Option<&str>)], rate: f64) {
    let records = state.decide_quotas(&alter(entity, &[("producer_byte_rate", Some(rate))]));
    for record in records.unwrap() {
        let read = ClusterRecord::decode(&record.encode()).unwrap();
        assert_eq!(read, record);
        state.replay(&read).unwrap();
    }
}

fn limit(state: &ClusterState, user: &str, client: &str) -> Option<f64> {
    let found = state.quotas().limit(Quota::ProducerBytes, user, client);
    found.map(|(_, rate)| rate.value())
}

#[test]
fn what_is_said_for_more_of_a_client_goes_first() {
    let mut state = ClusterState::default();
    assert_eq!(limit(&state, "u", "c"), None);
    let (user, client) = (|name| (USER, name), |name| (CLIENT_ID, name));
    let from_weakest: [&[(&str, Option<&str>)]; 8] = [
        &[client(None)],
        &[client(Some("c"))],
        &[user(None)],
        &[user(None), client(None)],
        &[user(None), client(Some("c"))],
        &[user(Some("u"))],
        &[user(Some("u")), client(None)],
        &[client(Some("c")), user(Some("u"))],
    ];
    for (rate, entity) in (1..).map(f64::from).zip(from_weakest) {
        set(&mut state, entity, rate);
        assert_eq!(limit(&state, "u", "c"), Some(rate), "{entity:?}");
    }
    assert_eq!(limit(&state, "v", "c"), Some(5.0));
    assert_eq!(limit(&state, "v", "d"), Some(4.0));
    // Everybody of "everybody" is counted alone, and a user's clients together.
    let (sharers, _) = state.quotas().limit(Quota::ProducerBytes, "v", "d").unwrap();
    assert_eq!((sharers.user.as_deref(), sharers.client.as_deref()), (Some("v"), Some("d")));
    assert_eq!(state.quotas().limit(Quota::ConsumerBytes, "u", "c"), None);
}

#[test]
fn what_cannot_be_set_is_refused_with_the_reason() {
    let state = ClusterState::default();
    let rate = ("producer_byte_rate", Some(1.0));
    let client = (CLIENT_ID, Some("c"));
    for (entity, changes) in [
        (vec![], vec![rate]),
        (vec![("ip", Some("127.0.0.1"))], vec![rate]),
        (vec![("group", Some("g"))], vec![rate]),
        (vec![(CLIENT_ID, Some(""))], vec![rate]),
        (vec![client, client], vec![rate]),
        (vec![client], vec![("connection_creation_rate", Some(1.0))]),
        (vec![client], vec![rate, rate]),
        (vec![client], vec![("producer_byte_rate", Some(0.0))]),
        (vec![client], vec![("consumer_byte_rate", Some(1.5))]),
        (vec![client], vec![("request_percentage", Some(0.0))]),
        (vec![client], vec![("request_percentage", Some(f64::NAN))]),
    ] {
        let refused = state.decide_quotas(&alter(&entity, &changes));
        assert!(refused.is_err(), "{entity:?} {changes:?}");
    }
    let nothing = state.decide_quotas(&alter(&[client], &[("request_percentage", None)]));
    assert_eq!(nothing, Ok(Vec::new()), "what is not there need not be taken back");
}

#[test]
fn entities_are_found_by_their_parts() {
    let mut state = ClusterState::default();
    set(&mut state, &[(CLIENT_ID, Some("c"))], 1.0);
    set(&mut state, &[(CLIENT_ID, None)], 2.0);
    set(&mut state, &[(USER, Some("u")), (CLIENT_ID, Some("c"))], 3.0);
    let filter = |entity_type: &str, matches: QuotaMatch| QuotaFilter {
        entity_type: entity_type.to_owned(),
        matches,
    };
    let find = |filters: &[QuotaFilter], is_strict: bool| -> Vec<f64> {
        let found = state.quotas().find(filters, is_strict).unwrap();
        found.into_iter().flat_map(|(_, quotas)| quotas.values().map(|rate| rate.value())).collect()
    };
    assert_eq!(find(&[], false).len(), 3);
    let named = filter(CLIENT_ID, QuotaMatch::Named("c".to_owned()));
    assert_eq!(find(std::slice::from_ref(&named), false), [1.0, 3.0]);
    assert_eq!(find(std::slice::from_ref(&named), true), [1.0]);
    assert_eq!(find(&[filter(CLIENT_ID, QuotaMatch::Default)], false), [2.0]);
    assert_eq!(find(&[named.clone(), filter(USER, QuotaMatch::Any)], true), [3.0]);
    assert!(state.quotas().find(&[named.clone(), named], false).is_err());
}

proptest! {
    #[test]
    fn nobody_uses_more_than_its_rate_and_a_second_at_once(
        uses in prop::collection::vec((0..5000_u64, 0..4000_u32), 1..60),
        per_second in 1..5000_u32,
    ) {
        let rate = Rate(per_second.into());
        let mut now = Moment(77);
        let (begun, mut meter) = (now, Meter::new(now, rate));
        let mut used = 0.0;
        for (pause_ms, amount) in uses {
            now = now.after_ms(pause_ms);
            // Whoever waits as told is within its rate when it goes on.
            let wait = meter.charge(now, amount.into(), rate);
            used += f64::from(amount);
            now = now.after_ms(u64::try_from(wait.as_millis()).unwrap() + 1);
            let passed = (now.0 - begun.0) as f64 / 1000.0;
            prop_assert!(used <= rate.value() * (passed + 1.0) + 1e-6);
        }
    }
}

#[test]
fn a_client_that_uses_its_rate_never_waits() {
    let rate = Rate(100.0);
    let mut meter = Meter::new(Moment(0), rate);
    for tenths in 0..100 {
        assert!(meter.charge(Moment(tenths * 100), 10.0, rate).is_zero());
    }
    let wait = meter.charge(Moment(10_000), 210.0, rate);
    assert_eq!(wait.as_millis(), 1100);
    assert!(!meter.is_full(Moment(12_000), rate));
    assert!(meter.is_full(Moment(12_101), rate));
}
