//! What the language means, on a message that uses all of it.

use bytes::Bytes;
use expect_test::{Expect, expect};

use super::*;
use crate::Text;

messages! {
    #[allow(unreachable_pub, reason = "what a schema defines is public")]
    message Parcel: key 999, versions 0-10, flexible 5+ {
        weight: i16 [0+];
        sender: Option<Text> [1+, nullable 2+] = None;
        insured_for: i32 [2-3] = 100;
        note: Text [3+, ignorable];
        items: Vec<Item> [0+];
        stamps: Vec<i8> [5+, tag 0];
        label: Option<Text> [6+, nullable 6+, tag 1, ignorable] = None;
        wrapping: Option<Item> [10+, nullable 10+] = None;
    }

    #[allow(unreachable_pub, reason = "what a schema defines is public")]
    struct Item {
        name: Text [0+];
        fragile: bool [7+, tag 0];
    }
}

fn encode(parcel: &Parcel, version: i16) -> Result<Bytes, FieldError<EncodeFault>> {
    let mut out = Output::new();
    parcel.encode(&mut out, format_of::<Parcel>(version))?;
    Ok(out.finish("test").unwrap().contiguous().unwrap().slice(4..))
}

fn decode(bytes: &[u8], version: i16) -> Result<Parcel, FieldError<DecodeFault>> {
    let frame = Bytes::copy_from_slice(bytes);
    let mut input = Input::new(&frame);
    let parcel = Parcel::decode(&mut input, format_of::<Parcel>(version))?;
    assert_eq!(input.remaining_bytes(), 0);
    Ok(parcel)
}

