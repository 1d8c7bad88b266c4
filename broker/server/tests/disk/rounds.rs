//! Fill, refuse, free, go on: under load, with consumers that read throughout.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::record_batch::{Batches, ProducerStamp, Records};
use model::{Offset, PartitionIndex, ProducerEpoch, ProducerId};
use wire::fetch::{FetchPartition, FetchTopic};
use wire::{
    ErrorCode, FetchRequest, InitProducerIdRequest, RequestMessage, Text, decode_response,
    encode_request,
};

use crate::small_disk::{BrokerOnDisk, REFUSE_BELOW_BYTES, SmallDisk};
use crate::support::{Client, batch, now_ms, produce};

const VALUE_BYTES: usize = 32 << 10;
const FILLED_WITHIN: Duration = Duration::from_secs(20);
const RECOVERED_WITHIN: Duration = Duration::from_secs(10);
const TOPIC: &str = "kept";

/// Where the broker listens; none while it is dead. It is another port each time, as somebody else may
/// get one that is free.
type Address = Arc<Mutex<Option<SocketAddr>>>;

/// A client that comes back when the broker does.
struct Peer {
    address: Address,
    client: Option<Client>,
}

impl Peer {
    fn new(address: Address) -> Peer {
        Peer { address, client: None }
    }

    /// None if the connection was lost: nobody knows what has become of the request.
    fn ask<R: RequestMessage>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        if self.client.is_none() {
            let address = loop {
                match *self.address.lock().unwrap() {
                    Some(address) => break address,
                    None => std::thread::sleep(Duration::from_millis(5)),
                }
            };
            let stream = TcpStream::connect(address).ok()?;
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            self.client = Some(Client::of(stream));
        }
        let response = self.try_ask(version, request);
        if response.is_none() {
            self.client = None;
        }
        response
    }

    fn try_ask<R: RequestMessage>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        use std::io::Write;
        let client = self.client.as_mut()?;
        let frame = encode_request(version, 1, None, request).unwrap();
        client.stream.write_all(&frame.contiguous().unwrap()).ok()?;
        let frame = client.try_receive_frame().expect("an answer comes in time")?;
        Some(decode_response(version, &frame).unwrap().1)
    }
}

/// What the threads of one partition tell.
#[derive(Default)]
struct Told {
    /// Acknowledged: the offset, and the record's number.
    acknowledged: Mutex<BTreeMap<i64, u64>>,
    acknowledged_count: AtomicU64,
    refused_count: AtomicU64,
    /// What the consumer has read.
    consumed: Mutex<BTreeMap<i64, u64>>,
    consumed_to: AtomicU64,
    /// Nothing more is produced,
    is_over: AtomicBool,
    /// and everything has been consumed.
    is_consumed: AtomicBool,
}

fn value_of(number: u64) -> Vec<u8> {
    let mut value = vec![number.to_le_bytes()[0]; VALUE_BYTES];
    value[..8].copy_from_slice(&number.to_le_bytes());
    value
}

