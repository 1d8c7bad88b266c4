//! Connections that move to the core of their partitions.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use model::record_batch::ProducerStamp;
use wire::create_topics::CreatableTopic;
use wire::{
    ErrorCode, FetchRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest, RequestMessage,
    Text, encode_request,
};

use crate::fetch::fetch_from;
use crate::support::{
    Broker, Client, Directory, batch, free_address, get, metric, now_ms, produce,
};

/// Of produces and fetches: after so many a connection is judged.
const WINDOW: usize = 32;
const WAIT_MAX: Duration = Duration::from_secs(10);

struct Setting {
    broker: Broker,
    metrics: String,
    /// Removed after the broker has ended.
    _directory: Directory,
}

impl Setting {
    fn new(cores: &str, config: &str) -> Setting {
        let (directory, metrics) = (Directory::new(), free_address());
        let path = directory.0.join("broker.toml");
        std::fs::write(&path, config).unwrap();
        let path = path.to_str().unwrap();
        let arguments = ["--cores", cores, "--metrics", &metrics, "--config", path];
        let broker = Broker::start(&directory.data(), &arguments);
        let topic = CreatableTopic { num_partitions: 4, ..crate::topics::new_topic("t") };
        broker.connect().call(7, &crate::topics::create(vec![topic]));
        Setting { broker, metrics, _directory: directory }
    }

    fn count(&self, name: &str, label: &str) -> f64 {
        let name = format!("highwater_{name}");
        metric(&get(&self.metrics, "/metrics"), &name, label)
    }

    fn moves(&self) -> f64 {
        self.count("connections_moved_out_total", "")
    }

    fn hops(&self) -> f64 {
        self.count("placed_requests_total", "hopped")
    }

