//! Sizes, stamps and reuse. That records read back is tested with the reader.

use expect_test::expect;
use proptest::prelude::*;

use super::super::testing::{any_records, batch_of, push, three_records};
use super::super::{BatchHeader, check_crc};
use super::*;

#[test]
fn the_bytes_of_a_small_batch() {
    let batch = batch_of(&three_records());
    let hex: Vec<String> = batch
        .chunks(16)
        .map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "))
        .collect();
    expect![[r#"
        00 00 00 00 00 00 00 00 00 00 00 56 ff ff ff ff
        02 e7 3e 07 b6 00 00 00 00 00 02 00 00 00 00 00
        00 03 e8 00 00 00 00 00 00 03 ef ff ff ff ff ff
        ff ff ff ff ff ff ff ff ff 00 00 00 03 14 00 00
        00 02 61 06 6f 6e 65 00 22 00 0e 02 02 62 06 74
        77 6f 04 02 68 02 76 02 68 01 0e 00 0d 04 02 61
        01 00"#]]
    .assert_eq(&hex.join("\n"));
}

#[test]
fn the_stamp_is_the_producers() {
    let mut builder = BatchBuilder::new();
    push(&mut builder, &three_records()[0]);
    let batch = builder.finish(ProducerStamp {
        producer_id: ProducerId(17),
        producer_epoch: ProducerEpoch(3),
        base_sequence: 40,
        is_transactional: true,
        is_control: true,
    });
    let header = BatchHeader::read(&batch).unwrap();
    assert_eq!(header.producer_id, ProducerId(17));
    assert_eq!(header.producer_epoch, ProducerEpoch(3));
    assert_eq!(header.base_sequence, 40);
    assert!(header.is_transactional());
    assert!(header.is_control());
    assert_eq!(check_crc(&batch), Ok(()));
}

#[test]
fn a_reused_buffer_leaves_no_trace() {
    let large = batch_of(&three_records());
    let capacity = large.capacity();
    let mut builder = BatchBuilder::reusing(large);
    assert!(builder.is_empty());
    assert_eq!(builder.size_bytes(), HEADER_SIZE_BYTES);
    push(&mut builder, &three_records()[0]);
    assert_eq!(builder.records_count(), 1);
    let batch = builder.finish(ProducerStamp::NONE);
    assert_eq!(batch, batch_of(&three_records()[..1]));
    assert_eq!(batch.capacity(), capacity);
}

proptest! {
    /// `push` in the test helpers compares the announced size with the real one.
    #[test]
    fn the_size_is_known_before_every_push(records in any_records()) {
        let mut builder = BatchBuilder::new();
        for record in &records {
            push(&mut builder, record);
        }
        let size_bytes = builder.size_bytes();
        prop_assert_eq!(builder.finish(ProducerStamp::NONE).len(), size_bytes);
    }
}
