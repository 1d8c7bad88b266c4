//! Many connections: silent, slow, hurried.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use model::record_batch::ProducerStamp;
use wire::fetch::{FetchPartition, FetchTopic};
use wire::{FetchRequest, MetadataRequest, Request, Text, decode_response};

use crate::machine::{Neighbour, Target, connections_count, rss_bytes, say};
use crate::support::{Broker, Client, batch, now_ms, produce};
use crate::tables::{NO_CLIENT_ID, frame, header, sized};

const MIB: f64 = 1_048_576.0;

fn crowd(broker: &Broker, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(broker.address).unwrap()).collect()
}

/// What the broker takes for each of so many connections that have said hello and are silent.
const IDLE_BYTES_MAX: usize = 20_000;

#[test]
fn h4_ten_thousand_idle_connections_cost_little_and_slow_nobody_down() {
    let target = Target::start();
    let before = Neighbour::alone(&target.broker, "quiet");
    let rss_before = rss_bytes(&target.broker);
    let count = connections_count(10_000);
    let mut connections = crowd(&target.broker, count);
    let hello = frame(&header(18, 0, &NO_CLIENT_ID));
    for connection in &mut connections {
        connection.write_all(&hello).unwrap();
    }
    for connection in &mut connections {
        let mut prefix = [0; 4];
        connection.read_exact(&mut prefix).unwrap();
        let mut rest = vec![0; usize::try_from(i32::from_be_bytes(prefix)).unwrap()];
        connection.read_exact(&mut rest).unwrap();
    }
    let during = Neighbour::alone(&target.broker, "busy");
    let growth_bytes = rss_bytes(&target.broker).saturating_sub(rss_before);
    let growth_mib = growth_bytes as f64 / MIB;
    say(&format!("{count} idle connections: {growth_mib:.1} MiB more; alone {before}; {during}"));
    assert!(usize::try_from(growth_bytes).unwrap() <= count * IDLE_BYTES_MAX, "{growth_mib} MiB");
    drop(connections);
    target.check("idle connections");
}

/// Each has announced a megabyte and sends a byte now and then; others have not even come to the end
/// of a size. What is announced is not taken from what others need.
#[test]
fn h5_who_announces_much_and_sends_little_keeps_nobody_waiting() {
    const ROUNDS_COUNT: usize = 13;
    let target = Target::start();
    let before = Neighbour::alone(&target.broker, "quiet");
    let announced = sized(1 << 20, &header(0, 9, &NO_CLIENT_ID));
    let mut slow = crowd(&target.broker, 1000);
    // Some have sent more than fits into what everybody gets.
    let part = [&announced[..], &vec![0; 100 << 10]].concat();
    for connection in slow.iter_mut().take(40) {
        connection.write_all(&part).unwrap();
    }
    let neighbour = Neighbour::start(&target.broker, "busy");
    for round in 0..ROUNDS_COUNT {
        for connection in slow.iter_mut().skip(40) {
            connection.write_all(&announced[round..=round]).unwrap();
        }
        std::thread::sleep(Duration::from_millis(60));
    }
    // A large request of somebody else gets through as well.
    let mut client = target.broker.connect();
    client.auto_create("large");
    let large = batch(&[&vec![7; 900_000]], now_ms(), ProducerStamp::NONE);
    for _ in 0..20 {
        client.call(9, &produce("large", 0, -1, large.clone()));
    }
    let during = neighbour.stop();
    say(&format!("{} slow writers: alone {before}; {during}", slow.len()));
    target.check("slow writers");
    drop(slow);
}

/// They ask for everything, again and again, and read nothing.
#[test]
fn h6_who_asks_and_does_not_read_holds_a_bounded_amount() {
    let target = Target::start();
    let mut client = target.broker.connect();
    client.auto_create("large");
    let large = batch(&[&vec![7; 900_000]], now_ms(), ProducerStamp::NONE);
    for _ in 0..8 {
        client.call(9, &produce("large", 0, -1, large.clone()));
    }
    let before = Neighbour::alone(&target.broker, "quiet");
    let fetch = fetch("large");
    let metadata: Request = MetadataRequest { topics: None, ..Default::default() }.into();
    let frames = [(fetch, 11), (metadata, 12)]
        .map(|(request, version)| request.encode(version, 1, None).unwrap().contiguous().unwrap());
    let questions = frames.concat().repeat(20);
    let mut slow = crowd(&target.broker, 500);
    for connection in &mut slow {
        connection.set_nonblocking(true).unwrap();
        // The broker stops to read when enough is unanswered.
        let _ = connection.write(&questions);
    }
    let neighbour = Neighbour::start(&target.broker, "busy");
    std::thread::sleep(Duration::from_millis(1000));
    let during = neighbour.stop();
    say(&format!("{} slow readers: alone {before}; {during}", slow.len()));
    target.check("slow readers");
    drop(slow);
}

