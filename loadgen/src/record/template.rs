//! Batches that are encoded once and only patched afterwards.
//!
//! The first n records of a batch are written in the same bytes however many follow, if all have
//! the same timestamp. So one batch of the largest size is the beginning of every smaller one: it
//! is copied, and keys, values, counts, times and sums are written over it.

use model::record_batch::{BatchBuilder, NewRecord, ProducerStamp, Records, set_max_timestamp};
use model::{ProducerEpoch, ProducerId, Timestamp};
use runtime::Rng;

use super::{KEY_SIZE_BYTES, Payload, VALUE_SIZE_BYTES_MIN, Value, key_bytes};

// Positions in a batch; see `model::record_batch`. The tests read them back through its reader.
const POSITION_OF_LENGTH: usize = 8;
const POSITION_OF_LAST_OFFSET_DELTA: usize = 23;
const POSITION_OF_BASE_TIMESTAMP: usize = 27;
const POSITION_OF_PRODUCER_ID: usize = 43;
const POSITION_OF_PRODUCER_EPOCH: usize = 51;
const POSITION_OF_BASE_SEQUENCE: usize = 53;
const POSITION_OF_RECORDS_COUNT: usize = 57;
const PREFIX_SIZE_BYTES: usize = 12;

/// What the batch as a whole carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub timestamp: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// -1 without a producer id.
    pub base_sequence: i32,
}

impl Stamp {
    /// Of a producer that does not number its batches.
    pub fn plain(timestamp: Timestamp) -> Stamp {
        Stamp {
            timestamp,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: -1,
        }
    }
}

/// Where a record's parts are.
#[derive(Clone, Copy, Debug)]
struct Place {
    key: usize,
    value: usize,
    end: usize,
}

/// The largest batch that will be sent.
#[derive(Debug)]
pub struct Template {
    bytes: Vec<u8>,
    places: Vec<Place>,
    value_size_bytes: usize,
}

impl Template {
    /// For batches of up to `records_max` records of `value_size_bytes`.
    pub fn new(
        value_size_bytes: usize,
        records_max: usize,
        payload: Payload,
        seed: u64,
    ) -> Template {
        assert!(VALUE_SIZE_BYTES_MIN <= value_size_bytes, "a value has room for its numbers");
        let mut rng = Rng::from_seed(seed);
        let mut builder = BatchBuilder::new();
        for _ in 0..records_max {
            let value = fill(payload, value_size_bytes, &mut rng);
            builder.push(&NewRecord {
                timestamp: Timestamp(0),
                key: Some(&key_bytes(0)),
                value: Some(&value),
                headers: &[],
            });
        }
        let bytes = builder.finish(ProducerStamp::NONE);
        let position = |part: &[u8]| part.as_ptr() as usize - bytes.as_ptr() as usize;
        let records = Records::read(&bytes).expect("it has just been written");
        let places = records.map(|record| {
            let record = record.expect("it has just been written");
            let [key, value] =
                [record.key, record.value].map(|it| it.expect("every record has it"));
            // A record ends with its number of headers, which is none, after the value.
            let end = position(value) + value.len() + 1;
            Place { key: position(key), value: position(value), end }
        });
        let places = places.collect();
        Template { places, value_size_bytes, bytes }
    }

    /// How many records a batch can have.
    pub fn records_max(&self) -> usize {
        self.places.len()
    }

    /// Size of a batch of so many records.
    pub fn size_bytes(&self, records_count: usize) -> usize {
        self.places[records_count - 1].end
    }

    /// A batch of these values, at least one.
    pub fn batch(&self, stamp: Stamp, values: impl ExactSizeIterator<Item = Value>) -> Vec<u8> {
        let count = values.len();
        let mut batch = self.bytes[..self.size_bytes(count)].to_vec();
        for (place, value) in self.places.iter().zip(values) {
            batch[place.key..][..KEY_SIZE_BYTES].copy_from_slice(&key_bytes(value.key));
            value.write(&mut batch[place.value..][..self.value_size_bytes]);
        }
        let count = i32::try_from(count).expect("a template is far smaller");
        let length = i32::try_from(batch.len() - PREFIX_SIZE_BYTES).expect("likewise");
        put(&mut batch, POSITION_OF_LENGTH, length.to_be_bytes());
        put(&mut batch, POSITION_OF_LAST_OFFSET_DELTA, (count - 1).to_be_bytes());
        put(&mut batch, POSITION_OF_BASE_TIMESTAMP, stamp.timestamp.0.to_be_bytes());
        put(&mut batch, POSITION_OF_PRODUCER_ID, stamp.producer_id.0.to_be_bytes());
        put(&mut batch, POSITION_OF_PRODUCER_EPOCH, stamp.producer_epoch.0.to_be_bytes());
        put(&mut batch, POSITION_OF_BASE_SEQUENCE, stamp.base_sequence.to_be_bytes());
        put(&mut batch, POSITION_OF_RECORDS_COUNT, count.to_be_bytes());
        // Writes the CRC as well.
        set_max_timestamp(&mut batch, stamp.timestamp);
        batch
    }
}

fn put<const N: usize>(batch: &mut [u8], position: usize, bytes: [u8; N]) {
    batch[position..][..N].copy_from_slice(&bytes);
}

fn fill(payload: Payload, size_bytes: usize, rng: &mut Rng) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "order",
        "cart",
        "checkout",
        "paid",
        "refused",
        "item",
        "customer",
        "warehouse",
        "shipped",
        "returned",
        "price",
        "discount",
        "session",
        "basket",
        "address",
        "invoice",
    ];
    let mut value = Vec::with_capacity(size_bytes + 16);
    while value.len() < size_bytes {
        match payload {
            Payload::Random => value.extend_from_slice(&rng.next_u64().to_le_bytes()),
            Payload::Text => {
                value.extend_from_slice(WORDS[rng.index(WORDS.len())].as_bytes());
                value.push(b' ');
            }
            Payload::Zeros => value.push(0),
        }
    }
    value.truncate(size_bytes);
    value
}
