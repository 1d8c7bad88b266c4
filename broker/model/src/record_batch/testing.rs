//! What the tests of this module share: batches to start from, and generators of records.

use proptest::prelude::*;

use super::stamp::update_crc;
use super::{
    BatchBuilder, HEADER_SIZE_BYTES, NewRecord, ProducerStamp, RecordHeader, with_records,
};
use crate::Timestamp;
use crate::codec::testing::Encoder;

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnedRecord {
    pub(super) timestamp: Timestamp,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A batch of `records`, sent by nobody in particular.
pub(super) fn batch_of(records: &[OwnedRecord]) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for record in records {
        push(&mut builder, record);
    }
    builder.finish(ProducerStamp::NONE)
}

/// Pushes `record` and checks that the builder knew its size beforehand.
pub(super) fn push(builder: &mut BatchBuilder, record: &OwnedRecord) {
    let headers: Vec<RecordHeader<'_>> = record
        .headers
        .iter()
        .map(|(key, value)| RecordHeader { key, value: value.as_deref() })
        .collect();
    let record = NewRecord {
        timestamp: record.timestamp,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &headers,
    };
    let size_bytes = builder.size_bytes_with(&record);
    builder.push(&record);
    assert_eq!(builder.size_bytes(), size_bytes);
}

/// Three records: one plain, one with headers, one tombstone that is older than the first.
pub(super) fn three_records() -> Vec<OwnedRecord> {
    let record = |timestamp, key: &[u8], value: Option<&[u8]>, headers| OwnedRecord {
        timestamp: Timestamp(timestamp),
        key: Some(key.to_vec()),
        value: value.map(<[u8]>::to_vec),
        headers,
    };
    let headers = vec![(b"h".to_vec(), Some(b"v".to_vec())), (b"h".to_vec(), None)];
    vec![
        record(1_000, b"a", Some(b"one"), vec![]),
        record(1_007, b"b", Some(b"two"), headers),
        record(993, b"a", None, vec![]),
    ]
}

/// A valid batch of [`three_records`] after `edit`, with its CRC made right again.
pub(super) fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut batch = batch_of(&three_records());
    edit(&mut batch);
    update_crc(&mut batch);
    batch
}

/// The batch with its records compressed, and the CRC made right.
pub(super) fn compressed(batch: &[u8], encoder: Encoder) -> Vec<u8> {
    let records = encoder.encode(&batch[HEADER_SIZE_BYTES..]);
    with_records(batch, encoder.compression(), &records)
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..40)
}

pub(super) fn any_record() -> impl Strategy<Value = OwnedRecord> {
    let timestamp = prop_oneof![
        4 => 1_700_000_000_000..1_700_000_100_000i64,
        1 => Just(-1),
        1 => any::<i64>(),
    ];
    let headers = proptest::collection::vec((any_bytes(), proptest::option::of(any_bytes())), 0..4);
    let key = proptest::option::of(any_bytes());
    let value = proptest::option::of(any_bytes());
    (timestamp, key, value, headers).prop_map(|(timestamp, key, value, headers)| OwnedRecord {
        timestamp: Timestamp(timestamp),
        key,
        value,
        headers,
    })
}

pub(super) fn any_records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    proptest::collection::vec(any_record(), 1..12)
}
