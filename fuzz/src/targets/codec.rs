//! The decoders of each codec.

use model::codec::{CodecError, Decoder, SNAPPY_RATIO_MAX, ZSTD_WINDOW_BYTES_MAX};
use model::record_batch::Compression;

/// What may come out.
const LIMIT_BYTES: u64 = 1 << 20;
/// Large enough that memory is as documented, and one that ends within everything.
const PIECES: [usize; 2] = [64 << 10, 4093];

const XERIAL: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

pub(crate) fn gzip(input: &[u8]) {
    check(Compression::Gzip, input, 64 << 10);
}

pub(crate) fn snappy(input: &[u8]) {
    check(Compression::Snappy, input, SNAPPY_RATIO_MAX * input.len() + SLACK_BYTES);
}

/// The input stands after the magic of the framing.
pub(crate) fn xerial(input: &[u8]) {
    let stream = [XERIAL, input].concat();
    check(Compression::Snappy, &stream, SNAPPY_RATIO_MAX * input.len() + SLACK_BYTES);
}

pub(crate) fn lz4(input: &[u8]) {
    check(Compression::Lz4, input, 256 << 10);
}

pub(crate) fn zstd(input: &[u8]) {
    check(Compression::Zstd, input, ZSTD_WINDOW_BYTES_MAX + (512 << 10));
}

/// Behind what a block of snappy is believed to hold.
const SLACK_BYTES: usize = 128 << 10;

/// Decodes in pieces of different sizes, which must yield the same.
fn check(compression: Compression, input: &[u8], memory_bytes_max: usize) {
    let [one, other] = PIECES.map(|piece_bytes| {
        let mut sum = Sum::default();
        let ended = decode(compression, input, piece_bytes, memory_bytes_max, &mut sum);
        (ended, sum)
    });
    match (one, other) {
        ((Ok(()), one), (Ok(()), other)) => assert_eq!(one, other),
        // How much came before the fault depends on the pieces, and so which limit is met first.
        ((Err(_), _), (Err(_), _)) => {}
        (one, other) => panic!("{one:?} in large pieces, and {other:?} in small ones"),
    }
}

/// What came out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    size_bytes: u64,
    hash: u64,
}

fn decode(
    compression: Compression,
    input: &[u8],
    piece_bytes: usize,
    memory_bytes_max: usize,
    sum: &mut Sum,
) -> Result<(), CodecError> {
    let mut decoder = Decoder::new(compression, input, LIMIT_BYTES);
    let mut out = vec![0; piece_bytes];
    let mut consumed_bytes = 0;
    while !decoder.is_finished() {
        let decoded = decoder.decode(&mut out)?;
        assert!(0 < decoded.consumed_bytes + decoded.produced_bytes || decoder.is_finished());
        consumed_bytes += decoded.consumed_bytes;
        sum.size_bytes += decoded.produced_bytes as u64;
        for byte in &out[..decoded.produced_bytes] {
            sum.hash = (sum.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let memory_bytes = decoder.memory_bytes();
        assert!(memory_bytes <= memory_bytes_max, "{memory_bytes} of {memory_bytes_max} bytes");
    }
    assert_eq!(consumed_bytes, input.len(), "nothing is left over");
    assert!(sum.size_bytes <= LIMIT_BYTES);
    Ok(())
}
