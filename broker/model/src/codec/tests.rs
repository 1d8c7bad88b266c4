//! What other libraries encode comes out again; what nobody encodes takes neither memory nor time.

use lz4_flex::frame::{BlockSize, FrameInfo};
use proptest::prelude::*;
use twox_hash::XxHash32;

use super::testing::{ENCODERS, Encoder, lz4, mixed, xerial, zstd};
use super::*;

const PIECE_BYTES: usize = 64 << 10;
const MIB: usize = 1 << 20;

/// Decodes to the end in pieces of a size, and holds the decoder to its bounds on the way.
fn decode(
    compression: Compression,
    input: &[u8],
    limit_bytes: usize,
    piece_bytes: usize,
) -> Result<Vec<u8>, CodecError> {
    let memory_bytes_max = match compression {
        Compression::None => 0,
        Compression::Gzip => 64 << 10,
        Compression::Snappy => SNAPPY_RATIO_MAX * input.len() + 64,
        Compression::Lz4 => 256 << 10,
        Compression::Zstd => ZSTD_WINDOW_BYTES_MAX + (512 << 10),
    };
    let mut decoder = Decoder::new(compression, input, limit_bytes as u64);
    let mut piece = vec![0; piece_bytes];
    let mut out = Vec::new();
    let mut calls_count = 0;
    while !decoder.is_finished() {
        let decoded = decoder.decode(&mut piece);
        let memory_bytes = decoder.memory_bytes();
        assert!(memory_bytes <= memory_bytes_max, "{memory_bytes} bytes of memory");
        let decoded = decoded?;
        out.extend_from_slice(&piece[..decoded.produced_bytes]);
        assert!(out.len() <= limit_bytes);
        calls_count += 1;
        assert!(calls_count <= input.len() + out.len() + 1, "every call goes on");
    }
    Ok(out)
}

fn whole(compression: Compression, input: &[u8]) -> Result<Vec<u8>, CodecError> {
    decode(compression, input, 64 * MIB, PIECE_BYTES)
}

