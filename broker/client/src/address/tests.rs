//! Tests of reading hosts.

use super::*;

#[test]
fn a_host_is_written_as_it_is_read() {
    for text in ["127.0.0.1:9092", "broker-1.example:1", "[::1]:65535"] {
        assert_eq!(text.parse::<Host>().unwrap().to_string(), text);
    }
}

#[test]
fn what_is_no_host_says_what_to_write() {
    let message = |text: &str| text.parse::<Host>().unwrap_err().to_string();
    assert_eq!(
        message("localhost"),
        "`localhost` has no port: write HOST:PORT, for example 127.0.0.1:9092"
    );
    assert_eq!(
        message("a:70000"),
        "`70000` in `a:70000` is not a port: use a number from 1 to 65535"
    );
    assert_eq!(message("a:0"), "`0` in `a:0` is not a port: use a number from 1 to 65535");
    assert_eq!(
        message(":9092"),
        "`:9092` has no host before the port: write HOST:PORT, for example 127.0.0.1:9092"
    );
}

#[test]
fn literal_addresses_need_no_resolver() {
    let resolved = |text: &str| resolve_literal(&text.parse().unwrap()).map(|it| it.to_string());
    assert_eq!(resolved("localhost:1").as_deref(), Some("127.0.0.1:1"));
    assert_eq!(resolved("[::1]:2").as_deref(), Some("[::1]:2"));
    assert_eq!(resolved("broker.example:3"), None);
}
