//! Which clients keep fetch sessions, and that they use them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::broker::{Broker, DataDir};
use crate::scripts::Client;

const METRICS_LIMIT: Duration = Duration::from_secs(10);

/// The sum over the cores.
fn metric(address: &str, name: &str) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(METRICS_LIMIT)).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let prefix = format!("highwater_{name}{{");
    let samples = text.lines().filter_map(|line| line.strip_prefix(&prefix)?.rsplit(' ').next());
    samples.map(|value| value.parse::<u64>().expect("it is a count")).sum()
}

#[test]
fn clients_that_know_sessions_fetch_through_them_and_others_without() {
    let data = DataDir::new("sessions");
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let options = ["--listen", "127.0.0.1:0", "--metrics", &metrics];
    let broker = Broker::start_with(&data, &options);
    if Client::Librdkafka.matrix(&["write", broker.address(), "records"]).is_none() {
        return;
    }
    for reader in Client::READERS {
        let before = metric(&metrics, "incremental_fetches_total");
        if reader.matrix(&["read", broker.address(), "records"]).is_none() {
            continue;
        }
        let count = metric(&metrics, "incremental_fetches_total") - before;
        let knows_sessions = match reader {
            Client::Java | Client::FranzGo | Client::KafkaPython => true,
            Client::Librdkafka | Client::Kafkajs | Client::Aiokafka => false,
        };
        assert_eq!(0 < count, knows_sessions, "{reader:?} has made {count} incremental fetches");
    }
    assert_eq!(metric(&metrics, "fetch_session_evictions_total"), 0);
    broker.stop();
}
