//! What clients may use at most, and what happens to those who use more.

use std::time::{Duration, Instant};

use model::record_batch::ProducerStamp;
use wire::alter_client_quotas as altering;
use wire::describe_client_quotas as describing;
use wire::{
    AlterClientQuotasRequest, ApiKey, DescribeClientQuotasRequest, ErrorCode, FetchResponse,
    Float64, MetadataRequest, Text,
};

use crate::fetch::fetch_from;
use crate::support::{Broker, Client, Directory, batch, now_ms, produce};

/// The id that the tests' client says.
const CLIENT: &str = "test";

fn alter(
    entity: &[(&str, Option<&str>)],
    changes: &[(&str, Option<f64>)],
) -> AlterClientQuotasRequest {
    let text = |text: &str| Text::from(text.to_owned());
    let entity = entity.iter().map(|(entity_type, name)| altering::EntityData {
        entity_type: text(entity_type),
        entity_name: name.map(text),
    });
    let ops = changes.iter().map(|(key, value)| altering::OpData {
        key: text(key),
        value: Float64(value.unwrap_or(0.0)),
        remove: value.is_none(),
    });
    AlterClientQuotasRequest {
        entries: vec![altering::EntryData { entity: entity.collect(), ops: ops.collect() }],
        validate_only: false,
    }
}

fn set(client: &mut Client, quota: &str, value: Option<f64>) {
    let request = alter(&[("client-id", Some(CLIENT))], &[(quota, value)]);
    let response = client.call(1, &request);
    assert_eq!(response.entries[0].error_code, ErrorCode::None);
}

/// All quotas, as text.
fn described(client: &mut Client, version: i16) -> Vec<String> {
    let response = client.call(version, &DescribeClientQuotasRequest::default());
    let entries = response.entries.unwrap();
    let shown = entries.iter().map(|entry| {
        let entity = entry.entity.iter().map(|part| {
            let name = part.entity_name.as_deref().unwrap_or("<default>");
            format!("{}={name} ", &*part.entity_type)
        });
        let values = entry.values.iter().map(|value| format!("{}={}", &*value.key, value.value.0));
        format!("{}{}", entity.collect::<String>(), values.collect::<Vec<_>>().join(" "))
    });
    shown.collect()
}

/// Every version.
pub(crate) fn check_at(client: &mut Client, api: ApiKey, version: i16) {
    let at = |wanted: ApiKey| if api == wanted { version } else { 1 };
    let entity = [("client-id", Some("nobody"))];
    let request = alter(&entity, &[("producer_byte_rate", Some(1e6))]);
    let altered = client.call(at(ApiKey::AlterClientQuotas), &request);
    assert_eq!(altered.entries[0].error_code, ErrorCode::None);
    let all = described(client, at(ApiKey::DescribeClientQuotas));
    assert_eq!(all, ["client-id=nobody producer_byte_rate=1000000"]);
    client.call(1, &alter(&entity, &[("producer_byte_rate", None)]));
    assert!(described(client, 1).is_empty());
}

