use proptest::prelude::*;

use super::*;
use crate::codec::{Decoder, encode};
use crate::record_batch::{
    BatchBuilder, Compression, NewRecord, ProducerStamp, RecordHeader, Records, assign, check_crc,
    set_log_append_time,
};
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const STAMP: ProducerStamp = ProducerStamp {
    producer_id: ProducerId(77),
    producer_epoch: ProducerEpoch(3),
    base_sequence: 1234,
    ..ProducerStamp::NONE
};

/// A record as it can be compared.
type Told = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn batch_of(times: &[i64], sets_time: bool) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for (number, time) in times.iter().enumerate() {
        let key = number.to_be_bytes();
        // Some batches are of several pieces.
        let value = vec![7; number * if times[0] % 3 == 0 { 3000 } else { 3 }];
        let headers = [RecordHeader { key: b"h", value: (number % 2 == 0).then_some(&key[..]) }];
        builder.push(&NewRecord {
            timestamp: Timestamp(*time),
            key: (number % 5 != 4).then_some(&key[..]),
            value: (number % 3 != 2).then_some(&value[..]),
            headers: &headers[..number % 2],
        });
    }
    let mut batch = builder.finish(STAMP);
    assign(&mut batch, Offset(1000), LeaderEpoch(9));
    if sets_time {
        set_log_append_time(&mut batch, Timestamp(5_000_000));
    }
    batch
}

fn decompressed(batch: &[u8]) -> Vec<u8> {
    let header = BatchHeader::read(batch).unwrap();
    let records = &batch[HEADER_SIZE_BYTES..];
    let mut decoder = Decoder::new(header.compression().unwrap(), records, u64::MAX);
    let mut out = vec![0; 4 << 20];
    let mut filled = 0;
    while !decoder.is_finished() {
        filled += decoder.decode(&mut out[filled..]).unwrap().produced_bytes;
    }
    out.truncate(filled);
    out
}

fn told(batch: &[u8]) -> Vec<Told> {
    let header = BatchHeader::read(batch).unwrap();
    let bytes = decompressed(batch);
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    Records::of(&header, &bytes)
        .map(|record| {
            let record = record.unwrap();
            let headers = record.headers.map(|of| (of.key.to_vec(), owned(of.value)));
            (
                header.base_offset.0 + i64::from(record.offset_delta),
                record.timestamp.0,
                owned(record.key),
                owned(record.value),
                headers.collect(),
            )
        })
        .collect()
}

/// The places of the records that are wanted, in runs.
fn places(header: &BatchHeader, bytes: &[u8], wanted: &[bool]) -> Vec<Range<usize>> {
    let mut records = Records::of(header, bytes);
    let mut places: Vec<Range<usize>> = Vec::new();
    for wanted in wanted {
        let start = bytes.len() - records.rest().len();
        records.next().unwrap().unwrap();
        let end = bytes.len() - records.rest().len();
        match places.last_mut().filter(|last| last.end == start) {
            _ if !wanted => {}
            Some(last) => last.end = end,
            None => places.push(start..end),
        }
    }
    places
}

proptest! {
    #[test]
    fn what_is_kept_is_as_it_was(
        records in proptest::collection::vec((0..1_000_000_i64, any::<bool>()), 1..40),
        codec in 0..5_usize,
        sets_time: bool,
        horizons in proptest::collection::vec(0..10_000_000_i64, 0..3),
    ) {
        let (times, wanted): (Vec<i64>, Vec<bool>) = records.into_iter().unzip();
        prop_assume!(wanted.contains(&true));
        let plain = batch_of(&times, sets_time);
        let mut batch = crate::record_batch::with_records(
            &plain,
            Compression::ALL[codec],
            &encode(&plain[HEADER_SIZE_BYTES..], Compression::ALL[codec], None),
        ).to_vec();
        let mut expected: Vec<Told> = told(&plain);
        let before = BatchHeader::read(&plain).unwrap();
        // Once without a horizon, and then with one after another.
        let mut wanted = wanted;
        for horizon in std::iter::once(None).chain(horizons.into_iter().map(Some)) {
            let header = BatchHeader::read(&batch).unwrap();
            let bytes = decompressed(&batch);
            let places = places(&header, &bytes, &wanted);
            let horizon_at = horizon.map(Timestamp);
            let mut thinning = Thinning::begin(&batch, &bytes, &places, horizon_at).unwrap();
            batch = loop {
                if let Some(batch) = thinning.step() {
                    break batch;
                }
            };
            check_crc(&batch).unwrap();
            expected = expected.into_iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(told, _)| told).collect();
            wanted = vec![true; expected.len()];
            prop_assert_eq!(&told(&batch), &expected);
            let after = BatchHeader::read(&batch).unwrap();
            prop_assert_eq!(after.size_bytes(), batch.len());
            prop_assert_eq!(after.records_count as usize, expected.len());
            prop_assert_eq!(after.base_offset, before.base_offset);
            prop_assert_eq!(after.next_offset(), before.next_offset());
            prop_assert_eq!(after.leader_epoch, before.leader_epoch);
            prop_assert_eq!(
                (after.producer_id, after.producer_epoch, after.base_sequence),
                (before.producer_id, before.producer_epoch, before.base_sequence)
            );
            prop_assert_eq!(after.timestamp_type(), before.timestamp_type());
            prop_assert_eq!(after.compression(), Ok(Compression::ALL[codec]));
            let latest = expected.iter().map(|told| told.1).max().unwrap();
            prop_assert_eq!(after.max_timestamp.0, latest);
            if let Some(horizon) = horizon {
                prop_assert!(after.has_delete_horizon());
                prop_assert_eq!(after.base_timestamp, Timestamp(horizon));
            }
        }
    }
}
