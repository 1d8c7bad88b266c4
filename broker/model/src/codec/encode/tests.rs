//! What is encoded here is decoded here, at every level.

use std::io::Read;

use lz4_flex::frame::{BlockSize, FrameDecoder, FrameInfo};

use super::super::Decoder;
use super::super::testing::{lz4, mixed};
use super::{Encoder, encode};
use crate::record_batch::Compression;

fn decode(compression: Compression, input: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(compression, input, u64::MAX);
    let (mut piece, mut out) = (vec![0; 64 << 10], Vec::new());
    while !decoder.is_finished() {
        let decoded = decoder.decode(&mut piece).unwrap();
        out.extend_from_slice(&piece[..decoded.produced_bytes]);
    }
    out
}

#[test]
fn what_is_encoded_is_decoded() {
    for size_bytes in [1, 100, 32 << 10, (64 << 10) + 1, 300_000] {
        let bytes = mixed(size_bytes);
        for compression in Compression::ALL {
            let encoded = encode(&bytes, compression, None);
            assert!(decode(compression, &encoded) == bytes, "{compression:?} of {size_bytes}");
        }
    }
}

#[test]
fn a_higher_level_makes_fewer_bytes() {
    let bytes = mixed(300_000);
    for (compression, levels) in
        [(Compression::Gzip, vec![1, 6, 9]), (Compression::Zstd, vec![-131_072, -5, 3, 19, 22])]
    {
        let sizes: Vec<usize> = levels
            .into_iter()
            .map(|level| {
                let encoded = encode(&bytes, compression, Some(level));
                assert!(decode(compression, &encoded) == bytes, "{compression:?} {level}");
                encoded.len()
            })
            .collect();
        assert!(sizes.is_sorted_by(|more, fewer| fewer <= more), "{compression:?}: {sizes:?}");
        assert!(sizes[sizes.len() - 1] < sizes[0], "{compression:?}: {sizes:?}");
    }
    for (compression, usual) in [(Compression::Gzip, -1), (Compression::Zstd, 3)] {
        let encoded = encode(&bytes, compression, Some(usual));
        assert!(encoded == encode(&bytes, compression, None), "{compression:?}");
    }
    // These have one.
    for compression in [Compression::None, Compression::Snappy, Compression::Lz4] {
        let encoded = encode(&bytes, compression, Some(9));
        assert!(encoded == encode(&bytes, compression, None), "{compression:?}");
    }
}

#[test]
fn a_piece_at_a_time_is_decoded_as_well() {
    let bytes = mixed(300_000);
    let levels = [(Compression::Zstd, Some(9)), (Compression::Gzip, Some(1))];
    for (compression, level) in
        Compression::ALL.map(|codec| (codec, None)).into_iter().chain(levels)
    {
        for piece_bytes in [1, 1000, 16 << 10, 64 << 10, 70_000] {
            let before = b"before".to_vec();
            let mut encoder = Encoder::new(compression, level, bytes.len(), before);
            for piece in bytes.chunks(piece_bytes) {
                encoder.encode(piece);
            }
            let encoded = encoder.finish(&[]);
            assert_eq!(encoded[..6], *b"before");
            let decoded = decode(compression, &encoded[6..]);
            assert!(decoded == bytes, "{compression:?} {level:?} in {piece_bytes}");
        }
    }
}

#[test]
fn memory_is_bounded_at_every_level_whatever_the_size() {
    let piece = mixed(32 << 10);
    for size_bytes in [64 << 10, 1 << 20, 20 << 20, 1 << 30] {
        for level in (1..=22).chain([-131_072, -5]) {
            let mut encoder = Encoder::new(Compression::Zstd, Some(level), size_bytes, Vec::new());
            encoder.encode(&piece);
            let memory_bytes = encoder.memory_bytes();
            assert!(memory_bytes <= 20 << 20, "{level}, {size_bytes}: {memory_bytes} bytes");
        }
    }
}

#[test]
fn what_does_not_compress_hardly_grows() {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56).to_le_bytes()[0]
    })
    .take(200_000)
    .collect();
    for compression in Compression::ALL {
        let encoded = encode(&noise, compression, None);
        assert!(encoded.len() < noise.len() + 200, "{compression:?}: {}", encoded.len());
        assert!(decode(compression, &encoded) == noise, "{compression:?}");
    }
}

#[test]
fn lz4_frames_are_those_of_its_library() {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB);
    for bytes in [Vec::new(), mixed(1), mixed(200_000)] {
        let encoded = encode(&bytes, Compression::Lz4, None);
        assert_eq!(encoded[..7], lz4(&bytes, info.clone())[..7]);
        let mut decoded = Vec::new();
        FrameDecoder::new(&encoded[..]).read_to_end(&mut decoded).unwrap();
        assert!(decoded == bytes);
    }
}
