use super::*;

#[test]
fn a_buffer_starts_at_a_block_boundary_whatever_its_size() {
    for size_bytes in [0, 1, 4095, 4096, 65_536, 100_000, 5 << 20] {
        let buf = AlignedBuf::zeroed(size_bytes);
        assert_eq!(buf.as_ptr() as usize % BLOCK_SIZE_BYTES, 0);
        assert_eq!(buf.len(), size_bytes);
        assert!(buf.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn growing_keeps_the_bytes_and_padding_adds_zeros() {
    let mut buf = AlignedBuf::with_capacity(1);
    let expected: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    for piece in expected.chunks(777) {
        buf.extend_from_slice(piece);
    }
    assert_eq!(&buf[..], &expected[..]);
    buf.pad_to_block();
    assert_eq!(buf.len(), 200_704);
    assert!(buf[200_000..].iter().all(|byte| *byte == 0));
}

#[test]
fn memory_that_was_used_before_comes_back_clean_where_zeros_are_asked_for() {
    let mut used = AlignedBuf::zeroed(65_536);
    used.fill(0xff);
    drop(used);
    assert!(AlignedBuf::zeroed(65_536).iter().all(|byte| *byte == 0));
}

#[test]
fn a_frozen_buffer_keeps_its_address() {
    let mut buf = AlignedBuf::with_capacity(8192);
    buf.extend_from_slice(b"abc");
    let address = buf.as_ptr();
    let frozen = buf.freeze();
    assert_eq!(frozen.as_ptr(), address);
    assert_eq!(&frozen[..], b"abc");
}