#[test]
fn q1_quotas_are_set_found_taken_back_and_there_after_a_kill() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    let mut client = broker.connect();
    let both = [("user", None), ("client-id", Some("a"))];
    let changes = [("consumer_byte_rate", Some(1024.0)), ("request_percentage", Some(12.5))];
    client.call(1, &alter(&both, &changes));
    client.call(1, &alter(&[("client-id", None)], &[("producer_byte_rate", Some(2048.0))]));
    let all = [
        "client-id=<default> producer_byte_rate=2048",
        "client-id=a user=<default> consumer_byte_rate=1024 request_percentage=12.5",
    ];
    assert_eq!(described(&mut client, 1), all);
    broker.kill();
    let broker = Broker::start(&directory.data(), &[]);
    let mut client = broker.connect();
    assert_eq!(described(&mut client, 1), all);
    let mut find = |components: &[(&str, i8, Option<&str>)], strict: bool| {
        let components =
            components.iter().map(|(entity_type, match_type, name)| describing::ComponentData {
                entity_type: Text::from((*entity_type).to_owned()),
                match_type: *match_type,
                _match: name.map(|name| Text::from(name.to_owned())),
            });
        let request = DescribeClientQuotasRequest { components: components.collect(), strict };
        let response = client.call(1, &request);
        (response.error_code, response.entries.map(|entries| entries.len()))
    };
    assert_eq!(find(&[("client-id", 0, Some("a"))], false), (ErrorCode::None, Some(1)));
    assert_eq!(find(&[("client-id", 0, Some("a"))], true), (ErrorCode::None, Some(0)));
    assert_eq!(find(&[("client-id", 1, None)], true), (ErrorCode::None, Some(1)));
    assert_eq!(find(&[("user", 2, None)], false), (ErrorCode::None, Some(0)));
    for wrong in [("ip", 2, None), ("x", 2, None), ("user", 9, None), ("user", 0, None)] {
        assert_eq!(find(&[wrong], false), (ErrorCode::InvalidRequest, None), "{wrong:?}");
    }
    for (entity, quota, value) in [
        (("client-id", Some("a")), "producer_byte_rate", -1.0),
        (("client-id", Some("a")), "no such quota", 1.0),
        (("ip", Some("127.0.0.1")), "connection_creation_rate", 1.0),
        (("client-id", Some("")), "producer_byte_rate", 1.0),
    ] {
        let response = client.call(1, &alter(&[entity], &[(quota, Some(value))]));
        assert_eq!(response.entries[0].error_code, ErrorCode::InvalidRequest);
        assert!(response.entries[0].error_message.is_some());
    }
    let checked = AlterClientQuotasRequest {
        validate_only: true,
        ..alter(&[("client-id", Some("b"))], &[("producer_byte_rate", Some(1.0))])
    };
    assert_eq!(client.call(1, &checked).entries[0].error_code, ErrorCode::None);
    assert_eq!(described(&mut client, 1), all);
}

/// How long it takes to do something so many times.
fn time(count: usize, mut act: impl FnMut()) -> Duration {
    let begun = Instant::now();
    for _ in 0..count {
        act();
    }
    begun.elapsed()
}

#[test]
fn q2_producers_consumers_and_whoever_asks_much_are_held_to_their_quotas() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &["--cores", "2"]);
    let mut client = broker.connect();
    client.auto_create("t");
    let value = vec![b'x'; 50_000];
    let send = |client: &mut Client| -> i32 {
        let batch = batch(&[&value], now_ms(), ProducerStamp::NONE);
        let response = client.call(9, &produce("t", 0, 1, batch));
        let code = response.responses[0].partition_responses[0].error_code;
        assert_eq!(code, ErrorCode::None, "it is served, and then waits");
        response.throttle_time_ms
    };
    assert_eq!(send(&mut client), 0);
    set(&mut client, "producer_byte_rate", Some(100_000.0));
    // 250 kB: 100 at once, and the rest in 1.5 s, of which the last is waited for by the next one.
    let mut told = Vec::new();
    let taken = time(5, || told.push(send(&mut client)));
    assert!(Duration::from_millis(900) <= taken, "{taken:?}, told {told:?}");
    assert!(told[0] < 100 && 300 <= *told.last().unwrap(), "{told:?}");
    // Another connection of the same client shares it.
    let mut other = broker.connect();
    assert!(300 <= send(&mut other));
    set(&mut client, "producer_byte_rate", None);

    // Of 350 kB, 200 at once.
    set(&mut client, "consumer_byte_rate", Some(200_000.0));
    let fetch = |client: &mut Client| -> FetchResponse {
        let request = fetch_from(client, 11, "t", 0);
        client.call(11, &request)
    };
    let told = fetch(&mut client).throttle_time_ms;
    assert!((500..800).contains(&told), "{told}");
    let taken = time(1, || drop(fetch(&mut client)));
    assert!(Duration::from_millis(450) <= taken, "{taken:?}");
    set(&mut client, "consumer_byte_rate", None);

    // A thousandth of a core.
    set(&mut client, "request_percentage", Some(0.1));
    let asking = Instant::now();
    let mut slowest = Duration::ZERO;
    while asking.elapsed() < Duration::from_secs(20) && slowest < Duration::from_millis(20) {
        let all = MetadataRequest { topics: None, ..Default::default() };
        slowest = slowest.max(time(1, || drop(client.call(9, &all))));
    }
    assert!(Duration::from_millis(20) <= slowest, "nobody had to wait: {slowest:?}");
}
