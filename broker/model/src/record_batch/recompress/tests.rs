//! Every codec becomes every other, and nothing else of a batch changes.

use proptest::prelude::*;

use super::super::testing::{any_records, batch_of, compressed, three_records};
use super::super::{
    AppendRules, BatchHeader, check_crc, set_log_append_time, validate_from_client, with_records,
};
use super::*;
use crate::Timestamp;
use crate::codec::encode;
use crate::codec::testing::{ENCODERS, mixed};

fn recompress(
    batch: &[u8],
    compression: Compression,
    level: Option<i32>,
    limit_bytes: usize,
    piece_bytes: usize,
) -> Result<Vec<u8>, BatchError> {
    let validated = validate_from_client(batch, AppendRules::NONE)?;
    let mut anew = Recompression::begin(batch, &validated, compression, level, limit_bytes)?;
    loop {
        let mut budget_bytes = piece_bytes;
        if let Some(batch) = anew.step(&mut budget_bytes)? {
            let bytes_max = Recompression::batch_bytes_max(&validated, limit_bytes);
            assert!(batch.len() <= bytes_max, "{} of {bytes_max} bytes", batch.len());
            return Ok(batch);
        }
        assert_eq!(budget_bytes, 0, "it stops for nothing else");
    }
}

/// A batch with one record of so many bytes.
fn batch_with(value: Vec<u8>) -> Vec<u8> {
    let mut record = three_records().remove(0);
    record.value = Some(value);
    batch_of(&[record])
}

#[test]
fn every_codec_becomes_every_other() {
    for size_bytes in [10, WINDOW_BYTES - 10, WINDOW_BYTES, 100_000, 1 << 20] {
        let plain = batch_with(mixed(size_bytes));
        for encoder in ENCODERS {
            let sent = compressed(&plain, encoder);
            for compression in Compression::ALL {
                let stored = recompress(&sent, compression, None, usize::MAX, 5000).unwrap();
                let name = format!("{encoder:?} to {compression:?}, {size_bytes} bytes");
                check_crc(&stored).unwrap();
                let header = BatchHeader::read(&stored).unwrap();
                assert_eq!(header.compression(), Ok(compression), "{name}");
                let validated = validate_from_client(&stored, AppendRules::NONE).unwrap();
                assert_eq!(validated.records_bytes, (plain.len() - HEADER_SIZE_BYTES) as u64);
                let opened = recompress(&stored, Compression::None, None, usize::MAX, 5000);
                assert!(opened.unwrap() == plain, "{name}");
            }
        }
    }
}

#[test]
fn the_level_is_the_one_that_is_asked_for() {
    let plain = batch_with(mixed(300_000));
    let size = |compression, level| {
        recompress(&plain, compression, Some(level), usize::MAX, usize::MAX).unwrap().len()
    };
    assert!(size(Compression::Gzip, 9) < size(Compression::Gzip, 1));
    assert!(size(Compression::Zstd, 19) < size(Compression::Zstd, -5));
}

#[test]
fn what_is_too_large_is_refused_at_its_limit_and_before_all_of_it_is_encoded() {
    let plain = batch_with(mixed(300_000));
    let sent = with_records(
        &plain,
        Compression::Zstd,
        &encode(&plain[HEADER_SIZE_BYTES..], Compression::Zstd, Some(19)),
    );
    for compression in Compression::ALL {
        let into = |limit_bytes| recompress(&sent, compression, None, limit_bytes, 5000);
        let size_bytes = into(usize::MAX).unwrap().len();
        assert_eq!(into(size_bytes).unwrap().len(), size_bytes);
        for limit_bytes in [size_bytes - 1, HEADER_SIZE_BYTES] {
            assert_eq!(into(limit_bytes), Err(BatchError::TooLarge { compression, limit_bytes }));
        }
    }
}

#[test]
fn a_time_that_was_set_is_kept() {
    let mut sent = batch_of(&three_records());
    let validated = validate_from_client(&sent, AppendRules::NONE).unwrap();
    set_log_append_time(&mut sent, Timestamp(5));
    let mut anew =
        Recompression::begin(&sent, &validated, Compression::Lz4, None, usize::MAX).unwrap();
    let mut budget_bytes = usize::MAX;
    let stored = anew.step(&mut budget_bytes).unwrap().unwrap();
    let header = BatchHeader::read(&stored).unwrap();
    assert_eq!(header.log_append_time(), Some(Timestamp(5)));
    check_crc(&stored).unwrap();
}

proptest! {
    #[test]
    fn any_records_are_the_same_behind_the_same_header(
        records in any_records(),
        encoder in proptest::sample::select(ENCODERS.to_vec()),
        compression in proptest::sample::select(Compression::ALL.to_vec()),
        piece_bytes in 1..3000_usize,
    ) {
        let plain = batch_of(&records);
        let sent = compressed(&plain, encoder);
        let stored = recompress(&sent, compression, None, usize::MAX, piece_bytes).unwrap();
        // But for length, CRC and codec.
        for same in [0..8, 12..17, 21..22, 23..HEADER_SIZE_BYTES] {
            prop_assert_eq!(&stored[same.clone()], &sent[same]);
        }
        let opened = recompress(&stored, Compression::None, None, usize::MAX, piece_bytes);
        prop_assert_eq!(opened.unwrap(), plain);
    }
}
