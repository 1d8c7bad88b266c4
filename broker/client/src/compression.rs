//! Batches with their records compressed, and opened again.
//!
//! Codecs write what Kafka's own clients write at their usual levels: gzip 6, zstd 3, snappy in the
//! framing of the xerial library, lz4 in independent blocks.
//!
//! Guarantees: what is compressed is opened to the very bytes that it was. Does not know: records,
//! and from which version of a request on a codec may be used.

use std::io::Write;

use bytes::Bytes;
use model::codec::{CodecError, Decoder};
use model::record_batch::{
    BatchError, BatchHeader, Compression, HEADER_SIZE_BYTES, set_max_timestamp,
};

/// All but none.
pub const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Of a batch: the length of everything behind it.
const LENGTH_PLACE: std::ops::Range<usize> = 8..12;
/// The lower byte of the attributes has the codec in three bits.
const ATTRIBUTES_PLACE: usize = 22;
const CODEC_BITS: u8 = 7;

const ZSTD_LEVEL: i32 = 3;
/// Before the blocks of snappy: a magic and the format's version, twice.
const XERIAL_HEADER: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const XERIAL_BLOCK_BYTES: usize = 32 << 10;
const OPENED_PIECE_BYTES: usize = 64 << 10;

/// Why a batch cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("the records cannot be decompressed")]
    Codec(#[from] CodecError),
}

/// The uncompressed batch with its records compressed, and the checksum made right.
///
/// # Panics
/// If `batch` is not one whole batch.
pub fn compress(batch: &[u8], compression: Compression) -> Bytes {
    with_records(batch, compression, &encode(&batch[HEADER_SIZE_BYTES..], compression))
}

/// The batch with its records as they were before they were compressed. An error if more than
/// `records_bytes_max` bytes come out. Does not check the CRC.
pub fn open(batch: &[u8], records_bytes_max: u64) -> Result<Bytes, OpenError> {
    let header = BatchHeader::read(batch)?;
    let whole = batch.get(..header.size_bytes()).ok_or(BatchError::Truncated {
        needed_bytes: header.size_bytes(),
        available_bytes: batch.len(),
    })?;
    let records = &whole[HEADER_SIZE_BYTES..];
    let mut decoder = Decoder::new(header.compression()?, records, records_bytes_max);
    let mut opened = Vec::with_capacity(records.len() * 2);
    let mut piece = vec![0; OPENED_PIECE_BYTES];
    while !decoder.is_finished() {
        let decoded = decoder.decode(&mut piece)?;
        opened.extend_from_slice(&piece[..decoded.produced_bytes]);
    }
    Ok(with_records(whole, Compression::None, &opened))
}

/// The batch with these bytes in the place of its records, said to be compressed so, and with the
/// checksum made right. Whether they are is the caller's affair.
///
/// # Panics
/// If `batch` has no whole header, or the new one would be longer than a batch can be.
pub fn with_records(batch: &[u8], compression: Compression, records: &[u8]) -> Bytes {
    let mut out = [&batch[..HEADER_SIZE_BYTES], records].concat();
    let length = i32::try_from(out.len() - LENGTH_PLACE.end).expect("batches are far smaller");
    out[LENGTH_PLACE].copy_from_slice(&length.to_be_bytes());
    out[ATTRIBUTES_PLACE] = out[ATTRIBUTES_PLACE] & !CODEC_BITS | compression as u8;
    let time = BatchHeader::read(&out).expect("it has a header").max_timestamp;
    // Writes the CRC as well.
    set_max_timestamp(&mut out, time);
    Bytes::from(out)
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
        Compression::Snappy => {
            let mut out = XERIAL_HEADER.to_vec();
            let mut encoder = snap::raw::Encoder::new();
            for block in records.chunks(XERIAL_BLOCK_BYTES) {
                let block = encoder.compress_vec(block).expect(IN_MEMORY);
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
            let size_bytes =
                zstd_safe::compress(&mut out[..], records, ZSTD_LEVEL).expect(IN_MEMORY);
            out.truncate(size_bytes);
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;
    use model::record_batch::{BatchBuilder, NewRecord, ProducerStamp, check_crc};

    /// Nineteen records of 5000 like bytes.
    fn batch() -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        let value = [7; 5000];
        for time in 1..20 {
            let (timestamp, key) = (Timestamp(time), None);
            builder.push(&NewRecord { timestamp, key, value: Some(&value), headers: &[] });
        }
        builder.finish(ProducerStamp::NONE)
    }

    #[test]
    fn what_is_compressed_is_smaller_and_opened_as_it_was() {
        let batch = batch();
        for compression in CODECS {
            let compressed = compress(&batch, compression);
            assert!(compressed.len() < batch.len() / 2, "{compression:?}");
            check_crc(&compressed).unwrap();
            let header = BatchHeader::read(&compressed).unwrap();
            assert_eq!(header.compression(), Ok(compression));
            assert_eq!(open(&compressed, 100_000).unwrap(), batch, "{compression:?}");
            let followed = [&compressed[..], b"another batch"].concat();
            assert_eq!(open(&followed, 100_000).unwrap(), batch, "{compression:?}");
        }
        assert_eq!(open(&batch, 100_000).unwrap(), batch);
    }

    #[test]
    fn what_is_cut_or_too_large_is_not_opened() {
        for compression in CODECS {
            let compressed = compress(&batch(), compression);
            let cut = open(&compressed[..compressed.len() - 3], 100_000);
            assert!(matches!(cut, Err(OpenError::Batch(BatchError::Truncated { .. }))), "{cut:?}");
            let records = &compressed[HEADER_SIZE_BYTES..compressed.len() - 3];
            let cut = open(&with_records(&compressed, compression, records), 100_000);
            assert!(matches!(cut, Err(OpenError::Codec(_))), "{compression:?}: {cut:?}");
            let large = open(&compressed, 50_000);
            let too_large = Err(OpenError::Codec(CodecError::TooLarge { limit_bytes: 50_000 }));
            assert_eq!(large, too_large, "{compression:?}");
        }
    }
}