/// Shows `parcel` as bytes or as the error, and checks that the bytes read back as `expected`.
#[track_caller]
fn check(parcel: &Parcel, version: i16, expected: Expect) {
    let shown = match encode(parcel, version) {
        Ok(bytes) => {
            assert!(Parcel::size_bytes_min(format_of::<Parcel>(version)) <= bytes.len());
            assert_eq!(decode(&bytes, version).as_ref(), Ok(parcel));
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&shown);
}

#[track_caller]
fn check_refused(bytes: &[u8], version: i16, expected: Expect) {
    expected.assert_eq(&decode(bytes, version).unwrap_err().to_string());
}

fn item(name: &'static str, fragile: bool) -> Item {
    Item { name: Text::from(name), fragile }
}

#[test]
fn defaults_are_the_schemas() {
    expect![[r#"
        Parcel {
            weight: 0,
            sender: None,
            insured_for: 100,
            note: "",
            items: [],
            stamps: [],
            label: None,
            wrapping: None,
        }
    "#]]
    .assert_debug_eq(&Parcel::default());
}

#[test]
fn a_version_has_its_fields_and_no_others() {
    let mut parcel = Parcel { weight: 1, items: vec![item("a", false)], ..Parcel::default() };
    check(&parcel, 0, expect!["00 01 00 00 00 01 00 01 61"]);
    check(&parcel, 2, expect!["00 01 ff ff 00 00 00 64 00 00 00 01 00 01 61"]);
    check(&parcel, 5, expect!["00 01 00 01 02 02 61 00 00"]);
    parcel.stamps = vec![7, 8];
    parcel.label = Some(Text::from("l"));
    parcel.items = vec![item("a", true)];
    check(&parcel, 7, expect!["00 01 00 01 02 02 61 01 00 01 01 02 00 03 03 07 08 01 02 02 6c"]);
}

#[test]
fn what_a_version_would_lose_is_an_error() {
    check(
        &Parcel { sender: Some(Text::from("s")), ..Parcel::default() },
        0,
        expect!["Parcel.sender: not in version 0"],
    );
    check(
        &Parcel { insured_for: 101, ..Parcel::default() },
        4,
        expect!["Parcel.insured_for: not in version 4"],
    );
    check(
        &Parcel { stamps: vec![1], ..Parcel::default() },
        4,
        expect!["Parcel.stamps: not in version 4"],
    );
    check(
        &Parcel { items: vec![item("a", true)], ..Parcel::default() },
        6,
        expect!["Item.fragile: not in version 6"],
    );
}

#[test]
fn what_is_ignorable_is_left_out() {
    let parcel = Parcel {
        note: Text::from("n"),
        label: Some(Text::from("l")),
        sender: Some(Text::default()),
        ..Parcel::default()
    };
    let bytes = encode(&parcel, 1).unwrap();
    let left = Parcel { sender: Some(Text::default()), ..Parcel::default() };
    assert_eq!(decode(&bytes, 1), Ok(left));
}

#[test]
fn null_needs_a_version_that_allows_it() {
    let parcel = Parcel::default();
    check(&parcel, 1, expect!["Parcel.sender: null is not allowed in version 1"]);
    check(&parcel, 2, expect!["00 00 ff ff 00 00 00 64 00 00 00 00"]);
    check_refused(
        &[0, 0, 0xff, 0xff, 0, 0, 0, 0],
        1,
        expect!["Parcel.sender: null is not allowed in version 1"],
    );
}

#[test]
fn a_byte_says_whether_a_struct_is_null() {
    let mut parcel = Parcel { sender: Some(Text::default()), ..Parcel::default() };
    check(&parcel, 10, expect!["00 00 01 01 01 ff 00"]);
    parcel.wrapping = Some(item("w", true));
    check(&parcel, 10, expect!["00 00 01 01 01 01 02 77 01 00 01 01 00"]);
    // Every negative number is null, every other is not.
    let with = |byte: u8| [0, 0, 1, 1, 1, byte, 0];
    assert_eq!(decode(&with(0x80), 10).unwrap().wrapping, None);
    let empty = [0, 0, 1, 1, 1, 0, 1, 0, 0];
    assert_eq!(decode(&empty, 10).unwrap().wrapping, Some(item("", false)));
    check_refused(&with(1), 10, expect!["Item.name: null is not allowed in version 10"]);
    check_refused(&[0, 0, 1, 1, 1], 10, expect!["Parcel.wrapping: 1 bytes needed, 0 left"]);
}

#[test]
fn a_tagged_field_with_its_default_is_not_written() {
    let bytes = encode(&Parcel { sender: Some(Text::default()), ..Parcel::default() }, 9).unwrap();
    assert_eq!(bytes.last(), Some(&0));
    // ... but may be there: tag 0 with an empty array, tag 1 with null.
    let bytes = [0, 0, 0, 1, 1, 2, 0, 1, 1, 1, 1, 0];
    assert_eq!(decode(&bytes, 9), Ok(Parcel::default()));
}

#[test]
fn unknown_tagged_fields_are_skipped_at_every_level() {
    let plain = [0, 1, 0, 1, 2, 2, b'a', 0, 0];
    let tagged = [0, 1, 0, 1, 2, 2, b'a', 1, 9, 2, 0xaa, 0xbb, 1, 0x80, 0x01, 3, 1, 2, 3];
    assert_eq!(decode(&tagged, 9), decode(&plain, 9));
    // A tag of a later version is unknown as well: the label is there from 6 on.
    let tagged = [0, 1, 0, 1, 2, 2, b'a', 0, 1, 1, 2, 2, b'l'];
    assert_eq!(decode(&tagged, 5), decode(&plain, 5));
    assert_eq!(decode(&tagged, 6).unwrap().label, Some(Text::from("l")));
}

#[test]
fn a_tagged_field_must_fill_its_size() {
    check_refused(
        &[0, 0, 0, 1, 1, 1, 0, 3, 2, 7, 9],
        9,
        expect!["Parcel.stamps: 1 bytes left of a tagged field"],
    );
    check_refused(
        &[0, 0, 0, 1, 1, 1, 0, 1, 2, 7],
        9,
        expect!["Parcel.stamps: 1 elements of at least 1 bytes, 0 bytes left"],
    );
    check_refused(
        &[0, 0, 0, 1, 1, 1, 0, 9, 2, 7],
        9,
        expect!["Parcel tagged fields: 9 bytes needed, 2 left"],
    );
}

#[test]
fn the_number_of_tagged_fields_is_checked_against_the_bytes_left() {
    check_refused(
        &[0, 0, 0, 1, 1, 2, 0, 1, 1],
        9,
        expect!["Parcel tagged fields: 2 tagged fields, 3 bytes left"],
    );
    check_refused(
        &[0, 0, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f],
        9,
        expect!["Parcel tagged fields: 4294967295 tagged fields, 0 bytes left"],
    );
}

#[test]
fn an_error_names_the_innermost_field() {
    check_refused(&[0, 0, 0, 0, 0, 1, 0, 5, b'a'], 0, expect!["Item.name: 5 bytes needed, 1 left"]);
    check_refused(&[0], 0, expect!["Parcel.weight: 2 bytes needed, 1 left"]);
    check_refused(
        &[0, 0, 0x7f, 0xff, 0xff, 0xff],
        0,
        expect!["Parcel.items: 2147483647 elements of at least 2 bytes, 0 bytes left"],
    );
}
