//! Each type in both formats, at its limits and past them.

use expect_test::{Expect, expect};

use super::*;

const CLASSIC: Format = Format { version: 0, flexible: false };
const FLEXIBLE: Format = Format { version: 9, flexible: true };

/// Reads a `T` off `bytes` and shows it, with what is left.
fn read<T: Value + std::fmt::Debug>(bytes: &'static [u8], format: Format) -> String {
    let frame = Bytes::from_static(bytes);
    let mut input = Input::new(&frame);
    match T::decode(&mut input, format) {
        Ok(value) => format!("{value:?}, {} left", input.remaining_bytes()),
        Err(error) => error.fault.to_string(),
    }
}

/// Shows what `value` is written as, and checks that it reads back.
fn written<T: Value + std::fmt::Debug>(value: &T, format: Format) -> String {
    let mut out = Output::new();
    value.encode(&mut out, format).unwrap();
    let frame = out.finish("test").unwrap().contiguous().unwrap().slice(4..);
    let mut input = Input::new(&frame);
    assert_eq!(T::decode(&mut input, format).as_ref(), Ok(value));
    assert_eq!(input.remaining_bytes(), 0);
    assert!(T::size_bytes_min(format) <= frame.len());
    frame.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(found: [String; 2], expected: Expect) {
    expected.assert_eq(&found.join("\n"));
}

/// What `value` is written as in the classic format and in the flexible one.
fn both<T: Value + std::fmt::Debug>(value: T) -> [String; 2] {
    [CLASSIC, FLEXIBLE].map(|format| written(&value, format))
}

#[test]
fn null_and_empty_are_told_apart() {
    assert_eq!(both(None::<Vec<Text>>), ["ff ff ff ff", "00"]);
    assert_eq!(both(Some(Vec::<Text>::new())), ["00 00 00 00", "01"]);
    assert_eq!(both(None::<Text>), ["ff ff", "00"]);
    assert_eq!(both(Some(Text::default())), ["00 00", "01"]);
    assert_eq!(both(None::<Bytes>), ["ff ff ff ff", "00"]);
    assert_eq!(both(Some(Bytes::new())), ["00 00 00 00", "01"]);
    assert_eq!(both(None::<Records>), ["ff ff ff ff", "00"]);
    assert_eq!(both(Some(Records::new())), ["00 00 00 00", "01"]);
}

#[test]
fn lengths_are_classic_or_compact() {
    assert_eq!(both(Text::from("né")), ["00 03 6e c3 a9", "04 6e c3 a9"]);
    assert_eq!(both(vec![1_i8, -1]), ["00 00 00 02 01 ff", "03 01 ff"]);
    assert_eq!(both(Bytes::from_static(b"ab")), ["00 00 00 02 61 62", "03 61 62"]);
    let long = written(&Text::from("x".repeat(127)), FLEXIBLE);
    assert!(long.starts_with("80 01 78"), "{long}");
}

#[test]
fn numbers_are_big_endian() {
    assert_eq!(written(&0x0102_i16, CLASSIC), "01 02");
    assert_eq!(written(&-2_i32, CLASSIC), "ff ff ff fe");
    assert_eq!(written(&Offset(0x0102_0304_0506_0708), CLASSIC), "01 02 03 04 05 06 07 08");
    assert_eq!(written(&ErrorCode::UnsupportedVersion, CLASSIC), "00 23");
    assert_eq!(written(&true, CLASSIC), "01");
    assert_eq!(read::<bool>(&[7], CLASSIC), "true, 0 left");
    assert_eq!(written(&Float64(-1.5), CLASSIC), "bf f8 00 00 00 00 00 00");
}

#[test]
fn numbers_with_a_fraction_are_compared_by_their_bits() {
    assert_eq!(written(&Float64(f64::NAN), FLEXIBLE), "7f f8 00 00 00 00 00 00");
    assert_eq!(Float64(f64::NAN), Float64(f64::NAN));
    assert_ne!(Float64(0.0), Float64(-0.0));
    assert_eq!(Float64::schema_default(), Float64(0.0));
}

#[test]
fn null_is_refused_where_there_is_none() {
    check(
        [read::<Text>(&[0xff, 0xff], CLASSIC), read::<Text>(&[0], FLEXIBLE)],
        expect![[r#"
            null is not allowed in version 0
            null is not allowed in version 9"#]],
    );
    check(
        [read::<Vec<i8>>(&[0xff; 4], CLASSIC), read::<Vec<i8>>(&[0], FLEXIBLE)],
        expect![[r#"
            null is not allowed in version 0
            null is not allowed in version 9"#]],
    );
    check(
        [read::<Bytes>(&[0xff; 4], CLASSIC), read::<Bytes>(&[0], FLEXIBLE)],
        expect![[r#"
            null is not allowed in version 0
            null is not allowed in version 9"#]],
    );
}

#[test]
fn only_minus_one_is_null() {
    check(
        [
            read::<Option<Text>>(&[0xff, 0xfe], CLASSIC),
            read::<Option<Vec<i8>>>(&[0xff, 0xff, 0xff, 0xfe], CLASSIC),
        ],
        expect![[r#"
            negative length -2
            negative length -2"#]],
    );
}

#[test]
fn a_length_past_the_end_is_refused() {
    check(
        [read::<Text>(&[0, 3, b'a'], CLASSIC), read::<Text>(&[4, b'a'], FLEXIBLE)],
        expect![[r#"
            3 bytes needed, 1 left
            3 bytes needed, 1 left"#]],
    );
    check(
        [read::<Bytes>(&[0, 0, 0, 3, 1], CLASSIC), read::<Bytes>(&[4, 1], FLEXIBLE)],
        expect![[r#"
            3 bytes needed, 1 left
            3 bytes needed, 1 left"#]],
    );
    check(
        [read::<Vec<i32>>(&[0, 0, 0, 2, 0, 0, 0], CLASSIC), read::<Vec<i32>>(&[3, 0], FLEXIBLE)],
        expect![[r#"
            2 elements of at least 4 bytes, 3 bytes left
            2 elements of at least 4 bytes, 1 bytes left"#]],
    );
    check(
        [
            read::<Vec<Text>>(&[0x7f, 0xff, 0xff, 0xff], CLASSIC),
            read::<Vec<Text>>(&[0xff, 0xff, 0xff, 0xff, 0x0f], FLEXIBLE),
        ],
        expect![[r#"
            2147483647 elements of at least 2 bytes, 0 bytes left
            4294967294 elements of at least 1 bytes, 0 bytes left"#]],
    );
}

#[test]
fn a_varint_of_more_than_32_bits_is_refused() {
    check(
        [
            read::<Text>(&[0x80, 0x80, 0x80, 0x80, 0x80, 0], FLEXIBLE),
            read::<Text>(&[0xff, 0xff, 0xff, 0xff, 0x1f], FLEXIBLE),
        ],
        expect![[r#"
            variable-length integer of more than 32 bits
            variable-length integer of more than 32 bits"#]],
    );
    check(
        [read::<Text>(&[0x81, 0x80, 0x00, 9], FLEXIBLE), read::<Text>(&[0x80], FLEXIBLE)],
        expect![[r#"
            "", 1 left
            1 bytes needed, 0 left"#]],
    );
}

#[test]
fn a_string_must_be_utf_8() {
    check(
        [read::<Text>(&[0, 2, b'a', 0xc3], CLASSIC), read::<Text>(&[2, 0xff], FLEXIBLE)],
        expect![[r#"
            not UTF-8 after 1 bytes
            not UTF-8 after 0 bytes"#]],
    );
}

#[test]
fn a_string_has_at_most_32767_bytes() {
    let longest = Text::from("x".repeat(32_767));
    assert_eq!(written(&longest, CLASSIC).len(), 3 * (2 + 32_767) - 1);
    assert_eq!(written(&longest, FLEXIBLE).len(), 3 * (3 + 32_767) - 1);
    for format in [CLASSIC, FLEXIBLE] {
        let error = Text::from("x".repeat(32_768)).encode(&mut Output::new(), format).unwrap_err();
        assert_eq!(error.fault, EncodeFault::TooLong { length: 32_768, length_max: 32_767 });
    }
    check(
        [read::<Text>(&[0x81, 0x80, 2], FLEXIBLE), read::<Text>(&[0x80, 0x80, 2], FLEXIBLE)],
        expect![[r#"
            string of 32768 bytes, at most 32767 allowed
            32767 bytes needed, 0 left"#]],
    );
}

#[test]
fn texts_share_the_memory_of_their_frame_until_detached() {
    let frame = Bytes::from_static(&[0, 3, b'a', b'b', b'c']);
    let text = Text::decode(&mut Input::new(&frame), CLASSIC).unwrap();
    assert_eq!(text, "abc");
    assert_eq!(text.as_ptr(), frame[2..].as_ptr());
    let detached = text.detached();
    assert_eq!(detached, text);
    assert_ne!(detached.as_ptr(), text.as_ptr());
}

#[test]
fn a_text_is_found_in_a_map_by_its_str() {
    let map = std::collections::BTreeMap::from([(Text::from("b"), 1), (Text::from("a"), 2)]);
    assert_eq!(map.get("a"), Some(&2));
    assert_eq!(map.keys().map(Text::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(Text::from_utf8(Bytes::from_static(&[0xff])).ok(), None);
    assert_eq!(format!("{0} {0:?}", Text::from(String::from("x\"y"))), "x\"y \"x\\\"y\"");
}
