//! Records of batches compressed as other clients do, and opened again.
//!
//! Knows the places of a batch's length and attributes, to put other bytes for its records.

use std::io::Write;

use bytes::Bytes;
use model::codec::Decoder;
use model::record_batch::{BatchHeader, Compression, HEADER_SIZE_BYTES, set_max_timestamp};
use runtime::with_rng;

/// The smallest version of Produce that knows zstd, and of Fetch.
pub(super) const ZSTD_PRODUCE_VERSION_MIN: i16 = 7;
pub(super) const ZSTD_FETCH_VERSION_MIN: i16 = 10;

const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
/// Far more than is in any batch of a run.
const RECORDS_BYTES_MAX: u64 = 1 << 20;
/// Of a batch, behind its base offset and this field.
const LENGTH_PLACE: std::ops::Range<usize> = 8..12;
/// The lower byte of the attributes has the codec in three bits.
const ATTRIBUTES_PLACE: usize = 22;

/// None for most batches.
pub(super) fn any_compression() -> Compression {
    with_rng(|rng| match rng.one_in(3) {
        false => Compression::None,
        true => CODECS[rng.index(CODECS.len())],
    })
}

/// The batch with its records compressed.
pub(super) fn compressed(batch: &[u8], compression: Compression) -> Bytes {
    let records = encode(&batch[HEADER_SIZE_BYTES..], compression);
    with_records(batch, compression, &records)
}

fn encode(records: &[u8], compression: Compression) -> Vec<u8> {
    const IN_MEMORY: &str = "nothing fails in memory";
    match compression {
        Compression::None => records.to_vec(),
        Compression::Gzip => {
            let level = flate2::Compression::default();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(records).expect(IN_MEMORY);
            encoder.finish().expect(IN_MEMORY)
        }
        // In the framing of the xerial library, as the Java client does.
        Compression::Snappy => {
            let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
            for block in records.chunks(32 << 10) {
                let block = snap::raw::Encoder::new().compress_vec(block).expect(IN_MEMORY);
                let length = i32::try_from(block.len()).expect("a block is short");
                out.extend(length.to_be_bytes());
                out.extend(block);
            }
            out
        }
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(records).expect(IN_MEMORY);
            encoder.finish().expect(IN_MEMORY)
        }
        Compression::Zstd => {
            let mut out = vec![0; zstd_safe::compress_bound(records.len())];
            let size_bytes = zstd_safe::compress(&mut out[..], records, 3).expect(IN_MEMORY);
            out.truncate(size_bytes);
            out
        }
    }
}

/// The batch with its records as they were before they were compressed, if they can be had.
pub(super) fn opened(batch: &[u8]) -> Option<Bytes> {
    let compression = BatchHeader::read(batch).and_then(|header| header.compression()).ok()?;
    let mut decoder = Decoder::new(compression, &batch[HEADER_SIZE_BYTES..], RECORDS_BYTES_MAX);
    let mut records = Vec::new();
    let mut piece = vec![0; 64 << 10];
    while !decoder.is_finished() {
        let decoded = decoder.decode(&mut piece).ok()?;
        records.extend_from_slice(&piece[..decoded.produced_bytes]);
    }
    Some(with_records(batch, Compression::None, &records))
}

/// The batch with these bytes for its records, and the checksum made right.
fn with_records(batch: &[u8], compression: Compression, records: &[u8]) -> Bytes {
    let mut out = [&batch[..HEADER_SIZE_BYTES], records].concat();
    let length = i32::try_from(out.len() - LENGTH_PLACE.end).expect("batches are small");
    out[LENGTH_PLACE].copy_from_slice(&length.to_be_bytes());
    out[ATTRIBUTES_PLACE] = out[ATTRIBUTES_PLACE] & !7 | compression as u8;
    let time = BatchHeader::read(&out).expect("it has a header").max_timestamp;
    set_max_timestamp(&mut out, time);
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;
    use model::record_batch::{BatchBuilder, NewRecord, ProducerStamp, check_crc};

    #[test]
    fn what_is_compressed_is_smaller_and_opened_as_it_was() {
        let mut builder = BatchBuilder::new();
        let value = [7; 5000];
        for time in 1..20 {
            let (timestamp, key) = (Timestamp(time), None);
            builder.push(&NewRecord { timestamp, key, value: Some(&value), headers: &[] });
        }
        let batch = builder.finish(ProducerStamp::NONE);
        for compression in CODECS {
            let compressed = compressed(&batch, compression);
            assert!(compressed.len() < batch.len() / 2, "{compression:?}");
            check_crc(&compressed).unwrap();
            assert_eq!(opened(&compressed).unwrap(), batch, "{compression:?}");
            assert_eq!(opened(&compressed[..compressed.len() - 3]), None, "{compression:?}");
        }
        assert_eq!(opened(&batch).unwrap(), batch);
    }
}
