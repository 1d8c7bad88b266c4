//! Batches written here are read by another implementation, and the other way round.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record as TheirRecord, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};
use model::record_batch::{
    AppendRules, BatchBuilder, Batches, NewRecord, ProducerStamp, RecordHeader, Records,
    validate_from_client,
};
use model::{Offset, ProducerEpoch, ProducerId, Timestamp};
use proptest::prelude::*;

/// What both sides can say of a batch.
#[derive(Clone, Debug)]
struct Batch {
    producer: Option<(i64, i16, i32)>,
    is_transactional: bool,
    records: Vec<Record>,
}

#[derive(Clone, Debug)]
struct Record {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Timestamps do not fall, as their encoder counts from the lowest and ours from the first, and
/// header keys do not repeat, as theirs are a map.
fn any_batch() -> impl Strategy<Value = Batch> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let headers = proptest::collection::btree_map("[a-zé]{0,9}", bytes(), 0..4);
    let record = (0..2_000i64, bytes(), bytes(), headers);
    let stamp = proptest::option::of((0..i64::MAX, 0..i16::MAX, 0..1_000_000i32));
    let records = proptest::collection::vec(record, 1..70);
    (stamp, any::<bool>(), 0..1_700_000_000_000i64, records).prop_map(
        |(producer, is_transactional, mut timestamp, records)| {
            let record =
                |(step, key, value, headers): (_, _, _, std::collections::BTreeMap<_, _>)| {
                    timestamp += step;
                    Record { timestamp, key, value, headers: headers.into_iter().collect() }
                };
            let records = records.into_iter().map(record).collect();
            Batch { producer, is_transactional, records }
        },
    )
}

fn written_here(batch: &Batch) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for record in &batch.records {
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(key, value)| RecordHeader { key: key.as_bytes(), value: value.as_deref() })
            .collect();
        builder.push(&NewRecord {
            timestamp: Timestamp(record.timestamp),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        });
    }
    let (id, epoch, base_sequence) = batch.producer.unwrap_or((-1, -1, -1));
    builder.finish(ProducerStamp {
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
        is_transactional: batch.is_transactional,
        is_control: false,
    })
}

fn their_records(batch: &Batch) -> Vec<TheirRecord> {
    let (producer_id, producer_epoch, base_sequence) = batch.producer.unwrap_or((-1, -1, -1));
    (0..)
        .zip(&batch.records)
        .map(|(index, record)| TheirRecord {
            transactional: batch.is_transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id,
            producer_epoch,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(index),
            sequence: base_sequence + index,
            timestamp: record.timestamp,
            key: record.key.clone().map(Bytes::from),
            value: record.value.clone().map(Bytes::from),
            headers: record
                .headers
                .iter()
                .map(|(key, value)| (StrBytes::from(key.clone()), value.clone().map(Bytes::from)))
                .collect(),
        })
        .collect()
}

fn written_there(batch: &Batch) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &their_records(batch), &options)
        .expect("it can be written");
    bytes.to_vec()
}

proptest! {
    #[test]
    fn both_write_the_same_bytes(batch in any_batch()) {
        prop_assert_eq!(written_here(&batch), written_there(&batch));
    }

    #[test]
    fn what_is_written_here_is_read_there(batch in any_batch()) {
        let mut bytes = Bytes::from(written_here(&batch));
        let found = RecordBatchDecoder::decode_all(&mut bytes).unwrap();
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(&found[0].records, &their_records(&batch));
    }

    #[test]
    fn what_is_written_there_is_read_here(batch in any_batch()) {
        let bytes = written_there(&batch);
        let validated = validate_from_client(&bytes, AppendRules::NONE).unwrap();
        prop_assert_eq!(validated.max_timestamp_to_patch(), None);
        let (id, epoch, sequence) = batch.producer.unwrap_or((-1, -1, -1));
        prop_assert_eq!(validated.header.producer_id, ProducerId(id));
        prop_assert_eq!(validated.header.producer_epoch, ProducerEpoch(epoch));
        prop_assert_eq!(validated.header.base_sequence, sequence);
        prop_assert_eq!(validated.header.is_transactional(), batch.is_transactional);
        prop_assert_eq!(validated.header.base_offset, Offset(0));
        let mut records = Records::read(&bytes).unwrap();
        for expected in &batch.records {
            let record = records.next().unwrap().unwrap();
            prop_assert_eq!(record.timestamp, Timestamp(expected.timestamp));
            prop_assert_eq!(record.key, expected.key.as_deref());
            prop_assert_eq!(record.value, expected.value.as_deref());
            let headers = record.headers.map(|header| (header.key, header.value));
            let expected = expected.headers.iter().map(|(k, v)| (k.as_bytes(), v.as_deref()));
            prop_assert!(headers.eq(expected));
        }
        prop_assert!(records.next().is_none());
        prop_assert_eq!(Batches::new(&bytes).count(), 1);
    }
}
