//! The broker is killed again and again under an idempotent producer that does not notice more than
//! a pause: no acknowledged record is lost, none is there twice, and each key keeps its order. Nor
//! does a consumer see a record that is gone later.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::broker::{Broker, DataDir, free_address};
use crate::install::say;
use crate::process::{Heard, Running};
use crate::proxy::Proxy;
use crate::scripts::{PROGRAM_LIMIT, json, python};

const PARTITIONS: &str = "6";
const KILLS: usize = 10;
/// Of each life of a broker but the short ones, in thousands as the producer counts them.
const ACKNOWLEDGED_LINES: usize = 4;
/// Every so many lives one is cut short, while clients are still coming back.
const SHORT_LIFE: usize = 5;
const LIFE_LIMIT: Duration = Duration::from_secs(60);

/// Random enough, and the same in each run.
pub(crate) struct Delays(pub(crate) u64);

impl Delays {
    pub(crate) fn next(&mut self, below_ms: u64) -> Duration {
        // Knuth's MMIX.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((self.0 >> 33) % below_ms)
    }
}

pub(crate) fn kills_wanted() -> usize {
    match std::env::var("HIGHWATER_KILLS") {
        Ok(number) => number.parse().expect("HIGHWATER_KILLS is a number"),
        Err(_) => KILLS,
    }
}

/// Lets a broker live: until some thousand records are acknowledged and a little longer, or only a
/// little.
fn live(producer: &Running, kill: usize, delays: &mut Delays) {
    let begin = Instant::now();
    if kill % SHORT_LIFE != SHORT_LIFE - 1 {
        for _ in 0..ACKNOWLEDGED_LINES {
            producer.expect_line(LIFE_LIMIT).unwrap();
            assert!(begin.elapsed() < LIFE_LIMIT, "acknowledgements come slowly");
        }
    }
    let deadline = Instant::now() + delays.next(150);
    loop {
        match producer.hear(deadline.saturating_duration_since(Instant::now())) {
            Heard::Line(_) => {}
            Heard::End => panic!("the producer has ended: {}", producer.errors()),
            Heard::Silence => return,
        }
    }
}

fn check_kills(name: &str, config: &str) {
    let kills = kills_wanted();
    let data = DataDir::new(name);
    let listen = free_address();
    let proxy = Proxy::start(listen);
    let (listen, advertised) = (listen.to_string(), proxy.address().to_string());
    let start = || {
        let options = ["--listen", &listen, "--advertise", &advertised, "--cores", "2"];
        Broker::start_with(&data, &options)
    };
    let mut broker = start();
    let Some(mut create) = python("log.py") else { return };
    json("log.py create", create.args(["create", &listen, "killed", PARTITIONS, config]));
    let mut command = python("kills.py").expect("the other is there");
    command.args([&advertised, "killed", PARTITIONS]);
    let producer = Running::start("kills.py", &mut command).unwrap();

    let mut delays = Delays(2);
    let (mut in_flight_kills, mut in_flight_requests) = (0, 0);
    let mut slowest_start = Duration::ZERO;
    for kill in 0..kills {
        live(&producer, kill, &mut delays);
        broker.kill();
        let requests = proxy.take_unanswered(LIFE_LIMIT);
        in_flight_kills += usize::from(0 < requests);
        in_flight_requests += requests;
        let begin = Instant::now();
        broker = start();
        slowest_start = slowest_start.max(begin.elapsed());
    }
    live(&producer, 0, &mut delays);
    let (status, lines, errors) = producer.finish(PROGRAM_LIMIT).unwrap();
    assert!(status.success(), "{status}: {errors}");
    let result: Value = serde_json::from_str(lines.last().expect("it prints a result")).unwrap();
    say(&format!(
        "{name}: {kills} kills, {in_flight_kills} of them with {in_flight_requests} Produce requests in \
         flight; slowest start {} ms; {result}",
        slowest_start.as_millis()
    ));
    broker.stop();

    let count = |name: &str| result[name].as_u64().expect("it is a number");
    assert!(errors.is_empty(), "{errors}");
    assert_eq!(result["errors"].to_string(), "{}", "no record is given up");
    assert_eq!(count("unsettled"), 0, "everything that was sent is acknowledged in the end");
    assert_eq!(count("lost"), 0, "what is acknowledged is where the acknowledgement says");
    assert_eq!(count("acknowledged_twice"), 0, "one place is one record's");
    assert_eq!(count("duplicated"), 0, "every record is there once");
    assert_eq!(count("disordered"), 0, "each key keeps its order");
    assert_eq!(count("acknowledged"), count("sent"));
    assert_eq!(count("consumed"), count("sent"), "nothing is there that was not sent");
    assert!(result["follower_failure"].is_null(), "{}", result["follower_failure"]);
    assert_eq!(count("seen_and_gone"), 0, "what consumers have seen stays");
    assert!(count("sent") / 2 <= count("seen"), "the consumer was there");
    // 100,000 records and 20 kills in flight of 50, and as many of fewer.
    assert!(2000 * (kills as u64) <= count("acknowledged"), "there was load");
    assert!(kills * 2 / 5 <= in_flight_kills, "the kills came while there was something to lose");
}

#[test]
fn kills_lose_and_repeat_nothing_of_a_durable_topic() {
    check_kills("killed-durable", "flush.messages=1");
}

/// What is acknowledged before it is on the medium survives the process nevertheless.
#[test]
fn kills_lose_and_repeat_nothing_of_a_relaxed_topic() {
    check_kills("killed-relaxed", "flush.messages=1000000");
}
