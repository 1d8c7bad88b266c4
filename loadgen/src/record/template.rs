//! Batches that are encoded once and only patched afterwards, where that can be.
//!
//! If all values are of one size, the first n records of a batch are written in the same bytes
//! however many follow, as all have the same timestamp. So one batch of the largest size is the
//! beginning of every smaller one: it is copied, and keys, values, counts, times and sums are
//! written over it. Where sizes differ, each batch is put together from what fills its values and
//! then patched likewise.

use model::record_batch::{
    BatchBuilder, HEADER_SIZE_BYTES, NewRecord, ProducerStamp, RecordHeader, Records,
    set_max_timestamp,
};
use model::{ProducerEpoch, ProducerId, Timestamp};
use runtime::Rng;

use super::{Headers, KEY_SIZE_BYTES, Payload, VALUE_SIZE_BYTES_MIN, Value, key_bytes};
use crate::plan::{BatchLimits, SizeDistribution};

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
    value_size_bytes: usize,
    /// Of the record.
    end: usize,
}

/// What batches are made from.
#[derive(Debug)]
pub struct Template {
    form: Form,
    filling: Filling,
    limits: BatchLimits,
    /// Of a full batch; if sizes differ, at most.
    size_bytes_max: usize,
}

#[derive(Debug)]
enum Form {
    /// The largest batch that will be sent.
    Encoded { bytes: Vec<u8>, places: Vec<Place> },
    /// Every batch is another.
    Various,
}

impl Template {
    /// For batches of these values, within these limits.
    pub fn new(
        sizes: &SizeDistribution,
        headers: Headers,
        limits: BatchLimits,
        payload: Payload,
        seed: u64,
    ) -> Template {
        assert!(VALUE_SIZE_BYTES_MIN <= sizes.min().0, "a value has room for its numbers");
        let records_bytes = (limits.records_max as usize)
            .saturating_mul(sizes.max().0.saturating_add(limits.overhead_bytes))
            .min(limits.records_bytes);
        let filling = Filling {
            bytes: fill(payload, records_bytes, &mut Rng::from_seed(seed)),
            header_keys: headers.keys(),
            header_value_bytes: headers.value_size.0,
        };
        match sizes {
            SizeDistribution::Fixed(size) => {
                let count = limits.records_fitting(size.0);
                let (bytes, places) = filling.encode((0..count).map(|_| size.0));
                let size_bytes_max = bytes.len();
                let form = Form::Encoded { bytes, places };
                Template { form, filling, limits, size_bytes_max }
            }
            SizeDistribution::Uniform { .. } | SizeDistribution::Weighted(_) => {
                let size_bytes_max = HEADER_SIZE_BYTES + records_bytes;
                Template { form: Form::Various, filling, limits, size_bytes_max }
            }
        }
    }

    /// What a batch has room for.
    pub fn limits(&self) -> BatchLimits {
        self.limits
    }

    /// Size of a full batch.
    pub fn size_bytes_max(&self) -> usize {
        self.size_bytes_max
    }

    /// A batch of these values, at least one, each with its size.
    pub fn batch(
        &self,
        stamp: Stamp,
        records: impl ExactSizeIterator<Item = (Value, u32)> + Clone,
    ) -> Vec<u8> {
        let count = records.len();
        match &self.form {
            Form::Encoded { bytes, places } => {
                let places = &places[..count];
                let mut batch = bytes[..places[count - 1].end].to_vec();
                patch(&mut batch, places, stamp, records);
                batch
            }
            Form::Various => {
                let sizes = records.clone().map(|(_, size_bytes)| size_bytes as usize);
                let (mut batch, places) = self.filling.encode(sizes);
                patch(&mut batch, &places, stamp, records);
                batch
            }
        }
    }
}

/// Writes into an encoded batch whose it is, what is in it, and its sums.
fn patch(
    batch: &mut [u8],
    places: &[Place],
    stamp: Stamp,
    records: impl Iterator<Item = (Value, u32)>,
) {
    for (place, (value, _)) in places.iter().zip(records) {
        batch[place.key..][..KEY_SIZE_BYTES].copy_from_slice(&key_bytes(value.key));
        value.write(&mut batch[place.value..][..place.value_size_bytes]);
    }
    let count = i32::try_from(places.len()).expect("a batch is far smaller");
    let length = i32::try_from(batch.len() - PREFIX_SIZE_BYTES).expect("likewise");
    put(batch, POSITION_OF_LENGTH, length.to_be_bytes());
    put(batch, POSITION_OF_LAST_OFFSET_DELTA, (count - 1).to_be_bytes());
    put(batch, POSITION_OF_BASE_TIMESTAMP, stamp.timestamp.0.to_be_bytes());
    put(batch, POSITION_OF_PRODUCER_ID, stamp.producer_id.0.to_be_bytes());
    put(batch, POSITION_OF_PRODUCER_EPOCH, stamp.producer_epoch.0.to_be_bytes());
    put(batch, POSITION_OF_BASE_SEQUENCE, stamp.base_sequence.to_be_bytes());
    put(batch, POSITION_OF_RECORDS_COUNT, count.to_be_bytes());
    // Writes the CRC as well.
    set_max_timestamp(batch, stamp.timestamp);
}

fn put<const N: usize>(batch: &mut [u8], position: usize, bytes: [u8; N]) {
    batch[position..][..N].copy_from_slice(&bytes);
}

/// What values and headers are filled with: enough for a batch without a repetition, which would
/// compress as nothing does.
#[derive(Debug)]
struct Filling {
    bytes: Vec<u8>,
    header_keys: Vec<String>,
    header_value_bytes: usize,
}

impl Filling {
    /// A batch of records whose values have these sizes, and where they are in it.
    fn encode(&self, sizes: impl Iterator<Item = usize>) -> (Vec<u8>, Vec<Place>) {
        let mut builder = BatchBuilder::new();
        let mut left = &self.bytes[..];
        let mut take = |size_bytes: usize| {
            let (taken, rest) = left.split_at(size_bytes);
            left = rest;
            taken
        };
        let mut ends = Vec::new();
        let mut headers = Vec::with_capacity(self.header_keys.len());
        for size_bytes in sizes {
            headers.clear();
            headers.extend(self.header_keys.iter().map(|key| RecordHeader {
                key: key.as_bytes(),
                value: Some(take(self.header_value_bytes)),
            }));
            builder.push(&NewRecord {
                timestamp: Timestamp(0),
                key: Some(&key_bytes(0)),
                value: Some(take(size_bytes)),
                headers: &headers,
            });
            ends.push(builder.size_bytes());
        }
        let bytes = builder.finish(ProducerStamp::NONE);
        let position = |part: &[u8]| part.as_ptr() as usize - bytes.as_ptr() as usize;
        let records = Records::read(&bytes).expect("it has just been written");
        let places = records.zip(ends).map(|(record, end)| {
            let record = record.expect("it has just been written");
            let [key, value] =
                [record.key, record.value].map(|it| it.expect("every record has it"));
            let value_size_bytes = value.len();
            Place { key: position(key), value: position(value), value_size_bytes, end }
        });
        let places = places.collect();
        (bytes, places)
    }
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
                // Numbers are what is new in most lines of a log.
                match rng.one_in(3) {
                    true => value.extend(rng.below(1_000_000).to_string().into_bytes()),
                    false => value.extend_from_slice(WORDS[rng.index(WORDS.len())].as_bytes()),
                }
                value.push(b' ');
            }
            Payload::Zeros => value.push(0),
        }
    }
    value.truncate(size_bytes);
    value
}
