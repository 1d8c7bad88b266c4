//! What replication keeps: the states of producers, and the voters.

use model::{LogIndex, Offset, ProducerEpoch, ProducerId, Timestamp};
use replication::{Membership, ProducerStates};
use storage::BatchStamp;

/// A file of applied state, and the state in it.
pub(crate) fn applied(input: &[u8]) {
    if let Some(state) = storage::fuzzing::applied_state(input) {
        producers(&state);
    }
}

pub(crate) fn producers(input: &[u8]) {
    let Ok(mut states) = ProducerStates::decode(input) else { return };
    let written = states.encode();
    assert!(written.len() <= input.len(), "a producer may be there twice, but not written so");
    let again = ProducerStates::decode(&written).expect("it was just written");
    assert_eq!(again.encode(), written);
    assert_eq!(again.len(), states.len());
    // Whatever was known of a producer, its next batch is new, known or refused.
    let id = input.get(6..14).and_then(|id| id.try_into().ok()).map(i64::from_le_bytes);
    let epoch = input.get(14..16).and_then(|epoch| epoch.try_into().ok()).map(i16::from_le_bytes);
    for base_sequence in [0, 1, i32::MAX] {
        let stamp = BatchStamp {
            base_offset: Offset(1 << 40),
            offsets_count: 3,
            crc: 0,
            attributes: 0,
            base_timestamp: Timestamp(0),
            max_timestamp: Timestamp(0),
            producer_id: ProducerId(id.unwrap_or(0)),
            producer_epoch: ProducerEpoch(epoch.unwrap_or(0)),
            base_sequence,
        };
        if let Ok(None) = states.check(&stamp) {
            let index = LogIndex(u64::try_from(base_sequence).expect("not negative"));
            states.stage(index, &stamp);
            let _ = states.check(&stamp);
        }
    }
    states.apply(LogIndex(u64::MAX), Timestamp(0));
    states.expire(Timestamp(1));
}

pub(crate) fn membership(input: &[u8]) {
    let Some(membership) = Membership::decode(input) else { return };
    assert_eq!(membership.encode(), input);
}
