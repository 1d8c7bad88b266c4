//! Several batches, a cut last one, and garbage between.

use super::super::testing::{batch_of, edited, three_records};
use super::super::{HEADER_SIZE_BYTES, assign};
use super::*;
use crate::{LeaderEpoch, Offset};

/// Two batches of three records, at offsets 10 and 13.
fn two_batches() -> (Vec<u8>, usize) {
    let mut first = batch_of(&three_records());
    let mut second = first.clone();
    assign(&mut first, Offset(10), LeaderEpoch(1));
    assign(&mut second, Offset(13), LeaderEpoch(2));
    let first_size_bytes = first.len();
    (first.into_iter().chain(second).collect(), first_size_bytes)
}

#[test]
fn batches_are_handed_out_whole() {
    let (bytes, first_size_bytes) = two_batches();
    let mut batches = Batches::new(&bytes);
    let (header, batch) = batches.next().unwrap().unwrap();
    assert_eq!((header.base_offset, header.leader_epoch), (Offset(10), LeaderEpoch(1)));
    assert_eq!(batch, &bytes[..first_size_bytes]);
    let (header, batch) = batches.next().unwrap().unwrap();
    assert_eq!((header.base_offset, header.leader_epoch), (Offset(13), LeaderEpoch(2)));
    assert_eq!(batch, &bytes[first_size_bytes..]);
    assert_eq!(batches.next(), None);
    assert_eq!(batches.rest(), []);
}

#[test]
fn a_last_batch_that_is_cut_off_ends_the_walk() {
    let (bytes, first_size_bytes) = two_batches();
    for size_bytes in first_size_bytes..bytes.len() {
        let mut batches = Batches::new(&bytes[..size_bytes]);
        assert!(
            batches
                .by_ref()
                .map(Result::unwrap)
                .map(|(header, _)| header.base_offset)
                .eq([Offset(10)])
        );
        assert_eq!(batches.rest(), &bytes[first_size_bytes..size_bytes]);
    }
}

#[test]
fn garbage_is_an_error_and_ends_the_walk() {
    let (mut bytes, first_size_bytes) = two_batches();
    bytes[first_size_bytes + 16] = 0x55;
    let mut batches = Batches::new(&bytes);
    assert!(batches.next().unwrap().is_ok());
    assert_eq!(batches.next(), Some(Err(BatchError::UnknownMagic { magic: 0x55 })));
    assert_eq!(batches.next(), None);

    let short = edited(|batch| batch[8..12].fill(0));
    let error = BatchError::LengthTooSmall { length: 0 };
    assert!(Batches::new(&short[..HEADER_SIZE_BYTES]).eq([Err(error)]));
}

#[test]
fn no_bytes_are_no_batches() {
    assert_eq!(Batches::new(&[]).next(), None);
}