    fn wait_for_moves(&self, count: f64) {
        let begun = Instant::now();
        while self.moves() < count {
            assert!(begun.elapsed() < WAIT_MAX, "no connection moves");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// A connection that is not where partition 0 is, after one request.
    fn connect_elsewhere(&self) -> Client {
        // The kernel spreads them.
        loop {
            let mut client = self.broker.connect();
            let hops = self.hops();
            append(&mut client, 0);
            if hops < self.hops() {
                return client;
            }
        }
    }

    fn end_of(&self, partition: i32) -> i64 {
        let mut request = crate::list_offsets::query("t", -1);
        request.topics[0].partitions[0].partition_index = model::PartitionIndex(partition);
        let response = self.broker.connect().call(7, &request);
        response.topics[0].partitions[0].offset.0
    }

    /// A partition on another core than partition 0.
    fn other_partition(&self) -> i32 {
        let text = get(&self.metrics, "/metrics");
        let core_of = |partition: i32| {
            let label = format!("topic=\"t\",partition=\"{partition}\"");
            let is_it = |line: &&str| line.contains("_log_end_offset{") && line.contains(&label);
            text.lines().find(is_it).unwrap().split('"').nth(1).unwrap().to_owned()
        };
        (1..4).find(|partition| core_of(*partition) != core_of(0)).unwrap()
    }
}

fn record(partition: i32) -> ProduceRequest {
    produce("t", partition, -1, batch(&[b"v"], now_ms(), ProducerStamp::NONE))
}

fn append(client: &mut Client, partition: i32) {
    let response = client.call(9, &record(partition));
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, ErrorCode::None);
}

fn frame<R: RequestMessage>(version: i16, correlation_id: i32, request: &R) -> Vec<u8> {
    let client_id = Some(Text::from_static("test"));
    let frame = encode_request(version, correlation_id, client_id, request).unwrap();
    frame.contiguous().unwrap().to_vec()
}

/// Numbers for cuts, the same in every run.
struct Cuts(u64);

impl Cuts {
    fn next(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

#[test]
fn c16_answers_of_a_connection_that_moves_come_in_the_order_of_its_requests() {
    let setting = Setting::new("3", "");
    for seed in 0..4 {
        let mut client = setting.connect_elsewhere();
        let (moves, mut end) = (setting.moves(), setting.end_of(0));
        let kinds: Vec<usize> = (0..1000).map(|n| n % 7).collect();
        let mut bytes = Vec::new();
        for (id, kind) in (0..).zip(&kinds) {
            bytes.extend(match kind {
                0 => frame(12, id, &MetadataRequest::default()),
                1 => frame(7, id, &crate::list_offsets::query("t", -1)),
                _ => frame(9, id, &record(0)),
            });
        }
        let mut sender = Client::of(client.stream.try_clone().unwrap());
        let sending = std::thread::spawn(move || {
            let (mut cuts, mut at) = (Cuts(seed), 0);
            while at < bytes.len() {
                // From less than a frame's size to many frames.
                let scale = cuts.next(3);
                let piece = 1 + cuts.next([3, 200, 20_000][scale]);
                let piece = &bytes[at..bytes.len().min(at + piece)];
                sender.send_bytes(piece);
                at += piece.len();
            }
        });
        for (id, kind) in (0..).zip(kinds) {
            let received = match kind {
                0 => client.receive::<MetadataRequest>(12).0,
                1 => {
                    let (received, response) = client.receive::<ListOffsetsRequest>(7);
                    assert!(end <= response.topics[0].partitions[0].offset.0);
                    received
                }
                _ => {
                    let (received, response) = client.receive::<ProduceRequest>(9);
                    let partition = &response.responses[0].partition_responses[0];
                    assert_eq!(partition.base_offset.0, end);
                    end += 1;
                    received
                }
            };
            assert_eq!(received, id);
        }
        sending.join().unwrap();
        assert_eq!(setting.moves(), moves + 1.0);
        assert_eq!(setting.count("connections_moved_in_total", ""), moves + 1.0);
        let hops = setting.hops();
        append(&mut client, 0);
        assert_eq!(setting.hops(), hops, "it lives where its partition does");
    }
}

#[test]
fn c16_a_frame_that_is_cut_by_a_move_is_served_whole() {
    let setting = Setting::new("2", "");
    let size = frame(9, 0, &record(0)).len();
    for cut in [0, 1, 3, 4, 5, 12, size / 2, size - 1, size + 2] {
        let mut client = setting.connect_elsewhere();
        let (moves, end) = (setting.moves(), setting.end_of(0));
        let count = WINDOW + 1;
        let bytes: Vec<u8> = (0..).take(count).flat_map(|id| frame(9, id, &record(0))).collect();
        let (first, rest) = bytes.split_at(bytes.len() - 2 * size + cut);
        client.send_bytes(first);
        setting.wait_for_moves(moves + 1.0);
        client.send_bytes(rest);
        for (id, offset) in (0..).zip(end..).take(count) {
            let (received, response) = client.receive::<ProduceRequest>(9);
            assert_eq!(received, id);
            let partition = &response.responses[0].partition_responses[0];
            assert_eq!(partition.base_offset.0, offset, "cut at {cut}");
        }
    }
}

#[test]
fn c16_a_client_that_ends_its_side_or_goes_during_a_move_harms_nobody() {
    let setting = Setting::new("2", "");
    for cut in [0, 1, 30] {
        let mut client = setting.connect_elsewhere();
        let (moves, end) = (setting.moves(), setting.end_of(0));
        let count = WINDOW + 10;
        for id in (0..).take(count) {
            client.send_bytes(&frame(9, id, &record(0)));
        }
        client.send_bytes(&frame(9, 99, &record(0))[..cut]);
        client.stream.shutdown(Shutdown::Write).unwrap();
        for id in (0..).take(if cut == 0 { count } else { WINDOW - 1 }) {
            assert_eq!(client.receive::<ProduceRequest>(9).0, id);
        }
        setting.wait_for_moves(moves + 1.0);
        if cut == 0 {
            assert!(client.is_closed());
            assert_eq!(setting.end_of(0), end + i64::try_from(count).unwrap());
        }
        // Nobody reads the answers of this one.
        let mut gone = setting.connect_elsewhere();
        for id in (0..).take(count) {
            gone.send_bytes(&frame(9, id, &record(0)));
        }
        drop((client, gone));
        let begun = Instant::now();
        while 0.0 < setting.count("connections", "") {
            assert!(begun.elapsed() < WAIT_MAX, "connections without clients end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    append(&mut setting.broker.connect(), 0);
}

#[test]
fn c16_a_connection_with_partitions_on_several_cores_stays_and_nobody_moves_often() {
    let setting = Setting::new("2", "");
    let other = setting.other_partition();
    let mut client = setting.broker.connect();
    for n in 0..10 * WINDOW {
        append(&mut client, if n % 2 == 0 { 0 } else { other });
    }
    assert_eq!(setting.moves(), 0.0);
    assert_eq!(setting.hops(), 5.0 * WINDOW as f64);
    // Wherever it is, first one and then the other wants it elsewhere.
    let begun = Instant::now();
    for n in 0..20 {
        for _ in 0..2 * WINDOW {
            append(&mut client, if n % 2 == 0 { 0 } else { other });
        }
    }
    let moves_max = 1.0 + begun.elapsed().as_secs_f64() / 5.0;
    let moves = setting.moves();
    assert!((1.0..=moves_max).contains(&moves), "{moves} moves in {:?}", begun.elapsed());
}

#[test]
fn c16_a_core_that_is_full_takes_no_connection() {
    let setting = Setting::new("2", "[connections]\ncount-max = 1\n");
    // One for each core; the others are refused.
    let mut clients = Vec::new();
    while clients.len() < 2 {
        let client = setting.broker.connect();
        client.stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut probe = Client::of(client.stream.try_clone().unwrap());
        probe.send_bytes(&frame(12, 1, &MetadataRequest::default()));
        if client.stream.peek(&mut [0]).is_ok_and(|count| count == 1) {
            probe.receive_frame();
            clients.push(client);
        }
    }
    let hops = setting.hops();
    for client in &mut clients {
        for _ in 0..4 * WINDOW {
            append(client, 0);
        }
    }
    assert_eq!(setting.moves(), 0.0);
    assert_eq!(setting.hops(), hops + 4.0 * WINDOW as f64, "one of them hops and stays");
}

#[test]
fn c16_a_connection_that_fetches_moves_but_for_its_session() {
    let setting = Setting::new("2", "");
    let mut without = setting.connect_elsewhere();
    let mut with = setting.connect_elsewhere();
    let mut request = fetch_from(&mut with, 12, "t", 0);
    request.session_epoch = 0;
    let session_id = with.call(12, &request).session_id;
    assert!(0 < session_id);
    for session_epoch in (1..).take(4 * WINDOW) {
        let next = FetchRequest { session_id, session_epoch, topics: vec![], ..request.clone() };
        let next = FetchRequest { min_bytes: 0, ..next };
        assert_eq!(with.call(12, &next).error_code, ErrorCode::None);
    }
    assert_eq!(setting.moves(), 0.0);
    let request = FetchRequest { session_epoch: -1, ..request };
    let mut sent_bytes = 0;
    for _ in 0..WINDOW {
        let response = without.call(12, &request);
        let records = response.responses[0].partitions[0].records.as_ref().unwrap();
        sent_bytes += usize::from(!records.is_empty());
    }
    assert_eq!(sent_bytes, WINDOW);
    // While it waits for the next request.
    setting.wait_for_moves(1.0);
    let hops = setting.hops();
    assert_eq!(without.call(12, &request).error_code, ErrorCode::None);
    assert_eq!(setting.hops(), hops);
}