fn what(result: Result<Vec<u8>, CodecError>) -> String {
    match result {
        Ok(out) => format!("{} bytes", out.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_others_encode_is_decoded() {
    for size_bytes in [1, 2, 100, 32 << 10, (64 << 10) + 1, 300_000, 5 * MIB] {
        let bytes = mixed(size_bytes);
        for encoder in ENCODERS {
            let encoded = encoder.encode(&bytes);
            for piece_bytes in [PIECE_BYTES, 1000] {
                let out = decode(encoder.compression(), &encoded, size_bytes, piece_bytes);
                assert!(out.unwrap() == bytes, "{encoder:?} of {size_bytes} in {piece_bytes}");
            }
        }
    }
    let bytes = mixed(3 * MIB);
    for level in [-5, 1, 9, 19] {
        assert!(whole(Compression::Zstd, &zstd(&bytes, level)).unwrap() == bytes, "{level}");
    }
    for size in [BlockSize::Max256KB, BlockSize::Max1MB] {
        let encoded = lz4(&bytes, FrameInfo::new().block_size(size));
        assert!(whole(Compression::Lz4, &encoded).unwrap() == bytes);
    }
}

#[test]
fn several_members_and_frames_follow_each_other() {
    let twice = |encoder: Encoder| [encoder.encode(b"first "), encoder.encode(b"second")].concat();
    for encoder in [Encoder::Gzip, Encoder::Zstd] {
        let out = whole(encoder.compression(), &twice(encoder)).unwrap();
        assert_eq!(out, b"first second");
    }
    // Clients read one frame and one bare block.
    for (encoder, expected) in [
        (Encoder::Lz4, "lz4 data: bytes after the frame"),
        (Encoder::SnappyBare, "snappy data: a block is longer than it says"),
    ] {
        assert_eq!(what(whole(encoder.compression(), &twice(encoder))), expected);
    }
}

#[test]
fn nothing_is_whole_that_is_cut_or_has_more_behind_it() {
    let bytes = mixed(3000);
    for encoder in ENCODERS.into_iter().skip(1) {
        let encoded = encoder.encode(&bytes);
        for size in 0..encoded.len() {
            let out = whole(encoder.compression(), &encoded[..size]);
            // The xerial framing does not say how many blocks there are.
            let is_whole = encoder == Encoder::SnappyXerial && size == 16;
            assert_eq!(out.is_ok(), is_whole, "{encoder:?}: {size} of {}", encoded.len());
        }
        let longer = [&encoded[..], &[7]].concat();
        assert!(whole(encoder.compression(), &longer).is_err(), "{encoder:?}");
    }
}

#[test]
fn checksums_are_checked() {
    let bytes = mixed(3000);
    for (encoder, from_end) in
        // Of the content, its length behind it; of the content; of the only block, end mark behind.
        [(Encoder::Gzip, 5), (Encoder::Lz4Checked, 1), (Encoder::Lz4Checked, 9)]
    {
        let mut encoded = encoder.encode(&bytes);
        let position = encoded.len() - from_end;
        encoded[position] ^= 1;
        assert!(whole(encoder.compression(), &encoded).is_err(), "{encoder:?} {from_end}");
    }
}

#[test]
fn no_more_comes_out_than_is_allowed() {
    let bytes = mixed(200_000);
    for encoder in ENCODERS {
        let encoded = encoder.encode(&bytes);
        let limit_bytes = bytes.len() - 1;
        let out = decode(encoder.compression(), &encoded, limit_bytes, PIECE_BYTES);
        assert_eq!(out, Err(CodecError::TooLarge { limit_bytes: limit_bytes as u64 }));
    }
}

#[test]
fn bombs_take_no_memory() {
    let zeros = vec![0; 64 * MIB];
    for encoder in ENCODERS.into_iter().skip(1) {
        let bomb = encoder.encode(&zeros);
        let ratio = zeros.len() / bomb.len();
        let ratio_min = match encoder.compression() {
            Compression::None | Compression::Snappy => 20,
            Compression::Gzip => 1000,
            Compression::Lz4 => 200,
            Compression::Zstd => 10_000,
        };
        assert!(ratio_min <= ratio, "{encoder:?}: {ratio}");
        // `decode` looks at the memory.
        let out = decode(encoder.compression(), &bomb, zeros.len(), PIECE_BYTES).unwrap();
        assert!(out == zeros, "{encoder:?}");
        let out = decode(encoder.compression(), &bomb, MIB, PIECE_BYTES);
        assert_eq!(out, Err(CodecError::TooLarge { limit_bytes: MIB as u64 }));
    }
}

#[test]
fn a_window_of_zstd_is_at_most_8_mib() {
    // A frame of one raw block of one byte, with a window of 1 KiB times two to the exponent.
    let frame = |exponent: u8| {
        [&[0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3][..], &[0b0000_1001, 0, 0, b'x']].concat()
    };
    assert_eq!(whole(Compression::Zstd, &frame(13)).unwrap(), b"x");
    for exponent in [14, 17, 21, 31] {
        let refused = "zstd data: Frame requires too much memory for decoding";
        assert_eq!(what(whole(Compression::Zstd, &frame(exponent))), refused, "{exponent}");
    }
    // A single segment of 2 GiB has a window of its size.
    let single =
        [&[0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000][..], &(1_u32 << 31).to_le_bytes()].concat();
    let refused = "zstd data: Frame requires too much memory for decoding";
    assert_eq!(what(whole(Compression::Zstd, &single)), refused);
}

#[test]
fn sizes_that_snappy_declares_are_not_believed() {
    let check = |input: &[u8], expected: &str| {
        assert_eq!(what(whole(Compression::Snappy, input)), expected, "{input:?}");
    };
    // 4 GiB less one.
    check(&[0xff, 0xff, 0xff, 0xff, 0xf, 0], "more than 67108864 bytes after decompression");
    check(&[0xff, 0xff, 0xff, 0xff, 0x1f, 0], "snappy data: a length of more than 32 bits");
    check(&[0xff; 9], "snappy data: a length of more than 32 bits");
    check(&[100, 0, b'x'], "snappy data: a length that its bytes cannot yield");
    check(&[2, 0, b'x'], "snappy data: a block yields less than it says");
    check(&[1, 0, b'x', 0], "snappy data: a block is longer than it says");
    check(&[1, 4, b'x', b'x'], "snappy data: a block yields more than it says");
    check(&[5, 0, b'x', 1, 2], "snappy data: a reference before the beginning of a block");
    check(&[], "snappy data are cut off");
    let xerial = |size: i32, rest: &[u8]| {
        [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..], &size.to_be_bytes(), rest].concat()
    };
    check(&xerial(3, &[1, 0, b'x']), "1 bytes");
    check(&xerial(-1, &[1, 0, b'x']), "snappy data: a block of negative size");
    check(&xerial(i32::MIN, &[1, 0, b'x']), "snappy data: a block of negative size");
    check(&xerial(i32::MAX, &[1, 0, b'x']), "snappy data are cut off");
    check(&xerial(0, &[]), "snappy data are cut off");
    check(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\0", "snappy data: a version before the first");
}

/// A frame with these flags and sizes, its header's checksum made right, and what follows.
fn lz4_frame(flags: u8, block_size: u8, content_size: Option<u64>, rest: &[u8]) -> Vec<u8> {
    let mut descriptor = vec![flags, block_size];
    descriptor.extend(content_size.into_iter().flat_map(u64::to_le_bytes));
    let [_, checksum, ..] = XxHash32::oneshot(0, &descriptor).to_le_bytes();
    [&[4, 0x22, 0x4d, 0x18], &descriptor[..], &[checksum], rest].concat()
}

#[test]
fn an_lz4_frame_is_what_clients_can_read() {
    let check = |input: &[u8], expected: &str| {
        assert_eq!(what(whole(Compression::Lz4, input)), expected, "{input:?}");
    };
    const PLAIN: u8 = 0b0110_0000;
    let stored = [1, 0, 0, 0x80, b'x', 0, 0, 0, 0];
    check(&lz4_frame(PLAIN, 0x40, None, &stored), "1 bytes");
    check(&lz4_frame(PLAIN, 0x40, None, &[0; 4]), "0 bytes");
    check(&lz4_frame(PLAIN | 8, 0x40, Some(1), &stored), "1 bytes");
    let lie = "lz4 data: the content has not the size that the frame says";
    check(&lz4_frame(PLAIN | 8, 0x40, Some(u64::MAX), &stored), lie);
    check(&lz4_frame(0b0100_0000, 0x40, None, &stored), "lz4 data: blocks depend on each other");
    check(&lz4_frame(PLAIN | 1, 0x40, None, &stored), "lz4 data: a dictionary is needed");
    check(&lz4_frame(PLAIN | 2, 0x40, None, &stored), "lz4 data: a reserved bit is set");
    check(&lz4_frame(PLAIN, 0x41, None, &stored), "lz4 data: a reserved bit is set");
    check(&lz4_frame(PLAIN, 0x30, None, &stored), "lz4 data: an unknown size of blocks");
    let version = "lz4 data: a version of the frame that is not 1";
    check(&lz4_frame(0b1010_0000, 0x40, None, &stored), version);
    check(&lz4_frame(PLAIN, 0x40, None, &stored)[1..], "lz4 data: no frame");
    let mut wrong = lz4_frame(PLAIN, 0x40, None, &stored);
    wrong[6] ^= 1;
    check(&wrong, "lz4 data: the checksum of the frame's header is wrong");
    let block = |bytes: &[u8]| {
        let size = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        lz4_frame(PLAIN, 0x40, None, &[&size[..], bytes, &[0; 4]].concat())
    };
    check(&block(&[0x10, b'x', 1, 0, 0x10, b'y']), "6 bytes");
    check(
        &block(&[0x10, b'x', 2, 0, 0x10, b'y']),
        "lz4 data: a reference before the beginning of a block",
    );
    check(
        &block(&[0x10, b'x', 0, 0, 0x10, b'y']),
        "lz4 data: a reference before the beginning of a block",
    );
    check(&block(&[0x10, b'x', 1, 0]), "lz4 data: a block ends within a sequence");
    check(&block(&[0x10, b'x', 1]), "lz4 data: a block ends within a sequence");
    check(&block(&[0x20, b'x']), "lz4 data: a block ends within a sequence");
    let run = [&[0x1f, b'x', 1, 0][..], &[0xff; 300], &[0, 0x10, b'y']].concat();
    check(&block(&run), "lz4 data: a block yields more than the frame allows");
    let large = lz4_frame(PLAIN, 0x40, None, &[1, 0, 1, 0]);
    check(&large, "lz4 data: a block is larger than the frame allows");
}

#[test]
fn many_blocks_of_nothing_end() {
    // A block of a token without literals, which is the last one and yields nothing.
    let nothing = [1, 0, 0, 0, 0].repeat(200_000);
    let empty = lz4_frame(0b0110_0000, 0x40, None, &[&nothing[..], &[0; 4]].concat());
    assert_eq!(whole(Compression::Lz4, &empty), Ok(Vec::new()));
    for (encoder, count) in [(Encoder::Gzip, 8), (Encoder::Zstd, 5000)] {
        let nothing = encoder.encode(&[]).repeat(count);
        assert_eq!(whole(encoder.compression(), &nothing), Ok(Vec::new()));
    }
    let chunks = [&xerial(&[], 1)[..], &[0, 0, 0, 1, 0].repeat(5000)].concat();
    assert_eq!(whole(Compression::Snappy, &chunks), Ok(Vec::new()));
}

fn any_encoder() -> impl Strategy<Value = Encoder> {
    proptest::sample::select(&ENCODERS[1..])
}

proptest! {
    #[test]
    fn no_bytes_panic_or_exceed_a_bound(
        encoder in any_encoder(),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        piece_bytes in 1..300_usize,
    ) {
        let _ = decode(encoder.compression(), &bytes, 10_000, piece_bytes);
        // Behind what a stream begins with, so that more than the first check is reached.
        let mut begun = encoder.encode(&[]);
        begun.truncate(match encoder.compression() {
            Compression::Gzip => 10,
            Compression::Lz4 => 7,
            Compression::Zstd => 6,
            Compression::None | Compression::Snappy => 16,
        });
        begun.extend(&bytes);
        let _ = decode(encoder.compression(), &begun, 10_000, piece_bytes);
    }

    #[test]
    fn no_damage_panics_or_exceeds_a_bound(
        encoder in any_encoder(),
        size_bytes in 0..5000_usize,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..5),
        piece_bytes in 1..3000_usize,
    ) {
        let mut encoded = encoder.encode(&mixed(size_bytes));
        for (position, byte) in damage {
            let position = position.index(encoded.len());
            encoded[position] = byte;
        }
        let _ = decode(encoder.compression(), &encoded, 10_000, piece_bytes);
    }

    #[test]
    fn any_bytes_come_out_as_they_went_in(
        encoder in any_encoder(),
        bytes in proptest::collection::vec(0..4_u8, 0..3000),
        piece_bytes in 1..3000_usize,
    ) {
        let out = decode(encoder.compression(), &encoder.encode(&bytes), bytes.len(), piece_bytes);
        prop_assert_eq!(out, Ok(bytes));
    }
}

/// A frame of 527 bytes by its header, with nothing in it. The library notices only if its output has
/// room for all of them.
#[test]
fn a_frame_of_zstd_has_the_size_that_it_says() {
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x0f, 0x01, 0x01, 0x00, 0x00];
    for piece_bytes in [1, 64 << 10] {
        let mut decoder = Decoder::new(Compression::Zstd, &frame, 1 << 20);
        let mut out = vec![0; piece_bytes];
        let mut result = Ok(());
        while result.is_ok() && !decoder.is_finished() {
            result = decoder.decode(&mut out).map(drop);
        }
        assert!(matches!(result, Err(CodecError::Corrupt { .. })), "{piece_bytes}: {result:?}");
    }
}

/// A member of gzip takes memory anew, however little is in it.
#[test]
fn a_crowd_of_small_members_of_gzip_is_refused_and_large_ones_are_not() {
    let noise: Vec<u8> = (0..5000_u32).map(|n| ((n * n) >> 7).to_le_bytes()[0]).collect();
    for (content, members_count, is_read) in
        [(&b"x"[..], 8, true), (b"x", 9, false), (&noise, 200, true)]
    {
        let member = Encoder::Gzip.encode(content);
        let input = member.repeat(members_count);
        let mut decoder = Decoder::new(Compression::Gzip, &input, u64::MAX);
        let mut out = vec![0; 64 << 10];
        let mut result = Ok(());
        while result.is_ok() && !decoder.is_finished() {
            result = decoder.decode(&mut out).map(drop);
        }
        assert_eq!(result.is_ok(), is_read, "{members_count} of {}: {result:?}", member.len());
    }
}