/// Produces one record after another, each until it is acknowledged. An idempotent producer sends
/// again what it does not know the fate of; another one goes on with the next record.
fn produce_on(mut peer: Peer, partition: i32, is_idempotent: bool, told: Arc<Told>) {
    let mut id = ProducerId::NONE;
    while is_idempotent && id == ProducerId::NONE {
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        id = peer.ask(5, &request).map_or(ProducerId::NONE, |response| response.producer_id);
    }
    let mut number = 0;
    while !told.is_over.load(Ordering::Relaxed) {
        let stamp = match is_idempotent {
            true => ProducerStamp {
                producer_id: id,
                producer_epoch: ProducerEpoch(0),
                base_sequence: i32::try_from(number).unwrap(),
                ..ProducerStamp::NONE
            },
            false => ProducerStamp::NONE,
        };
        let batch = batch(&[&value_of(number)], now_ms(), stamp);
        let Some(response) = peer.ask(9, &produce(TOPIC, partition, -1, batch)) else {
            number += u64::from(!is_idempotent);
            continue;
        };
        let answer = &response.responses[0].partition_responses[0];
        match answer.error_code {
            ErrorCode::None => {
                let before = told.acknowledged.lock().unwrap().insert(answer.base_offset.0, number);
                assert!(before.is_none_or(|before| before == number), "an offset is given once");
                told.acknowledged_count.fetch_add(1, Ordering::Relaxed);
                number += 1;
            }
            ErrorCode::KafkaStorageError => {
                told.refused_count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
            // The broker starts.
            ErrorCode::NotLeaderOrFollower | ErrorCode::UnknownTopicOrPartition => {
                std::thread::sleep(Duration::from_millis(20));
            }
            code => panic!("{code:?}: {:?}", answer.error_message),
        }
    }
}

/// Reads everything once, in order.
fn consume(mut peer: Peer, partition: i32, told: Arc<Told>) {
    let mut next = 0;
    while !told.is_consumed.load(Ordering::Relaxed) {
        let asked = FetchPartition {
            partition: PartitionIndex(partition),
            fetch_offset: Offset(next),
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let topic = FetchTopic {
            topic: Text::from_static(TOPIC),
            partitions: vec![asked],
            ..Default::default()
        };
        let request = FetchRequest {
            max_wait_ms: 100,
            min_bytes: 1,
            max_bytes: 1 << 20,
            topics: vec![topic],
            ..Default::default()
        };
        let Some(mut response) = peer.ask(12, &request) else { continue };
        let data = response.responses.remove(0).partitions.remove(0);
        if data.error_code != ErrorCode::None {
            let is_starting = [ErrorCode::NotLeaderOrFollower, ErrorCode::UnknownTopicOrPartition];
            assert!(is_starting.contains(&data.error_code), "{:?} at {next}", data.error_code);
            std::thread::sleep(Duration::from_millis(10));
            continue;
        }
        let bytes = data.records.unwrap().contiguous().cloned().unwrap_or_default();
        for batch in Batches::new(&bytes) {
            let (header, batch) = batch.unwrap();
            assert_eq!(header.base_offset, Offset(next), "no record is left out or repeated");
            for record in Records::read(batch).unwrap() {
                let value = record.unwrap().value.unwrap();
                let number = u64::from_le_bytes(*value.first_chunk().unwrap());
                assert_eq!(value, value_of(number));
                told.consumed.lock().unwrap().insert(next, number);
                next += 1;
            }
        }
        told.consumed_to.store(next.unsigned_abs(), Ordering::Relaxed);
    }
}

struct Load {
    address: Address,
    told: [Arc<Told>; 2],
    producers: Vec<JoinHandle<()>>,
    consumers: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(address: SocketAddr) -> Load {
        let address: Address = Arc::new(Mutex::new(Some(address)));
        let told: [Arc<Told>; 2] = Default::default();
        let (mut producers, mut consumers) = (Vec::new(), Vec::new());
        for (partition, told) in (0..).zip(&told) {
            let (producing, consuming) = (told.clone(), told.clone());
            let [producer, consumer] = [(); 2].map(|()| Peer::new(address.clone()));
            let is_idempotent = partition == 0;
            producers.push(std::thread::spawn(move || {
                produce_on(producer, partition, is_idempotent, producing);
            }));
            consumers.push(std::thread::spawn(move || {
                consume(consumer, partition, consuming);
            }));
        }
        Load { address, told, producers, consumers }
    }

    fn sum(&self, of: impl Fn(&Told) -> &AtomicU64) -> u64 {
        self.told.iter().map(|told| of(told).load(Ordering::Relaxed)).sum()
    }

    fn wait(&self, limit: Duration, what: &str, is_so: impl Fn(&Load) -> bool) -> Duration {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < limit, "{what}");
            assert!(
                self.producers.iter().chain(&self.consumers).all(|thread| !thread.is_finished()),
                "a client has failed"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        begun.elapsed()
    }

    /// Everything that was acknowledged is read, although the disk is full.
    fn wait_until_consumed(&self) {
        self.wait(RECOVERED_WITHIN, "consumers read while the disk is full", |load| {
            load.told.iter().all(|told| {
                let acknowledged = told.acknowledged.lock().unwrap();
                let last = acknowledged.last_key_value().map_or(-1, |(offset, _)| *offset);
                i64::try_from(told.consumed_to.load(Ordering::Relaxed)).unwrap() > last
            })
        });
    }

    fn end(mut self) {
        self.told.iter().for_each(|told| told.is_over.store(true, Ordering::Relaxed));
        for thread in std::mem::take(&mut self.producers) {
            thread.join().unwrap();
        }
        self.wait_until_consumed();
        self.told.iter().for_each(|told| told.is_consumed.store(true, Ordering::Relaxed));
        for thread in self.consumers {
            thread.join().unwrap();
        }
        for (partition, told) in self.told.iter().enumerate() {
            let consumed = told.consumed.lock().unwrap();
            for (offset, number) in &*told.acknowledged.lock().unwrap() {
                assert_eq!(consumed.get(offset), Some(number), "acknowledged at {offset}");
            }
            let numbers: Vec<u64> = consumed.values().copied().collect();
            assert!(numbers.is_sorted_by(|one, next| one < next), "each record once, in order");
            if partition == 0 {
                let count = numbers.len() as u64;
                assert_eq!(numbers.last(), Some(&(count - 1)), "nothing is left out");
            }
        }
    }
}

/// Waits until producers are refused, and everything else goes on.
fn wait_until_full(load: &Load, on_disk: &BrokerOnDisk) -> Duration {
    let refused_before = load.sum(|told| &told.refused_count);
    let begun = Instant::now();
    on_disk.wait_for_state(2, FILLED_WITHIN);
    let filled = begun.elapsed();
    load.wait(RECOVERED_WITHIN, "both producers are refused", |load| {
        refused_before + 4 < load.sum(|told| &told.refused_count)
    });
    load.wait_until_consumed();
    let free_bytes = on_disk.metric("highwater_disk_free_bytes");
    // The slope leaves room for what has been admitted when the limit is passed.
    assert!((REFUSE_BELOW_BYTES / 2) as f64 <= free_bytes, "{free_bytes}");
    filled
}

#[test]
fn a_disk_that_fills_up_three_times_under_load_loses_nothing_and_is_read_throughout() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut on_disk = disk.broker();
    on_disk.topic("create kept --partitions 2 --config segment.bytes=1048576");
    on_disk.topic("create ballast --config segment.bytes=1048576");
    let load = Load::start(on_disk.broker.address);
    for (round, how) in
        ["DeleteRecords", "a shorter retention", "a deleted topic"].iter().enumerate()
    {
        if round == 2 {
            // Something that may go while what is read stays.
            let mut client = on_disk.broker.connect();
            for n in 0..(8 << 20) / VALUE_BYTES as u64 {
                let batch = batch(&[&value_of(n)], now_ms(), ProducerStamp::NONE);
                client.call(9, &produce("ballast", 0, 1, batch));
            }
        }
        let filled = wait_until_full(&load, &on_disk);
        let before = load.sum(|told| &told.acknowledged_count);
        if round == 1 {
            *load.address.lock().unwrap() = None;
            on_disk.broker.kill();
            on_disk = disk.broker();
            *load.address.lock().unwrap() = Some(on_disk.broker.address);
            on_disk.wait_for_state(2, Duration::from_secs(1));
            load.wait_until_consumed();
        }
        match round {
            0 => {
                let ends =
                    load.told.each_ref().map(|told| told.consumed_to.load(Ordering::Relaxed));
                for (partition, end) in ends.iter().enumerate() {
                    on_disk.topic(&format!("trim kept --before {end} --partition {partition}"));
                }
            }
            1 => on_disk.topic("config kept --set retention.bytes=4194304"),
            _ => on_disk.topic("delete ballast"),
        }
        let recovered = load.wait(RECOVERED_WITHIN, "producers go on by themselves", |load| {
            before + 20 < load.sum(|told| &told.acknowledged_count)
        });
        if round == 1 {
            // From here on only what is deleted makes room.
            on_disk.topic("config kept --unset retention.bytes");
        }
        println!(
            "round {round}: full after {filled:?}, {} acknowledged, {} refused; {recovered:?} after {how} \
             20 more were",
            before,
            load.sum(|told| &told.refused_count),
        );
    }
    load.end();
    assert!(on_disk.broker.stop().success());
}