fn fetch(topic: &'static str) -> Request {
    let partition = FetchPartition { partition_max_bytes: i32::MAX, ..Default::default() };
    let topic = FetchTopic {
        topic: Text::from_static(topic),
        partitions: vec![partition],
        ..Default::default()
    };
    FetchRequest {
        topics: vec![topic],
        max_wait_ms: i32::MAX,
        min_bytes: 1,
        max_bytes: i32::MAX,
        ..Default::default()
    }
    .into()
}

#[test]
fn h7_five_thousand_requests_at_once_are_answered_in_their_order() {
    const COUNT: i32 = 5000;
    let target = Target::start();
    let mut client = target.broker.connect();
    client.auto_create("pipelined");
    let neighbour = Neighbour::start(&target.broker, "busy");
    let mut requests = Vec::new();
    for number in 0..COUNT {
        let batch = batch(&[b"value"], now_ms(), ProducerStamp::NONE);
        let request = produce("pipelined", 0, 1, batch);
        let frame = wire::encode_request(9, number, None, &request).unwrap();
        requests.extend_from_slice(&frame.contiguous().unwrap());
    }
    let mut sending = client.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || sending.write_all(&requests).unwrap());
    for number in 0..COUNT {
        let frame = client.receive_frame();
        let (id, response) = decode_response::<wire::ProduceResponse>(9, &frame).unwrap();
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((id, partition.base_offset.0), (number, i64::from(number)));
    }
    sender.join().unwrap();
    let during = neighbour.stop();
    say(&format!("{COUNT} requests at once: {during}"));
    target.check("pipelined requests");
}

#[test]
fn h8_connections_that_come_and_go_leave_nothing_behind() {
    const COUNT: usize = 3000;
    let target = Target::start();
    let before = Neighbour::alone(&target.broker, "quiet");
    let descriptors_before = descriptors_count(&target.broker);
    let neighbour = Neighbour::start(&target.broker, "busy");
    let begun = Instant::now();
    let hello = frame(&header(18, 0, &NO_CLIENT_ID));
    for number in 0..COUNT {
        let mut connection = TcpStream::connect(target.broker.address).unwrap();
        match number % 3 {
            // Nothing, a part of a request, a request whose answer nobody reads.
            0 => {}
            1 => connection.write_all(&hello[..7]).unwrap(),
            _ => connection.write_all(&hello).unwrap(),
        }
    }
    let rate = COUNT as f64 / begun.elapsed().as_secs_f64();
    let during = neighbour.stop();
    say(&format!("{COUNT} came and went, {rate:.0} a second: alone {before}; {during}"));
    let deadline = Instant::now() + Duration::from_secs(5);
    while descriptors_before + 5 < descriptors_count(&target.broker) {
        assert!(Instant::now() < deadline, "{} descriptors", descriptors_count(&target.broker));
        std::thread::sleep(Duration::from_millis(20));
    }
    target.check("connections that came and went");
}

pub(crate) fn descriptors_count(broker: &Broker) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", broker.pid())).unwrap().count()
}

/// A fetch that would wait for weeks and take everything waits until its client goes.
#[test]
fn h9_a_fetch_of_everything_that_waits_for_ever_ends_with_its_connection() {
    let target = Target::start();
    let mut client = target.broker.connect();
    client.auto_create("empty");
    say(&format!("alone: {}", Neighbour::alone(&target.broker, "quiet")));
    let before = descriptors_count(&target.broker);
    let mut waiting: Vec<Client> = (0..50).map(|_| target.broker.connect()).collect();
    let frame = fetch("empty").encode(11, 1, None).unwrap().contiguous().unwrap();
    for client in &mut waiting {
        client.send_bytes(&frame);
    }
    let during = Neighbour::alone(&target.broker, "busy");
    say(&format!("{} endless fetches: {during}", waiting.len()));
    for client in &mut waiting {
        client.stream.set_nonblocking(true).unwrap();
        let read = client.stream.read(&mut [0]);
        assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock, "it waits");
    }
    drop(waiting);
    let deadline = Instant::now() + Duration::from_secs(5);
    while before + 8 < descriptors_count(&target.broker) {
        assert!(Instant::now() < deadline, "{} of {before}", descriptors_count(&target.broker));
        std::thread::sleep(Duration::from_millis(20));
    }
    target.check("endless fetches");
}
