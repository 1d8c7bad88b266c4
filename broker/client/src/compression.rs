//! Batches with their records compressed, and opened again.
//!
//! Codecs write what Kafka's own clients write at their usual levels (`model::codec::encode`).
//!
//! Guarantees: what is compressed is opened to the very bytes that it was. Does not know: records,
//! and from which version of a request on a codec may be used.

use bytes::Bytes;
use model::codec::{CodecError, Decoder, encode};
use model::record_batch::{self, BatchError, BatchHeader, Compression, HEADER_SIZE_BYTES};

/// All but none.
pub const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

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
    with_records(batch, compression, &encode(&batch[HEADER_SIZE_BYTES..], compression, None))
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
    Bytes::from(record_batch::with_records(batch, compression, records))
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
